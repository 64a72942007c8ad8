"""Left edge of a row of a weight-stationary array: its operands and what moves with them."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, Signature

from hdl.export import Unit


class WeightsRow(Unit):
    """Registers operands A and decides when the row's weights move.

    Ports
        a: operand (n bits). a_next: one cycle later.
        swap: of the row above. swap_next: one cycle later, for the row below.
        step: weights move down by a row, last: for the last time of this tile. reached: the
        tile's first weights are in the row above. load: one cycle later, this row takes weights
        over. reached_next: the same for the row below.

    A row leaves its weights alone until those of the next tile have come to the row above, so
    that it loses them no earlier than one cycle after the row above did, as it does its operands.
    Nothing is reset: with no tile before, it does not matter when a row begins.
    """

    mapped_alone = True

    def __init__(self, operand_bits: int) -> None:
        super().__init__(
            Signature(
                {
                    "a": In(operand_bits),
                    "swap": In(1),
                    "step": In(1),
                    "last": In(1),
                    "reached": In(1),
                    "a_next": Out(operand_bits),
                    "swap_next": Out(1),
                    "load": Out(1),
                    "reached_next": Out(1),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a = Signal(len(self.a), reset_less=True)
        swap, load, reached = (Signal(reset_less=True) for _ in range(3))
        m.d.sync += [
            a.eq(self.a),
            swap.eq(self.swap),
            load.eq(self.step & self.reached),
        ]
        with m.If(self.step):
            m.d.sync += reached.eq(self.reached & ~self.last)
        m.d.comb += [
            self.a_next.eq(a),
            self.swap_next.eq(swap),
            self.load.eq(load),
            self.reached_next.eq(reached),
        ]
        return m
