"""Streaming multiplier whose weights are stationary: tiles of W and rows of A in, A W out."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.ent.drain import Drain, row_layout
from hdl.ent.parameters import Parameters
from hdl.ent.status import report, status_layout
from hdl.ent.top import operand_layout
from hdl.ent.weights_array import WeightStationaryArray, array_latency
from hdl.ent.weights_loader import ERROR_LAYOUT, WeightLoader

STATUS_LAYOUT = status_layout(ERROR_LAYOUT)


class WeightStationaryMultiplier(Component):
    """O = A W for tiles W of R x C and any number M of rows of A, signed and exact.

    A product deeper than R is the caller's: it cuts W into tiles, and adds up their results.

    Ports
        i_w: stream; the R rows of a tile W, C values each, the last row first, ``last`` with the
        first row, which comes last.
        i_a: stream; M rows of A, R values each, ``last`` with the M-th; they are multiplied by the
        next tile W.
        o: stream; M rows of C results, each with the tile's ``error``, ``last`` with the M-th.
        status: ``busy`` (a tile W or results are inside), ``input_stalled`` (a row of A is offered
        and not taken), ``output_stalled``; ``error``, sticky until reset, and ``error_count``,
        tiles with an error, saturating at 255; a tile counts when its last row of A is taken.

    Throughput: one row of A a cycle, as long as the output is taken; tiles follow each other
    without a bubble if they have ``shortest_tile`` rows or more, because the next W is loaded
    meanwhile. From a row of A to its results: ``latency`` cycles. From the last row of W to the
    first row of A: two. A row of A is only taken when there is room for its results: for those of
    ``latency`` rows, and of one that is offered.

    The accumulator must have room for R products, so that nothing overflows.
    Errors, reported with every row of the tile and in ``status``; other tiles are unaffected:
        wrong_length: the tile W did not have R rows. Rows that did not come, W's first ones, are
        zero; rows after the R-th are taken and dropped.
    A reset, of one cycle or more, drops all tiles inside; the next beats start new ones.
    """

    def __init__(self, parameters: Parameters, rows: int, columns: int) -> None:
        self.parameters = p = parameters
        self.row_count = rows
        self.column_count = columns
        #: A row is read, and offered, two cycles after it was written.
        self.latency = array_latency(p, rows, columns) + 2
        #: R rows of W are loaded, and one cycle later their turn comes.
        self.shortest_tile = rows + 1
        super().__init__(
            Signature(
                {
                    "i_w": In(stream.Signature(operand_layout(p.operand_bits, columns))),
                    "i_a": In(stream.Signature(operand_layout(p.operand_bits, rows))),
                    "o": Out(stream.Signature(row_layout(p, columns, ERROR_LAYOUT))),
                    "status": Out(STATUS_LAYOUT),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, rows, columns = self.parameters, self.row_count, self.column_count
        # A row's room is free again ``latency`` cycles after it was taken, at the earliest.
        depth = self.latency
        m.submodules.array = array = WeightStationaryArray(p, rows, columns, depth)
        m.submodules.loader = loader = WeightLoader(p.operand_bits, rows, columns)
        m.submodules.drain = drain = Drain(row_layout(p, columns, ERROR_LAYOUT), None, depth)
        wiring.connect(m, wiring.flipped(self.i_w), loader.i)
        wiring.connect(m, wiring.flipped(self.o), drain.o)

        take, ends = Signal(), Signal()
        is_open, error = self._take_turns(m, loader, array, ends)
        reserved = Signal(range(depth + 1))
        m.d.sync += reserved.eq(reserved + take - drain.read)
        m.d.comb += [
            self.i_a.ready.eq(is_open & (reserved != depth)),
            take.eq(self.i_a.valid & self.i_a.ready),
            ends.eq(take & self.i_a.payload.last),
            array.weights.eq(loader.weights),
            array.present.eq(loader.present),
            array.step.eq(loader.step),
            array.first.eq(loader.first),
            array.last.eq(loader.last),
            array.a.eq(self.i_a.payload.values),
            array.write.eq(take),
            array.read.eq(drain.read),
            array.address.eq(drain.address),
            drain.written.eq(array.written),
            drain.values.eq(array.values),
            drain.write.eq(take),
            drain.error.eq(error),
            drain.last.eq(self.i_a.payload.last),
        ]
        report(
            m,
            self.status,
            busy=loader.busy | is_open | (reserved != 0) | self.o.valid,
            input_stalled=self.i_a.valid & ~take,
            output_stalled=self.o.valid & ~self.o.ready,
            ends=ends,
            error=error,
        )
        return m

    def _take_turns(
        self, m: Module, loader: WeightLoader, array: WeightStationaryArray, ends: Signal
    ) -> tuple[Signal, Signal]:
        """Use a tile that waits once the one before has its last row; whether one is in use.

        Also returns the error of that tile.
        """
        is_open = Signal()
        error = Signal(ERROR_LAYOUT, reset_less=True)
        swap = Signal()
        m.d.comb += [
            loader.use.eq(loader.loaded & (~is_open | ends)),
            array.swap.eq(swap),
        ]
        m.d.sync += [
            swap.eq(loader.use),
            is_open.eq(loader.use | (is_open & ~ends)),
        ]
        with m.If(loader.use):
            m.d.sync += error.eq(loader.error)
        return is_open, error
