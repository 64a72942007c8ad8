"""Room for results that wait for their turn."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature


class Skid(Component):
    """A stream that passes straight through, with room for one payload while it is stalled.

    Ports
        i, o: streams. flush: drops what waits. busy: something waits.

    Latency 0 unless something waits; one transfer a cycle.
    """

    def __init__(self, payload: StructLayout) -> None:
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(payload)),
                    "o": Out(stream.Signature(payload)),
                    "flush": In(1),
                    "busy": Out(1),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        waiting = Signal()
        held = Signal(len(self.i.payload.as_value()), reset_less=True)
        m.d.comb += [
            self.i.ready.eq(~waiting | self.o.ready),
            self.o.valid.eq(waiting | self.i.valid),
            self.o.payload.eq(Mux(waiting, held, self.i.payload.as_value())),
            self.busy.eq(waiting),
        ]
        # Waiting stays as it is when one leaves and another one comes.
        with m.If(self.flush):
            m.d.sync += waiting.eq(0)
        with m.Elif(self.i.valid ^ self.o.ready):
            m.d.sync += waiting.eq(self.i.valid | (waiting & ~self.o.ready))
        with m.If(self.i.ready):
            m.d.sync += held.eq(self.i.payload.as_value())
        return m
