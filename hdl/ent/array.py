"""Output-stationary systolic array: operands enter at two edges, results stay in the PEs."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.delay import delay
from hdl.encoding import encode
from hdl.ent.correction import RowCorrection
from hdl.ent.parameters import Parameters
from hdl.ent.pe import PE
from hdl.export import place


class SystolicArray(Component):
    """R rows of C PEs; A moves right, B moves down, both skewed here at the edges.

    Ports
        a: R operands of one beat, all zero in an idle cycle. b: C operands of the same beat.
        last: the beat is its tile's last.
        columns: column j shows its result of row i, for one cycle, ``i + j + 2`` cycles after
        the tile's last beat. correction: with ``correct_at = edge``, what to add to every result
        of row i, ``i + 2`` cycles after the last beat (otherwise zero).

    One beat a cycle, never stalls. Last beats must be at least R cycles apart, or their results
    meet in a column. A reset, of one cycle or more, discards the open tile: the next beat is a
    tile's first; the first last beat must come R - 1 cycles later or more.
    """

    def __init__(self, parameters: Parameters, rows: int, columns: int) -> None:
        self.parameters = parameters
        self.row_count = rows
        self.column_count = columns
        operand, result = parameters.operand_bits, parameters.accumulator_bits
        super().__init__(
            Signature(
                {
                    "a": In(ArrayLayout(operand, rows)),
                    "b": In(ArrayLayout(operand, columns)),
                    "last": In(1),
                    "columns": Out(ArrayLayout(result, columns)),
                    "correction": Out(result),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        grid = [
            [place(platform, PE, self.parameters) for _ in range(self.column_count)]
            for _ in range(self.row_count)
        ]
        for i, row in enumerate(grid):
            for j, pe in enumerate(row):
                m.submodules[f"pe_{i}_{j}"] = pe
        for i, row in enumerate(grid):
            self._feed_row(m, platform, i, row)
        for j in range(self.column_count):
            column = [row[j] for row in grid]
            self._feed_column(m, j, column)
            m.d.comb += self.columns[j].eq(_select((pe.last_next, pe.accumulator) for pe in column))
        if self.parameters.correct_at == "edge":
            self._correct(m, platform, [row[0] for row in grid])
        return m

    def _feed_row(self, m: Module, platform: object, i: int, row: list[PE]) -> None:
        operand = delay(m, self.a[i], i, name=f"a_skew_{i}")
        if self.parameters.encode_at == "edge":
            operand = encode(m, operand, self.parameters.encoding, name=f"code_{i}")
        operand = delay(m, operand, 1, name=f"a_edge_{i}")
        last = delay(m, self.last, 1 + i, name=f"last_skew_{i}", init=1)
        for pe in row:
            m.d.comb += [pe.a.eq(operand), pe.last.eq(last)]
            operand, last = pe.a_next, pe.last_next

    def _feed_column(self, m: Module, j: int, column: list[PE]) -> None:
        operand = delay(m, self.b[j], 1 + j, name=f"b_skew_{j}")
        for pe in column:
            m.d.comb += pe.b.eq(operand)
            operand = pe.b_next

    def _correct(self, m: Module, platform: object, first_column: list[PE]) -> None:
        corrections = []
        for i, pe in enumerate(first_column):
            unit = place(platform, RowCorrection, self.parameters)
            m.submodules[f"correction_{i}"] = unit
            code = pe.a
            if self.parameters.encode_at == "pe":
                code = encode(m, pe.a, self.parameters.encoding, name=f"correction_code_{i}")
            m.d.comb += [unit.code.eq(code), unit.last.eq(pe.last)]
            corrections.append(unit.correction)
        strobes = [pe.last_next for pe in first_column]
        m.d.comb += self.correction.eq(_select(zip(strobes, corrections, strict=True)))


def _select(choices) -> Value:
    """OR of the values whose strobe is high."""
    return reduce(or_, (value & strobe.replicate(len(value)) for strobe, value in choices))
