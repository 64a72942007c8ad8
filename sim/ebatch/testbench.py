"""Testbench of the whole engine: every output of every step, every event, counters and cycles."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hdl.ebatch.flags import token_beat
from hdl.ebatch.registers import Register
from sim.bench import Bench, Sink, Source, StreamEnd, bench_test
from sim.ebatch.circuit import DRAIN, SimulatedEngine
from sim.ebatch.cycles import CycleModel
from sim.ebatch.driver import Driver
from sim.ebatch.policies import Backlog, Cellular, FixedSteps, Static
from sim.ebatch.reference import compare, expect, record
from sim.ebatch.runtime import Event, Lanes, Policy, Request, serve, serve_circuit
from sim.ebatch.tokens import Submission, in_turn
from sim.packing import pack_fields

#: Cycles between the steps of a layer, and around a layer and a block.
STEP_OVERHEAD = 2
#: Cycles without a block after which the engine has nothing to do.
IDLE_CYCLES = 8
#: Cycles in which the queue of events stays full.
FULL_CYCLES = 3000
#: Counters that the cycle model has too, by its names.
MODELLED = {
    Register.BLOCKS: "blocks",
    Register.LANE_STEPS: "lane_steps_total",
    Register.USEFUL: "useful",
    Register.EMPTY: "bubble_empty",
    Register.STARVED: "bubble_starved",
    Register.WORDS_READ: "w_words_sram",
    Register.WEIGHT_STALLS: "stall_weight",
    Register.DRAIN_STALLS: "stall_done",
    Register.SEQUENCES: "seq_done",
}
#: Part of the cycles in which multipliers work in steady state.
UTILISATION = 0.95


def _steps(driver: Driver, at_most: int = 5) -> list[int]:
    """Lengths: a few sequences for each lane, the shortest ones among them."""
    count = 3 * driver.parameters.lanes
    return [1, *driver.bench.rng.integers(1, at_most + 1, count - 1).tolist()]


@bench_test
async def sequences(bench: Bench) -> None:
    """Sequences of any length in all lanes, one behind the other, in blocks of some steps."""
    driver = Driver(bench)
    await driver.set(steps=3)
    submissions = driver.submissions(_steps(driver))
    await driver.send(submissions)
    await driver.check_loads()
    counters = await driver.counters()
    # Where the engine came to rest: behind all blocks.
    found = await driver.read(Register.BLOCK) & 0xFFFF
    bench.check_equal(found, counters[Register.BLOCKS], "number of the block")
    useful = driver.parameters.layers * sum(map(len, submissions))
    bench.check_equal(counters[Register.USEFUL], useful, "useful lane-steps")
    parts = (Register.USEFUL, Register.EMPTY, Register.STARVED)
    total = sum(counters[part] for part in parts)
    bench.check_equal(counters[Register.LANE_STEPS], total, "lane-steps")


@bench_test
async def stalls(bench: Bench) -> None:
    """Pausing tokens and weights, refused outputs and events."""
    driver = Driver(bench, weights="random", latency=7)
    for steps, patterns in (
        (2, ("random", "random", "bursts", "")),
        (3, ("bursts", "bursts", "random", "")),
    ):
        await driver.set(steps)
        await driver.send(driver.submissions(_steps(driver, 3)), patterns)


class _ChangingSteps:
    """Writes another number of steps for the next block every now and then."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._wait = 0

    def sample(self, cycle: int) -> None:
        self._wait -= 1

    def drive(self) -> None:
        bench = self._driver.bench
        bench.port("write_enable").value = 0
        if self._wait <= 0:
            self._wait = int(bench.rng.integers(1, 2000))
            most = self._driver.parameters.max_steps
            bench.port("address").value = int(Register.NEXT_STEPS)
            bench.port("write_data").value = int(bench.rng.integers(0, most + 3))
            bench.port("write_enable").value = 1


@bench_test
async def changing_steps(bench: Bench) -> None:
    """The number of steps changes at any time, also to what is out of range."""
    driver = Driver(bench)
    await driver.set(steps=1)
    await driver.send(driver.submissions(_steps(driver)), also=[_ChangingSteps(driver)])
    bench.port("write_enable").value = 0


@bench_test
async def corners(bench: Bench) -> None:
    """Sequences that end with a block, begin with one, span three; one lane alone; only ones."""
    driver = Driver(bench)
    steps = min(3, driver.parameters.max_steps)
    await driver.set(steps)
    lanes = driver.parameters.lanes
    for lengths in ([1] * 3 * lanes, [steps] * lanes, [steps - 1, 1, steps + 1, 3 * steps]):
        await driver.send(driver.submissions([max(1, length) for length in lengths]))
    await driver.send(driver.submissions([2, 3], lanes=[lanes - 1]))
    # Only the last outputs are wanted.
    await driver.set(steps, all_steps=False, early_end=False)
    await driver.send(driver.submissions(_steps(driver, 3)))


@bench_test
async def starving(bench: Bench) -> None:
    """A lane whose tokens come late holds its state while the others go on."""
    driver = Driver(bench)
    await driver.set(steps=2)
    p = driver.parameters
    submissions = driver.submissions([4] * p.lanes)
    # The first token of each lane, and the others long after it, lane by lane.
    by_lane = [list(in_turn([each], p)) for each in submissions]
    words = p.input_size // p.width
    beats = [beat for lane in by_lane for beat in lane[:words]]
    beats += [beat for lane in by_lane for beat in lane[words:]]
    await driver.send(submissions, ("bursts", "flowing", "flowing", ""), beats=beats)
    before = await driver.counters()
    # A token, and nothing until the engine has nothing to do: the block ends inside a sequence.
    await _halting(driver, submissions)
    after = await driver.counters()
    grown = {name: after[name] - before[name] for name in after}
    total = sum(map(len, submissions)) * p.layers
    bench.check_equal(grown[Register.USEFUL], total, "useful lane-steps")
    bench.check(p.lanes == 1 or grown[Register.STARVED] > 0, "no lane starved")


async def _halting(driver: Driver, submissions: list[Submission]) -> None:
    p, bench = driver.parameters, driver.bench
    words = p.input_size // p.width
    beats = list(in_turn(submissions, p))

    class Feed:
        """A token of one lane whenever the engine is idle."""

        def __init__(self) -> None:
            self.given = 0
            self._idle = 0
            self._offering = False
            self._ports = [bench.port(f"i__{name}") for name in ("payload", "valid", "ready")]

        @property
        def done(self) -> bool:
            return self.given == len(beats)

        def sample(self, cycle: int) -> None:
            if self._offering and int(self._ports[2].value):
                self.given += 1
                self._idle = 0
                self._offering = False

        def drive(self) -> None:
            idle = not int(bench.port("busy").value)
            inside = self.given % words != 0
            self._idle = self._idle + 1 if idle else 0
            if not self._offering and not self.done and (self._idle > IDLE_CYCLES or inside):
                self._ports[0].value = beats[self.given]
                self._offering = True
            self._ports[1].value = int(self._offering)

    await driver.send(submissions, beats=[], also=[feed := Feed()])
    bench.check(feed.done, "tokens are left")


@bench_test
async def errors(bench: Bench) -> None:
    """Tags that change without a last token, lanes that do not exist, loads of a wrong length."""
    driver = Driver(bench)
    p = driver.parameters
    driver.memory.spoil = {0: 1, 1: -2, 3: 5}
    await driver.set(steps=2)
    submissions = []
    for index, each in enumerate(driver.submissions(_steps(driver, 3))):
        tag = (each.tag & ~1) | (index // p.lanes & 1)  # neighbours differ
        is_cut = index < 2 * p.lanes and bool(bench.rng.integers(2))
        submissions.append(Submission(each.lane, tag, each.inputs, is_cut))
    beats = list(in_turn(submissions, p))
    stray = pack_fields(token_beat(p), lane=p.lanes, tag=5)
    strays = 0
    if stray != pack_fields(token_beat(p), lane=0, tag=5):
        for at in sorted(bench.rng.integers(0, len(beats), 5).tolist(), reverse=True):
            beats.insert(at, stray)
            strays += 1
    await driver.send(submissions, beats=beats)
    counters = await driver.counters()
    cuts = sum(each.is_cut for each in submissions)
    bench.check_equal(counters[Register.CUT], cuts, "sequences that were cut")
    bench.check_equal(counters[Register.SEQUENCES], len(submissions), "events")
    bench.check_equal(counters[Register.BAD_BEATS], strays, "beats without a lane")
    wrong = sum(number < len(driver.memory.loads) for number in driver.memory.spoil)
    bench.check_equal(counters[Register.BAD_LOADS], wrong, "loads of a wrong length")
    bench.check(wrong >= 2, "no load was wrong")
    await driver.check_loads()


@bench_test
async def draining(bench: Bench) -> None:
    """Told to drain, the engine finishes what has begun and lets nothing begin."""
    driver = Driver(bench)
    p = driver.parameters
    await driver.set(steps=2)
    begun, later = driver.submissions([3, 2], lanes=[0])
    beats = list(in_turn([begun, later], p))
    source = Source(bench, "i", beats, "flowing")
    sinks = [Sink(bench, name, "flowing") for name in ("o", "o_done")]
    ends: tuple[StreamEnd, ...] = (source, *sinks, driver.memory)
    await bench.run(ends, lambda: bool(source.taken), limit=1000)
    await driver.write(Register.CONTROL, driver.control | DRAIN, *ends)
    done = sinks[1].received
    limit = 20_000 + 8 * len(begun) * sum(map(p.step_cycles, range(p.layers)))
    await bench.run(ends, lambda: bool(done) and not int(bench.port("busy").value), limit=limit)
    for _ in range(200):
        await bench.tick(*ends)
    words = p.input_size // p.width
    bench.check_equal(len(source.taken), len(begun) * words, "beats that were taken")
    await driver.write(Register.CONTROL, driver.control, *ends)
    await bench.run(ends, lambda: len(done) == 2 and not int(bench.port("busy").value), limit=limit)
    found = record(p, sinks[0].received, sinks[1].received)
    bench.checks += compare(found, expect(p, driver.network, [begun, later], all_steps=True))


@bench_test
async def full_queue(bench: Bench) -> None:
    """Nobody takes an event until nothing moves; none is lost."""
    driver = Driver(bench)
    p = driver.parameters
    await driver.set(steps=2, all_steps=False)
    count = p.done_depth + 2 * p.lanes + 2
    submissions = driver.submissions([1] * count)

    bench.port("address").value = int(Register.LEVEL)
    full = 0

    def late() -> Iterator[bool]:
        nonlocal full
        while full < FULL_CYCLES:
            full += int(bench.port("read_data").value) == p.done_depth
            yield False
        while True:
            yield True

    await driver.send(submissions, takes_events=late())
    bench.check_equal(full, FULL_CYCLES, "cycles in which the queue was full")
    counters = await driver.counters()
    bench.check_equal(counters[Register.SEQUENCES], count, "events")


class _Noted:
    """A policy that notes what it is told."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.events: list[Event] = []
        self.on_arrival = policy.on_arrival
        self.decide = policy.decide

    def on_events(self, events: Sequence[Event]) -> None:
        self.events += events
        self._policy.on_events(events)


@bench_test
async def cycle_model(bench: Bench) -> None:
    """By every kind of policy: each event in the cycle the model says, and counters alike."""
    driver = Driver(bench)
    p = driver.parameters
    steps = min(4, p.max_steps)
    pace = sum(map(p.step_cycles, range(p.layers))) / p.lanes
    lengths = bench.rng.integers(1, p.max_steps + 1, 3 * p.lanes)
    arrivals = np.cumsum(bench.rng.exponential(2 * pace, len(lengths))).astype(int)
    requests = [
        Request(tag, int(length), int(arrival))
        for tag, (length, arrival) in enumerate(zip(lengths, arrivals, strict=True))
    ]
    inputs = {
        each.tag: bench.rng.integers(-128, 128, (each.steps, p.input_size)).astype(np.int8)
        for each in requests
    }
    policies: tuple[Callable[[Lanes], Policy], ...] = (
        lambda lanes: Static(lanes),
        lambda lanes: Cellular(lanes, 1),
        lambda lanes: FixedSteps(lanes, steps),
        lambda lanes: Backlog(lanes, 1, p.max_steps),
    )
    for make in policies:
        driver.memory.forget()
        await bench.reset()
        model = CycleModel(p)
        expected = _Noted(make(model))
        serve(model, expected, requests)
        circuit = SimulatedEngine(bench, p, inputs, (driver.memory,))
        noted = _Noted(make(circuit))
        await serve_circuit(circuit, noted, requests)
        for found, wanted in zip(noted.events, expected.events, strict=False):
            bench.check(found == wanted, f"{found}, by the cycle model {wanted}")
        bench.check_equal(len(noted.events), len(expected.events), "events")
        counters = await driver.counters()
        told = model.counters()
        for register, name in MODELLED.items():
            bench.check_equal(counters[register], getattr(told, name), name)
        lanes = expect(p, driver.network, circuit.submissions, all_steps=False)
        got = record(p, circuit.sink.received, circuit.done.received)
        bench.checks += compare(got, lanes)


@bench_test
async def registers(bench: Bench) -> None:
    """Settings read back, status tells, unknown addresses are 0, the interrupt comes in time."""
    driver = Driver(bench)
    p = driver.parameters
    for register, bits in (
        (Register.NEXT_STEPS, 16),
        (Register.THRESHOLD, 16),
        (Register.TIMER, 32),
        (Register.WATERMARK, 16),
        (Register.CONTROL, 4),
    ):
        value = int(bench.rng.integers(1, 1 << bits)) & ~1
        await driver.write(register, value)
        bench.check_equal(await driver.read(register), value, register.name)
    sizes = (p.lanes, p.hidden_size, p.input_size, p.max_steps)
    packed = sum(size << 16 * at for at, size in enumerate(sizes))
    bench.check_equal(await driver.read(Register.CAPABILITIES), packed, "capabilities")
    for unknown in (7, 15, 500, Register.LANE + p.lanes):
        bench.check_equal(await driver.read(unknown), 0, f"register {unknown}")
    await driver.write(Register.THRESHOLD, 2)
    await driver.write(Register.TIMER, 0)
    await driver.write(Register.WATERMARK, 1)
    bench.check_equal(int(bench.port("room").value), (1 << p.lanes) - 1, "room of empty lanes")
    # Not running: tokens wait, and are counted.
    await driver.set(steps=1, run=False, all_steps=False)
    submissions = driver.submissions([1, 2], lanes=[0])

    class Watch:
        """Starts the engine when all tokens wait; notes the first interrupt."""

        def __init__(self) -> None:
            self.waited = 0
            self.tokens = -1
            self.room = -1

        def sample(self, cycle: int) -> None:
            self.waited += 1
            if self.waited == 200:
                self.tokens = int(bench.port("read_data").value)
                self.room = int(bench.port("room").value)

        def drive(self) -> None:
            bench.port("address").value = int(Register.LANE)
            bench.port("write_enable").value = 0
            if self.waited == 201:
                bench.port("address").value = int(Register.CONTROL)
                bench.port("write_data").value = 3
                bench.port("write_enable").value = 1

    watch = Watch()
    await driver.send(submissions, also=[watch])
    bench.check_equal(watch.tokens, 3, "tokens that wait")
    bench.check_equal(watch.room, (1 << p.lanes) - 2, "room")
    await _interrupts(driver)


async def _interrupts(driver: Driver) -> None:
    """With a threshold of two events; and with a timer, one event and so many cycles."""
    bench = driver.bench
    for threshold, timer, events in ((2, 0, 2), (0, 50, 1)):
        await driver.write(Register.THRESHOLD, threshold)
        await driver.write(Register.TIMER, timer)

        bench.port("address").value = int(Register.LEVEL)
        levels: list[int] = []

        def called(levels: list[int] = levels) -> Iterator[bool]:
            """Takes no event until the interrupt is there; notes the levels until then."""
            while not int(bench.port("irq").value):
                levels.append(int(bench.port("read_data").value))
                yield False
            while True:
                yield True

        await driver.send(driver.submissions([1] * events, lanes=[0]), takes_events=called())
        # What is read is a cycle old.
        bench.check(set(levels) <= {0, events - 1, events}, "an interrupt at another level")
        waited = sum(level > 0 for level in levels)
        bench.check(waited >= timer - 2, f"the interrupt came after {waited} of {timer} cycles")
        bench.check(events < 2 or events - 1 in levels, "no event waited for the next one")


@bench_test
async def reset_inside(bench: Bench) -> None:
    """A reset in the middle of a block leaves nothing of it."""
    driver = Driver(bench)
    p = driver.parameters
    for part in (0.3, 1.7):
        await driver.set(steps=2)
        submissions = driver.submissions(_steps(driver, 4))
        beats = list(in_turn(submissions, p))
        source = Source(bench, "i", beats, "flowing")
        sinks = [Sink(bench, name, "flowing") for name in ("o", "o_done")]
        cycles = round(part * p.step_cycles(0)) + p.load_words(0)
        for _ in range(cycles):
            await bench.tick(source, *sinks, driver.memory)
        source.withdraw()
        driver.memory.forget()
        await bench.reset()
        await driver.set(steps=2)
        await driver.send(driver.submissions(_steps(driver, 2)))


@bench_test
async def sustained(bench: Bench) -> None:
    """In steady state the multipliers work, and a block takes as long as it should."""
    driver = Driver(bench)
    p = driver.parameters
    steps = min(p.max_steps, p.token_depth)
    await driver.set(steps, all_steps=False)
    blocks = 2
    before = await driver.counters()
    first = bench.cycle
    await driver.send(driver.submissions([steps * blocks] * p.lanes))
    after = await driver.counters()
    grown = {name: after[name] - before[name] for name in after}
    bench.check_equal(grown[Register.USEFUL], p.lanes * steps * blocks * p.layers, "useful")
    bench.check_equal(
        grown[Register.WORDS_READ],
        sum(p.weight_words(layer) * steps * blocks for layer in range(p.layers)),
        "weight words read",
    )
    work = grown[Register.WORDS_READ] * p.lanes * p.width
    cycles = grown[Register.CYCLES]
    bench.report_work(work, cycles, first)
    if min(p.part_cycles(p.input_size), p.part_cycles(p.hidden_size)) == p.input_size // p.width:
        used = grown[Register.WORDS_READ] / cycles
        bench.check(used >= UTILISATION, f"multipliers work in {used:.1%} of the cycles")
