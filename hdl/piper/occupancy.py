"""Which values of a column have a number, when the numbers themselves are elsewhere."""

from amaranth.hdl import Const, Module, Mux
from amaranth.lib.memory import Memory

from hdl.piper.numbering import ColumnMemory
from hdl.wire import wire

#: Values whose bits are in one word, and are cleared in one cycle.
WORD_VALUES = 64


class Occupancy(ColumnMemory):
    """``entries`` bits in words of up to 64. Adding writes the word that was read, with its bit.

    So the value of ``add`` and the one last looked up must be the same.
    """

    @staticmethod
    def clear_bits(entries: int) -> int:
        return (min(WORD_VALUES, entries) - 1).bit_length()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low = self.clear_bits(self.entries)
        memory = Memory(shape=1 << low, depth=self.entries >> low, init=[])
        m.submodules.memory = memory
        write = memory.write_port()
        read = memory.read_port(transparent_for=(write,))
        bit = wire(m, Const(1, 1) << self.looked_up[:low], "bit")
        m.d.comb += [
            read.en.eq(self.look_up),
            read.addr.eq(self.value[low:]),
            self.seen.eq((read.data & bit).any()),
            self.number.eq(self.count),
            write.en.eq(self.add | self.clear),
            write.addr.eq(self.looked_up[low:]),
            write.data.eq(Mux(self.clear, 0, read.data | bit)),
        ]
        return m
