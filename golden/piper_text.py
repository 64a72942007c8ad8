"""Text and binary rows read into fields: values, what is missing, and why a row is flagged.

All columns of a block of rows at once, as arrays (columns, rows); a field is read digit by digit
from its end, all fields in step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.integers import Integers
from golden.piper_operators import WORD, Words, as_words
from golden.piper_schema import Cause, Column

Booleans = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

TAB, LF, CR, MINUS = b"\t\n\r-"
#: Most bytes of a field, by base: one of any base, and without a sign.
LONGEST = 11
MOST_DIGITS = {10: 10, 16: 8}
#: Bytes and rows of a block: large enough for NumPy, small enough for a cache.
TEXT_BLOCK = 1 << 19
BINARY_BLOCK = 1 << 12

_DIGITS = np.zeros(256, dtype=np.uint8)
_DIGITS[list(b"0123456789")] = range(10)
_DIGITS[list(b"abcdef")] = _DIGITS[list(b"ABCDEF")] = range(10, 16)
#: Why a byte makes its row bad: a bit of ``Cause``, 0 for the alphabet.
_CAUSE = np.full(256, 1 << Cause.INVALID_BYTE, dtype=np.uint16)
_CAUSE[list(b"0123456789abcdefABCDEF-\t\n")] = 0
_CAUSE[0] = 1 << Cause.NUL
_CAUSE[CR] = 1 << Cause.STRAY_CR
#: Bytes that are neither a digit nor a separator.
_ODD = (_CAUSE != 0).astype(np.uint8)
_ODD[MINUS] = 1


def _translate(text: Bytes, table: Bytes) -> Bytes:
    """``table[text]``, only faster."""
    return np.frombuffer(text.tobytes().translate(table.tobytes()), dtype=np.uint8)


@dataclass(frozen=True)
class Rows:
    """Rows as they were read. values: (columns, rows); usable: where there is a good value.

    Where it is not usable, a value means nothing. causes: (rows,), bits of ``Cause``.
    """

    values: Words
    usable: Booleans
    causes: NDArray[np.uint16]


def text_rows(data: bytes, columns: Sequence[Column]) -> Iterator[Rows]:
    """Rows between newlines, fields between tabs, a block at a time. No data, no rows."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + TEXT_BLOCK) + 1
        if not end:
            end = data.find(b"\n", start) + 1 or len(data)
        yield _read_text(data[start:end], columns)
        start = end


@dataclass(frozen=True)
class _Layout:
    """Where the fields of some text are. start, stop: of each, the end of a line not included.

    first: field that begins each row. count: fields of each row.
    """

    start: Integers
    stop: Integers
    first: Integers
    count: Integers


def _lay_out(text: Bytes, open_end: bool) -> _Layout:
    """open_end: the text's last LF was put there, so that a CR before it is not part of it."""
    ends = np.flatnonzero((text == TAB) | (text == LF))
    start = np.concatenate([[0], ends[:-1] + 1])
    last = np.flatnonzero(text[ends] == LF)
    first = np.concatenate([[0], last[:-1] + 1])
    line_end = (text[ends[last] - 1] == CR) & (ends[last] > 0)
    if open_end:
        line_end[-1] = False
    stop = ends
    stop[last] -= line_end
    return _Layout(start, stop, first, last - first + 1)


def _read_text(block: bytes, columns: Sequence[Column]) -> Rows:
    open_end = not block.endswith(b"\n")
    text = np.frombuffer(block + b"\n" if open_end else block, dtype=np.uint8)
    layout = _lay_out(text, open_end)
    causes = np.zeros(len(layout.first), dtype=np.uint16)
    causes[layout.count < len(columns)] |= 1 << Cause.SHORT
    causes[layout.count > len(columns)] |= 1 << Cause.LONG
    if open_end:
        causes[-1] |= 1 << Cause.NO_FINAL_NEWLINE

    places = np.arange(len(columns))[:, None]
    exists = places < layout.count
    field = np.where(exists, layout.first + places, 0)
    stop = layout.stop[field]
    length = np.where(exists, stop - layout.start[field], 0)
    odd = _find_odd(text, layout, causes, length.shape)
    values = np.zeros(length.shape, dtype=np.uint32)
    field_causes = np.zeros(length.shape, dtype=np.uint16)
    for base, read in ((10, _read_decimal), (16, _read_hexadecimal)):
        of_base = [n for n, column in enumerate(columns) if column.base == base]
        if of_base:
            values[of_base], field_causes[of_base] = read(
                text, stop[of_base], length[of_base], odd.select(of_base)
            )
    causes |= np.bitwise_or.reduce(field_causes, axis=0)
    return Rows(values, (length > 0) & ~odd.bad & (field_causes == 0), causes)


@dataclass(frozen=True)
class _Odd:
    """Fields of the columns that hold a byte which is no digit.

    bad: one that no field may hold. minus: a sign in front. inner: a sign further behind.
    """

    bad: Booleans
    minus: Booleans
    inner: Booleans

    def select(self, columns: Sequence[int]) -> "_Odd":
        return _Odd(self.bad[columns], self.minus[columns], self.inner[columns])


def _find_odd(
    text: Bytes, layout: _Layout, causes: NDArray[np.uint16], shape: tuple[int, ...]
) -> _Odd:
    """They are few, so each is found by its position. Adds what they cause to ``causes``."""
    position = np.flatnonzero(_translate(text, _ODD))
    field = np.searchsorted(layout.start, position, side="right") - 1
    inside = position < layout.stop[field]  # else it is the CR of a line end
    position, field = position[inside], field[inside]
    row = np.searchsorted(layout.first, field, side="right") - 1
    column = field - layout.first[row]
    of_byte = _CAUSE[text[position]]
    np.bitwise_or.at(causes, row, of_byte)

    minus, in_front = text[position] == MINUS, position == layout.start[field]
    found = []
    for kind in (of_byte != 0, minus & in_front, minus & ~in_front):
        kind &= column < shape[0]
        where = np.zeros(shape, dtype=np.bool_)
        where[column[kind], row[kind]] = True
        found.append(where)
    return _Odd(*found)


def _digits(
    text: Bytes, stop: Integers, length: Integers, most: int
) -> Iterator[tuple[int, Bytes]]:
    """The last digit of every field, then the one before it …, up to ``most``; 0 in front of it."""
    digits = _translate(text, _DIGITS)
    for place in range(min(most, int(length.max(initial=0)))):
        # Clipped positions are those of digits that are not there.
        yield place, digits.take(stop - 1 - place, mode="clip") * (place < length)


def _read_decimal(
    text: Bytes, stop: Integers, length: Integers, odd: _Odd
) -> tuple[Words, NDArray[np.uint16]]:
    magnitude = np.zeros(length.shape, dtype=np.int64)
    letter = np.zeros(length.shape, dtype=np.bool_)
    for place, digit in _digits(text, stop, length, LONGEST):
        magnitude += digit * np.int64(10**place)
        letter |= digit > 9
    number = np.where(odd.minus, -magnitude, magnitude)
    overlong = (length > LONGEST) | (length > MOST_DIGITS[10]) & ~odd.minus
    malformed = letter | odd.inner | odd.minus & (length == 1)
    malformed &= length <= LONGEST
    beyond = (number < -(1 << WORD - 1)) | (number >= 1 << WORD - 1)
    out_of_range = beyond & ~overlong & ~malformed & ~odd.bad
    causes = (
        overlong * np.uint16(1 << Cause.OVERLONG)
        | malformed * np.uint16(1 << Cause.MALFORMED)
        | out_of_range * np.uint16(1 << Cause.OUT_OF_RANGE)
    )
    return as_words(number), causes


def _read_hexadecimal(
    text: Bytes, stop: Integers, length: Integers, odd: _Odd
) -> tuple[Words, NDArray[np.uint16]]:
    number = np.zeros(length.shape, dtype=np.uint32)
    for place, digit in _digits(text, stop, length, MOST_DIGITS[16]):
        number |= digit.astype(np.uint32) << np.uint32(4 * place)
    malformed = (odd.minus | odd.inner) & (length <= LONGEST)
    causes = (length > MOST_DIGITS[16]) * np.uint16(1 << Cause.OVERLONG)
    return number, causes | malformed * np.uint16(1 << Cause.MALFORMED)


def binary_rows(
    data: bytes, columns: Sequence[Column], places: Sequence[int | None]
) -> Iterator[Rows]:
    """Rows of little-endian 32-bit words, a block at a time.

    places: column of each word of a row, None for padding. A row that the data cuts off is SHORT;
    it lacks the words that are not there whole. Raises ValueError unless ``places`` has each column
    once.
    """
    found = [place for place in places if place is not None]
    if sorted(found) != list(range(len(columns))):
        raise ValueError(f"places has columns {sorted(found)}, each of {len(columns)} must be once")
    index = np.array([places.index(column) for column in range(len(columns))])
    row_bytes = WORD // 8 * len(places)
    for start in range(0, len(data), BINARY_BLOCK * row_bytes):
        block = data[start : start + BINARY_BLOCK * row_bytes]
        rows = -(-len(block) // row_bytes)
        lacking = rows * row_bytes - len(block)
        words = np.frombuffer(block + bytes(lacking), dtype="<u4").reshape(rows, len(places))
        usable = np.ones((len(columns), rows), dtype=np.bool_)
        causes = np.zeros(rows, dtype=np.uint16)
        if lacking:
            usable[:, -1] = index < len(places) - -(-lacking // (WORD // 8))
            causes[-1] = 1 << Cause.SHORT
        yield Rows(words.T[index].astype(np.uint32), usable, causes)
