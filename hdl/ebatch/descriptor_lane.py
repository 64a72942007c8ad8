"""The descriptors of one lane, and how far the lane has come in the first of them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.data import StructLayout, View
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hdl.ebatch.flags import STEP_BITS
from hdl.ebatch.parameters import Parameters
from hdl.export import Unit
from hdl.wire import wire

#: Bits of an address in the memory of tokens, which counts words of ``width`` bytes.
FETCH_ADDRESS_BITS = 32


def lane_descriptor(parameters: Parameters) -> StructLayout:
    """A sequence in memory: its tag, how many tokens it has, and the address of its first word."""
    return StructLayout(
        {"tag": parameters.tag_bits, "length": STEP_BITS, "base": FETCH_ADDRESS_BITS}
    )


class DescriptorLane(Unit):
    """Says which token of the lane is to be fetched next.

    Ports
        i: stream of ``lane_descriptor``, of length 1 or more. ``descriptors`` of them wait at most,
        behind the one whose tokens are fetched. accepts: whether a sequence may begin.
        wants: there is a token to fetch, and room for it. address: of its first word. tag, last:
        of its sequence. take: it is fetched, not without ``wants``: the next one is there a cycle
        later, also if it is of the next descriptor.
        used: the engine has used up a token, which makes room for another.

    Room is counted by what is fetched: a token that is under way has its place in the lane already,
    so it never waits there.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(lane_descriptor(p))),
                "accepts": In(1),
                "wants": Out(1),
                "address": Out(FETCH_ADDRESS_BITS),
                "tag": Out(p.tag_bits),
                "last": Out(1),
                "take": In(1),
                "used": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        layout = lane_descriptor(p)
        m.submodules.queue = queue = SyncFIFOBuffered(width=layout.size, depth=p.descriptors)
        following = View(layout, queue.r_data)
        held = Signal(p.count_bits)
        is_active = Signal()  # there are tokens left of the first descriptor
        has_begun = Signal()  # and some of them have been fetched
        remaining = Signal(STEP_BITS, reset_less=True)
        ends = wire(m, self.take & self.last, "ends")
        loads = wire(m, queue.r_rdy & (~is_active | ends), "loads")
        m.d.comb += [
            queue.w_data.eq(self.i.payload.as_value()),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            queue.r_en.eq(loads),
            self.wants.eq(is_active & (held != p.token_depth) & (self.accepts | has_begun)),
            self.last.eq(remaining == 1),
        ]
        m.d.sync += held.eq(held + self.take - self.used)
        with m.If(self.take):
            m.d.sync += [
                has_begun.eq(~self.last),
                remaining.eq(remaining - 1),
                self.address.eq(self.address + p.input_size // p.width),
            ]
        with m.If(loads):
            m.d.sync += [
                self.tag.eq(following.tag),
                remaining.eq(following.length),
                self.address.eq(following.base),
            ]
        m.d.sync += is_active.eq(Mux(is_active, ~ends, 0) | loads)
        return m
