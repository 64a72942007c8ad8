"""Several result streams into one, the oldest result first."""

from functools import reduce
from operator import and_, or_

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.wire import wire


class Arbiter(Component):
    """Passes on one of ``count`` input streams at a time, combinationally.

    Ports
        i_0, i_1, …: streams, o: their merger. The upper ``order_bits`` of a payload's ``tag`` are
        a number that counts up from instruction to instruction, modulo ``2**order_bits``.

    Of the payloads offered the oldest is chosen: numbers inside differ by less than half of
    their range. So none waits for a younger one, except for one that was offered before and not
    taken: an offer stays until it is taken.
    """

    def __init__(self, payload: StructLayout, count: int, order_bits: int) -> None:
        self.count = count
        self.order_bits = order_bits
        inputs = {f"i_{index}": In(stream.Signature(payload)) for index in range(count)}
        super().__init__(Signature({**inputs, "o": Out(stream.Signature(payload))}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inputs = [getattr(self, f"i_{index}") for index in range(self.count)]
        held = Signal()
        last = Signal(self.count)
        oldest = self._oldest(m, [each.valid for each in inputs], [self._order(i) for i in inputs])
        chosen = Signal(self.count)
        with m.If(held):
            m.d.comb += chosen.eq(last)
        with m.Else():
            m.d.comb += chosen.eq(oldest)
        payloads = [
            each.payload.as_value() & bit.replicate(len(each.payload.as_value()))
            for each, bit in zip(inputs, chosen, strict=True)
        ]
        m.d.comb += [
            self.o.valid.eq(reduce(or_, (each.valid for each in inputs))),
            self.o.payload.eq(reduce(or_, payloads)),
            *(each.ready.eq(self.o.ready & bit) for each, bit in zip(inputs, chosen, strict=True)),
        ]
        m.d.sync += [held.eq(self.o.valid & ~self.o.ready), last.eq(chosen)]
        return m

    def _order(self, each: stream.Interface) -> Value:
        return each.payload.tag[-self.order_bits :]

    def _oldest(self, m: Module, valid: list[Value], order: list[Value]) -> Value:
        """One bit for each stream: it has a payload, and none of the others an older one."""
        is_older: dict[tuple[int, int], Value] = {}
        for i in range(self.count):
            for j in range(i + 1, self.count):
                difference = wire(m, (order[i] - order[j])[: self.order_bits], f"from_{i}_to_{j}")
                is_older[i, j] = difference[-1]
                is_older[j, i] = ~difference[-1]
        first: list[Value] = [
            valid[i]
            & reduce(
                and_, (~valid[j] | is_older[i, j] for j in range(self.count) if j != i), Const(1, 1)
            )
            for i in range(self.count)
        ]
        return wire(m, reduce(or_, (bit << i for i, bit in enumerate(first))), "oldest")
