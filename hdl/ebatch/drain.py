"""The outputs of the last layer on their way out, and the word that a sequence is done."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream
from amaranth.lib.data import StructLayout, View
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Member, Out

from hdl.ebatch.flags import STEP_BITS, Status, done_event, lane_flags, output_beat, step_flags
from hdl.ebatch.parameters import BYTE, Parameters
from hdl.wire import wire

#: Steps whose outputs have room: of one while those of the other go out.
HALVES = 2


def drain_ports(parameters: Parameters) -> dict[str, Member]:
    """Ports of whatever takes the outputs of the last layer.

    step_begins, flags: a step of the last layer begins, with these lanes; not without
    ``may_begin``. write, unit, lane, data: its outputs. step_done: they are complete. all_steps:
    outputs of all steps are wanted, else only those of a sequence's last one. busy: some step has
    begun and is not out.
    """
    p = parameters
    return {
        "step_begins": In(1),
        "flags": In(step_flags(p)),
        "may_begin": Out(1),
        "write": In(1),
        "unit": In(range(p.hidden_size)),
        "lane": In(range(max(p.lanes, 2))),
        "data": In(BYTE),
        "step_done": In(1),
        "all_steps": In(1),
        "busy": Out(1),
    }


class Halves:
    """Whose outputs are where: those of a step come in while those of the one before go out.

    drain: a component with ``drain_ports``. coming, written, leaving: half of the step that begins
    next, whose outputs come in, and go out. is_complete: all of the latter have come. leaves: to
    be set in the cycle in which the last one is out.
    """

    def __init__(self, m: Module, drain: Component) -> None:
        begun, done = Signal(range(HALVES + 1)), Signal(range(HALVES + 1))
        self.coming, self.written, self.leaving = Signal(), Signal(), Signal()
        self.leaves = Signal()
        self.is_complete = done != 0
        m.d.comb += [drain.may_begin.eq(begun != HALVES), drain.busy.eq(begun != 0)]
        m.d.sync += [
            begun.eq(begun + drain.step_begins - self.leaves),
            done.eq(done + drain.step_done - self.leaves),
            self.coming.eq(self.coming ^ drain.step_begins),
            self.written.eq(self.written ^ drain.step_done),
            self.leaving.eq(self.leaving ^ self.leaves),
        ]


class Drain(Component):
    """Sends the outputs of a step lane by lane, and an event behind those that end a sequence.

    Ports
        those of ``drain_ports``.
        o: stream of ``output_beat``. o_done: stream of ``done_event``. An event is offered when the
        last beat of its sequence has been taken, never before.

    A step takes 2 cycles, and for each lane 1, for each output that is sent 1 and one for each of
    its beats, for each event 1, if nobody waits.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                **drain_ports(p),
                "o": Out(stream.Signature(output_beat(p))),
                "o_done": Out(stream.Signature(done_event(p))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        words = p.hidden_size // p.width
        halves = Halves(m, self)
        flags = Memory(shape=step_flags(p), depth=HALVES, init=[])
        m.submodules.flags = flags
        write, read = flags.write_port(), flags.read_port()
        m.d.comb += [
            write.addr.eq(halves.coming),
            write.data.eq(self.flags),
            write.en.eq(self.step_begins),
            read.addr.eq(halves.leaving),
        ]
        # The first of these is of the lane whose turn it is.
        row = Signal(step_flags(p), reset_less=True)
        history = StructLayout({"steps": STEP_BITS, "tag": p.tag_bits})
        histories = Signal(history.size * p.lanes)
        lane = Signal(range(p.lanes + 1))
        layout = lane_flags(p)
        mine = wire(m, row.as_value()[: layout.size], "mine")
        now = View(layout, mine)
        before = View(history, wire(m, histories[: history.size], "before"))
        is_wanted = wire(m, now.works & (now.last | self.all_steps), "is_wanted")
        step = wire(m, Mux(now.first, 0, before.steps), "step")
        turns = Signal()  # to the next lane
        after = Signal(history)
        m.d.comb += [
            after.steps.eq(Mux(now.works, step + 1, before.steps)),
            after.tag.eq(Mux(now.works, now.tag, before.tag)),
        ]
        with m.If(turns):
            m.d.sync += [
                row.eq(row.as_value() >> layout.size),
                histories.eq(Cat(histories[history.size :], after)),
                lane.eq(lane + 1),
            ]

        outputs = output_memory(m, p, halves.written, self)
        word = Signal(range(words + 1))
        fetches = Signal()
        m.d.comb += [
            outputs.addr.eq((halves.leaving * p.lanes + lane) * words + word),
            outputs.en.eq(fetches),
            self.o.payload.data.eq(outputs.data),
        ]
        is_last_word = wire(m, word == words - 1, "is_last_word")
        with m.If(fetches):
            m.d.sync += [
                word.eq(word + 1),
                self.o.valid.eq(1),
                self.o.payload.lane.eq(lane),
                self.o.payload.tag.eq(now.tag),
                self.o.payload.step.eq(step),
                self.o.payload.last.eq(now.last),
                self.o.payload.end.eq(is_last_word),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        event = self.o_done.payload
        m.d.comb += event.lane.eq(lane)

        with m.FSM():
            with m.State("WAIT"):
                m.d.sync += lane.eq(0)
                with m.If(halves.is_complete):
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.sync += row.eq(read.data)
                m.next = "LANE"
            with m.State("LANE"):
                with m.If(lane == p.lanes):
                    m.d.comb += halves.leaves.eq(1)
                    m.next = "WAIT"
                with m.Elif(now.works & now.cut):
                    m.next = "CUT"
                with m.Elif(is_wanted):
                    m.d.sync += word.eq(0)
                    m.next = "BEATS"
                with m.Else():
                    m.d.comb += turns.eq(1)
            with m.State("CUT"):
                m.d.comb += [
                    event.tag.eq(before.tag),
                    event.steps.eq(before.steps),
                    event.status.eq(Status.CUT),
                    self.o_done.valid.eq(1),
                ]
                with m.If(self.o_done.ready):
                    m.d.sync += word.eq(0)
                    with m.If(is_wanted):
                        m.next = "BEATS"
                    with m.Else():
                        m.d.comb += turns.eq(1)
                        m.next = "LANE"
            with m.State("BEATS"):
                is_free = wire(m, ~self.o.valid | self.o.ready, "is_free")
                with m.If(word != words):
                    m.d.comb += fetches.eq(is_free)
                with m.Elif(is_free):
                    with m.If(now.last):
                        m.next = "DONE"
                    with m.Else():
                        m.d.comb += turns.eq(1)
                        m.next = "LANE"
            with m.State("DONE"):
                m.d.comb += [
                    event.tag.eq(now.tag),
                    event.steps.eq(step + 1),
                    event.status.eq(Status.OK),
                    self.o_done.valid.eq(1),
                ]
                with m.If(self.o_done.ready):
                    m.d.comb += turns.eq(1)
                    m.next = "LANE"
        return m


def output_memory(m: Module, parameters: Parameters, half: Value, source: Component) -> Any:
    """Where the outputs of two steps are, written value by value; the port that reads them.

    source: a component with ``write``, ``unit``, ``lane`` and ``data``.
    """
    p = parameters
    bits = p.width.bit_length() - 1
    words = p.hidden_size // p.width
    memory = Memory(shape=unsigned(BYTE * p.width), depth=HALVES * p.lanes * words, init=[])
    m.submodules.outputs = memory
    write = memory.write_port(granularity=BYTE)
    byte, word = source.unit[:bits], source.unit[bits:]
    m.d.comb += [
        write.addr.eq((half * p.lanes + source.lane) * words + word),
        write.data.eq(Cat(source.data for _ in range(p.width))),
        write.en.eq(Cat(source.write & (byte == at) for at in range(p.width))),
    ]
    return memory.read_port()
