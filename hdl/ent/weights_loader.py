"""Loads tiles of weights into an array: as many rows as it has, whatever the stream brings."""

from amaranth.hdl import Module, Signal
from amaranth.lib import enum, stream
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.ent.result_memory import following
from hdl.ent.top import operand_layout

#: What may be wrong with a tile.
ERROR_LAYOUT = StructLayout({"wrong_length": 1})


class State(enum.Enum, shape=2):
    """Where the stream is in a tile."""

    TAKE = 0
    FILL = 1
    """It ended early: the rows that are missing are zero."""

    SKIP = 2
    """The tile is complete, but the stream has more of it."""


class WeightLoader(Component):
    """Moves one tile after the other into the registers that wait.

    Ports
        i: stream of rows of W, the tile's last row first, ``last`` with its first row.
        weights, present, step, first, last: of the array.
        loaded: a tile waits to be used, with this ``error``. use: it is used from now on; only
        with ``loaded``.
        busy: a tile is waiting, or the stream is in the middle of one.

    A row is taken in every cycle in which no tile waits. ``loaded`` follows in the cycle after the
    last of R rows, and two cycles after that row the array may use them. A reset drops all.
    """

    def __init__(self, operand_bits: int, rows: int, columns: int) -> None:
        self.row_count = rows
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(operand_layout(operand_bits, columns))),
                    "weights": Out(ArrayLayout(operand_bits, columns)),
                    "present": Out(1),
                    "step": Out(1),
                    "first": Out(1),
                    "last": Out(1),
                    "loaded": Out(1),
                    "error": Out(ERROR_LAYOUT),
                    "use": In(1),
                    "busy": Out(1),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = Signal(State)
        row = Signal(range(self.row_count))
        payload = self.i.payload
        values = payload.values.as_value()
        wrong = Signal()
        m.d.comb += [
            self.weights.as_value().eq(values),
            self.present.eq(state == State.TAKE),
            self.first.eq(row == 0),
            self.last.eq(row == self.row_count - 1),
            self.busy.eq((row != 0) | (state != State.TAKE) | self.loaded),
        ]
        with m.If(self.use):
            m.d.sync += self.loaded.eq(0)
        with m.If(self.step):
            m.d.sync += row.eq(following(row, self.row_count))
            with m.If(self.last):
                m.d.sync += [self.loaded.eq(1), self.error.wrong_length.eq(wrong)]
        with m.Switch(state):
            with m.Case(State.TAKE):
                m.d.comb += [
                    self.i.ready.eq(~self.loaded),
                    self.step.eq(self.i.valid & self.i.ready),
                    wrong.eq(~payload.last),
                ]
                with m.If(self.step & payload.last & ~self.last):
                    m.d.sync += state.eq(State.FILL)
                with m.If(self.step & ~payload.last & self.last):
                    m.d.sync += state.eq(State.SKIP)
            with m.Case(State.FILL):
                m.d.comb += [self.step.eq(1), wrong.eq(1)]
                with m.If(self.last):
                    m.d.sync += state.eq(State.TAKE)
            with m.Case(State.SKIP):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid & payload.last):
                    m.d.sync += state.eq(State.TAKE)
        return m
