"""Sequences, and the tokens they are sent in."""

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


def in_turn(submissions: Sequence[Submission], parameters: Parameters) -> Iterator[int]:
    """All beats: of every lane in order, a token of each lane that has one left in turn."""
    lanes: dict[int, list[list[int]]] = {}
    for submission in submissions:
        lanes.setdefault(submission.lane, []).extend(token_beats(submission, parameters))
    for turn in range(max(map(len, lanes.values()), default=0)):
        for tokens in lanes.values():
            if turn < len(tokens):
                yield from tokens[turn]
