"""Weights, biases and settings of the layers that are on the chip."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import stream
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from hdl.ebatch.flags import weight_beat
from hdl.ebatch.parameters import BYTE, Parameters
from hdl.wire import wire

WORD = 32
#: Bits of a multiplier and of a shift, as ``hdl.ebatch.requantise`` takes them.
MULTIPLIER_BITS = 31
SHIFT_BITS = 6


class WeightStore(Component):
    """Asks for the layers one after the other, holds one or two of them, and reads them out.

    Ports
        o_load: stream: the layer that is wanted. i: stream of ``weight_beat``, its words.
        resident: the weights of the layer that is next in turn are here. release: they are done
        with, and those of the layer after it are next in turn.
        read, weight: the weight at this address of the layer; ``weights``: one cycle later.
        read_part, part, bias, gate: the bias with this number, and the scale of part ``gate``;
        ``bias_value``, ``part_multiplier``, ``part_shift``: one cycle later, until the next one.
        product: ``multiplier``, ``shift``: the scale of a product, one cycle later.
        cell_clip, cell_shift, output_offset: settings of the layer.
        wrong: in this cycle the words of a layer turn out to be too few or too many. The load is
        asked for once more, and nothing else suffers. loaded: the load of a layer is complete.
        word: a word is taken.

    The words come as ``docs/ebatch.md`` lists them: settings, biases, weights. With as many buffers
    as layers each is asked for once. Throughput: a word a cycle.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        self.weight_words = max(p.weight_words(layer) for layer in range(min(2, p.layers)))
        self.parts = 2 * len(p.cell.gates)
        self.bias_count = self.parts * p.hidden_size
        layer = range(max(p.layers, 2))
        super().__init__(
            {
                "o_load": Out(stream.Signature(layer)),
                "i": In(stream.Signature(weight_beat(p))),
                "resident": Out(1),
                "release": In(1),
                "weight": In(range(self.weight_words)),
                "weights": Out(BYTE * p.width),
                "read_part": In(1),
                "part": In(range(self.parts)),
                "bias": In(range(self.bias_count)),
                "bias_value": Out(signed(WORD)),
                "part_multiplier": Out(MULTIPLIER_BITS),
                "part_shift": Out(signed(SHIFT_BITS)),
                "product": In(range(max(len(p.cell.products), 2))),
                "multiplier": Out(MULTIPLIER_BITS),
                "shift": Out(signed(SHIFT_BITS)),
                "cell_clip": Out(15),
                "cell_shift": Out(signed(SHIFT_BITS)),
                "output_offset": Out(signed(BYTE)),
                "wrong": Out(1),
                "loaded": Out(1),
                "word": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        buffers = p.weight_buffers
        stays = p.layers <= buffers  # all layers fit, and each is loaded once
        is_here = Signal(buffers)
        loading = Signal(range(max(p.layers, 2)))  # the layer that is loaded next
        asked = Signal()
        into = Signal(range(max(buffers, 2)))  # buffer
        reading = Signal(range(max(buffers, 2)))
        everything = Signal(name="all_loaded")
        m.d.comb += [
            self.resident.eq(is_here.bit_select(reading, 1)),
            self.o_load.payload.eq(loading),
            self.o_load.valid.eq(~asked & ~is_here.bit_select(into, 1) & ~everything),
        ]
        with m.If(self.o_load.valid & self.o_load.ready):
            m.d.sync += asked.eq(1)

        index, wrong_length = self._place(m, loading, asked)
        moves = wire(m, self.i.valid & self.i.ready, "moves")
        ends = wire(m, moves & self.i.payload.last, "ends")
        is_whole = wire(m, ends & ~wrong_length, "is_whole")
        m.d.comb += [
            self.i.ready.eq(asked),
            self.wrong.eq(ends & wrong_length),
            self.loaded.eq(is_whole),
            self.word.eq(moves),
        ]
        with m.If(ends):
            m.d.sync += asked.eq(0)
        with m.If(is_whole):
            m.d.sync += [
                is_here.bit_select(into, 1).eq(1),
                into.eq(_next(into, buffers)),
                loading.eq(_next(loading, p.layers)),
            ]
            if stays:
                m.d.sync += everything.eq(loading == p.layers - 1)
        with m.If(self.release):
            m.d.sync += reading.eq(_next(reading, buffers))
            if stays:
                # One layer and two buffers: it is always in the first.
                m.d.sync += reading.eq(_next(reading, p.layers))
            else:
                m.d.sync += is_here.bit_select(reading, 1).eq(0)
        self._settings(m, index, moves, into, reading)
        self._biases(m, index, moves, into, reading)
        self._weights(m, index, moves, into, reading)
        return m

    def _place(self, m: Module, loading: Signal, asked: Signal) -> tuple[Signal, Signal]:
        """The number of the word that comes in, and whether it is not the last one it should be."""
        p = self.parameters
        totals = [p.load_words(layer) for layer in range(min(2, p.layers))]
        index = Signal(range(max(totals) + 1), name="index")
        moves = self.i.valid & self.i.ready
        with m.If(moves):
            # Words beyond the last one have nowhere to go.
            m.d.sync += index.eq(
                Mux(self.i.payload.last, 0, Mux(index == max(totals), index, index + 1))
            )
        total = Mux(loading == 0, totals[0], totals[-1])
        wrong_length = wire(m, index != total - 1, "wrong_length")
        return index, wrong_length

    def _settings(
        self, m: Module, index: Signal, moves: Signal, into: Signal, reading: Signal
    ) -> None:
        p = self.parameters
        buffers = p.weight_buffers
        word = self.i.payload.data[:WORD]
        scale_words = 2 * (self.parts + len(p.cell.products))
        is_shift = index[0]
        multiplier = Signal(MULTIPLIER_BITS, reset_less=True)
        with m.If(moves & ~is_shift):
            m.d.sync += multiplier.eq(word)
        scale = wire(m, Cat(multiplier, word[:SHIFT_BITS]), "scale")
        writes = wire(m, moves & is_shift & (index < scale_words), "writes_scale")
        number = index[1:]
        of_parts = self._scales("part_scales", self.parts, m)
        of_products = self._scales("product_scales", len(p.cell.products), m)
        for memory, first, count, selected, enable, outputs in (
            (of_parts, 0, self.parts, self.part, self.read_part,
             (self.part_multiplier, self.part_shift)),
            (of_products, self.parts, len(p.cell.products), self.product, 1,
             (self.multiplier, self.shift)),
        ):  # fmt: skip
            write, read = memory.write_port(), memory.read_port()
            inside = (number >= first) & (number < first + count)
            m.d.comb += [
                write.addr.eq(into * count + number - first),
                write.data.eq(scale),
                write.en.eq(writes & inside),
                read.addr.eq(reading * count + selected),
                read.en.eq(enable),
                Cat(*outputs).eq(read.data),
            ]
        for at, setting in enumerate((self.cell_clip, self.cell_shift, self.output_offset)):
            for buffer in range(buffers):
                register = Signal(len(setting), name=f"setting_{at}_{buffer}", reset_less=True)
                with m.If(moves & (index == scale_words + at) & (into == buffer)):
                    m.d.sync += register.eq(word)
                with m.If(reading == buffer):
                    m.d.comb += setting.eq(register)

    def _scales(self, name: str, count: int, m: Module) -> Memory:
        depth = self.parameters.weight_buffers * count
        memory = Memory(shape=unsigned(MULTIPLIER_BITS + SHIFT_BITS), depth=depth, init=[])
        m.submodules[name] = memory
        return memory

    def _biases(
        self, m: Module, index: Signal, moves: Signal, into: Signal, reading: Signal
    ) -> None:
        p = self.parameters
        first, words = p.setting_words, p.bias_words
        each = p.width * BYTE // WORD
        memory = self._words("biases", words, m)
        write, read = memory.write_port(), memory.read_port()
        select = self.bias[: each.bit_length() - 1]
        held = Signal(len(select), name="bias_select")
        with m.If(self.read_part):
            m.d.sync += held.eq(select)
        m.d.comb += [
            write.addr.eq(into * words + index - first),
            write.data.eq(self.i.payload.data),
            write.en.eq(moves & (index >= first) & (index < first + words)),
            read.addr.eq(reading * words + self.bias[each.bit_length() - 1 :]),
            read.en.eq(self.read_part),
            self.bias_value.eq(read.data.word_select(held, WORD) if each > 1 else read.data),
        ]

    def _weights(
        self, m: Module, index: Signal, moves: Signal, into: Signal, reading: Signal
    ) -> None:
        p = self.parameters
        first = p.setting_words + p.bias_words
        memory = self._words("weights", self.weight_words, m)
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.addr.eq(into * self.weight_words + index - first),
            write.data.eq(self.i.payload.data),
            write.en.eq(moves & (index >= first) & (index < first + self.weight_words)),
            read.addr.eq(reading * self.weight_words + self.weight),
            self.weights.eq(read.data),
        ]

    def _words(self, name: str, words: int, m: Module) -> Memory:
        p = self.parameters
        memory = Memory(shape=unsigned(BYTE * p.width), depth=p.weight_buffers * words, init=[])
        m.submodules[name] = memory
        return memory


def _next(counter: Signal, count: int) -> Mux:
    return Mux(counter == count - 1, 0, counter + 1)
