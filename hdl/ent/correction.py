"""Row correction: what the PEs of one row leave out of every result, summed once at the edge."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out, Signature

from hdl.compressor import DotDiagram
from hdl.encoding import decode, encode
from hdl.ent.parameters import Parameters
from hdl.ent.pe import lanes_of
from hdl.export import Unit
from hdl.partial_product import add_correction, add_missing_offset, product_offset


class RowCorrection(Unit):
    """Accumulates the correction of one row, which all PEs of the row share.

    Ports
        a: operands A, or their codes, as the row's PEs get them. restart: this beat starts from
        zero. correction: one cycle later words whose sum, modulo ``2**accumulator_bits``, is to be
        added to every result of the row's tile so far.

    It counts idle cycles too, as the PEs do. The first beat must be one with ``restart``.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            Signature(
                {
                    "a": In(p.a_width * p.lanes),
                    "restart": In(1),
                    "correction": Out(p.accumulator_bits * p.words),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        words = [
            Signal(p.accumulator_bits, name=f"total_{word}", reset_less=True)
            for word in range(p.words)
        ]
        dots = DotDiagram(p.accumulator_bits)
        for lane, code in enumerate(lanes_of(self.a, p.lanes)):
            if p.encode_at != "edge":
                code = encode(m, code, p.encoding, name=f"code_{lane}")
            selects = decode(code, p.encoding, p.digits)
            add_correction(dots, selects)
            if p.quiet:
                add_missing_offset(dots, selects, p.operand_bits)
            dots.add_constant(-product_offset(p.operand_bits))
        for word in words:
            dots.add_word(word & ~self.restart.replicate(len(word)))
        sums = dots.rows(m, platform) if p.words == 2 else [dots.sum(m, platform)]
        m.d.sync += [word.eq(total) for word, total in zip(words, sums, strict=True)]
        m.d.comb += self.correction.eq(Cat(*words))
        return m
