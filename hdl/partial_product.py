"""Partial-product rows: one digit of the multiplier times the whole multiplicand."""

from amaranth.hdl import Cat, Module, Signal, Value

from hdl.compressor import DotDiagram
from hdl.encoding import Select

#: XOR delays from a code's register to a row bit; only orders the tree's inputs.
ROW_ARRIVAL = 4


def product_offset(operand_bits: int) -> int:
    """What the rows of one product add beyond it: their inverted sign bits, all set."""
    return sum(1 << 2 * digit + operand_bits for digit in range(operand_bits // 2))


def add_product(
    m: Module,
    dots: DotDiagram,
    selects: list[Select],
    multiplicand: Value,
    *,
    correct: bool,
    quiet: bool = False,
    column: int = 0,
    name: str = "row",
) -> None:
    """Add ``product + product_offset`` of two n-bit signed operands to ``dots``.

    Row i is ``digit_i * multiplicand`` in one's complement, n + 1 bits at column 2i with the
    sign inverted. With ``correct`` each negative digit's missing 1 is added here; without it the
    sum is short of what ``add_correction`` adds. With ``quiet`` the row of a digit 0 is zero, its
    sign too, and the sum is short of what ``add_missing_offset`` adds; no such digit may be
    ``negative``.
    The sum is never negative and less than ``2**(2n)``. All of it counts ``2**column`` times.
    """
    for digit, select in enumerate(selects):
        row = Signal(len(multiplicand) + 1, name=f"{name}_{digit}")
        sign = ~multiplicand[-1] if quiet else multiplicand[-1]
        m.d.comb += row.eq(_row(select, multiplicand, sign))
        inverted = row if quiet else Cat(row[:-1], ~row[-1])
        dots.add_word(inverted, column + 2 * digit, arrival=ROW_ARRIVAL)
    if correct:
        add_correction(dots, selects, column=column)


def add_correction(dots: DotDiagram, selects: list[Select], *, column: int = 0) -> None:
    """Add ``sum(negative_i * 4**i)``, what the one's-complement rows of a product are short of."""
    for digit, select in enumerate(selects):
        dots.add_bit(select.negative, column + 2 * digit, arrival=ROW_ARRIVAL - 2)


def add_missing_offset(dots: DotDiagram, selects: list[Select], operand_bits: int) -> None:
    """Add what quiet rows leave out of ``product_offset``: the inverted signs of digits 0."""
    for digit, select in enumerate(selects):
        zero = ~(select.one | select.two | select.negative)
        dots.add_bit(zero, 2 * digit + operand_bits, arrival=ROW_ARRIVAL - 1)


def _row(select: Select, multiplicand: Value, sign: Value) -> Value:
    """Digit times multiplicand, whose ``sign`` may be inverted: then that of the row is, too."""
    once = Cat(multiplicand, sign)
    twice = Cat(0, multiplicand[:-1], sign)
    one, two, negative = (
        bit.replicate(len(once)) for bit in (select.one, select.two, select.negative)
    )
    if select.has_minus_two:
        return ((once & one) | (twice & two)) ^ negative
    return (once & one) | (twice & two) | (~once & negative)
