"""Processing element that holds a weight: it multiplies what passes and adds to what comes down."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out, Signature

from hdl.encoding import decode, encode
from hdl.ent.multiply_accumulate import multiply_accumulate
from hdl.ent.parameters import Parameters
from hdl.export import Unit


class WeightsPE(Unit):
    """PE of a weight-stationary array: ``a`` times the weight in use, added to ``sums``.

    Ports
        weight: of the PE above, or its code (``parameters.a_width`` bits). load: take it over.
        weight_next: the weight that waits here, for the PE below.
        swap: from the next cycle on the weight that waits is the one in use. In a cycle with
        ``load`` too, that is still the one before.
        a: operand (n bits, signed). sums: words of a partial sum. sums_next: one cycle later, that
        sum and the product, modulo ``2**accumulator_bits``.
        a_next, load_next, swap_next: the same one cycle later, for the neighbour.

    One operand a cycle, no stalls. The weight is what is recoded: with ``encode_at = edge`` codes
    come in; with ``pe-register`` the encoder is before the register of the weight in use, with
    ``pe`` behind it. With ``correct_at = edge`` each product is too large and lacks the
    weight's correction, as in ``PE``.
    Nothing is reset: who comes after a reset brings weights of their own.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        sums = p.accumulator_bits * p.words
        super().__init__(
            Signature(
                {
                    "weight": In(p.a_width),
                    "load": In(1),
                    "swap": In(1),
                    "a": In(p.operand_bits),
                    "sums": In(sums),
                    "weight_next": Out(p.a_width),
                    "load_next": Out(1),
                    "swap_next": Out(1),
                    "a_next": Out(p.operand_bits),
                    "sums_next": Out(sums),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        waiting = Signal(p.a_width, reset_less=True)
        with m.If(self.load):
            m.d.sync += waiting.eq(self.weight)
        code = waiting
        if p.encode_at == "pe-register":
            code = encode(m, code, p.encoding)
        in_use = Signal(len(code), reset_less=True)
        with m.If(self.swap):
            m.d.sync += in_use.eq(code)
        code = in_use
        if p.encode_at == "pe":
            code = encode(m, code, p.encoding)
        selects = [decode(code, p.encoding, p.digits)]
        words = [self.sums.word_select(word, p.accumulator_bits) for word in range(p.words)]
        total = multiply_accumulate(m, platform, p, selects, [self.a], words)

        passed = Signal(Cat(self.a, self.load, self.swap).shape(), reset_less=True)
        sums = Signal(len(self.sums), reset_less=True)
        m.d.sync += [passed.eq(Cat(self.a, self.load, self.swap)), sums.eq(Cat(*total))]
        m.d.comb += [
            Cat(self.a_next, self.load_next, self.swap_next).eq(passed),
            self.weight_next.eq(waiting),
            self.sums_next.eq(sums),
        ]
        return m
