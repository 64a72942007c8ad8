"""Output-stationary array with broadcast operands: a 2-D matrix of PEs, with lanes a cube.

With one row it is multipliers with adder trees: a vector A goes to all columns, each of which has a
vector B of its own.
"""

from amaranth.hdl import Cat, Module, Value

from hdl.delay import delay
from hdl.ent.array import OutputStationaryArray, waits
from hdl.ent.column import correction_latency
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

    skewed = False

    def __init__(self, parameters: Parameters, rows: int, columns: int, depth: int) -> None:
        super().__init__(parameters, rows, columns, depth)
        self.busy_cycles = rows - 1
        before, _ = waits(parameters)
        #: Stages of the trees, which are as deep for A as for B.
        self.depth_of_trees = max(levels(rows), before + levels(columns))
        self.accumulator_latency = 1 + self.depth_of_trees + parameters.pe_latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        edges = [self._edge(m, platform, row) for row in range(self.row_count)]
        marked = [self._feed_row(m, platform, row, edge) for row, edge in enumerate(edges)]
        accumulators = []
        for column in range(self.column_count):
            operands = self._feed_column(m, platform, column)
            pes = [place(platform, BroadcastPE, self.parameters) for _ in range(self.row_count)]
            for row, pe in enumerate(pes):
                m.submodules[f"pe_{row}_{column}"] = pe
                m.d.comb += [
                    Cat(pe.a, pe.first).eq(marked[row][column]),
                    pe.b.eq(operands[row]),
                ]
            accumulators.append([pe.accumulator for pe in pes])
        corrections = []
        if self.parameters.correct_at == "edge":
            corrections = self._corrections(m, platform, edges)
        strobes = self._strobes(m, platform)
        self.keep_results(m, platform, accumulators, strobes, corrections)
        return m

    def _edge(self, m: Module, platform: object, row: int) -> RowEdge:
        edge = place(platform, RowEdge, self.parameters)
        m.submodules[f"edge_{row}"] = edge
        m.d.comb += [
            edge.operand.eq(self.a[row]),
            edge.valid.eq(self.valid),
            edge.mark.eq(self.first),
        ]
        return edge

    def _feed_row(self, m: Module, platform: object, row: int, edge: RowEdge) -> list[Value]:
        value = Cat(edge.a, edge.marked)
        depth = self.depth_of_trees
        return broadcast(m, platform, value, self.column_count, depth, name=f"a_tree_{row}")

    def _feed_column(self, m: Module, platform: object, column: int) -> list[Value]:
        value = stages(m, platform, self.b[column], 1, name=f"b_edge_{column}")
        depth = self.depth_of_trees
        return broadcast(m, platform, value, self.row_count, depth, name=f"b_tree_{column}")

    def _strobes(self, m: Module, platform: object) -> list[list[Value]]:
        """For each column which row's result is chosen, one after the other."""
        depth = levels(self.column_count)
        strobes = self._row_by_row(m, self.accumulator_latency - depth, "strobe")
        leaves = broadcast(m, platform, Cat(*strobes), self.column_count, depth, name="strobe_tree")
        return [list(leaf) for leaf in leaves]

    def _row_by_row(self, m: Module, latency: int, name: str) -> list[Value]:
        """A bit a row, each high for a cycle, row 0 ``latency`` cycles after a last beat."""
        rows = [delay(m, self.last, latency, name=name, init=0)]
        for row in range(1, self.row_count):
            rows.append(delay(m, rows[-1], 1, name=f"{name}_{row}", init=0))
        return rows

    def _corrections(self, m: Module, platform: object, edges: list[RowEdge]) -> list[Value]:
        """The correction of each column's result, when its foot wants it."""
        strobes = self._row_by_row(m, CORRECTION_STROBE, "correction_strobe")
        restarts = [edge.marked for edge in edges]
        value = self.correct_rows(m, platform, edges, restarts, strobes)
        spent = CORRECTION_STROBE + correction_latency(self.parameters)
        depth = self.accumulator_latency - spent
        return broadcast(m, platform, value, self.column_count, depth, name="correction_tree")
