"""Cuts decoded beats at the ends of rows."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.piper.beat import Cause
from hdl.piper.field import FIELD
from hdl.piper.text_decoder import decoded_beat
from hdl.wire import wire


def row_pass(width: int, columns: int) -> StructLayout:
    """What one cycle takes from a beat: fields of one row, and of the next if that begins.

    fields, delimiters: as decoded; only lanes in ``delimiters`` are taken. first: column of the
    first one. ending: how many fields are of the row that ends; meaningful with ``row_end``.
    is_exact: that row has as many fields as columns, so the next one follows at once.
    total: fields of the row, if it ends; more than ``columns`` count as one more. causes,
    next_causes: what bytes and the number of fields say of the row and of the next one.
    """
    return StructLayout(
        {
            "fields": ArrayLayout(FIELD, width),
            "delimiters": width,
            "first": range(columns + 1),
            "ending": range(width + 1),
            "is_exact": 1,
            "row_end": 1,
            "total": range(columns + 2),
            "causes": len(Cause),
            "next_causes": len(Cause),
            "last": 1,
        }
    )


class RowSplitter(Component):
    """Splits beats so that no cycle holds more than one end of a row.

    Ports
        i: stream of ``decoded_beat(width)``. o: stream of ``row_pass(width, columns)``.

    Latency 0. A beat takes as many cycles as rows end in it, at least one; and one more if
    something follows a row with too few or too many fields.
    """

    def __init__(self, width: int, columns: int) -> None:
        self.width = width
        self.columns = columns
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(decoded_beat(width))),
                    "o": Out(stream.Signature(row_pass(width, columns))),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat, out = self.i.payload, self.o.payload
        columns = self.columns
        taken = Signal(self.width)  # lanes of the beat that earlier cycles took
        before = Signal(range(self.width + 1))  # delimiters among them
        column = Signal(range(columns + 1))  # fields of the row so far, as many as count
        # What the count at the row's last delimiter must be. It is known before the beat is, so
        # that a comparison says whether the row is exact, and no sum.
        wanted = Signal(range(columns + self.width + 1), init=columns)

        left = wire(m, ~taken, "left")
        newlines = wire(m, beat.newlines & left, "newlines")
        row_end = wire(m, newlines.any(), "row_end")
        # Lanes up to the first newline.
        ending = wire(m, left & (newlines ^ (newlines - 1))[: self.width], "ending")
        following = wire(m, left & ~ending, "following")
        end = wire(m, newlines & ending, "end")
        is_exact = wire(
            m,
            Cat(end[lane] & (count == wanted) for lane, count in enumerate(beat.counts)).any(),
            "is_exact",
        )
        all_counted = beat.counts[self.width - 1]
        counted = wire(m, Mux(row_end, _select(end, beat.counts), all_counted), "counted")
        count = wire(m, (counted - before)[: len(before)], "count")
        total = wire(m, column + count, "total")
        next_count = wire(m, _at_most((all_counted - counted)[: len(before)], columns), "next")
        is_last_row = wire(m, ~(newlines & following).any(), "is_last_row")
        takes_next = wire(m, is_exact & is_last_row, "takes_next")
        finishes = wire(m, ~row_end | takes_next | ~following.any(), "finishes")
        moves = wire(m, self.i.valid & self.o.ready, "moves")
        is_taken = wire(m, ending | Mux(takes_next, following, 0), "is_taken")

        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & finishes),
            out.fields.eq(beat.fields),
            out.delimiters.eq(beat.delimiters & is_taken),
            out.first.eq(column),
            out.ending.eq(count),
            out.is_exact.eq(is_exact),
            out.row_end.eq(row_end),
            out.total.eq(_at_most(total, columns + 1)),
            out.causes.eq(self._causes(m, ending, "here")),
            out.causes[Cause.SHORT].eq(row_end & (counted < wanted)),
            out.causes[Cause.LONG].eq(row_end & (counted > wanted)),
            out.causes[Cause.NO_FINAL_NEWLINE].eq(row_end & beat.is_virtual & is_last_row),
            out.next_causes.eq(Mux(takes_next, self._causes(m, following, "next"), 0)),
            out.last.eq(beat.last & finishes),
        ]
        with m.If(moves):
            m.d.sync += [
                taken.eq(Mux(finishes, 0, taken | is_taken)),
                before.eq(Mux(finishes, 0, counted)),
            ]
            with m.If(~row_end):
                m.d.sync += [
                    column.eq(_at_most(total, columns)),
                    wanted.eq(Mux(counted > wanted, 0, wanted - counted)),
                ]
            with m.Elif(takes_next):
                m.d.sync += [column.eq(next_count), wanted.eq(columns - next_count)]
            with m.Else():
                m.d.sync += [column.eq(0), wanted.eq(columns + Mux(finishes, 0, counted))]
        return m

    def _causes(self, m: Module, lanes: Value, name: str) -> Value:
        """Causes that single bytes are, if they are in ``lanes``."""
        beat = self.i.payload
        causes = Signal(len(Cause), name=f"causes_{name}")
        m.d.comb += [
            causes[Cause.NUL].eq((beat.nul & lanes).any()),
            causes[Cause.INVALID_BYTE].eq((beat.invalid & lanes).any()),
            causes[Cause.STRAY_CR].eq((beat.stray_cr & lanes).any()),
        ]
        return causes


def _select(one_hot: Value, values: Sequence[Value]) -> Value:
    """The value whose bit is set; 0 if none is."""
    chosen: Value = Const(0, 1)
    for bit, value in zip(one_hot, values, strict=True):
        chosen = chosen | Mux(bit, value, 0)
    return chosen


def _at_most(value: Value, limit: int) -> Value:
    return Mux(value > limit, Const(limit), value)
