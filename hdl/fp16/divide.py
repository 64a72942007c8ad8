"""Division and square root of one lane, one bit a cycle."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out, Signature

from hdl.export import Unit
from hdl.fp16.format import Format, Unpacked
from hdl.fp16.operation import FLAGS
from hdl.fp16.rounding import Rounder, round_magnitude
from hdl.leading_zeros import count_leading_zeros
from hdl.shift import shift_right
from hdl.wire import wire


class DivideSquareRoot(Unit):
    """Quotients and square roots in all modes, with all flags.

    Ports
        load: takes a and b. phase: bit k is to be high in the k-th cycle after that, beginning
        with bit 0; without load and phase nothing changes.
        a, b: operands, of which a square root ignores b.
        is_root: a square root instead of a quotient, from load to the last phase.
        mode: rounding mode, as long as the result is looked at.
        result, flags: from the cycle after the last phase to the next load; a NaN is the
        canonical one.

    Subnormals are taken and returned; tininess is detected after rounding.

    A digit recurrence with the digits 0 and 1. For a quotient significands are normalised to
    1 <= x, y < 2, so that 1/2 < x / y < 2; for a root to 1/4 <= x < 1, so that it is in the same
    range. So whether the first bit, that of 2**0, is one or zero, ``precision + 3`` bits have two
    more than a significand. The k-th of them is one if twice the remainder, which is kept scaled
    by 2**k, is not below y, or ``2 * root + 2**-k``.

    One shifter normalises b (in the cycle of load), then a (phase 0), and finally brings the
    result to where its exponent wants it (last phase): to the right, the others are mirrored.
    """

    mapped_alone = True

    def __init__(self, format: Format) -> None:
        self.format = format
        super().__init__(
            Signature(
                {
                    "load": In(1),
                    "phase": In(self.phases(format)),
                    "a": In(format.width),
                    "b": In(format.width),
                    "is_root": In(1),
                    "mode": In(3),
                    "result": Out(format.width),
                    "flags": Out(FLAGS),
                }
            )
        )

    @staticmethod
    def phases(format: Format) -> int:
        """One to normalise, one for each bit, one to denormalise."""
        return format.precision + 5

    def elaborate(self, platform: object) -> Module:
        m = Module()
        f = self.format
        a, b = Unpacked(m, self.a, f, "a_value"), Unpacked(m, self.b, f, "b_value")
        first, position, last = self.phase[0], self.phase[-2:0:-1], self.phase[-1]
        bits = len(position)
        remainder = Signal(bits, reset_less=True)
        divisor = Signal(f.precision, reset_less=True)
        quotient = Signal(bits, reset_less=True)
        # Of the quotient, less 3. Thus inverted it is how far to shift a tiny one.
        exponent = Signal(self._exponent_bits, reset_less=True)

        unnormalised = wire(m, Mux(self.load, b.significand, remainder), "unnormalised")
        zeros = wire(m, count_leading_zeros(m, unnormalised[: f.precision]), "zeros")
        is_tiny = wire(m, exponent[-1] & ~exponent.all(), "is_tiny")
        top = quotient[-1]
        mirrored = Cat(unnormalised[: f.precision][::-1], Const(0, bits - f.precision))
        moved, lost = shift_right(
            m,
            Mux(last, quotient, mirrored),
            Mux(last, Mux(is_tiny, _saturate(~exponent, bits.bit_length()), top), zeros),
            bits,
            "moved",
        )
        normal = moved[: f.precision][::-1]

        with m.If(self.load):
            vanishes = b.is_infinite & ~self.is_root
            offset = Mux(self.is_root, f.bias - 4, f.bias - 3 - b.exponent + zeros)
            m.d.sync += [
                remainder.eq(a.significand & ~vanishes.replicate(f.precision)),
                divisor.eq(normal),
                exponent.eq(a.exponent + offset),
            ]
        with m.If(first):
            normalised = wire(m, (exponent - zeros)[: len(exponent)], "normalised")
            of_root = Mux(normalised[0], normal << 1, normal)
            m.d.sync += [
                remainder.eq(Mux(self.is_root, of_root, normal << 2)),
                quotient.eq(0),
                exponent.eq(Mux(self.is_root, normalised.as_signed() >> 1, normalised)),
            ]
        with m.If(position.any()):
            twice = Cat(Const(0, 1), remainder)
            for_root = Cat(Const(0, 1), quotient) | position
            compared = Mux(self.is_root, for_root, Cat(Const(0, 3), divisor))
            difference = wire(m, twice - compared, "difference")
            fits = wire(m, ~difference[-1], "fits")
            # Below 2 afterwards, as y and 2 * root are.
            m.d.sync += [
                remainder.eq(Mux(fits, difference, twice)[:bits]),
                quotient.eq(quotient | (position & fits.replicate(bits))),
            ]
        with m.If(last):
            m.d.sync += [
                quotient.eq(Cat(lost | remainder.any(), moved[:-1])),
                exponent.eq(Mux(is_tiny, 1, exponent + 2 + top)),
            ]
        self._round(m, a, b, exponent, quotient)
        return m

    @property
    def _exponent_bits(self) -> int:
        f = self.format
        return (f.largest_exponent + f.bias + f.precision).bit_length() + 1

    def _round(self, m: Module, a: Unpacked, b: Unpacked, exponent: Value, quotient: Value) -> None:
        """Round once. Infinities and NaNs are found when operands are taken."""
        f = self.format
        sign, is_nan, is_infinite, is_exception = (
            Signal(name=name, reset_less=True)
            for name in ("sign", "is_nan", "is_infinite", "is_exception")
        )
        invalid_quotient = (a.is_zero & b.is_zero) | (a.is_infinite & b.is_infinite)
        invalid_root = a.sign & ~a.is_zero & ~a.is_nan
        signals = a.is_signalling | (b.is_signalling & ~self.is_root)
        invalid = wire(m, signals | Mux(self.is_root, invalid_root, invalid_quotient), "invalid")
        has_nan = wire(m, invalid | a.is_nan | (b.is_nan & ~self.is_root), "has_nan")
        by_zero = b.is_zero & ~self.is_root
        with m.If(self.load):
            m.d.sync += [
                sign.eq(a.sign ^ (b.sign & ~self.is_root)),
                is_nan.eq(has_nan),
                is_infinite.eq(a.is_infinite | by_zero),
                # Of a NaN: it is invalid; of an infinity: it comes of a division by zero.
                is_exception.eq(Mux(has_nan, invalid, by_zero & ~a.is_infinite)),
            ]
        rounder = Rounder(m, self.mode, sign)
        rounded = round_magnitude(m, rounder, exponent[:-1], quotient[1:], quotient[0], f)
        is_finite = wire(m, ~is_nan & ~is_infinite, "is_finite")
        magnitude = Mux(is_infinite, f.infinity, rounded.magnitude)[: f.width - 1]
        m.d.comb += [
            self.result.eq(Mux(is_nan, f.canonical_nan, Cat(magnitude, sign))),
            self.flags.eq(
                Cat(
                    rounded.inexact & is_finite,
                    rounded.underflow & is_finite,
                    rounded.overflow & is_finite,
                    is_exception & ~is_nan,
                    is_exception & is_nan,
                )
            ),
        ]


def _saturate(value: Value, bits: int) -> Value:
    """``value`` in so many bits, all ones if it is larger."""
    return value[:bits] | value[bits:].any().replicate(bits)
