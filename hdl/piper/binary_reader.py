"""From full beats of binary rows to parts of rows."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.piper.aligner import BYTE, full_beat
from hdl.piper.beat import Cause
from hdl.piper.operator import WORD
from hdl.piper.parameters import Parameters
from hdl.piper.row_part import row_part
from hdl.wire import wire

WORD_BYTES = WORD // BYTE


class BinaryReader(Component):
    """Cuts rows of little-endian words, ``Parameters.places`` long, out of a data set.

    Ports
        i: stream of ``full_beat``. o: stream of ``row_part``.

    Latency 0, one beat a cycle; a bus of less than a word gives a part for each word. A data set
    that ends inside a row ends with a row that is short of what has not come whole.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(full_beat(parameters.bus_bytes))),
                    "o": Out(stream.Signature(row_part(parameters))),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, beat, part = self.parameters, self.i.payload, self.o.payload
        size, banks = len(p.places), p.banks
        parts = size // banks
        at = Signal(range(parts))  # parts of the row so far
        first = Cat(Const(0, banks.bit_length() - 1), at)

        # A bus of less than a word collects its bytes first.
        beats = max(1, WORD_BYTES // p.bus_bytes)
        collected = Signal(range(beats))
        before = Signal((beats - 1) * p.bus_bytes * BYTE, reset_less=True)
        words = wire(m, Cat(before, beat.data.as_value()), "words")
        is_whole = wire(m, (collected == beats - 1) & ~beat.last, "is_whole")
        moves = wire(m, self.i.valid & self.i.ready, "moves")

        is_open = wire(m, (at != 0) | (collected != 0) | (beat.count != 0), "is_open")
        is_short = wire(m, beat.last & is_open, "is_short")
        # Words that the last beat brings whole.
        brought = beat.count[WORD_BYTES.bit_length() - 1 :] if beats == 1 else Const(0, 1)
        row_end = wire(m, (is_whole & (at == parts - 1)) | is_short, "row_end")
        sends = wire(m, is_whole | beat.last, "sends")
        m.d.comb += [
            self.o.valid.eq(self.i.valid & sends),
            self.i.ready.eq(self.o.ready | ~sends),
            *(part.entries[slot].word.eq(words.word_select(slot, WORD)) for slot in range(banks)),
            part.written.eq(Const(-1, banks)),
            part.first.eq(first),
            part.causes.eq(is_short << Cause.SHORT),
            part.row_end.eq(row_end),
            part.present.eq(Mux(is_short, first + brought, size)),
            part.last.eq(beat.last),
        ]
        with m.If(moves):
            m.d.sync += [
                collected.eq(Mux(sends, 0, collected + 1)),
                before.eq(words[p.bus_bytes * BYTE :] if beats > 1 else Const(0, 0)),
            ]
            with m.If(sends):
                m.d.sync += at.eq(Mux(row_end | beat.last, 0, at + 1))
        return m
