"""What travels from one part of the pipeline to the next."""

import enum

from amaranth.lib.data import ArrayLayout, StructLayout

from hdl.piper.operator import WORD
from hdl.piper.parameters import Parameters


class Cause(enum.IntEnum):
    """Why a row is flagged: bit numbers. All but the last make the row bad."""

    SHORT = 0
    """Fewer fields than columns; a blank line is one empty field."""
    LONG = 1
    """More fields than columns."""
    INVALID_BYTE = 2
    """A byte that no field may hold, other than NUL and CR."""
    NUL = 3
    STRAY_CR = 4
    """A CR that is not directly before an LF."""
    MALFORMED = 5
    """A letter in a decimal field, or a sign that is not in front of digits of one."""
    OUT_OF_RANGE = 6
    """A decimal field beyond 32 bits with sign."""
    OVERLONG = 7
    """More digits than the base allows: 10 decimal, 8 hexadecimal."""
    NO_FINAL_NEWLINE = 8
    """The last row of the data set ended without one. Only a notice."""


class Mode(enum.IntEnum):
    """What the vocabularies do."""

    FUSED = 0
    """Number new values and give every row its numbers, in one pass."""
    GEN = 1
    """Number new values; no rows come out."""
    APPLY = 2
    """Give numbers; values that have none are flagged."""


def row_beat(parameters: Parameters) -> StructLayout:
    """Columns of a row that travel together, and what is known of the row.

    words: one a lane. keep: lanes that hold a column. unseen: lanes whose value has no number.
    beat: number of the beat within its row. causes: of the row, by ``Cause``. row_end: the last
    beat of the row. last: the end of the data set; such a beat holds nothing else.
    """
    lanes = parameters.lanes
    return StructLayout(
        {
            "words": ArrayLayout(WORD, lanes),
            "keep": lanes,
            "unseen": lanes,
            "beat": range(parameters.beats),
            "causes": len(Cause),
            "row_end": 1,
            "last": 1,
        }
    )
