"""Writes that a memory has not acknowledged yet, to be looked up meanwhile."""

from amaranth.hdl import Array, Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out, Signature

from hdl.export import Unit
from hdl.piper.numbering import any_of
from hdl.wire import wire


def write_request(address_bits: int, data_bits: int) -> StructLayout:
    """A word to be written to a memory."""
    return StructLayout({"address": address_bits, "data": data_bits})


class PendingWrites(Unit):
    """Passes writes on to a memory and keeps each until the memory has acknowledged it.

    Ports
        i: stream of ``write_request``, no address twice among those inside. o: the same, to the
        memory. acknowledged: one transfer for each write, in their order, from the cycle in which
        it is taken on.
        address: looked up among the writes inside; ``found`` whether it is there, ``data`` what is
        written to it, in the same cycle. A write is there from the cycle after it came in to that
        of its acknowledgement.
        forget: drops all that is inside, and offers nothing. busy: something is inside.

    Room for ``depth`` writes; the first leaves one cycle after it came.
    """

    def __init__(self, address_bits: int, data_bits: int, depth: int) -> None:
        self.depth = depth
        self._request = write_request(address_bits, data_bits)
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(self._request)),
                    "o": Out(stream.Signature(self._request)),
                    "acknowledged": In(stream.Signature(1)),
                    "address": In(address_bits),
                    "found": Out(1),
                    "data": Out(data_bits),
                    "forget": In(1),
                    "busy": Out(1),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        places = range(self.depth)
        occupied = Signal(self.depth)
        waiting = Signal(self.depth)  # those not yet taken by the memory
        kept = [Signal(self._request, name=f"kept_{at}", reset_less=True) for at in places]
        comes = wire(m, self.i.valid & self.i.ready, "comes")
        goes = wire(m, self.o.valid & self.o.ready, "goes")
        ends = wire(m, self.acknowledged.valid & self.acknowledged.ready, "ends")
        free = self._around(m, comes, "free")
        first = self._around(m, goes, "first")
        oldest = self._around(m, ends, "oldest")
        m.d.comb += [
            self.i.ready.eq(~Array(occupied)[free]),
            self.o.valid.eq(Array(waiting)[first] & ~self.forget),
            self.o.payload.eq(Array(each.as_value() for each in kept)[first]),
            self.acknowledged.ready.eq(1),
            self.busy.eq(occupied.any() & ~self.forget),
        ]
        found, data = [], []
        for at in places:
            with m.If(comes & (free == at)):
                m.d.sync += [occupied[at].eq(1), waiting[at].eq(1), kept[at].eq(self.i.payload)]
            with m.If(goes & (first == at)):
                m.d.sync += waiting[at].eq(0)
            with m.If(ends & (oldest == at)):
                m.d.sync += occupied[at].eq(0)
            equal = occupied[at] & (kept[at].address == self.address)
            found.append(wire(m, equal, f"found_{at}"))
            data.append(kept[at].data & found[at].replicate(len(self.data)))
        with m.If(self.forget):
            m.d.sync += [register.eq(0) for register in (occupied, waiting, free, first, oldest)]
        m.d.comb += [self.found.eq(any_of(found)), self.data.eq(any_of(data))]
        return m

    def _around(self, m: Module, moves: Value, name: str) -> Signal:
        """The number of a place, which goes to the next one, and from the last to the first."""
        place = Signal(range(self.depth), name=name)
        with m.If(moves):
            m.d.sync += place.eq(place + 1)
            with m.If(place == self.depth - 1):
                m.d.sync += place.eq(0)
        return place
