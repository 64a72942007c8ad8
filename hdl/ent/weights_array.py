"""Weight-stationary systolic array: weights stay in the PEs, operands and partial sums move."""

from amaranth.hdl import Const, Module, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.delay import delay
from hdl.ent.parameters import Parameters
from hdl.ent.stage import stages
from hdl.ent.weights_column import WeightsFoot, WeightsHead, foot_latency
from hdl.ent.weights_pe import WeightsPE
from hdl.ent.weights_row import WeightsRow
from hdl.export import place


class WeightStationaryArray(Component):
    """R rows of C PEs, each with a weight in use and one that waits, and the columns' memories.

    A moves right, partial sums and weights that wait move down; all of it is skewed here.

    Ports
        weights: of one row of W, n bits a column, the tile's last row first. present: there are
        any; without, they count as zero. step: they move into the array. first, last: they are the
        first of R, the last.
        swap: weights that wait are in use for operands of this cycle and later ones; two cycles
        after ``last`` or later. In this cycle the first of the next tile may come.
        a: one row of A, n bits a row of the array. write: its C results are to be kept.
        written: results of a row are in all memories, and one cycle later they can be read.
        read, address: a row of the memories. values: one cycle later its C results, until the next
        is read.

    One row of A and one of W a cycle, no stalls. From ``write`` to ``written``: ``latency`` cycles.
    ``depth`` rows fit into the memories. A reset, of one cycle or more, discards all rows inside;
    weights must be brought again.
    """

    def __init__(self, parameters: Parameters, rows: int, columns: int, depth: int) -> None:
        self.parameters = p = parameters
        self.row_count = rows
        self.column_count = columns
        self.depth = depth
        self.latency = array_latency(p, rows, columns)
        super().__init__(
            Signature(
                {
                    "weights": In(ArrayLayout(p.operand_bits, columns)),
                    "present": In(1),
                    "step": In(1),
                    "first": In(1),
                    "last": In(1),
                    "swap": In(1),
                    "a": In(ArrayLayout(p.operand_bits, rows)),
                    "write": In(1),
                    "written": Out(1),
                    "read": In(1),
                    "address": In(range(depth)),
                    "values": Out(ArrayLayout(p.accumulator_bits, columns)),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        edges = self._edges(m, platform)
        right = [(edge.a_next, edge.load, swap) for edge, swap in edges]
        first: Value = delay(m, self.first, 1, name="first")
        present: Value = self.present
        # A row's operands leave the edge one cycle after they came, its sums R cycles later.
        write: Value = delay(m, self.write, 1 + self.row_count, name="write", init=0)
        for column in range(self.column_count):
            head = place(platform, WeightsHead, self.parameters, self.row_count)
            foot = place(platform, WeightsFoot, self.parameters, self.depth)
            m.submodules[f"head_{column}"] = head
            m.submodules[f"foot_{column}"] = foot
            weight = stages(m, platform, self.weights[column], column, name=f"weight_skew_{column}")
            _, load, swap = right[0]
            m.d.comb += [
                head.operand.eq(weight),
                head.present.eq(present),
                head.first.eq(first),
                head.load.eq(load),
                head.swap.eq(swap),
                foot.sums.eq(self._column(m, platform, column, head, right)),
                foot.write.eq(write),
                foot.read.eq(self.read),
                foot.address.eq(self.address),
                self.values[column].eq(foot.value),
            ]
            first, write, written = head.first_next, foot.write_next, write
            present = delay(m, present, 1, name=f"present_skew_{column}")
        waiting = foot_latency(self.parameters) - 1
        m.d.comb += self.written.eq(delay(m, written, waiting, name="written", init=0))
        return m

    def _edges(self, m: Module, platform: object) -> list[tuple[WeightsRow, Value]]:
        """Each row's edge, and its ``swap``: one cycle ahead of the operands."""
        edges = []
        swap: Value = self.swap
        reached: Value = Const(1, 1)  # what is above the first row is always the next to come
        for row in range(self.row_count):
            edge = place(platform, WeightsRow, self.parameters.operand_bits)
            m.submodules[f"row_{row}"] = edge
            m.d.comb += [
                edge.a.eq(stages(m, platform, self.a[row], row, name=f"a_skew_{row}")),
                edge.swap.eq(swap),
                edge.step.eq(self.step),
                edge.last.eq(self.last),
                edge.reached.eq(reached),
            ]
            edges.append((edge, swap))
            swap, reached = edge.swap_next, edge.reached_next
        return edges

    def _column(
        self,
        m: Module,
        platform: object,
        column: int,
        head: WeightsHead,
        right: list[tuple[Value, Value, Value]],
    ) -> Value:
        """The PEs of a column, fed by what is to their left; replaces it by what they pass on."""
        weight, sums = head.weight, head.sums
        for row, (a, load, swap) in enumerate(right):
            pe = place(platform, WeightsPE, self.parameters)
            m.submodules[f"pe_{row}_{column}"] = pe
            m.d.comb += [
                pe.weight.eq(weight),
                pe.load.eq(load),
                pe.swap.eq(swap),
                pe.a.eq(a),
                pe.sums.eq(sums),
            ]
            weight, sums = pe.weight_next, pe.sums_next
            right[row] = (pe.a_next, pe.load_next, pe.swap_next)
        return sums


def array_latency(parameters: Parameters, rows: int, columns: int) -> int:
    """Cycles from a row of A to its results in all memories."""
    return rows + columns - 1 + foot_latency(parameters)
