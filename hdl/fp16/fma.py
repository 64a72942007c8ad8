"""Fused multiply-add lane: one rounding of an exact product and sum."""

from collections.abc import Sequence
from functools import partial

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from hdl.compressor import DotDiagram
from hdl.encoding import Encoding, decode, encode, negated
from hdl.fp16.format import Format, Unpacked
from hdl.fp16.operation import FLAGS, INDEX_BITS, Mode, Operation
from hdl.fp16.rounding import Rounder, round_magnitude
from hdl.leading_zeros import count_leading_zeros
from hdl.partial_product import ROW_ARRIVAL, add_product, product_offset
from hdl.pipeline import Bundle, Stage, without
from hdl.shift import shift_left, shift_right
from hdl.staged import StagedUnit
from hdl.wire import wire

#: Bits of the window below the product: an addend reaches them if a factor is subnormal.
EXTENSION = 2


class FusedMultiplyAdd(StagedUnit):
    """Sums, products and the four fused multiply-adds of one lane, in all modes, with all flags.

    Ports
        a, b, c: operands: ``±(a * b) ± c``; ADD and SUB are ``a ± c``, MUL is ``a * b``.
        operation: index within the group FMA. mode: rounding mode.
        result, flags: a NaN is the canonical one.

    Subnormals are taken and returned; tininess is detected
    after rounding. Reserved operations and modes give a result without meaning.

    The product has a fixed place in a window, which the addend is shifted into from the left:
    ``precision`` bits for the addend, a gap of two, the product, and an extension of two. An
    addend so large that the product would lie beyond the gap stays on the left, and the product
    where it is: of so small a product nothing matters but that it is there.
    """

    mapped_alone = True

    def __init__(self, format: Format, depth: int = 0) -> None:
        self.format = format
        super().__init__(
            depth,
            a=In(format.width),
            b=In(format.width),
            c=In(format.width),
            operation=In(INDEX_BITS),
            mode=In(3),
            result=Out(format.width),
            flags=Out(FLAGS),
        )

    @property
    def window_bits(self) -> int:
        return 3 * self.format.precision + 2 + EXTENSION

    @property
    def exponent_bits(self) -> int:
        """Bits of the exponents inside: sums of two, with a sign."""
        return self.format.exponent_bits + 2

    def stages(self, platform: object) -> Sequence[Stage]:
        multiply = partial(self._multiply, platform=platform)
        return multiply, self._add, self._normalise, self._round

    def _multiply(self, m: Module, inputs: Bundle, platform: object) -> Bundle:
        """Addend minus or plus product, in two words that are still to be added."""
        f = self.format
        a, b, c, sign_product, sign_addend = self._operands(m, inputs)
        subtract = wire(m, sign_product ^ sign_addend, "subtract")
        # Exponents of the window's top if the product's place decides, and from there to c's.
        sum_of_exponents = a.exponent + b.exponent
        below_top = f.bias - f.precision - 3
        shift = wire(m, (sum_of_exponents - c.exponent - below_top)[: self.exponent_bits], "shift")
        addend_leads = wire(m, shift[-1] | a.is_zero | b.is_zero, "addend_leads")
        distance = shift[:-1] & (~addend_leads).replicate(len(shift) - 1)
        top_exponent = Mux(addend_leads, c.exponent, sum_of_exponents - below_top)
        addend, lost = shift_right(m, c.significand, distance, self.window_bits, "aligned")
        row_0, row_1 = self._add_rows(m, platform, a, b, subtract, addend)
        return {
            "row_0": row_0,
            "row_1": row_1,
            "lost": lost,
            "subtract": subtract,
            "sign_product": sign_product,
            "sign_addend": sign_addend,
            "top_exponent": top_exponent[: self.exponent_bits],
            "mode": inputs["mode"],
            "infinite_sign": Mux(c.is_infinite, sign_addend, sign_product),
            **_special_cases(m, a, b, c, subtract),
        }

    def _operands(
        self, m: Module, inputs: Bundle
    ) -> tuple[Unpacked, Unpacked, Unpacked, Value, Value]:
        """Factors and addend, a sum being ``a * 1 + c``, with the signs of product and addend."""
        f = self.format
        operation = inputs["operation"]
        is_sum = _is_one_of(operation, Operation.ADD, Operation.SUB)
        is_product = wire(m, _is_one_of(operation, Operation.MUL), "is_product")
        a = Unpacked(m, inputs["a"], f, "a_value")
        b = Unpacked(m, Mux(is_sum, f.one, inputs["b"]), f, "b_value")
        c = Unpacked(m, inputs["c"] & (~is_product).replicate(f.width), f, "c_value")
        negates_product = _is_one_of(operation, Operation.FNMSUB, Operation.FNMADD)
        negates_addend = _is_one_of(operation, Operation.SUB, Operation.FMSUB, Operation.FNMADD)
        sign_product = wire(m, a.sign ^ b.sign ^ negates_product, "sign_product")
        # A zero of the product's own sign leaves the product as it is, in every mode.
        sign_addend = Mux(is_product, sign_product, c.sign ^ negates_addend)
        return a, b, c, sign_product, wire(m, sign_addend, "sign_addend")

    def _add_rows(
        self,
        m: Module,
        platform: object,
        a: Unpacked,
        b: Unpacked,
        subtract: Value,
        addend: Value,
    ) -> tuple[Value, Value]:
        """The compressor tree; its top bit, above the window, is the sign of the difference.

        The product is subtracted by negating its digits, which costs less than inverting an
        addend as wide as the window.
        """
        digits = self.format.precision // 2 + 1
        operand_bits = 2 * digits
        zeros = Const(0, operand_bits - self.format.precision)
        code = encode(m, Cat(b.significand, zeros), Encoding.BOOTH)
        selects = negated(m, decode(code, Encoding.BOOTH, digits), subtract, name="negative")
        dots = DotDiagram(self.window_bits + 1)
        multiplicand = Cat(a.significand, zeros)
        add_product(m, dots, selects, multiplicand, correct=True, column=EXTENSION)
        dots.add_constant(-product_offset(operand_bits) << EXTENSION)
        dots.add_word(addend, arrival=ROW_ARRIVAL)
        return dots.rows(m, platform)

    def _add(self, m: Module, inputs: Bundle) -> Bundle:
        """Magnitude of the sum; if it is ``pending``, one less, as the inverse of a negative is.

        What the addend lost to the right counts for less than one, and makes up for that one in
        part: then the inverse is the magnitude rounded down, as it should be.
        """
        bits = self.window_bits
        total = wire(m, (inputs["row_0"] + inputs["row_1"])[: bits + 1], "total")
        negative = total[bits]
        return without(inputs, "row_0", "row_1", "sign_product", "sign_addend") | {
            "magnitude": total[:bits] ^ negative.replicate(bits),
            "pending": negative & ~inputs["lost"],
            "sign": Mux(negative, inputs["sign_product"], inputs["sign_addend"]),
        }

    def _normalise(self, m: Module, inputs: Bundle) -> Bundle:
        """Shift the leading one to the top, but no further than the smallest exponent allows.

        A pending one counts as ones without end below the last bit.
        """
        kept = self.format.precision + 2
        pending, top_exponent = inputs["pending"], inputs["top_exponent"]
        # One more bit on top, so that the longest shift is the exponent and not one less.
        magnitude = wire(m, Cat(inputs["magnitude"], Const(0, 1)), "magnitude")
        last = len(magnitude) - 1
        # A bit where the shift must stop does so in parallel with the count, not after it.
        stop = Cat(*(top_exponent == last - place for place in range(last + 1)))
        distance = wire(m, count_leading_zeros(m, magnitude | stop), "distance")
        significand, any_below, all_below = shift_left(
            m, magnitude, distance, kept, pending, "normal"
        )
        return without(inputs, "magnitude", "top_exponent", "lost", "pending") | {
            "significand": significand,
            "sticky": any_below | inputs["lost"],
            "carry": pending & all_below,
            "exponent": (top_exponent - distance + 1)[: self.exponent_bits],
        }

    def _round(self, m: Module, inputs: Bundle) -> Bundle:
        """Round once; specials take precedence."""
        f = self.format
        mode, sign = inputs["mode"], inputs["sign"]
        rounded = round_magnitude(
            m,
            Rounder(m, mode, sign),
            inputs["exponent"],
            inputs["significand"],
            inputs["sticky"],
            f,
            inputs["carry"],
        )
        cancelled = inputs["subtract"] & ~rounded.magnitude.any() & ~rounded.inexact
        finite = Cat(rounded.magnitude, Mux(cancelled, mode == Mode.RDN.value, sign))
        infinity = Cat(Const(f.infinity, f.width - 1), inputs["infinite_sign"])
        is_nan, is_infinite = inputs["is_nan"], inputs["is_infinite"]
        is_finite = wire(m, ~is_nan & ~is_infinite, "is_finite")
        return {
            "result": Mux(is_nan, f.canonical_nan, Mux(is_infinite, infinity, finite)),
            "flags": Cat(
                rounded.inexact & is_finite,
                rounded.underflow & is_finite,
                rounded.overflow & is_finite,
                Const(0, 1),
                inputs["invalid"],
            ),
        }


def _is_one_of(operation: Value, *those: Operation) -> Value:
    return Cat(*(operation == each.index for each in those)).any()


def _special_cases(m: Module, a: Unpacked, b: Unpacked, c: Unpacked, subtract: Value) -> Bundle:
    """What infinities and NaNs make of the result."""
    infinite_product = (a.is_infinite & ~b.is_nan) | (b.is_infinite & ~a.is_nan)
    invalid = wire(
        m,
        (a.is_signalling | b.is_signalling | c.is_signalling)
        | (a.is_infinite & b.is_zero)
        | (a.is_zero & b.is_infinite)
        | (infinite_product & c.is_infinite & subtract),
        "invalid",
    )
    return {
        "is_nan": a.is_nan | b.is_nan | c.is_nan | invalid,
        "is_infinite": a.is_infinite | b.is_infinite | c.is_infinite,
        "invalid": invalid,
    }
