"""Requantisation: an int32 times a factor, ``multiplier * 2**(shift - 31)``, rounded twice.

First the product, to 32 bits, then the right shift, ties away from zero. This is the requantisation
of TensorFlow Lite and CMSIS-NN with double rounding, bit for bit.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Value

from hdl.pipeline import Bundle, Stage, without
from hdl.wire import wire

VALUE = 32
MULTIPLIER = 31
#: Of a shift, which is signed: -31 … 30.
SHIFT = 6
#: Of a distance, 0 … 31.
DISTANCE = SHIFT - 1
#: Of a distance: those of the last stage.
FINE = 3
#: Of the multiplier: those of the first of two products, which are one stage.
LOW = 16


def _shift_left(m: Module, inputs: Bundle) -> Bundle:
    """Positive shifts, and the distance of negative ones."""
    shift, value = inputs["shift"], inputs["value"].as_unsigned()
    is_right = shift[-1].replicate(DISTANCE)
    for step, select in enumerate(shift[:DISTANCE] & ~is_right):
        room = 1 << step
        # What is lost on top are copies of the sign: the caller's scale fits the value.
        moved = Cat(Const(0, room), value[:-room])
        value = wire(m, Mux(select, moved, value), f"left_by_{room}")
    # A negative shift is -31 or more, so its magnitude needs no more bits.
    magnitude = (~shift[:DISTANCE] + 1)[:DISTANCE]
    return {**without(inputs, "shift"), "value": value, "distance": magnitude & is_right}


def _multiply(m: Module, inputs: Bundle) -> Bundle:
    """The products with the two halves of the multiplier, each of the bits of its factors."""
    value, multiplier = inputs["value"].as_signed(), inputs["multiplier"]
    return {
        **without(inputs, "value", "multiplier"),
        "low": (value * multiplier[:LOW])[: VALUE + LOW],
        "high": (value * multiplier[LOW:])[: VALUE + MULTIPLIER - LOW],
    }


def _add(m: Module, inputs: Bundle) -> Bundle:
    """Their sum, rounded, with a place for halves behind it; most of the shift to the right."""
    low, high = inputs["low"][LOW:].as_signed(), inputs["high"].as_signed()
    # What the lowest bits of the first product add to it is below the last place, and cut off.
    dropped = MULTIPLIER - LOW
    total = wire(m, low + high + (1 << dropped - 1), "total")
    # The multiplier is below 2**31, so the result is no larger than the value was.
    halves = Cat(Const(0, 1), total[dropped : dropped + VALUE])
    distance = inputs["distance"]
    shifted, is_lost = shift_right_signed(m, halves, distance[FINE:], "right", 1 << FINE)
    return {
        **without(inputs, "low", "high"),
        "value": shifted,
        "is_lost": is_lost,
        "distance": distance[:FINE],
    }


def _shift_right(m: Module, inputs: Bundle) -> Bundle:
    """The rest of the shift; the nearest number, halves away from zero."""
    value, sign = inputs["value"], inputs["value"][-1]
    shifted, is_lost = shift_right_signed(m, value, inputs["distance"], "right")
    below = inputs["is_lost"] | is_lost
    is_up = wire(m, shifted[0] & (~sign | below), "is_up")
    # Only what has been halved, at least, goes up: it does not overflow.
    return {
        **without(inputs, "distance", "is_lost"),
        "value": (shifted[1:] + is_up)[:VALUE],
    }


#: From ``value`` (signed, 32 bits), ``multiplier`` (31) and ``shift`` (signed, 6) to ``value``, 32
#: bits in two's complement; what else is in a bundle passes through. Each is as long as a
#: multiplication of 32 by 16 bits, or shorter. The value must be int32 behind the left shift.
REQUANTISE_STAGES: list[Stage] = [_shift_left, _multiply, _add, _shift_right]


def shift_right_signed(
    m: Module, value: Value, distance: Value, name: str, unit: int = 1
) -> tuple[Value, Value]:
    """``value``, in two's complement, shifted right by ``distance * unit`` and no narrower, and
    whether a one was lost. unit: a power of two.
    """
    is_lost: Value = Const(0, 1)
    for step, select in enumerate(distance):
        room = unit << step
        is_lost = is_lost | (select & value[:room].any())
        moved = Cat(value[room:], value[-1].replicate(room))
        value = wire(m, Mux(select, moved, value), f"{name}_by_{room}")
    return value, is_lost


def saturate(m: Module, value: Value, bits: int, name: str) -> Value:
    """The nearest number of ``bits`` bits, in two's complement, to ``value``, which is too."""
    value = wire(m, value, name)
    upper, sign = value[bits - 1 :], value[-1]
    fits = upper.all() | ~upper.any()
    limit = Cat((~sign).replicate(bits - 1), sign)
    return wire(m, Mux(fits, value[:bits], limit), f"{name}_saturated")
