"""From beats of any bytes to full ones."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.piper.route import counts_below, pack, rotate
from hdl.wire import wire

BYTE = 8


def bus_beat(width: int) -> StructLayout:
    """What a bus of ``width`` bytes brings: bytes whose ``keep`` is set, in ascending lanes.

    last: the data set ends with this beat, which may hold no bytes at all.
    """
    return StructLayout({"data": ArrayLayout(BYTE, width), "keep": width, "last": 1})


def full_beat(width: int) -> StructLayout:
    """``width`` bytes; of the last beat only ``count``, fewer than ``width`` and maybe none."""
    return StructLayout({"data": ArrayLayout(BYTE, width), "count": range(width + 1), "last": 1})


class Aligner(Component):
    """Packs the bytes of a bus, whichever it keeps, into full beats.

    Ports
        i: stream of ``bus_beat(width)``. o: stream of ``full_beat(width)``.

    A data set gives full beats and then one with ``last``. Latency 2 cycles, or until a beat is
    full; one beat a cycle, and one cycle more for each data set.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(bus_beat(width))),
                    "o": Out(stream.Signature(full_beat(width))),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.width
        level = Signal(range(width))
        held = Signal(ArrayLayout(BYTE, width), reset_less=True)
        waiting = Signal()
        slots = Signal(ArrayLayout(BYTE, width), reset_less=True)
        fresh = Signal(range(width + 1), reset_less=True)
        ends = Signal(reset_less=True)
        free, moves, ending = Signal(), Signal(), Signal()

        # The kept bytes, together.
        keep = self.i.payload.keep
        gaps = counts_below(m, wire(m, ~keep, "dropped"), "gap")
        packed = pack(m, platform, self.i.payload.data.as_value(), gaps, keep)
        kept = wire(m, width - gaps[-1], "kept")
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            moves.eq(waiting & free & ~ending),
            self.i.ready.eq(~waiting | moves),
        ]
        with m.If(self.i.ready):
            m.d.sync += [
                waiting.eq(self.i.valid),
                slots.eq(packed),
                fresh.eq(kept),
                ends.eq(self.i.payload.last),
            ]

        # Behind the bytes that are held.
        total = wire(m, level + fresh, "total")
        is_full = wire(m, total >= width, "is_full")
        turned = wire(m, rotate(m, platform, slots.as_value(), level), "turned")
        merged = wire(
            m,
            Cat(
                Mux(level > lane, held[lane], turned.word_select(lane, BYTE))
                for lane in range(width)
            ),
            "merged",
        )
        o = self.o.payload
        with m.If(free):
            m.d.sync += self.o.valid.eq((moves & is_full) | ending)
        with m.If(moves):
            m.d.sync += [
                o.data.eq(merged),
                o.count.eq(width),
                o.last.eq(0),
                held.eq(Mux(is_full, turned, merged)),
                level.eq(total),  # modulo the width
                ending.eq(ends),
            ]
        with m.If(ending & free):
            m.d.sync += [
                o.data.eq(held),
                o.count.eq(level),
                o.last.eq(1),
                level.eq(0),
                ending.eq(0),
            ]
        return m
