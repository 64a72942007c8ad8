"""Streaming matrix multiplier: tiles of A and B in, tiles of C = A B out."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.delay import delay
from hdl.ent.array import SystolicArray
from hdl.ent.drain import ERROR_LAYOUT, Drain, row_layout
from hdl.ent.parameters import Parameters

#: Cycles from a tile's last beat to its first row in the memory of column 0.
ARRAY_LATENCY = 2

STATUS_LAYOUT = StructLayout(
    {
        "busy": 1,
        "input_stalled": 1,
        "output_stalled": 1,
        "error": ERROR_LAYOUT,
        "error_count": 8,
    }
)


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

    Ports
        i_a: stream; beat k is column k of the A tile (R values), ``last`` at k = K - 1.
        i_b: stream; beat k is row k of the B tile (C values), ``last`` likewise.
        o: stream; the R rows of the C tile, ``last`` at the bottom row.
        status: ``busy`` (a tile is open or its rows are inside), ``input_stalled`` (both inputs
        offer a beat that is not taken), ``output_stalled``; ``error``, sticky until reset, and
        ``error_count``, tiles with an error, saturating at 255.

    Throughput: one beat a cycle without a bubble within and between tiles, as long as the output
    is taken and ``K >= max(R, R + C + 3 - R * (buffered_tiles - 1))``. Only a tile's last beat
    ever waits, for room for its rows. Latency from the last beat to the first row: C + 3 cycles.

    Errors, reported with every row of the tile and in ``status``; other tiles are unaffected:
        last_mismatch: one input ended the tile before the other. The tile ends there; what the
        longer input still has of it is taken and dropped.
        overflow_possible: the tile is longer than ``longest_exact_tile``, so that its sums may
        have wrapped.
    A reset, of one cycle or more, drops all tiles inside; the next beats start a new one.
    """

    def __init__(
        self, parameters: Parameters, rows: int, columns: int, buffered_tiles: int
    ) -> None:
        self.parameters = parameters
        self.row_count = rows
        self.column_count = columns
        self.depth = rows * buffered_tiles
        operand = parameters.operand_bits
        super().__init__(
            Signature(
                {
                    "i_a": In(stream.Signature(operand_layout(operand, rows))),
                    "i_b": In(stream.Signature(operand_layout(operand, columns))),
                    "o": Out(stream.Signature(row_layout(parameters, columns))),
                    "status": Out(STATUS_LAYOUT),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, rows, columns = self.parameters, self.row_count, self.column_count
        m.submodules.array = array = SystolicArray(p, rows, columns)
        m.submodules.drain = drain = Drain(p, rows, columns, self.depth)
        wiring.connect(m, wiring.flipped(self.o), drain.o)

        take = Signal()
        ends = Signal()
        error = Signal(ERROR_LAYOUT)
        a, b = self.i_a.payload, self.i_b.payload
        m.d.comb += [
            array.a.as_value().eq(a.values.as_value() & take.replicate(len(a.values.as_value()))),
            array.b.eq(b.values),
            array.last.eq(take & ends),
            drain.columns.eq(array.columns),
            drain.correction.eq(array.correction),
        ]
        room = self._reserve_rows(m, drain, take & ends, error)
        self._align_inputs(m, take, ends, room)
        m.d.comb += error.last_mismatch.eq(a.last ^ b.last)
        m.d.comb += error.overflow_possible.eq(self._count_beats(m, take, ends))
        self._report(m, take, ends, error)
        return m

    def _align_inputs(self, m: Module, take: Signal, ends: Signal, room: Signal) -> None:
        """Take beats in pairs; after a mismatch skip the rest of the longer input's tile."""
        a, b = self.i_a, self.i_b
        state = Signal(State)
        m.d.comb += ends.eq(a.payload.last | b.payload.last)
        with m.Switch(state):
            with m.Case(State.ALIGNED):
                m.d.comb += [
                    take.eq(a.valid & b.valid & (~ends | room)),
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

    def _reserve_rows(self, m: Module, drain: Drain, end: Signal, error: Signal) -> Signal:
        """Room in the drain for a whole tile, and its columns free; writes the ended tile's rows.

        Rows are reserved when a tile ends, R cycles at least before the next may end. A reset
        sends a wave of discarded results through the array; the first tile ends behind it.
        """
        rows = self.row_count
        reserved = Signal(range(self.depth + 1))
        spacing = Signal(range(rows), init=rows - 1)
        discarding = Signal(init=1)
        room = Signal()
        m.d.comb += room.eq((reserved <= self.depth - rows) & (spacing == 0))
        m.d.sync += reserved.eq(reserved + Mux(end, rows, 0) - drain.read)
        with m.If(end):
            m.d.sync += [spacing.eq(rows - 1), discarding.eq(0)]
        with m.Elif(spacing != 0):
            m.d.sync += spacing.eq(spacing - 1)
        with m.Else():
            m.d.sync += discarding.eq(0)

        writing = end | (spacing != 0) & ~discarding
        held = Signal(ERROR_LAYOUT, name="held_error", reset_less=True)
        with m.If(end):
            m.d.sync += held.eq(error)
        m.d.comb += [
            drain.write.eq(delay(m, writing, ARRAY_LATENCY, name="write", init=0)),
            drain.error.eq(delay(m, held.as_value(), ARRAY_LATENCY - 1, name="error")),
        ]
        self._rows_inside = reserved
        return room

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
        self._tile_open = beats != 0
        return beyond

    def _report(self, m: Module, take: Signal, ends: Signal, error: Signal) -> None:
        status = Signal(STATUS_LAYOUT, name="status_now")
        sticky = Signal(ERROR_LAYOUT)
        errors = Signal(STATUS_LAYOUT["error_count"].width)
        with m.If(take & ends & error.as_value().any()):
            m.d.sync += sticky.eq(sticky.as_value() | error.as_value())
            with m.If(~errors.all()):
                m.d.sync += errors.eq(errors + 1)
        m.d.comb += [
            status.busy.eq(self._tile_open | (self._rows_inside != 0) | self.o.valid),
            status.input_stalled.eq(self.i_a.valid & self.i_b.valid & ~take),
            status.output_stalled.eq(self.o.valid & ~self.o.ready),
            status.error.eq(sticky),
            status.error_count.eq(errors),
            self.status.eq(status),
        ]
