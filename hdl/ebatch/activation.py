"""Sigmoid and tanh of int16 numbers, by linear interpolation in one table.

They are those of the int16 kernels of TensorFlow Lite and CMSIS-NN, bit for bit. tanh comes from
the table of the sigmoid: tanh(x) = 2 sigmoid(2x) - 1.
"""

from collections.abc import Sequence
from enum import IntEnum
from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Value

from hdl.ebatch.requantise import shift_right_signed
from hdl.ebatch.sigmoid_table import SIGMOID
from hdl.pipeline import Bundle, Stage, without
from hdl.wire import wire

VALUE = 16
#: Largest shift to the left, and to the right.
LEFT, RIGHT = 3, 15
#: Of the distance of a shift to the right, of what has been shifted to the left by ``LEFT``.
DISTANCE = (LEFT + RIGHT).bit_length()
#: Of a place in the table, and behind it.
INDEX = 8
FRACTION = 9
#: Of entries of the table.
ENTRY = 16

#: The last entry is where both functions end: in its place is what a sigmoid has there, an even
#: number; a tanh has the odd one above.
STARTS = (*SIGMOID[:-1], SIGMOID[-1] - 1)
STEPS = (*(high - low for low, high in pairwise(SIGMOID)), 0)
STEP = max(STEPS).bit_length()
ENTRIES = [
    Const(start | step << ENTRY, ENTRY + STEP) for start, step in zip(STARTS, STEPS, strict=True)
]


class Function(IntEnum):
    """What a gate unit does to its sum; NONE: nothing."""

    SIGMOID = 0
    TANH = 1
    NONE = 2


#: Of a function's number.
FUNCTION = 2


def _find(m: Module, inputs: Bundle) -> Bundle:
    """The place of the magnitude in the table, 24 entries for a sigmoid's 1.0, 48 for a tanh's."""
    x = inputs["value"].as_signed()
    # With a place for halves.
    scaled = wire(m, Cat(Const(0, 1 + LEFT), x + (x << 1)), "scaled")
    # -RIGHT <= shift <= LEFT, so this is not negative.
    distance = wire(m, (LEFT - inputs["shift"].as_signed())[:DISTANCE], "distance")
    halves, _ = shift_right_signed(m, scaled, distance, "scaled")
    half, shifted = halves[0], halves[1:]
    # Halves go up; -(shifted + half) is ~shifted + 1 - half. Zero may count as negative: both
    # functions are the same there from either side.
    sign = shifted[-1]
    inverted = wire(m, shifted ^ sign.replicate(len(shifted)), "inverted")
    magnitude = wire(m, (inverted + (sign ^ half))[: len(shifted)], "magnitude")
    is_tanh = inputs["is_tanh"]
    place = wire(m, Mux(is_tanh, magnitude << 1, magnitude), "place")
    return {
        **without(inputs, "value", "shift"),
        "index": place[FRACTION:][:INDEX],
        "is_beyond": place[FRACTION + INDEX :].any(),
        "fraction": place[:FRACTION],
        "is_negative": sign,
    }


def _look_up(m: Module, inputs: Bundle) -> Bundle:
    """The entry, with half a unit of the result's last place, and the step to the next one."""
    is_tanh, is_beyond = inputs["is_tanh"], inputs["is_beyond"]
    index = wire(m, inputs["index"] | is_beyond.replicate(INDEX), "limited_index")
    entry = wire(m, _select(ENTRIES, index), "entry")
    start, step = entry[:ENTRY], entry[ENTRY:]
    chosen = wire(m, start | (is_tanh & index.all()), "chosen")
    # The last entry is below 2**16 - 1, and so are all that a sigmoid uses.
    raised = (chosen + ~is_tanh)[:ENTRY]
    return {**without(inputs, "index", "is_beyond"), "start": Cat(is_tanh, raised), "step": step}


def _select(words: Sequence[Const], index: Value) -> Value:
    """``words[index]``, of 2**len(index) words of one width: multiplexers, of which synthesis keeps
    those that make a difference. An array would become a memory.
    """
    if len(words) == 1:
        return words[0]
    half = len(words) // 2
    return Mux(index[-1], _select(words[half:], index[:-1]), _select(words[:half], index[:-1]))


def _interpolate(m: Module, inputs: Bundle) -> Bundle:
    """Between two entries, rounded; of a sigmoid 15 bits are left, of a tanh 16, and -1."""
    is_tanh, is_negative = inputs["is_tanh"], inputs["is_negative"]
    start = Cat(Const(0, FRACTION - 1), inputs["start"])
    # No further than the next entry, which is below 2**16, and half a unit.
    found = wire(m, (inputs["fraction"] * inputs["step"] + start)[: FRACTION + ENTRY], "found")
    upper = found[FRACTION:]
    rounded = wire(m, Mux(is_tanh, upper, upper[1:]), "rounded")
    # 2**15 - rounded of a negative number; rounded of a sigmoid, rounded - 2**15 of a tanh.
    inverted = rounded ^ is_negative.replicate(ENTRY)
    signed = wire(m, (inverted + is_negative)[:ENTRY], "with_sign")
    is_moved = is_negative | is_tanh
    result = Cat(signed[:-1], signed[-1] ^ is_moved)
    return {
        **without(inputs, "is_negative", "is_tanh", "fraction", "start", "step"),
        "value": result,
    }


#: From ``value`` (signed, 16 bits), ``is_tanh`` (1) and ``shift`` (signed, 6 bits, -15 … 3) to
#: ``value``: the function of value / 2**(12 - shift) in units of 2**-15, 16 bits in two's
#: complement; what else is in a bundle passes through. Each is shorter than a multiplication of 32
#: by 16 bits.
ACTIVATION_STAGES: list[Stage] = [_find, _look_up, _interpolate]
