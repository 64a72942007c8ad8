"""What every PE computes: products of its lanes, added to a number that comes from somewhere."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Value

from hdl.compressor import DotDiagram
from hdl.encoding import Select
from hdl.ent.parameters import Parameters
from hdl.partial_product import ROW_ARRIVAL, add_product, product_offset

#: XOR delays from a register to the tree, and from the operands to a sum of products; they only
#: order the tree's inputs.
REGISTER_ARRIVAL = 1
PRODUCT_ARRIVAL = 20


def multiply_accumulate(
    m: Module,
    platform: object,
    parameters: Parameters,
    selects: Sequence[list[Select]],
    multiplicands: Sequence[Value],
    addends: Sequence[Value],
    ones: Value | None = None,
) -> list[Value]:
    """Words whose sum is that of ``addends`` and of all lanes' products.

    selects, multiplicands: of each lane, the digits of its operand A and its operand B. ones: the
    sum of all lanes' missing ones, with ``correct_at = beat``.
    addends: ``parameters.words`` words of ``parameters.accumulator_bits`` bits, and so are the
    words returned; sums are modulo ``2**accumulator_bits``.
    With ``correct_at = edge`` each product is ``product_offset`` too large, or the part of it that
    digits other than 0 make if ``parameters.quiet``, and lacks its digits' correction, see
    ``hdl.partial_product``.
    """
    p = parameters
    if p.accumulation == "separate":
        dots = DotDiagram(p.accumulator_bits)
        product = _products(m, p, selects, multiplicands, ones, p.product_bits)
        dots.add_word(_extended(product.sum(m, platform, "product"), p), arrival=PRODUCT_ARRIVAL)
    else:
        dots = _products(m, p, selects, multiplicands, ones, p.accumulator_bits)
    for addend in addends:
        dots.add_word(addend, arrival=REGISTER_ARRIVAL)
    if p.accumulation == "carry-save":
        return list(dots.rows(m, platform))
    return [dots.sum(m, platform)]


def _products(
    m: Module,
    p: Parameters,
    selects: Sequence[list[Select]],
    multiplicands: Sequence[Value],
    ones: Value | None,
    width: int,
) -> DotDiagram:
    dots = DotDiagram(width)
    correct = p.correct_at == "pe"
    for lane, (select, multiplicand) in enumerate(zip(selects, multiplicands, strict=True)):
        name = f"row_{lane}"
        add_product(m, dots, select, multiplicand, correct=correct, quiet=p.quiet, name=name)
        if p.correct_at != "edge":
            dots.add_constant(-product_offset(p.operand_bits))
    if ones is not None:
        dots.add_word(ones, arrival=ROW_ARRIVAL - 2)
    return dots


def _extended(product: Value, p: Parameters) -> Value:
    """A sum of products in the accumulator's width; without correction it is never negative."""
    if p.correct_at == "edge":
        return product
    return Cat(product, product[-1].replicate(p.accumulator_bits - len(product)))
