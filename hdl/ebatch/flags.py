"""What is known of a lane's part in a step."""

from enum import IntEnum

from amaranth.lib.data import ArrayLayout, StructLayout

from hdl.ebatch.parameters import Parameters


class Status(IntEnum):
    """How a sequence ended. CUT: a token of another one came before its last one.

    It never began, if its descriptor was refused: EMPTY: of length 0. NO_LANE: for a lane that does
    not exist, whatever the length.
    """

    OK = 0
    CUT = 1
    EMPTY = 2
    NO_LANE = 3


#: Bits of a number of steps; longer sequences count modulo 2^16.
STEP_BITS = 16


def lane_flags(parameters: Parameters) -> StructLayout:
    """A lane's part in a step.

    works: it has a token; otherwise the step is a bubble. starved: a bubble inside a sequence.
    Of the token: first, last: of its sequence. cut: the sequence before it had no last token. tag:
    its sequence's.
    """
    return StructLayout(
        {"works": 1, "starved": 1, "first": 1, "last": 1, "cut": 1, "tag": parameters.tag_bits}
    )


#: All that the plain engine knows of a step, of all lanes alike.
COMMON_FLAGS = StructLayout({"first": 1, "last": 1})


def step_flags(parameters: Parameters) -> ArrayLayout:
    """Of each lane; of the plain engine one for all."""
    if parameters.completion:
        return ArrayLayout(lane_flags(parameters), parameters.lanes)
    return ArrayLayout(COMMON_FLAGS, 1)


def token_beat(parameters: Parameters) -> StructLayout:
    """``width`` bytes of a token, the input of one time step of one lane.

    lane, tag: as in every beat of the token; what counts is the last one's. last: of a sequence.
    """
    return StructLayout(
        {
            "data": 8 * parameters.width,
            "lane": max(1, (parameters.lanes - 1).bit_length()),
            "tag": parameters.tag_bits,
            "last": 1,
        }
    )


def output_beat(parameters: Parameters) -> StructLayout:
    """``width`` bytes of the outputs of the last layer for one step of a sequence.

    step: of the sequence, from 0. last: of the sequence's steps. end: of the step's beats.
    """
    return StructLayout(
        {
            "data": 8 * parameters.width,
            "lane": max(1, (parameters.lanes - 1).bit_length()),
            "tag": parameters.tag_bits,
            "step": STEP_BITS,
            "last": 1,
            "end": 1,
        }
    )


def done_event(parameters: Parameters) -> StructLayout:
    """A sequence is done: its tag and lane, how many steps it had, and how it ended."""
    return StructLayout(
        {
            "tag": parameters.tag_bits,
            "lane": max(1, (parameters.lanes - 1).bit_length()),
            "steps": STEP_BITS,
            "status": 1,
        }
    )


def weight_beat(parameters: Parameters) -> StructLayout:
    """``width`` bytes of what a layer needs. last: of the layer."""
    return StructLayout({"data": 8 * parameters.width, "last": 1})
