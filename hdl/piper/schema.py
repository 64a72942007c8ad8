"""Schemas: which columns a row has, and what each passes through."""

import enum
from dataclasses import dataclass

from hdl.piper.operator import WORD, Operator


class Base(enum.IntEnum):
    """How a field is written."""

    DECIMAL = 10
    """An optional ``-`` and up to 10 digits: −2^31 … 2^31 − 1."""
    HEXADECIMAL = 16
    """Up to 8 digits of either case: 0 … 2^32 − 1."""


@dataclass(frozen=True)
class Vocabulary:
    """Last step of a column whose values are numbered by first appearance."""


Step = Operator | Vocabulary


@dataclass(frozen=True)
class Column:
    """One column. missing: the value of an empty field, as FillMissing gives it.

    steps: operators in the order in which the value passes them; ``Vocabulary()`` is the last.
    Raises ValueError for what no circuit can be built for.
    """

    name: str
    base: Base
    steps: tuple[Step, ...] = ()
    missing: int = 0

    def __post_init__(self) -> None:
        if any(isinstance(step, Vocabulary) for step in self.steps[:-1]):
            raise ValueError(f"column {self.name}: Vocabulary() must be the last step")
        if len(set(self.steps)) < len(self.steps):
            raise ValueError(f"column {self.name}: the same step occurs twice")
        if not -(1 << WORD - 1) <= self.missing < 1 << WORD:
            raise ValueError(f"column {self.name}: missing is {self.missing}, not of {WORD} bits")

    @property
    def operators(self) -> tuple[Operator, ...]:
        return tuple(step for step in self.steps if isinstance(step, Operator))

    @property
    def has_vocabulary(self) -> bool:
        return any(isinstance(step, Vocabulary) for step in self.steps)


@dataclass(frozen=True)
class Schema:
    """Columns in the order of a row. Raises ValueError if they can't make one."""

    name: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError(f"schema {self.name}: a row has at least one column")
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError(f"schema {self.name}: two columns have the same name")
        self.operators  # noqa: B018  raises if there is no common order

    @property
    def operators(self) -> tuple[Operator, ...]:
        """All operators, once each, in an order that agrees with that of every column.

        Raises ValueError if two columns contradict each other.
        """
        chains = [list(column.operators) for column in self.columns]
        order: list[Operator] = []
        while any(chains):
            heads = [chain[0] for chain in chains if chain]
            free = [
                head for head in heads if not any(head in chain[1:] for chain in chains if chain)
            ]
            if not free:
                raise ValueError(f"schema {self.name}: columns order their operators differently")
            order.append(free[0])
            chains = [chain[1:] if chain[:1] == free[:1] else chain for chain in chains]
        return tuple(order)
