"""Vocabularies whose numbers are on the chip, in one memory a column."""

from amaranth.hdl import Cat, Const, Module, Mux
from amaranth.lib.memory import Memory

from hdl.piper.numbering import ColumnMemory
from hdl.piper.vocabulary_stage import VocabularyStage


class NumberTable(ColumnMemory):
    """``entries`` words: whether the value has a number, and which."""

    @staticmethod
    def clear_bits(entries: int) -> int:
        return 0

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = len(self.value)
        memory = Memory(shape=bits + 1, depth=self.entries, init=[])
        m.submodules.memory = memory
        write = memory.write_port()
        read = memory.read_port(transparent_for=(write,))
        m.d.comb += [
            read.en.eq(self.look_up),
            read.addr.eq(self.value),
            self.seen.eq(read.data[-1]),
            self.number.eq(Mux(self.seen, read.data[:bits], self.count)),
            write.en.eq(self.add | self.clear),
            write.addr.eq(self.looked_up),
            write.data.eq(Mux(self.clear, 0, Cat(self.count, Const(1, 1)))),
        ]
        return m


class OnChipVocabularies(VocabularyStage):
    """Ports as those of ``VocabularyStage``.

    Latency 3 cycles, one beat a cycle, in any pattern of values. Clearing takes ``entries``
    cycles. One memory of ``entries`` words a vocabulary column: a bit that the entry is in use,
    and the number.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        numbering = self._number(m, NumberTable)
        leaving = self._leave(m, numbering.o.valid, numbering.o.payload.row)
        m.d.comb += [
            numbering.o.ready.eq(leaving.ready),
            self.busy.eq(numbering.busy | leaving.busy),
        ]
        return m
