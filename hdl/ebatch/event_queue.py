"""Events that wait for the host, and the interrupt that calls it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out

from hdl.ebatch.flags import done_event
from hdl.ebatch.parameters import Parameters
from hdl.wire import wire

TIMER_BITS = 32


class EventQueue(Component):
    """Holds ``done_depth`` events; none is ever lost: whoever brings one waits until it has room.

    Ports
        i, o: streams of ``done_event``. level: events that wait. threshold, timer: settings.
        irq: ``threshold`` events wait, or the oldest one has for ``timer`` cycles; 0 switches
        either off.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(done_event(p))),
                "o": Out(stream.Signature(done_event(p))),
                "level": Out(range(p.done_depth + 1)),
                "threshold": In(16),
                "timer": In(TIMER_BITS),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layout = done_event(self.parameters)
        fifo = SyncFIFOBuffered(width=layout.size, depth=self.parameters.done_depth)
        m.submodules.fifo = fifo
        waited = Signal(TIMER_BITS)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload.as_value()),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
            self.level.eq(fifo.level),
        ]
        is_late = wire(m, (self.timer != 0) & (waited >= self.timer), "is_late")
        with m.If(~fifo.r_rdy | self.o.ready):
            m.d.sync += waited.eq(0)
        with m.Elif(~is_late):
            m.d.sync += waited.eq(waited + 1)
        is_many = (self.threshold != 0) & (self.level >= self.threshold)
        m.d.comb += self.irq.eq(is_many | is_late)
        return m
