"""From decimal digits to a binary number."""

from collections.abc import Sequence
from typing import ClassVar

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from hdl.compressor import DotDiagram
from hdl.pipeline import Bundle, Stage
from hdl.piper.operator import WORD
from hdl.staged import StagedUnit

DIGITS = 10
DIGIT_BITS = 4
#: The first of ten digits is at most 2 in 32 bits: its upper bits are not looked at.
FIRST_DIGIT_BITS = 2


class DecimalNumber(StagedUnit):
    """The int32 that a sign and ten decimal digits are.

    Ports
        digits: of 4 bits each, the most significant one on top; those that are not used are 0.
        negative: the sign. result: in two's complement; without meaning for a number that is not
        in -2**31 ... 2**31 - 1 or a digit above 9.

    All bits of all digits are added up in one tree: each counts a constant, of which every 1, or -1
    in its non-adjacent form, is a bit of the tree.
    """

    mapped_alone = True
    RANKS: ClassVar[int] = 1
    """Ranks of registers there are unless told otherwise; with two of them one is in the middle."""

    def __init__(self, depth: int = RANKS) -> None:
        super().__init__(depth, digits=In(DIGITS * DIGIT_BITS), negative=In(1), result=Out(WORD))

    def stages(self, platform: object) -> Sequence[Stage]:
        def gather(m: Module, inputs: Bundle) -> Bundle:
            return self._gather(m, platform, inputs)

        return gather, self._add

    def _gather(self, m: Module, platform: object, inputs: Bundle) -> Bundle:
        """The digits' number, less 1 if it is to be negated, as two rows."""
        dots = DotDiagram(WORD)
        for digit in range(DIGITS):
            bits = FIRST_DIGIT_BITS if digit == DIGITS - 1 else DIGIT_BITS
            for place in range(bits):
                bit = inputs["digits"][digit * DIGIT_BITS + place]
                _add_multiple(dots, bit, 10**digit << place)
        _add_multiple(dots, inputs["negative"], -1)
        first, second = dots.rows(m, platform, "digits")
        return {"first": first, "second": second, "negative": inputs["negative"]}

    def _add(self, m: Module, inputs: Bundle) -> Bundle:
        """-n is the inverse of n - 1."""
        number = (inputs["first"] + inputs["second"])[:WORD]
        return {"result": number ^ inputs["negative"].replicate(WORD)}


def _add_multiple(dots: DotDiagram, bit: Value, constant: int) -> None:
    """Add ``constant`` if the bit is set, in non-adjacent form: with the fewest ones."""
    column = 0
    while constant and column < dots.width:
        if constant & 1:
            digit = 2 - constant % 4
            # Less a bit is its inverse, less 1.
            dots.add_bit(bit if digit > 0 else ~bit, column)
            dots.add_constant(0 if digit > 0 else -1 << column)
            constant -= digit
        constant >>= 1
        column += 1
