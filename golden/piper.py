"""Golden model of the Piper pipeline: rows of text or binary words to rows of 32-bit words.

A row is split into fields, missing ones are filled, every value passes the steps of its column,
and the values of some columns are numbered by first appearance. Sources: facebookresearch/dlrm
``data_utils.py`` (``getCriteoAdData``) for all that is good; what is bad in a row, which dlrm does
not define, is said in ``golden.piper_text`` and ``golden.piper_schema``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.piper_operators import Words, as_words
from golden.piper_schema import (
    BAD,
    CRITEO,
    LOGARITHM,
    MODULUS,
    NEG2ZERO,
    VOCABULARY,
    BadRows,
    Cause,
    Column,
    Mode,
    Operator,
    Settings,
    Step,
    bucketise_by,
)
from golden.piper_text import Rows, binary_rows, text_rows
from golden.piper_vocabulary import Booleans, Vocabulary

__all__ = [
    "CRITEO",
    "LOGARITHM",
    "MODULUS",
    "NEG2ZERO",
    "VOCABULARY",
    "BadRows",
    "Cause",
    "Column",
    "Mode",
    "Operator",
    "Preprocessor",
    "Settings",
    "Step",
    "Table",
    "Totals",
    "bucketise_by",
]

Causes = NDArray[np.uint16]


@dataclass(frozen=True)
class Totals:
    """What is counted. rows: all that came in. flagged: bad ones. causes: rows with each cause.

    unseen: fields of rows that were not dropped whose value had no number, in any mode.
    overflowed: those of them that could not be numbered.
    """

    rows: int = 0
    flagged: int = 0
    causes: tuple[int, ...] = (0,) * len(Cause)
    unseen: int = 0
    overflowed: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.rows + other.rows,
            self.flagged + other.flagged,
            tuple(a + b for a, b in zip(self.causes, other.causes, strict=True)),
            self.unseen + other.unseen,
            self.overflowed + other.overflowed,
        )


@dataclass(frozen=True)
class Table:
    """What a data set gives; C columns.

    words, unseen (rows out, C) and causes (rows out): the output; nothing if the mode is GEN.
    parsed (rows kept, C): values before any step, missing ones filled, in any mode. all_causes
    (rows in): bits of ``Cause`` of every row.
    """

    words: Words
    unseen: Booleans
    causes: Causes
    parsed: Words
    all_causes: Causes
    totals: Totals


class Preprocessor:
    """One pipeline. ``entries`` of each vocabulary; what it numbered stays until ``clear``.

    totals: of all data sets since then.
    """

    def __init__(self, columns: Sequence[Column], entries: int, bad_rows: BadRows = "drop") -> None:
        if bad_rows not in ("drop", "default"):
            raise ValueError(f"bad_rows is {bad_rows!r}; allowed are 'drop', 'default'")
        self.columns = tuple(columns)
        self.bad_rows = bad_rows
        self._missing = as_words([[column.missing] for column in columns])
        self._vocabularies = {
            number: Vocabulary(entries)
            for number, column in enumerate(columns)
            if column.has_vocabulary
        }
        self.totals = Totals()

    def clear(self) -> None:
        """Forget everything."""
        self.totals = Totals()
        for vocabulary in self._vocabularies.values():
            vocabulary.clear()

    @property
    def vocabulary_sizes(self) -> tuple[int, ...]:
        """Values that are numbered, of each column; 0 of one without a vocabulary."""
        return tuple(
            self._vocabularies[number].size if number in self._vocabularies else 0
            for number in range(len(self.columns))
        )

    def text(self, data: bytes, settings: Settings) -> Table:
        """One data set of text."""
        return self._run(text_rows(data, self.columns), settings)

    def binary(self, data: bytes, settings: Settings, places: Sequence[int | None]) -> Table:
        """One data set of 32-bit words, at ``places`` (see ``binary_rows``)."""
        return self._run(binary_rows(data, self.columns, places), settings)

    def _run(self, blocks: Iterable[Rows], settings: Settings) -> Table:
        table = _join([self._empty(), *(self._run_block(block, settings) for block in blocks)])
        self.totals += table.totals
        return table

    def _empty(self) -> Table:
        words = np.zeros((0, len(self.columns)), dtype=np.uint32)
        causes = np.zeros(0, dtype=np.uint16)
        return Table(words, words.astype(np.bool_), causes, words, causes, Totals())

    def _run_block(self, rows: Rows, settings: Settings) -> Table:
        bad = rows.causes & BAD != 0
        kept = np.flatnonzero(~bad) if self.bad_rows == "drop" else np.arange(len(bad))
        parsed = np.where(rows.usable, rows.values, self._missing)[:, kept]
        words, unseen = np.empty_like(parsed), np.zeros(parsed.shape, dtype=np.bool_)
        overflowed = 0
        for number, column in enumerate(self.columns):
            value = parsed[number]
            for operator in column.operators:
                value = operator(value, settings)
            if column.has_vocabulary:
                found = self._vocabularies[number].pass_through(value, settings)
                value, unseen[number] = found.numbers, found.unseen
                overflowed += found.overflowed
            words[number] = value
        totals = Totals(
            rows=len(bad),
            flagged=int(np.count_nonzero(bad)),
            causes=tuple(int(np.count_nonzero(rows.causes >> cause & 1)) for cause in Cause),
            unseen=int(np.count_nonzero(unseen)),
            overflowed=overflowed,
        )
        out = slice(0, 0 if settings.mode == Mode.GEN else None)
        return Table(
            words=words.T[out],
            unseen=unseen.T[out],
            causes=rows.causes[kept][out],
            parsed=parsed.T,
            all_causes=rows.causes,
            totals=totals,
        )


def _join(tables: Sequence[Table]) -> Table:
    totals = Totals()
    for table in tables:
        totals += table.totals
    return Table(
        words=np.concatenate([table.words for table in tables]),
        unseen=np.concatenate([table.unseen for table in tables]),
        causes=np.concatenate([table.causes for table in tables]),
        parsed=np.concatenate([table.parsed for table in tables]),
        all_causes=np.concatenate([table.all_causes for table in tables]),
        totals=totals,
    )
