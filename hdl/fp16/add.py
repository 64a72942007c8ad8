"""Addition alone, for trees of it: smaller than a fused multiply-add that multiplies by one."""

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out, Signature

from hdl.export import Unit
from hdl.fp16.format import Format, Unpacked
from hdl.fp16.normalise import saturate
from hdl.fp16.operation import FLAGS, Mode
from hdl.fp16.rounding import Rounder, round_magnitude
from hdl.leading_zeros import count_leading_zeros
from hdl.shift import shift_right
from hdl.wire import wire


class Addition(Unit):
    """``a + b``, rounded once, in all modes, with all flags; combinational.

    Ports
        a, b: operands. mode: rounding mode. result, flags: a NaN is the canonical one.

    The operand of the smaller magnitude is shifted right in a window that goes ``precision + 2``
    places below the leading bit of the larger one. If it loses bits there it is at most 1/8 of
    the larger one, whose leading bit is then a one, so that the sum has its leading one at most
    one place lower: the window has what is rounded, and ``lost`` the rest.
    """

    mapped_alone = True

    def __init__(self, format: Format) -> None:
        self.format = format
        super().__init__(
            Signature(
                {
                    "a": In(format.width),
                    "b": In(format.width),
                    "mode": In(3),
                    "result": Out(format.width),
                    "flags": Out(FLAGS),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        f = self.format
        swapped = wire(m, self.a[:-1] < self.b[:-1], "swapped")
        x = Unpacked(m, Mux(swapped, self.b, self.a), f, "larger")
        y = Unpacked(m, Mux(swapped, self.a, self.b), f, "smaller")
        subtracts = wire(m, x.sign ^ y.sign, "subtracts")
        magnitude, lost = self._add(m, x, y, subtracts)
        is_zero = ~magnitude.any()
        sign = wire(m, Mux(subtracts & is_zero, self.mode == Mode.RDN.value, x.sign), "sign")

        # One place above the leading bit of the larger operand; the exponent is 1 at least.
        limit = x.exponent
        zeros = wire(m, count_leading_zeros(m, magnitude), "zeros")
        distance = wire(m, Mux(zeros < limit, zeros, limit)[: len(zeros)], "distance")
        normal = wire(m, (magnitude << distance)[: len(magnitude)], "normal")
        kept = f.precision + 2
        rounded = round_magnitude(
            m,
            Rounder(m, self.mode, sign),
            (x.exponent - distance + 1)[: f.exponent_bits + 1],
            normal[-kept:],
            normal[:-kept].any() | lost,
            f,
        )

        invalid = wire(
            m,
            (x.is_signalling | y.is_signalling) | (x.is_infinite & y.is_infinite & subtracts),
            "invalid",
        )
        is_nan = wire(m, x.is_nan | y.is_nan | invalid, "is_nan")
        # An infinity is the larger operand of the two, unless the other one is a NaN.
        is_finite = wire(m, ~is_nan & ~x.is_infinite, "is_finite")
        infinity = Cat(Const(f.infinity, f.width - 1), x.sign)
        finite = Cat(rounded.magnitude, sign)
        m.d.comb += [
            self.result.eq(Mux(is_nan, f.canonical_nan, Mux(x.is_infinite, infinity, finite))),
            self.flags.inexact.eq(rounded.inexact & is_finite),
            # What is below the normal numbers is exact: operands and sums have the same last place.
            self.flags.overflow.eq(rounded.overflow & is_finite),
            self.flags.invalid.eq(invalid),
        ]
        return m

    def _add(self, m: Module, x: Unpacked, y: Unpacked, subtracts: Value) -> tuple[Value, Value]:
        """Magnitude of the sum, and whether more follows below it."""
        f = self.format
        below = f.precision + 3  # the leading bit and precision + 2 more
        distance = (x.exponent - y.exponent)[: f.exponent_bits]
        distance = wire(m, saturate(distance, below), "distance")
        aligned, lost = shift_right(m, y.significand, distance, below, "aligned")
        lost = wire(m, lost, "lost")
        larger = Cat(Const(0, below - f.precision), x.significand, Const(0, 1))
        smaller = Cat(aligned, Const(0, 1)) ^ subtracts.replicate(below + 1)
        # What is inverted is one too small, if it lost nothing.
        total = larger + smaller + (subtracts & ~lost)
        return wire(m, total[: below + 1], "magnitude"), lost
