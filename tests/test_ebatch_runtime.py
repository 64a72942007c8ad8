"""The runtime of E-BATCH, its policies, the cycle model, and the experiment about them."""

import asyncio
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hdl.ebatch.parameters import Cell, Parameters
from sim.ebatch import arrivals, experiment, figures
from sim.ebatch.arrivals import at_once, poisson, read_trace
from sim.ebatch.cycles import Counters, CycleModel, Memory, Timing, costs, timing
from sim.ebatch.policies import POLICIES, Backlog, LatencyBound, Static
from sim.ebatch.runtime import (
    Costs,
    Decision,
    Event,
    Kind,
    Record,
    Request,
    ServingError,
    serve,
    serve_circuit,
)

SMALL = Parameters(
    lanes=4, hidden_size=8, input_size=8, layers=3, max_steps=16, width=4, token_depth=8
)
#: Round numbers, none of them those of the circuit, all different where it matters.
ROUND = Timing(
    block=8,
    pass_=5,
    drained=0,
    step=2,
    result=20,
    load=10,
    drain_step=2,
    drain_lane=1,
    drain_output=1,
    drain_beat=1,
    drain_event=1,
    drain_end=0,
    submit=1,
    token=1,
    token_gap=0,
    room=1,
    control=1,
    fed=0,
    lane_room=0,
    opened=0,
    closed=0,
    done=0,
)
BOUND = 100_000


def random_requests(seed: int, count: int, longest: int, between: float = 0.0) -> list[Request]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, count)
    return poisson(rng, lengths, between, 16) if between else at_once(lengths, 16)


class Watched(CycleModel):
    """Writes down what it is told."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.written: list[int] = []
        self.events: list[Event] = []

    def set_steps(self, steps: int) -> None:
        self.written.append(steps)
        super().set_steps(steps)

    def advance(self, until: int | None = None) -> list[Event]:
        found = super().advance(until)
        self.events += found
        return found


def run(
    policy: str, requests: Sequence[Request], parameters: Parameters = SMALL, ratio: int = 4
) -> tuple[Watched, list[Record]]:
    constants = timing(parameters)
    memory = Memory.for_ratio(parameters, constants, ratio)
    model = Watched(parameters, memory, records=True)
    made = POLICIES[policy](model, costs(parameters, constants, memory), BOUND)
    return model, serve(model, made, requests)


# What a run must be like under every policy.

LOADS = {"at once": 0.0, "much": 6_000.0, "little": 60_000.0}


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("policy", POLICIES)
def test_every_sequence_is_done_once_in_its_lanes_order(policy: str, load: str) -> None:
    requests = random_requests(1, 60, 40, LOADS[load])
    model, records = run(policy, requests)
    assert sorted(record.request.tag for record in records) == list(range(60))
    done = [event for event in model.events if event.kind is Kind.SEQUENCE_DONE]
    assert sorted(event.tag for event in done) == list(range(60))
    for lane in range(SMALL.lanes):
        handed = [record.request.tag for record in records if record.lane == lane]
        assert [event.tag for event in done if event.lane == lane] == handed
    assert all(
        record.request.arrival <= record.submitted < record.done
        for record in records
        if record.done
    )
    assert all(event.steps == requests[event.tag].steps for event in done)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("policy", POLICIES)
def test_counters_add_up(policy: str, load: str) -> None:
    requests = random_requests(2, 60, 40, LOADS[load])
    model, _ = run(policy, requests)
    # So that the last loads are complete: nothing else happens.
    assert model.advance(model.now + 10**6) == []
    found = model.counters()
    steps = [event.steps for event in model.events if event.kind is Kind.BLOCK_CLOSED]
    assert found.blocks == len(steps) == len(model.blocks)
    assert found.useful == SMALL.layers * sum(request.steps for request in requests)
    assert found.lane_steps_total == sum(steps) * SMALL.lanes * SMALL.layers
    assert found.useful + found.bubble_empty + found.bubble_starved == found.lane_steps_total
    assert found.seq_done == len(requests)
    # Each pass needs a load, and the buffers are full at the end.
    assert found.layer_loads == SMALL.layers * found.blocks + SMALL.weight_buffers
    assert found.w_words_dram == found.layer_loads * SMALL.load_words(0)
    read = sum(SMALL.weight_words(layer) for layer in range(SMALL.layers))
    assert found.w_words_sram == sum(steps) * read
    assert model.taken_steps * SMALL.layers == found.useful
    assert model.taken_steps <= model.occupied_steps <= sum(steps) * SMALL.lanes


@pytest.mark.parametrize("policy", POLICIES)
def test_steps_are_in_range(policy: str) -> None:
    """Even if a sequence is longer than a block may be."""
    model, _ = run(policy, random_requests(3, 40, 50))
    assert all(1 <= steps <= SMALL.max_steps for steps in model.written)
    opened = [event.steps for event in model.events if event.kind is Kind.BLOCK_OPENED]
    closed = [event.steps for event in model.events if event.kind is Kind.BLOCK_CLOSED]
    assert all(
        1 <= steps <= wanted <= SMALL.max_steps
        for wanted, steps in zip(opened, closed, strict=True)
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_nobody_is_kept_waiting(policy: str) -> None:
    """A sequence of odd length, while others of the same length never stop coming."""
    many = [Request(tag, 4, 1) for tag in range(1, 200)]
    _, records = run(policy, [Request(0, 33, 0), *many[:3], Request(200, 33, 1), *many[3:]])
    order = [record.request.tag for record in records]
    # Everybody is handed over in order of arrival; in buckets the oldest is, others come with it.
    assert order.index(200) < 3 * SMALL.lanes
    if policy != "static bucketed":
        assert order == sorted(order, key=lambda tag: 3.5 if tag == 200 else tag)


@pytest.mark.parametrize("policy", [name for name in POLICIES if name.startswith("E-BATCH")])
def test_ebatch_leaves_no_lane_without_work(policy: str) -> None:
    """While requests wait, in layers that have a step after the block they are refilled in."""
    model, records = run(policy, random_requests(4, 200, 40))
    last = max(record.submitted for record in records)
    full = [block for block in model.blocks[1:] if block.end < last]
    assert len(full) > 20
    assert all(None not in step for block in full for step in block.steps)
    assert model.counters().bubble_starved == 0


def test_static_lanes_begin_together_and_are_not_refilled() -> None:
    model, records = run("static padded", random_requests(5, 42, 30))
    batches = [records[at : at + 4] for at in range(0, 42, 4)]
    for before, after in pairwise(batches):
        assert max(record.done or 0 for record in before) <= after[0].submitted
    first = {number for number in model.blocks[0].steps[0] if number is not None}
    assert first == {0, 1, 2, 3}
    # As many steps as the longest has, in as few blocks as may be.
    steps = [len(block.steps) for block in model.blocks]
    longest = [max(record.request.steps for record in batch) for batch in batches]
    assert sum(steps) == sum(longest)
    assert len(steps) == sum(-(-most // SMALL.max_steps) for most in longest)


def test_buckets_hold_the_oldest_and_pad_less() -> None:
    requests = random_requests(6, 100, 16)
    padded, _ = run("static padded", requests)
    model, records = run("static bucketed", requests)
    waiting = [request.tag for request in requests]
    for at in range(0, 100, 4):
        batch = [record.request for record in records[at : at + 4]]
        assert waiting[0] in [request.tag for request in batch]
        waiting = [tag for tag in waiting if tag not in [request.tag for request in batch]]
        if len(waiting) > 30:
            assert max(r.steps for r in batch) - min(r.steps for r in batch) <= 6
    assert model.counters().useful == padded.counters().useful
    assert model.counters().lane_steps_total < 0.8 * padded.counters().lane_steps_total


def test_buckets_pad_least_of_all_choices() -> None:
    """Of 4, with the oldest, which has 10 steps."""
    model = CycleModel(SMALL)
    policy = Static(model, bucketed=True)
    for tag, steps in enumerate((10, 1, 9, 12, 2, 12, 9, 12, 40)):
        policy.on_arrival(Request(tag, steps))
    chosen = [request.steps for _, request in policy.decide().submissions]
    # Useful: 2+9+9+10 of 40, 9+9+10+12, 9+10+12+12 or 10+12+12+12 of 48.
    assert sorted(chosen) == [10, 12, 12, 12]


@pytest.mark.parametrize("steps", [1, 5])
def test_cellular_joins_between_blocks(steps: int) -> None:
    model, _ = run(f"cellular K={steps}", random_requests(7, 60, 20))
    assert max(len(block.steps) for block in model.blocks) == steps
    for block in model.blocks:
        for lane in range(SMALL.lanes):
            present = {step[lane] for step in block.steps} - {None}
            assert len(present) <= 1  # never the end of one and the beginning of another


def test_ebatch_concatenates_within_a_block() -> None:
    model, _ = run("E-BATCH K=16", random_requests(8, 60, 10))
    joined = [
        len({step[lane] for step in block.steps} - {None})
        for block in model.blocks
        for lane in range(SMALL.lanes)
    ]
    assert max(joined) >= 3


class Bench:
    """Lanes with so many steps queued, for policies alone."""

    def __init__(self, queued: Sequence[int], now: int = 0) -> None:
        self.parameters = replace(SMALL, lanes=len(queued), max_steps=64)
        self.steps = list(queued)
        self.now = now

    def queued(self, lane: int) -> int:
        return self.steps[lane]


@pytest.mark.parametrize(
    ("queued", "waiting", "expected"),
    [([0, 0], [], 8), ([10, 21], [], 15), ([60, 60], [30, 70], 64), ([0, 0], [16, 24], 20)],
)
def test_backlog_rule(queued: list[int], waiting: list[int], expected: int) -> None:
    """All that is to be done, over the lanes, between 8 and 64."""
    policy = Backlog(Bench(queued), 8, 64)
    for tag, steps in enumerate(waiting):
        policy.on_arrival(Request(tag, steps))
    assert policy.decide().steps == expected


@pytest.mark.parametrize(
    ("bound", "expected"),
    # 40 steps are one block of 64 (6,400 cycles), two of 32, three of 16 (4,800), 5 of 8.
    # A block of 4 takes as long as one of 8.
    [(6500, 64), (6499, 16), (4900, 16), (4899, 8), (1, 8)],
)
def test_latency_bound_rule(bound: int, expected: int) -> None:
    layers = Costs((50, 50), (400, 400))
    policy = LatencyBound(Bench([0, 0], now=100), layers, 8, 64, bound)
    policy.on_arrival(Request(0, 40, 0))
    assert policy.decide().steps == expected


@pytest.mark.parametrize(("bound", "expected"), [(12800, 64), (9600, 32), (9599, 8)])
def test_latency_bound_counts_what_is_before(bound: int, expected: int) -> None:
    """Behind the 60 steps of one lane and the 60 that wait, over two lanes, 30: 90 steps."""
    layers = Costs((50, 50), (400, 400))
    policy = LatencyBound(Bench([60, 0]), layers, 8, 64, bound)
    for tag in range(3):
        policy.on_arrival(Request(tag, 30))
    assert policy.decide().steps == expected


@pytest.mark.parametrize(("now", "left", "expected"), [(0, 60, 64), (1, 60, 8), (1, 30, 32)])
def test_latency_bound_counts_age_and_steps_left_in_lanes(
    now: int, left: int, expected: int
) -> None:
    bench = Bench([0, 0])
    policy = LatencyBound(bench, Costs((50, 50), (400, 400)), 8, 64, 6400)
    policy.on_arrival(Request(0, 60))
    ((lane, _),) = policy.decide().submissions
    bench.steps[lane], bench.now = left, now
    assert policy.decide().steps == expected


# The session trusts nobody.


class Script:
    """A policy that does what it was told."""

    def __init__(self, *decisions: Decision) -> None:
        self.decisions = deque(decisions)

    def on_arrival(self, request: Request) -> None: ...

    def on_events(self, events: Sequence[Event]) -> None: ...

    def decide(self) -> Decision:
        return self.decisions.popleft() if self.decisions else Decision((), 1)


ONE = Request(1, 3)


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (Decision((), 0), "0 steps; allowed are 1 to 16"),
        (Decision((), 17), "17 steps; allowed are 1 to 16"),
        (Decision(((4, ONE),), 1), "lane 4; there are 4"),
        (Decision(((0, Request(1, 3)),), 1), "sequence 1 is not one that waits"),
        (Decision(((0, ONE), (1, ONE)), 1), "sequence 1 is not one that waits"),
        (Decision((), 1), "1 sequences are not done and nothing goes on"),
        (Decision(((0, ONE),), 1, run=False), "1 sequences are not done and nothing goes on"),
    ],
)
def test_wrong_decisions_are_refused(decision: Decision, message: str) -> None:
    follow = [replace(decision, submissions=())] * 20
    with pytest.raises(ServingError, match=message):
        serve(CycleModel(SMALL), Script(decision, *follow), [ONE])


class Liar(CycleModel):
    """Says something else of the first sequence that is done."""

    def __init__(self, **change: Any) -> None:
        super().__init__(SMALL)
        self.change = change

    def advance(self, until: int | None = None) -> list[Event]:
        return [
            replace(event, **self.change) if event.kind is Kind.SEQUENCE_DONE else event
            for event in super().advance(until)
        ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tag": 2}, "lane 0: done with tag 2, 3 steps; next in the lane is tag 1, 3 steps"),
        ({"steps": 2}, "lane 0: done with tag 1, 2 steps; next in the lane is tag 1, 3 steps"),
        ({"lane": 1}, "lane 1: done with tag 1, 3 steps; the lane has nothing"),
    ],
)
def test_wrong_events_are_noticed(change: dict[str, int], message: str) -> None:
    with pytest.raises(ServingError, match=message):
        serve(Liar(**change), Script(Decision(((0, ONE),), 1)), [ONE])


def test_tags_must_fit_and_be_free() -> None:
    wide, twin = Request(1 << 16, 3), Request(1, 4)
    with pytest.raises(ServingError, match="tag 65536 does not fit"):
        serve(CycleModel(SMALL), Script(Decision(((0, wide),), 1)), [wide])
    with pytest.raises(ServingError, match="tag 1 is in the engine already"):
        serve(CycleModel(SMALL), Script(Decision(((0, ONE), (1, twin)), 1)), [ONE, twin])


def test_requests_come_in_order_and_have_steps() -> None:
    with pytest.raises(ValueError, match="sequence 2 arrives before"):
        serve(CycleModel(SMALL), Script(), [Request(1, 1, 5), Request(2, 1, 4)])
    with pytest.raises(ValueError, match="sequence 3 has 0 steps"):
        Request(3, 0)


def test_latency_is_from_arrival_to_the_last_output() -> None:
    record = Record(Request(0, 3, 5), lane=0, submitted=9)
    with pytest.raises(ValueError, match="sequence 0 is not done"):
        record.latency  # noqa: B018
    record.done = 20
    assert record.latency == 15


def test_a_circuit_is_served_as_a_model_is() -> None:
    class Awaited:
        """The model behind an ``await``."""

        def __init__(self) -> None:
            self.model = CycleModel(SMALL)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.model, name)

        async def advance(self, until: int | None = None) -> list[Event]:
            await asyncio.sleep(0)
            return self.model.advance(until)

    requests = random_requests(9, 40, 20, 5000)
    for policy in POLICIES.values():
        layers = costs(SMALL, timing(SMALL), Memory())
        called, awaited = CycleModel(SMALL), Awaited()
        expected = serve(called, policy(called, layers, BOUND), requests)
        found = asyncio.run(serve_circuit(awaited, policy(awaited, layers, BOUND), requests))
        assert found == expected


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


# Arrivals.


def test_synthetic_lengths_say_so_and_are_as_described() -> None:
    rng = np.random.default_rng(0)
    for name, mean, most in (("short", 25.6, 100), ("long", 179, 512)):
        source = arrivals.SOURCES[name]
        lengths = source.draw(rng, 50_000)
        assert source.label.startswith("synthetic")
        assert f"mean {mean}, at most {most}" in source.label
        assert abs(lengths.mean() / mean - 1) < 0.01
        assert lengths.min() >= 1 and lengths.max() == most
    assert arrivals.SOURCES["lines"].label.startswith("real")


def test_own_lengths_are_drawn_alike() -> None:
    source = arrivals.of_lengths("three", "real: of a test", [2, 3, 9])
    drawn = source.draw(np.random.default_rng(0), 3000)
    assert set(np.unique(drawn)) == {2, 3, 9}
    assert all(abs(np.sum(drawn == each) - 1000) < 150 for each in (2, 3, 9))


def test_poisson_arrivals() -> None:
    lengths = np.full(20_000, 7)
    found = poisson(np.random.default_rng(0), lengths, 50.0, 14)
    gaps = np.diff([request.arrival for request in found])
    assert abs(gaps.mean() / 50 - 1) < 0.03
    assert abs(gaps.std() / 50 - 1) < 0.05
    assert [request.tag for request in found[16382:16386]] == [16382, 16383, 0, 1]


@pytest.mark.parametrize(
    "text", ["cycle,length\n0,5\n\n 12 , 1 \n12,65535", "0,5\r\n12,1\r\n12,65535"]
)
def test_a_trace_is_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "trace.csv"
    file.write_bytes(text.encode())
    assert read_trace(file, 16) == [Request(0, 5, 0), Request(1, 1, 12), Request(2, 65535, 12)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "trace.csv: no sequences; a line is 'cycle,length'"),
        ("cycle,length\n", "trace.csv: no sequences"),
        ("length,cycle\n1,2", "trace.csv, line 1: cycle is 'length'; allowed are whole numbers"),
        ("0,5\n1;5", "trace.csv, line 2: 1 fields; a line is 'cycle,length'"),
        ("0,5\n\n1,5,7", "trace.csv, line 3: 3 fields"),
        ("0,5\n-1,5", "line 2: cycle is '-1'; allowed are whole numbers from 0 to"),
        ("0,5\n1.5,5", "line 2: cycle is '1.5'"),
        ("0,0", "line 1: length is '0'; allowed are whole numbers from 1 to 65535"),
        ("0,65536", "line 1: length is '65536'"),
        ("0,\u0665", "line 1: length is"),
        ("0,", "line 1: length is ''"),
        ("9,1\n8,1", "line 2: cycle 8 comes behind 9; cycles may not go back"),
        ("0,5\ncycle,length", "line 2: cycle is 'cycle'"),
        ("0,'5", "line 1: length is"),
        ("9" * 30 + ",5", "line 1: cycle is"),
    ],
)
def test_what_is_wrong_with_a_trace_is_said(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as error:
        read_trace(file, 16)
    assert message in str(error.value)


# The experiment.


@pytest.fixture(scope="module")
def saturated() -> dict[str, experiment.Row]:
    plan = experiment.Plan(requests=1200, seeds=1)
    return {policy: experiment.measure(plan, policy, 8, None) for policy in POLICIES}


def test_ebatch_uses_the_lanes_and_few_loads(saturated: dict[str, experiment.Row]) -> None:
    """32 lanes, 4 layers, r = 8, short synthetic lengths, as the reference table has them."""
    for policy, row in saturated.items():
        if policy.startswith("E-BATCH"):
            assert row.utilisation >= 0.98
            assert row.throughput >= 0.98
    for steps in (8, 16, 64):
        ideal = 1000 / (steps * 32)
        assert saturated[f"E-BATCH K={steps}"].loads == pytest.approx(ideal, rel=0.03)
    assert saturated["E-BATCH backlog"].loads < 0.6


def test_the_others_are_where_the_reference_has_them(saturated: dict[str, experiment.Row]) -> None:
    for policy, throughput, loads in (
        ("static padded", 0.360, 1.24),
        ("cellular K=1", 0.124, 31.5),
        ("cellular K=5", 0.575, 6.79),
    ):
        assert saturated[policy].throughput == pytest.approx(throughput, rel=0.04)
        assert saturated[policy].loads == pytest.approx(loads, rel=0.04)
    # Bucketing is nearly as good, the more the deeper the queue.
    assert saturated["static bucketed"].throughput > 0.85
    assert all(row.p50 is None for row in saturated.values())


def test_below_r_steps_weights_are_what_is_waited_for() -> None:
    plan = experiment.Plan(requests=600, seeds=1)
    assert experiment.measure(plan, "E-BATCH K=8", 16, None).throughput == pytest.approx(0.5, 0.02)
    assert experiment.measure(plan, "cellular K=5", 4, None).throughput > 0.88


def test_latency_at_a_load() -> None:
    plan = experiment.Plan(requests=800, seeds=1, loads=(0.1, 0.6, 0.9), load_ratio=8)
    rows = experiment.curve(plan, "E-BATCH K=8", "8")
    assert [row.load for row in rows] == [None, 0.1, 0.6, 0.9]
    for row in rows[1:]:
        assert row.p50 is not None and 1.0 < row.p50 < 1.4
        assert row.p99 is not None and 2.8 < row.p99 < 4.2
        assert row.throughput == pytest.approx(row.load, rel=0.15)
    beyond = experiment.curve(plan, "static padded", "8")
    assert [row.load for row in beyond] == [None, 0.1]
    assert len(experiment.curve(plan, "cellular K=1", "16")) == 1


def test_a_row_by_hand() -> None:
    """One sequence of 32 steps in one of the lanes of an engine that never waits for weights."""
    engine = replace(SMALL, layers=2, max_steps=32)
    plan = experiment.Plan(engine=engine, trace=(Request(0, 32),))
    row = experiment.measure(plan, "E-BATCH K=16", 8, None)
    assert row.utilisation == 0.25
    assert row.padding == 0
    assert row.loads == 1000 * 2 / (2 * 32)
    assert row.dram_words == 2 * engine.load_words(0)
    assert row.sram_words == 32 * 2 * engine.weight_words(0)
    assert 0.2 < row.throughput < 0.25
    assert row.p50 == row.p99
    assert row.p50 is not None and 1.0 < row.p50 < 1.6


def test_gains_are_over_each_baseline_at_the_same_r() -> None:
    plan = experiment.Plan(requests=200, seeds=1)
    names = ("E-BATCH backlog", "cellular K=5")
    rows = [experiment.measure(plan, name, ratio, None) for ratio in (4, 16) for name in names]
    found = experiment.gains(rows)
    assert [(gain.baseline, gain.ratio) for gain in found] == [
        ("cellular K=5", 4),
        ("cellular K=5", 16),
    ]
    four, sixteen = (gain.throughput for gain in found)
    assert four < 1.3 and sixteen > 2.5
    assert found[0].loads == pytest.approx(rows[1].loads / rows[0].loads)


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(experiment, "configuration_folder", lambda *_: tmp_path)
    monkeypatch.setattr(experiment, "RATIOS", (8,))
    arguments = ["experiment", "--requests", "100", "--seeds", "1", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert experiment.main() == 0
    out = capsys.readouterr().out
    assert "lengths synthetic: lognormal" in out
    assert "published, other hardware" in out
    assert [out.index(policy) for policy in POLICIES] == sorted(out.index(p) for p in POLICIES)
    result = json.loads((tmp_path / "short.json").read_text())
    assert {row["policy"] for row in result["rows"]} == set(POLICIES)
    assert [each["throughput"] for each in result["published"]] == [1.8, 2.1]
    for name in ("short.svg", "lanes.svg"):
        assert (tmp_path / name).read_text().startswith("<svg xmlns=")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--trace", "nowhere.csv"), 2, "assay: cannot read nowhere.csv: No such file"),
        (("--trace", "bad.csv"), 2, "assay: bad.csv, line 1: length is '0'; allowed are whole"),
        (("--requests", "0"), None, "assay: REQUESTS is '0'; allowed are 1 and more"),
    ],
)
def test_what_is_wrong_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    options: tuple[str, ...],
    code: int | None,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("0,0")
    monkeypatch.setattr(sys, "argv", ["experiment", *options])
    if code is None:
        with pytest.raises(SystemExit, match=message):
            experiment.main()
    else:
        assert experiment.main() == code
        assert message in capsys.readouterr().err


# Figures.


def test_spans_of_a_timeline() -> None:
    steps = [(0, None), (0, 1), (0, 1), (2, 1)]
    assert figures.spans(2, [(10.0, 18.0, steps), (20.0, 21.0, [(2, None)])]) == (
        figures.Span(0, 10.0, 16.0, 0),
        figures.Span(0, 16.0, 18.0, 2),
        figures.Span(1, 10.0, 12.0, None),
        figures.Span(1, 12.0, 18.0, 1),
        figures.Span(0, 20.0, 21.0, 2),
        figures.Span(1, 20.0, 21.0, None),
    )


def test_a_timeline_shows_every_step_once() -> None:
    for policy in experiment.TIMELINES:
        blocks, records = experiment.timeline(policy)
        seen = [number for block in blocks for step in block.steps for number in step]
        for number, record in enumerate(records):
            assert seen.count(number) == record.request.steps
        assert all(block.start < block.end for block in blocks)
        assert all(before.end <= after.start for before, after in pairwise(blocks))


def test_figures_are_the_same_twice_and_say_what_they_show() -> None:
    curves = [
        figures.Curve("E-BATCH K=8", ((0.1, 1.0, 3.0), (0.9, 1.2, 3.5))),
        figures.Curve("static padded", ((0.1, 2.7, 5.8),)),
    ]
    drawn = figures.latency("load", curves)
    assert drawn == figures.latency("load", curves)
    for text in ("E-BATCH K=8", "static padded", "offered load", "99th percentile"):
        assert text in drawn
    assert 'id="load-' in drawn and "currentColor" in drawn
    lanes = experiment.lane_figure()
    assert lanes == experiment.lane_figure()
    for policy in experiment.TIMELINES:
        assert policy in lanes
    assert len(lanes) < 300_000


def test_energy_of_a_sequence_by_hand() -> None:
    """100 words of 32 bits, each for 4 products in 2 lanes, of which 10 came from outside."""
    energy = experiment.Energy(sram_bit=1.0, dram_bit=10.0, mac=0.5, source="")
    engine = Parameters(lanes=2, width=4)
    by_hand = 100 * (32 * 1.0 + 8 * 0.5) + 10 * 32 * (10.0 + 1.0)
    assert energy.of_sequence(engine, read=100, loaded=10) == by_hand / 1000
