"""What all output-stationary arrays have in common, whichever way their operands travel."""

from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.ent.column import correction_latency
from hdl.ent.parameters import Parameters


class OutputStationaryArray(Component):
    """R rows of C PEs, each with a result of its own, and the columns' memories.

    Ports
        a, b: operands of one beat, n bits a lane, of each row and column; a is zero in an idle
        cycle. first, last: the beat is its tile's first, its last.
        write: high for R cycles from a tile's last beat on, if its results are to be kept.
        written: a row is in all memories, and one cycle later it can be read.
        read, address: a row of the memories. values: one cycle later its C results, until the next
        is read.

    One beat a cycle; ``busy_cycles`` cycles after a last beat take no beat. From a last beat to the
    ``written`` of its first row: ``latency`` cycles. ``depth`` rows fit into the memories.
    """

    busy_cycles: int
    latency: int

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


def waits(parameters: Parameters) -> tuple[int, int]:
    """Cycles that operands wait before the PEs, and corrections before the columns.

    A column wants a correction one cycle after the strobe of its result. ``RowCorrection`` gets
    the operands as they leave the edge, and takes one cycle.
    """
    if parameters.correct_at == "pe":
        return 0, 0
    results, corrections = parameters.pe_latency + 1, 1 + correction_latency(parameters)
    return max(0, corrections - results), max(0, results - corrections)
