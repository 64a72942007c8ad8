"""What the two kinds of vocabularies have in common: their ports, and the way out."""

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, Value
from amaranth.lib import stream
from amaranth.lib.data import View
from amaranth.lib.wiring import Component, In, Member, Out, Signature, connect, flipped

from hdl.pipeline import Handshake, hold
from hdl.piper.beat import Mode, row_beat
from hdl.piper.numbering import ColumnMemory, Numbering
from hdl.piper.operator import WORD
from hdl.piper.parameters import Parameters
from hdl.wire import wire


class VocabularyStage(Component):
    """Replaces words of vocabulary columns by the numbers of their values.

    Ports
        i, o: streams of ``row_beat``, in the same order; nothing but words of vocabulary columns
        and their ``unseen`` bits changes. In mode GEN rows end here, only ``last`` beats come out.
        mode: a ``Mode``. unseen_index: the word of a value that has no number. Both may change
        only while ``busy`` is low.
        busy: something is inside. clearing: the vocabularies are being emptied, and nothing is
        taken; it begins by itself after a reset, which drops what is inside.
        unseen: of the beat that leaves in this cycle, or ends here in mode GEN, how many fields
        have no number; 0 if there is none. overflowed: how many of them can't be numbered, since
        their value is not below ``entries``; 0 in mode APPLY, which numbers none.
        column, size: how many values of that column have a number, in the same cycle; 0 for one
        without vocabulary.
    """

    def __init__(self, parameters: Parameters, **more_ports: Member) -> None:
        self.parameters = parameters
        columns = len(parameters.schema.columns)
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(row_beat(parameters))),
                    "o": Out(stream.Signature(row_beat(parameters))),
                    "mode": In(Mode),
                    "unseen_index": In(WORD),
                    "busy": Out(1),
                    "clearing": Out(1),
                    "unseen": Out(range(parameters.lanes + 1)),
                    "overflowed": Out(range(parameters.lanes + 1)),
                    "column": In(range(columns)),
                    "size": Out(range(parameters.entries + 1)),
                    **more_ports,
                }
            )
        )

    def _number(self, m: Module, memory: type[ColumnMemory]) -> Numbering:
        """The first part of the stage, connected to its ports."""
        m.submodules.numbering = numbering = Numbering(self.parameters, memory)
        connect(m, flipped(self.i), numbering.i)
        m.d.comb += [
            numbering.mode.eq(self.mode),
            numbering.column.eq(self.column),
            self.size.eq(numbering.size),
            self.clearing.eq(numbering.clearing),
        ]
        return numbering

    def _leave(self, m: Module, valid: Value, beat: View) -> Handshake:
        """The last rank of registers, in front of it the words of values without a number."""
        ends_here = wire(m, (self.mode == Mode.GEN) & ~self.o.payload.last, "ends_here")
        rank = Handshake(m, 1, valid, self.o.ready | ends_here, Const(0, 1), "leaving")
        words = {
            lane: wire(
                m, Mux(beat.unseen[lane], self.unseen_index, beat.words[lane]), f"word_{lane}"
            )
            for lane in range(self.parameters.lanes)
        }
        leaving = with_words(m, beat, words, "leaving")
        leaves = wire(m, rank.valid & (self.o.ready | ends_here), "leaves")
        unseen = self.o.payload.unseen
        m.d.comb += [
            self.o.valid.eq(rank.valid & ~ends_here),
            self.o.payload.eq(hold(m, leaving, rank.enables, "left")),
            self.unseen.eq(count_ones(unseen & leaves.replicate(len(unseen)))),
            # Where values are numbered, only those that can't be have no number.
            self.overflowed.eq(Mux(self.mode == Mode.APPLY, 0, self.unseen)),
        ]
        return rank


def with_words(m: Module, beat: View, words: dict[int, Value], name: str) -> Value:
    """``beat`` with other words in some lanes."""
    changed = View(beat.shape(), wire(m, beat.as_value(), f"{name}_beat"))
    for lane, word in words.items():
        m.d.comb += changed.words[lane].eq(word)
    return changed.as_value()


def count_ones(bits: Sequence[Value] | Value) -> Value:
    """How many bits are set, by a balanced tree."""
    if len(bits) == 1:
        return bits[0]
    half = len(bits) // 2
    return count_ones(bits[:half]) + count_ones(bits[half:])
