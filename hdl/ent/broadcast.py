"""Output-stationary array with broadcast operands: a 2-D matrix of PEs, with lanes a cube.

With one row it is multipliers with adder trees: a vector A goes to all columns, each of which has a
vector B of its own.
"""

from amaranth.hdl import Cat, Module, Value

from hdl.delay import delay
from hdl.ent.array import OutputStationaryArray, waits
from hdl.ent.column import Column, CorrectionColumn, column_latency, correction_latency
from hdl.ent.correction import RowCorrection
from hdl.ent.parameters import Parameters
from hdl.ent.pe import BroadcastPE
from hdl.ent.row_edge import RowEdge
from hdl.ent.stage import broadcast, levels, stages
from hdl.export import place

#: Cycles from a last beat to the correction of row 0 in its words.
CORRECTION_STROBE = 2


class BroadcastArray(OutputStationaryArray):
    """A goes to all PEs of a row, B to all of a column, by trees of registers.

    All PEs are at the same beat. For R - 1 cycles after a last beat they keep their results, which
    leave row by row, and no beat may come. A reset needs no care: what comes next has a first beat.
    """

    def __init__(self, parameters: Parameters, rows: int, columns: int, depth: int) -> None:
        super().__init__(parameters, rows, columns, depth)
        self.busy_cycles = rows - 1
        before, _ = waits(parameters)
        #: Stages of the trees, which are as deep for A as for B.
        self.depth_of_trees = max(levels(rows), before + levels(columns))
        #: Cycles from a last beat to the result of row 0 in its PEs.
        self.result_latency = 1 + self.depth_of_trees + parameters.pe_latency
        self.latency = self.result_latency + column_latency(parameters)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        edges = [self._edge(m, platform, row) for row in range(self.row_count)]
        marked = [self._feed_row(m, platform, row, edge) for row, edge in enumerate(edges)]
        b = [self._feed_column(m, platform, column) for column in range(self.column_count)]
        strobes = self._strobes(m, platform, self.result_latency)
        corrections: list[Value] = []
        if p.correct_at == "edge":
            corrections = self._corrections(m, platform, edges)
        write = delay(m, self.write, self.result_latency, name="write", init=0)
        for column in range(self.column_count):
            foot = place(platform, Column, p, self.row_count, self.depth, False)
            m.submodules[f"column_{column}"] = foot
            words = []
            for row in range(self.row_count):
                pe = place(platform, BroadcastPE, p)
                m.submodules[f"pe_{row}_{column}"] = pe
                m.d.comb += [
                    Cat(pe.a, pe.first).eq(marked[row][column]),
                    pe.b.eq(b[column][row]),
                ]
                words.append(pe.accumulator)
            m.d.comb += [
                foot.words.eq(Cat(*words)),
                foot.strobes.eq(strobes[column]),
                foot.write.eq(write),
                foot.read.eq(self.read),
                foot.address.eq(self.address),
                self.values[column].eq(foot.value),
            ]
            if corrections:
                m.d.comb += foot.correction.eq(corrections[column])
        m.d.comb += self.written.eq(delay(m, write, column_latency(p), name="written", init=0))
        return m

    def _edge(self, m: Module, platform: object, row: int) -> RowEdge:
        edge = place(platform, RowEdge, self.parameters)
        m.submodules[f"edge_{row}"] = edge
        m.d.comb += [edge.operand.eq(self.a[row]), edge.mark.eq(self.first)]
        return edge

    def _feed_row(self, m: Module, platform: object, row: int, edge: RowEdge) -> list[Value]:
        value = Cat(edge.a, edge.marked)
        depth = self.depth_of_trees
        return broadcast(m, platform, value, self.column_count, depth, name=f"a_tree_{row}")

    def _feed_column(self, m: Module, platform: object, column: int) -> list[Value]:
        value = stages(m, platform, self.b[column], 1, name=f"b_edge_{column}")
        depth = self.depth_of_trees
        return broadcast(m, platform, value, self.row_count, depth, name=f"b_tree_{column}")

    def _strobes(self, m: Module, platform: object, latency: int) -> list[Value]:
        """For each column which row's result is chosen, one after the other."""
        depth = levels(self.column_count)
        strobes = self._row_by_row(m, latency - depth, "strobe")
        return broadcast(m, platform, strobes, self.column_count, depth, name="strobe_tree")

    def _row_by_row(self, m: Module, latency: int, name: str) -> Value:
        """A bit a row, each high for a cycle, row 0 ``latency`` cycles after a last beat."""
        rows = [delay(m, self.last, latency, name=name, init=0)]
        for row in range(1, self.row_count):
            rows.append(delay(m, rows[-1], 1, name=f"{name}_{row}", init=0))
        return Cat(*rows)

    def _corrections(self, m: Module, platform: object, edges: list[RowEdge]) -> list[Value]:
        """The correction of each column's result, when the column wants it."""
        p = self.parameters
        foot = place(platform, CorrectionColumn, p, self.row_count)
        m.submodules.correction = foot
        words = []
        for row, edge in enumerate(edges):
            unit = place(platform, RowCorrection, p)
            m.submodules[f"correction_{row}"] = unit
            m.d.comb += [unit.a.eq(edge.a), unit.restart.eq(edge.marked)]
            words.append(unit.correction)
        m.d.comb += [
            foot.words.eq(Cat(*words)),
            foot.strobes.eq(self._row_by_row(m, CORRECTION_STROBE, "correction_strobe")),
        ]
        depth = self.result_latency - 1 - correction_latency(p)
        return broadcast(
            m, platform, foot.correction, self.column_count, depth, name="correction_tree"
        )
