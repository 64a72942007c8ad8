"""Operands at the corners of a format, where random bits seldom are."""

import numpy as np

from golden.float_format import FloatFormat
from golden.fp16 import multiply
from golden.integers import Integers
from golden.rounding import Mode


def corner_values(rng: np.random.Generator, fmt: FloatFormat, shape: tuple[int, ...]) -> Integers:
    """Bit patterns: extreme, middle and random exponents with patterned and random fractions."""
    top = (1 << fmt.exponent_bits) - 1
    exponents = np.array([0, 1, 2, fmt.bias - 1, fmt.bias, fmt.bias + 1, top - 1, top])
    exponent = np.where(
        rng.random(shape) < 0.4, rng.choice(exponents, shape), rng.integers(0, top + 1, shape)
    )
    ones = (1 << fmt.fraction_bits) - 1
    half = 1 << fmt.fraction_bits - 1
    hot = [1 << bit for bit in range(fmt.fraction_bits)]
    fractions = np.array([0, 0, 1, 2, ones, ones - 1, half - 1, half + 1, *hot])
    fraction = np.where(
        rng.random(shape) < 0.6, rng.choice(fractions, shape), rng.integers(0, ones + 1, shape)
    )
    sign = rng.integers(0, 2, shape)
    return sign << fmt.width - 1 | exponent << fmt.fraction_bits | fraction


def near_negative(rng: np.random.Generator, a: Integers, b: Integers, fmt: FloatFormat) -> Integers:
    """Addends that nearly cancel the products of ``a`` and ``b``: a few units off at most."""
    product, _ = multiply(a, b, fmt, Mode.RNE)
    return (product ^ fmt.sign_bit) + rng.integers(-2, 3, a.shape) & (1 << fmt.width) - 1


def weights(rng: np.random.Generator, fmt: FloatFormat, shape: tuple[int, ...]) -> Integers:
    """Normally distributed numbers of ordinary size, truncated to the format."""
    bits = rng.normal(size=shape).astype(np.float64).view(np.int64)
    exponent = (bits >> 52 & 0x7FF) - 1023 + fmt.bias
    fraction = bits >> 52 - fmt.fraction_bits & (1 << fmt.fraction_bits) - 1
    packed = np.clip(exponent, 1, (1 << fmt.exponent_bits) - 2) << fmt.fraction_bits | fraction
    return np.where(bits < 0, fmt.sign_bit, 0) | packed
