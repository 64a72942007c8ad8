"""Fields of a row, side by side and judged by the columns they belong to."""

from itertools import groupby

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, View
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.export import place
from hdl.pipeline import Bundle, Handshake, run_stages, without
from hdl.piper.beat import Cause
from hdl.piper.field import FIELD
from hdl.piper.field_judge import FieldJudge
from hdl.piper.parameters import Parameters
from hdl.piper.route import counts_below, pack
from hdl.piper.row_part import row_part
from hdl.piper.row_splitter import row_pass
from hdl.piper.schema import Base
from hdl.wire import wire

#: What is found out here of each field.
JUDGED = (Cause.MALFORMED, Cause.OUT_OF_RANGE, Cause.OVERLONG)
RANKS = 3


class FieldPacker(Component):
    """Packs the fields of a cycle into consecutive slots and checks each by its column's base.

    Ports
        i: stream of ``row_pass``. o: stream of ``row_part``.

    A bad field is marked as missing. Latency 3 cycles, one part a cycle.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.width = parameters.bus_bytes
        self.columns = len(parameters.schema.columns)
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(row_pass(self.width, self.columns))),
                    "o": Out(stream.Signature(row_part(parameters))),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._platform = platform
        handshake = Handshake(m, RANKS, self.i.valid, self.o.ready, Const(0, 1), "rank")
        m.d.comb += [self.i.ready.eq(handshake.ready), self.o.valid.eq(handshake.valid)]
        layout = row_pass(self.width, self.columns)
        bundle = {key: Value.cast(self.i.payload[key]) for key in layout.members}
        stages = [self._count_gaps, self._pack, self._check]
        part = run_stages(m, stages, bundle, handshake.enables, "packer")
        m.d.comb += [getattr(self.o.payload, key).eq(value) for key, value in part.items()]
        return m

    def _count_gaps(self, m: Module, bundle: Bundle) -> Bundle:
        gaps = counts_below(m, wire(m, ~bundle["delimiters"], "no_delimiters"), "gap")
        named = {f"gap_{lane}": gap for lane, gap in enumerate(gaps[:-1])}
        return {**bundle, **named, "taken": self.width - gaps[-1]}

    def _pack(self, m: Module, bundle: Bundle) -> Bundle:
        gaps = [bundle[f"gap_{lane}"] for lane in range(self.width)]
        packed = pack(m, self._platform, bundle["fields"], gaps, bundle["delimiters"])
        left = without(bundle, "delimiters", *(f"gap_{lane}" for lane in range(self.width)))
        return {**left, "fields": packed}

    def _check(self, m: Module, bundle: Bundle) -> Bundle:
        fields = View(ArrayLayout(FIELD, self.width), bundle["fields"])
        is_exact, ending = bundle["is_exact"], bundle["ending"]
        entries, written = [], []
        verdicts: dict[Cause, list[Value]] = {}
        of_next = Cat(ending <= slot for slot in range(self.width))
        for slot in range(self.width):
            column = wire(m, bundle["first"] + slot, f"column_{slot}")
            # Behind the end of a row columns begin anew. Surplus fields are no columns.
            end = Mux(is_exact, 2 * self.columns, self.columns)
            is_column = wire(m, (slot < bundle["taken"]) & (column < end), f"is_column_{slot}")
            judge = place(self._platform, FieldJudge)
            m.submodules[f"judge_{slot}"] = judge
            m.d.comb += [
                judge.field.eq(fields[slot]),
                judge.is_decimal.eq(self._is_decimal(m, column, slot)),
            ]
            entries.append(judge.entry)
            written.append(is_column)
            for cause in JUDGED:
                verdict = getattr(judge, cause.name.lower())
                verdicts.setdefault(cause, []).append(verdict & is_column)
        found_here, found_next = Signal(len(Cause)), Signal(len(Cause))
        for cause, values in verdicts.items():
            bits = wire(m, Cat(values), f"verdicts_{cause.name}")
            m.d.comb += [
                found_here[cause].eq((bits & ~of_next).any()),
                found_next[cause].eq((bits & of_next).any()),
            ]
        return {
            "entries": Cat(entries),
            "written": Cat(written),
            "first": bundle["first"],
            "causes": bundle["causes"] | found_here,
            "next_causes": bundle["next_causes"] | found_next,
            "row_end": bundle["row_end"],
            "present": Mux(bundle["total"] > self.columns, self.columns, bundle["total"]),
            "last": bundle["last"],
        }

    def _is_decimal(self, m: Module, column: Value, slot: int) -> Value:
        """Whether a column is decimal: within a row, or of the one that follows it."""
        columns = self.parameters.schema.columns
        last = len(columns) + self.width
        bases = [columns[at % len(columns)].base for at in range(last)]
        found: Value = Const(0, 1)
        for base, run in groupby(range(last), key=lambda at: bases[at]):
            if base is Base.DECIMAL:
                first, *more = run
                end = (more or [first])[-1]
                found = found | ((column >= first) & (column <= end))
        return wire(m, found, f"is_decimal_{slot}")
