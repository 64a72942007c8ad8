"""Tokens on their way into the lanes."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.data import View
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from hdl.ebatch.flags import lane_flags, step_flags, token_beat
from hdl.ebatch.parameters import Parameters
from hdl.wire import wire


class Intake(Component):
    """Sends the beats of tokens to the lanes' memories and finds out where sequences begin.

    Ports
        i: stream of ``token_beat``. Waits while the lane it is for has no room; beats for a lane
        that does not exist are swallowed.
        token, token_end: a bit a lane: for ``hdl.ebatch.lane_store``. counts: tokens of each lane.
        sample: look at the lanes now. flags: one cycle later: of all lanes' oldest tokens; works:
        already in the cycle of ``sample``, whether any has one.
        take: the tokens that were sampled are used up; taken: by these lanes; finished: that was
        the last one of the lane's sequence.
        cut, missing: in this cycle a sequence turns out to have no last token; a beat has no lane.
        accepts: whether new sequences may begin.

    The engine is not told where a sequence begins: it does behind the last token of another one, or
    where the tag changes, which is an error of the one before.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(token_beat(p))),
                "accepts": In(1),
                "token": Out(p.lanes),
                "token_end": Out(1),
                "counts": In(p.lanes * p.count_bits),
                "sample": In(1),
                "works": Out(1),
                "flags": Out(step_flags(p)),
                "take": In(1),
                "taken": Out(p.lanes),
                "finished": Out(p.lanes),
                "cut": Out(1),
                "missing": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        beat = self.i.payload
        bits = p.count_bits
        words = p.input_size // p.width
        is_inside = Signal(p.lanes)  # of the sequence whose tokens come in
        tags = [Signal(p.tag_bits, name=f"tag_{lane}", reset_less=True) for lane in range(p.lanes)]
        places = [Signal(range(max(words, 2)), name=f"place_{lane}") for lane in range(p.lanes)]

        exists = wire(m, beat.lane < p.lanes, "exists")
        tag = wire(m, Array(tags)[beat.lane], "tag")
        inside = wire(m, is_inside.bit_select(beat.lane, 1), "inside")
        place = wire(m, Array(places)[beat.lane], "place")
        is_end = wire(m, place == words - 1, "is_end")
        # A sequence has begun with its first beat.
        has_begun = inside | (place != 0)
        count = wire(m, self.counts.word_select(beat.lane, bits), "count")
        waits = wire(m, (count == p.token_depth) | ~(self.accepts | has_begun), "waits")
        moves = wire(m, self.i.valid & exists & ~waits, "moves")
        ends = wire(m, moves & is_end, "ends")
        cut = wire(m, inside & (beat.tag != tag), "is_cut")
        m.d.comb += [
            self.i.ready.eq(~exists | ~waits),
            self.token_end.eq(is_end),
            self.cut.eq(ends & cut),
            self.missing.eq(self.i.valid & ~exists),
        ]
        layout = lane_flags(p)
        held = Signal(p.lanes)  # whether a lane has a token in this step
        is_open = Signal(p.lanes)  # inside a sequence, by the tokens that were used up
        m.d.comb += self.works.eq(Cat(self._has(lane) for lane in range(p.lanes)).any())
        for lane in range(p.lanes):
            mine = wire(m, beat.lane == lane, f"mine_{lane}")
            m.d.comb += self.token[lane].eq(moves & mine)
            with m.If(moves & mine):
                m.d.sync += places[lane].eq(Mux(is_end, 0, places[lane] + 1))
            with m.If(ends & mine):
                m.d.sync += [is_inside[lane].eq(~beat.last), tags[lane].eq(beat.tag)]
            self._queue(m, lane, layout, ends & mine, inside, cut, held, is_open)
        return m

    def _has(self, lane: int) -> Signal:
        bits = self.parameters.count_bits
        return self.counts.word_select(lane, bits) != 0

    def _queue(
        self,
        m: Module,
        lane: int,
        layout: object,
        enters: Signal,
        inside: Signal,
        cut: Signal,
        held: Signal,
        is_open: Signal,
    ) -> None:
        """What is known of each token of a lane, beside its data."""
        p = self.parameters
        beat = self.i.payload
        memory = Memory(shape=layout.size, depth=p.token_depth, init=[])
        m.submodules[f"queue_{lane}"] = memory
        write, read = memory.write_port(), memory.read_port()
        tail = Signal(range(p.token_depth), name=f"tail_{lane}")
        head = Signal(range(p.token_depth), name=f"head_{lane}")
        item = Signal(layout, name=f"item_{lane}")
        m.d.comb += [
            item.first.eq(~inside | cut),
            item.last.eq(beat.last),
            item.cut.eq(cut),
            item.tag.eq(beat.tag),
            write.addr.eq(tail),
            write.data.eq(item),
            write.en.eq(enters),
            read.addr.eq(head),
        ]
        found = View(layout, read.data)
        flags = self.flags[lane]
        m.d.comb += [
            flags.eq(found),
            flags.works.eq(held[lane]),
            flags.starved.eq(~held[lane] & is_open[lane]),
            self.taken[lane].eq(self.take & held[lane]),
            self.finished[lane].eq(self.taken[lane] & found.last),
        ]
        with m.If(self.sample):
            m.d.sync += held[lane].eq(self._has(lane))
        with m.If(enters):
            m.d.sync += tail.eq(Mux(tail == p.token_depth - 1, 0, tail + 1))
        with m.If(self.take & held[lane]):
            m.d.sync += [
                head.eq(Mux(head == p.token_depth - 1, 0, head + 1)),
                is_open[lane].eq(~found.last),
            ]
