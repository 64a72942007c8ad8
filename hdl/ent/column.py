"""Foot of a column: makes numbers of the results of its PEs and keeps them."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, Signature

from hdl.delay import delay
from hdl.ent.parameters import Parameters
from hdl.ent.resolve import resolve, resolve_latency
from hdl.ent.result_memory import keep
from hdl.export import Unit


def correction_latency(parameters: Parameters) -> int:
    """Cycles from the words of a row's correction to its value."""
    return 0 if parameters.words == 1 else resolve_latency(parameters, parameters.words) + 1


def result_latency(parameters: Parameters) -> int:
    """Cycles from the words of a result to its value."""
    corrected = parameters.correct_at == "edge"
    return resolve_latency(parameters, parameters.words + corrected)


class CorrectionFoot(Unit):
    """Makes a number of a correction: ``value``, ``correction_latency`` cycles after ``words``."""

    mapped_alone = True

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            Signature({"words": In(p.accumulator_bits * p.words), "value": Out(p.accumulator_bits)})
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = [self.words.word_select(at, len(self.value)) for at in range(self.parameters.words)]
        total = resolve(m, platform, self.parameters, words)
        m.d.comb += self.value.eq(delay(m, total, 1, name="value_register"))
        return m


class ColumnFoot(Unit):
    """Makes a number of a result.

    Ports
        words: of a result. correction: what to add (with ``correct_at = edge``). value:
        ``result_latency`` cycles later their sum. correction_next: ``correction`` one cycle later,
        for the next column, if the columns are ``skewed``.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters, skewed: bool) -> None:
        self.parameters = p = parameters
        self.corrected = p.correct_at == "edge"
        self.skewed = skewed
        result = p.accumulator_bits
        ports = {"words": In(result * p.words), "value": Out(result)}
        if self.corrected:
            ports["correction"] = In(result)
        if skewed and self.corrected:
            ports["correction_next"] = Out(result)
        super().__init__(Signature(ports))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        words = [self.words.word_select(at, p.accumulator_bits) for at in range(p.words)]
        if self.corrected:
            words.append(self.correction)
        m.d.comb += self.value.eq(resolve(m, platform, p, words))
        if self.skewed and self.corrected:
            passed = delay(m, self.correction, 1, name="passed")
            m.d.comb += self.correction_next.eq(passed)
        return m


class ColumnMemory(Unit):
    """The results of one column, written in order and read as they are wanted.

    Ports
        value, write: a result, and whether it is to be kept. write_next: the same one cycle later,
        for the next column, if the columns are ``skewed``.
        read, address: a result that is wanted; kept: it, one cycle later, until the next is read.

    ``depth`` results fit. Where the next is written is reset, the memory is not.
    """

    mapped_alone = True

    def __init__(self, width: int, depth: int, skewed: bool) -> None:
        self.depth = depth
        self.skewed = skewed
        ports = {
            "value": In(width),
            "write": In(1),
            "read": In(1),
            "address": In(range(depth)),
            "kept": Out(width),
        }
        if skewed:
            ports["write_next"] = Out(1)
        super().__init__(Signature(ports))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = keep(m, self.value, self.write, self.read, self.address, self.depth)
        m.d.comb += self.kept.eq(kept)
        if self.skewed:
            write = Signal()
            m.d.sync += write.eq(self.write)
            m.d.comb += self.write_next.eq(write)
        return m
