"""Fixed-width integers that all golden models share."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.int64]


def signed_range(bits: int) -> tuple[int, int]:
    """Smallest and largest two's-complement number of ``bits`` bits."""
    return -(1 << bits - 1), (1 << bits - 1) - 1


def all_signed(bits: int) -> Integers:
    """Every two's-complement number of ``bits`` bits, ascending."""
    low, high = signed_range(bits)
    return np.arange(low, high + 1, dtype=np.int64)


def wrap(values: ArrayLike, bits: int) -> Integers:
    """``values`` modulo ``2**bits`` as two's complement, 1 to 64 bits.

    Sums and products of int64 arrays wrap modulo ``2**64`` themselves, so wrapping once at the
    end is exact however often they overflowed on the way.
    """
    shift = np.int64(64 - bits)
    return np.right_shift(np.left_shift(np.asarray(values, dtype=np.int64), shift), shift)
