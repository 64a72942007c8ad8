"""Foot of a column: picks the results of its PEs one by one, makes numbers of them, keeps them."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, Signature

from hdl.compressor import DotDiagram
from hdl.delay import delay
from hdl.ent.parameters import Parameters
from hdl.export import Unit


def correction_latency(parameters: Parameters) -> int:
    """Cycles from the strobe of a row's correction to its value."""
    return 1 + _adder_latency(parameters, parameters.words)


def column_latency(parameters: Parameters) -> int:
    """Cycles from the strobe of a result to the memory of its column."""
    corrected = parameters.correct_at == "edge"
    return 1 + _adder_latency(parameters, parameters.words + corrected)


def _adder_latency(parameters: Parameters, words: int) -> int:
    """Cycles to make one number of so many words."""
    return 0 if words == 1 else -(-parameters.accumulator_bits // parameters.segment)


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
        m.d.comb += self.correction.eq(_add(m, platform, self.parameters, words))
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
        total = _add(m, platform, p, words)
        enable = delay(m, self.write, column_latency(p), name="enable", init=0)
        memory = Memory(shape=p.accumulator_bits, depth=self.depth, init=[])
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port()
        place = Signal(range(self.depth))
        with m.If(enable):
            m.d.sync += place.eq(following(place, self.depth))
        m.d.comb += [
            write.en.eq(enable),
            write.addr.eq(place),
            write.data.eq(total),
            read.en.eq(self.read),
            read.addr.eq(self.address),
            self.value.eq(read.data),
        ]
        if self.skewed:
            m.d.sync += self.write_next.eq(self.write)
        if self.skewed and self.corrected:
            passed = Signal(p.accumulator_bits, reset_less=True)
            m.d.sync += passed.eq(self.correction)
            m.d.comb += self.correction_next.eq(passed)
        return m


def following(counter: Value, length: int) -> Value:
    """``counter + 1``, back to zero after ``length - 1``."""
    if length == 1:
        return Const(0, 1)
    wraps = counter == length - 1
    return (counter + 1)[: len(counter)] & ~wraps.replicate(len(counter))


def _select(m: Module, p: Parameters, words: Value, strobes: Value) -> list[Value]:
    """The words of the row whose strobe is high, one cycle later."""
    rows = len(strobes)
    chosen = reduce(
        or_, (words[row] & strobes[row].replicate(len(words[row])) for row in range(rows))
    )
    found = delay(m, chosen, 1, name="selected")
    return [found.word_select(word, p.accumulator_bits) for word in range(p.words)]


def _add(m: Module, platform: object, p: Parameters, words: Sequence[Value]) -> Value:
    """Sum of the words, ``_adder_latency`` cycles later: a segment each cycle, the lowest first."""
    if len(words) == 1:
        return words[0]
    if len(words) > 2:
        dots = DotDiagram(p.accumulator_bits)
        for word in words:
            dots.add_word(word)
        words = dots.rows(m, platform)
    carry: Value | None = None
    ready: list[Value] = []
    for stage, low in enumerate(range(0, p.accumulator_bits, p.segment)):
        bits = min(p.segment, p.accumulator_bits - low)
        dots = DotDiagram(bits + 1)
        for word in words:
            dots.add_word(word[:bits])
        if carry is not None:
            dots.add_bit(carry, 0)
        part = delay(m, dots.sum(m, platform, f"part_{stage}"), 1, name=f"part_{stage}")
        carry = part[-1]
        ready = [delay(m, each, 1, name=f"ready_{stage}_{at}") for at, each in enumerate(ready)]
        ready.append(part[:-1])
        words = [
            delay(m, word[bits:], 1, name=f"waiting_{stage}_{at}") for at, word in enumerate(words)
        ]
    return Cat(*ready)
