"""Piper read literally, one row and one field at a time, in Python's integers and bytes.

``dlrm`` is what facebookresearch/dlrm ``data_utils.py`` (``getCriteoAdData``) does with good rows.
``Literal`` is the pipeline as specified, for any rows. Nothing here is of the golden model.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import gmpy2
import numpy as np

DAYS = 7
ALPHABET = b"0123456789abcdefABCDEF-\t\n\r"
LETTERS = b"abcdefABCDEF"
CAUSES = (
    *("SHORT", "LONG", "INVALID_BYTE", "NUL", "STRAY_CR", "MALFORMED", "OUT_OF_RANGE", "OVERLONG"),
    "NO_FINAL_NEWLINE",
)


@lru_cache(maxsize=1 << 18)
def log_bits(x: int) -> int:
    """float32 pattern of ln(x + 1), rounded once from MPFR; +0.0 at 0 and below."""
    if x <= 0:
        return 0
    with gmpy2.context(precision=24):
        value = gmpy2.log(gmpy2.mpfr(x + 1, 64))
    return int(np.float32(float(value)).view(np.uint32))


@dataclass
class Dlrm:
    """What dlrm stores. The logarithm is dlrm's own, applied when the data is loaded."""

    y: list[int]
    dense: np.ndarray
    log: np.ndarray
    sparse: list[list[int]]
    counts: list[int]


def dlrm(data: bytes, max_ind_range: int) -> Dlrm:
    # Text mode with universal newlines; the file is cut into days by number of rows.
    lines = list(io.TextIOWrapper(io.BytesIO(data), encoding="ascii", newline=None))
    per_day, extras = divmod(len(lines), DAYS)
    splits, start = [], 0
    for day in range(DAYS):
        end = start + per_day + (day < extras)
        splits.append(lines[start:end])
        start = end
    # First phase: parse, and collect the distinct values of each column.
    dictionaries: list[dict[int, int]] = [{} for _ in range(26)]
    parsed = []
    for split in splits:
        for text in split:
            line = text.split("\t")
            for j in range(len(line)):
                if line[j] == "" or line[j] == "\n":
                    line[j] = "0"
            target = int(np.int32(line[0]))
            x_int = np.array(line[1:14], dtype=np.int32)
            x_cat = [int(x, 16) % max_ind_range for x in line[14:]]
            assert len(x_cat) == 26
            for j in range(26):
                dictionaries[j][x_cat[j]] = 1
            parsed.append((target, x_int, x_cat))
    # Then: number them in the order of the dictionaries.
    for dictionary in dictionaries:
        for i, x in enumerate(dictionary):
            dictionary[x] = i
    # Second phase: look up.
    sparse = [[dictionaries[j][x] for j, x in enumerate(x_cat)] for _, _, x_cat in parsed]
    dense = np.array([x_int for _, x_int, _ in parsed])
    dense[dense < 0] = 0
    return Dlrm(
        y=[target for target, _, _ in parsed],
        dense=dense,
        log=np.log(dense.astype(np.float32) + 1),
        sparse=sparse,
        counts=[len(dictionary) for dictionary in dictionaries],
    )


@dataclass(frozen=True)
class Spec:
    """A column. steps: names, one that takes boundaries with them: ``"bucketise 1 5 9"``."""

    base: int
    steps: tuple[str, ...] = ()
    missing: int = 0


@dataclass
class Row:
    """values: None is a missing field. bad: columns whose field is bad. causes: names."""

    values: list[int | None]
    bad: set[int] = field(default_factory=set)
    causes: set[str] = field(default_factory=set)


def lines(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Rows without their ends, and whether there was one."""
    line = bytearray()
    for byte in data:
        if byte == 10:
            yield bytes(line[:-1] if line[-1:] == b"\r" else line), True
            line.clear()
        else:
            line.append(byte)
    if line != b"":
        yield bytes(line), False


def bad_byte(byte: int) -> str | None:
    if byte == 0:
        return "NUL"
    if byte == 13:
        return "STRAY_CR"
    return None if byte in ALPHABET else "INVALID_BYTE"


def read_field(text: bytes, base: int) -> tuple[int | None, set[str]]:
    """The value of a field that is good, and causes but those of single bytes."""
    length, causes = len(text), set()
    if length == 0:
        return None, set()
    if length > 11:
        return None, {"OVERLONG"}
    if base == 16:
        if length > 8:
            causes.add("OVERLONG")
        if b"-" in text:
            causes.add("MALFORMED")
    else:
        if length == 11 and text[:1] != b"-":
            causes.add("OVERLONG")
        if b"-" in text[1:] or text == b"-" or any(byte in LETTERS for byte in text):
            causes.add("MALFORMED")
    if causes or any(bad_byte(byte) for byte in text):
        return None, causes
    value = int(text.decode("ascii"), base)
    if base == 10 and not -(2**31) <= value <= 2**31 - 1:
        return None, {"OUT_OF_RANGE"}
    return value, causes


def read_line(text: bytes, ended: bool, specs: Sequence[Spec]) -> Row:
    fields = text.split(b"\t")
    row = Row([None] * len(specs))
    if len(fields) < len(specs):
        row.causes.add("SHORT")
    if len(fields) > len(specs):
        row.causes.add("LONG")
    if not ended:
        row.causes.add("NO_FINAL_NEWLINE")
    row.causes |= {name for name in map(bad_byte, text) if name}
    for column, (each, spec) in enumerate(zip(fields, specs, strict=False)):
        value, causes = read_field(each, spec.base)
        row.causes |= causes
        row.values[column] = value
        if causes or any(bad_byte(byte) for byte in each):
            row.bad.add(column)
    return row


def read_text(data: bytes, specs: Sequence[Spec]) -> list[Row]:
    return [read_line(text, ended, specs) for text, ended in lines(data)]


def read_binary(data: bytes, specs: Sequence[Spec], places: Sequence[int | None]) -> list[Row]:
    rows = []
    while data:
        row, data = data[: 4 * len(places)], data[4 * len(places) :]
        found = Row([None] * len(specs))
        for number, column in enumerate(places):
            word = row[4 * number : 4 * number + 4]
            if column is not None and len(word) == 4:
                signed = specs[column].base == 10
                found.values[column] = int.from_bytes(word, "little", signed=signed)
        if len(row) < 4 * len(places):
            found.causes.add("SHORT")
        rows.append(found)
    return rows


@dataclass
class Output:
    """As the golden table, in lists; causes are numbers."""

    words: list[list[int]] = field(default_factory=list)
    unseen: list[list[bool]] = field(default_factory=list)
    causes: list[int] = field(default_factory=list)
    parsed: list[list[int]] = field(default_factory=list)
    all_causes: list[int] = field(default_factory=list)
    rows: int = 0
    flagged: int = 0
    per_cause: list[int] = field(default_factory=lambda: [0] * len(CAUSES))
    unseen_fields: int = 0
    overflowed_fields: int = 0


@dataclass
class Literal:
    """The pipeline. mode: "FUSED", "GEN" or "APPLY"."""

    specs: Sequence[Spec]
    entries: int
    default: bool
    numbers: list[dict[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.numbers = [{} for _ in self.specs]

    def run(self, rows: Sequence[Row], mode: str, modulus: int, unseen_index: int) -> Output:
        out = Output()
        for row in rows:
            causes = sum(1 << CAUSES.index(name) for name in row.causes)
            bad = bool(row.causes - {"NO_FINAL_NEWLINE"})
            out.rows += 1
            out.flagged += bad
            out.all_causes.append(causes)
            for name in row.causes:
                out.per_cause[CAUSES.index(name)] += 1
            if bad and not self.default:
                continue
            words, parsed, unseen = [], [], []
            for column, spec in enumerate(self.specs):
                value = row.values[column]
                if value is None or column in row.bad:
                    value = spec.missing
                word = value % 2**32
                parsed.append(word)
                flag = False
                for step in spec.steps:
                    if step == "vocabulary":
                        word, flag = self.number(out, column, word, mode, unseen_index)
                    else:
                        word = operate(step, word, modulus)
                words.append(word)
                unseen.append(flag)
            out.parsed.append(parsed)
            out.unseen_fields += sum(unseen)
            if mode != "GEN":
                out.words.append(words)
                out.unseen.append(unseen)
                out.causes.append(causes)
        return out

    def number(
        self, out: Output, column: int, value: int, mode: str, unseen_index: int
    ) -> tuple[int, bool]:
        numbers = self.numbers[column]
        if mode != "APPLY":
            if value >= self.entries:
                out.overflowed_fields += 1
                return unseen_index, True
            if value not in numbers:
                numbers[value] = len(numbers)
        if value not in numbers:
            return unseen_index, True
        return numbers[value], False


def operate(step: str, word: int, modulus: int) -> int:
    number = word - 2**32 if word >= 2**31 else word
    name, *boundaries = step.split()
    if name == "neg2zero":
        return max(0, number)
    if name == "logarithm":
        return log_bits(number)
    if name == "modulus":
        return word % modulus if modulus else word
    assert name == "bucketise"
    return sum(int(boundary) <= number for boundary in boundaries)
