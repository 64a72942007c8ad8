"""The golden model of EN-T against plain integers, published digits and literal bit loops."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.ent import (
    ENCODINGS,
    Beat,
    Tile,
    from_digits,
    gemm,
    multiply_streams,
    products,
    quiet_offset,
    recode,
    row_correction,
    running_sums,
    sign_offset,
)
from golden.integers import Integers, all_signed, signed_range, wrap

#: Digits of a number, most significant first: worked by hand from the papers' definitions.
WORKED = {
    91: {"ent": (1, 2, -1, -1), "nr4sd": (1, 2, -1, -1), "booth": (1, 2, -1, -1)},
    124: {"ent": (2, 0, -1, 0), "nr4sd": (2, 0, -1, 0), "booth": (2, 0, -1, 0)},
    78: {"ent": (1, 1, -1, 2), "nr4sd": (1, 1, -1, 2), "booth": (1, 1, 0, -2)},
    105: {"ent": (1, 2, 2, 1), "nr4sd": (1, 2, 2, 1), "booth": (2, -1, -2, 1)},
    127: {"ent": (2, 0, 0, -1), "nr4sd": (2, 0, 0, -1), "booth": (2, 0, 0, -1)},
    -1: {"ent": (0, 0, 0, -1), "nr4sd": (0, 0, 0, -1), "booth": (0, 0, 0, -1)},
    -91: {"ent": (-1, -2, 1, 1), "nr4sd": (-2, 2, 1, 1), "booth": (-1, -2, 1, 1)},
    -100: {"ent": (-1, -2, -1, 0), "nr4sd": (-2, 2, -1, 0), "booth": (-2, 2, -1, 0)},
    -128: {"ent": (-2, 0, 0, 0), "nr4sd": (-2, 0, 0, 0), "booth": (-2, 0, 0, 0)},
}
#: Mean non-zero digits of a uniform int8 operand.
MEAN_NON_ZERO = {"ent": 2.918, "nr4sd": 3.000, "onehot": 3.000, "booth": 3.000}

every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)
every_width = pytest.mark.parametrize("bits", [4, 8, 16])


def digit_sets(encoding: str, digits: int, negative: bool) -> list[set[int]]:
    """Digits allowed at each place, least significant first."""
    if encoding == "booth":
        return [{-2, -1, 0, 1, 2}] * digits
    if encoding == "ent":
        return [{-2, -1, 0, 1} if negative else {-1, 0, 1, 2}] * digits
    return [*[{-1, 0, 1, 2}] * (digits - 1), {-2, -1, 0, 1, 2}]


@every_width
@every_encoding
def test_digits_reconstruct_every_value(encoding: str, bits: int) -> None:
    values = all_signed(bits)
    assert len(values) == 1 << bits
    digits = recode(values, bits, encoding).tolist()
    for value, word in zip(values.tolist(), digits, strict=True):
        assert sum(digit << 2 * i for i, digit in enumerate(word)) == value
        allowed = digit_sets(encoding, bits // 2, value < 0)
        assert all(digit in places for digit, places in zip(word, allowed, strict=True)), value


@pytest.mark.parametrize("bits", [8, 16])
@every_encoding
def test_every_allowed_digit_occurs(encoding: str, bits: int) -> None:
    """So that the sets above are those of the encoding, and not merely large enough."""
    values = all_signed(bits)
    for negative, top in ((False, {0, 1, 2}), (True, {-2, -1, 0})):
        digits = recode(values[(values < 0) == negative], bits, encoding)
        allowed = digit_sets(encoding, bits // 2, negative)[0]
        assert set(digits[:, :-1].ravel().tolist()) == allowed
        assert set(digits[:, -1].tolist()) == top


@pytest.mark.parametrize("value", WORKED)
def test_worked_examples(value: int) -> None:
    for encoding, digits in WORKED[value].items():
        assert tuple(reversed(recode(value, 8, encoding).tolist())) == digits, encoding


@every_encoding
def test_mean_non_zero_digits(encoding: str) -> None:
    mean = np.count_nonzero(recode(all_signed(8), 8, encoding)) / 256
    assert round(mean, 3) == MEAN_NON_ZERO[encoding]


def test_unknown_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'csd'.*booth, ent, nr4sd"):
        recode([1], 8, "csd")


@every_encoding
def test_every_int8_product(encoding: str) -> None:
    a, b = np.meshgrid(all_signed(8), all_signed(8), indexing="ij")
    got = products(a, b, 8, encoding)
    expected = [[x * y for y in range(-128, 128)] for x in range(-128, 128)]
    assert got.tolist() == expected


@every_encoding
@given(data=st.data())
def test_int16_products(encoding: str, data: st.DataObject) -> None:
    operand = st.integers(*signed_range(16)) | st.sampled_from(signed_range(16))
    a, b = data.draw(operand), data.draw(operand)
    assert int(products(a, b, 16, encoding)) == a * b


def plain_wrap(number: int, bits: int) -> int:
    """Two's complement of the lower ``bits`` bits, in Python's unbounded integers."""
    low = number % (1 << bits)
    return low - (1 << bits) if low >> (bits - 1) else low


@given(number=st.integers(*signed_range(64)), bits=st.integers(1, 64))
def test_wrap(number: int, bits: int) -> None:
    assert int(wrap(number, bits)) == plain_wrap(number, bits)


@st.composite
def operands(draw: st.DrawFn) -> tuple[Integers, Integers, int]:
    """Two matrices that fit together, and an accumulator that may be too narrow for them."""
    height, inner, width = (draw(st.integers(1, 9)) for _ in range(3))
    low, high = signed_range(draw(st.sampled_from([4, 8, 16])))
    value = st.integers(low, high) | st.sampled_from([low, high])
    a = draw(st.lists(value, min_size=height * inner, max_size=height * inner))
    b = draw(st.lists(value, min_size=inner * width, max_size=inner * width))
    accumulator_bits = draw(st.integers(4, 64))
    return (
        np.array(a).reshape(height, inner),
        np.array(b).reshape(inner, width),
        accumulator_bits,
    )


@given(operands())
def test_gemm(drawn: tuple[Integers, Integers, int]) -> None:
    a, b, bits = drawn
    unbounded = (a.astype(object) @ b.astype(object)).tolist()
    assert gemm(a, b, bits).tolist() == [[plain_wrap(x, bits) for x in row] for row in unbounded]
    rows, columns = a.tolist(), b.T.tolist()
    assert unbounded == [
        [sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in rows
    ]


def test_gemm_wraps() -> None:
    """The random shapes above could be lucky; these sums are just inside and just outside."""
    assert gemm([[-128, 127]], [[-128], [127]], 16).tolist() == [[32513]]
    assert gemm([[-128, -128]], [[-128], [-128]], 16).tolist() == [[-32768]]
    assert gemm([[-128] * 3], [[-128]] * 3, 16).tolist() == [[49152 - 65536]]


@given(
    beats=st.lists(
        st.tuples(st.integers(-128, 127), st.integers(-128, 127), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    bits=st.integers(8, 40),
)
def test_running_sums(beats: list[tuple[int, int, bool]], bits: int) -> None:
    a, b, last = zip(*beats, strict=True)
    expected, total = [], 0
    for x, y, ends in beats:
        total += x * y
        expected.append(plain_wrap(total, bits))
        if ends:
            total = 0
    assert running_sums(a, b, last, bits).tolist() == expected


def selects(value: int, bits: int, encoding: str) -> list[tuple[int, int, int]]:
    """(one, two, negative) of each digit, bit by bit as the encoders' equations say."""
    bit = [value >> i & 1 for i in range(bits)]
    if encoding == "booth":
        triples = zip([0, *bit[1::2]], bit[0::2], bit[1::2], strict=False)
        return [
            (low ^ below, int((below, low, high) in ((1, 1, 0), (0, 0, 1))), high)
            for below, low, high in triples
        ]
    sign = value < 0
    if encoding == "ent" and sign:  # magnitude: invert, then add one; −2^(n−1) stays as it is
        bit = [-value >> i & 1 for i in range(bits)]
    carry, found = 0, []
    for low, high in zip(bit[0::2], bit[1::2], strict=True):
        e0, e1 = low ^ carry, high ^ (low & carry)
        negative = (e1 & e0) ^ (sign if encoding == "ent" else 0)
        found.append((e0, e1 & (1 - e0), int(negative)))
        carry_in, carry = carry, high & (low | carry)
    if encoding in ("nr4sd", "onehot"):
        low, high = bit[-2:]
        one, two = low ^ carry_in, int((high, low, carry_in) in ((1, 0, 0), (0, 1, 1)))
        found[-1] = (one, two, high if encoding == "nr4sd" else high & (one | two))
    return found


def row_bits(select: tuple[int, int, int], b: int, bits: int) -> list[int]:
    """One partial-product row in one's complement, n + 1 bits, least significant first."""
    one, two, negative = select
    extended = [b >> j & 1 for j in range(bits)]
    once, twice = [*extended, extended[-1]], [0, *extended]
    return [((one & x) | (two & y)) ^ negative for x, y in zip(once, twice, strict=True)]


@pytest.mark.parametrize("bits", [4, 8])
@every_encoding
def test_row_correction(encoding: str, bits: int) -> None:
    """The sum of the rows is short of the product by the correction, whatever ``b`` is."""
    low, high = signed_range(bits)
    corners = [low, low + 1, -2, -1, 0, 1, 2, high - 1, high]
    expected_offset = {4: 0x50, 8: 21760}[bits]
    assert sign_offset(bits) == expected_offset
    corrections = row_correction(all_signed(bits), bits, encoding).tolist()
    for (a, correction), b in product(enumerate(corrections, start=low), corners):
        rows = [row_bits(select, b, bits) for select in selects(a, bits, encoding)]
        weighted = inverted = 0
        for i, row in enumerate(rows):
            unsigned = sum(value << j for j, value in enumerate(row))
            weighted += plain_wrap(unsigned, bits + 1) << 2 * i
            inverted += (unsigned ^ 1 << bits) << 2 * i  # as the PE adds it: sign bit inverted
        assert a * b - weighted == correction, (a, b)
        assert 0 <= inverted == a * b - correction + expected_offset, (a, b)


@every_encoding
def test_row_correction_of_int16(encoding: str) -> None:
    """Every operand: the correction is what the negative digits' weights add up to."""
    values = all_signed(16)
    expected = [
        sum(negative << 2 * i for i, (_, _, negative) in enumerate(selects(a, 16, encoding)))
        for a in values.tolist()
    ]
    assert row_correction(values, 16, encoding).tolist() == expected


@every_encoding
def test_zero_may_be_negative(encoding: str) -> None:
    """Zero digits whose row is inverted count in the correction; only ``onehot`` has none."""
    values = all_signed(8)
    negative_only = from_digits((recode(values, 8, encoding) < 0).astype(np.int64))
    counted = row_correction(values, 8, encoding) - negative_only
    assert (counted.max() > 0) == (encoding != "onehot")
    assert counted[values == 0] == 0


@pytest.mark.parametrize("bits", [4, 8])
def test_quiet_rows(bits: int) -> None:
    """Rows whose sign is inverted unless the digit is 0: too large by the offset, no more."""
    low, high = signed_range(bits)
    values = all_signed(bits)
    offsets = quiet_offset(values, bits, "onehot").tolist()
    corrections = row_correction(values, bits, "onehot").tolist()
    assert offsets[-low] == 0 < min(offsets[:-low])
    assert max(offsets) == sign_offset(bits)
    for a, b in product(values.tolist(), [low, low + 1, -2, -1, 0, 1, 2, high - 1, high]):
        total = 0
        for i, (one, two, negative) in enumerate(selects(a, bits, "onehot")):
            unsigned = sum(
                value << j for j, value in enumerate(row_bits((one, two, negative), b, bits))
            )
            used = one | two | negative
            total += (unsigned ^ used << bits) << 2 * i
        assert total == a * b - corrections[a - low] + offsets[a - low], (a, b)


def literal_streams(a: list[Beat], b: list[Beat], bits: int, longest: int) -> list[Tile]:
    """Beat by beat, as a receiver with two queues would do it."""
    queue_a, queue_b = list(a), list(b)
    tiles: list[Tile] = []
    sums: dict[tuple[int, int], int] = {}
    beats = 0
    while queue_a and queue_b:
        left, right = queue_a.pop(0), queue_b.pop(0)
        beats += 1
        for i, x in enumerate(left.values):
            for j, y in enumerate(right.values):
                sums[i, j] = sums.get((i, j), 0) + x * y
        if not (left.last or right.last):
            continue
        values = [
            [plain_wrap(sums[i, j], bits) for j in range(len(right.values))]
            for i in range(len(left.values))
        ]
        tiles.append(Tile(np.array(values), left.last != right.last, beats > longest))
        sums, beats = {}, 0
        if left.last != right.last:
            longer = queue_b if left.last else queue_a
            while longer and not longer.pop(0).last:
                pass
    return tiles


def operand_stream(width: int) -> st.SearchStrategy[list[Beat]]:
    value = st.integers(-8, 7)
    values = st.tuples(*[value] * width)
    ends = st.sampled_from([False, False, True])
    return st.lists(st.builds(Beat, values, ends), max_size=24)


def comparable(tiles: list[Tile]) -> list[tuple[list, bool, bool]]:
    return [(t.values.tolist(), t.last_mismatch, t.overflow_possible) for t in tiles]


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bits=st.sampled_from([8, 12]),
    longest=st.integers(1, 4),
    data=st.data(),
)
def test_multiply_streams(
    shape: tuple[int, int], bits: int, longest: int, data: st.DataObject
) -> None:
    a, b = (data.draw(operand_stream(width)) for width in shape)
    got = multiply_streams(a, b, bits, longest)
    assert comparable(got) == comparable(literal_streams(a, b, bits, longest))


def beats(lasts: str) -> list[Beat]:
    """A stream of one value a beat, counting up; ``.`` is a beat and ``|`` a tile's last one."""
    return [Beat((number,), mark == "|") for number, mark in enumerate(lasts, start=1)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("..|", "..|", [(1 + 4 + 9, False)]),
        (".|", "..|", [(1 + 4, True)]),
        ("..|.|", ".|.|", [(1 + 4, True), (4 * 3 + 5 * 4, False)]),
        (".|.", ".|.", [(1 + 4, False)]),
        ("...", ".|", [(1 + 4, True)]),
        (".", ".|", []),
        ("|", "", []),
        ("|||", "..|", [(1, True)]),
    ],
)
def test_streams_by_hand(a: str, b: str, expected: list[tuple[int, bool]]) -> None:
    tiles = multiply_streams(beats(a), beats(b), 12, 31)
    assert [(int(tile.values[0, 0]), tile.last_mismatch) for tile in tiles] == expected
