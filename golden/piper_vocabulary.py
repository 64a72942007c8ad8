"""A vocabulary: the values of a column numbered by first appearance, from 0."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.piper_operators import Words
from golden.piper_schema import Mode, Settings

Booleans = NDArray[np.bool_]


class Numbered(NamedTuple):
    """Of each value: its number, or the ``unseen_index`` where ``unseen`` says it has none.

    overflowed: values that can't have one; not counted where none are given (``Mode.APPLY``).
    """

    numbers: Words
    unseen: Booleans
    overflowed: int


class Vocabulary:
    """Numbers for values below ``entries``. It stays until it is cleared."""

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self.clear()

    def clear(self) -> None:
        self.size = 0
        # One more than the number, so that memory is taken only where there are numbers.
        self._next = np.zeros(self.entries, dtype=np.uint32)

    def pass_through(self, values: Words, settings: Settings) -> Numbered:
        """Values in the order of their rows, a new one numbered before it is looked up."""
        fits = values < self.entries
        index = np.where(fits, values, 0)
        after = np.where(fits, self._next[index], 0)
        overflowed = 0
        if settings.mode != Mode.APPLY:
            overflowed = len(values) - int(np.count_nonzero(fits))
            new = np.flatnonzero(fits & (after == 0))
            if len(new):
                self._number(values[new])
                after = np.where(fits, self._next[index], 0)
        unseen = after == 0
        numbers = np.where(unseen, np.uint32(settings.unseen_index), after - np.uint32(1))
        return Numbered(numbers, unseen, overflowed)

    def _number(self, values: Words) -> None:
        distinct, appearance = np.unique(values, return_index=True)
        in_order = distinct[np.argsort(appearance)]
        self._next[in_order] = np.arange(self.size, self.size + len(in_order)) + 1
        self.size += len(in_order)
