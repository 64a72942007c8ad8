"""Operators of the Piper pipeline on arrays of 32-bit words, any shape; results are uint32.

A word is a bit pattern: of an int32 in two's complement, a uint32, or a float32. Operands may be
of any integer type; only their lower 32 bits count. Source of the operators: facebookresearch/dlrm
``data_utils.py``; those of Piper are the same.
"""

import decimal
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.integers import Integers, wrap

Words = NDArray[np.uint32]

WORD = 32
#: Bits of a float64 fraction that a float32 one lacks.
_EXTRA_BITS = 29
#: How far, in units of its last place, a float64 logarithm may be off: libraries promise 1 to 4.
_LOG_ERROR = 8
#: Decimal digits that decide on which side of the middle of two float32 a logarithm is.
_DIGITS = 50


def as_words(values: ArrayLike) -> Words:
    """The lower 32 bits of integers of any type."""
    return np.asarray(values).astype(np.uint32)


def signed(words: ArrayLike) -> Integers:
    """What ``words`` are as int32, in int64."""
    return wrap(words, WORD)


def neg2zero(words: ArrayLike) -> Words:
    """max(0, x), x int32."""
    return as_words(np.maximum(signed(words), 0))


def logarithm(words: ArrayLike) -> Words:
    """float32 nearest to ln(x + 1), x int32; +0.0 for x < 0. No error, all results are normal or 0.

    x + 1 is exact in float64, and so close a logarithm of it rounds to the right float32 unless it
    is next to the middle of two. The few that are (about one in 30 million) are decided by
    ``decimal``, whose ``ln`` is correctly rounded to as many digits as asked. A tie can't be: the
    logarithm of an integer above 1 is not rational.
    """
    numbers = np.maximum(signed(words), 0)
    arguments = np.ravel(numbers) + 1
    close = np.log(arguments.astype(np.float64))
    nearest = close.astype(np.float32)
    beyond = close.view(np.int64) & (1 << _EXTRA_BITS) - 1
    doubtful = np.abs(beyond - (1 << _EXTRA_BITS - 1)) <= _LOG_ERROR
    for index in np.flatnonzero(doubtful).tolist():
        nearest[index] = _nearest_logarithm(int(arguments[index]))
    return nearest.view(np.uint32).reshape(numbers.shape)


def _nearest_logarithm(argument: int) -> np.float32:
    guess = np.float32(math.log(argument))
    candidates = [np.nextafter(guess, np.float32(side)) for side in (0, np.inf)]
    with decimal.localcontext(prec=_DIGITS):
        exact = decimal.Decimal(argument).ln()
        return min([guess, *candidates], key=lambda near: abs(decimal.Decimal(float(near)) - exact))


def modulus(words: ArrayLike, divisor: int) -> Words:
    """x mod ``divisor``, x uint32; x itself if ``divisor`` is 0. ``divisor`` has 32 bits."""
    if not 0 <= divisor < 1 << WORD:
        raise ValueError(f"modulus is {divisor}; allowed are 0 to 2**{WORD} - 1")
    return as_words(words) % np.uint32(divisor) if divisor else as_words(words)


def bucketise(words: ArrayLike, boundaries: Sequence[int]) -> Words:
    """How many of the ascending ``boundaries`` are ≤ x, x int32: 0 … len(boundaries)."""
    limits = np.asarray(boundaries, dtype=np.int64)
    if (np.diff(limits) <= 0).any():
        raise ValueError(f"boundaries are {list(boundaries)}; they must strictly ascend")
    return as_words(np.searchsorted(limits, signed(words), side="right"))
