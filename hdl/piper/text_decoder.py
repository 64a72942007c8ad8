"""From full beats of text to a field at every delimiter."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout, View
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.export import place
from hdl.pipeline import Handshake, RegisterSlice, hold
from hdl.piper.aligner import full_beat
from hdl.piper.field import FIELD, WINDOW, FieldReader
from hdl.piper.route import counts_below
from hdl.piper.symbols import START, SYMBOL, classify
from hdl.wire import wire

#: Symbols of earlier beats that a field may reach back to: a CR may stand between it and its LF.
HISTORY = WINDOW + 1


def decoded_beat(width: int) -> StructLayout:
    """What a beat of text holds: a field for each lane that is a delimiter, undefined elsewhere.

    counts: of each lane, how many delimiters there are up to it, itself included. newlines:
    delimiters that end a row. nul, invalid, stray_cr: lanes that speak of such a byte of
    their row, the last of the byte before. is_virtual: a newline stands for the end of the data
    set, which its text lacks. last: the data set ends with this beat.
    """
    return StructLayout(
        {
            "fields": ArrayLayout(FIELD, width),
            "delimiters": width,
            "counts": ArrayLayout(range(width + 1), width),
            "newlines": width,
            "nul": width,
            "invalid": width,
            "stray_cr": width,
            "is_virtual": 1,
            "last": 1,
        }
    )


class TextDecoder(Component):
    """Finds the fields of a text.

    Ports
        i: stream of ``full_beat(width)``. o: stream of ``decoded_beat(width)``, one for each.

    Latency 2 cycles, one beat a cycle whatever it holds: a field looks at the bytes before its
    delimiter, and no sum is carried from beat to beat.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(full_beat(width))),
                    "o": Out(stream.Signature(decoded_beat(width))),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        decoded_ready = Signal()
        rank = Handshake(m, 1, self.i.valid, decoded_ready, Const(0, 1), "rank")
        m.d.comb += self.i.ready.eq(rank.ready)
        beat = self.i.payload
        symbols = self._symbols(m, beat, rank.enables)
        count = hold(m, beat.count, rank.enables, "count")
        last = hold(m, beat.last, rank.enables, "last")
        moves = wire(m, rank.valid & decoded_ready, "moves")
        history = self._history(m, symbols, last, moves)
        found = self._decode(m, platform, [*history, *symbols], count, last)
        # Whether a row ends decides late whether a beat may move: that must not reach back.
        decoded = RegisterSlice(m, found.as_value(), rank.valid, self.o.ready, "decoded")
        m.d.comb += [
            decoded_ready.eq(decoded.ready),
            self.o.payload.eq(decoded.payload),
            self.o.valid.eq(decoded.valid),
        ]
        return m

    def _symbols(self, m: Module, beat: View, enable: Signal) -> list[View]:
        symbols = []
        for lane in range(self.width):
            is_byte = wire(m, beat.count > lane, f"is_byte_{lane}")
            symbol = classify(m, beat.data[lane], is_byte, f"symbol_{lane}")
            symbols.append(View(SYMBOL, hold(m, symbol.as_value(), enable, f"held_symbol_{lane}")))
        return symbols

    def _history(self, m: Module, symbols: list[View], last: Signal, moves: Signal) -> list[View]:
        """The last symbols before the beat, the earliest first."""
        history = [Signal(SYMBOL, init=START, name=f"history_{at}") for at in range(HISTORY)]
        start = SYMBOL.const(START).as_value()
        for at, register in enumerate(history):
            follower = [*history, *symbols][at + self.width]
            with m.If(moves):
                m.d.sync += register.eq(Mux(last, start, follower.as_value()))
        return history

    def _decode(
        self, m: Module, platform: object, symbols: list[View], count: Signal, last: Signal
    ) -> View:
        """symbols: those of the history, then those of the beat."""
        found = Signal(decoded_beat(self.width), name="found")
        # At a delimiter, the field before it; at an LF behind a CR, the field before that.
        fields = []
        for lane in range(-1, self.width):
            reader = place(platform, FieldReader)
            m.submodules[f"reader_{lane + 1}"] = reader
            before = symbols[HISTORY + lane - 1 :: -1][:WINDOW]
            m.d.comb += reader.window.eq(Cat(symbol.as_value() for symbol in before))
            fields.append(reader.field)
        virtual = []
        for lane in range(self.width):
            symbol, before = symbols[HISTORY + lane], symbols[HISTORY + lane - 1]
            is_virtual = wire(m, last & (count == lane) & ~before.is_newline, f"virtual_{lane}")
            is_newline = wire(m, symbol.is_newline | is_virtual, f"newline_{lane}")
            # Only an LF hides the CR before it, the end of the data set does not.
            behind_cr = wire(m, symbol.is_newline & before.is_cr, f"behind_cr_{lane}")
            m.d.comb += [
                found.fields[lane].eq(Mux(behind_cr, fields[lane], fields[lane + 1])),
                found.delimiters[lane].eq(symbol.is_delimiter | is_virtual),
                found.newlines[lane].eq(is_newline),
                found.nul[lane].eq(symbol.is_nul),
                found.invalid[lane].eq(symbol.is_invalid),
                found.stray_cr[lane].eq(before.is_cr & ~symbol.is_newline),
            ]
            virtual.append(is_virtual)
        counts = counts_below(m, found.delimiters, "delimiters")[1:]
        m.d.comb += [
            *(found.counts[lane].eq(count) for lane, count in enumerate(counts)),
            found.is_virtual.eq(Cat(virtual).any()),
            found.last.eq(last),
        ]
        return found
