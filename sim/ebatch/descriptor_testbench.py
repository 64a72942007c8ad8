"""Testbench of the engine with descriptors: what it fetches, what it refuses, and all that the
engine behind it must still do."""

from collections.abc import Iterator

from hdl.ebatch.described import REFUSALS_BIT, DescriptorRegister
from hdl.ebatch.descriptors import IN_FLIGHT
from hdl.ebatch.registers import Register
from sim.bench import Bench, bench_test
from sim.ebatch.circuit import DRAIN, EARLY_END, RUN
from sim.ebatch.descriptor_driver import DescriptorDriver, Run
from sim.ebatch.tokens import Submission

#: Cycles without a fetch after which nothing more is fetched: more than memories take.
SETTLED = 200
#: Cycles in which all that can be full stays full.
FULL_CYCLES = 1000
#: Blocks of every lane while throughput is measured, beyond the tokens it has room for.
SUSTAINED_BLOCKS = 4


def _lengths(driver: DescriptorDriver, per_lane: int, at_most: int = 5) -> list[int]:
    """Of some sequences for each lane, the shortest ones among them."""
    count = per_lane * driver.parameters.lanes
    return [1, *driver.bench.rng.integers(1, at_most + 1, count - 1).tolist()]


def _shuffled(driver: DescriptorDriver, submissions: list[Submission]) -> list[Submission]:
    return [submissions[at] for at in driver.bench.rng.permutation(len(submissions))]


async def _settle(driver: DescriptorDriver, run: Run) -> None:
    """Go on until nothing more is fetched."""
    seen = -1
    while seen != len(driver.tokens.fetched):
        seen = len(driver.tokens.fetched)
        for _ in range(SETTLED):
            await driver.bench.tick(*run.ends)


@bench_test
async def sequences(bench: Bench) -> None:
    """Sequences of any length end to end in all lanes, whatever pauses and however late."""
    driver = DescriptorDriver(bench, weights="random")
    described = 0
    for steps, pattern, latency, jitter, patterns in (
        (3, "flowing", 0, 0, ("flowing", "flowing", "flowing")),
        (2, "random", 20, 30, ("random", "random", "bursts")),
        (8, "bursts", 150, 0, ("flowing", "bursts", "random")),
    ):
        driver.use_memory(pattern, latency, jitter)
        driver.patterns = patterns
        await driver.set(steps)
        submissions = _shuffled(driver, driver.submissions(_lengths(driver, 4)))
        described += len(submissions)
        await driver.describe(submissions)
    counters = await driver.counters()
    bench.check_equal(counters[Register.SEQUENCES], described, "sequences")
    for register in (Register.CUT, Register.BAD_BEATS):
        bench.check_equal(counters[register], 0, register.name)
    found = list((await driver.front_end()).values())
    bench.check_equal(found, [described, 0, 0], "descriptors, refused, strays")


@bench_test
async def refusals(bench: Bench) -> None:
    """Descriptors of no steps and of no lane among good ones, which do not notice."""
    driver = DescriptorDriver(bench, latency=5)
    driver.patterns = ("random", "flowing", "random")
    await driver.set(steps=3)
    good = driver.submissions(_lengths(driver, 4))
    bad = driver.bad(3 * driver.parameters.lanes)
    run = await driver.describe(_shuffled(driver, good + bad))
    bench.check_equal(len(run.refused), len(bad), "descriptors that are bad")
    found = list((await driver.front_end()).values())
    bench.check_equal(found, [len(good), len(bad), 0], "descriptors, refused, strays")
    counters = await driver.counters()
    bench.check_equal(counters[Register.SEQUENCES], len(good), "sequences")
    # Nothing else than refusals: no lane has anything to do.
    await driver.describe(driver.bad(2 * driver.parameters.lanes))


@bench_test
async def sustained(bench: Bench) -> None:
    """Addresses leave one a cycle, however late words may be for it, and no lane lacks a token."""
    driver = DescriptorDriver(bench)
    p = driver.parameters
    steps = min(p.max_steps, p.token_depth)
    words = p.input_size // p.width
    driver.use_memory(latency=(IN_FLIGHT - 1) * words - 2)
    await driver.set(steps, run=False, all_steps=False)
    # In the order in which they begin, as a host would hand them over; the first ones fill lanes.
    total = p.token_depth + SUSTAINED_BLOCKS * steps
    begins: list[tuple[int, Submission]] = []
    for lane in range(p.lanes):
        length, at = p.token_depth, 0
        while length:
            begins += [(at, each) for each in driver.submissions([length], lanes=[lane])]
            at += length
            length = min(total - at, int(bench.rng.integers(1, 12)))
    submissions = [each for _, each in sorted(begins, key=lambda begin: begin[0])]
    run = Run(driver, submissions)
    fetched = driver.tokens.fetched
    first = p.lanes * p.token_depth * words
    await bench.run(run.ends, lambda: len(fetched) >= first, limit=2 * first + SETTLED)
    span = fetched[-1] - fetched[0] + 1
    bench.check_equal(span, first, f"cycles of the first {first} addresses")
    await _settle(driver, run)
    begin = bench.cycle
    await driver.write(Register.CONTROL, RUN | EARLY_END, *run.ends)
    await bench.run(run.ends, lambda: run.is_out, limit=run.limit)
    cycles = bench.cycle - begin
    run.check()
    counters = await driver.counters()
    useful = p.lanes * p.layers * total
    bench.check_equal(counters[Register.USEFUL], useful, "useful lane-steps")
    for register in (Register.STARVED, Register.EMPTY):
        bench.check_equal(counters[register], 0, register.name)
    bench.report_work(counters[Register.WORDS_READ] * p.lanes * p.width, cycles, begin)


@bench_test
async def room(bench: Bench) -> None:
    """A lane gets as many tokens as it has room for, and keeps nothing from the others."""
    driver = DescriptorDriver(bench, latency=40)
    p = driver.parameters
    words = p.input_size // p.width
    await driver.set(steps=4, run=False)
    lengths = [p.token_depth + 9, 3, *[p.token_depth] * p.lanes][: p.lanes]
    run = Run(driver, [driver.submissions([n], lanes=[at])[0] for at, n in enumerate(lengths)])
    await _settle(driver, run)
    held = [min(p.token_depth, length) for length in lengths]
    found = [await driver.read(Register.LANE + lane, *run.ends) for lane in range(p.lanes)]
    bench.check_equal(found, held, "tokens that wait in the lanes")
    bench.check_equal(len(driver.tokens.fetched), sum(held) * words, "words that were fetched")
    await driver.write(Register.CONTROL, driver.control | RUN, *run.ends)
    await bench.run(run.ends, lambda: run.is_out, limit=run.limit)
    run.check()


@bench_test
async def full(bench: Bench) -> None:
    """Nobody takes outputs and events until all queues are full and nothing moves; none is lost."""
    driver = DescriptorDriver(bench, latency=3)
    p = driver.parameters
    await driver.set(steps=2)
    # Events first: outputs flow, and the sequences that end fill the queue of events.
    lanes = range(p.lanes)
    good = driver.submissions([1] * (p.done_depth + (p.token_depth + p.descriptors + 2) * p.lanes))
    bad = driver.bad(p.done_depth + 3)
    bench.port("address").value = int(Register.LEVEL)
    both = p.done_depth | p.done_depth << REFUSALS_BIT
    count = 0

    def late() -> Iterator[bool]:
        nonlocal count
        while count < FULL_CYCLES:
            count += int(bench.port("read_data").value) == both
            yield False
        while True:
            yield True

    await driver.describe(bad[: p.done_depth] + good + bad[p.done_depth :], takes_events=late())
    bench.check_equal(count, FULL_CYCLES, "cycles in which both queues of events were full")
    found = list((await driver.front_end()).values())
    bench.check_equal(found, [len(good), len(bad), 0], "descriptors, refused, strays")
    # Outputs: behind them all lanes fill up, with tokens and with descriptors.
    stood = 0

    def later() -> Iterator[bool]:
        nonlocal stood
        while stood < FULL_CYCLES:
            stood += not int(bench.port("descriptor_room").value)
            yield False
        while True:
            yield True

    depth = p.token_depth + p.descriptors + 4
    await driver.describe(driver.submissions([1] * depth * len(lanes)), takes_outputs=later())
    bench.check_equal(stood, FULL_CYCLES, "cycles in which all lanes were full")


@bench_test
async def draining(bench: Bench) -> None:
    """Told to drain, the engine finishes what was asked for, also first tokens under way."""
    driver = DescriptorDriver(bench, latency=60)
    p = driver.parameters
    words = p.input_size // p.width
    await driver.set(steps=2)
    run = Run(driver, driver.submissions([3] * p.lanes + [2] * p.lanes))
    fetched = driver.tokens.fetched
    await bench.run(run.ends, lambda: len(fetched) >= p.lanes * words, limit=1000)
    bench.check_equal(driver.tokens.under_way, len(fetched), "words under way")
    await driver.write(Register.CONTROL, driver.control | DRAIN, *run.ends)
    done = run.done.received
    await bench.run(run.ends, lambda: len(done) >= p.lanes, limit=run.limit)
    await bench.run(run.ends, lambda: not int(bench.port("busy").value), limit=run.limit)
    await _settle(driver, run)
    bench.check_equal(len(done), p.lanes, "sequences that are done")
    bench.check_equal(len(fetched), 3 * p.lanes * words, "words that were fetched")
    found = await driver.read(Register.CONTROL, *run.ends)
    bench.check_equal(found, driver.control | DRAIN, "control")
    await driver.write(Register.CONTROL, driver.control, *run.ends)
    await bench.run(run.ends, lambda: run.is_out, limit=run.limit)
    run.check()


@bench_test
async def reset_inside(bench: Bench) -> None:
    """After a reset nothing of before comes, whether the memory forgets it or still answers."""
    driver = DescriptorDriver(bench, latency=30)
    p = driver.parameters
    for forgets in (True, False):
        for cycles in (12, 45, round(1.3 * p.step_cycles(0)) + p.load_words(0)):
            await driver.set(steps=2)
            run = Run(driver, _shuffled(driver, driver.submissions(_lengths(driver, 6, 20))))
            for _ in range(cycles):
                await bench.tick(*run.ends)
            # So that words are under way, also if all lanes are full by now.
            await bench.run(run.ends, lambda: driver.tokens.under_way > 0, limit=100_000)
            run.source.withdraw()
            bench.dut.rst.value = 1
            await bench.tick(driver.tokens)
            bench.dut.rst.value = 0
            driver.memory.forget()
            left = driver.tokens.under_way
            bench.check(left > 0, "nothing was under way")
            if forgets:
                driver.tokens.forget()
                left = 0
            await bench.run(driver.memories, lambda: not driver.tokens.under_way, limit=1000)
            strays = (await driver.front_end())[DescriptorRegister.STRAYS]
            bench.check_equal(strays, left, "words that nobody had asked for")
            await driver.set(steps=2)
            again = driver.submissions(_lengths(driver, 2))
            await driver.describe(again)
            found = list((await driver.front_end()).values())
            bench.check_equal(found, [len(again), 0, left], "descriptors, refused, strays")


@bench_test
async def registers(bench: Bench) -> None:
    """Settings read back through the front end, counters are read only, refusals interrupt."""
    driver = DescriptorDriver(bench)
    p = driver.parameters
    for register, bits in (
        (Register.NEXT_STEPS, 16),
        (Register.THRESHOLD, 16),
        (Register.TIMER, 32),
        (Register.WATERMARK, 16),
        (Register.CONTROL, 4),
    ):
        for value in (int(bench.rng.integers(1 << bits)), (1 << bits) - 1, 0):
            await driver.write(register, value)
            bench.check_equal(await driver.read(register), value, register.name)
    for counter in DescriptorRegister:
        await driver.write(counter, 5)
        bench.check_equal(await driver.read(counter), 0, counter.name)
    # Threshold and timer are 0: only a refusal interrupts, until its event is taken.
    bench.check_equal(int(bench.port("irq").value), 0, "interrupt of nothing")
    bench.check_equal(int(bench.port("descriptor_room").value), (1 << p.lanes) - 1, "room")
    waited = 0

    def called() -> Iterator[bool]:
        nonlocal waited
        while waited < 10:
            waited += int(bench.port("irq").value) & int(bench.port("busy").value)
            yield False
        while True:
            yield True

    await driver.describe(driver.bad(2), takes_events=called())
    bench.check_equal(int(bench.port("irq").value), 0, "interrupt when all events are taken")
    bench.check_equal(await driver.read(Register.LEVEL), 0, "events that wait")
