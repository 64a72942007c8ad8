"""What the golden model of Piper is told: columns and their steps, settings of a run, causes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Literal

from golden.piper_operators import WORD, Words, bucketise, logarithm, modulus, neg2zero


class Mode(IntEnum):
    """What the vocabularies do."""

    FUSED = 0
    """Number new values and give every row its numbers, in one pass."""
    GEN = 1
    """Number new values; no rows come out."""
    APPLY = 2
    """Give numbers; values that have none are flagged."""


class Cause(IntEnum):
    """Why a row is flagged: bit numbers. All but the last make the row bad."""

    SHORT = 0
    """Fewer fields than columns; a binary row that the end of the data set cuts off."""
    LONG = 1
    """More fields than columns."""
    INVALID_BYTE = 2
    """A byte that is no digit of either base, sign, separator, NUL or CR."""
    NUL = 3
    STRAY_CR = 4
    """A CR that is not directly before an LF."""
    MALFORMED = 5
    """A letter in a decimal field, a sign anywhere but in front of its digits."""
    OUT_OF_RANGE = 6
    """A decimal field beyond int32."""
    OVERLONG = 7
    """A field longer than any number of its base."""
    NO_FINAL_NEWLINE = 8
    """The last row ended with the data set. Only a notice."""


#: Causes of a bad row, as bits.
BAD = (1 << Cause.NO_FINAL_NEWLINE) - 1

BadRows = Literal["drop", "default"]
"""drop: a bad row leaves no trace but its count. default: what is bad of it counts as missing."""


@dataclass(frozen=True)
class Settings:
    """Of a run. modulus and unseen_index: 32 bits; modulus 0 is none.

    Raises ValueError for what 32 bits do not hold.
    """

    mode: Mode = Mode.FUSED
    modulus: int = 0
    unseen_index: int = 0

    def __post_init__(self) -> None:
        for name in ("modulus", "unseen_index"):
            value = getattr(self, name)
            if not 0 <= value < 1 << WORD:
                raise ValueError(f"{name} is {value}; allowed are 0 to 2**{WORD} - 1")


class Marker(Enum):
    """Steps that are more than a function of the value."""

    VOCABULARY = "vocabulary"


#: Last step of a column whose values are numbered by first appearance.
VOCABULARY = Marker.VOCABULARY

Operator = Callable[[Words, Settings], Words]
Step = Operator | Marker


def _without_settings(operator: Callable[[Words], Words]) -> Operator:
    return lambda words, settings: operator(words)


def _modulus(words: Words, settings: Settings) -> Words:
    return modulus(words, settings.modulus)


NEG2ZERO = _without_settings(neg2zero)
LOGARITHM = _without_settings(logarithm)
MODULUS: Operator = _modulus


def bucketise_by(*boundaries: int) -> Operator:
    """The step that gives the number of ``boundaries`` not above a value."""
    bucketise([], boundaries)  # raises if they do not ascend
    return _without_settings(lambda words: bucketise(words, boundaries))


@dataclass(frozen=True)
class Column:
    """One column. base: 10 (int32) or 16 (uint32), how a field is written.

    steps: what a value passes, in order; ``VOCABULARY`` can only be the last. missing: value of an
    empty field, which passes the steps like any other. Raises ValueError for what can't be.
    """

    name: str
    base: int
    steps: tuple[Step, ...] = ()
    missing: int = 0

    def __post_init__(self) -> None:
        if self.base not in (10, 16):
            raise ValueError(f"column {self.name}: base is {self.base}; allowed are 10, 16")
        if VOCABULARY in self.steps[:-1]:
            raise ValueError(f"column {self.name}: VOCABULARY must be the last step")
        if not -(1 << WORD - 1) <= self.missing < 1 << WORD:
            raise ValueError(f"column {self.name}: missing is {self.missing}, not of {WORD} bits")

    @property
    def has_vocabulary(self) -> bool:
        return VOCABULARY in self.steps

    @property
    def operators(self) -> tuple[Operator, ...]:
        return tuple(step for step in self.steps if not isinstance(step, Marker))


def _columns(letter: str, count: int, base: int, *steps: Step) -> Sequence[Column]:
    return [Column(f"{letter}{number}", base, steps) for number in range(1, count + 1)]


#: Rows of the Criteo click logs, as dlrm prepares them.
CRITEO: tuple[Column, ...] = (
    Column("label", 10),
    *_columns("I", 13, 10, NEG2ZERO, LOGARITHM),
    *_columns("C", 26, 16, MODULUS, VOCABULARY),
)
