"""Floating-point arithmetic on arrays of bit patterns: every result is one rounding of exact.

Operands are patterns as integers, results are int64 arrays of (patterns, flags). A format is a
parameter everywhere: nothing here knows about 16 bits. NaN results are the canonical NaN. Modes
and flags are those of ``golden.rounding``; a mode may differ from element to element.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from golden.elementwise import elementwise
from golden.float_format import Booleans, FloatFormat, Numbers, unpack
from golden.fp16_compare import (
    classify,
    compare,
    inject_sign,
    maximum,
    minimum,
    tree_maximum,
    tree_minimum,
)
from golden.integers import Integers, wrap
from golden.rounding import DZ, NV, NX, Mode, Term, increments, round_sum
from golden.tree import reduce_pairwise

__all__ = [
    "add",
    "classify",
    "compare",
    "convert",
    "divide",
    "dot2",
    "from_integer",
    "fused_multiply_add",
    "inject_sign",
    "maximum",
    "minimum",
    "multiply",
    "square_root",
    "subtract",
    "sum2",
    "to_integer",
    "tree_maximum",
    "tree_minimum",
    "tree_sum",
]

Result = tuple[Integers, Integers]


def _negated(x: Numbers, negate: bool) -> Numbers:
    return Numbers(x.negative ^ negate, x.significand, x.exponent, x.infinite, x.nan, x.signalling)


def _product(x: Numbers, y: Numbers, negate: bool = False) -> tuple[Numbers, Booleans]:
    """The exact product, and where it is invalid because it is of infinity and zero."""
    invalid = (x.infinite & y.zero) | (x.zero & y.infinite)
    nan = x.nan | y.nan | invalid
    number = Numbers(
        negative=x.negative ^ y.negative ^ negate,
        significand=x.significand * y.significand,
        exponent=x.exponent + y.exponent,
        infinite=(x.infinite | y.infinite) & ~nan,
        nan=nan,
        signalling=x.signalling | y.signalling,
    )
    return number, invalid


def _special(
    result: Result, fmt: FloatFormat, infinite: Booleans, negative: Booleans, nan: Booleans
) -> Result:
    """``result`` with exact infinities and NaNs, which raise no flags, put in their places."""
    bits, flags = result
    bits = np.where(infinite, fmt.infinity | negative * fmt.sign_bit, bits)
    return np.where(nan, fmt.canonical_nan, bits), np.where(infinite | nan, 0, flags)


def _sum(
    products: Sequence[tuple[Numbers, Booleans]],
    addends: Sequence[Numbers],
    fmt: FloatFormat,
    mode: ArrayLike,
) -> Result:
    """``fmt``'s nearest to the exact sum of all ``products`` and ``addends``."""
    numbers = [*(product for product, _ in products), *addends]
    below = np.any([x.infinite & x.negative for x in numbers], axis=0)
    above = np.any([x.infinite & ~x.negative for x in numbers], axis=0)
    invalid = below & above
    for _, of_product in products:
        invalid |= of_product
    nan, signalling = invalid.copy(), invalid.copy()
    for x in numbers:
        nan |= x.nan
        signalling |= x.signalling
    terms = [Term(x.negative, x.significand, x.exponent) for x in numbers]
    bits, flags = _special(round_sum(terms, fmt, mode), fmt, below | above, below, nan)
    return bits, flags | signalling * NV


@elementwise("a", "b", "c", "mode")
def fused_multiply_add(
    a: ArrayLike,
    b: ArrayLike,
    c: ArrayLike,
    fmt: FloatFormat,
    mode: ArrayLike,
    negate_product: bool = False,
    negate_addend: bool = False,
) -> Result:
    """``±(a * b) ± c``. Infinity times zero is invalid even if ``c`` is a quiet NaN."""
    product = _product(unpack(a, fmt), unpack(b, fmt), negate_product)
    return _sum([product], [_negated(unpack(c, fmt), negate_addend)], fmt, mode)


@elementwise("a", "b", "mode")
def add(a: ArrayLike, b: ArrayLike, fmt: FloatFormat, mode: ArrayLike) -> Result:
    """``a + b``."""
    return _sum([], [unpack(a, fmt), unpack(b, fmt)], fmt, mode)


@elementwise("a", "b", "mode")
def subtract(a: ArrayLike, b: ArrayLike, fmt: FloatFormat, mode: ArrayLike) -> Result:
    """``a - b``."""
    return _sum([], [unpack(a, fmt), _negated(unpack(b, fmt), True)], fmt, mode)


@elementwise("a", "b", "mode")
def multiply(a: ArrayLike, b: ArrayLike, fmt: FloatFormat, mode: ArrayLike) -> Result:
    """``a * b``."""
    return _sum([_product(unpack(a, fmt), unpack(b, fmt))], [], fmt, mode)


@elementwise("a0", "b0", "a1", "b1", "c", "mode")
def dot2(
    a0: ArrayLike,
    b0: ArrayLike,
    a1: ArrayLike,
    b1: ArrayLike,
    c: ArrayLike,
    source: FloatFormat,
    destination: FloatFormat,
    mode: ArrayLike,
    negate: bool = False,
) -> Result:
    """``±(a0 * b0) ± (a1 * b1) + c``; ``c`` and the result are of ``destination``.

    Infinity times zero, and two infinities of opposite sign among the three addends, are invalid
    whatever else is a NaN.
    """
    products = [
        _product(unpack(x, source), unpack(y, source), negate) for x, y in ((a0, b0), (a1, b1))
    ]
    return _sum(products, [unpack(c, destination)], destination, mode)


@elementwise("a0", "a1", "c", "mode")
def sum2(
    a0: ArrayLike,
    a1: ArrayLike,
    c: ArrayLike,
    source: FloatFormat,
    destination: FloatFormat,
    mode: ArrayLike,
) -> Result:
    """``a0 + a1 + c``; ``c`` and the result are of ``destination``."""
    addends = [unpack(a0, source), unpack(a1, source), unpack(c, destination)]
    return _sum([], addends, destination, mode)


@elementwise("bits", "mode")
def convert(
    bits: ArrayLike, source: FloatFormat, destination: FloatFormat, mode: ArrayLike
) -> Result:
    """The same number in another format (or in the same one, where only NaNs change)."""
    return _sum([], [unpack(bits, source)], destination, mode)


@elementwise("bits", "mode")
def from_integer(
    bits: ArrayLike, width: int, signed: bool, destination: FloatFormat, mode: ArrayLike
) -> Result:
    """Integers of ``width`` bits (two's complement if ``signed``) in ``destination``."""
    unsigned = np.asarray(bits, dtype=np.int64) & (1 << width) - 1
    values = wrap(unsigned, width) if signed else unsigned
    return round_sum([Term(values < 0, np.abs(values), np.zeros_like(values))], destination, mode)


@elementwise("bits", "mode")
def to_integer(
    bits: ArrayLike, source: FloatFormat, width: int, signed: bool, mode: ArrayLike
) -> Result:
    """Integers of ``width`` bits, at most 32, as patterns (negative ones in two's complement).

    A rounded number out of range gives the nearest integer in range, a NaN the largest one; both
    are invalid, and then not inexact.
    """
    x = unpack(bits, source)
    cut = np.clip(-x.exponent, 0, 62)  # significands are shorter than 62 bits
    kept = x.significand >> cut
    rest = x.significand & (1 << cut) - 1
    half = rest >> np.maximum(cut - 1, 0) & 1
    below = rest & (1 << np.maximum(cut - 1, 0)) - 1
    up = increments(mode, x.negative, kept & 1 == 1, half == 1, below != 0)
    # A significand other than 0 that is shifted by the width is out of range already.
    magnitude = kept + up << np.clip(x.exponent, 0, width)
    magnitude = np.where(x.infinite | x.nan, 1 << width, magnitude)
    rounded = np.where(x.negative & ~x.nan, -magnitude, magnitude)
    smallest, largest = (-1 << width - 1, (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    invalid = (rounded < smallest) | (rounded > largest)
    flags = np.where(invalid, NV, (rest != 0) * NX)
    return np.clip(rounded, smallest, largest) & (1 << width) - 1, flags


def _normalised(x: Numbers, bits: int) -> tuple[Integers, Integers]:
    """Significands of exactly ``bits`` bits (zeros stay) and the exponents that go with them."""
    shift = bits - np.frexp(x.significand.astype(np.float64))[1]
    return x.significand << shift, x.exponent - shift


@elementwise("a", "b", "mode")
def divide(a: ArrayLike, b: ArrayLike, fmt: FloatFormat, mode: ArrayLike) -> Result:
    """``a / b``. A finite number other than zero by zero is an infinity and raises DZ."""
    x, y = unpack(a, fmt), unpack(b, fmt)
    precision = fmt.fraction_bits + 1
    numerator, exponent = _normalised(x, precision)
    denominator, less = _normalised(y, precision)
    # Two bits more than a significand, and a last one for the remainder: on either side of every
    # boundary of the rounding there is the same as of the endless quotient.
    quotient, remainder = np.divmod(numerator << precision + 2, np.maximum(denominator, 1))
    significand = 2 * quotient + (remainder != 0)
    negative = x.negative ^ y.negative
    term = Term(negative, significand, exponent - less - (precision + 3))
    invalid = (x.zero & y.zero) | (x.infinite & y.infinite) | x.signalling | y.signalling
    nan = invalid | x.nan | y.nan
    by_zero = y.zero & ~x.infinite & ~nan
    term = Term(negative, np.where(y.zero | y.infinite, 0, significand), term.exponent)
    bits, flags = _special(round_sum([term], fmt, mode), fmt, x.infinite | by_zero, negative, nan)
    return bits, flags | invalid * NV | by_zero * DZ


@elementwise("a", "mode")
def square_root(a: ArrayLike, fmt: FloatFormat, mode: ArrayLike) -> Result:
    """``sqrt(a)``; that of −0 is −0, and that of any other negative number is invalid."""
    x = unpack(a, fmt)
    bits = 2 * (fmt.fraction_bits + 3)
    significand, exponent = _normalised(x, bits)
    odd = exponent & 1
    significand, exponent = significand >> odd, exponent + odd  # loses nothing: a zero is below
    # Below 2**52, float64 tells even the root of n**2 - 1 from n.
    root = np.sqrt(significand.astype(np.float64)).astype(np.int64)
    exact = root * root == significand
    # As in a division: bits to spare, and a last one for the remainder.
    term = Term(x.negative, 2 * root + ~exact, exponent // 2 - 1)
    invalid = (x.negative & ~x.zero & ~x.nan) | x.signalling
    result = _special(round_sum([term], fmt, mode), fmt, x.infinite, x.negative, x.nan | invalid)
    return result[0], result[1] | invalid * NV


def tree_sum(lanes: ArrayLike, active: ArrayLike, fmt: FloatFormat, mode: ArrayLike) -> Result:
    """Sums of rows (n, lanes) by a pairwise tree that rounds at every node; flags are ORed.

    active: Booleans (n, lanes). An inactive or missing lane is −0, in RDN +0: adding it changes
    nothing, not even the sign of a zero. mode: a scalar or (n,).
    """
    modes = np.asarray(mode, dtype=np.int64)
    nothing = np.where(modes == Mode.RDN, 0, fmt.sign_bit)
    return reduce_pairwise(lambda a, b: add(a, b, fmt, modes), lanes, active, nothing)
