"""The reciprocal of the modulus, worked out once for each modulus."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from hdl.piper.modulus import RECIPROCAL_PLACES
from hdl.piper.settings import SETTINGS
from hdl.wire import wire


class Reciprocal(Component):
    """floor((2**33 - 1) / modulus), one bit a cycle.

    Ports
        modulus. reciprocal: of it, while ``ready`` is high; 0 if the modulus is 0.
        ready: low from when ``modulus`` changes, in the same cycle, until 34 cycles later (one
        cycle later if it becomes 0), and after a reset for as long unless it is 0.
    """

    modulus: In(SETTINGS["modulus"])
    reciprocal: Out(SETTINGS["reciprocal"])
    ready: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        divisor = Signal.like(self.modulus)
        quotient = Signal(RECIPROCAL_PLACES)
        remainder = Signal.like(self.modulus, reset_less=True)
        left = Signal(range(RECIPROCAL_PLACES + 1))
        differs, busy = Signal(), Signal()
        m.d.comb += [
            differs.eq(self.modulus != divisor),
            busy.eq(left.any()),
            self.ready.eq(~differs & ~busy),
            self.reciprocal.eq(quotient),
        ]
        # Each digit of the dividend is a 1.
        next_remainder = wire(m, Cat(Const(1, 1), remainder), "next_remainder")
        difference = wire(m, next_remainder - divisor, "difference")
        fits = wire(m, ~difference[-1], "fits")
        with m.If(differs):
            m.d.sync += [
                divisor.eq(self.modulus),
                quotient.eq(0),
                remainder.eq(0),
                left.eq(Mux(self.modulus.any(), RECIPROCAL_PLACES, 0)),
            ]
        with m.Elif(busy):
            m.d.sync += [
                quotient.eq(Cat(fits, quotient[:-1])),
                # Below the divisor, as it was before.
                remainder.eq(Mux(fits, difference, next_remainder)[: len(remainder)]),
                left.eq(left - 1),
            ]
        return m
