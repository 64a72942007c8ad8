"""The engine with descriptors: told where sequences lie, it fetches their tokens itself."""

from enum import IntEnum

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from hdl.ebatch.descriptor_lane import FETCH_ADDRESS_BITS
from hdl.ebatch.descriptors import DescriptorFetch, descriptor
from hdl.ebatch.parameters import BYTE, Parameters
from hdl.ebatch.refusals import Refusals, described_event
from hdl.ebatch.registers import WORD, Register
from hdl.ebatch.top import Ebatch, engine_ports
from hdl.wire import wire

#: Of ``Register.CONTROL``: no new sequence begins.
DRAIN_BIT = 3
#: Of ``Register.LEVEL``: from here on refusals that wait.
REFUSALS_BIT = 16


class DescriptorRegister(IntEnum):
    """Counters of the front end, since reset, beside those of ``hdl.ebatch.registers``.

    DESCRIPTORS that were accepted, REFUSED ones; STRAYS: words that came without being asked for.
    """

    DESCRIPTORS = 32
    REFUSED = 33
    STRAYS = 34


class DescribedEngine(Component):
    """``Ebatch`` with queues of descriptors before its lanes.

    Ports
        those of ``hdl.ebatch.top``, but for ``i``; and
        i_descriptor: stream of ``descriptor``: sequences, each for a lane. Waits while the queue of
        its lane is full. descriptor_room: of each lane, that it is not.
        o_fetch, i_fetched: streams of addresses and of words, see ``hdl.ebatch.descriptors``.
        o_done: stream of ``described_event``: a descriptor of length 0 or of a lane that does not
        exist gives one with a status of its own, as soon as it comes, before those of sequences
        that are under way. irq: also while such an event waits, whatever the threshold. busy: also
        if words are under way or such an event waits.

    A sequence begins when its first token is asked for: that is what bit 3 of CONTROL stops.
    Register LEVEL has from bit 16 on the refusals that wait. Once the memory has answered, tokens
    enter the engine a word a cycle; ``Ebatch`` is the same circuit as without descriptors.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "i_descriptor": In(stream.Signature(descriptor(p))),
                "descriptor_room": Out(p.lanes),
                "o_fetch": Out(stream.Signature(FETCH_ADDRESS_BITS)),
                "i_fetched": In(stream.Signature(BYTE * p.width)),
                **engine_ports(p),
                "o_done": Out(stream.Signature(described_event(p))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        m.submodules.refusals = refusals = Refusals(p)
        m.submodules.fetch = fetch = DescriptorFetch(p)
        m.submodules.engine = engine = Ebatch(p)
        connect(m, flipped(self.i_descriptor), refusals.i)
        connect(m, refusals.o, fetch.i)
        connect(m, fetch.o_fetch, flipped(self.o_fetch))
        connect(m, flipped(self.i_fetched), fetch.i_fetched)
        connect(m, fetch.o, engine.i)
        connect(m, engine.o, flipped(self.o))
        connect(m, engine.o_done, refusals.i_done)
        connect(m, refusals.o_done, flipped(self.o_done))
        connect(m, engine.o_load, flipped(self.o_load))
        connect(m, flipped(self.i_weights), engine.i_weights)
        for name in ("room", "token_used", "lane_room", "block_begins", "block_closes"):
            m.d.comb += getattr(self, name).eq(getattr(engine, name))
        m.d.comb += [
            self.block_steps.eq(engine.block_steps),
            self.descriptor_room.eq(fetch.lane_ready),
            fetch.used.eq(engine.token_used),
            self.irq.eq(engine.irq | (refusals.level != 0)),
            self.busy.eq(engine.busy | fetch.busy | (refusals.level != 0)),
        ]
        self._registers(m, engine, fetch, refusals)
        return m

    def _registers(
        self, m: Module, engine: Ebatch, fetch: DescriptorFetch, refusals: Refusals
    ) -> None:
        # Were the engine to drain, a first token under way would hold up all lanes' tokens: so its
        # bit is kept here, where sequences begin.
        drain = Signal()
        is_control = wire(m, self.address == Register.CONTROL, "is_control")
        with m.If(self.write_enable & is_control):
            m.d.sync += drain.eq(self.write_data[DRAIN_BIT])
        m.d.comb += [
            fetch.accepts.eq(~drain),
            engine.address.eq(self.address),
            engine.write_enable.eq(self.write_enable),
            engine.write_data.eq(self.write_data),
            engine.write_data[DRAIN_BIT].eq(self.write_data[DRAIN_BIT] & ~is_control),
        ]
        counters = {
            DescriptorRegister.DESCRIPTORS: refusals.accepted,
            DescriptorRegister.REFUSED: refusals.refused,
            DescriptorRegister.STRAYS: fetch.stray,
        }
        # The engine reads 0 in all of these bits.
        values = {
            Register.CONTROL: drain << DRAIN_BIT,
            Register.LEVEL: refusals.level << REFUSALS_BIT,
        }
        for register, grows in counters.items():
            total = Signal(WORD, name=f"count_{register.name.lower()}")
            m.d.sync += total.eq(total + grows)
            values[register] = total
        own = Signal(WORD)
        m.d.sync += own.eq(0)
        for register, value in values.items():
            with m.If(self.address == int(register)):
                m.d.sync += own.eq(value)
        m.d.comb += self.read_data.eq(engine.read_data | own)
