"""Which values of a row have a number, and which get one: the first part of the vocabularies."""

from abc import abstractmethod
from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout, View
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.export import Unit, place
from hdl.pipeline import Handshake, hold
from hdl.piper.beat import Mode, row_beat
from hdl.piper.parameters import Parameters
from hdl.wire import wire


class ColumnMemory(Unit):
    """What is kept on chip of one column's vocabulary. It has no state but a memory.

    Ports
        value: looked up in cycles with ``look_up``. seen: whether it has a number, from the next
        cycle to that of the next look-up. number: that number if it is kept here, else ``count``.
        looked_up: the value last looked up. In cycles with ``add`` it gets number ``count``; a
        look-up in the same cycle sees that.
        clear: forgets all values that differ from ``looked_up`` only in their lowest bits, which
        are ``clear_bits(entries)``. Not together with ``add``.
    """

    def __init__(self, entries: int) -> None:
        self.entries = entries
        bits = (entries - 1).bit_length()
        super().__init__(
            Signature(
                {
                    "look_up": In(1),
                    "value": In(bits),
                    "seen": Out(1),
                    "number": Out(bits),
                    "add": In(1),
                    "clear": In(1),
                    "looked_up": In(bits),
                    "count": In(bits),
                }
            )
        )

    @staticmethod
    @abstractmethod
    def clear_bits(entries: int) -> int:
        """Lowest bits of a value that ``clear`` does not look at."""


def vocabulary_columns(parameters: Parameters) -> tuple[int, ...]:
    """The columns that have a vocabulary."""
    columns = parameters.schema.columns
    return tuple(number for number, column in enumerate(columns) if column.has_vocabulary)


def lane_columns(parameters: Parameters, lane: int) -> dict[int, int]:
    """The columns with a vocabulary that pass a lane, each with its beat."""
    columns = enumerate(parameters.columns_of(lane))
    chosen = vocabulary_columns(parameters)
    return {column: beat for beat, column in columns if column is not None and column in chosen}


def numbered_beat(parameters: Parameters) -> StructLayout:
    """A beat with numbers where they are known.

    row: words are numbers where ``new`` or kept on chip, of no use where the value is unseen.
    new, seen: lanes whose value gets its number now, had it before. address: of the value, among
    those of all vocabulary columns.
    """
    addresses = max(1, len(vocabulary_columns(parameters))) * parameters.entries
    address = (addresses - 1).bit_length()
    return StructLayout(
        {
            "row": row_beat(parameters),
            "new": parameters.lanes,
            "seen": parameters.lanes,
            "address": ArrayLayout(address, parameters.lanes),
        }
    )


class Numbering(Component):
    """Looks values up, and gives the next number of its column to a new one.

    Ports
        i: stream of ``row_beat``. o: stream of ``numbered_beat``. busy: something is inside. The
        others as in ``VocabularyStage``.

    Latency 2 cycles, one beat a cycle. A value is added in the cycle in which its beat moves on,
    which is the first in which the next one may be looked up: reading and writing one entry of a
    memory in the same cycle is the only hazard, and the memory's own business.
    """

    def __init__(self, parameters: Parameters, memory: type[ColumnMemory]) -> None:
        self.parameters = parameters
        self._memory = memory
        columns = len(parameters.schema.columns)
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(row_beat(parameters))),
                    "o": Out(stream.Signature(numbered_beat(parameters))),
                    "mode": In(Mode),
                    "busy": Out(1),
                    "clearing": Out(1),
                    "column": In(range(columns)),
                    "size": Out(range(parameters.entries + 1)),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        offered = wire(m, self.i.valid & ~self.clearing, "offered")
        ranks = Handshake(m, 2, offered, self.o.ready, Const(0, 1), "rank")
        looking_up, numbering = ranks.enables
        m.d.comb += [
            self.i.ready.eq(ranks.ready & ~self.clearing),
            self.o.valid.eq(ranks.valid),
            self.busy.eq(ranks.busy),
        ]
        self._takes = wire(m, offered & ranks.ready, "takes")
        self._moves = wire(m, ranks.occupied[0] & numbering, "moves")
        layout = row_beat(self.parameters)
        self._beat = View(layout, hold(m, self.i.payload.as_value(), looking_up, "beat"))
        self._clear(m)
        self._sizes: list[Value] = []
        numbered = Signal(numbered_beat(self.parameters))
        m.d.comb += numbered.row.eq(self._beat)
        for lane in range(self.parameters.lanes):
            if lane_columns(self.parameters, lane):
                self._number_lane(m, platform, lane, numbered)
        m.d.comb += self.size.eq(any_of(self._sizes))
        m.d.comb += self.o.payload.eq(hold(m, numbered.as_value(), numbering, "result"))
        return m

    def _clear(self, m: Module) -> None:
        """After a reset, empty all memories at once, one word a cycle."""
        entries = self.parameters.entries
        kept = (entries - 1).bit_length() - self._memory.clear_bits(entries)
        steps = 1 << kept
        step = Signal(range(steps))
        clearing = Signal(init=bool(vocabulary_columns(self.parameters)))
        m.d.sync += step.eq(step + clearing)
        with m.If(step == steps - 1):
            m.d.sync += clearing.eq(0)
        m.d.comb += self.clearing.eq(clearing)
        self._cleared = Cat(Const(0, self._memory.clear_bits(entries)), step)

    def _number_lane(self, m: Module, platform: object, lane: int, numbered: View) -> None:
        p = self.parameters
        bits = (p.entries - 1).bit_length()
        word = self._beat.words[lane]
        fits = wire(m, ~word[bits:].any(), f"fits_{lane}")
        adds = wire(m, fits & (self.mode != Mode.APPLY), f"adds_{lane}")
        looked_up = wire(m, Mux(self.clearing, self._cleared, word[:bits]), f"value_{lane}")
        here, seen, new, numbers, addresses = [], [], [], [], []
        for column, beat in lane_columns(p, lane).items():
            memory: Any = place(platform, self._memory, p.entries)
            m.submodules[f"column_{column}"] = memory
            arrives = self.i.payload.keep[lane] & (self.i.payload.beat == beat)
            is_here = wire(m, self._beat.keep[lane] & (self._beat.beat == beat), f"here_{column}")
            is_new = wire(m, is_here & adds & ~memory.seen, f"new_{column}")
            add = wire(m, is_new & self._moves, f"add_{column}")
            count = Signal(range(p.entries + 1), name=f"count_{column}")
            with m.If(add):
                m.d.sync += count.eq(count + 1)
            self._sizes.append(count & (self.column == column).replicate(len(count)))
            m.d.comb += [
                memory.look_up.eq(arrives & self._takes),
                memory.value.eq(self.i.payload.words[lane][:bits]),
                memory.looked_up.eq(looked_up),
                memory.add.eq(add),
                memory.clear.eq(self.clearing),
                # A column whose values all have a number gets no new one.
                memory.count.eq(count[:bits]),
            ]
            here.append(is_here)
            seen.append(is_here & memory.seen)
            new.append(is_new)
            numbers.append(memory.number & is_here.replicate(bits))
            number = vocabulary_columns(p).index(column)
            addresses.append(Mux(is_here, number, 0))
        replaced = wire(m, any_of(here), f"replaced_{lane}")
        was_seen = wire(m, any_of(seen) & fits, f"seen_{lane}")
        m.d.comb += [
            numbered.row.words[lane].eq(
                any_of(numbers) | (word & (~replaced).replicate(len(word)))
            ),
            numbered.row.unseen[lane].eq(replaced & ~adds & ~was_seen),
            numbered.new[lane].eq(any_of(new)),
            numbered.seen[lane].eq(was_seen),
            numbered.address[lane].eq(Cat(word[:bits], any_of(addresses))),
        ]


def any_of(values: Iterable[Value]) -> Value:
    """All values, of which at most one is not 0, as one."""
    return reduce(or_, values, Const(0, 0))
