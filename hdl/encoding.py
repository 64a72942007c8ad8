"""Radix-4 recodings of a two's-complement operand, and what a PE makes of their digits.

A *code* is what travels to a PE; a *select* is a digit as the partial-product row wants it.
"""

from dataclasses import dataclass
from enum import StrEnum

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value


class Encoding(StrEnum):
    """Radix-4 digit sets an operand can be recoded into."""

    BOOTH = "booth"
    """Modified Booth: digits −2 … 2, each from three overlapping bits, no carry."""

    ENT = "ent"
    """EN-T: sign and magnitude, digits −1 … 2 of the magnitude, 2 bits a digit."""

    NR4SD = "nr4sd"
    """NR4SD+: digits −1 … 2, the most significant −2 … 2, no separate sign."""

    ONE_HOT = "onehot"
    """The digits of NR4SD+, decoded: three wires a digit, all of them clear for a digit 0."""

    def code_width(self, operand_bits: int) -> int:
        """Wires that carry one recoded operand."""
        decoded = self in (Encoding.BOOTH, Encoding.ONE_HOT)
        return 3 * operand_bits // 2 if decoded else operand_bits + 1


@dataclass(frozen=True)
class Select:
    """One digit, decoded for its partial-product row.

    With ``has_minus_two`` the row is ``magnitude ^ negative`` in one's complement, and a digit 0
    may come with ``negative`` set: its row is all ones. Where the digit set rules −2 out, one of
    the three at most is set: for 1, 2 and −1, so that a row may use a smaller form. In both, adding
    ``negative`` at the row's least significant bit completes the negation.
    """

    one: Value
    two: Value
    negative: Value
    has_minus_two: bool


def encode(m: Module, operand: Value, encoding: Encoding, *, name: str = "code") -> Value:
    """Recode ``operand`` (two's complement, n bits) and return its code, combinational.

    Code layouts, least significant bits first:
    booth — (one, two, negative) for each digit;
    ent — two bits for each digit of the magnitude (digit modulo 4), then the sign;
    nr4sd — two bits for each lower digit (digit modulo 4), then carry, a[n-2], a[n-1];
    onehot — whether a lower digit is 1, 2, −1, for each; (one, two, negative) of the top one.
    """
    digits = len(operand) // 2
    code = Signal(encoding.code_width(len(operand)), name=name)
    if encoding is Encoding.BOOTH:
        padded = Cat(Const(0, 1), operand)
        triples = [padded[2 * i : 2 * i + 3] for i in range(digits)]
        m.d.comb += code.eq(Cat(*(_booth_digit(triple) for triple in triples)))
    elif encoding is Encoding.ENT:
        sign = operand[-1]
        magnitude = Signal(len(operand), name=f"{name}_magnitude")
        m.d.comb += magnitude.eq(Mux(sign, -operand.as_signed(), operand))
        low, _carry = _carry_chain(m, magnitude, digits, name)
        m.d.comb += code.eq(Cat(low, sign))
    else:
        low, carry = _carry_chain(m, operand, digits - 1, name)
        plain = Cat(low, carry, operand[-2:])
        if encoding is Encoding.ONE_HOT:
            selects = decode(plain, Encoding.NR4SD, digits)
            fields = [Cat(each.one, each.two, each.negative) for each in selects]
            one, two, negative = fields[-1]
            plain = Cat(*fields[:-1], one, two, negative & (one | two))
        m.d.comb += code.eq(plain)
    return code


def decode(code: Value, encoding: Encoding, digits: int) -> list[Select]:
    """Selects of every digit of ``code``, least significant first."""
    if encoding is Encoding.BOOTH:
        return [Select(*code[3 * i : 3 * i + 3], has_minus_two=True) for i in range(digits)]
    if encoding is Encoding.ONE_HOT:
        return [
            Select(*code[3 * i : 3 * i + 3], has_minus_two=i == digits - 1) for i in range(digits)
        ]
    if encoding is Encoding.ENT:
        return [_signed_select(code[2 * i], code[2 * i + 1], code[-1]) for i in range(digits)]
    lower = [_low_select(code[2 * i], code[2 * i + 1]) for i in range(digits - 1)]
    return [*lower, _top_select(*code[-3:])]


def negated(m: Module, selects: list[Select], negate: Value, *, name: str) -> list[Select]:
    """The same digits, all of the opposite sign if ``negate`` is set."""
    opposite = []
    for digit, select in enumerate(selects):
        negative = Signal(name=f"{name}_{digit}")
        m.d.comb += negative.eq(select.negative ^ negate)
        opposite.append(Select(select.one, select.two, negative, has_minus_two=True))
    return opposite


def _booth_digit(triple: Value) -> Value:
    below, low, high = triple
    one = low ^ below
    two = (high & ~low & ~below) | (~high & low & below)
    return Cat(one, two, high)


def _carry_chain(m: Module, operand: Value, digits: int, name: str) -> tuple[Value, Value]:
    """Digits −1 … 2 of the lower ``2 * digits`` bits: (two bits a digit, carry out)."""
    carry: Value = Const(0, 1)
    codes: list[Value] = []
    for i in range(digits):
        low, high = operand[2 * i], operand[2 * i + 1]
        codes += [low ^ carry, high ^ (low & carry)]
        carry_out = Signal(name=f"{name}_carry_{i}")
        m.d.comb += carry_out.eq(high & (low | carry))
        carry = carry_out
    return Cat(*codes), carry


def _low_select(low: Value, high: Value) -> Select:
    return Select(one=low & ~high, two=high & ~low, negative=high & low, has_minus_two=False)


def _signed_select(low: Value, high: Value, sign: Value) -> Select:
    return Select(
        one=low,
        two=high & ~low,
        negative=sign ^ (high & low),
        has_minus_two=True,
    )


def _top_select(carry: Value, low: Value, high: Value) -> Select:
    return Select(
        one=low ^ carry,
        two=(high & ~low & ~carry) | (~high & low & carry),
        negative=high,
        has_minus_two=True,
    )
