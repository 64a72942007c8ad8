"""From an exact magnitude to a significand that can be rounded."""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Value

from hdl.leading_zeros import count_leading_zeros
from hdl.shift import shift_right
from hdl.wire import wire


@dataclass(frozen=True)
class Normalised:
    """What ``round_magnitude`` takes; exponent is biased, 1 or more."""

    exponent: Value
    significand: Value
    sticky: Value


def normalise_magnitude(
    m: Module, magnitude: Value, exponent: Value, least: Value, kept: int
) -> Normalised:
    """Shift a magnitude with its top bit at ``2**exponent`` so that its leading one is on top.

    kept: bits of the significand; any others are in ``sticky``. least: exponent of the smallest
    normal number. No result has a lower one: what does not reach the top at that exponent makes
    a subnormal, and if even the top bit is lower, the significand is shifted right instead.
    """
    room = wire(m, exponent - least, "room")
    is_below, room = room[-1], room[:-1]
    zeros = wire(m, count_leading_zeros(m, magnitude), "zeros")
    nearer = wire(m, Mux(room < zeros, room, zeros)[: len(zeros)], "nearer")
    left = wire(m, nearer & (~is_below).replicate(len(nearer)), "left")
    above = wire(m, (room - left)[: len(room)] & (~is_below).replicate(len(room)), "above")
    normal = wire(m, (magnitude << left)[: len(magnitude)], "normal")
    distance = saturate((-room)[: len(room)], kept)
    right = wire(m, distance & is_below.replicate(len(distance)), "right")
    significand, lost = shift_right(m, normal[-kept:], right, kept, "subnormal")
    return Normalised(
        exponent=wire(m, above + 1, "biased_exponent"),
        significand=wire(m, significand, "significand"),
        sticky=wire(m, lost | normal[:-kept].any(), "sticky"),
    )


def saturate(distance: Value, width: int) -> Value:
    """The distance of a shift, in as few bits as it takes to shift ``width`` bits out."""
    bits = min(len(distance), width.bit_length())
    return distance[:bits] | distance[bits:].any().replicate(bits)
