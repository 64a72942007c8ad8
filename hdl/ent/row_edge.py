"""Edge of one row: where operands A are registered, and recoded if the encoder sits there."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out, Signature

from hdl.compressor import DotDiagram
from hdl.encoding import decode, encode
from hdl.ent.parameters import Parameters
from hdl.ent.pe import lanes_of
from hdl.export import Unit
from hdl.partial_product import add_correction


class RowEdge(Unit):
    """Operands A of one row as its PEs get them.

    Ports
        operand: n bits a lane. valid: there is one; without, it counts as zero, whose code is zero
        in every encoding: whether a beat is taken is known late. mark: something that goes with
        them, such as ``last``.
        a: one cycle later the operands or, with ``encode_at = edge``, their codes; with
        ``correct_at = beat`` the sum of their missing ones behind them. marked: ``mark`` of the
        same cycle. was_marked: ``marked`` of the cycle before.

    Only ``marked`` and ``was_marked`` are reset, to 1.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            Signature(
                {
                    "operand": In(p.operand_bits * p.lanes),
                    "valid": In(1),
                    "mark": In(1),
                    "a": Out(p.a_bits),
                    "marked": Out(1, init=1),
                    "was_marked": Out(1, init=1),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        operands = list(lanes_of(self.operand, p.lanes))
        codes = operands
        if p.encode_at == "edge" or p.ones_bits:
            codes = [
                encode(m, operand, p.encoding, name=f"code_{lane}")
                for lane, operand in enumerate(operands)
            ]
        parts = codes if p.encode_at == "edge" else operands
        if p.ones_bits:
            dots = DotDiagram(p.ones_bits)
            for code in codes:
                add_correction(dots, decode(code, p.encoding, p.digits))
            parts = [*parts, dots.sum(m, platform, "ones")]
        register = Signal(len(self.a), reset_less=True)
        m.d.sync += [
            register.eq(Cat(*parts) & self.valid.replicate(len(register))),
            self.marked.eq(self.mark),
            self.was_marked.eq(self.marked),
        ]
        m.d.comb += self.a.eq(register)
        return m
