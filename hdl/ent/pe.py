"""Processing element of the output-stationary array: one multiply-accumulate a cycle."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import In, Out, Signature

from hdl.compressor import DotDiagram
from hdl.encoding import decode, encode
from hdl.ent.parameters import Parameters
from hdl.export import Unit
from hdl.partial_product import add_product, product_offset

#: XOR delays from the accumulator's register to the tree; only orders the tree's inputs.
ACCUMULATOR_ARRIVAL = 1


class PE(Unit):
    """Multiplies ``a`` by ``b`` and accumulates, modulo ``2**accumulator_bits``.

    Ports
        a: operand or its code (``parameters.a_width`` bits), b: operand (n bits, signed),
        last: this beat is its tile's last.
        a_next, b_next, last_next: the same one cycle later, for the neighbours.
        accumulator: sum of this tile's products so far, one cycle after each beat; when
        ``last_next`` is high it is the tile's result, and the next beat starts from zero.

    Throughput one beat a cycle, latency one cycle, no stalls: an idle cycle is a beat with a = 0.
    With ``correct_at = edge`` each beat adds ``product_offset`` too much and lacks the digits'
    correction; ``RowCorrection`` accumulates the difference.
    Only ``last_next`` is reset, to 1: a reset starts the next beat from zero.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        super().__init__(
            Signature(
                {
                    "a": In(parameters.a_width),
                    "b": In(parameters.operand_bits),
                    "last": In(1),
                    "a_next": Out(parameters.a_width),
                    "b_next": Out(parameters.operand_bits),
                    "last_next": Out(1, init=1),
                    "accumulator": Out(parameters.accumulator_bits),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a_register = Signal.like(self.a, reset_less=True)
        b_register = Signal.like(self.b, reset_less=True)
        accumulator = Signal.like(self.accumulator, reset_less=True)
        m.d.sync += [
            a_register.eq(self.a),
            b_register.eq(self.b),
            self.last_next.eq(self.last),
            accumulator.eq(self._accumulate(m, platform, accumulator)),
        ]
        m.d.comb += [
            self.a_next.eq(a_register),
            self.b_next.eq(b_register),
            self.accumulator.eq(accumulator),
        ]
        return m

    def _accumulate(self, m: Module, platform: object, accumulator: Value) -> Value:
        """Sum of the accumulator (zero at a tile's first beat) and the product."""
        p = self.parameters
        code = self.a
        if p.encode_at == "pe":
            code = encode(m, self.a, p.encoding)
        selects = decode(code, p.encoding, p.digits)
        dots = DotDiagram(p.accumulator_bits)
        add_product(m, dots, selects, self.b, correct=p.correct_at == "pe")
        if p.correct_at == "pe":
            dots.add_constant(-product_offset(p.operand_bits))
        continued = accumulator & ~self.last_next.replicate(len(accumulator))
        dots.add_word(continued, arrival=ACCUMULATOR_ARRIVAL)
        return dots.sum(m, platform)
