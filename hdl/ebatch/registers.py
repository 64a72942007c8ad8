"""The registers through which a host sets the engine and watches it."""

from enum import IntEnum

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import Component, In, Out

from hdl.ebatch.event_queue import TIMER_BITS
from hdl.ebatch.parameters import Parameters
from hdl.wire import wire

WORD = 64
ADDRESS_BITS = 10
#: What an engine does when nobody has told it anything.
RUN, EARLY_END, ALL_STEPS = 0, 1, 0


class Register(IntEnum):
    """Registers by address; from LANE on one for each lane.

    Settings, which can be written:
    CONTROL: bit 0 run: blocks begin; bit 1 early_end: a block ends when no lane has a token; bit 2
    all_steps: outputs of all steps are sent; bit 3 drain: no new sequence comes in. NEXT_STEPS:
    steps of the next block. THRESHOLD, TIMER: of the interrupt. WATERMARK: a lane has room while it
    holds fewer tokens.
    Status: CAPABILITIES: from bit 0 on lanes, hidden and input size and max_steps, 16 bits each.
    BLOCK: from bit 0 on the number of the block, its layer, step and steps, 16 bits each. LEVEL:
    events that wait.
    Counters, since reset: CYCLES; BLOCKS; LANE_STEPS: steps times lanes times layers, of which
    USEFUL did something, EMPTY were bubbles between sequences and STARVED within one;
    LAYER_LOADS, WORDS_LOADED, WORDS_READ: of weights; WEIGHT_STALLS, DRAIN_STALLS: cycles in which
    nothing else was missing; SEQUENCES that are done; CUT ones that had no last token; BAD_LOADS
    of the wrong length; BAD_BEATS for lanes that do not exist. Lanes multiply in as many cycles as
    WORDS_READ.
    LANE + n: tokens that wait in lane n.
    """

    CONTROL = 0
    NEXT_STEPS = 1
    THRESHOLD = 2
    TIMER = 3
    WATERMARK = 4
    CAPABILITIES = 8
    BLOCK = 9
    LEVEL = 10
    CYCLES = 16
    BLOCKS = 17
    LANE_STEPS = 18
    USEFUL = 19
    EMPTY = 20
    STARVED = 21
    LAYER_LOADS = 22
    WORDS_LOADED = 23
    WORDS_READ = 24
    WEIGHT_STALLS = 25
    DRAIN_STALLS = 26
    SEQUENCES = 27
    CUT = 28
    BAD_LOADS = 29
    BAD_BEATS = 30
    LANE = 512


#: The counters, each with its port, which says by how much it grows.
COUNTERS = {each: each.name.lower() for each in Register if Register.CYCLES <= each < Register.LANE}


class Registers(Component):
    """Reads and writes one register a cycle.

    Ports
        address, write, data: ``data`` goes to the register at ``address`` if ``write`` is set.
        read: what the register at ``address`` of the cycle before holds; 0 if there is none.
        The others: settings as ``Register`` names them, status, and by how much counters grow.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        amount = range(p.lanes + 1)
        super().__init__(
            {
                "address": In(ADDRESS_BITS),
                "write": In(1),
                "data": In(WORD),
                "read": Out(WORD),
                "run": Out(1, init=RUN),
                "early_end": Out(1, init=EARLY_END),
                "all_steps": Out(1, init=ALL_STEPS),
                "drain": Out(1),
                "next_steps": Out(16, init=p.max_steps),
                "threshold": Out(16, init=1),
                "timer": Out(TIMER_BITS),
                "watermark": Out(16, init=min(p.max_steps, p.token_depth)),
                "block": In(16),
                "layer": In(16),
                "step": In(16),
                "steps": In(16),
                "level": In(16),
                "counts": In(p.lanes * p.count_bits),
                **{port: In(amount) for port in COUNTERS.values() if port != "cycles"},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        settings = {
            Register.CONTROL: Cat(self.run, self.early_end, self.all_steps, self.drain),
            Register.NEXT_STEPS: self.next_steps,
            Register.THRESHOLD: self.threshold,
            Register.TIMER: self.timer,
            Register.WATERMARK: self.watermark,
        }
        for address, setting in settings.items():
            with m.If(self.write & (self.address == address)):
                m.d.sync += setting.eq(self.data)
        sizes = (p.lanes, p.hidden_size, p.input_size, p.max_steps)
        values = {
            **settings,
            Register.CAPABILITIES: sum(size << 16 * at for at, size in enumerate(sizes)),
            Register.BLOCK: Cat(self.block, self.layer, self.step, self.steps),
            Register.LEVEL: self.level,
        }
        for address, port in COUNTERS.items():
            total = Signal(WORD, name=f"count_{port}")
            amount = getattr(self, port) if port != "cycles" else 1
            m.d.sync += total.eq(total + amount)
            values[address] = total
        bits = p.count_bits
        for lane in range(p.lanes):
            values[Register.LANE + lane] = self.counts.word_select(lane, bits)
        found = Signal(WORD)
        for address, value in values.items():
            chosen = wire(m, self.address == int(address), f"is_{int(address)}")
            with m.If(chosen):
                m.d.comb += found.eq(value)
        m.d.sync += self.read.eq(found)
        return m
