"""Binary floating-point formats, and the fields and classes of a value in one."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Value

from hdl.wire import wire


@dataclass(frozen=True)
class Format:
    """An IEEE 754 binary interchange format: sign, exponent, fraction, in that order from the top.

    exponent_bits: 2 to 11, fraction_bits: 2 to 52. Raises ValueError for others.
    """

    exponent_bits: int
    fraction_bits: int

    def __post_init__(self) -> None:
        for field, low, high in (("exponent_bits", 2, 11), ("fraction_bits", 2, 52)):
            value = getattr(self, field)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{field} is {value!r}; allowed are {low} to {high}")

    @property
    def width(self) -> int:
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def precision(self) -> int:
        """Bits of a significand, the leading one included."""
        return self.fraction_bits + 1

    @property
    def bias(self) -> int:
        return (1 << self.exponent_bits - 1) - 1

    @property
    def largest_exponent(self) -> int:
        """Biased exponent of the largest finite values; infinities and NaNs have the next one."""
        return (1 << self.exponent_bits) - 2

    @property
    def infinity(self) -> int:
        """Bits of +infinity."""
        return (self.largest_exponent + 1) << self.fraction_bits

    @property
    def canonical_nan(self) -> int:
        """The one NaN that operations return: positive, quiet, no payload."""
        return self.infinity | 1 << self.fraction_bits - 1

    @property
    def one(self) -> int:
        """Bits of 1.0."""
        return self.bias << self.fraction_bits

    @property
    def name(self) -> str:
        return f"e{self.exponent_bits}m{self.fraction_bits}"


FLOAT16 = Format(5, 10)
BFLOAT16 = Format(8, 7)
FLOAT32 = Format(8, 23)
#: Small enough to try all triples of values.
TINY = Format(3, 2)


class Unpacked:
    """A value taken apart; every attribute is a Value.

    sign, exponent (biased; 1 for subnormals and zeros, whose significand lacks the leading one),
    significand (``precision`` bits): ``significand * 2**(exponent - bias - fraction_bits)``.
    is_normal (or special), is_zero, is_subnormal, is_infinite, is_nan, is_signalling (a NaN).
    """

    def __init__(self, m: Module, bits: Value, format: Format, name: str) -> None:
        value = wire(m, bits, name)
        fraction = value[: format.fraction_bits]
        exponent = value[format.fraction_bits : -1]
        has_fraction = wire(m, fraction.any(), f"{name}_has_fraction")
        is_normal = wire(m, exponent.any(), f"{name}_is_normal")
        is_special = wire(m, exponent.all(), f"{name}_is_special")
        self.sign = value[-1]
        self.exponent: Value = Cat(exponent[0] | ~is_normal, exponent[1:])
        self.significand: Value = Cat(fraction, is_normal)
        self.is_normal: Value = is_normal
        self.is_zero: Value = wire(m, ~is_normal & ~has_fraction, f"{name}_is_zero")
        self.is_subnormal: Value = ~is_normal & has_fraction
        self.is_infinite: Value = wire(m, is_special & ~has_fraction, f"{name}_is_infinite")
        self.is_nan: Value = wire(m, is_special & has_fraction, f"{name}_is_nan")
        self.is_signalling: Value = self.is_nan & ~fraction[-1]
