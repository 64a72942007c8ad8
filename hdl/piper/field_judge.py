"""A field judged by the column it belongs to."""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib.data import View
from amaranth.lib.wiring import In, Out

from hdl.export import Unit
from hdl.piper.field import FIELD
from hdl.piper.parameters import Source
from hdl.piper.row_part import entry_layout
from hdl.wire import wire

#: The largest decimal fields, digit by digit: those of 2^31 − 1 and of −2^31.
LARGEST = int(str((1 << 31) - 1), 16)
LARGEST_NEGATIVE = int(str(1 << 31), 16)


class FieldJudge(Unit):
    """The entry of a field, and what is wrong with it. Combinational.

    Ports
        field: as ``FIELD``, packed. is_decimal: base of its column. entry: of a row of text,
        packed; a bad field is missing. malformed, overlong, out_of_range: its causes.
    """

    mapped_alone = True

    field: In(FIELD.size)
    is_decimal: In(1)
    entry: Out(entry_layout(Source.TEXT).size)
    malformed: Out(1)
    overlong: Out(1)
    out_of_range: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        field = View(FIELD, self.field)
        is_decimal = self.is_decimal
        largest = Mux(field.is_negative, LARGEST_NEGATIVE, LARGEST)
        exceeds = wire(m, is_decimal & (field.digits > largest), "exceeds")
        unfit = wire(m, field.has_bad_byte | self.malformed | self.overlong, "unfit")
        m.d.comb += [
            self.malformed.eq(
                Mux(is_decimal, field.decimal_malformed, field.hexadecimal_malformed)
            ),
            self.overlong.eq(Mux(is_decimal, field.decimal_overlong, field.hexadecimal_overlong)),
            self.out_of_range.eq(exceeds & ~unfit),
            self.entry.eq(Cat(field.digits, field.is_negative, field.is_empty | unfit | exceeds)),
        ]
        return m
