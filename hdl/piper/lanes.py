"""What values pass between the row store and the vocabularies: all lanes in step."""

from collections.abc import Sequence

from amaranth.hdl import Array, Const, Module, Mux, Value
from amaranth.lib import stream
from amaranth.lib.data import View
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.export import place
from hdl.pipeline import Handshake, hold
from hdl.piper.beat import row_beat
from hdl.piper.decimal_number import DecimalNumber
from hdl.piper.fill_missing import fill_missing
from hdl.piper.operator import WORD
from hdl.piper.parameters import Parameters, Source
from hdl.piper.row_store import stored_beat
from hdl.piper.schema import Base, Column
from hdl.piper.settings import SETTINGS
from hdl.staged import connect_unit
from hdl.wire import wire


class Lanes(Component):
    """Turns entries into words and applies the operators of each column.

    Ports
        i: stream of ``stored_beat``. o: stream of ``row_beat``. One input for each setting that an
        operator reads; they stay while anything is inside.

    A lane has every operator that one of its columns has, in the order of ``Schema.operators``;
    values of other columns pass by. Latency ``ranks`` cycles, one beat a cycle.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.operators = parameters.schema.operators
        names = [name for operator in self.operators for name in operator.settings]
        self.settings = tuple(dict.fromkeys(names))
        self.convert_ranks = 0 if parameters.source is Source.BINARY else DecimalNumber.RANKS
        self.ranks = self.convert_ranks + 1 + sum(operator.ranks for operator in self.operators)
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(stored_beat(parameters))),
                    "o": Out(stream.Signature(row_beat(parameters))),
                    **{name: In(SETTINGS[name]) for name in self.settings},
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        handshake = Handshake(m, self.ranks, self.i.valid, self.o.ready, Const(0, 1), "rank")
        m.d.comb += [self.i.ready.eq(handshake.ready), self.o.valid.eq(handshake.valid)]
        number, out = self.i.payload.beat, self.o.payload
        for lane in range(p.lanes):
            word = self._lane(m, platform, lane, handshake.enables)
            m.d.comb += out.words[lane].eq(word)

        number = hold(m, number, handshake.enables, "beat")
        causes = hold(m, self.i.payload.causes, handshake.enables, "causes")
        row_end = hold(m, self.i.payload.row_end, handshake.enables, "row_end")
        last = hold(m, self.i.payload.last, handshake.enables, "last")
        for lane in range(p.lanes):
            kept = [column is not None for column in p.columns_of(lane)]
            m.d.comb += out.keep[lane].eq(of_beat(kept, number) & ~last)
        m.d.comb += [
            out.beat.eq(number),
            out.causes.eq(causes),
            out.row_end.eq(row_end),
            out.last.eq(last),
        ]
        return m

    def _lane(self, m: Module, platform: object, lane: int, enables: Value) -> Value:
        """The words of one lane, behind all ranks."""
        name = f"lane_{lane}"
        columns = self._columns(lane)
        entry, number = self.i.payload.entries[lane], self.i.payload.beat

        now, enables = enables[: self.convert_ranks], enables[self.convert_ranks :]
        word = self._convert(m, platform, lane, entry, now)
        is_missing = hold(m, entry.is_missing, now, f"{name}_missing")
        number = hold(m, number, now, f"{name}_beat")

        now, enables = enables[:1], enables[1:]
        default = of_beat([column.missing if column else 0 for column in columns], number, WORD)
        word = hold(m, fill_missing(word, is_missing, default), now, f"{name}_filled")
        number = hold(m, number, now, f"{name}_beat_filled")

        for at, operator in enumerate(self.operators):
            now, enables = enables[: operator.ranks], enables[operator.ranks :]
            applies = [column is not None and operator in column.operators for column in columns]
            word = wire(m, word, f"{name}_value_{at}")
            passed = hold(m, word, now, f"{name}_passed_{at}")
            number = hold(m, number, now, f"{name}_beat_{at}")
            if any(applies):
                unit = operator.build(platform)
                settings = {setting: getattr(self, setting) for setting in operator.settings}
                connect_unit(m, f"{name}_{at}", unit, operator.ranks, now, value=word, **settings)
                passed = Mux(of_beat(applies, number), unit.result, passed)
            word = passed
        return word

    def _convert(
        self, m: Module, platform: object, lane: int, entry: View, enables: Value
    ) -> Value:
        """The number that an entry is, by the base of its column."""
        if self.parameters.source is Source.BINARY:
            return entry.word
        bases = [column.base if column else None for column in self._columns(lane)]
        word = hold(m, entry.digits[:WORD], enables, f"lane_{lane}_hexadecimal")
        if Base.DECIMAL in bases:
            unit = place(platform, DecimalNumber)
            connect_unit(
                m,
                f"lane_{lane}_decimal",
                unit,
                self.convert_ranks,
                enables,
                digits=entry.digits,
                negative=entry.is_negative,
            )
            number = hold(m, self.i.payload.beat, enables, f"lane_{lane}_base")
            is_decimal = of_beat([base is Base.DECIMAL for base in bases], number)
            word = Mux(is_decimal, unit.result, word)
        return word

    def _columns(self, lane: int) -> list[Column | None]:
        """The column at the lane in each beat of a row."""
        columns = self.parameters.schema.columns
        return [None if at is None else columns[at] for at in self.parameters.columns_of(lane)]


def of_beat(constants: Sequence[int], beat: Value, width: int = 1) -> Value:
    """The constant, of ``width`` bits, that belongs to the number of the beat."""
    values = [Const(constant, width) for constant in constants]
    if len(set(constants)) == 1:
        return values[0]
    return Array(values)[beat]
