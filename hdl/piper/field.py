"""A field as its delimiter sees it: the window of bytes before it."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.data import ArrayLayout, StructLayout, View
from amaranth.lib.wiring import In, Out

from hdl.export import Unit
from hdl.piper.symbols import SYMBOL
from hdl.wire import wire

#: Digits of the longest decimal field, without its sign; of the longest hexadecimal one.
DECIMAL_DIGITS = 10
HEXADECIMAL_DIGITS = 8
#: Bytes before a delimiter that matter: one more than the longest field has.
WINDOW = DECIMAL_DIGITS + 2

FIELD = StructLayout(
    {
        "digits": 4 * DECIMAL_DIGITS,
        "is_negative": 1,
        "is_empty": 1,
        "has_bad_byte": 1,
        "decimal_malformed": 1,
        "decimal_overlong": 1,
        "hexadecimal_malformed": 1,
        "hexadecimal_overlong": 1,
    }
)
"""digits: the last is lowest. is_negative: a minus comes first. has_bad_byte: a byte that no field
may hold. The other verdicts are those of a column of either base; a field of more bytes than the
window shows is overlong and nothing else."""


class FieldReader(Unit):
    """The field that ends behind a window of symbols. Combinational.

    Ports
        window: the symbols, from the last to the first, packed. field: as ``FIELD``, packed.

    Instead of adding digits up from byte to byte, each of the few bytes that a field may have is
    looked at where it is: nothing depends on an earlier beat but the symbols themselves.
    """

    mapped_alone = True

    window: In(WINDOW * SYMBOL.size)
    field: Out(FIELD.size)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        before = View(ArrayLayout(SYMBOL, WINDOW), self.window)
        field = Signal(FIELD)
        inside = self._inside(m, before)
        follows = [*inside[1:], Const(0, 1)]  # whether the byte before is of the field too
        most = WINDOW - 1
        too_long = inside[most]

        def any_of(flag: str, where: Sequence[Value] = inside) -> Value:
            return Cat(before[at][flag] & where[at] for at in range(most)).any()

        is_first = [inside[at] & ~follows[at] for at in range(most)]
        minus_first = wire(m, any_of("is_minus", is_first), "minus_first")
        minus_later = any_of("is_minus", [inside[at] & follows[at] for at in range(most)])
        minus_alone = before[0].is_minus & is_first[0]
        malformed = minus_later | minus_alone | any_of("is_letter")
        digits = [Mux(inside[at], before[at].digit, Const(0, 4)) for at in range(DECIMAL_DIGITS)]
        m.d.comb += [
            field.digits.eq(Cat(digits)),
            field.is_negative.eq(minus_first),
            field.is_empty.eq(~inside[0]),
            field.has_bad_byte.eq(any_of("is_cr") | any_of("is_nul") | any_of("is_invalid")),
            field.decimal_malformed.eq(~too_long & malformed),
            field.decimal_overlong.eq(too_long | (inside[DECIMAL_DIGITS] & ~minus_first)),
            field.hexadecimal_malformed.eq(~too_long & any_of("is_minus")),
            field.hexadecimal_overlong.eq(inside[HEXADECIMAL_DIGITS]),
            self.field.eq(field),
        ]
        return m

    def _inside(self, m: Module, before: View) -> list[Value]:
        """Whether each byte is of the field: no delimiter is between it and the field's end."""
        inside: list[Value] = []
        for at in range(WINDOW):
            clear = ~Cat(before[earlier].is_delimiter for earlier in range(at + 1)).any()
            inside.append(wire(m, clear, f"inside_{at}"))
        return inside
