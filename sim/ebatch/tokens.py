"""Sequences, and the tokens they are sent in."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdl.ebatch.flags import token_beat
from hdl.ebatch.parameters import Parameters
from sim.packing import pack_fields


@dataclass(frozen=True, eq=False)
class Submission:
    """A sequence for a lane: int8 inputs [steps, values]. is_cut: its last token does not say so,
    and a sequence with another tag must follow in the lane."""

    lane: int
    tag: int
    inputs: NDArray[np.int8]
    is_cut: bool = False

    def __len__(self) -> int:
        return len(self.inputs)


def token_beats(submission: Submission, parameters: Parameters) -> list[list[int]]:
    """The beats of each token of a sequence."""
    layout = token_beat(parameters)
    width = parameters.width
    tokens = []
    for step, values in enumerate(submission.inputs):
        data = values.astype(np.int8).tobytes()
        last = step == len(submission) - 1 and not submission.is_cut
        fields = {"lane": submission.lane, "tag": submission.tag, "last": int(last)}
        tokens.append(
            [
                pack_fields(layout, data=int.from_bytes(data[at : at + width], "little"), **fields)
                for at in range(0, len(data), width)
            ]
        )
    return tokens


@dataclass(frozen=True)
class Token:
    """One that is on its way. steps: of its sequence, whose first one it may be."""

    lane: int
    tag: int
    steps: int
    is_first: bool
    beats: list[int]


class Turns:
    """Tokens that wait outside the engine: lanes that have one and room for it take turns."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._waiting: list[deque[Token]] = [deque() for _ in range(parameters.lanes)]
        self._held = [0] * parameters.lanes
        self._last = parameters.lanes - 1

    def submit(self, submission: Submission) -> None:
        """All tokens of a sequence, behind those its lane has."""
        steps = len(submission)
        for at, beats in enumerate(token_beats(submission, self._parameters)):
            token = Token(submission.lane, submission.tag, steps, at == 0, beats)
            self._waiting[submission.lane].append(token)

    def used(self, lane: int) -> None:
        """The lane has room for one more."""
        self._held[lane] -= 1

    def next(self) -> Token | None:
        """The token whose turn it is, which from now on takes up room; None if there is none."""
        lanes = self._parameters.lanes
        for step in range(1, lanes + 1):
            lane = (self._last + step) % lanes
            if self._waiting[lane] and self._held[lane] < self._parameters.token_depth:
                self._held[lane] += 1
                self._last = lane
                return self._waiting[lane].popleft()
        return None


def in_turn(submissions: Sequence[Submission], parameters: Parameters) -> Iterator[int]:
    """All beats: of every lane in order, a token of each lane that has one left in turn."""
    lanes: dict[int, list[list[int]]] = {}
    for submission in submissions:
        lanes.setdefault(submission.lane, []).extend(token_beats(submission, parameters))
    for turn in range(max(map(len, lanes.values()), default=0)):
        for tokens in lanes.values():
            if turn < len(tokens):
                yield from tokens[turn]
