"""Descriptors that no lane can run: told by an event, and out of every lane's way."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.data import StructLayout, View
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out

from hdl.ebatch.descriptors import descriptor
from hdl.ebatch.flags import Status, done_event
from hdl.ebatch.parameters import Parameters
from hdl.wire import wire


def described_event(parameters: Parameters) -> StructLayout:
    """A ``done_event`` with room for every ``Status``: a sequence is done, or was refused.

    Of one that was refused: lane: as its descriptor had it; steps: 0.
    """
    return StructLayout({**done_event(parameters).members, "status": 2})


class Refusals(Component):
    """Keeps descriptors of length 0 and of lanes that do not exist from the lanes.

    Ports
        i: stream of ``descriptor``, o: of those that lanes can run, combinationally.
        i_done: stream of ``done_event``. o_done: stream of ``described_event``: those of ``i_done``
        and of what was refused, in turn when both wait.
        accepted, refused: for a cycle: a descriptor came, and was.
        level: refusals that wait, of ``done_depth`` at most; ``i`` then waits with the next one.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(descriptor(p))),
                "o": Out(stream.Signature(descriptor(p))),
                "i_done": In(stream.Signature(done_event(p))),
                "o_done": Out(stream.Signature(described_event(p))),
                "accepted": Out(1),
                "refused": Out(1),
                "level": Out(range(p.done_depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        layout = described_event(p)
        m.submodules.queue = queue = SyncFIFOBuffered(width=layout.size, depth=p.done_depth)
        has_lane = wire(m, self.i.payload.lane < p.lanes, "has_lane")
        is_good = wire(m, has_lane & (self.i.payload.length != 0), "is_good")
        event = Signal(layout)
        m.d.comb += [
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & is_good),
            self.i.ready.eq(Mux(is_good, self.o.ready, queue.w_rdy)),
            self.accepted.eq(self.o.valid & self.o.ready),
            self.refused.eq(self.i.valid & ~is_good & queue.w_rdy),
            event.tag.eq(self.i.payload.tag),
            event.lane.eq(self.i.payload.lane),
            event.status.eq(Mux(has_lane, Status.EMPTY, Status.NO_LANE)),
            queue.w_data.eq(event.as_value()),
            queue.w_en.eq(self.refused),
            self.level.eq(queue.level),
        ]
        self._merge(m, View(layout, queue.r_data), queue)
        return m

    def _merge(self, m: Module, refusal: View, queue: SyncFIFOBuffered) -> None:
        """One of both kinds of events, on offer until it is taken; then it is the other's turn."""
        done = self.i_done.payload
        is_held, was_refusal = Signal(), Signal()
        in_turn = queue.r_rdy & ~(was_refusal & self.i_done.valid)
        is_refusal = wire(m, Mux(is_held, was_refusal, in_turn), "is_refusal")
        m.d.sync += is_held.eq(self.o_done.valid & ~self.o_done.ready)
        with m.If(self.o_done.valid):
            m.d.sync += was_refusal.eq(is_refusal)
        m.d.comb += [
            self.o_done.valid.eq(self.i_done.valid | queue.r_rdy),
            queue.r_en.eq(is_refusal & self.o_done.ready),
            self.i_done.ready.eq(~is_refusal & self.o_done.ready),
        ]
        with m.If(is_refusal):
            m.d.comb += self.o_done.payload.eq(refusal)
        with m.Else():
            m.d.comb += [
                self.o_done.payload.tag.eq(done.tag),
                self.o_done.payload.lane.eq(done.lane),
                self.o_done.payload.steps.eq(done.steps),
                self.o_done.payload.status.eq(done.status),
            ]
