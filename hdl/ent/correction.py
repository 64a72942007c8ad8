"""Row correction: what the PEs of one row leave out of every result, summed once at the edge."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, Signature

from hdl.compressor import DotDiagram
from hdl.encoding import decode
from hdl.ent.parameters import Parameters
from hdl.export import Unit
from hdl.partial_product import add_correction, product_offset


class RowCorrection(Unit):
    """Accumulates the correction of one row, which all PEs of the row share.

    Ports
        code: recoded operand A as the row's first PE gets it. last: its tile's last beat.
        correction: one cycle after the last beat, the number to add, modulo
        ``2**accumulator_bits``, to every result of the row's tile.

    It counts idle cycles too, as the PEs do. Reset as in ``PE``.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        super().__init__(
            Signature(
                {
                    "code": In(parameters.encoding.code_width(parameters.operand_bits)),
                    "last": In(1),
                    "correction": Out(parameters.accumulator_bits),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        total = Signal(p.accumulator_bits, reset_less=True)
        restart = Signal(init=1)
        dots = DotDiagram(p.accumulator_bits)
        add_correction(dots, decode(self.code, p.encoding, p.digits))
        dots.add_constant(-product_offset(p.operand_bits))
        dots.add_word(total & ~restart.replicate(len(total)))
        m.d.sync += [restart.eq(self.last), total.eq(dots.sum(m, platform))]
        m.d.comb += self.correction.eq(total)
        return m
