"""Faults in the Piper datapath that its testbench must find: those that designs of its kind had."""

from mutation import Mutant

TINY = "tiny-text-4B-1lanes-16"
VISITS = "visits-text-16B-8lanes-64-default"
BINARY = "tiny-binary-2B-1lanes-16"
OFF_CHIP = "tiny-text-2B-2lanes-32-off-chip-default"


def _mutant(fault: str, file: str, old: str, new: str, found_by: str, config: str = TINY) -> Mutant:
    return Mutant(fault, f"piper/{file}", old, new, config, found_by, datapath="piper")


MUTANTS = (
    _mutant(
        "a beat that becomes just full waits",
        "aligner.py",
        "total >= width",
        "total > width",
        "good_rows",
    ),
    _mutant("f is no digit", "symbols.py", "(low < 7)", "(low < 6)", "good_rows"),
    _mutant(
        "eleven characters are too many, even with a minus",
        "field.py",
        "(inside[DECIMAL_DIGITS] & ~minus_first)",
        "inside[DECIMAL_DIGITS]",
        "bad_rows",
    ),
    _mutant(
        "a minus alone is a number",
        "field.py",
        "minus_later | minus_alone",
        "minus_later",
        "bad_rows",
    ),
    _mutant(
        "the end of the data set hides a CR as a newline does",
        "text_decoder.py",
        "symbol.is_newline & before.is_cr",
        "is_newline & before.is_cr",
        "bad_rows",
        OFF_CHIP,
    ),
    _mutant(
        "a data set continues the last field of the one before",
        "text_decoder.py",
        "Mux(last, start, follower.as_value())",
        "follower.as_value()",
        "bad_rows",
    ),
    _mutant(
        "what follows a row of the wrong length is taken for its fields",
        "row_splitter.py",
        'wire(m, is_exact & is_last_row, "takes_next")',
        'wire(m, row_end & is_last_row, "takes_next")',
        "bad_rows",
    ),
    _mutant(
        "one field too many is not noticed",
        "row_splitter.py",
        "row_end & (counted > wanted)",
        "row_end & (counted > wanted + 1)",
        "bad_rows",
    ),
    _mutant(
        "−2^31 is out of range",
        "field_judge.py",
        "Mux(field.is_negative, LARGEST_NEGATIVE, LARGEST)",
        "LARGEST",
        "bad_rows",
    ),
    _mutant(
        "a number out of range is kept",
        "field_judge.py",
        "field.is_empty | unfit | exceeds",
        "field.is_empty | unfit",
        "bad_rows",
        VISITS,
    ),
    _mutant(
        "a row is written over one that is not read yet",
        "row_store.py",
        "rows + 2 <= self.rows",
        "rows <= self.rows",
        "full_to_the_brim",
    ),
    _mutant(
        "a row that lacks columns has those of an older one",
        "row_store.py",
        "entry.is_missing | lacks",
        "entry.is_missing",
        "bad_rows",
        VISITS,
    ),
    _mutant(
        "a dropped row stays in the ring",
        "row_store.py",
        "row_ends | skips | (ends & is_dropped)",
        "row_ends | (ends & is_dropped)",
        "bad_rows",
    ),
    _mutant(
        "the end of the data set makes its last row bad",
        "row_store.py",
        "(causes & ~Const(1 << Cause.NO_FINAL_NEWLINE, len(Cause))).any()",
        "causes.any()",
        "bad_rows",
    ),
    _mutant(
        "the end of the data set has columns",
        "lanes.py",
        "of_beat(kept, number) & ~last",
        "of_beat(kept, number)",
        "good_rows",
    ),
    _mutant(
        "a value that waits is numbered again",
        "numbering.py",
        'wire(m, is_new & self._moves, f"add_{column}")',
        'wire(m, is_new, f"add_{column}")',
        "all_stalls",
    ),
    _mutant(
        "the modulus is not waited for",
        "top.py",
        "ready.eq(reciprocal.ready)",
        "ready.eq(1)",
        "every_modulus",
    ),
    _mutant(
        "a binary data set begins where the one before ended",
        "binary_reader.py",
        "Mux(row_end | beat.last, 0, at + 1)",
        "Mux(row_end, 0, at + 1)",
        "good_rows",
        BINARY,
    ),
    _mutant(
        "a number is read before its write is acknowledged",
        "off_chip_vocabulary.py",
        "known = writes[lane].found",
        "known = writes[lane].found & 0",
        "all_stalls",
        OFF_CHIP,
    ),
)
