"""Binary floating-point formats (IEEE 754) and what their bit patterns stand for.

A finite pattern is ``(-1)**negative * significand * 2**exponent`` with integer significand and
exponent; subnormals are finite patterns like any other, their significand is only shorter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.integers import Integers

Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class FloatFormat:
    """A format: sign, ``exponent_bits`` and ``fraction_bits``, most significant first.

    Infinity and NaN have an exponent field of all ones. A NaN is signalling if the most
    significant bit of its fraction is 0.
    """

    exponent_bits: int
    fraction_bits: int

    def __post_init__(self) -> None:
        if self.exponent_bits < 2 or self.fraction_bits < 1:
            raise ValueError(f"{self} needs 2 or more exponent bits, 1 or more fraction bits")

    @property
    def width(self) -> int:
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def bias(self) -> int:
        return (1 << self.exponent_bits - 1) - 1

    @property
    def min_exponent(self) -> int:
        """Exponent of the smallest normal number, ``2**min_exponent``."""
        return 1 - self.bias

    @property
    def max_exponent(self) -> int:
        """Largest normal numbers are below ``2**(max_exponent + 1)``."""
        return self.bias

    @property
    def lowest_exponent(self) -> int:
        """Every finite number is a multiple of ``2**lowest_exponent``."""
        return self.min_exponent - self.fraction_bits

    @property
    def sign_bit(self) -> int:
        return 1 << self.width - 1

    @property
    def infinity(self) -> int:
        """Pattern of +∞; finite magnitudes have smaller patterns and NaNs larger ones."""
        return (1 << self.exponent_bits) - 1 << self.fraction_bits

    @property
    def largest(self) -> int:
        """Pattern of the largest finite number."""
        return self.infinity - 1

    @property
    def quiet_bit(self) -> int:
        return 1 << self.fraction_bits - 1

    @property
    def canonical_nan(self) -> int:
        return self.infinity | self.quiet_bit


FLOAT16 = FloatFormat(5, 10)
BFLOAT16 = FloatFormat(8, 7)
FLOAT32 = FloatFormat(8, 23)


@dataclass(frozen=True)
class Numbers:
    """What an array of patterns stands for. Infinities and NaNs have significand 0."""

    negative: Booleans
    significand: Integers
    exponent: Integers
    infinite: Booleans
    nan: Booleans
    signalling: Booleans

    @property
    def zero(self) -> Booleans:
        return (self.significand == 0) & ~self.infinite & ~self.nan


def unpack(bits: ArrayLike, fmt: FloatFormat) -> Numbers:
    """Numbers that ``bits``, patterns of ``fmt``, stand for."""
    patterns = np.asarray(bits, dtype=np.int64)
    magnitude = patterns & fmt.sign_bit - 1
    field = magnitude >> fmt.fraction_bits
    hidden = (field != 0).astype(np.int64) << fmt.fraction_bits
    fraction = magnitude & (1 << fmt.fraction_bits) - 1
    nan = magnitude > fmt.infinity
    return Numbers(
        negative=(patterns & fmt.sign_bit) != 0,
        significand=np.where(magnitude < fmt.infinity, hidden + fraction, 0),
        exponent=np.maximum(field, 1) - fmt.bias - fmt.fraction_bits,
        infinite=magnitude == fmt.infinity,
        nan=nan,
        signalling=nan & (patterns & fmt.quiet_bit == 0),
    )
