"""Policies: what all of them must keep to, and what each decides."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from ebatch_runs import SMALL, random_requests, run

from sim.ebatch.cycles import CycleModel
from sim.ebatch.policies import POLICIES, Backlog, LatencyBound, Static
from sim.ebatch.runtime import (
    Costs,
    Kind,
    Request,
)

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
