"""Drain of the array: gathers the skewed columns into rows and offers them as a stream."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.delay import delay
from hdl.ent.parameters import Parameters

#: What may be wrong with a tile.
ERROR_LAYOUT = StructLayout({"last_mismatch": 1, "overflow_possible": 1})


def row_layout(parameters: Parameters, columns: int) -> StructLayout:
    """One row of results: ``values`` (signed), the tile's ``error``, ``last`` row of the tile."""
    return StructLayout(
        {
            "values": ArrayLayout(parameters.accumulator_bits, columns),
            "error": ERROR_LAYOUT,
            "last": 1,
        }
    )


class Drain(Component):
    """One memory a column, each written as its column's results come, all read together.

    Ports
        columns, correction: from ``SystolicArray``. error: of the tile whose row is written.
        write: column 0 shows a row now; column j follows j cycles later.
        o: rows in order, one a cycle.
        read: a row leaves the memories in this cycle, which makes room for another.

    ``depth`` rows fit; the caller keeps ``write`` within that. Whatever was inside is dropped by a
    reset. The memories undo the skew, so that no registers are spent on it.
    """

    def __init__(self, parameters: Parameters, rows: int, columns: int, depth: int) -> None:
        self.parameters = parameters
        self.row_count = rows
        self.column_count = columns
        self.depth = depth
        result = parameters.accumulator_bits
        super().__init__(
            Signature(
                {
                    "columns": In(ArrayLayout(result, columns)),
                    "correction": In(result),
                    "error": In(ERROR_LAYOUT),
                    "write": In(1),
                    "read": Out(1),
                    "o": Out(stream.Signature(row_layout(parameters, columns))),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        written = Signal(range(self.depth + 1))
        read_address = Signal(range(self.depth))
        row = Signal(range(self.row_count))
        m.d.comb += self.read.eq((written != 0) & (~self.o.valid | self.o.ready))
        complete = delay(m, self.write, self.column_count - 1, name="write_last", init=0)
        m.d.sync += written.eq(written + complete - self.read)
        with m.If(self.read):
            m.d.sync += [
                self.o.valid.eq(1),
                read_address.eq(_next(read_address, self.depth)),
                row.eq(_next(row, self.row_count)),
                self.o.payload.last.eq(row == self.row_count - 1),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        values = [
            self._memory(m, f"column_{j}", self.columns[j], j, read_address)
            for j in range(self.column_count)
        ]
        error = self._memory(m, "error", self.error.as_value(), 0, read_address)
        if self.parameters.correct_at == "edge":
            correction = self._memory(m, "correction", self.correction, 0, read_address)
            values = [(value + correction)[: len(value)] for value in values]
        m.d.comb += [
            self.o.payload.values.as_value().eq(Cat(*values)),
            self.o.payload.error.eq(error),
        ]
        return m

    def _memory(self, m: Module, name: str, value, skew: int, read_address):
        """Memory of one column, written ``skew`` cycles after ``write``; returns the row read."""
        memory = Memory(shape=len(value), depth=self.depth, init=[])
        m.submodules[name] = memory
        enable = delay(m, self.write, skew, name=f"{name}_write", init=0)
        address = Signal(range(self.depth), name=f"{name}_address")
        with m.If(enable):
            m.d.sync += address.eq(_next(address, self.depth))
        write_port = memory.write_port()
        read_port = memory.read_port()
        m.d.comb += [
            write_port.en.eq(enable),
            write_port.addr.eq(address),
            write_port.data.eq(value),
            read_port.en.eq(self.read),
            read_port.addr.eq(read_address),
        ]
        return read_port.data


def _next(counter, length: int):
    """``counter + 1``, back to zero after ``length - 1``."""
    if length == 1:
        return 0
    wraps = counter == length - 1
    return (counter + 1)[: len(counter)] & ~wraps.replicate(len(counter))
