"""Golden model of the EN-T datapath: radix-4 recodings, products from digits, tiled GEMM.

Digit sets (Q. Wu et al., "EN-T", ICCD 2024, for ``ent``; K. Tsoumanis et al., IEEE Trans.
Computers 65(2), 2016, for ``nr4sd``; O. MacSorley's modified Booth for ``booth``):

=========  ==================================================================================
booth      digits −2 … 2, digit i = a[2i−1] + a[2i] − 2 a[2i+1]
ent        digits −1 … 2 of the magnitude, all negated if the operand is negative
nr4sd      digits −1 … 2; the most significant one takes what is left, −2 … 2
onehot     the same digits; only their codes differ
=========  ==================================================================================
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from golden.integers import Integers, wrap

ENCODINGS = ("booth", "ent", "nr4sd", "onehot")


def recode(values: ArrayLike, bits: int, encoding: str) -> Integers:
    """Radix-4 digits of two's-complement ``values``, shape (…, bits / 2), least significant first.

    ``sum(digits[..., i] * 4**i) == values`` exactly.
    """
    numbers = np.asarray(values, dtype=np.int64)
    if encoding == "booth":
        return _booth_digits(numbers, bits)
    if encoding == "ent":
        sign = np.where(numbers < 0, -1, 1)
        return _digits_to_two(np.abs(numbers), bits // 2) * sign[..., None]
    if encoding in ("nr4sd", "onehot"):
        low = _digits_to_two(numbers, bits // 2 - 1)
        rest = (numbers - from_digits(low)) >> (bits - 2)
        return np.concatenate([low, rest[..., None]], axis=-1)
    raise ValueError(f"encoding is {encoding!r}; allowed are {', '.join(ENCODINGS)}")


def _booth_digits(numbers: Integers, bits: int) -> Integers:
    bit = [np.zeros_like(numbers)] + [numbers >> i & 1 for i in range(bits)]
    return np.stack(
        [bit[2 * i] + bit[2 * i + 1] - 2 * bit[2 * i + 2] for i in range(bits // 2)], axis=-1
    )


def _digits_to_two(numbers: Integers, count: int) -> Integers:
    """The ``count`` lower digits, each −1, 0, 1 or 2 (congruent modulo 4 to what is left)."""
    digits = np.zeros((*numbers.shape, count), dtype=np.int64)
    left = numbers
    for i in range(count):
        digits[..., i] = (left + 1) % 4 - 1
        left = (left - digits[..., i]) >> 2
    return digits


def from_digits(digits: Integers) -> Integers:
    """Numbers that radix-4 ``digits``, least significant first on the last axis, stand for."""
    weights = np.int64(4) ** np.arange(digits.shape[-1], dtype=np.int64)
    return np.sum(digits * weights, axis=-1, dtype=np.int64)


def products(a: ArrayLike, b: ArrayLike, bits: int, encoding: str) -> Integers:
    """Element-wise products as a multiplier forms them: digits of ``a`` times ``b``, shifted."""
    rows = recode(a, bits, encoding) * np.asarray(b, dtype=np.int64)[..., None]
    return from_digits(rows)


def gemm(a: ArrayLike, b: ArrayLike, accumulator_bits: int) -> Integers:
    """``a @ b`` for integer matrices (M, K) and (K, N), wrapped to ``accumulator_bits``."""
    left = np.asarray(a, dtype=np.int64)
    right = np.asarray(b, dtype=np.int64)
    return wrap(left @ right, accumulator_bits)


def running_sums(
    a: ArrayLike, b: ArrayLike, last: Sequence[bool], accumulator_bits: int
) -> Integers:
    """Accumulator of one PE after each beat; a beat after a ``last`` one starts from zero."""
    terms = np.asarray(a, dtype=np.int64) * np.asarray(b, dtype=np.int64)
    totals = np.cumsum(terms)
    starts = np.flatnonzero(np.concatenate([[True], np.asarray(last, dtype=bool)[:-1]]))
    before = np.concatenate([[0], totals])[starts]
    lengths = np.diff(np.append(starts, len(terms)))
    return wrap(totals - np.repeat(before, lengths), accumulator_bits)


def row_correction(a: ArrayLike, bits: int, encoding: str) -> Integers:
    """What a product of ``a`` lacks when its negative rows stay in one's complement.

    Row i of a digit d < 0 is ``d * b - 1`` (all bits of ``|d| * b`` inverted), so the product is
    short of ``sum(4**i for negative digits)``. A digit 0 counts as negative where its row is
    inverted: Booth's bits 111, the same bits at the top of ``nr4sd``, and the zero digits of a
    negative operand in ``ent``; never in ``onehot``.
    """
    digits = recode(a, bits, encoding)
    numbers = np.asarray(a, dtype=np.int64)
    inverted = digits < 0
    if encoding == "booth":
        high = np.stack([numbers >> (2 * i + 1) & 1 for i in range(bits // 2)], axis=-1)
        inverted |= (digits == 0) & (high == 1)
    elif encoding == "ent":
        inverted |= (digits == 0) & (numbers < 0)[..., None]
    elif encoding == "nr4sd":
        inverted[..., -1] |= (digits[..., -1] == 0) & (numbers < 0)
    return from_digits(inverted.astype(np.int64))


def sign_offset(bits: int) -> int:
    """What inverting the sign bits of all rows of one product adds to it."""
    return sum(1 << 2 * i + bits for i in range(bits // 2))


def quiet_offset(a: ArrayLike, bits: int, encoding: str) -> Integers:
    """The same for products of ``a`` if the row of a digit 0 has no sign bit that is inverted."""
    used = (recode(a, bits, encoding) != 0).astype(np.int64)
    return from_digits(used) << bits


@dataclass(frozen=True)
class Beat:
    """One beat of an operand stream: the values of one step k, and the end-of-tile marker."""

    values: tuple[int, ...]
    last: bool


@dataclass(frozen=True)
class Tile:
    """One tile as the streaming multiplier returns it: values (R, C) and what was wrong."""

    values: Integers
    last_mismatch: bool
    overflow_possible: bool


def multiply_streams(
    a: Iterable[Beat],
    b: Iterable[Beat],
    accumulator_bits: int,
    longest_exact_tile: int,
    lanes: int = 1,
) -> list[Tile]:
    """Tiles that the two operand streams make, in order; an unfinished one is not among them.

    A beat has ``lanes`` values of each row of the A tile, and of each column of the B tile.

    A tile ends with the first ``last`` on either stream; the rest of the longer one is dropped.
    """
    tiles: list[Tile] = []
    left, right = list(a), list(b)
    while True:
        length_a, length_b = _tile_length(left), _tile_length(right)
        if length_a is None and length_b is None:
            return tiles
        length = min(length for length in (length_a, length_b) if length is not None)
        if min(len(left), len(right)) < length:
            return tiles
        values = gemm(
            _lines(left[:length], lanes),
            _lines(right[:length], lanes).T,
            accumulator_bits,
        )
        tiles.append(Tile(values, length_a != length_b, length > longest_exact_tile))
        left = left[length_a if length_a is not None else len(left) :]
        right = right[length_b if length_b is not None else len(right) :]


def _lines(beats: Sequence[Beat], lanes: int) -> Integers:
    """What the beats have of each row (column): (rows, beats x lanes)."""
    values = np.array([beat.values for beat in beats], dtype=np.int64)
    by_line = values.reshape(len(beats), -1, lanes).transpose(1, 0, 2)
    return by_line.reshape(by_line.shape[0], -1)


def _tile_length(beats: list[Beat]) -> int | None:
    return next((index + 1 for index, beat in enumerate(beats) if beat.last), None)


@dataclass(frozen=True)
class WeightTile:
    """Results for one tile of weights: values (M, C), and whether its length was wrong."""

    values: Integers
    wrong_length: bool


def multiply_by_weights(
    weights: Iterable[Beat], rows: Iterable[Beat], depth: int, accumulator_bits: int
) -> list[WeightTile]:
    """Tile n of ``rows`` times tile n of ``weights``; tiles that are unfinished are not among them.

    A tile of weights has ``depth`` rows, the last one first. Of a longer tile the rows after that
    are dropped; in a shorter one those that did not come are zero. A tile of rows has any length.
    """
    pairs = zip(_whole_tiles(weights), _whole_tiles(rows), strict=False)
    tiles = []
    for weight_rows, a in pairs:
        matrix = np.zeros((depth, len(weight_rows[0])), dtype=np.int64)
        for index, row in enumerate(weight_rows[:depth]):
            matrix[depth - 1 - index] = row
        values = gemm(np.array(a, dtype=np.int64), matrix, accumulator_bits)
        tiles.append(WeightTile(values, len(weight_rows) != depth))
    return tiles


def _whole_tiles(beats: Iterable[Beat]) -> list[list[tuple[int, ...]]]:
    tiles: list[list[tuple[int, ...]]] = [[]]
    for beat in beats:
        tiles[-1].append(beat.values)
        if beat.last:
            tiles.append([])
    return tiles[:-1]
