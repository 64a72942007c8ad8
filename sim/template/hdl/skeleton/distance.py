"""Distance unit: adds the absolute differences of two vectors' elements."""

from typing import Literal

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.compressor import DotDiagram

#: ``adders``, the baseline: a tree of adders of two numbers. ``compressor``: all bits at once.
Adder = Literal["adders", "compressor"]


def operand_layout(lanes: int, bits: int) -> StructLayout:
    """One beat: two vectors of ``lanes`` unsigned numbers."""
    vector = ArrayLayout(bits, lanes)
    return StructLayout({"a": vector, "b": vector})


def distance_bits(lanes: int, bits: int) -> int:
    """Width of the largest distance, so that no sum can overflow."""
    return (lanes * ((1 << bits) - 1)).bit_length()


class Distance(Component):
    """``o = Σ |a − b|`` over the lanes, unsigned and exact.

    Ports
        i: stream of pairs of vectors. o: stream of distances.

    Throughput: one pair a cycle as long as the output is taken. Latency: one cycle.
    A reset drops the distance that waits in the output register.
    """

    def __init__(self, lanes: int, bits: int, adder: Adder) -> None:
        self.lanes = lanes
        self.bits = bits
        self.adder = adder
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(operand_layout(lanes, bits))),
                    "o": Out(stream.Signature(distance_bits(lanes, bits))),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = Signal.like(self.o.payload, name="total", reset_less=True)
        m.d.comb += [
            # The register can take a pair when it is empty or being emptied.
            self.i.ready.eq(~self.o.valid | self.o.ready),
            self.o.payload.eq(total),
        ]
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
            m.d.sync += total.eq(self._sum(m, platform))
        return m

    def _sum(self, m: Module, platform: object) -> Value:
        differences = [self._difference(m, lane) for lane in range(self.lanes)]
        if self.adder == "adders":
            # Bits beyond the width of o are zero: no distance is larger than o can hold.
            return _add_in_pairs([word + one for word, one in differences])
        dots = DotDiagram(len(self.o.payload))
        for word, one in differences:
            dots.add_word(word)
            dots.add_bit(one, 0)
        return dots.sum(m, platform)

    def _difference(self, m: Module, lane: int) -> tuple[Value, Value]:
        """``|a − b|`` as a word and one more bit to add: d and 0, or ~d and 1, for d = a − b."""
        a, b = self.i.payload.a[lane], self.i.payload.b[lane]
        difference = Signal(self.bits + 1, name=f"difference_{lane}")
        m.d.comb += difference.eq(a - b)
        negative = difference[-1]
        return difference[:-1] ^ negative.replicate(self.bits), negative


def _add_in_pairs(terms: list[Value]) -> Value:
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return _add_in_pairs(terms[:middle]) + _add_in_pairs(terms[middle:])
