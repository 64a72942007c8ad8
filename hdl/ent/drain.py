"""Drain of an array: reads the rows in its memories and offers them as a stream."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.ent.parameters import Parameters
from hdl.ent.result_memory import following

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
    """Counts the rows in the memories of an array and reads them one after the other.

    Ports
        written, values, read, address: of the array. write, error: a row will be written, of a tile
        with this error; rows come in order, any time before they are ``written``.
        o: rows in order, one a cycle. A row that is read leaves room for another.

    ``depth`` rows fit; the caller keeps ``write`` within that. A reset drops whatever was inside.
    """

    def __init__(self, parameters: Parameters, rows: int, columns: int, depth: int) -> None:
        self.row_count = rows
        self.depth = depth
        super().__init__(
            Signature(
                {
                    "written": In(1),
                    "values": In(ArrayLayout(parameters.accumulator_bits, columns)),
                    "write": In(1),
                    "error": In(ERROR_LAYOUT),
                    "read": Out(1),
                    "address": Out(range(depth)),
                    "o": Out(stream.Signature(row_layout(parameters, columns))),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inside = Signal(range(self.depth + 1))
        row = Signal(range(self.row_count))
        m.d.comb += self.read.eq((inside != 0) & (~self.o.valid | self.o.ready))
        m.d.sync += inside.eq(inside + self.written - self.read)
        with m.If(self.read):
            m.d.sync += [
                self.o.valid.eq(1),
                self.address.eq(following(self.address, self.depth)),
                row.eq(following(row, self.row_count)),
                self.o.payload.last.eq(row == self.row_count - 1),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        m.d.comb += [
            self.o.payload.values.eq(self.values),
            self.o.payload.error.eq(self._errors(m)),
        ]
        return m

    def _errors(self, m: Module):
        """The error of the row that was read last."""
        memory = Memory(shape=len(self.error.as_value()), depth=self.depth, init=[])
        m.submodules.errors = memory
        place = Signal(range(self.depth))
        with m.If(self.write):
            m.d.sync += place.eq(following(place, self.depth))
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(place),
            write.data.eq(self.error),
            read.en.eq(self.read),
            read.addr.eq(self.address),
        ]
        return read.data
