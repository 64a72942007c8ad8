"""Streaming matrix multiplier: tiles of A and B in, tiles of C = A B out."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.ent.array import OutputStationaryArray
from hdl.ent.drain import ERROR_LAYOUT, Drain, row_layout
from hdl.ent.status import report, status_layout

STATUS_LAYOUT = status_layout(ERROR_LAYOUT)


class State(enum.Enum, shape=2):
    """Whether both inputs are at the same beat of the same tile."""

    ALIGNED = 0
    SKIP_A = 1
    SKIP_B = 2


def operand_layout(operand_bits: int, count: int) -> StructLayout:
    """One beat of an operand: ``values`` (signed), and whether it is its tile's ``last``."""
    return StructLayout({"values": ArrayLayout(operand_bits, count), "last": 1})


class MatrixMultiplier(Component):
    """C = A B in tiles of R x C, any depth K, signed, exact modulo ``2**accumulator_bits``.

    Around an ``array`` of R x C PEs with L lanes each, which decides how operands get to the PEs.

    Ports
        i_a: stream; beat k has the columns k L to k L + L - 1 of the A tile, row by row (R L
        values), ``last`` with the tile's last columns. i_b: stream; the same rows of the B tile,
        column by column (C L values), ``last`` likewise.
        o: stream; the R rows of the C tile, ``last`` at the bottom row.
        status: ``busy`` (a tile is open or its rows are inside), ``input_stalled`` (both inputs
        offer a beat that is not taken), ``output_stalled``; ``error``, sticky until reset, and
        ``error_count``, tiles with an error, saturating at 255.

    Throughput: one beat a cycle, as long as the output is taken and a tile has
    ``max(R, R + latency - R * (buffered_tiles - 1))`` beats or more; a systolic array has no bubble
    between tiles, one with broadcast operands R - 1. Otherwise only a tile's last beat ever waits,
    for room for its rows. From the last beat to the first row: ``latency`` cycles.

    Errors, reported with every row of the tile and in ``status``; other tiles are unaffected:
        last_mismatch: one input ended the tile before the other. The tile ends there; what the
        longer input still has of it is taken and dropped.
        overflow_possible: the tile is longer than ``longest_exact_tile``, so that its sums may
        have wrapped.
    A reset, of one cycle or more, drops all tiles inside; the next beats start a new one.
    """

    def __init__(self, array: OutputStationaryArray) -> None:
        self.array = array
        self.parameters = p = array.parameters
        self.row_count = array.row_count
        self.column_count = array.column_count
        #: A row is read, and offered, two cycles after it was written.
        self.latency = array.latency + 2
        rows, columns = self.row_count * p.lanes, self.column_count * p.lanes
        super().__init__(
            Signature(
                {
                    "i_a": In(stream.Signature(operand_layout(p.operand_bits, rows))),
                    "i_b": In(stream.Signature(operand_layout(p.operand_bits, columns))),
                    "o": Out(stream.Signature(row_layout(p, self.column_count))),
                    "status": Out(STATUS_LAYOUT),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, rows, columns = self.parameters, self.row_count, self.column_count
        m.submodules.array = array = self.array
        m.submodules.drain = drain = Drain(row_layout(p, columns), rows, array.depth)
        wiring.connect(m, wiring.flipped(self.o), drain.o)

        take = Signal()
        ends = Signal()
        inside = Signal()
        error = Signal(ERROR_LAYOUT)
        a, b = self.i_a.payload, self.i_b.payload
        m.d.comb += [
            array.a.as_value().eq(a.values.as_value()),
            array.b.as_value().eq(b.values.as_value()),
            array.valid.eq(take),
            array.first.eq(take & ~inside),
            array.last.eq(take & ends),
            array.read.eq(drain.read),
            array.address.eq(drain.address),
            drain.written.eq(array.written),
            drain.values.eq(array.values),
        ]
        with m.If(take):
            m.d.sync += inside.eq(~ends)
        may_take, may_end = self._reserve_rows(m, drain, take & ends, error)
        self._align_inputs(m, take, ends, may_take, may_end)
        m.d.comb += error.last_mismatch.eq(a.last ^ b.last)
        m.d.comb += error.overflow_possible.eq(self._count_beats(m, take, ends))
        report(
            m,
            self.status,
            busy=inside | (self._rows_inside != 0) | self.o.valid,
            input_stalled=self.i_a.valid & self.i_b.valid & ~take,
            output_stalled=self.o.valid & ~self.o.ready,
            ends=take & ends,
            error=error,
        )
        return m

    def _align_inputs(
        self, m: Module, take: Signal, ends: Signal, may_take: Signal, may_end: Signal
    ) -> None:
        """Take beats in pairs; after a mismatch skip the rest of the longer input's tile."""
        a, b = self.i_a, self.i_b
        state = Signal(State)
        m.d.comb += ends.eq(a.payload.last | b.payload.last)
        with m.Switch(state):
            with m.Case(State.ALIGNED):
                m.d.comb += [
                    take.eq(a.valid & b.valid & may_take & (~ends | may_end)),
                    a.ready.eq(take),
                    b.ready.eq(take),
                ]
                with m.If(take & ends & ~a.payload.last):
                    m.d.sync += state.eq(State.SKIP_A)
                with m.If(take & ends & ~b.payload.last):
                    m.d.sync += state.eq(State.SKIP_B)
            with m.Case(State.SKIP_A):
                m.d.comb += a.ready.eq(1)
                with m.If(a.valid & a.payload.last):
                    m.d.sync += state.eq(State.ALIGNED)
            with m.Case(State.SKIP_B):
                m.d.comb += b.ready.eq(1)
                with m.If(b.valid & b.payload.last):
                    m.d.sync += state.eq(State.ALIGNED)

    def _reserve_rows(
        self, m: Module, drain: Drain, end: Signal, error: Signal
    ) -> tuple[Signal, Signal]:
        """Whether a beat may be taken, and whether a tile may end; writes the ended tile's rows.

        A tile may end if its rows have room in the memories and their way to them is free: R cycles
        at least behind the tile before. A reset sends a wave of discarded results through a
        systolic array; the first tile ends behind it.
        """
        rows, depth = self.row_count, self.array.depth
        reserved = Signal(range(depth + 1))
        spacing = Signal(range(rows), init=rows - 1)
        discarding = Signal(init=1)
        may_take, may_end = Signal(), Signal()
        m.d.comb += [
            may_take.eq((spacing == 0) if self.array.busy_cycles else 1),
            may_end.eq((reserved <= depth - rows) & (spacing == 0)),
        ]
        m.d.sync += reserved.eq(reserved + Mux(end, rows, 0) - drain.read)
        with m.If(end):
            m.d.sync += [spacing.eq(rows - 1), discarding.eq(0)]
        with m.Elif(spacing != 0):
            m.d.sync += spacing.eq(spacing - 1)
        with m.Else():
            m.d.sync += discarding.eq(0)

        held = Signal(ERROR_LAYOUT, name="held_error", reset_less=True)
        with m.If(end):
            m.d.sync += held.eq(error)
        m.d.comb += [
            self.array.write.eq(end | (spacing != 0) & ~discarding),
            drain.write.eq(self.array.write),
            drain.error.eq(Mux(end, error.as_value(), held.as_value())),
        ]
        self._rows_inside = reserved
        return may_take, may_end

    def _count_beats(self, m: Module, take: Signal, ends: Signal) -> Signal:
        """Whether this beat is beyond the longest tile that is surely exact."""
        longest = self.parameters.longest_exact_tile
        beats = Signal(range(longest + 1))
        beyond = Signal()
        m.d.comb += beyond.eq(beats == longest)
        with m.If(take):
            with m.If(ends):
                m.d.sync += beats.eq(0)
            with m.Elif(~beyond):
                m.d.sync += beats.eq(beats + 1)
        return beyond
