"""Parameters of the Piper pipeline, and where each column of a row travels."""

import enum
from dataclasses import dataclass
from functools import cached_property
from math import gcd

from hdl.piper.schema import Base, Schema

BUS_BYTES = (1, 2, 4, 8, 16, 32, 64)
#: Words to which each group of a binary row is padded, so that it fills whole lines of 64 bytes.
BINARY_LINE = 16


class Source(enum.Enum):
    """What arrives on the bus."""

    TEXT = "text"
    """Rows of text: fields between tabs, rows between newlines."""
    BINARY = "binary"
    """Rows of 32-bit little-endian words; decimal columns first, each group padded."""


class BadRows(enum.Enum):
    """What happens to a flagged row."""

    DROP = "drop"
    """It is counted and leaves no trace in output or vocabulary."""
    DEFAULT = "default"
    """Its bad and missing fields count as empty; surplus ones are dropped."""


@dataclass(frozen=True)
class Parameters:
    """One pipeline.

    bus_bytes: W, of the input. lanes: F, columns a cycle. entries: of each column's vocabulary, a
    power of two. off_chip: whether the vocabularies are in a memory outside.
    Raises ValueError for what can't be built.
    """

    schema: Schema
    bus_bytes: int
    lanes: int
    entries: int = 8192
    source: Source = Source.TEXT
    bad_rows: BadRows = BadRows.DROP
    off_chip: bool = False

    def __post_init__(self) -> None:
        if self.bus_bytes not in BUS_BYTES:
            allowed = ", ".join(map(str, BUS_BYTES))
            raise ValueError(f"bus_bytes is {self.bus_bytes}; allowed are {allowed}")
        if self.lanes not in BUS_BYTES or self.lanes > self.banks:
            raise ValueError(
                f"lanes is {self.lanes}; allowed are powers of two up to {self.banks}, "
                "which is what the bus can bring in a cycle"
            )
        if self.source is Source.BINARY and self.lanes != self.banks:
            raise ValueError(f"lanes is {self.lanes}; a binary bus of this width has {self.banks}")
        if self.entries < 2 or self.entries & self.entries - 1:
            raise ValueError(f"entries is {self.entries}; allowed are powers of two from 2")

    @property
    def name(self) -> str:
        parts = [self.schema.name, self.source.value, f"{self.bus_bytes}B", f"{self.lanes}lanes"]
        parts += [f"{self.entries}{'-off-chip' if self.off_chip else ''}"]
        if self.bad_rows is not BadRows.DROP:
            parts.append(self.bad_rows.value)
        return "-".join(parts)

    @property
    def banks(self) -> int:
        """Columns that may arrive in one cycle."""
        if self.source is Source.TEXT:
            return self.bus_bytes
        return max(1, self.bus_bytes // 4)

    @cached_property
    def places(self) -> tuple[int | None, ...]:
        """Which column each entry of a row is; None is padding of a binary row."""
        if self.source is Source.TEXT:
            return tuple(range(len(self.schema.columns)))
        padded: list[int | None] = []
        for base in Base:
            group = [n for n, each in enumerate(self.schema.columns) if each.base is base]
            padded += group + [None] * (-len(group) % BINARY_LINE)
        return tuple(padded)

    @property
    def beats(self) -> int:
        """Cycles in which a row passes the lanes."""
        return -(-len(self.places) // self.lanes)

    @property
    def alignment(self) -> int:
        """Every row begins at a multiple of this in a store of ``banks`` banks."""
        return gcd(len(self.places), self.banks)

    def column_at(self, beat: int, lane: int) -> int | None:
        """The column that passes ``lane`` in cycle ``beat`` of a row, if there is one."""
        index = beat * self.lanes + lane
        return self.places[index] if index < len(self.places) else None

    def columns_of(self, lane: int) -> tuple[int | None, ...]:
        """The column at ``lane`` in each beat of a row."""
        return tuple(self.column_at(beat, lane) for beat in range(self.beats))
