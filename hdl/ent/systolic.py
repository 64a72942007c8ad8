"""Output-stationary systolic array: operands hop from PE to PE, results stay in the PEs."""

from amaranth.hdl import Cat, Module, Value

from hdl.delay import delay
from hdl.ent.array import OutputStationaryArray, waits
from hdl.ent.column import Column, CorrectionColumn, column_latency
from hdl.ent.correction import RowCorrection
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

    def __init__(self, parameters: Parameters, rows: int, columns: int, depth: int) -> None:
        super().__init__(parameters, rows, columns, depth)
        before, _ = waits(parameters)
        #: Cycles from a last beat to the result of row 0 in its PE of column 0.
        self.result_latency = 1 + before + parameters.pe_latency
        self.latency = self.result_latency + column_latency(parameters) + columns - 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        edges = [self._edge(m, platform, row) for row in range(self.row_count)]
        grid = [self._row(m, platform, row, edge) for row, edge in enumerate(edges)]
        for column in range(self.column_count):
            self._feed_column(m, platform, column, [row[column] for row in grid])
        write = delay(m, self.write, self.result_latency, name="write", init=0)
        correction: Value | None = None
        if p.correct_at == "edge":
            correction = self._correction(m, platform, edges)
        for column in range(self.column_count):
            foot = place(platform, Column, p, self.row_count, self.depth, True)
            m.submodules[f"column_{column}"] = foot
            pes = [row[column] for row in grid]
            m.d.comb += [
                foot.words.eq(Cat(pe.accumulator for pe in pes)),
                foot.strobes.eq(Cat(pe.done for pe in pes)),
                foot.write.eq(write),
                foot.read.eq(self.read),
                foot.address.eq(self.address),
                self.values[column].eq(foot.value),
            ]
            if correction is not None:
                m.d.comb += foot.correction.eq(correction)
                correction = foot.correction_next
            write = foot.write_next
        waiting = column_latency(p) - 1
        m.d.comb += self.written.eq(delay(m, write, waiting, name="written", init=0))
        return m

    def _edge(self, m: Module, platform: object, row: int) -> RowEdge:
        edge = place(platform, RowEdge, self.parameters)
        m.submodules[f"edge_{row}"] = edge
        m.d.comb += [
            edge.operand.eq(stages(m, platform, self.a[row], row, name=f"a_skew_{row}")),
            edge.mark.eq(delay(m, self.last, row, name=f"last_skew_{row}", init=1)),
        ]
        return edge

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

    def _feed_column(self, m: Module, platform: object, column: int, pes: list[PE]) -> None:
        before, _ = waits(self.parameters)
        count = 1 + before + column
        operand = stages(m, platform, self.b[column], count, name=f"b_skew_{column}")
        for pe in pes:
            m.d.comb += pe.b.eq(operand)
            operand = pe.b_next

    def _correction(self, m: Module, platform: object, edges: list[RowEdge]) -> Value:
        """The correction of each result of column 0, when its column wants it."""
        p = self.parameters
        foot = place(platform, CorrectionColumn, p, self.row_count)
        m.submodules.correction = foot
        words = []
        for row, edge in enumerate(edges):
            unit = place(platform, RowCorrection, p)
            m.submodules[f"correction_{row}"] = unit
            m.d.comb += [unit.a.eq(edge.a), unit.restart.eq(edge.was_marked)]
            words.append(unit.correction)
        m.d.comb += [
            foot.words.eq(Cat(*words)),
            foot.strobes.eq(Cat(edge.was_marked for edge in edges)),
        ]
        _, after = waits(p)
        return stages(m, platform, foot.correction, after, name="correction_wait")
