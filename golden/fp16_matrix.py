"""Matrix products in FLOAT16, with every accumulator on the way: fast, and exact all the same.

Everything here equals ``golden.fp16`` in mode RNE, NaNs and infinities included, without flags.
Operands and results are arrays of patterns, int64. The arithmetic is float64's:

FMADD rounds ``a * b + c`` once more than it should, to float64 first. That changes nothing. The
product, of 22 bits, is exact. Let ``e`` be the exponent of the sum, at most 16: larger ones are
infinite either way. If the sum is not exact in float64, bits below ``2**(e - 52)`` are in it; they
are not of ``c``, a multiple of ``2**-24``, so the product has them and is below ``2**(e - 30)``. To
``c``, that is nothing: the nearest boundary between FLOAT16 numbers is ``2**(e - 12)`` away or
more, and the sum rounds to ``c`` whether or not its last bits were rounded before.

EXDOTP adds two exact products to a FLOAT32 number. Accumulators are first supposed to be what two
additions in float64 and a rounding to FLOAT32 make of them. Then, for all of them together, it is
found out which additions were inexact; wherever that could have changed the rounding, the step is
done again in integers. An accumulator that turns out wrong is replaced, and what follows redone.
"""

from collections.abc import Iterator
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.float_format import FLOAT16, FLOAT32, Booleans, FloatFormat
from golden.integers import Integers
from golden.rounding import Mode, Term, round_sum

Floats = NDArray[np.float64]

KINDS = {FLOAT16: (np.uint16, np.float16), FLOAT32: (np.uint32, np.float32)}
#: Accumulators, those of all steps counted, that are in memory together.
BLOCK = 1 << 18


class Accumulation(Enum):
    """How a matrix product is summed up: one instruction of the unit for each step."""

    FMADD = "fmadd"
    EXDOTP = "exdotp"

    @property
    def terms(self) -> int:
        """Products in a step."""
        return 2 if self is Accumulation.EXDOTP else 1

    @property
    def format(self) -> FloatFormat:
        """Of the accumulators, and so of the result."""
        return FLOAT32 if self is Accumulation.EXDOTP else FLOAT16


def values(patterns: ArrayLike, fmt: FloatFormat) -> Floats:
    """The numbers that patterns of FLOAT16 or FLOAT32 stand for."""
    unsigned, kind = KINDS[fmt]
    with np.errstate(invalid="ignore"):  # signalling NaNs
        return np.asarray(patterns, np.int64).astype(unsigned).view(kind).astype(np.float64)


def patterns(numbers: ArrayLike, fmt: FloatFormat) -> Integers:
    """Patterns of the nearest FLOAT16 or FLOAT32 numbers, ties to even; NaNs are canonical."""
    given = np.asarray(numbers, dtype=np.float64)
    unsigned, kind = KINDS[fmt]
    with np.errstate(over="ignore", under="ignore"):
        bits = given.astype(kind).view(unsigned).astype(np.int64)
    return np.where(np.isnan(given), fmt.canonical_nan, bits)


def fused_multiply_add(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Integers:
    """``a * b + c``, element by element, all in FLOAT16."""
    x, y, z = np.broadcast_arrays(*(values(each, FLOAT16) for each in (a, b, c)))
    with np.errstate(all="ignore"):
        return patterns(_fmadd((x * y)[None], z)[0], FLOAT16)


def dot2(a0: ArrayLike, b0: ArrayLike, a1: ArrayLike, b1: ArrayLike, c: ArrayLike) -> Integers:
    """``a0 * b0 + a1 * b1 + c``, element by element; ``c`` and the result are FLOAT32."""
    factors = (values(each, FLOAT16) for each in (a0, b0, a1, b1))
    w, x, y, z, addend = np.broadcast_arrays(*factors, values(c, FLOAT32))
    with np.errstate(all="ignore"):
        return patterns(_exdotp((w * x)[None], (y * z)[None], addend)[0], FLOAT32)


def multiply(a: ArrayLike, b: ArrayLike, how: Accumulation, c: ArrayLike | None = None) -> Integers:
    """``c + a @ b`` for FLOAT16 patterns (N, K) and (K, M), summed up as ``accumulators`` has it.

    c and the result: patterns (N, M) of ``how.format``; without ``c``, sums begin at +0.
    """
    return np.concatenate([patterns(block[-1], how.format) for block in _blocks(a, b, how, c)])


def accumulators(
    a: ArrayLike, b: ArrayLike, how: Accumulation, c: ArrayLike | None = None
) -> Integers:
    """Accumulators of ``multiply`` after every step, patterns (steps, N, M).

    Step k adds the products of column k of ``a`` and row k of ``b``, EXDOTP those of the k-th
    pair of them; if K is odd, +0 fills up the last pair.
    """
    blocks = [patterns(block, how.format) for block in _blocks(a, b, how, c)]
    return np.concatenate(blocks, axis=1)


def pad_depth(a: ArrayLike, b: ArrayLike, multiple: int) -> tuple[Integers, Integers]:
    """``a`` (N, K) and ``b`` (K, M) with +0 appended until K is a multiple of ``multiple``."""
    left, right = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    missing = -left.shape[1] % multiple
    return np.pad(left, ((0, 0), (0, missing))), np.pad(right, ((0, missing), (0, 0)))


def _blocks(a: ArrayLike, b: ArrayLike, how: Accumulation, c: ArrayLike | None) -> Iterator[Floats]:
    """Accumulators (steps, rows, M) of some rows after the other. K, N and M are 1 or more."""
    left, right = (values(each, FLOAT16) for each in pad_depth(a, b, how.terms))
    depth, width = right.shape
    start = np.zeros((len(left), width)) if c is None else values(c, how.format)
    if left.shape[1] != depth or start.shape != (len(left), width):
        raise ValueError(f"shapes {left.shape}, {right.shape} and {start.shape} do not fit")
    rows = max(1, BLOCK // (depth * width))
    with np.errstate(all="ignore"):
        for top in range(0, len(left), rows):
            block = slice(top, top + rows)
            products = left[block].T[:, :, None] * right[:, None, :]
            if how is Accumulation.FMADD:
                yield _fmadd(products, start[block])
            else:
                yield _exdotp(products[0::2], products[1::2], start[block])


def _fmadd(products: Floats, start: Floats) -> Floats:
    return _accumulate(products, start, np.dtype(np.float16))


def _exdotp(first: Floats, second: Floats, start: Floats) -> Floats:
    pairs = first + second
    lost = _inexact(first, second, pairs)
    totals = _accumulate(pairs, start, np.dtype(np.float32))
    step = 0
    while step < len(totals):
        before = np.concatenate([(totals[step - 1] if step else start)[None], totals[step:-1]])
        doubtful = np.nonzero(_doubtful(pairs[step:], lost[step:], before))
        exact = _rounded_sum(first[step:][doubtful], second[step:][doubtful], before[doubtful])
        supposed = totals[step:][doubtful]
        wrong = np.flatnonzero(exact.view(np.int64) != supposed.view(np.int64))
        if not len(wrong):
            break
        # Steps are in order, so the first one that is wrong has been given the right operands.
        bad = doubtful[0] == doubtful[0][wrong[0]]
        step += int(doubtful[0][wrong[0]])
        totals[step][tuple(axis[bad] for axis in doubtful[1:])] = exact[bad]
        step += 1
        totals[step:] = _accumulate(pairs[step:], totals[step - 1], np.dtype(np.float32))
    return totals


def _accumulate(addends: Floats, start: Floats, kind: np.dtype) -> Floats:
    """Running sums over axis 0 from ``start`` on, each one rounded to ``kind``."""
    totals = np.empty_like(addends)
    rounded = np.empty(start.shape, kind)
    last = start
    for addend, total in zip(addends, totals, strict=True):
        np.add(addend, last, out=total)
        rounded[...] = total
        total[...] = rounded
        last = total
    return totals


def _doubtful(pairs: Floats, lost: Booleans, before: Floats) -> Booleans:
    """Whether ``pairs + lost + before`` may round to another FLOAT32 than ``pairs + before``.

    Finite sums only: what is not finite is so by its operands, and has no errors.
    """
    total = pairs + before
    # The nearest float64 to a sum rounds like the sum, unless it is half way between two FLOAT32.
    # (Subnormal ones are not among them: pairs are multiples of 2**-48, so tiny sums are exact.)
    tie = (total.view(np.int64) & (1 << 29) - 1) == 1 << 28
    return (lost | (tie & _inexact(pairs, before, total))) & np.isfinite(total)


def _inexact(x: Floats, y: Floats, total: Floats) -> Booleans:
    """Whether ``total``, ``x + y`` in float64, is not their sum (Knuth's TwoSum has an error)."""
    return (total - x != y) | (total - y != x)


def _rounded_sum(*numbers: Floats) -> Floats:
    """Sums of finite numbers, element by element, rounded once to FLOAT32."""
    if not numbers[0].size:
        return np.empty(0)
    bits, _ = round_sum([_term(each) for each in numbers], FLOAT32, Mode.RNE)
    return values(bits, FLOAT32)


def _term(numbers: Floats) -> Term:
    mantissa, exponent = np.frexp(numbers)
    significand = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
    return Term(np.signbit(numbers), significand, exponent.astype(np.int64) - 53)
