"""Runs of the cycle model that several tests look at."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hdl.ebatch.parameters import Parameters
from sim.ebatch.arrivals import at_once, poisson
from sim.ebatch.cycles import CycleModel
from sim.ebatch.policies import POLICIES
from sim.ebatch.runtime import (
    Event,
    Record,
    Request,
    serve,
)
from sim.ebatch.timing import Memory, Timing, costs, timing

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
