"""Constants of the logarithm, computed in decimal arithmetic, which is the same everywhere.

A whole number y = 2**e * m, with 1 <= m < 2, falls into an interval of m that begins at m0. With a
reciprocal r of the interval that has just a few bits, z = r * m - 1 is exact and small, and

    ln y = e * ln 2 - ln r + z - z**2 / 2,   with an error of z**3 / 3 at most.

z is c + r * d, where d = m - m0: c is known for each interval, and so only d is multiplied.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property

_DIGITS = 40
#: The offsets are chosen for whole numbers below this: their results have the smallest units in the
#: last place, and there are few enough to try them all.
_CHOOSING = 1 << 11
#: How far from the exact offset is tried, in units of the sum's last place.
_TRIED = 4
EXPONENTS = 32


@dataclass(frozen=True)
class LogarithmTable:
    """Tables for these widths; all entries are whole numbers, in units of a last place.

    index_bits: of an interval's number. reciprocal_bits: of r, the first one being a 1. rest_bits:
    of d, so that m has index_bits + rest_bits behind the point. sum_bits: of the sum, behind the
    point. square_bits: behind the point, of the z that is squared. dropped: columns of the product,
    from the lowest, that are not added up.
    """

    index_bits: int = 6
    reciprocal_bits: int = 7
    rest_bits: int = 16
    sum_bits: int = 22
    square_bits: int = 14
    dropped: int = 5

    @property
    def intervals(self) -> int:
        return 1 << self.index_bits

    @property
    def start_bits(self) -> int:
        """Of r * m0 behind the point."""
        return self.index_bits + self.reciprocal_bits

    @property
    def product_bits(self) -> int:
        """Of r * d behind the point, the dropped ones included."""
        return self.start_bits + self.rest_bits

    @cached_property
    def reciprocals(self) -> tuple[int, ...]:
        """r of each interval: that with which the largest abs(z) is smallest."""
        one = 1 << self.start_bits
        candidates = range(1 << self.reciprocal_bits - 1, 1 << self.reciprocal_bits)

        def largest(interval: int, r: int) -> int:
            ends = (self.intervals + interval, self.intervals + interval + 1)
            return max(abs(end * r - one) for end in ends)

        return tuple(
            min(candidates, key=lambda r: largest(interval, r))
            for interval in range(self.intervals)
        )

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """c = r * m0 - 1 of each interval."""
        one = 1 << self.start_bits
        return tuple(
            (self.intervals + interval) * r - one for interval, r in enumerate(self.reciprocals)
        )

    @property
    def compensation(self) -> int:
        """What is added to each product for what is lost of it, on the way to the sum's last place.

        Just less than that place: products that lose nothing stay what they are.
        """
        lost = self.product_bits - self.sum_bits
        return (1 << lost) - (1 << self.dropped)

    def product(self, r: int, d: int) -> int:
        """r * d as it is added up, in units of the last of ``product_bits``."""
        rows = 0
        for place in range(self.reciprocal_bits):
            if r >> place & 1:
                cut = max(0, self.dropped - place)
                rows += d >> cut << cut + place
        return rows + self.compensation

    @cached_property
    def squares(self) -> tuple[int, ...]:
        """z**2 / 2, by abs(z) rounded down to a whole number: in the middle of such a step."""
        steps = self.product_bits - self.square_bits
        last = (1 << self.rest_bits) - 1
        reached = [
            (start << self.rest_bits) + product >> steps
            for start, r in zip(self.starts, self.reciprocals, strict=True)
            for product in (self.product(r, 0), self.product(r, last))
        ]
        largest = max(max(reached), ~min(reached))
        # (step + 1/2)**2 / 2 has so many places more than the sum.
        surplus = 2 * self.square_bits + 3 - self.sum_bits
        half = 1 << surplus - 1
        return tuple((2 * step + 1) ** 2 + half >> surplus for step in range(largest + 1))

    @cached_property
    def exponents(self) -> tuple[int, ...]:
        """e * ln 2 for each e, and half a place of the result, which is cut off the sum.

        The half is of the smallest result of that e, and left out where the sum is too short.
        """
        with localcontext(prec=_DIGITS):
            ln2 = Decimal(2).ln()
            found = []
            for e in range(EXPONENTS):
                half = _unit(e * ln2) / 2 * (1 << self.sum_bits)
                found.append(_round(e * ln2 * (1 << self.sum_bits) + (half if half >= 1 else 0)))
            return tuple(found)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """-ln r of each interval, rounded so that the worst error of small numbers is smallest."""
        with localcontext(prec=_DIGITS):
            members: list[list[tuple[int, Decimal]]] = [[] for _ in range(self.intervals)]
            for y in range(2, _CHOOSING):
                index, terms = self._terms(y)
                members[index].append((terms, Decimal(y).ln()))
            return tuple(
                self._offset(r, of_interval)
                for r, of_interval in zip(self.reciprocals, members, strict=True)
            )

    def _terms(self, y: int) -> tuple[int, int]:
        """The interval of y, and the sum without the interval's offset."""
        e = y.bit_length() - 1
        fraction_bits = self.index_bits + self.rest_bits
        fraction = (y << fraction_bits >> e) - (1 << fraction_bits)
        index, d = fraction >> self.rest_bits, fraction & (1 << self.rest_bits) - 1
        product = self.product(self.reciprocals[index], d)
        z = (self.starts[index] << self.rest_bits) + product
        step = z >> self.product_bits - self.square_bits
        square = self.squares[step if step >= 0 else ~step]
        return index, self.exponents[e] + (z >> self.product_bits - self.sum_bits) - square

    def _offset(self, r: int, members: list[tuple[int, Decimal]]) -> int:
        exact = -(Decimal(r) / (1 << self.reciprocal_bits)).ln() * (1 << self.sum_bits)
        middle = _round(exact)

        def worst(offset: int) -> tuple[Decimal, int]:
            errors = (self._error(terms + offset, logarithm) for terms, logarithm in members)
            return max(errors), abs(offset - middle)

        return min(range(middle - _TRIED, middle + _TRIED + 1), key=worst)

    def _error(self, total: int, logarithm: Decimal) -> Decimal:
        """Of the result that is cut off a sum, in units of its last place."""
        beyond = max(0, total.bit_length() - _SIGNIFICAND)
        result = Decimal(total >> beyond << beyond) / (1 << self.sum_bits)
        return abs(result - logarithm) / _unit(logarithm)


#: Bits of a float32 significand.
_SIGNIFICAND = 24


def _unit(logarithm: Decimal) -> Decimal:
    """The unit in the last place of a float32 of 0.5 or more."""
    return Decimal(2) ** (int(logarithm).bit_length() - _SIGNIFICAND)


def _round(value: Decimal) -> int:
    return int(value.to_integral_value())
