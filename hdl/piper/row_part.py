"""Part of a row, on its way into the row store."""

from amaranth.lib.data import ArrayLayout, StructLayout

from hdl.piper.beat import Cause
from hdl.piper.field import DECIMAL_DIGITS
from hdl.piper.operator import WORD
from hdl.piper.parameters import Parameters, Source


def entry_layout(source: Source) -> StructLayout:
    """One field of a row. is_missing: it is empty, or as good as.

    Of text: its digits, the last one lowest, and whether it is negative. Of binary rows: its word.
    """
    if source is Source.BINARY:
        return StructLayout({"word": WORD, "is_missing": 1})
    return StructLayout({"digits": 4 * DECIMAL_DIGITS, "is_negative": 1, "is_missing": 1})


def row_part(parameters: Parameters) -> StructLayout:
    """Consecutive entries, and what is known of their row when they come.

    entries, written: slot s is entry ``first + s`` of the row, if it is written; slots beyond the
    end of the row belong to the next one. causes: of the row; next_causes: of the next one.
    row_end: the row ends in this part, with ``present`` entries. last: so does the data set.
    """
    size = len(parameters.places)
    return StructLayout(
        {
            "entries": ArrayLayout(entry_layout(parameters.source), parameters.banks),
            "written": parameters.banks,
            "first": range(size + 1),
            "causes": len(Cause),
            "next_causes": len(Cause),
            "row_end": 1,
            "present": range(size + 1),
            "last": 1,
        }
    )
