"""The memories of one lane: its tokens, and what its layers make of them."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.ebatch.lane_pointers import token_place
from hdl.ebatch.parameters import BYTE, Cell, Parameters
from hdl.export import Unit
from hdl.wire import wire


class LaneStore(Unit):
    """Holds inputs, outputs between layers, and states of one lane; reads a word a cycle.

    Ports
        token: a word of a token comes in. Tokens lie in a ring of words: tail: where this one goes;
        head: where the oldest token begins. halves: of each layer: where its state is read.
        is_state, is_product: what is read in this cycle: the state, the reset state (the product
        of reset gate and state), else the input. layer, slot, word: where; slot: of a layer's
        outputs, which are the inputs of the next one, which is not needed at layer 0. value: what
        was read, one cycle later.
        write: ``write_data`` is the next output of ``write_layer`` for unit ``write_unit``: it goes
        to ``write_slot`` and to the state that the next step reads. write_product: to the reset
        state.

    The state is kept twice, since a step needs all of the old one while it writes the new one.
    Where to look is known outside: see ``hdl.ebatch.lane_pointers``.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        self.slots = p.max_steps + 1
        words = max(p.hidden_size, p.input_size) // p.width
        super().__init__(
            {
                "token": In(1),
                "token_data": In(BYTE * p.width),
                "tail": In(token_place(p)),
                "head": In(token_place(p)),
                "halves": In(p.layers),
                "is_state": In(1),
                "is_product": In(1),
                "layer": In(range(max(p.layers, 2))),
                "slot": In(range(self.slots)),
                "word": In(range(words)),
                "value": Out(BYTE * p.width),
                "write": In(1),
                "write_product": In(1),
                "write_data": In(BYTE),
                "write_layer": In(range(max(p.layers, 2))),
                "write_slot": In(range(self.slots)),
                "write_unit": In(range(p.hidden_size)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        hidden_words = p.hidden_size // p.width
        tokens = self._tokens(m)
        sources = [(~self.is_state, tokens)]
        unit_word, unit_byte = self._place(m)
        if p.layers > 1:
            outputs = self._memory(m, "outputs", self.slots * hidden_words)
            self._write(m, outputs, self.write_slot, unit_word, unit_byte, self.write)
            above = wire(m, self.layer != 0, "above")
            read = self._read(m, outputs, self.slot * hidden_words + self.word)
            sources = [(~self.is_state & ~above, tokens), (~self.is_state & above, read)]
        state = self._memory(m, "state", 2 * p.layers * hidden_words)
        half = wire(m, self.halves.bit_select(self.layer, 1), "half")
        other = wire(m, ~self.halves.bit_select(self.write_layer, 1), "other")
        place = wire(m, self.write_layer * 2 + other, "state_place")
        self._write(m, state, place, unit_word, unit_byte, self.write)
        read = self._read(m, state, (self.layer * 2 + half) * hidden_words + self.word)
        sources.append((self.is_state & ~self.is_product, read))
        if p.cell is Cell.GRU_RESET_BEFORE:
            product = self._memory(m, "reset_state", hidden_words)
            self._write(m, product, 0, unit_word, unit_byte, self.write_product)
            sources.append((self.is_state & self.is_product, self._read(m, product, self.word)))
        value: Value = sources[0][1]
        for number, (wanted, read) in enumerate(sources[1:]):
            select = Signal(name=f"select_{number}")
            m.d.sync += select.eq(wanted)
            value = wire(m, Mux(select, read, value), f"value_{number}")
        m.d.comb += self.value.eq(value)
        return m

    def _tokens(self, m: Module) -> Value:
        """The ring of tokens; what is read of the oldest one."""
        p = self.parameters
        words = p.input_size // p.width
        ring = self._memory(m, "tokens", p.token_depth * words)
        write = ring.write_port()
        m.d.comb += [
            write.addr.eq(self.tail),
            write.data.eq(self.token_data),
            write.en.eq(self.token),
        ]
        return self._read(m, ring, self.head + self.word)

    def _memory(self, m: Module, name: str, words: int) -> Memory:
        memory = Memory(shape=unsigned(BYTE * self.parameters.width), depth=words, init=[])
        m.submodules[name] = memory
        return memory

    def _place(self, m: Module) -> tuple[Value, Value]:
        """Word and byte of the unit that is written."""
        bits = self.parameters.width.bit_length() - 1
        return self.write_unit[bits:], self.write_unit[:bits]

    def _write(
        self, m: Module, memory: Memory, place: Value, word: Value, byte: Value, enable: Value
    ) -> None:
        """Write one byte: of ``word`` of a unit, behind ``place`` states before it."""
        width = self.parameters.width
        port = memory.write_port(granularity=BYTE)
        words = self.parameters.hidden_size // width
        m.d.comb += [
            port.addr.eq(place * words + word),
            port.data.eq(Cat(self.write_data for _ in range(width))),
            port.en.eq(Cat(enable & (byte == at) for at in range(width))),
        ]

    def _read(self, m: Module, memory: Memory, address: Value) -> Value:
        port = memory.read_port()
        m.d.comb += port.addr.eq(address)
        return port.data
