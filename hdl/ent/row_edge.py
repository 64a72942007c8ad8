"""Edge of one row: where operands A are registered, and recoded if the encoder sits there."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out, Signature

from hdl.encoding import encode
from hdl.ent.parameters import Parameters
from hdl.ent.pe import lanes_of
from hdl.export import Unit


class RowEdge(Unit):
    """Operands A of one row as its PEs get them.

    Ports
        operand: n bits a lane. mark: something that goes with them, such as ``last``.
        a: one cycle later the operands or, with ``encode_at = edge``, their codes. marked:
        ``mark`` of the same cycle. was_marked: ``marked`` of the cycle before.

    Only ``marked`` and ``was_marked`` are reset, to 1.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            Signature(
                {
                    "operand": In(p.operand_bits * p.lanes),
                    "mark": In(1),
                    "a": Out(p.a_width * p.lanes),
                    "marked": Out(1, init=1),
                    "was_marked": Out(1, init=1),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        codes = list(lanes_of(self.operand, p.lanes))
        if p.encode_at == "edge":
            codes = [
                encode(m, code, p.encoding, name=f"code_{lane}") for lane, code in enumerate(codes)
            ]
        register = Signal(len(self.a), reset_less=True)
        m.d.sync += [
            register.eq(Cat(*codes)),
            self.marked.eq(self.mark),
            self.was_marked.eq(self.marked),
        ]
        m.d.comb += self.a.eq(register)
        return m
