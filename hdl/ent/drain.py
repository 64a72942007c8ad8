"""Drain of an array: reads the rows in its memories and offers them as a stream."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.ent.parameters import Parameters
from hdl.ent.result_memory import following, keep

#: What may be wrong with a tile.
ERROR_LAYOUT = StructLayout({"last_mismatch": 1, "overflow_possible": 1})


def row_layout(
    parameters: Parameters, columns: int, error: StructLayout = ERROR_LAYOUT
) -> StructLayout:
    """One row of results: ``values`` (signed), the tile's ``error``, ``last`` row of the tile."""
    return StructLayout(
        {
            "values": ArrayLayout(parameters.accumulator_bits, columns),
            "error": error,
            "last": 1,
        }
    )


class Drain(Component):
    """Counts the rows in the memories of an array and reads them one after the other.

    Ports
        written, values, read, address: of the array. write, error: a row will be written, of a tile
        with this error; rows come in order, any time before they are ``written``. last: it is the
        tile's last row; only if tiles have different numbers of rows.
        o: rows in order, one a cycle. A row that is read leaves room for another.

    row: a ``row_layout``. rows: of every tile, or None if they differ. ``depth`` rows fit; the
    caller keeps ``write`` within that. A reset drops whatever was inside.
    """

    def __init__(self, row: StructLayout, rows: int | None, depth: int) -> None:
        self.row_count = rows
        self.depth = depth
        ports = {
            "written": In(1),
            "values": In(row["values"].shape),
            "write": In(1),
            "error": In(row["error"].shape),
            "read": Out(1),
            "address": Out(range(depth)),
            "o": Out(stream.Signature(row)),
        }
        if rows is None:
            ports["last"] = In(1)
        super().__init__(Signature(ports))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inside = Signal(range(self.depth + 1))
        m.d.comb += self.read.eq((inside != 0) & (~self.o.valid | self.o.ready))
        m.d.sync += inside.eq(inside + self.written - self.read)
        with m.If(self.read):
            m.d.sync += [
                self.o.valid.eq(1),
                self.address.eq(following(self.address, self.depth)),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        m.d.comb += self.o.payload.values.eq(self.values)
        error, last = self.o.payload.error, self.o.payload.last
        if self.row_count is None:
            m.d.comb += Cat(error, last).eq(self._remember(m, Cat(self.error, self.last)))
        else:
            m.d.comb += error.eq(self._remember(m, self.error.as_value()))
            self._count_rows(m, self.row_count)
        return m

    def _count_rows(self, m: Module, rows: int) -> None:
        row = Signal(range(rows))
        with m.If(self.read):
            m.d.sync += [
                row.eq(following(row, rows)),
                self.o.payload.last.eq(row == rows - 1),
            ]

    def _remember(self, m: Module, value: Value) -> Value:
        """What ``value`` was when the row that was read last was announced by ``write``."""
        return keep(m, value, self.write, self.read, self.address, self.depth)
