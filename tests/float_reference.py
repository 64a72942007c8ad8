"""Floating point that is not the golden model's: SoftFloat, and IEEE 754 in exact fractions."""

import ctypes
import importlib
import importlib.util
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache

import numpy as np

from golden.float_format import FLOAT16, FLOAT32, FloatFormat
from golden.integers import Integers
from golden.rounding import DZ, NV, NX, OF, UF, Mode

TINY = FloatFormat(3, 2)
TINY_WIDE = FloatFormat(4, 7)


@cache
def library() -> ctypes.CDLL:
    """SoftFloat's C functions, as the extension module of its Python package exports them."""
    path = importlib.import_module("_softfloat").__file__
    assert path is not None
    return ctypes.CDLL(path)


C_TYPES = {
    "f16": ctypes.c_uint16,
    "f32": ctypes.c_uint32,
    "i32": ctypes.c_int32,
    "ui32": ctypes.c_uint32,
    "bool": ctypes.c_bool,
}


def softfloat(
    name: str, operand: str, result: str, mode: int, *columns: Integers
) -> tuple[Integers, Integers]:
    """Results (a NaN always the canonical one) and flags of a function of SoftFloat.

    The release in that package is wrong here and there, all seen and checked by hand: do not ask
    it for ``f32_sqrt`` (that of 2 is 1), for comparisons of +0 with −0 in 16 bits (unequal), or
    for ``f16_add`` and ``f16_sub`` in RDN (no OF with −∞ for some sums).
    """
    rounding = ctypes.c_uint8.in_dll(library(), "softfloat_roundingMode")
    raised = ctypes.c_uint8.in_dll(library(), "softfloat_exceptionFlags")
    tininess = ctypes.c_uint8.in_dll(library(), "softfloat_detectTininess")
    function = getattr(library(), name)
    function.restype = C_TYPES[result]
    function.argtypes = [C_TYPES[operand]] * len(columns)
    extra = ()
    if operand.startswith("f") and result.endswith("i32"):
        function.argtypes += [ctypes.c_uint8, ctypes.c_bool]
        extra = (mode, True)
    rounding.value, tininess.value = mode, 1
    bits, flags = [], []
    for operands in zip(*[column.tolist() for column in columns], strict=True):
        raised.value = 0
        bits.append(function(*operands, *extra))
        flags.append(raised.value)
    found = np.array(bits, dtype=np.int64)
    if result in ("f16", "f32"):
        fmt = FLOAT16 if result == "f16" else FLOAT32
        nan = found & fmt.sign_bit - 1 > fmt.infinity
        found = np.where(nan, fmt.canonical_nan, found)
    return found, np.array(flags, dtype=np.int64)


@dataclass(frozen=True)
class Value:
    """A pattern decoded. kind: finite, infinite, quiet or signalling."""

    kind: str
    negative: bool
    number: Fraction = Fraction(0)

    @property
    def nan(self) -> bool:
        return self.kind in ("quiet", "signalling")

    @property
    def zero(self) -> bool:
        return self.kind == "finite" and self.number == 0

    def negated(self) -> "Value":
        return Value(self.kind, not self.negative, -self.number)


@lru_cache(maxsize=1 << 18)
def decode(bits: int, fmt: FloatFormat) -> Value:
    text = f"{bits:0{fmt.width}b}"
    negative = text[0] == "1"
    exponent = int(text[1 : 1 + fmt.exponent_bits], 2)
    fraction = text[1 + fmt.exponent_bits :]
    if exponent == 2**fmt.exponent_bits - 1:
        if "1" not in fraction:
            return Value("infinite", negative)
        return Value("quiet" if fraction[0] == "1" else "signalling", negative)
    scale = Fraction(2) ** (max(exponent, 1) - (2 ** (fmt.exponent_bits - 1) - 1))
    number = (min(exponent, 1) + Fraction(int(fraction, 2), 2 ** len(fraction))) * scale
    return Value("finite", negative, -number if negative else number)


def pattern(magnitude: Fraction, fmt: FloatFormat) -> int:
    """Of zero, or of a positive number that is in the format."""
    if magnitude == 0:
        return 0
    lowest = 2 - 2 ** (fmt.exponent_bits - 1)
    exponent = max(log2_floor(magnitude), lowest)
    steps = magnitude / Fraction(2) ** (exponent - fmt.fraction_bits)
    assert steps.denominator == 1
    return ((exponent - lowest) << fmt.fraction_bits) + int(steps)


def log2_floor(magnitude: Fraction) -> int:
    guess = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return guess if magnitude >= Fraction(2) ** guess else guess - 1


def to_multiple(magnitude: Fraction, unit: Fraction, negative: bool, mode: int) -> Fraction:
    """One of the two neighbouring multiples of ``unit``, as the mode chooses."""
    steps = magnitude / unit
    down = Fraction(steps.numerator // steps.denominator)
    beyond = steps - down
    if beyond == 0 or mode == Mode.RTZ:
        up = False
    elif mode in (Mode.RDN, Mode.RUP):
        up = negative == (mode == Mode.RDN)
    elif beyond == Fraction(1, 2):
        up = mode == Mode.RMM or down % 2 == 1
    else:
        up = beyond > Fraction(1, 2)
    return (down + up) * unit


@lru_cache(maxsize=1 << 17)
def rounded(number: Fraction, fmt: FloatFormat, mode: int) -> tuple[int, int]:
    """Pattern and flags of a number other than zero."""
    negative, magnitude = number < 0, abs(number)
    sign = 2 ** (fmt.width - 1) if negative else 0
    smallest_normal = Fraction(2) ** (2 - 2 ** (fmt.exponent_bits - 1))
    unlimited_unit = Fraction(2) ** (log2_floor(magnitude) - fmt.fraction_bits)
    unit = max(unlimited_unit, smallest_normal / 2**fmt.fraction_bits)
    chosen = to_multiple(magnitude, unit, negative, mode)
    flags = NX if chosen != magnitude else 0
    if chosen >= Fraction(2) ** (2 ** (fmt.exponent_bits - 1)):
        infinity = (2**fmt.exponent_bits - 1) << fmt.fraction_bits
        to_largest = mode == Mode.RTZ or mode == (Mode.RUP if negative else Mode.RDN)
        return sign + infinity - to_largest, NX | OF
    if flags and to_multiple(magnitude, unlimited_unit, negative, mode) < smallest_normal:
        flags |= UF
    return sign + pattern(chosen, fmt), flags


@dataclass(frozen=True)
class Exact:
    """A result before it is rounded. negative: None for a zero whose sign is the mode's."""

    kind: str
    negative: bool | None = None
    number: Fraction = Fraction(0)
    flags: int = 0

    def rounded(self, fmt: FloatFormat, mode: int) -> tuple[int, int]:
        if self.kind == "nan":
            return fmt.canonical_nan, self.flags
        if self.number != 0:
            return rounded(self.number, fmt, mode)
        negative = mode == Mode.RDN if self.negative is None else self.negative
        infinite = fmt.infinity if self.kind == "infinite" else 0
        return infinite + (fmt.sign_bit if negative else 0), self.flags


def exact_sum(products: Sequence[tuple[Value, Value]], addends: Sequence[Value]) -> Exact:
    factors = [factor for product in products for factor in product]
    invalid = any(value.kind == "signalling" for value in [*factors, *addends])
    parts = list(addends)
    for x, y in products:
        negative = x.negative != y.negative
        if {x.kind, y.kind} <= {"finite", "infinite"}:
            if (x.zero and y.kind == "infinite") or (y.zero and x.kind == "infinite"):
                invalid = True
            elif "infinite" in (x.kind, y.kind):
                parts.append(Value("infinite", negative))
            else:
                parts.append(Value("finite", negative, x.number * y.number))
    infinities = {value.negative for value in parts if value.kind == "infinite"}
    invalid = invalid or len(infinities) == 2
    if invalid or any(value.nan for value in [*factors, *addends]):
        return Exact("nan", flags=NV if invalid else 0)
    if infinities:
        return Exact("infinite", infinities.pop())
    total = sum((value.number for value in parts), Fraction(0))
    signs = {value.negative for value in parts}
    agreed = signs.pop() if len(signs) == 1 else None
    return Exact("finite", agreed if total == 0 else None, total)


def exact_quotient(x: Value, y: Value) -> Exact:
    negative = x.negative != y.negative
    both = (x.zero and y.zero) or (x.kind == y.kind == "infinite")
    if "signalling" in (x.kind, y.kind) or both:
        return Exact("nan", flags=NV)
    if x.nan or y.nan:
        return Exact("nan")
    if x.kind == "infinite":
        return Exact("infinite", negative)
    if y.zero:
        return Exact("infinite", negative, flags=DZ)
    if y.kind == "infinite" or x.zero:
        return Exact("finite", negative)
    return Exact("finite", None, x.number / y.number)


def root(bits: int, fmt: FloatFormat, mode: int) -> tuple[int, int]:
    """Square root (of a format where no root is subnormal) by its definition.

    The number is between the squares of two neighbours.
    """
    value = decode(bits, fmt)
    if value.kind == "signalling" or (value.negative and not value.zero and not value.nan):
        return fmt.canonical_nan, NV
    if value.nan:
        return fmt.canonical_nan, 0
    if value.zero or value.kind == "infinite":
        return bits, 0
    guess = Fraction(math.sqrt(value.number))
    unit = Fraction(2) ** (log2_floor(guess) - fmt.fraction_bits)
    down = pattern(guess // unit * unit, fmt)
    while decode(down, fmt).number ** 2 > value.number:
        down -= 1
    while decode(down + 1, fmt).number ** 2 <= value.number:
        down += 1
    low, high = decode(down, fmt).number, decode(down + 1, fmt).number
    if low**2 == value.number:
        return down, 0
    above_middle = ((low + high) / 2) ** 2 < value.number  # never equal: it has too many bits
    up = mode == Mode.RUP or (mode in (Mode.RNE, Mode.RMM) and above_middle)
    return down + up, NX


def strata(fmt: FloatFormat) -> Integers:
    """Patterns where things happen: significands at their ends, exponents at theirs."""
    ones = (1 << fmt.fraction_bits) - 1
    top = (1 << fmt.exponent_bits) - 1
    half = 1 << fmt.fraction_bits - 1
    fractions = {0, 1, 2, half - 1, half, half + 1, ones - 1, ones, ones // 3}
    near = range(fmt.bias - fmt.fraction_bits - 3, fmt.bias + fmt.fraction_bits + 4)
    exponents = {0, 1, 2, fmt.fraction_bits, top - 2, top - 1, top, *near}
    magnitudes = [
        e << fmt.fraction_bits | f
        for e in exponents
        for f in fractions
        if 0 <= e <= top and 0 <= f <= ones
    ]
    return np.array(sorted(magnitudes + [m | fmt.sign_bit for m in magnitudes]))


def specials(fmt: FloatFormat) -> list[int]:
    """Both signs of zeros, ends of the subnormals and normals, 1, infinity and NaNs."""
    smallest_normal = 1 << fmt.fraction_bits
    one = fmt.bias << fmt.fraction_bits
    magnitudes = [
        *(0, 1, 2, smallest_normal - 1, smallest_normal, smallest_normal + 1),
        *(one - 1, one, one + 1, fmt.largest - 1, fmt.largest, fmt.infinity),
        *(fmt.infinity + 1, fmt.canonical_nan - 1, fmt.canonical_nan, fmt.sign_bit - 1),
    ]
    return [sign | magnitude for sign in (0, fmt.sign_bit) for magnitude in magnitudes]


def rows(*columns: Integers) -> Iterator[tuple[int, ...]]:
    return zip(*[column.tolist() for column in columns], strict=True)
