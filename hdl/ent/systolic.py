"""Output-stationary systolic array: operands hop from PE to PE, results stay in the PEs."""

from collections.abc import Sequence

from amaranth.hdl import Module, Value

from hdl.delay import delay
from hdl.ent.array import OutputStationaryArray, waits
from hdl.ent.parameters import Parameters
from hdl.ent.pe import PE
from hdl.ent.row_edge import RowEdge
from hdl.ent.stage import stages
from hdl.export import place


class SystolicArray(OutputStationaryArray):
    """A moves right, B moves down, both skewed here at the edges; results leave skewed likewise.

    Last beats must be at least R cycles apart, or their results meet in a column. A reset, of one
    cycle or more, discards the open tile: the next beat is a tile's first; the first last beat
    must come R - 1 cycles later or more. It needs no ``first``: a tile begins behind another one.
    """

    busy_cycles = 0
    skewed = True

    def __init__(self, parameters: Parameters, rows: int, columns: int, depth: int) -> None:
        super().__init__(parameters, rows, columns, depth)
        before, _ = waits(parameters)
        self.accumulator_latency = 1 + before + parameters.pe_latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        edges = self._edges(m, platform)
        grid = [self._row(m, platform, row, edge) for row, edge in enumerate(edges)]
        columns = list(zip(*grid, strict=True))
        for column, pes in enumerate(columns):
            self._feed_column(m, platform, column, pes)
        corrections = []
        if self.parameters.correct_at == "edge":
            corrections = [self._correction(m, platform, edges)]
        accumulators = [[pe.accumulator for pe in pes] for pes in columns]
        strobes = [[pe.done for pe in pes] for pes in columns]
        self.keep_results(m, platform, accumulators, strobes, corrections)
        return m

    def _edges(self, m: Module, platform: object) -> list[RowEdge]:
        edges = []
        valid: Value = self.valid
        last: Value = self.last
        for row in range(self.row_count):
            edge = place(platform, RowEdge, self.parameters)
            m.submodules[f"edge_{row}"] = edge
            operand = stages(m, platform, self.a[row], row, name=f"a_skew_{row}")
            m.d.comb += [edge.operand.eq(operand), edge.valid.eq(valid), edge.mark.eq(last)]
            valid = delay(m, valid, 1, name=f"valid_skew_{row}")
            last = delay(m, last, 1, name=f"last_skew_{row}", init=1)
            edges.append(edge)
        return edges

    def _row(self, m: Module, platform: object, row: int, edge: RowEdge) -> list[PE]:
        before, _ = waits(self.parameters)
        operand = stages(m, platform, edge.a, before, name=f"a_wait_{row}")
        last = delay(m, edge.marked, before, name=f"last_wait_{row}", init=1)
        pes = []
        for column in range(self.column_count):
            pe = place(platform, PE, self.parameters)
            m.submodules[f"pe_{row}_{column}"] = pe
            m.d.comb += [pe.a.eq(operand), pe.last.eq(last)]
            operand, last = pe.a_next, pe.last_next
            pes.append(pe)
        return pes

    def _feed_column(self, m: Module, platform: object, column: int, pes: Sequence[PE]) -> None:
        before, _ = waits(self.parameters)
        count = 1 + before + column
        operand = stages(m, platform, self.b[column], count, name=f"b_skew_{column}")
        for pe in pes:
            m.d.comb += pe.b.eq(operand)
            operand = pe.b_next

    def _correction(self, m: Module, platform: object, edges: list[RowEdge]) -> Value:
        """The correction of each result of column 0, when its foot wants it."""
        ends = [edge.was_marked for edge in edges]
        value = self.correct_rows(m, platform, edges, ends, ends)
        _, after = waits(self.parameters)
        return stages(m, platform, value, after, name="correction_wait")
