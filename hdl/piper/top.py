"""The whole pipeline: bytes in, model-ready columns out."""

from itertools import pairwise

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Member, Out, Signature, connect, flipped

from hdl.piper.aligner import Aligner, bus_beat
from hdl.piper.beat import Mode, row_beat
from hdl.piper.binary_reader import BinaryReader
from hdl.piper.counters import SIZES, Counters
from hdl.piper.field_packer import FieldPacker
from hdl.piper.lanes import Lanes
from hdl.piper.operator import WORD
from hdl.piper.parameters import Parameters, Source
from hdl.piper.reciprocal import Reciprocal
from hdl.piper.row_splitter import RowSplitter
from hdl.piper.row_store import RowStore
from hdl.piper.text_decoder import TextDecoder
from hdl.piper.vocabulary import build_vocabularies
from hdl.wire import wire

#: Bits that count the data sets inside; there are fewer than registers they could be in.
INSIDE_BITS = 16


class Pipeline(Component):
    """Everything but ``clear``; ports as those of ``Piper``."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.vocabularies = build_vocabularies(parameters)
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(bus_beat(parameters.bus_bytes))),
                    "o": Out(stream.Signature(row_beat(parameters))),
                    "modulus": In(WORD),
                    "mode": In(Mode),
                    "unseen_index": In(WORD),
                    "busy": Out(1),
                    "counter": In(range(SIZES + len(parameters.schema.columns))),
                    "counter_value": Out(WORD),
                    **memory_ports(self.vocabularies),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        m.submodules.aligner = aligner = Aligner(p.bus_bytes)
        m.submodules.store = store = RowStore(p)
        m.submodules.lanes = lanes = Lanes(p)
        m.submodules.vocabularies = vocabularies = self.vocabularies
        if p.source is Source.TEXT:
            columns = len(p.schema.columns)
            m.submodules.decoder = decoder = TextDecoder(p.bus_bytes)
            m.submodules.splitter = splitter = RowSplitter(p.bus_bytes, columns)
            m.submodules.packer = packer = FieldPacker(p)
            readers = (decoder, splitter, packer)
        else:
            m.submodules.reader = reader = BinaryReader(p)
            readers = (reader,)
        for before, after in pairwise((aligner, *readers, store, lanes, vocabularies)):
            connect(m, before.o, after.i)
        connect(m, vocabularies.o, flipped(self.o))
        self._count(m, store)
        accepts = self._set(m, lanes)
        m.d.comb += [
            aligner.i.payload.eq(self.i.payload),
            aligner.i.valid.eq(self.i.valid & accepts),
            self.i.ready.eq(aligner.i.ready & accepts),
            vocabularies.mode.eq(self.mode),
            vocabularies.unseen_index.eq(self.unseen_index),
        ]
        for name in memory_ports(vocabularies):
            connect(m, flipped(getattr(self, name)), getattr(vocabularies, name))
        self._watch(m)
        return m

    def _set(self, m: Module, lanes: Lanes) -> Signal:
        """Pass the settings on; whether what follows from them is ready."""
        ready = Signal(init=1, name="settings_ready")
        if "modulus" not in lanes.settings:
            m.d.comb += ready.eq(1)
            return ready
        m.submodules.reciprocal = reciprocal = Reciprocal()
        m.d.comb += [
            reciprocal.modulus.eq(self.modulus),
            lanes.modulus.eq(self.modulus),
            lanes.reciprocal.eq(reciprocal.reciprocal),
            ready.eq(reciprocal.ready),
        ]
        return ready

    def _count(self, m: Module, store: RowStore) -> None:
        m.submodules.counters = counters = Counters(self.parameters)
        m.d.comb += [
            counters.finished.eq(store.finished),
            counters.causes.eq(store.causes),
            counters.unseen.eq(self.vocabularies.unseen),
            counters.overflowed.eq(self.vocabularies.overflowed),
            counters.refused.eq(self.i.valid & ~self.i.ready),
            self.vocabularies.column.eq(counters.column),
            counters.size.eq(self.vocabularies.size),
            counters.counter.eq(self.counter),
            self.counter_value.eq(counters.value),
        ]

    def _watch(self, m: Module) -> None:
        """Busy from the first beat of a data set until its end is out."""
        is_open = Signal()
        inside = Signal(INSIDE_BITS)
        enters = wire(m, self.i.valid & self.i.ready & self.i.payload.last, "enters")
        leaves = wire(m, self.o.valid & self.o.ready & self.o.payload.last, "leaves")
        m.d.sync += inside.eq(inside + enters - leaves)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += is_open.eq(~self.i.payload.last)
        m.d.comb += self.busy.eq(is_open | (inside != 0) | self.vocabularies.busy)


class Piper(Component):
    """Streaming preprocessing of tables: rows of text or words in, rows of 32-bit words out.

    Ports
        i: stream of ``bus_beat``, the bytes of one data set after another. o: stream of
        ``row_beat``: rows, and a beat of its own behind the last row of a data set.
        modulus, mode, unseen_index: settings, which may change while ``busy`` is low: a set of
        data is inside. ``modulus`` 0 is none.
        clear: empties pipeline, vocabularies and counters, as a reset does; what is inside is lost.
        counter, counter_value: one of the counters (see ``hdl.piper.counters``), one cycle later.
        Vocabularies outside the chip add their memory's ports.

    After another modulus ``i`` waits until the modulus' reciprocal is there; after reset or clear
    the first row waits inside until the vocabularies are empty. In steady state a beat a cycle, or
    ``beats`` cycles a row if that is more.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.pipeline = Pipeline(parameters)
        members: dict[str, Member] = dict(self.pipeline.signature.members)
        super().__init__(Signature({**members, "clear": In(1)}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pipeline = ResetInserter(self.clear)(self.pipeline)
        for name, member in self.pipeline.signature.members.items():
            inner, outer = getattr(self.pipeline, name), getattr(self, name)
            if member.is_signature:
                connect(m, flipped(outer), inner)
            elif member.flow is In:
                m.d.comb += inner.eq(outer)
            else:
                m.d.comb += outer.eq(inner)
        return m


def memory_ports(vocabularies: Component) -> dict[str, Member]:
    """The ports of vocabularies to a memory outside, if they have any."""
    return {
        name: member
        for name, member in vocabularies.signature.members.items()
        if name.startswith(("i_", "o_"))
    }
