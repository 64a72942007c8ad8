"""The runtime: it trusts neither policy nor engine, and serves models and circuits alike."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ebatch_runs import BOUND, SMALL, random_requests

from sim.ebatch.cycles import CycleModel
from sim.ebatch.policies import POLICIES
from sim.ebatch.runtime import (
    Decision,
    Event,
    Kind,
    Record,
    Request,
    ServingError,
    serve,
    serve_circuit,
)
from sim.ebatch.timing import Memory, costs, timing

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
