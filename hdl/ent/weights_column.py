"""Both ends of a column of a weight-stationary array: where weights go in, where sums come out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out, Signature

from hdl.compressor import DotDiagram
from hdl.delay import delay
from hdl.encoding import Select, decode, encode
from hdl.ent.parameters import Parameters
from hdl.ent.resolve import resolve, resolve_latency
from hdl.ent.result_memory import keep
from hdl.export import Unit
from hdl.partial_product import add_correction, add_missing_offset, product_offset


class WeightsHead(Unit):
    """Load port of a column, and the partial sum that its products begin with.

    Ports
        operand: weight (n bits). present: there is one; without, it counts as zero. weight: one
        cycle later it or, with ``encode_at = edge``, its code, for the PE below. load: that PE
        takes it over. first: it is its tile's first. first_next: one cycle later, for the next
        column. swap: as the PE below gets it.
        sums: words that every partial sum starts from, from the cycle after ``swap`` on. With
        ``correct_at = edge`` that is what the products of one tile are off by, which depends on
        its weights alone: it is summed while they pass. Otherwise it is zero.

    Nothing is reset.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters, rows: int) -> None:
        self.parameters = p = parameters
        self.row_count = rows
        super().__init__(
            Signature(
                {
                    "operand": In(p.operand_bits),
                    "present": In(1),
                    "first": In(1),
                    "load": In(1),
                    "swap": In(1),
                    "weight": Out(p.a_width),
                    "first_next": Out(1),
                    "sums": Out(p.accumulator_bits * p.words),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        code = self.operand
        if p.encode_at == "edge":
            code = encode(m, code, p.encoding)
        weight = delay(m, code & self.present.replicate(len(code)), 1, name="weight_register")
        m.d.comb += [
            self.weight.eq(weight),
            self.first_next.eq(delay(m, self.first, 1, name="first_register")),
        ]
        if p.correct_at == "edge":
            code = weight
            if p.encode_at != "edge":
                code = encode(m, code, p.encoding)
            selects = decode(code, p.encoding, p.digits)
            m.d.comb += self.sums.eq(self._correction(m, platform, selects))
        return m

    def _correction(self, m: Module, platform: object, selects: list[Select]) -> Value:
        """``sum(correction of a weight) - rows * product_offset``, in the accumulator's width.

        The first term has ``bits`` bits. The second is where the sum starts, with as many. Above
        them it is a constant, or one of two if there may be a carry.
        """
        p, rows = self.parameters, self.row_count
        largest = _largest_correction(p, rows)
        bits = largest.bit_length()
        start = -rows * product_offset(p.operand_bits) % (1 << p.accumulator_bits)
        upper, lower = divmod(start, 1 << bits)
        width = (lower + largest).bit_length()
        passing, in_use = (Signal(width, reset_less=True) for _ in range(2))
        before = Signal(width)
        m.d.comb += before.eq(Mux(self.first, lower, passing))
        dots = DotDiagram(width)
        add_correction(dots, selects)
        if p.quiet:
            add_missing_offset(dots, selects, p.operand_bits)
        dots.add_word(before)
        total = dots.sum(m, platform)
        with m.If(self.load):
            m.d.sync += passing.eq(total)
        with m.If(self.swap):
            m.d.sync += in_use.eq(passing)
        above = p.accumulator_bits - bits
        high: Value = Const(upper, above)
        if width > bits:
            high = Mux(in_use[bits], Const(upper + 1, above), high)
        return Cat(in_use[:bits], high)


def _largest_correction(parameters: Parameters, rows: int) -> int:
    """The largest sum of as many weights' corrections: all digits negative, if quiet all 0."""
    if parameters.quiet:
        return rows * product_offset(parameters.operand_bits)
    return rows * (4**parameters.digits // 3)


class WeightsFoot(Unit):
    """The results of one column: made numbers of, and kept until they are wanted.

    Ports
        sums: of the column's last PE. write: it is a result that is to be kept: in
        ``foot_latency`` cycles it is in the memory, in order. write_next: one cycle later, for the
        next column.
        read, address: a result of the memory; value: one cycle later, until the next is read.

    ``depth`` results fit. ``write_next`` and where the next is written are reset.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters, depth: int) -> None:
        self.parameters = p = parameters
        self.depth = depth
        super().__init__(
            Signature(
                {
                    "sums": In(p.accumulator_bits * p.words),
                    "write": In(1),
                    "read": In(1),
                    "address": In(range(depth)),
                    "write_next": Out(1),
                    "value": Out(p.accumulator_bits),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        words = [self.sums.word_select(word, p.accumulator_bits) for word in range(p.words)]
        total = resolve(m, platform, p, words)
        enable = delay(m, self.write, foot_latency(p) - 1, name="enable", init=0)
        kept = keep(m, total, enable, self.read, self.address, self.depth)
        m.d.comb += self.value.eq(kept)
        m.d.sync += self.write_next.eq(self.write)
        return m


def foot_latency(parameters: Parameters) -> int:
    """Cycles from a sum at the bottom of a column to its number in the memory."""
    return 1 + resolve_latency(parameters, parameters.words)
