"""Rows for Piper: text with the statistics of Criteo's click logs, and text that is wrong.

Published or measured statistics of the click logs: labels and distinct values (Kaggle data set),
shares of missing fields, lengths of fields and rows (a sample of 200 rows).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from golden.integers import Integers
from golden.piper import Cause, Column
from golden.piper_text import text_rows

Bytes = NDArray[np.uint8]
Booleans = NDArray[np.bool_]
Line = list[bytes]
"""Fields of one row."""

_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
TAB, LF, CR, MINUS = b"\t\n\r-"

# Criteo.
LABEL_ONES = 11_745_438 / 45_840_617
DENSE, SPARSE = 13, 26
CRITEO_BASES = (10,) * (1 + DENSE) + (16,) * SPARSE
#: Share of rows in which some columns are empty, by number from 1. Those of equal share are empty
#: together: only so is a row as short as 165 bytes among 200 of a mean of 243.
_NO_DENSE: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.79, (12,)),
    (0.45, (1, 10)),
    (0.26, (6,)),
    (0.17, (3, 4, 13)),
    (0.05, (7, 9, 11)),
    (0.03, (5,)),
)
_NO_SPARSE: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.80, (22,)),
    (0.41, (19, 20, 25, 26)),
    (0.16, (6,)),
    (0.04, (3, 4, 12, 16, 21, 24)),
)
#: Share of dense values of 1 … 6 characters: a mean of 1.65.
_DENSE_LENGTHS = (0.60, 0.22, 0.13, 0.035, 0.012, 0.003)
#: Share of −1 in I2, the only negative number.
_I2_NEGATIVE = 0.075
#: Distinct values of C1 … C26.
DISTINCT = (
    *(1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194),
    *(27, 14992, 5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572),
)
#: Share of rows of C1's most common value, and of its ten most common ones.
_C1_TOP, _C1_TOP_TEN = 0.501, 0.909
_BLOCK = 1 << 14


def criteo_rows(rng: np.random.Generator, rows: int, cap: int = 100_000) -> bytes:
    """Rows as in the click logs: good ones, lower case, LF at every end.

    cap: most distinct values of a column. Their ranks are distributed as 1 / rank, C1 as published.
    """
    blocks = [min(_BLOCK, rows - start) for start in range(0, rows, _BLOCK)]
    return b"".join(_criteo_block(rng, count, cap) for count in blocks)


def _criteo_block(rng: np.random.Generator, rows: int, cap: int) -> bytes:
    fields = [_number_text((rng.random(rows) < LABEL_ONES).astype(np.int64))]
    no_dense, no_sparse = _empty(rng, rows, DENSE, _NO_DENSE), _empty(rng, rows, SPARSE, _NO_SPARSE)
    for column in range(DENSE):
        values = _dense_values(rng, rows)
        if column == 1:
            values = np.where(rng.random(rows) < _I2_NEGATIVE, -1, values)
        text, there = _number_text(values)
        fields.append((text, there & ~no_dense[column, :, None]))
    for column in range(SPARSE):
        hashes = _hash(_ranks(rng, rows, column, cap), column)
        text = _DIGITS[hashes[:, None] >> np.arange(28, -1, -4) & 15]
        fields.append((text, np.broadcast_to(~no_sparse[column, :, None], text.shape)))
    return _join(fields)


def _empty(
    rng: np.random.Generator, rows: int, columns: int, groups: Sequence[tuple[float, Sequence[int]]]
) -> Booleans:
    empty = np.zeros((columns, rows), dtype=np.bool_)
    for share, numbers in groups:
        empty[np.array(numbers) - 1] = rng.random(rows) < share
    return empty


def _dense_values(rng: np.random.Generator, rows: int) -> Integers:
    """Small ones are common, within each length too."""
    power = rng.choice(len(_DENSE_LENGTHS), rows, p=_DENSE_LENGTHS)
    values = 10.0 ** (power + rng.random(rows))
    zero_to_eight = (power == 0) & (rng.random(rows) < 0.6)
    return values.astype(np.int64) - zero_to_eight


def _ranks(rng: np.random.Generator, rows: int, column: int, cap: int) -> Integers:
    distinct = min(DISTINCT[column], cap)
    ranks = ((distinct + 1) ** rng.random(rows)).astype(np.int64) - 1
    if column == 0 and distinct > 10:
        where = rng.random(rows)
        tail = 10 + ((distinct - 9) ** rng.random(rows)).astype(np.int64) - 1
        head = np.where(where < _C1_TOP, 0, rng.integers(1, 10, rows))
        ranks = np.where(where < _C1_TOP_TEN, head, tail)
    return np.minimum(ranks, distinct - 1)


def _hash(ranks: Integers, column: int) -> Integers:
    """32 bits that look random, and differ for different ranks."""
    words = (ranks + 1 + 1_000_003 * column) * 0x9E3779B1 & 0xFFFF_FFFF
    words = (words ^ words >> 15) * 0x85EBCA77 & 0xFFFF_FFFF  # what int64 loses is not wanted
    return words ^ words >> 13


def _number_text(values: Integers) -> tuple[Bytes, Booleans]:
    """Decimal text (rows, width) from the left, and which bytes of it are there."""
    magnitude = np.abs(values)
    powers = 10 ** np.arange(10, -1, -1, dtype=np.int64)
    there = (magnitude[:, None] >= powers) | (powers == 1)
    text = _DIGITS[magnitude[:, None] // powers % 10]
    # The sign is where the number has one more, leading, digit.
    sign = (values < 0)[:, None] & ~there & np.roll(there, -1, axis=1)
    text[sign] = MINUS
    there |= sign
    first = len(powers) - int(there.sum(axis=1).max(initial=1))
    return text[:, first:], there[:, first:]


def _join(fields: Sequence[tuple[Bytes, Booleans]]) -> bytes:
    """Lines of fields."""
    rows = len(fields[0][0])
    parts, masks = [], []
    for number, (text, there) in enumerate(fields):
        separator = LF if number == len(fields) - 1 else TAB
        parts += [text, np.full((rows, 1), separator, dtype=np.uint8)]
        masks += [there, np.ones((rows, 1), dtype=np.bool_)]
    return np.concatenate(parts, axis=1)[np.concatenate(masks, axis=1)].tobytes()


def schema_rows(
    rng: np.random.Generator,
    bases: Sequence[int],
    rows: int,
    missing: float = 0.15,
    distinct: int = 200,
) -> bytes:
    """Good rows of columns of any bases: numbers of all lengths, of which some return often.

    missing: share of empty fields. distinct: most values of a column.
    """
    fields = []
    for base in bases:
        bits = rng.integers(0, 33 if base == 16 else 32, distinct)
        pool = rng.integers(0, 1 << bits)
        if base == 10:
            pool = np.where(rng.random(distinct) < 0.3, -pool, pool)
            pool[rng.random(distinct) < 0.1] = rng.choice([-(1 << 31), (1 << 31) - 1])
            text, there = _number_text(rng.choice(pool, rows))
        else:
            numbers = rng.choice(pool, rows)[:, None] >> np.arange(28, -1, -4)
            text = _DIGITS[numbers & 15]
            # Some, all or none of the leading zeros.
            there = (numbers > 0) | (np.arange(8) >= rng.integers(0, 8, rows)[:, None])
        fields.append((text, there & (rng.random(rows) >= missing)[:, None]))
    return _join(fields)


#: Fields at the edges of what a column holds, good and bad, whatever its base.
EDGE_FIELDS = (
    *(b"", b"0", b"-0", b"00", b"-", b"--1", b"1-", b"-1-", b"-1", b"1", b"9", b"+1", b"1.5", b"."),
    *(b" 1", b"1 ", b"\0", b"1\0", b"\r", b"1\r", b"\r1", b"\xc3\xa9", b"\xff", b"/", b":", b"@"),
    *(b"G", b"`", b"g", b"0x1f", b"nan", b"99999999", b"80000000", b"2147483646", b"2147483647"),
    *(b"2147483648", b"-2147483647", b"-2147483648", b"-2147483649", b"4294967295", b"4294967296"),
    *(b"-4294967297", b"9999999999", b"-9999999999", b"0000000001", b"-0000000001", b"00000000001"),
    *(b"12345678901", b"-12345678901", b"-000000000001", b"deadbeef", b"DEADBEEF", b"ffffffff"),
    *(
        b"0deadbeef",
        b"-deadbeef",
        b"dead-beef",
        b"a",
        b"F",
        b"-a",
        b"1a",
        b"123456789",
        b"12345678",
    ),
    *(b"-12345678", b"1234567890a", b"-1234567890a", b"1234.567890", b"-123456.890", b"7" * 12),
    *(b"a" * 40, b"-" * 11, b"-" * 12, b"." * 12),
)


def _column(rng: np.random.Generator, bases: Sequence[int], base: int | None = None) -> int:
    return int(rng.choice([n for n, each in enumerate(bases) if base in (None, each)]))


def _insert(byte: bytes) -> "Breaker":
    """One more byte in a field that has room for it."""

    def insert(rng: np.random.Generator, line: Line, bases: Sequence[int]) -> Line:
        column = _column(rng, bases)
        # Never behind its last byte, where a CR would be part of the line end, nor before a sign.
        field = line[column].lstrip(b"-")[:5] or b"1"
        at = int(rng.integers(len(field)))
        line[column] = field[:at] + byte + field[at:]
        return line

    return insert


def _shorten(rng: np.random.Generator, line: Line, bases: Sequence[int]) -> Line:
    return line[: int(rng.integers(1, len(line)))]


def _lengthen(rng: np.random.Generator, line: Line, bases: Sequence[int]) -> Line:
    return line + [b"7"] * int(rng.choice([1, 1, 2, len(line), 3 * len(line)]))


def _malform(rng: np.random.Generator, line: Line, bases: Sequence[int]) -> Line:
    column = _column(rng, bases)
    bad = {10: (b"-", b"--1", b"1-", b"1-2", b"a", b"-F", b"12e"), 16: (b"-", b"-1", b"a-", b"1-f")}
    line[column] = bytes(rng.choice(bad[bases[column]]))
    return line


def _exceed(rng: np.random.Generator, line: Line, bases: Sequence[int]) -> Line:
    beyond = int(rng.integers(1 << 31, 10**10))
    number = int(rng.choice([1 << 31, (1 << 31) + 1, beyond, -(1 << 31) - 1, -beyond - 1]))
    line[_column(rng, bases, 10)] = str(max(number, -(10**10) + 1)).encode()
    return line


def _overfill(rng: np.random.Generator, line: Line, bases: Sequence[int]) -> Line:
    column = _column(rng, bases)
    shortest = {10: 11, 16: 9}[bases[column]]
    line[column] = b"1" * int(rng.choice([shortest, shortest + 1, 12, 13, 70]))
    return line


Breaker = Callable[[np.random.Generator, Line, Sequence[int]], Line]

#: Make a row bad for one cause and no other. OUT_OF_RANGE needs a decimal column, SHORT two
#: columns of any base.
BREAKERS: Mapping[Cause, Breaker] = {
    Cause.SHORT: _shorten,
    Cause.LONG: _lengthen,
    Cause.INVALID_BYTE: _insert(b"."),
    Cause.NUL: _insert(b"\0"),
    Cause.STRAY_CR: _insert(b"\r"),
    Cause.MALFORMED: _malform,
    Cause.OUT_OF_RANGE: _exceed,
    Cause.OVERLONG: _overfill,
}


def breakers(bases: Sequence[int]) -> dict[Cause, Breaker]:
    """Those that work for columns of ``bases``."""
    able = dict(BREAKERS)
    if 10 not in bases:
        del able[Cause.OUT_OF_RANGE]
    if len(bases) < 2:
        del able[Cause.SHORT]
    return able


#: Bytes that mean something, or nearly so.
_BYTES = np.frombuffer(b"0123456789abcfABCF--\t\t\n\r\r\0.+ gG/:@`\x7f\xff\x8a", dtype=np.uint8)


def mutate(rng: np.random.Generator, line: bytes) -> bytes:
    """One byte of a line changed, put in, taken out or doubled, or its end cut off."""
    at, byte = int(rng.integers(len(line) + 1)), bytes(rng.choice(_BYTES, 1))
    match int(rng.integers(6)):
        case 0:
            return line[:at] + byte + line[at + 1 :]
        case 1:
            return line[:at] + byte + line[at:]
        case 2:
            return line[:at] + line[at + 1 :]
        case 3:
            return line[: at + 1] + line[at:]
        case 4:
            return line[:at]
        case _:
            flipped = bytes(each ^ 1 << int(rng.integers(8)) for each in line[at : at + 1])
            return line[:at] + flipped + line[at + 1 :]


def bad_rows(
    rng: np.random.Generator, bases: Sequence[int], rows: int, final_newline: bool = True
) -> bytes:
    """Rows of which about half are bad, for every cause, with both line ends and both cases.

    Bytes that are changed may be line ends, so that there may be somewhat more or fewer ``rows``.
    """
    able = list(breakers(bases).values())
    lines = schema_rows(rng, bases, rows).split(b"\n")[:-1]
    kinds = rng.choice(6, rows, p=(0.45, 0.2, 0.15, 0.15, 0.03, 0.02))
    broken = []
    for line, kind in zip(lines, kinds.tolist(), strict=True):
        fields = line.split(b"\t")
        if kind == 1:
            fields = able[int(rng.integers(len(able)))](rng, fields, bases)
        elif kind == 2:
            for _ in range(int(rng.integers(1, 3))):
                fields[_column(rng, bases)] = EDGE_FIELDS[int(rng.integers(len(EDGE_FIELDS)))]
        text = b"\t".join(fields)
        if kind == 3:
            for _ in range(int(rng.integers(1, 4))):
                text = mutate(rng, text)
        elif kind == 4:
            text = text.upper()
        elif kind == 5:
            text = b""
        broken.append(text + (b"\r\n" if rng.random() < 0.2 else b"\n"))
    text = b"".join(broken)
    return text if final_newline else text[:-1]


def binary_rows(text: bytes, columns: Sequence[Column], places: Sequence[int | None]) -> bytes:
    """The same values as binary words at ``places``; padding is all ones.

    Raises ValueError for text that has a bad row.
    """
    blocks = []
    for rows in text_rows(text, columns):
        if (rows.causes & (1 << Cause.NO_FINAL_NEWLINE) - 1).any():
            raise ValueError("text has bad rows, which have no binary form")
        missing = np.array([[column.missing & 0xFFFF_FFFF] for column in columns])
        values = np.where(rows.usable, rows.values, missing)
        padding = np.full(values.shape[1], 0xFFFF_FFFF)
        words = [padding if place is None else values[place] for place in places]
        blocks.append(np.stack(words, axis=1).astype("<u4").tobytes())
    return b"".join(blocks)
