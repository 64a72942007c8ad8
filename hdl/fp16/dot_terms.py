"""The terms of a dot product, two products and an addend, on common ground."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Value

from hdl.fp16.format import Format, Unpacked
from hdl.pipeline import Bundle
from hdl.wire import wire


@dataclass(frozen=True)
class Term:
    """A number: ``significand`` with its highest bit, which may be zero, at ``2**exponent``."""

    sign: Value
    exponent: Value
    significand: Value

    def bundle(self, name: str) -> Bundle:
        """The fields, to be passed from stage to stage."""
        return {f"{name}_{field}": value for field, value in vars(self).items()}

    @classmethod
    def of(cls, bundle: Bundle, name: str) -> "Term":
        return cls(*(bundle[f"{name}_{field}"] for field in cls.__dataclass_fields__))


@dataclass(frozen=True)
class TermFormat:
    """Holds every product of two ``lane`` numbers and every ``wide`` number exactly.

    ``precision`` is the number of bits of a significand. Exponents count from
    ``lowest_exponent``, so that those of normalised terms are not negative; ``exponent_bits``
    hold them and the next two above the highest.
    Raises ValueError if ``wide`` has too few bits for the significand of a product.
    """

    lane: Format
    wide: Format

    def __post_init__(self) -> None:
        if self.precision < 2 * self.lane.precision:
            raise ValueError(f"products of {self.lane.name} do not fit in {self.wide.name}")

    @property
    def precision(self) -> int:
        return self.wide.precision

    @property
    def lowest_exponent(self) -> int:
        product = 2 * (1 - self.lane.bias - self.lane.fraction_bits)
        return min(product, 1 - self.wide.bias - self.wide.fraction_bits)

    @property
    def exponent_bits(self) -> int:
        highest = max(2 * self.lane.bias + 1, self.wide.bias)
        return (highest + 2 - self.lowest_exponent).bit_length()

    def smallest_normal(self, format: Format) -> int:
        """Exponent of the smallest normal number of ``format``."""
        return 1 - format.bias - self.lowest_exponent

    def product(self, m: Module, a: Unpacked, b: Unpacked, negated: Value, name: str) -> Term:
        """``±(a * b)``; not normalised."""
        significand = wire(m, a.significand * b.significand, f"{name}_significand")
        offset = 1 - 2 * self.lane.bias - self.lowest_exponent
        exponent = self._exponent(m, a.exponent + b.exponent + offset, name)
        padding = Const(0, self.precision - len(significand))
        return Term(a.sign ^ b.sign ^ negated, exponent, Cat(padding, significand))

    def addend(self, m: Module, bits: Value, is_wide: Value, name: str) -> tuple[Term, Unpacked]:
        """``bits`` in ``wide``, or in ``lane`` if the low ones hold that, and taken apart.

        The term is not normalised; the exponent of what was taken apart has the bias it had.
        """
        fraction, exponent, sign = _fields(bits, self.lane)
        more = self.wide.exponent_bits - self.lane.exponent_bits
        widened = Cat(
            Const(0, self.wide.fraction_bits - self.lane.fraction_bits),
            fraction,
            exponent,
            exponent.all().replicate(more),  # infinities and NaNs stay what they are
            sign,
        )
        c = Unpacked(m, Mux(is_wide, bits, widened), self.wide, name)
        offset = Mux(
            is_wide,
            Const(-self.wide.bias - self.lowest_exponent),
            Const(-self.lane.bias - self.lowest_exponent),
        )
        return Term(c.sign, self._exponent(m, c.exponent + offset, name), c.significand), c

    def _exponent(self, m: Module, value: Value, name: str) -> Value:
        """Without its upper bits: infinities and NaNs may have some, but do not need them."""
        return wire(m, value[: self.exponent_bits], f"{name}_exponent")


def _fields(bits: Value, format: Format) -> tuple[Value, Value, Value]:
    top = format.width - 1
    return bits[: format.fraction_bits], bits[format.fraction_bits : top], bits[top]


def bundle_terms(names: Sequence[str], terms: Sequence[Term]) -> dict[str, Value]:
    bundles = (term.bundle(name) for name, term in zip(names, terms, strict=True))
    return {key: value for bundle in bundles for key, value in bundle.items()}


def without_terms(bundle: Bundle, names: Sequence[str]) -> dict[str, Value]:
    """What is not of these terms."""
    return {key: value for key, value in bundle.items() if not key.startswith(tuple(names))}


def special_cases(
    m: Module, factors: Sequence[tuple[Unpacked, Unpacked]], c: Unpacked, terms: Sequence[Term]
) -> Bundle:
    """What infinities and NaNs make of the result."""
    numbers = [*(number for pair in factors for number in pair), c]
    # Of infinity and zero, which has no value; or of an infinity and what is neither zero nor NaN.
    meaningless = [(a.is_infinite & b.is_zero) | (a.is_zero & b.is_infinite) for a, b in factors]
    infinite = [
        (a.is_infinite & ~b.is_nan & ~b.is_zero) | (b.is_infinite & ~a.is_nan & ~a.is_zero)
        for a, b in factors
    ]
    infinite = wire(m, Cat(*infinite, c.is_infinite), "infinite")
    signs = Cat(term.sign for term in terms)
    above, below = (infinite & ~signs).any(), wire(m, (infinite & signs).any(), "below")
    signalling = Cat(number.is_signalling for number in numbers).any()
    invalid = wire(m, signalling | Cat(meaningless).any() | (above & below), "invalid")
    return {
        "is_nan": invalid | Cat(number.is_nan for number in numbers).any(),
        "is_infinite": infinite.any(),
        "infinite_sign": below,
        "invalid": invalid,
    }
