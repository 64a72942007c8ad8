"""Modulus: the remainder of a division by a number that is set at run time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from hdl.compressor import DotDiagram
from hdl.encoding import Encoding, Select, decode, encode, negated
from hdl.export import place
from hdl.pipeline import Bundle, Stage
from hdl.piper.operator import WORD, Operator
from hdl.piper.settings import SETTINGS
from hdl.staged import StagedUnit
from hdl.wire import wire

#: Places of ``reciprocal`` behind the point.
RECIPROCAL_PLACES = WORD + 1
#: Columns of the first product, from the lowest, that are not added up.
DROPPED = 28
#: A remainder before its correction is below 2 * modulus.
REMAINDER_BITS = WORD + 1


@dataclass(frozen=True)
class Modulus(Operator):
    """x mod ``modulus``, x uint32; a ``modulus`` of 0 lets x pass.

    ``reciprocal`` is what ``hdl.piper.reciprocal`` makes of ``modulus``. Both must be steady while
    values are inside.
    """

    ranks = 4
    settings: ClassVar[tuple[str, ...]] = ("modulus", "reciprocal")

    def build(self, platform: object) -> Any:
        return place(platform, ModulusUnit, self.ranks)


class ModulusUnit(StagedUnit):
    """The circuit of ``Modulus``, by a multiplication with the reciprocal (Barrett's reduction).

    With m = floor((2**33 - 1) / M), x * m / 2**33 is less than x / M by at most a half, and what is
    dropped of the product makes it less by at most 14 * 2**28 / 2**33 more: below 1 in all. So
    its whole part q is the quotient or one less, and x - q * M the remainder or M more. If M is 0,
    so are m and q.

    M and m are recoded into digits of radix 4, and not x and q, as they do not change.
    """

    mapped_alone = True

    def __init__(self, depth: int = Modulus.ranks) -> None:
        settings = {name: In(SETTINGS[name]) for name in Modulus.settings}
        super().__init__(depth, value=In(WORD), **settings, result=Out(WORD))

    def stages(self, platform: object) -> Sequence[Stage]:
        def multiply(m: Module, inputs: Bundle) -> Bundle:
            return self._multiply(m, platform, inputs)

        def subtract(m: Module, inputs: Bundle) -> Bundle:
            return self._subtract(m, platform, inputs)

        return multiply, self._divide, subtract, self._correct

    def _multiply(self, m: Module, platform: object, inputs: Bundle) -> Bundle:
        """x * m as two rows, without their lowest columns.

        A row with digit -1 or -2 is inverted; the 1 that it lacks is dropped with the columns.
        """
        x = inputs["value"]
        dots = DotDiagram(REMAINDER_BITS + RECIPROCAL_PLACES - DROPPED)
        for digit, select in enumerate(_digits(m, self.reciprocal, "reciprocal")):
            column = 2 * digit - DROPPED
            row = wire(m, _times(select, Cat(x, Const(0, 1))), f"row_{digit}")
            dots.add_word(row[max(0, -column) :], max(0, column))
            # All bits above a row are its sign, which is as much as an inverted one and -1.
            dots.add_bit(~select.negative, column + len(row))
            dots.add_constant(-(1 << column + len(row)))
            if column >= 0:
                dots.add_bit(select.negative, column)
        first, second = dots.rows(m, platform, "product")
        return {"x": x, "first": first, "second": second}

    def _divide(self, m: Module, inputs: Bundle) -> Bundle:
        """q, which is -1 if the quotient is 0 and something was dropped."""
        product = (inputs["first"] + inputs["second"])[RECIPROCAL_PLACES - DROPPED :]
        return {"x": inputs["x"], "q": product[:REMAINDER_BITS]}

    def _subtract(self, m: Module, platform: object, inputs: Bundle) -> Bundle:
        """x - q * M as two rows. All is modulo 2**33, so rows need no signs above."""
        q = inputs["q"]
        dots = DotDiagram(REMAINDER_BITS)
        dots.add_word(inputs["x"])
        selects = _digits(m, self.modulus, "modulus")
        for digit, select in enumerate(negated(m, selects, Const(1, 1), name="subtracted")):
            row = wire(m, _times(select, q[: REMAINDER_BITS - 2 * digit]), f"taken_{digit}")
            dots.add_word(row[: REMAINDER_BITS - 2 * digit], 2 * digit)
            dots.add_bit(select.negative, 2 * digit)
        first, second = dots.rows(m, platform, "remainder")
        return {"first": first, "second": second}

    def _correct(self, m: Module, inputs: Bundle) -> Bundle:
        """The sum of the rows, or M less, if that is not negative."""
        first, second = inputs["first"], inputs["second"]
        remainder = (first + second)[:WORD]
        # Three numbers are two again without a carry that runs.
        third = wire(m, ~Cat(self.modulus, Const(0, 1)), "minus_modulus")
        either = wire(m, first | second, "either")
        sums = first ^ second ^ third
        carries = Cat(Const(1, 1), (first & second) | (either & third))
        reduced = wire(m, (sums + carries)[:REMAINDER_BITS], "reduced")
        return {"result": Mux(reduced[-1], remainder, reduced[:-1])}


def _digits(m: Module, unsigned: Value, name: str) -> list[Select]:
    """Digits -2 ... 2 of a number without sign, the lowest first."""
    digits = len(unsigned) // 2 + 1
    padded = wire(m, Cat(unsigned, Const(0, 2 * digits - len(unsigned))), f"{name}_padded")
    return decode(encode(m, padded, Encoding.BOOTH, name=name), Encoding.BOOTH, digits)


def _times(select: Select, value: Value) -> Value:
    """A digit times ``value`` in one's complement: as many bits and, twice as much, one more."""
    once, twice = Cat(value, Const(0, 1))[: len(value)], Cat(Const(0, 1), value)[: len(value)]
    one, two, negative = (
        bit.replicate(len(value)) for bit in (select.one, select.two, select.negative)
    )
    return ((once & one) | (twice & two)) ^ negative
