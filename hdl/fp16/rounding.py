"""The one rounding that all arithmetic operations share."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Value

from hdl.fp16.format import Format
from hdl.wire import wire


class Rounder:
    """Decides which way to round; mode and sign are decoded once for all its decisions."""

    def __init__(self, m: Module, mode: Value, sign: Value) -> None:
        self._away = mode[2]  # RMM; the other modes are 0 to 3
        self._nearest = wire(m, ~mode[0] & ~mode[1], "to_nearest")
        # Whether anything beyond the last place makes the magnitude larger: RUP, RDN.
        self._outward = wire(m, mode[1] & (mode[0] ^ sign), "outward")

    def increments(self, last: Value, guard: Value, sticky: Value) -> Value:
        """Whether a magnitude grows by one in its last place.

        guard: the first bit beyond the last place, sticky: whether any further one is set.
        """
        half = guard & (sticky | last | self._away)
        return (self._nearest & half) | (self._outward & (guard | sticky))

    def becomes_normal(self, fraction: Value, guard: Value, second: Value, sticky: Value) -> Value:
        """Whether a subnormal would be normal, if the exponent had no lower end.

        That is, if it were rounded one place further right, at ``guard``; ``second`` is the place
        after that, ``sticky`` whether any further bit is set.
        """
        return fraction.all() & guard & self.increments(guard, second, sticky)

    @property
    def overflows_to_infinity(self) -> Value:
        """Rather than to the largest finite value."""
        return self._nearest | self._outward


@dataclass(frozen=True)
class Rounded:
    """A rounded magnitude (exponent and fraction) and what became of it; all are Values."""

    magnitude: Value
    inexact: Value
    underflow: Value
    overflow: Value


def round_magnitude(
    m: Module,
    rounder: Rounder,
    exponent: Value,
    significand: Value,
    sticky: Value,
    format: Format,
    carry: Value | None = None,
) -> Rounded:
    """Round ``significand * 2**(exponent - bias - fraction_bits - 2)`` to the format.

    exponent: biased, 1 or more; may be wider than the format's.
    significand: ``precision + 2`` bits, the leading one on top; it may be missing only if
    exponent is 1, which makes a subnormal or zero.
    sticky: whether anything but zero follows. carry: one more in the last of these bits; then
    nothing follows, whatever sticky says.

    Underflow is tininess after rounding, together with inexactness. An overflow gives infinity or
    the largest finite value, as the mode says, and is inexact.
    """
    kept, guard, second = significand[2:], significand[1], significand[0]
    ripple: Value = Const(0, 1)
    if carry is not None:
        sticky = sticky & ~carry
        ripple = guard & second & carry
        guard, second = guard ^ (second & carry), second ^ carry
    guard, second = wire(m, guard, "guard"), wire(m, second, "second")
    sticky = wire(m, sticky, "sticky")
    beyond = wire(m, second | sticky, "beyond")
    # A carry that ripples this far leaves nothing beyond, so at most one of both is set.
    increment = ripple | rounder.increments(kept[0], guard, beyond)
    leading, fraction = kept[-1], kept[:-1]
    packed = Cat(fraction, exponent & leading.replicate(len(exponent)))
    rounded = wire(m, (packed + increment)[: len(packed)], "rounded")
    field = rounded[format.fraction_bits :]
    too_large = field[: format.exponent_bits].all() | field[format.exponent_bits :].any()
    overflow = wire(m, too_large, "overflow")
    largest = Const(format.infinity - 1, format.width - 1)
    infinity = Const(format.infinity, format.width - 1)
    limit = Mux(rounder.overflows_to_infinity, infinity, largest)
    inexact = wire(m, guard | beyond, "inexact")
    becomes_normal = rounder.becomes_normal(fraction, guard, second, sticky)
    return Rounded(
        magnitude=wire(m, Mux(overflow, limit, rounded[: format.width - 1]), "magnitude"),
        inexact=inexact | overflow,
        underflow=inexact & ~leading & ~becomes_normal,
        overflow=overflow,
    )
