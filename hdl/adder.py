"""Full adder: the one cell every compressor tree is made of."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from hdl.export import Unit


class FullAdder(Unit):
    """``a + b + c == sum + 2 * carry``, combinational.

    A unit of its own so that synthesis can choose between the library's full-adder cell and
    separate gates; mappers never find the cell by themselves.
    """

    a: In(1)
    b: In(1)
    c: In(1)
    sum: Out(1)
    carry: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        half = self.a ^ self.b
        m.d.comb += [self.sum.eq(half ^ self.c), self.carry.eq((self.a & self.b) | (half & self.c))]
        return m
