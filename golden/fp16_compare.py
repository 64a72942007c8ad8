"""Comparisons, minimum and maximum, sign injection, classes: nothing here rounds."""

import numpy as np
from numpy.typing import ArrayLike

from golden.elementwise import elementwise
from golden.float_format import Booleans, FloatFormat, Numbers, unpack
from golden.integers import Integers
from golden.rounding import NV
from golden.tree import reduce_pairwise

Result = tuple[Integers, Integers]

COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
SIGNS = ("copy", "negate", "xor")


def _order(bits: ArrayLike, fmt: FloatFormat) -> Integers:
    """Integers that order all patterns but NaNs as their numbers, and −0 just below +0."""
    patterns = np.asarray(bits, dtype=np.int64)
    magnitude = patterns & fmt.sign_bit - 1
    return np.where((patterns & fmt.sign_bit) != 0, -1 - magnitude, magnitude)


@elementwise("a", "b")
def compare(a: ArrayLike, b: ArrayLike, fmt: FloatFormat, kind: str) -> Result:
    """1 where ``a`` compares so with ``b``, else 0. Kinds: eq, ne, lt, le, gt, ge.

    NaN compares with nothing, so that ``ne`` alone, being the opposite of ``eq``, is 1. Signalling
    NaNs are invalid; to the four kinds that order, quiet ones are as well.
    """
    x, y = unpack(a, fmt), unpack(b, fmt)
    nan = x.nan | y.nan
    same = ((_order(a, fmt) == _order(b, fmt)) | (x.zero & y.zero)) & ~nan
    less = (_order(a, fmt) < _order(b, fmt)) & ~same & ~nan
    outcome = {
        "eq": same,
        "ne": ~same,
        "lt": less,
        "le": less | same,
        "gt": ~(less | same | nan),
        "ge": ~(less | nan),
    }[kind]
    invalid = x.signalling | y.signalling
    if kind not in ("eq", "ne"):
        invalid |= nan
    return outcome.astype(np.int64), invalid * NV


def _choose(
    a: ArrayLike, b: ArrayLike, fmt: FloatFormat, first: Booleans, x: Numbers, y: Numbers
) -> Result:
    """``a`` where it is ``first`` or ``b`` is NaN, else ``b``; invalid with a signalling NaN."""
    chosen = np.where((first | y.nan) & ~x.nan, np.asarray(a), np.asarray(b))
    bits = np.where(x.nan & y.nan, fmt.canonical_nan, chosen)
    return bits, (x.signalling | y.signalling) * NV


@elementwise("a", "b")
def minimum(a: ArrayLike, b: ArrayLike, fmt: FloatFormat) -> Result:
    """minimumNumber of IEEE 754-2019: a NaN only if both are, and −0 is less than +0."""
    first = _order(a, fmt) <= _order(b, fmt)
    return _choose(a, b, fmt, first, unpack(a, fmt), unpack(b, fmt))


@elementwise("a", "b")
def maximum(a: ArrayLike, b: ArrayLike, fmt: FloatFormat) -> Result:
    """maximumNumber of IEEE 754-2019: a NaN only if both are, and +0 is more than −0."""
    first = _order(a, fmt) >= _order(b, fmt)
    return _choose(a, b, fmt, first, unpack(a, fmt), unpack(b, fmt))


def inject_sign(a: ArrayLike, b: ArrayLike, fmt: FloatFormat, kind: str) -> Integers:
    """``a`` with the sign of ``b`` (copy), its opposite (negate), or both signs' xor.

    Patterns only: NaNs are as good as numbers.
    """
    x, y = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    sign = {"copy": y, "negate": ~y, "xor": x ^ y}[kind] & fmt.sign_bit
    return x & fmt.sign_bit - 1 | sign


def classify(bits: ArrayLike, fmt: FloatFormat) -> Integers:
    """One bit set, as RISC-V numbers the classes.

    −∞ 0, −normal 1, −subnormal 2, −0 3, +0 4, +subnormal 5, +normal 6, +∞ 7, signalling NaN 8,
    quiet NaN 9.
    """
    x = unpack(bits, fmt)
    subnormal = x.significand >> fmt.fraction_bits == 0
    from_zero = np.select([x.zero, x.infinite, subnormal], [0, 3, 1], 2)
    number = np.where(x.negative, 3 - from_zero, 4 + from_zero)
    return 1 << np.where(x.nan, np.where(x.signalling, 8, 9), number)


def tree_minimum(lanes: ArrayLike, active: ArrayLike, fmt: FloatFormat) -> Result:
    """``minimum`` of the active lanes of each row (n, lanes), NaN if there are none."""
    return reduce_pairwise(lambda a, b: minimum(a, b, fmt), lanes, active, fmt.canonical_nan)


def tree_maximum(lanes: ArrayLike, active: ArrayLike, fmt: FloatFormat) -> Result:
    """``maximum`` of the active lanes of each row (n, lanes), NaN if there are none."""
    return reduce_pairwise(lambda a, b: maximum(a, b, fmt), lanes, active, fmt.canonical_nan)
