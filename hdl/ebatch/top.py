"""The engine: tokens and weights in, outputs and events out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Member, Out, connect, flipped

from hdl.ebatch.core import build_core
from hdl.ebatch.drain import Drain
from hdl.ebatch.event_queue import EventQueue
from hdl.ebatch.flags import done_event, output_beat, step_flags, token_beat, weight_beat
from hdl.ebatch.intake import Intake
from hdl.ebatch.lane_pointers import LanePointers
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.registers import ADDRESS_BITS, WORD, Registers
from hdl.ebatch.sequencer import Sequencer
from hdl.ebatch.weight_store import WeightStore
from hdl.wire import wire


def engine_ports(parameters: Parameters) -> dict[str, Member]:
    """Ports of ``Ebatch`` but for ``i``."""
    p = parameters
    return {
        "o": Out(stream.Signature(output_beat(p))),
        "o_done": Out(stream.Signature(done_event(p))),
        "o_load": Out(stream.Signature(range(max(p.layers, 2)))),
        "i_weights": In(stream.Signature(weight_beat(p))),
        "room": Out(p.lanes),
        "token_used": Out(p.lanes),
        "lane_room": Out(p.lanes),
        "block_begins": Out(1),
        "block_closes": Out(1),
        "block_steps": Out(16),
        "irq": Out(1),
        "busy": Out(1),
        "address": In(ADDRESS_BITS),
        "write_enable": In(1),
        "write_data": In(WORD),
        "read_data": Out(WORD),
    }


class Ebatch(Component):
    """A batched RNN engine whose lanes carry sequences end to end.

    Ports
        i: stream of ``token_beat``: the inputs of each lane's sequences, one behind the other.
        room: of each lane: it holds fewer tokens than the watermark; another sequence is welcome.
        token_used, lane_room: of each lane, for a cycle: it has used up a token, the last one of a
        sequence. block_begins, block_closes: for a cycle: a block begins, of ``block_steps`` at
        most; it has that many, and what comes from now on is for later ones.
        A lane without a token when a step begins takes no part in it and holds its state.
        o: stream of ``output_beat``: outputs of the last layer. o_done: stream of ``done_event``: a
        sequence is done, and its outputs have been taken. irq: events wait.
        o_load: stream: the layer whose weights are wanted. i_weights: stream of ``weight_beat``.
        address, write_enable, write_data, read_data: the registers, see ``hdl.ebatch.registers``.
        busy: a block is computed or waits for weights, or outputs or events have not left.

    A block is up to ``next_steps`` steps of all lanes in layer 0, then the same steps in layer 1,
    and so on. A step of a layer takes ``step_cycles(layer) + 2`` cycles and what it waits for;
    outputs are those of ``golden.ebatch.run_layers`` for each sequence by itself.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__({"i": In(stream.Signature(token_beat(p))), **engine_ports(p)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        m.submodules.intake = intake = Intake(p)
        pointers = [LanePointers(p) for _ in range(p.lanes)]
        for lane, each in enumerate(pointers):
            m.submodules[f"pointers_{lane}"] = each
            m.d.comb += [
                each.enters.eq(intake.token[lane]),
                each.enters_end.eq(intake.token_end),
                each.take.eq(intake.taken[lane]),
            ]
        core = build_core(m, platform, p, pointers, intake.token, self.i.payload.data)
        sequencer, weights, results = core.sequencer, core.weights, core.results
        m.submodules.drain = drain = Drain(p)
        m.submodules.events = events = EventQueue(p)
        m.submodules.registers = registers = Registers(p)
        connect(m, flipped(self.i), intake.i)
        connect(m, flipped(self.i_weights), weights.i)
        connect(m, weights.o_load, flipped(self.o_load))
        connect(m, drain.o, flipped(self.o))
        connect(m, drain.o_done, events.i)
        connect(m, events.o, flipped(self.o_done))
        is_top = wire(m, sequencer.layer == p.layers - 1, "is_top")
        m.d.comb += [
            sequencer.run.eq(registers.run),
            sequencer.early_end.eq(registers.early_end),
            sequencer.next_steps.eq(registers.next_steps),
            sequencer.works.eq(intake.works),
            sequencer.sampled.eq(intake.flags),
            sequencer.may_drain.eq(drain.may_begin),
            intake.accepts.eq(~registers.drain),
            intake.sample.eq(sequencer.sample),
            intake.take.eq(sequencer.take),
            drain.step_begins.eq(sequencer.step_begins & is_top),
            drain.flags.eq(sequencer.next_flags),
            drain.write.eq(results.write.any() & is_top),
            drain.unit.eq(results.unit_out),
            drain.lane.eq(results.lane_out),
            drain.data.eq(results.data),
            drain.step_done.eq(results.step_done & is_top),
            drain.all_steps.eq(registers.all_steps),
            events.threshold.eq(registers.threshold),
            events.timer.eq(registers.timer),
            self.irq.eq(events.irq),
            self.token_used.eq(intake.taken),
            self.lane_room.eq(intake.finished),
            self.block_begins.eq(sequencer.block_begins),
            self.block_closes.eq(sequencer.bottom_ends),
            self.block_steps.eq(sequencer.bottom_steps),
            self.busy.eq(
                sequencer.is_running
                | sequencer.waits_for_weights
                | drain.busy
                | (events.level != 0)
            ),
        ]
        m.d.comb += [
            results.works.eq(Cat(flags.works for flags in sequencer.flags)),
            results.first.eq(Cat(flags.first for flags in sequencer.flags)),
            intake.counts.eq(Cat(each.count for each in pointers)),
            *(
                each.turns.eq(results.write[lane] & results.is_last_unit)
                for lane, each in enumerate(pointers)
            ),
        ]
        self._replay(m, sequencer)
        self._watch(m, registers, sequencer, weights, intake, drain, events)
        return m

    def _replay(self, m: Module, sequencer: Sequencer) -> None:
        """The flag plane: upper layers see the lanes as the lowest one saw them."""
        p = self.parameters
        if p.layers == 1:
            return
        plane = Memory(shape=step_flags(p), depth=p.max_steps, init=[])
        m.submodules.flag_plane = plane
        write, read = plane.write_port(), plane.read_port()
        m.d.comb += [
            write.addr.eq(sequencer.step),
            write.data.eq(sequencer.sampled),
            write.en.eq(sequencer.step_begins & (sequencer.layer == 0)),
            read.addr.eq(sequencer.step),
            sequencer.replayed.eq(read.data),
        ]

    def _watch(
        self,
        m: Module,
        registers: Registers,
        sequencer: Sequencer,
        weights: WeightStore,
        intake: Intake,
        drain: Drain,
        events: EventQueue,
    ) -> None:
        p = self.parameters
        flags = sequencer.next_flags
        begins = sequencer.step_begins

        def lanes(bits: list[Value]) -> Value:
            return Mux(begins, sum(bits, Const(0, 1)), 0)

        works = [each.works for each in flags]
        starved = [~each.works & each.starved for each in flags]
        empty = [~each.works & ~each.starved for each in flags]
        block = Signal(16)
        with m.If(sequencer.block_ends):
            m.d.sync += block.eq(block + 1)
        bits = p.count_bits
        counts = [intake.counts.word_select(lane, bits) for lane in range(p.lanes)]
        leaves = self.o_done.valid & self.o_done.ready
        m.d.comb += [
            registers.address.eq(self.address),
            registers.write.eq(self.write_enable),
            registers.data.eq(self.write_data),
            self.read_data.eq(registers.read),
            self.room.eq(Cat(count < registers.watermark for count in counts)),
            registers.counts.eq(intake.counts),
            registers.block.eq(block),
            registers.layer.eq(sequencer.layer),
            registers.step.eq(sequencer.step),
            registers.steps.eq(sequencer.steps),
            registers.level.eq(events.level),
            registers.blocks.eq(sequencer.block_ends),
            registers.lane_steps.eq(Mux(begins, p.lanes, 0)),
            registers.useful.eq(lanes(works)),
            registers.empty.eq(lanes(empty)),
            registers.starved.eq(lanes(starved)),
            registers.layer_loads.eq(weights.loaded),
            registers.words_loaded.eq(weights.word),
            registers.words_read.eq(sequencer.multiplies),
            registers.weight_stalls.eq(sequencer.waits_for_weights),
            registers.drain_stalls.eq(sequencer.waits_for_drain),
            registers.sequences.eq(leaves),
            registers.cut.eq(intake.cut),
            registers.bad_loads.eq(weights.wrong),
            registers.bad_beats.eq(intake.missing),
        ]
