"""Processing elements of output-stationary arrays: they multiply and accumulate every cycle."""

from collections.abc import Iterator

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out, Signature

from hdl.delay import delay
from hdl.encoding import Select, decode, encode
from hdl.ent.multiply_accumulate import multiply_accumulate
from hdl.ent.parameters import Parameters
from hdl.export import Unit


class PE(Unit):
    """PE of a systolic array: multiplies ``a`` by ``b``, accumulates, and passes both on.

    Ports
        a: operands or their codes (``parameters.a_bits``), b: operands (n bits a lane, signed),
        last: this beat is its tile's last.
        a_next, b_next, last_next: the same one cycle later, for the neighbours.
        accumulator: words whose sum is that of this tile's products so far,
        ``parameters.pe_latency`` cycles after each beat, modulo ``2**accumulator_bits``. done:
        that is the tile's result; the next beat starts from zero.

    Throughput one beat a cycle, no stalls: an idle cycle is a beat with a = 0.
    With ``correct_at = edge`` each beat adds ``product_offset`` too much, or that part of it which
    its digits other than 0 make, and lacks the digits' correction; ``RowCorrection`` accumulates
    the difference.
    Only ``last_next`` and ``done`` are reset, to 1: a reset starts the next beat from zero.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            Signature(
                {
                    "a": In(p.a_bits),
                    "b": In(p.operand_bits * p.lanes),
                    "last": In(1),
                    "a_next": Out(p.a_bits),
                    "b_next": Out(p.operand_bits * p.lanes),
                    "last_next": Out(1, init=1),
                    "accumulator": Out(p.accumulator_bits * p.words),
                    "done": Out(1),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        a_register = Signal.like(self.a, reset_less=True)
        b_register = Signal.like(self.b, reset_less=True)
        m.d.sync += [
            a_register.eq(self.a),
            b_register.eq(self.b),
            self.last_next.eq(self.last),
        ]
        m.d.comb += [self.a_next.eq(a_register), self.b_next.eq(b_register)]
        b, restart = self.b, self.last_next
        if p.encode_at == "pe-register":
            b, restart = b_register, delay(m, restart, 1, name="restart", init=1)
        total = _accumulate(m, platform, p, self.a, b, restart)
        m.d.comb += [self.accumulator.eq(total), self.done.eq(restart)]
        return m


class BroadcastPE(Unit):
    """PE of an array whose operands are broadcast: as ``PE``, but nothing is passed on.

    Ports
        a, b: as in ``PE``. first: this beat starts from zero.
        accumulator: as in ``PE``; it stays right in idle cycles, which are beats with a = 0.

    No reset: the first beat must be one with ``first``.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            Signature(
                {
                    "a": In(p.a_bits),
                    "b": In(p.operand_bits * p.lanes),
                    "first": In(1),
                    "accumulator": Out(p.accumulator_bits * p.words),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        waits = p.pe_latency - 1
        b = delay(m, self.b, waits, name="b_register")
        restart = delay(m, self.first, waits, name="restart")
        total = _accumulate(m, platform, p, self.a, b, restart)
        m.d.comb += self.accumulator.eq(total)
        return m


def lanes_of(value: Value, lanes: int) -> Iterator[Value]:
    """The equal parts of a port that has something for each lane."""
    width = len(value) // lanes
    return (value.word_select(lane, width) for lane in range(lanes))


def _selects(m: Module, p: Parameters, a: Value) -> list[list[Select]]:
    """Digits of every lane's operand A, one cycle late with ``pe-register``."""
    found = []
    codes = a[: p.a_width * p.lanes]
    for lane, code in enumerate(lanes_of(codes, p.lanes)):
        if p.encode_at != "edge":
            code = encode(m, code, p.encoding, name=f"code_{lane}")
            code = delay(m, code, p.pe_latency - 1, name=f"code_register_{lane}")
        found.append(decode(code, p.encoding, p.digits))
    return found


def _accumulate(
    m: Module,
    platform: object,
    p: Parameters,
    a: Value,
    b: Value,
    restart: Value,
) -> Value:
    """The accumulator's words, side by side; a beat with ``restart`` starts from zero.

    ``a`` comes as it is; the others are late by what its encoder's register takes.
    """
    selects = _selects(m, p, a)
    words = [
        Signal(p.accumulator_bits, name=f"accumulator_{word}", reset_less=True)
        for word in range(p.words)
    ]
    continued = [word & ~restart.replicate(len(word)) for word in words]
    ones = delay(m, a[-p.ones_bits :], p.pe_latency - 1, name="ones") if p.ones_bits else None
    sums = multiply_accumulate(m, platform, p, selects, list(lanes_of(b, p.lanes)), continued, ones)
    m.d.sync += [word.eq(total) for word, total in zip(words, sums, strict=True)]
    return Cat(*words)
