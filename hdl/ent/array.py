"""What all output-stationary arrays have in common, whichever way their operands travel."""

from collections.abc import Sequence

from amaranth.hdl import Module, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.delay import delay
from hdl.ent.column import (
    ColumnFoot,
    ColumnMemory,
    CorrectionFoot,
    correction_latency,
    result_latency,
)
from hdl.ent.correction import RowCorrection
from hdl.ent.parameters import Parameters
from hdl.ent.row_edge import RowEdge
from hdl.ent.select import select, select_latency
from hdl.export import place


class OutputStationaryArray(Component):
    """R rows of C PEs, each with a result of its own, and the columns' memories.

    Ports
        a, b: operands of one beat, n bits a lane, of each row and column. valid: there is a beat;
        without, a counts as zero. first, last: the beat is its tile's first, its last.
        write: high for R cycles from a tile's last beat on, if its results are to be kept.
        written: a row is in all memories, and one cycle later it can be read.
        read, address: a row of the memories. values: one cycle later its C results, until the next
        is read.

    One beat a cycle; ``busy_cycles`` cycles after a last beat take no beat. From a last beat to the
    ``written`` of its first row: ``latency`` cycles. ``depth`` rows fit into the memories.
    """

    busy_cycles: int
    #: Whether results of column j come j cycles behind those of column 0.
    skewed: bool
    #: Cycles from a last beat to the result of row 0 in its PE of column 0.
    accumulator_latency: int

    def __init__(self, parameters: Parameters, rows: int, columns: int, depth: int) -> None:
        self.parameters = p = parameters
        self.row_count = rows
        self.column_count = columns
        self.depth = depth
        operand = p.operand_bits * p.lanes
        super().__init__(
            Signature(
                {
                    "a": In(ArrayLayout(operand, rows)),
                    "b": In(ArrayLayout(operand, columns)),
                    "valid": In(1),
                    "first": In(1),
                    "last": In(1),
                    "write": In(1),
                    "written": Out(1),
                    "read": In(1),
                    "address": In(range(depth)),
                    "values": Out(ArrayLayout(p.accumulator_bits, columns)),
                }
            )
        )

    @property
    def memory_latency(self) -> int:
        """Cycles from a last beat to the value of row 0 at the memory of column 0."""
        picked = self.accumulator_latency + select_latency(self.row_count)
        return picked + result_latency(self.parameters)

    @property
    def latency(self) -> int:
        return self.memory_latency + (self.column_count - 1 if self.skewed else 0)

    def keep_results(
        self,
        m: Module,
        platform: object,
        accumulators: Sequence[Sequence[Value]],
        strobes: Sequence[Sequence[Value]],
        corrections: Sequence[Value],
    ) -> None:
        """Place the columns' feet and memories.

        accumulators, strobes: of each column, those of its PEs. corrections: what to add in each
        column, or in column 0 alone if columns are skewed; none if nothing is added there.
        """
        p = self.parameters
        writes = [delay(m, self.write, self.memory_latency, name="write", init=0)]
        corrections = list(corrections)
        for column in range(self.column_count):
            chosen = select(
                m,
                platform,
                list(accumulators[column]),
                list(strobes[column]),
                name=f"select_{column}",
            )
            value = chosen
            if p.words > 1 or corrections:
                foot = place(platform, ColumnFoot, p, self.skewed)
                m.submodules[f"foot_{column}"] = foot
                m.d.comb += foot.words.eq(chosen)
                value = foot.value
            memory = place(platform, ColumnMemory, p.accumulator_bits, self.depth, self.skewed)
            m.submodules[f"memory_{column}"] = memory
            m.d.comb += [
                memory.value.eq(value),
                memory.write.eq(writes[-1]),
                memory.read.eq(self.read),
                memory.address.eq(self.address),
                self.values[column].eq(memory.kept),
            ]
            if corrections:
                m.d.comb += foot.correction.eq(corrections[column])
                if self.skewed:
                    corrections.append(foot.correction_next)
            if self.skewed and column + 1 < self.column_count:
                writes.append(memory.write_next)
        m.d.comb += self.written.eq(writes[-1])

    def correct_rows(
        self,
        m: Module,
        platform: object,
        edges: Sequence[RowEdge],
        restarts: Sequence[Value],
        strobes: Sequence[Value],
    ) -> Value:
        """The corrections of the rows, one by one.

        restarts: of each row, whether a beat starts from zero. strobes: whether its correction is
        wanted; its value comes ``select_latency`` and ``correction_latency`` cycles later.
        """
        words = []
        for row, (edge, restart) in enumerate(zip(edges, restarts, strict=True)):
            unit = place(platform, RowCorrection, self.parameters)
            m.submodules[f"correction_{row}"] = unit
            m.d.comb += [unit.a.eq(edge.a), unit.restart.eq(restart)]
            words.append(unit.correction)
        chosen = select(m, platform, words, list(strobes), name="select_correction")
        if self.parameters.words == 1:
            return chosen
        foot = place(platform, CorrectionFoot, self.parameters)
        m.submodules.correction_foot = foot
        m.d.comb += foot.words.eq(chosen)
        return foot.value


def waits(parameters: Parameters) -> tuple[int, int]:
    """Cycles that operands wait before the PEs, and corrections before the columns.

    A foot wants the correction together with the words of a result. ``RowCorrection`` gets the
    operands as they leave the edge, and takes one cycle.
    """
    if parameters.correct_at != "edge":
        return 0, 0
    results, corrections = parameters.pe_latency, 1 + correction_latency(parameters)
    return max(0, corrections - results), max(0, results - corrections)
