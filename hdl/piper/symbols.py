"""What each byte of a text is, whatever is around it."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib.data import StructLayout, View

from hdl.wire import wire

TAB, LF, CR, MINUS = 0x09, 0x0A, 0x0D, 0x2D

SYMBOL = StructLayout(
    {
        "digit": 4,
        "is_letter": 1,
        "is_minus": 1,
        "is_cr": 1,
        "is_nul": 1,
        "is_invalid": 1,
        "is_newline": 1,
        "is_delimiter": 1,
    }
)
"""digit: of either base; 0 for what is none. is_letter: a digit above 9. is_newline: an LF;
is_delimiter: that or a TAB. is_invalid: no field may hold it, NUL and CR apart. All zeros: no
byte at all."""

#: What comes before a data set: the end of a line.
START = {"is_newline": 1, "is_delimiter": 1}


def classify(m: Module, byte: Value, is_byte: Value, name: str) -> View:
    """The symbol of one byte, if it is one."""
    symbol = Signal(SYMBOL, name=name)
    high, low = byte[4:], byte[:4]
    is_number = wire(m, (high == 3) & (low < 10), f"{name}_is_number")
    # Bit 5 alone tells upper from lower case.
    is_letter = wire(m, (high | 2 == 6) & (low != 0) & (low < 7), f"{name}_is_letter")
    other = ~(is_number | is_letter | symbol.is_minus | symbol.is_cr | symbol.is_nul)
    with m.If(is_byte):
        m.d.comb += [
            symbol.digit.eq(Mux(is_letter, low + 9, Mux(is_number, low, Const(0, 4)))),
            symbol.is_letter.eq(is_letter),
            symbol.is_minus.eq(byte == MINUS),
            symbol.is_cr.eq(byte == CR),
            symbol.is_nul.eq(byte == 0),
            symbol.is_newline.eq(byte == LF),
            symbol.is_delimiter.eq((byte == LF) | (byte == TAB)),
            symbol.is_invalid.eq(other & ~symbol.is_delimiter),
        ]
    return symbol
