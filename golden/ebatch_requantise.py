"""Requantisation: an integer times a real factor, as 8-bit inference kernels compute it.

A factor is ``multiplier * 2**(shift - 31)``. There are two roundings, of the product to 32 bits and
of the right shift; so results are not always those of one rounding. Source: the ``requantize`` of
TensorFlow Lite and CMSIS-NN with double rounding, which is their default.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from golden.integers import Integers, signed_range

MIN_SHIFT, MAX_SHIFT = -31, 30


@dataclass(frozen=True)
class Scale:
    """One factor, ``multiplier * 2**(shift - 31)``.

    multiplier: 0 … 2**31 - 1. shift: -31 … 30; positive is a left shift before the
    multiplication, negative a rounding right shift behind it. ValueError for anything else.
    """

    multiplier: int
    shift: int

    def __post_init__(self) -> None:
        if not 0 <= self.multiplier < 1 << 31:
            raise ValueError(f"multiplier is {self.multiplier}; allowed are 0 to 2**31 - 1")
        if not MIN_SHIFT <= self.shift <= MAX_SHIFT:
            raise ValueError(f"shift is {self.shift}; allowed are {MIN_SHIFT} to {MAX_SHIFT}")

    @classmethod
    def nearest(cls, factor: float) -> "Scale":
        """The scale nearest to ``factor``, multiplier 2**30 at least; 0 if that would be too small.

        ValueError for a factor below 0 or too large. Relative error: 2**-31 at most.
        """
        fraction, shift = math.frexp(factor)
        multiplier = round(fraction * (1 << 31))
        if multiplier == 1 << 31:
            multiplier, shift = 1 << 30, shift + 1
        return cls(multiplier, shift) if shift >= MIN_SHIFT else cls(0, 0)


def requantise(values: ArrayLike, scale: Scale) -> Integers:
    """``values`` times ``scale``, int32 in int64, any shape; nothing saturates.

    Raises ValueError if a value is not int32, or not after the left shift.
    """
    return requantise_each(values, scale.multiplier, scale.shift)


def requantise_each(values: ArrayLike, multipliers: ArrayLike, shifts: ArrayLike) -> Integers:
    """The same with a factor for each value: the three arrays broadcast against each other."""
    number, shift = np.asarray(values, dtype=np.int64), np.asarray(shifts, dtype=np.int64)
    _must_be_int32(number, "to be requantised")
    if (shift > 0).any():
        number = number << np.maximum(shift, 0)
        _must_be_int32(number, "behind the left shift")
    product = number * np.asarray(multipliers, dtype=np.int64) + (1 << 30) >> 31
    return rounding_shift_right(product, np.maximum(-shift, 0))


def rounding_shift_right(values: ArrayLike, bits: ArrayLike) -> Integers:
    """``values / 2**bits`` to the nearest integer, ties away from zero; bits is 0 … 62."""
    number, count = np.asarray(values, dtype=np.int64), np.asarray(bits, dtype=np.int64)
    mask = (np.int64(1) << count) - 1
    above = (number & mask) > (mask >> 1) + (number < 0)
    return (number >> count) + above


def saturate(values: ArrayLike, bits: int) -> Integers:
    """The number of ``bits`` bits, two's complement, that is nearest to each of ``values``."""
    return np.clip(np.asarray(values, dtype=np.int64), *signed_range(bits))


def _must_be_int32(numbers: Integers, where: str) -> None:
    low, high = signed_range(32)
    if numbers.size and not (low <= numbers.min() and numbers.max() <= high):
        raise ValueError(f"{numbers.min()} to {numbers.max()} {where}; allowed is int32")
