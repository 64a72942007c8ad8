"""Descriptors of sequences in, their tokens out, as they are fetched from memory."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import StructLayout, View
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out

from hdl.ebatch.descriptor_lane import FETCH_ADDRESS_BITS, DescriptorLane
from hdl.ebatch.flags import STEP_BITS, token_beat
from hdl.ebatch.parameters import BYTE, Parameters
from hdl.export import place
from hdl.wire import wire

#: Tokens that are under way at most.
IN_FLIGHT = 8


def descriptor(parameters: Parameters) -> StructLayout:
    """A sequence for a lane: its tokens lie one behind the other from word ``base`` on.

    length: how many, of ``input_size / width`` words each, their values in order, the first one in
    the lowest byte. base: an address, which counts words.
    """
    return StructLayout(
        {
            "lane": max(1, (parameters.lanes - 1).bit_length()),
            "tag": parameters.tag_bits,
            "length": STEP_BITS,
            "base": FETCH_ADDRESS_BITS,
        }
    )


class DescriptorFetch(Component):
    """Fetches the tokens of all lanes' descriptors over one port.

    Ports
        i: stream of ``descriptor``, of lanes that exist and lengths that are not 0. Waits while the
        queue of its lane is full. lane_ready: of each lane, that it is not.
        o_fetch: stream of addresses. i_fetched: stream of words, one for each address, in order.
        o: stream of ``token_beat``: tokens as ``hdl.ebatch.top`` takes them, those of a lane in the
        order of its descriptors. used: of each lane: a token of it is used up.
        accepts: whether sequences may begin; those of which a token was asked for go on.
        stray: a word came that nobody had asked for; it is swallowed.
        busy: words are under way.

    Lanes take turns, token by token, those that have a descriptor and room; no lane waits for one
    without. A token is asked for only if its lane has room for it and for all that is under way to
    it. So ``o`` never has to wait if whatever takes it has ``token_depth`` places a lane, and a
    word that is due a cycle after its address or later finds its place at once, in every cycle.
    ``IN_FLIGHT`` tokens are under way at most: addresses leave one a cycle if a word comes at most
    ``(IN_FLIGHT - 1) * words - 1`` cycles behind its address, of ``words`` a token.

    A reset forgets all descriptors and what was asked for. The memory must forget it too, or give
    all of it before the next descriptor comes: with nothing asked for, such words are strays.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(descriptor(p))),
                "lane_ready": Out(p.lanes),
                "o_fetch": Out(stream.Signature(FETCH_ADDRESS_BITS)),
                "i_fetched": In(stream.Signature(BYTE * p.width)),
                "o": Out(stream.Signature(token_beat(p))),
                "used": In(p.lanes),
                "accepts": In(1),
                "stray": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        lanes = [place(platform, DescriptorLane, p) for _ in range(p.lanes)]
        begins = Signal()  # a token is asked for: its first address leaves in the next cycle
        chosen = self._turns(m, Cat(each.wants for each in lanes), begins)
        for number, lane in enumerate(lanes):
            m.submodules[f"lane_{number}"] = lane
            mine = self.i.payload.lane == number
            m.d.comb += [
                lane.i.payload.tag.eq(self.i.payload.tag),
                lane.i.payload.length.eq(self.i.payload.length),
                lane.i.payload.base.eq(self.i.payload.base),
                lane.i.valid.eq(self.i.valid & mine),
                lane.accepts.eq(self.accepts),
                lane.used.eq(self.used[number]),
                lane.take.eq(begins & chosen[number]),
                self.lane_ready[number].eq(lane.i.ready),
            ]
        m.d.comb += self.i.ready.eq(self.lane_ready.bit_select(self.i.payload.lane, 1))

        def of_chosen(values: list[Value]) -> Value:
            pairs = zip(chosen, values, strict=True)
            return reduce(or_, (Mux(bit, value, 0) for bit, value in pairs))

        token = Signal(token_beat(p))  # but for its data
        m.d.comb += [
            token.lane.eq(of_chosen(list(range(p.lanes)))),
            token.tag.eq(of_chosen([each.tag for each in lanes])),
            token.last.eq(of_chosen([each.last for each in lanes])),
        ]
        has_room = self._deliver(m, begins, token)
        is_free = self._ask(m, begins, of_chosen([each.address for each in lanes]))
        m.d.comb += begins.eq(chosen.any() & has_room & is_free)
        return m

    def _turns(self, m: Module, wants: Value, begins: Value) -> Value:
        """A bit for the lane whose turn it is: the next one that wants, behind the last one."""
        lanes = self.parameters.lanes

        def lowest(bits: Value) -> Value:
            return (bits & -bits)[:lanes]

        behind = Signal(lanes)
        later = wire(m, wants & behind, "later")
        chosen = wire(m, Mux(later.any(), lowest(later), lowest(wants)), "chosen")
        with m.If(begins):
            m.d.sync += behind.eq(~(chosen | (chosen - 1)))
        return chosen

    def _ask(self, m: Module, begins: Value, address: Value) -> Value:
        """Addresses of a token, back to back; whether another one may begin in this cycle."""
        words = self.parameters.input_size // self.parameters.width
        left = Signal(range(words + 1))
        m.d.comb += self.o_fetch.valid.eq(left != 0)
        moves = wire(m, self.o_fetch.valid & self.o_fetch.ready, "asks")
        with m.If(moves):
            m.d.sync += [left.eq(left - 1), self.o_fetch.payload.eq(self.o_fetch.payload + 1)]
        with m.If(begins):
            m.d.sync += [left.eq(words), self.o_fetch.payload.eq(address)]
        return (left == 0) | (moves & (left == 1))

    def _deliver(self, m: Module, begins: Value, token: View) -> Value:
        """Words as beats of the tokens they were asked for; whether another token has a place."""
        p = self.parameters
        layout = token.shape()
        m.submodules.flight = flight = SyncFIFOBuffered(width=layout.size, depth=IN_FLIGHT)
        words = p.input_size // p.width
        word = Signal(range(max(words, 2)))
        # What is asked for is in the queue before its address leaves, though not yet at its end.
        m.d.comb += self.busy.eq(flight.level != 0)
        moves = wire(m, self.o.valid & self.o.ready, "moves")
        is_end = wire(m, word == words - 1, "is_end")
        m.d.comb += [
            flight.w_data.eq(token.as_value()),
            flight.w_en.eq(begins),
            flight.r_en.eq(moves & is_end),
            self.o.payload.eq(flight.r_data),
            self.o.payload.data.eq(self.i_fetched.payload),
            self.o.valid.eq(self.i_fetched.valid & flight.r_rdy),
            self.i_fetched.ready.eq(Mux(self.busy, flight.r_rdy & self.o.ready, 1)),
            self.stray.eq(self.i_fetched.valid & ~self.busy),
        ]
        with m.If(moves):
            m.d.sync += word.eq(Mux(is_end, 0, word + 1))
        return flight.w_rdy
