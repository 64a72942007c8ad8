"""The multipliers of one lane."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from hdl.ebatch.parameters import BYTE
from hdl.export import Unit


class MacLane(Unit):
    """Multiplies a word of weights with a word of values and adds the products up, part by part.

    Ports
        weights, values: ``width`` int8 each. add: one cycle later than these: their products
        count; start: they are the first of a part; finish: the last ones. result: the sum of a
        part, from the cycle behind ``finish`` on; in any other cycle ``shift_in`` comes in, which
        is the result of the next lane: so all results pass by at lane 0.

    Two cycles from words to result; a word a cycle.
    """

    mapped_alone = True

    def __init__(self, width: int, accumulator_bits: int) -> None:
        self.width = width
        super().__init__(
            {
                "weights": In(BYTE * width),
                "values": In(BYTE * width),
                "add": In(1),
                "start": In(1),
                "finish": In(1),
                "shift_in": In(signed(accumulator_bits)),
                "result": Out(signed(accumulator_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.result.shape()
        total = None
        for at in range(self.width):
            weight = self.weights.word_select(at, BYTE).as_signed()
            value = self.values.word_select(at, BYTE).as_signed()
            product = Signal(signed(2 * BYTE), name=f"product_{at}", reset_less=True)
            m.d.sync += product.eq(weight * value)
            total = product if total is None else total + product
        accumulator = Signal(shape, reset_less=True)
        held = Signal(shape)
        summed = Signal(shape)
        m.d.comb += [
            held.eq(accumulator),
            # No part has so many products that their sum would not fit.
            summed.eq(total + held),
        ]
        with m.If(self.start):
            m.d.comb += held.eq(0)
        with m.If(self.add):
            m.d.sync += accumulator.eq(summed)
        m.d.sync += self.result.eq(self.shift_in)
        with m.If(self.finish):
            m.d.sync += self.result.eq(summed)
        return m
