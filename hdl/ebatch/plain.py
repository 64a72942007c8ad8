"""The engine without E-BATCH: all lanes begin together, and end together."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from hdl.ebatch.core import build_core
from hdl.ebatch.drain import HALVES, Halves, drain_ports, output_memory
from hdl.ebatch.flags import STEP_BITS, weight_beat
from hdl.ebatch.lane_pointers import LanePointers
from hdl.ebatch.parameters import BYTE, Parameters
from hdl.wire import wire


def plain_output(parameters: Parameters) -> StructLayout:
    """``width`` bytes of outputs, lane after lane. last: of the batch's last step."""
    return StructLayout({"data": BYTE * parameters.width, "last": 1})


class PlainEngine(Component):
    """A batched RNN engine for batches of sequences of one length.

    Ports
        i: stream of words: of each step a word of every lane, then the next one. o: stream of
        ``plain_output``. o_done: stream: a batch is done, which had so many steps.
        o_load, i_weights: as those of ``hdl.ebatch.top``. run: batches begin. steps: how many a
        batch has, 1 to ``max_steps``, while one begins. all_steps: outputs of all steps are sent,
        else those of the last one. busy: a batch is computed, or has not left.

    It has the same lanes, weights and arithmetic as the engine with E-BATCH, to compare it with.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(BYTE * p.width)),
                "o": Out(stream.Signature(plain_output(p))),
                "o_done": Out(stream.Signature(STEP_BITS)),
                "o_load": Out(stream.Signature(range(max(p.layers, 2)))),
                "i_weights": In(stream.Signature(weight_beat(p))),
                "run": In(1),
                "steps": In(STEP_BITS),
                "all_steps": In(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        m.submodules.pointers = pointers = LanePointers(p)
        tokens = Signal(p.lanes)
        core = build_core(m, platform, p, [pointers] * p.lanes, tokens, self.i.payload)
        sequencer, weights, results = core.sequencer, core.weights, core.results
        m.submodules.drain = drain = PlainDrain(p)
        connect(m, flipped(self.i_weights), weights.i)
        connect(m, weights.o_load, flipped(self.o_load))
        connect(m, drain.o, flipped(self.o))
        connect(m, drain.o_done, flipped(self.o_done))
        is_top = wire(m, sequencer.layer == p.layers - 1, "is_top")
        is_last_lane = results.lane_out == p.lanes - 1
        m.d.comb += [
            sequencer.run.eq(self.run),
            sequencer.next_steps.eq(self.steps),
            sequencer.works.eq(pointers.count != 0),
            sequencer.sampled[0].first.eq(sequencer.step == 0),
            sequencer.sampled[0].last.eq(sequencer.step == sequencer.steps - 1),
            sequencer.replayed.eq(sequencer.sampled),
            sequencer.may_drain.eq(drain.may_begin),
            results.works.eq(1),
            results.first.eq(sequencer.flags[0].first),
            pointers.take.eq(sequencer.take),
            pointers.turns.eq(results.write.any() & results.is_last_unit & is_last_lane),
            drain.step_begins.eq(sequencer.step_begins & is_top),
            drain.flags.eq(sequencer.next_flags),
            drain.write.eq(results.write.any() & is_top),
            drain.unit.eq(results.unit_out),
            drain.lane.eq(results.lane_out),
            drain.data.eq(results.data),
            drain.step_done.eq(results.step_done & is_top),
            drain.all_steps.eq(self.all_steps),
            drain.steps.eq(sequencer.steps),
            self.busy.eq(sequencer.is_running | sequencer.waits_for_weights | drain.busy),
        ]
        self._take_in(m, pointers, tokens)
        return m

    def _take_in(self, m: Module, pointers: LanePointers, tokens: Signal) -> None:
        p = self.parameters
        words = p.input_size // p.width
        lane, word = Signal(range(p.lanes)), Signal(range(words))
        moves = wire(m, self.i.valid & self.i.ready, "moves")
        is_last_word = wire(m, word == words - 1, "is_last_word")
        is_last_lane = wire(m, lane == p.lanes - 1, "is_last_lane")
        m.d.comb += [
            self.i.ready.eq(pointers.count != p.token_depth),
            tokens.eq(Mux(moves, 1 << lane, 0)),
            # The pointers move on behind the last lane, once for all.
            pointers.enters.eq(moves & is_last_lane),
            pointers.enters_end.eq(is_last_word),
        ]
        with m.If(moves):
            m.d.sync += lane.eq(Mux(is_last_lane, 0, lane + 1))
            with m.If(is_last_lane):
                m.d.sync += word.eq(Mux(is_last_word, 0, word + 1))


class PlainDrain(Component):
    """Sends the outputs of a step lane by lane, and behind the last step that the batch is done.

    Ports
        those of ``drain_ports``. steps: of the batch. o, o_done: as those of the engine.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                **drain_ports(p),
                "steps": In(STEP_BITS),
                "o": Out(stream.Signature(plain_output(p))),
                "o_done": Out(stream.Signature(STEP_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        total = p.lanes * p.hidden_size // p.width
        halves = Halves(m, self)
        lasts, lengths = Signal(HALVES), Signal(ArrayLayout(STEP_BITS, HALVES))
        with m.If(self.step_begins):
            m.d.sync += [
                lasts.bit_select(halves.coming, 1).eq(self.flags[0].last),
                lengths[halves.coming].eq(self.steps),
            ]
        is_last = wire(m, lasts.bit_select(halves.leaving, 1), "is_last")
        outputs = output_memory(m, p, halves.written, self)
        word = Signal(range(total + 1))
        is_free = wire(m, ~self.o.valid | self.o.ready, "is_free")
        fetches = wire(m, halves.is_complete & (word != total) & is_free, "fetches")
        wanted = wire(m, is_last | self.all_steps, "wanted")
        is_out = wire(m, ((word == total) & ~self.o.valid) | ~wanted, "is_out")
        m.d.comb += [
            outputs.addr.eq(halves.leaving * total + word),
            outputs.en.eq(fetches),
            self.o.payload.data.eq(outputs.data),
            self.o_done.payload.eq(lengths[halves.leaving]),
            self.o_done.valid.eq(halves.is_complete & is_out & is_last),
            halves.leaves.eq(halves.is_complete & is_out & (~is_last | self.o_done.ready)),
        ]
        with m.If(fetches & wanted):
            m.d.sync += [self.o.valid.eq(1), word.eq(word + 1), self.o.payload.last.eq(is_last)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(halves.leaves):
            m.d.sync += word.eq(0)
        return m
