"""The cycle model: cases by hand, and against one that knows no shortcut."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from ebatch_runs import BOUND, ROUND, SMALL, random_requests

from hdl.ebatch.parameters import Cell, Parameters
from sim.ebatch import experiment
from sim.ebatch.cycles import Counters, CycleModel
from sim.ebatch.policies import POLICIES
from sim.ebatch.runtime import (
    Event,
    Kind,
    serve,
)
from sim.ebatch.timing import Memory, Timing, costs, timing

# The cycle model: cases by hand. A part takes 8 cycles, 7 of them without a word; a step of the
# one layer 4 gates x 4 units x 2 parts = 256, its results are in 20 - 7 = 13 cycles behind its end.

TINY = Parameters(
    lanes=1, hidden_size=4, input_size=4, layers=1, max_steps=8, width=4, token_depth=4
)
#: Words of a layer: 25 settings, 32 of biases, 32 of weights.
WORDS = 89


def run_tiny(
    parameters: Parameters = TINY,
    *,
    lengths: Sequence[int] = (2,),
    steps: int = 4,
    constants: Timing = ROUND,
    pace: int = 1,
    **options: bool,
) -> tuple[CycleModel, dict[Kind, list[int]]]:
    """Sequences of these lengths in lane 0; the cycles in which things happen."""
    model = CycleModel(parameters, Memory(0, Fraction(pace)), constants, **options)
    for tag, length in enumerate(lengths):
        model.submit(0, tag, length)
    model.set_steps(steps)
    model.set_run(True)
    cycles: dict[Kind, list[int]] = {kind: [] for kind in Kind}
    while events := model.advance():
        for event in events:
            assert event.cycle == model.now
            cycles[event.kind].append(event.cycle)
    return model, cycles


def test_one_lane_one_layer() -> None:
    model, cycles = run_tiny()
    assert TINY.load_words(0) == WORDS
    assert cycles[Kind.LANE_FED] == [2]  # 1 to the beat, 1 behind it
    assert cycles[Kind.BLOCK_OPENED] == [99]  # the load: 10 + 89
    # Block 8; a step 2 + 256, the other 3 more: its second part waits for 13 - 2 - 8.
    assert cycles[Kind.LANE_ROOM] == [99 + 8 + 258 + 261]
    assert cycles[Kind.BLOCK_CLOSED] == [626 + 1]  # a look at the lane
    # Results 13; drain: step 2, lane 1, output 1, beat 1, event 1.
    assert cycles[Kind.SEQUENCE_DONE] == [626 + 13 + 6]
    assert model.counters() == Counters(
        cycles=645,
        blocks=1,
        lane_steps_total=2,
        useful=2,
        layer_loads=1,
        w_words_dram=89,
        w_words_sram=64,
        stall_weight=97,
        seq_done=1,
    )


def test_early_end_off_makes_bubbles() -> None:
    model, cycles = run_tiny(early_end=False)
    assert cycles[Kind.LANE_ROOM] == [626]
    assert cycles[Kind.BLOCK_CLOSED] == [626 + 2 * 261]
    assert cycles[Kind.SEQUENCE_DONE] == [645]
    found = model.counters()
    assert (found.lane_steps_total, found.useful, found.bubble_empty) == (4, 2, 2)
    assert found.bubble_starved == 0


def test_a_block_ends_after_its_steps_and_another_follows() -> None:
    model, cycles = run_tiny(lengths=(3, 2), steps=2)
    # The next block begins when the results are in; its weights stay.
    second = 626 + 13
    assert cycles[Kind.BLOCK_OPENED] == [99, second, second + 540]
    assert cycles[Kind.LANE_ROOM] == [second + 8 + 258, second + 540 + 8 + 258]
    assert model.counters().layer_loads == 1
    assert model.counters().stall_weight == 97


def test_weights_slower_than_computing() -> None:
    """Three layers, two buffers, 10 cycles a word: 900 a load; a pass 5 + 258 + 261 + 13 = 537."""
    model, cycles = run_tiny(replace(TINY, layers=3), steps=2, pace=10)
    assert cycles[Kind.BLOCK_OPENED] == [900]
    assert cycles[Kind.BLOCK_CLOSED] == [900 + 8 + 519]
    # Layer 1 when it is loaded, 1800. Its buffer was free; that of layer 2 since 1440, but the
    # loads come one after the other: 2700.
    assert cycles[Kind.SEQUENCE_DONE] == [2700 + 5 + 519 + 13 + 6]
    found = model.counters()
    assert found.stall_weight == (900 - 2) + (1800 - 1440) + (2700 - 2337)
    # Of the load behind layer 2's, which began in 2700, 543 cycles ago.
    assert found.layer_loads == 3
    assert found.w_words_dram == 3 * WORDS + (543 - 10) // 10


def test_weights_faster_than_computing() -> None:
    model, cycles = run_tiny(replace(TINY, layers=3), steps=2)
    # Nothing waits but the first block; layer 2 is loaded from 639 on into layer 0's buffer.
    assert cycles[Kind.SEQUENCE_DONE] == [99 + 8 - 5 + 3 * 537 + 6]
    assert model.counters().stall_weight == 97
    # Layer 0 once more from 1176 to 1275; layer 1 since 1713, 6 cycles ago: no word yet.
    assert model.counters().layer_loads == 4
    assert model.counters().w_words_dram == 4 * WORDS


def test_one_buffer_hides_nothing() -> None:
    model, cycles = run_tiny(replace(TINY, layers=2, weight_buffers=1), steps=2)
    # Layer 1 is loaded in 99 cycles when the results of layer 0 are in: 639.
    assert cycles[Kind.SEQUENCE_DONE] == [639 + 99 + 5 + 519 + 13 + 6]
    assert model.counters().stall_weight == 97 + 99


def test_steps_wait_for_the_drain() -> None:
    """300 cycles a beat: 304 a step; and all steps are put out."""
    slow = replace(ROUND, drain_beat=300)
    model, cycles = run_tiny(lengths=(4,), constants=slow, all_steps=True)
    # Steps end in 365, 626; results of the first leave from 378 to 682, when the third begins, and
    # does not wait for results any more: 940. Those of the second leave to 986; so the fourth ends
    # in 1244, and from 1290 on the third's are out.
    assert cycles[Kind.LANE_ROOM] == [1244]
    assert cycles[Kind.SEQUENCE_DONE] == [1290 + 304 + 1]
    assert model.counters().stall_done == (682 - 626) + (986 - 940)


def test_lanes_leave_one_after_the_other() -> None:
    model = CycleModel(replace(SMALL, layers=1), constants=ROUND)
    for lane, length in ((0, 2), (2, 2), (3, 1)):
        model.submit(lane, lane, length)
    model.set_steps(4)
    model.set_run(True)
    done = []
    while events := model.advance():
        done += [(event.lane, event.cycle) for event in events if event.kind is Kind.SEQUENCE_DONE]
    (three, first), (zero, second), (two, third) = done
    assert (three, zero, two) == (3, 0, 2)
    # An output: 1 and 2 beats, the event 1, and a lane each.
    assert third - second == 2 + 4
    assert first < second


def test_lanes_take_turns_with_their_tokens() -> None:
    """Two beats a token: lanes 0 and 2 in turn from cycle 1 on, until lane 0 has no more room."""
    model = CycleModel(SMALL, constants=ROUND)
    model.submit(2, 5, 20)
    model.submit(0, 4, 20)
    model.submit(0, 6, 1)
    fed = [(event.tag, event.cycle) for event in [*model.advance(), *model.advance()]]
    assert fed == [(4, 3), (5, 5)]
    # 8 tokens each have room, and then nothing moves: no block may begin.
    assert model.advance() == []
    assert model.now == 1 + 2 * 16
    assert [model.queued(lane) for lane in range(4)] == [21, 0, 20, 0]


def test_a_lane_starves_if_its_tokens_are_late() -> None:
    """It is in a sequence, and counted so; the other one is empty."""
    late = replace(ROUND, token_gap=2000)
    model, _ = run_tiny(
        replace(TINY, lanes=2), lengths=(3,), constants=late, steps=8, early_end=False
    )
    found = model.counters()
    assert found.useful == 3
    assert found.bubble_starved > 10
    assert found.bubble_empty >= found.useful + found.bubble_starved


def test_what_is_set_counts_for_blocks_that_begin_later() -> None:
    model = CycleModel(TINY, constants=ROUND, early_end=False)
    model.submit(0, 0, 4)
    model.set_steps(3)
    assert [event.kind for event in model.advance()] == [Kind.LANE_FED]
    assert model.advance(500) == []
    model.set_run(True)
    (opened,) = model.advance()
    assert (opened.kind, opened.cycle, opened.steps) == (Kind.BLOCK_OPENED, 501, 3)
    assert model.counters().stall_weight == 0  # they were there all the time
    model.set_steps(1)
    model.set_run(False)
    (closed,) = model.advance()
    assert (closed.kind, closed.steps) == (Kind.BLOCK_CLOSED, 3)
    assert model.advance() == []
    model.set_run(True)
    (opened, *_) = model.advance()
    assert (opened.kind, opened.steps) == (Kind.BLOCK_OPENED, 1)


def test_settings_on_their_way_are_late_for_a_block() -> None:
    model = CycleModel(TINY, constants=replace(ROUND, control=50))
    model.submit(0, 0, 4)
    model.set_steps(3)
    model.set_run(True)
    (fed,) = model.advance()
    assert fed.kind is Kind.LANE_FED
    assert model.advance(60) == []
    model.set_steps(2)  # from 110 on; the weights are there in 99
    assert [(event.cycle, event.steps) for event in model.advance()] == [(99, 3)]


def test_one_setting_a_cycle() -> None:
    model = CycleModel(TINY, constants=ROUND)
    model.submit(0, 0, 2)
    assert [event.kind for event in model.advance()] == [Kind.LANE_FED]
    assert model.advance(200) == []
    model.set_steps(2)
    model.set_run(False)
    model.set_run(True)
    assert [(event.cycle, event.steps) for event in model.advance()] == [(203, 2)]


def test_memory_of_a_given_ratio() -> None:
    for ratio in (4, 8, 16, Fraction(5, 2)):
        engine = experiment.ENGINE
        memory = Memory.for_ratio(engine, timing(engine), ratio, latency=100)
        layers = costs(engine, timing(engine), memory)
        assert layers.ratio == ratio
        assert set(layers.load_cycles) == {ratio * engine.step_cycles(0)}
    with pytest.raises(ValueError, match="no whole number"):
        Memory.for_ratio(SMALL, timing(SMALL), Fraction(1, 7))
    with pytest.raises(ValueError, match="cycles a word"):
        Memory.for_ratio(SMALL, timing(SMALL), Fraction(1, 64))
    assert costs(replace(SMALL, layers=2), timing(SMALL), Memory()).ratio == 0


def test_what_is_not_modelled_is_refused() -> None:
    with pytest.raises(ValueError, match="not modelled"):
        CycleModel(replace(SMALL, completion=False))
    with pytest.raises(ValueError, match=r"descriptors2 is not modelled: it fetches its tokens"):
        CycleModel(replace(SMALL, descriptors=2))
    model = CycleModel(SMALL)
    for steps in (0, 17):
        with pytest.raises(ValueError, match="allowed are 1 to 16"):
            model.set_steps(steps)
    with pytest.raises(ValueError, match="at least 1"):
        model.submit(0, 0, 0)
    with pytest.raises(ValueError, match="does not fit 16 bits"):
        model.submit(0, 1 << 16, 1)


# The cycle model against one that goes through every cycle and knows no shortcut.


#: Tag, whether it is the first and the last of its sequence, and how many steps that has.
Token = tuple[int, bool, bool, int]


class EveryCycle:
    """The engine as its timing is agreed upon, one cycle after the other, part by part."""

    def __init__(
        self,
        parameters: Parameters,
        memory: Memory,
        constants: Timing,
        *,
        early_end: bool,
        all_steps: bool,
    ) -> None:
        self.parameters, self.memory, self.constants = parameters, memory, constants
        self.early_end, self.all_steps = early_end, all_steps
        self.now = -1
        self.found = Counters()
        lanes = range(parameters.lanes)
        self.handed = [0 for _ in lanes]
        self.outside = [deque[tuple[int, Token]]() for _ in lanes]  # from when on
        self.inside = [deque[Token]() for _ in lanes]
        self.places = [[0] * parameters.token_depth for _ in lanes]  # free ones: from when on
        self.is_open = [False for _ in lanes]
        self.turn = self.stream_free = 0
        self.coming = deque[tuple[int, int, Token]]()  # when, to which lane
        self.writes: list[tuple[int, str, int]] = []
        self.run, self.steps = 0, 1
        self.told: list[Event] = []
        self.free_buffers = parameters.weight_buffers
        self.loads, self.loaded, self.load_end = 0, 0, -1
        self.out: list[int] = []  # the cycle in which each step of the last layer has left
        self.sequencer = self.sequence()
        self.cycle()

    def queued(self, lane: int) -> int:
        return self.handed[lane]

    def submit(self, lane: int, tag: int, steps: int) -> None:
        self.handed[lane] += steps
        for at in range(steps):
            token = (tag, at == 0, at == steps - 1, steps)
            self.outside[lane].append((self.now + self.constants.submit, token))

    def set_steps(self, steps: int) -> None:
        self.set("steps", steps)

    def set_run(self, run: bool) -> None:
        self.set("run", int(run))

    def set(self, name: str, value: int) -> None:
        cycle = self.now + self.constants.control
        while any(at == cycle for at, *_ in self.writes):
            cycle += 1
        self.writes.append((cycle, name, value))

    def advance(self, until: int | None = None) -> list[Event]:
        for _ in range(10**6):
            if until is not None and self.now >= until:
                return []
            self.cycle()
            if events := [event for event in self.told if event.cycle == self.now]:
                self.told = [event for event in self.told if event.cycle > self.now]
                self.found.seq_done += sum(e.kind is Kind.SEQUENCE_DONE for e in events)
                return events
        raise AssertionError("nothing happens")

    def cycle(self) -> None:
        self.now += 1
        self.found.cycles = self.now
        for at, name, value in self.writes:
            if at == self.now:
                setattr(self, name, value)
        if self.coming and self.coming[0][0] == self.now:
            _, lane, token = self.coming.popleft()
            self.inside[lane].append(token)
            if token[1]:
                self.tell(Kind.LANE_FED, self.now + self.constants.fed, lane, token)
        self.load()
        next(self.sequencer)
        self.load()
        self.stream()

    def tell(self, kind: Kind, cycle: int, lane: int, token: Token) -> None:
        self.told.append(Event(kind, cycle, lane, token[0], token[3]))

    def stream(self) -> None:
        c, p = self.constants, self.parameters
        if self.now < self.stream_free:
            return
        for lane in [(self.turn + at) % p.lanes for at in range(p.lanes)]:
            free = [at for at, since in enumerate(self.places[lane]) if since <= self.now]
            if free and self.outside[lane] and self.outside[lane][0][0] <= self.now:
                self.places[lane].pop(free[0])
                beats = p.input_size // p.width
                token = self.outside[lane].popleft()[1]
                self.coming.append((self.now + beats - 1 + c.token, lane, token))
                self.stream_free = self.now + beats + c.token_gap
                self.turn = lane + 1
                return

    def load(self) -> None:
        p = self.parameters
        if self.load_end == self.now and self.loaded < self.loads:
            self.loaded += 1
            self.found.layer_loads += 1
            self.found.w_words_dram += p.load_words((self.loads - 1) % p.layers)
        is_enough = p.layers <= p.weight_buffers and self.loads == p.layers
        if self.loaded == self.loads and self.free_buffers and not is_enough:
            self.free_buffers -= 1
            cycles = self.memory.load_cycles(p.load_words(self.loads % p.layers))
            self.loads += 1
            self.load_end = self.now + self.constants.load + cycles

    def is_resident(self, number: int) -> bool:
        p = self.parameters
        return self.loaded > (number % p.layers if p.layers <= p.weight_buffers else number)

    def sequence(self) -> Iterator[None]:
        """Each yield is a cycle that goes by."""
        p, c, found = self.parameters, self.constants, self.found
        number = 0
        while True:
            while not (self.run and any(self.inside) and self.is_resident(number)):
                found.stall_weight += bool(self.run and any(self.inside))
                yield
            self.told.append(Event(Kind.BLOCK_OPENED, self.now + c.opened, steps=self.steps))
            rows: list[list[Token | None]] = []
            starved: list[int] = []
            steps = wanted = self.steps
            yield from self.wait(self.now + c.block)
            for layer in range(p.layers):
                while not self.is_resident(number):
                    found.stall_weight += 1
                    yield
                yield from self.wait(self.now + (c.pass_ if layer else 0))
                results = 0
                for at in range(steps):
                    is_dry = layer == 0 and not any(self.inside)
                    if is_dry and self.early_end and at:
                        steps = at
                        break
                    while layer == p.layers - 1 and sum(out > self.now for out in self.out) >= 2:
                        found.stall_done += 1
                        yield
                    if layer == 0:
                        rows.append([lane[0] if lane else None for lane in self.inside])
                        pairs = zip(rows[-1], self.is_open, strict=True)
                        starved.append(sum(is_open and not token for token, is_open in pairs))
                    end, results = self.parts(layer, self.now + c.step, results)
                    if layer == p.layers - 1:
                        self.drain(rows[at], results)
                    yield from self.wait(end)
                    if layer == 0:
                        self.use(rows[at])
                    useful = sum(token is not None for token in rows[at])
                    found.useful += useful
                    found.lane_steps_total += p.lanes
                    found.bubble_starved += starved[at]
                    found.bubble_empty += p.lanes - useful - starved[at]
                    found.w_words_sram += p.weight_words(layer)
                if layer == 0:
                    # That nobody has a token takes a cycle to find out.
                    closed = self.now + c.closed + (steps < wanted)
                    self.told.append(Event(Kind.BLOCK_CLOSED, closed, steps=steps))
                yield from self.wait(results + c.drained)
                number += 1
                if p.layers > p.weight_buffers:
                    self.free_buffers += 1
                    self.load()
            found.blocks += 1

    def wait(self, cycle: int) -> Iterator[None]:
        while self.now < cycle:
            yield

    def parts(self, layer: int, start: int, results: int) -> tuple[int, int]:
        """Where the parts end that begin in ``start``, and when the last results are in."""
        p, cycle = self.parameters, start
        fences = ["reset", "new"] if p.cell is Cell.GRU_RESET_BEFORE else [p.cell.gates[0]]
        for phase in p.cell.phases:
            behind = results
            for unit in range(p.hidden_size):
                for gate in phase:
                    cycle += p.part_cycles(p.inputs(layer))
                    if unit == 0 and gate in fences:
                        cycle = max(cycle, behind)
                    results = cycle + p.hidden_size // p.width + self.constants.result
                    cycle += p.part_cycles(p.hidden_size)
        return cycle, results

    def use(self, row: list[Token | None]) -> None:
        for lane, token in enumerate(row):
            if token:
                assert self.inside[lane].popleft() == token
                self.places[lane].append(self.now + self.constants.room)
                self.handed[lane] -= 1
                self.is_open[lane] = not token[2]
                if token[2]:
                    self.tell(Kind.LANE_ROOM, self.now + self.constants.lane_room, lane, token)

    def drain(self, row: list[Token | None], results: int) -> None:
        c, p = self.constants, self.parameters
        cycle = max([results, *self.out]) + c.drain_step
        for lane, token in enumerate(row):
            cycle += c.drain_lane
            if token and (token[2] or self.all_steps):
                cycle += c.drain_output + p.hidden_size // p.width * c.drain_beat
            if token and token[2]:
                cycle += c.drain_event
                self.tell(Kind.SEQUENCE_DONE, cycle + c.done, lane, token)
        self.out.append(cycle + c.drain_end)


#: At least: what is done in a cycle has no effect in it, and results come behind a part's end.
DELAYS = {"submit": 1, "token": 1, "control": 1, "load": 1, "result": 8}


@pytest.mark.parametrize("seed", range(40))
def test_jumping_is_the_same_as_going(seed: int) -> None:
    """Engines, constants, memories, loads and policies at random: all events and counters."""
    rng = np.random.default_rng(seed)
    draw = {name: int(rng.integers(0, rng.choice([3, 40]))) for name in asdict(ROUND)}
    # Now and then so long that steps wait for the drain, and lanes for tokens.
    draw["drain_step"] *= int(rng.choice([1, 100]))
    draw["token_gap"] *= int(rng.choice([1, 100]))
    constants = Timing(**{name: value + DELAYS.get(name, 0) for name, value in draw.items()})
    parameters = Parameters(
        cell=list(Cell)[rng.integers(3)],
        lanes=int(rng.integers(1, 5)),
        hidden_size=int(rng.choice([4, 8])),
        input_size=int(rng.choice([4, 12])),
        layers=int(rng.integers(1, 4)),
        max_steps=int(rng.choice([1, 3, 9])),
        width=4,
        token_depth=int(rng.choice([2, 3, 6])),
        weight_buffers=int(rng.integers(1, 3)),
    )
    memory = Memory(int(rng.integers(0, 50)), Fraction(int(rng.integers(3, 30)), 3))
    between = float(rng.choice([0, 100, 2000]))
    requests = random_requests(seed, 10, int(rng.choice([1, 4, 12])), between)
    name = list(POLICIES)[seed % len(POLICIES)]
    options = {"early_end": bool(rng.random() < 0.7), "all_steps": bool(rng.random() < 0.5)}

    def events_of(machine: Any) -> list[Event]:
        told: list[Event] = []
        advance = machine.advance

        def listen(until: int | None = None) -> list[Event]:
            events = advance(until)
            told.extend(sorted(events, key=lambda e: (e.kind.value, e.lane, e.tag)))
            return events

        machine.advance = listen
        policy = POLICIES[name](machine, costs(parameters, constants, memory), BOUND)
        serve(machine, policy, requests)
        end = machine.now + 6000  # the last loads are complete, and blocks of bubbles over
        while machine.now < end:
            machine.advance(end)
        return told

    jumping = CycleModel(parameters, memory, constants, **options)
    going = EveryCycle(parameters, memory, constants, **options)
    assert events_of(jumping) == events_of(going)
    assert jumping.counters() == going.found
