"""Foot of a column: picks the results of its PEs one by one, makes numbers of them, keeps them."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out, Signature

from hdl.delay import delay
from hdl.ent.parameters import Parameters
from hdl.ent.resolve import resolve, resolve_latency
from hdl.ent.result_memory import keep
from hdl.export import Unit


def correction_latency(parameters: Parameters) -> int:
    """Cycles from the strobe of a row's correction to its value."""
    return 1 + resolve_latency(parameters, parameters.words)


def column_latency(parameters: Parameters) -> int:
    """Cycles from the strobe of a result to the memory of its column."""
    corrected = parameters.correct_at == "edge"
    return 1 + resolve_latency(parameters, parameters.words + corrected)


class CorrectionColumn(Unit):
    """The corrections of all rows, one by one.

    Ports
        words: of each row, from ``RowCorrection``. strobes: of the row whose correction it is now.
        correction: its value ``correction_latency`` cycles later.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters, rows: int) -> None:
        self.parameters = p = parameters
        super().__init__(
            Signature(
                {
                    "words": In(ArrayLayout(p.accumulator_bits * p.words, rows)),
                    "strobes": In(rows),
                    "correction": Out(p.accumulator_bits),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = _select(m, self.parameters, self.words, self.strobes)
        m.d.comb += self.correction.eq(resolve(m, platform, self.parameters, words))
        return m


class Column(Unit):
    """The results of one column: a memory that is written as they come and read as they are wanted.

    Ports
        words: accumulators of the column's PEs. strobes: of the row whose result it is now.
        correction: what to add, one cycle after the strobe (with ``correct_at = edge``).
        write: a strobe's result is to be kept: ``column_latency`` cycles later it is in the memory,
        in order. write_next, correction_next: the same one cycle later, for the next column, if
        the columns are ``skewed``.
        read, address: a result of the memory; value: one cycle later, until the next is read.

    ``depth`` results fit. Where the next is written is reset, the memory is not.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters, rows: int, depth: int, skewed: bool) -> None:
        self.parameters = p = parameters
        self.depth = depth
        self.skewed = skewed
        self.corrected = p.correct_at == "edge"
        result = p.accumulator_bits
        ports = {
            "words": In(ArrayLayout(result * p.words, rows)),
            "strobes": In(rows),
            "write": In(1),
            "read": In(1),
            "address": In(range(depth)),
            "value": Out(result),
        }
        if self.corrected:
            ports["correction"] = In(result)
        if skewed:
            ports["write_next"] = Out(1)
        if skewed and self.corrected:
            ports["correction_next"] = Out(result)
        super().__init__(Signature(ports))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        words = _select(m, p, self.words, self.strobes)
        if self.corrected:
            words.append(self.correction)
        total = resolve(m, platform, p, words)
        enable = delay(m, self.write, column_latency(p), name="enable", init=0)
        kept = keep(m, total, enable, self.read, self.address, self.depth)
        m.d.comb += self.value.eq(kept)
        if self.skewed:
            m.d.sync += self.write_next.eq(self.write)
        if self.skewed and self.corrected:
            passed = Signal(p.accumulator_bits, reset_less=True)
            m.d.sync += passed.eq(self.correction)
            m.d.comb += self.correction_next.eq(passed)
        return m


def _select(m: Module, p: Parameters, words: Value, strobes: Value) -> list[Value]:
    """The words of the row whose strobe is high, one cycle later."""
    rows = len(strobes)
    chosen = reduce(
        or_, (words[row] & strobes[row].replicate(len(words[row])) for row in range(rows))
    )
    found = delay(m, chosen, 1, name="selected")
    return [found.word_select(word, p.accumulator_bits) for word in range(p.words)]
