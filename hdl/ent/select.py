"""Picks one of many words, by units of eight that are mapped once, however many words there are."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out, Signature

from hdl.delay import delay
from hdl.ent.stage import levels
from hdl.export import Unit, place

#: Words that one unit picks from.
WORDS = 8


class Select(Unit):
    """``o`` is, one cycle later, the word whose strobe is high; zero if none is.

    words: ``count`` of ``width`` bits. strobes: a bit each, one high at most; without ``strobed``
    all of them are high, and all words but one are zero.
    """

    mapped_alone = True

    def __init__(self, width: int, count: int, strobed: bool) -> None:
        self.strobed = strobed
        ports = {"words": In(ArrayLayout(width, count)), "o": Out(width)}
        if strobed:
            ports["strobes"] = In(count)
        super().__init__(Signature(ports))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = list(self.words)
        if self.strobed:
            words = [
                word & strobe.replicate(len(word))
                for word, strobe in zip(words, self.strobes, strict=True)
            ]
        m.d.comb += self.o.eq(delay(m, reduce(or_, words), 1, name="chosen"))
        return m


def select_latency(count: int) -> int:
    """Cycles to pick one of ``count`` words."""
    return 1 + levels(count, WORDS)


def select(
    m: Module, platform: object, words: list[Value], strobes: list[Value], *, name: str
) -> Value:
    """The word whose strobe is high, ``select_latency`` cycles later."""
    level = 0
    while level == 0 or len(words) > 1:
        chosen = []
        for at in range(0, len(words), WORDS):
            part = words[at : at + WORDS]
            unit = place(platform, Select, len(words[0]), len(part), level == 0)
            m.submodules[f"{name}_{level}_{at // WORDS}"] = unit
            m.d.comb += unit.words.eq(Cat(*part))
            if level == 0:
                m.d.comb += unit.strobes.eq(Cat(*strobes[at : at + WORDS]))
            chosen.append(unit.o)
        words, level = chosen, level + 1
    return words[0]
