"""The golden model of Piper against dlrm's semantics, a literal reading of the rules, and MPFR."""

import struct
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

import hypothesis
import numpy as np
import piper_literal as literal
import pytest
from hypothesis import given
from hypothesis import strategies as st
from piper_literal import Literal, Output, Row, Spec, log_bits

from golden import piper_text
from golden.piper import (
    CRITEO,
    LOGARITHM,
    MODULUS,
    NEG2ZERO,
    VOCABULARY,
    BadRows,
    Cause,
    Column,
    Mode,
    Preprocessor,
    Settings,
    Step,
    Table,
    bucketise_by,
)
from golden.piper_operators import bucketise, logarithm, modulus, neg2zero
from hdl.piper import beat, parameters, schema
from sim.piper import rows as generator
from sim.piper.rows import bad_rows, binary_rows, breakers, criteo_rows, schema_rows

CRITEO_SPECS = (
    Spec(10),
    *[Spec(10, ("neg2zero", "logarithm"))] * 13,
    *[Spec(16, ("modulus", "vocabulary"))] * 26,
)
SPECS: dict[str, Sequence[Spec]] = {
    "criteo": CRITEO_SPECS,
    "one decimal": [Spec(10, ("vocabulary",), missing=3)],
    "one hexadecimal": [Spec(16, ("modulus", "vocabulary"), missing=-2)],
    "mixed": [
        Spec(16, ("vocabulary",)),
        Spec(10, ("bucketise -5 0 1 100 70000",), missing=-1),
        Spec(10, ("neg2zero", "modulus", "vocabulary"), missing=0xFFFF_FFF0),
        Spec(16, missing=0xDEAD_BEEF),
        Spec(10, ("logarithm",), missing=41),
        Spec(16, ("modulus", "bucketise 1 2 20", "vocabulary")),
        Spec(10, missing=-(1 << 31)),
    ],
    "five": [Spec(10), Spec(16, ("modulus",)), Spec(10, ("neg2zero",)), Spec(16), Spec(16)],
}
POLICIES: tuple[BadRows, ...] = ("drop", "default")
every_policy = pytest.mark.parametrize("policy", POLICIES)
every_schema = pytest.mark.parametrize("name", SPECS)

STEPS: dict[str, Step] = {
    "neg2zero": NEG2ZERO,
    "logarithm": LOGARITHM,
    "modulus": MODULUS,
    "vocabulary": VOCABULARY,
}


def columns_of(specs: Sequence[Spec]) -> tuple[Column, ...]:
    def step(text: str) -> Step:
        return STEPS.get(text) or bucketise_by(*map(int, text.split()[1:]))

    return tuple(
        Column(str(number), spec.base, tuple(map(step, spec.steps)), spec.missing)
        for number, spec in enumerate(specs)
    )


def assert_same(got: Table, expected: Output) -> None:
    """All of it: output, intermediate values, causes and totals."""
    assert got.words.dtype == got.parsed.dtype == np.uint32
    assert got.causes.dtype == got.all_causes.dtype == np.uint16
    assert got.all_causes.tolist() == expected.all_causes
    assert got.parsed.tolist() == expected.parsed
    assert got.causes.tolist() == expected.causes
    assert got.unseen.tolist() == expected.unseen
    assert got.words.tolist() == expected.words
    totals = got.totals
    assert (totals.rows, totals.flagged) == (expected.rows, expected.flagged)
    assert totals.causes == tuple(expected.per_cause)
    assert (totals.unseen, totals.overflowed) == (
        expected.unseen_fields,
        expected.overflowed_fields,
    )


class Pair:
    """The golden model and the literal one, side by side."""

    def __init__(self, specs: Sequence[Spec], entries: int, policy: BadRows) -> None:
        self.specs = specs
        self.golden = Preprocessor(columns_of(specs), entries, policy)
        self.literal = Literal(specs, entries, policy == "default")

    def text(self, data: bytes, settings: Settings) -> tuple[Table, Output]:
        return self._compare(
            self.golden.text(data, settings), literal.read_text(data, self.specs), settings
        )

    def binary(
        self, data: bytes, settings: Settings, places: Sequence[int | None]
    ) -> tuple[Table, Output]:
        expected = literal.read_binary(data, self.specs, places)
        return self._compare(self.golden.binary(data, settings, places), expected, settings)

    def _compare(self, got: Table, rows: list[Row], settings: Settings) -> tuple[Table, Output]:
        expected = self.literal.run(
            rows, settings.mode.name, settings.modulus, settings.unseen_index
        )
        assert_same(got, expected)
        sizes = tuple(len(numbers) for numbers in self.literal.numbers)
        assert self.golden.vocabulary_sizes == sizes
        return got, expected

    def clear(self) -> None:
        self.golden.clear()
        self.literal.clear()


# Names and numbers that the circuits share.


def test_enumerations_are_those_of_the_circuits() -> None:
    for mine, theirs in ((Cause, beat.Cause), (Mode, beat.Mode)):
        assert {each.name: int(each) for each in mine} == {each.name: int(each) for each in theirs}
    assert tuple(cause.name for cause in Cause) == literal.CAUSES
    assert set(POLICIES) == {each.value for each in parameters.BadRows}
    assert {int(base) for base in schema.Base} == {10, 16}


# Good rows: dlrm.


def upper(data: bytes) -> bytes:
    return data.upper()


def crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def unfinished(data: bytes) -> bytes:
    return data[:-1]


def one_hash(data: bytes) -> bytes:
    """C26, and with it the line end, is often the same or missing."""
    lines = [line.rsplit(b"\t", 1)[0] for line in data.split(b"\n")[:-1]]
    return b"".join(
        line + (b"\t\n", b"\tffffffff\n", b"\t00000001\n")[number % 3]
        for number, line in enumerate(lines)
    )


@pytest.mark.parametrize("variant", [bytes, upper, crlf, unfinished, one_hash])
@pytest.mark.parametrize("divisor", [37, 5000, 10**6])
def test_good_rows_are_those_of_dlrm(divisor: int, variant: Callable[[bytes], bytes]) -> None:
    data = variant(criteo_rows(np.random.default_rng(divisor), 700, cap=3000))
    expected = literal.dlrm(data, divisor)
    preprocessor = Preprocessor(CRITEO, 1 << 20)
    got = preprocessor.text(data, Settings(modulus=divisor))
    assert len(got.words) == len(expected.y) == 700
    assert got.words[:, 0].tolist() == expected.y
    assert np.maximum(got.parsed[:, 1:14].astype(np.int32), 0).tolist() == expected.dense.tolist()
    # dlrm's logarithm is NumPy's of float32, which is not correctly rounded.
    spacing = np.abs(got.words[:, 1:14].astype(np.int64) - expected.log.view(np.uint32))
    assert spacing.max() <= 2
    assert got.words[:, 14:].tolist() == expected.sparse
    assert preprocessor.vocabulary_sizes[14:] == tuple(expected.counts)
    assert max(expected.counts) > 36
    assert got.totals.flagged == got.totals.unseen == got.totals.overflowed == 0
    notice = 1 << Cause.NO_FINAL_NEWLINE if variant is unfinished else 0
    assert got.causes.tolist() == [0] * 699 + [notice]
    assert {0, 1} == set(expected.y)
    assert (expected.dense == 0).any()
    assert (got.parsed[:, 2] == 0xFFFF_FFFF).any()  # the −1 of I2


# Any rows: the literal reading.


@pytest.fixture(params=[None, 97], ids=["blocks", "tiny blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once with blocks that hold it all, once with every few rows in a block of their own."""
    if request.param:
        monkeypatch.setattr(piper_text, "TEXT_BLOCK", request.param)
        monkeypatch.setattr(piper_text, "BINARY_BLOCK", 3)


@pytest.mark.usefixtures("blocks")
@every_policy
@every_schema
def test_bad_rows(name: str, policy: BadRows) -> None:
    """Data sets in all modes, one after the other, with vocabularies that are too small."""
    specs = SPECS[name]
    bases = [spec.base for spec in specs]
    rng = np.random.default_rng(len(specs))
    seen: Counter[str] = Counter()
    for entries in (4, 32, 256):
        pair = Pair(specs, entries, policy)
        modes = [Mode.APPLY, Mode.FUSED, Mode.GEN, Mode.APPLY, Mode.FUSED]
        for number, mode in enumerate(modes):
            data = bad_rows(rng, bases, 24 if name == "criteo" else 90, rng.random() < 0.5)
            divisor = int(rng.choice([0, 1, 2, 37, 257, 1 << 31, (1 << 32) - 1]))
            settings = Settings(mode, divisor, int(rng.choice([0, 7, 0xFFFF_FFFF])))
            table, output = pair.text(data, settings)
            seen["rows"] += len(table.words)
            seen["bad"] += output.flagged
            seen["unseen"] += output.unseen_fields
            seen["overflowed"] += output.overflowed_fields
            seen.update({cause.name: output.per_cause[cause] for cause in Cause})
            if number == 3:
                seen["cleared"] += sum(pair.golden.vocabulary_sizes)
                pair.clear()
                assert not any(pair.golden.vocabulary_sizes)
    expected = {"rows", "bad", *(cause.name for cause in Cause)}
    if any("vocabulary" in spec.steps for spec in specs):
        expected |= {"unseen", "overflowed", "cleared"}
    expected -= {cause.name for cause in set(Cause) - set(breakers(bases))}
    expected.add(Cause.NO_FINAL_NEWLINE.name)
    assert {key for key, count in seen.items() if count} == expected
    assert 0.2 < seen["bad"] / (seen["rows"] + seen["bad"]) < 0.8


@every_schema
def test_breakers_break_for_one_cause(name: str) -> None:
    """So that no cause is only ever seen together with another one."""
    specs = SPECS[name]
    bases = [spec.base for spec in specs]
    rng = np.random.default_rng(1)
    able = breakers(bases)
    assert len(able) >= 6
    lines = schema_rows(rng, bases, 60 * len(able)).split(b"\n")[:-1]
    causes = list(able) * 60
    broken = [
        b"\t".join(able[cause](rng, line.split(b"\t"), bases))
        for cause, line in zip(causes, lines, strict=True)
    ]
    data = b"".join(line + b"\n" for line in broken)
    _, output = Pair(specs, 64, "default").text(data, Settings())
    assert output.all_causes == [1 << cause for cause in causes]


@every_policy
@pytest.mark.parametrize("base", [10, 16])
def test_every_edge_field(base: int, policy: BadRows) -> None:
    """Alone in its row, first, in the middle and last, with either line end."""
    fields = list(generator.EDGE_FIELDS)
    fields += [bytes([byte]) for byte in range(256)]
    fields += [bytes([*b"12", byte, *b"3"]) for byte in range(256)]
    for specs in ([Spec(base, missing=5)], [Spec(base)] * 3):
        others = [b"7"] * (len(specs) - 1)
        lines = [
            b"\t".join([*others[:at], field, *others[at:]]) + end
            for field in fields
            for at in range(len(specs))
            for end in (b"\n", b"\r\n")
        ]
        assert len(lines) > 1000
        _, output = Pair(specs, 4, policy).text(b"".join(lines), Settings())
        assert output.flagged > 500


#: Of a field: int32 or None if it is not there, and the causes, in a decimal and in a hexadecimal
#: column. Worked by hand.
WORKED: dict[bytes, tuple[tuple[int | None, str], tuple[int | None, str]]] = {
    b"": ((None, ""), (None, "")),
    b"0": ((0, ""), (0, "")),
    b"-0": ((0, ""), (None, "MALFORMED")),
    b"-": ((None, "MALFORMED"), (None, "MALFORMED")),
    b"--1": ((None, "MALFORMED"), (None, "MALFORMED")),
    b"1-": ((None, "MALFORMED"), (None, "MALFORMED")),
    b"-1": ((-1, ""), (None, "MALFORMED")),
    b"10": ((10, ""), (16, "")),
    b"Ff": ((None, "MALFORMED"), (255, "")),
    b"2147483647": ((2147483647, ""), (None, "OVERLONG")),
    b"2147483648": ((None, "OUT_OF_RANGE"), (None, "OVERLONG")),
    b"-2147483648": ((-2147483648, ""), (None, "OVERLONG MALFORMED")),
    b"-2147483649": ((None, "OUT_OF_RANGE"), (None, "OVERLONG MALFORMED")),
    b"-9999999999": ((None, "OUT_OF_RANGE"), (None, "OVERLONG MALFORMED")),
    b"99999999": ((99999999, ""), (-1717986919, "")),
    b"80000000": ((80000000, ""), (-2147483648, "")),
    b"0000000001": ((1, ""), (None, "OVERLONG")),
    b"00000000001": ((None, "OVERLONG"), (None, "OVERLONG")),
    b"0000000000a": ((None, "OVERLONG MALFORMED"), (None, "OVERLONG")),
    b"000000000001": ((None, "OVERLONG"), (None, "OVERLONG")),
    b"-----------a": ((None, "OVERLONG"), (None, "OVERLONG")),
    b"deadbeef": ((None, "MALFORMED"), (-559038737, "")),
    b"DEADBEEF": ((None, "MALFORMED"), (-559038737, "")),
    b"0deadbeef": ((None, "MALFORMED"), (None, "OVERLONG")),
    b"ffffffff": ((None, "MALFORMED"), (-1, "")),
    b".": ((None, "INVALID_BYTE"), (None, "INVALID_BYTE")),
    b"+1": ((None, "INVALID_BYTE"), (None, "INVALID_BYTE")),
    b"1.5": ((None, "INVALID_BYTE"), (None, "INVALID_BYTE")),
    b"9999999.99": ((None, "INVALID_BYTE"), (None, "INVALID_BYTE OVERLONG")),
    b"g": ((None, "INVALID_BYTE"), (None, "INVALID_BYTE")),
    b"a.": ((None, "INVALID_BYTE MALFORMED"), (None, "INVALID_BYTE")),
    b"\0": ((None, "NUL"), (None, "NUL")),
    b"1\r": ((1, ""), (1, "")),
    b"1\r\r": ((None, "STRAY_CR"), (None, "STRAY_CR")),
    b"\r": ((None, ""), (None, "")),
    b"\r1": ((None, "STRAY_CR"), (None, "STRAY_CR")),
    b"1\t": ((1, "LONG"), (1, "LONG")),
    b"1\t.": ((1, "LONG INVALID_BYTE"), (1, "LONG INVALID_BYTE")),
    b"1\t" + b"-" * 30: ((1, "LONG"), (1, "LONG")),
}


def bits_of(causes: str) -> int:
    return sum(1 << Cause[name] for name in causes.split())


@pytest.mark.parametrize("number", [0, 1])
def test_worked_fields(number: int) -> None:
    data = b"".join(field + b"\n" for field in WORKED)
    columns = [Column("only", (10, 16)[number], missing=-77)]
    table = Preprocessor(columns, 2, "default").text(data, Settings())
    expected = [cases[number] for cases in WORKED.values()]
    assert table.all_causes.tolist() == [bits_of(causes) for _, causes in expected]
    values = table.words[:, 0].astype(np.int32).tolist()
    assert values == [-77 if value is None else value for value, _ in expected]
    dropped = Preprocessor(columns, 2).text(data, Settings())
    good = [value for value, causes in expected if not causes]
    assert dropped.words[:, 0].astype(np.int32).tolist() == [
        -77 if value is None else value for value in good
    ]


@pytest.mark.parametrize(
    ("data", "causes"),
    [
        (b"", []),
        (b"\n", ["SHORT"]),
        (b"\t", ["NO_FINAL_NEWLINE"]),
        (b"\t\n", [""]),
        (b"\t\r\n\t", ["", "NO_FINAL_NEWLINE"]),
        (b"\r\n\n", ["SHORT", "SHORT"]),
        (b"1\t2\n\r", ["", "SHORT STRAY_CR NO_FINAL_NEWLINE"]),
        (b"1\t2\r", ["STRAY_CR NO_FINAL_NEWLINE"]),
        (b"1\r\t2\r\n", ["STRAY_CR"]),
        (b"\r\t\n", ["STRAY_CR"]),
        (b"\t\t\t\n1\t2", ["LONG", "NO_FINAL_NEWLINE"]),
        (b"\0", ["SHORT NUL NO_FINAL_NEWLINE"]),
    ],
)
def test_worked_rows(data: bytes, causes: list[str]) -> None:
    specs = [Spec(10), Spec(16)]
    table, _ = Pair(specs, 2, "drop").text(data, Settings())
    assert table.all_causes.tolist() == list(map(bits_of, causes))


MEANT = st.lists(st.sampled_from(list(b"0019aFf-\t\t\t\n\n\r\0.")), max_size=60).map(bytes)
NUMBERS = st.lists(
    st.sampled_from(
        [b"\t", b"\n", b"\r\n", b"-", b"12345", b"21474836", b"48", b"deadbeef", b"0", b"9", b"."]
    ),
    max_size=24,
).map(b"".join)


@hypothesis.settings(max_examples=300, deadline=None)
@given(
    data=st.lists(MEANT | NUMBERS | st.binary(max_size=9), min_size=1, max_size=3),
    name=st.sampled_from([name for name in SPECS if name != "criteo"]),
    policy=st.sampled_from(POLICIES),
    mode=st.sampled_from(Mode),
    divisor=st.sampled_from([0, 1, 7, 1000]),
)
def test_any_bytes(data: list[bytes], name: str, policy: BadRows, mode: Mode, divisor: int) -> None:
    pair = Pair(SPECS[name], 16, policy)
    for each in data:
        pair.text(each, Settings(mode, divisor, 99))


def test_a_row_longer_than_a_block() -> None:
    data = b"1\t" * 400_000 + b"\n5\t6\n"
    assert len(data) > piper_text.TEXT_BLOCK
    table, _ = Pair([Spec(10), Spec(16)], 2, "default").text(data, Settings())
    assert table.words.tolist() == [[1, 1], [5, 6]]


# Vocabularies.


def test_numbers_by_first_appearance() -> None:
    columns = [Column("value", 16, (VOCABULARY,))]
    preprocessor = Preprocessor(columns, 16)
    apply = Settings(Mode.APPLY, unseen_index=0xABCD)
    assert preprocessor.text(b"3\n1\n", apply).words.tolist() == [[0xABCD], [0xABCD]]
    table = preprocessor.text(b"3\n1\n3\n\nf\n10\n1\n", Settings(unseen_index=9))
    assert table.words.ravel().tolist() == [0, 1, 0, 2, 3, 9, 1]
    assert table.unseen.ravel().tolist() == [False] * 5 + [True, False]
    assert (table.totals.unseen, table.totals.overflowed) == (1, 1)
    generated = preprocessor.text(b"e\n3\n11\n", Settings(Mode.GEN))
    assert (len(generated.words), len(generated.parsed)) == (0, 3)
    assert (generated.totals.rows, generated.totals.overflowed) == (3, 1)
    assert preprocessor.vocabulary_sizes == (5,)
    applied = preprocessor.text(b"e\nd\n10\n", apply)
    assert applied.words.ravel().tolist() == [4, 0xABCD, 0xABCD]
    assert (applied.totals.unseen, applied.totals.overflowed) == (2, 0)
    assert preprocessor.totals.rows == 15
    assert preprocessor.vocabulary_sizes == (5,)
    preprocessor.clear()
    assert (preprocessor.totals.rows, preprocessor.vocabulary_sizes) == (0, (0,))
    assert preprocessor.text(b"e\n3\n", Settings()).words.ravel().tolist() == [0, 1]


@hypothesis.settings(deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    policy=st.sampled_from(POLICIES),
    divisor=st.sampled_from([0, 1, 5, 30, 1000]),
    entries=st.sampled_from([2, 16, 1 << 10]),
    before=st.booleans(),
)
def test_two_passes_are_one(
    seed: int, policy: BadRows, divisor: int, entries: int, before: bool
) -> None:
    """GEN and then APPLY give what FUSED gives, whatever was numbered before."""
    rng = np.random.default_rng(seed)
    specs = SPECS["mixed"]
    bases = [spec.base for spec in specs]
    fused, two = (Preprocessor(columns_of(specs), entries, policy) for _ in range(2))
    if before:
        first = bad_rows(rng, bases, 10)
        fused.text(first, Settings(Mode.GEN))
        two.text(first, Settings(Mode.FUSED))
    data = bad_rows(rng, bases, 40)
    expected = fused.text(data, Settings(Mode.FUSED, divisor, 77))
    generated = two.text(data, Settings(Mode.GEN, divisor, 77))
    got = two.text(data, Settings(Mode.APPLY, divisor, 77))
    assert len(expected.words) > 0 == len(generated.words)
    assert generated.totals == expected.totals
    assert got.words.tolist() == expected.words.tolist()
    assert got.unseen.tolist() == expected.unseen.tolist()
    assert got.causes.tolist() == expected.causes.tolist()
    assert two.vocabulary_sizes == fused.vocabulary_sizes


# Binary rows.


@cache
def criteo_places() -> tuple[int | None, ...]:
    """As the circuit has them."""
    columns = tuple(
        schema.Column(column.name, schema.Base(column.base)) for column in columns_of(CRITEO_SPECS)
    )
    described = schema.Schema("criteo", columns)
    return parameters.Parameters(described, 64, 16, source=parameters.Source.BINARY).places


def test_binary_rows_of_criteo() -> None:
    data = criteo_rows(np.random.default_rng(5), 500)
    places = criteo_places()
    assert (len(places), places[:3], places[14:17]) == (48, (0, 1, 2), (None, None, 14))
    words = binary_rows(data, CRITEO, places)
    assert len(words) == 500 * 192
    first = struct.unpack("<48I", words[:192])
    fields = data.split(b"\n", 1)[0].split(b"\t")
    assert first[0] == int(fields[0])
    assert first[16:42] == tuple(int(field or b"0", 16) for field in fields[14:])
    of_text, of_words = (Preprocessor(CRITEO, 8192) for _ in range(2))
    settings = Settings(modulus=5000)
    expected, got = of_text.text(data, settings), of_words.binary(words, settings, places)
    assert got.words.tolist() == expected.words.tolist()
    assert (got.totals, of_words.vocabulary_sizes) == (expected.totals, of_text.vocabulary_sizes)


@pytest.mark.usefixtures("blocks")
@every_policy
def test_binary_rows_of_any_length(policy: BadRows) -> None:
    """Random words, and data sets that end at every byte of a row, its padding included."""
    specs = SPECS["mixed"]
    places = (6, None, 0, 1, 5, None, 2, 4, 3, None, None)
    rng = np.random.default_rng(3)
    row_bytes = 4 * len(places)
    short = 0
    for length in [*range(0, row_bytes + 1), *range(9 * row_bytes - 40, 9 * row_bytes + 9)]:
        pair = Pair(specs, 64, policy)
        small = rng.integers(0, 100, 12 * len(places)).astype("<u4").tobytes()
        data = (small if length % 2 else rng.bytes(len(small)))[:length]
        _, output = pair.binary(data, Settings(modulus=37), places)
        assert output.rows == -(-length // row_bytes)
        short += output.per_cause[Cause.SHORT]
    assert short == 91  # all lengths but 0, 1 and 9 rows


def test_places_that_cannot_be() -> None:
    columns = columns_of(SPECS["one decimal"])
    for places in ((), (0, 0), (0, 1), (None,)):
        with pytest.raises(ValueError, match="places has columns"):
            Preprocessor(columns, 2).binary(b"1234", Settings(), places)


def test_bad_rows_have_no_binary_form() -> None:
    columns = columns_of(SPECS["one decimal"])
    assert binary_rows(b"-2\n\n", columns, (0, None)) == struct.pack(
        "<iIiI", -2, ~0 % 2**32, 3, ~0 % 2**32
    )
    with pytest.raises(ValueError, match="bad rows"):
        binary_rows(b"1\n-\n", columns, (0,))


# Operators.

#: All x up to 2**31 - 1 for which the float64 logarithm, rounded to float32, is wrong on one
#: machine, and the next nearest to the middle of two float32: found by trying them all.
HARD_LOGARITHMS = [58037907, 544287072, 626939155, 1483597713, 235203551, 1249524241]
HARD_LOGARITHMS += [1981966376, 1420413667, 1926116779, 1798096958, 1846969489, 951698181]


def test_logarithm() -> None:
    rng = np.random.default_rng(9)
    powers = [(1 << power) + offset for power in range(32) for offset in range(-3, 3)]
    wide = rng.integers(0, 1 << rng.integers(1, 32, 200_000))
    numbers = np.concatenate([np.arange(1 << 16), powers, HARD_LOGARITHMS, wide])
    numbers = numbers[(numbers >= 0) & (numbers < 1 << 31)]
    assert len(numbers) > 265_000
    expected = np.array([log_bits(x) for x in numbers.tolist()], dtype=np.uint32)
    got = logarithm(numbers)
    assert got.dtype == np.uint32
    wrong = np.flatnonzero(got != expected)
    assert len(wrong) == 0, numbers[wrong[:9]]
    assert {0, (1 << 31) - 1} <= set(numbers.tolist())
    # The reference, of which these are the values that everyone knows.
    known = [0.0, np.log(2), np.log(10), 31 * np.log(2)]
    assert logarithm([0, 1, 9, (1 << 31) - 1]).view(np.float32).tolist() == [
        float(np.float32(value)) for value in known
    ]


def test_logarithm_of_negative_numbers() -> None:
    assert logarithm([-1, -2, 1 << 31, 0xFFFF_FFFF, -(1 << 31)]).tolist() == [0] * 5


WORD = st.integers(0, (1 << 32) - 1) | st.sampled_from(
    [0, 1, 0x7FFF_FFFE, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFF]
)


@given(words=st.lists(WORD, max_size=8), divisor=WORD, limits=st.sets(st.integers(-9, 9) | WORD))
def test_operators(words: list[int], divisor: int, limits: set[int]) -> None:
    numbers = [word - (1 << 32) if word >> 31 else word for word in words]
    for same in (words, numbers, np.array(words, dtype=np.uint32), np.array(numbers, np.int32)):
        given_words = np.asarray(same, dtype=None if len(words) else np.int64)
        assert neg2zero(given_words).tolist() == [max(0, number) for number in numbers]
        expected = [word % divisor if divisor else word for word in words]
        assert modulus(given_words, divisor).tolist() == expected
        ascending = sorted(limits)
        counts = [sum(limit <= number for limit in ascending) for number in numbers]
        assert bucketise(given_words, ascending).tolist() == counts


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: modulus([1], -1), "modulus is -1"),
        (lambda: modulus([1], 1 << 32), "modulus is 4294967296"),
        (lambda: Settings(modulus=1 << 32), "modulus is 4294967296"),
        (lambda: Settings(unseen_index=-1), "unseen_index is -1"),
        (lambda: bucketise([1], [1, 1]), "must strictly ascend"),
        (lambda: bucketise_by(2, 1), "must strictly ascend"),
        (lambda: Column("a", 8), "base is 8"),
        (lambda: Column("a", 10, (VOCABULARY, NEG2ZERO)), "must be the last step"),
        (lambda: Column("a", 10, missing=1 << 32), "not of 32 bits"),
        (lambda: Preprocessor(CRITEO, 2, "keep"), "bad_rows is 'keep'"),  # type: ignore[arg-type]
    ],
)
def test_what_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


# The generator of rows.

#: Share of empty fields of I1 … I13 and C1 … C26, measured on a sample of 200 rows.
EMPTY_DENSE = [45, 0, 17, 17, 3, 26, 5, 0, 5, 45, 5, 79, 17]
EMPTY_SPARSE = [0, 0, 4, 4, 0, 16, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 41, 41, 4, 80, 0, 4, 41, 41]


def test_statistics_of_criteo_rows() -> None:
    count = 20_000
    data = criteo_rows(np.random.default_rng(2), count)
    lines = data.split(b"\n")
    assert len(lines) == count + 1 and not lines.pop()
    sizes = np.array([len(line) + 1 for line in lines])
    assert abs(sizes.mean() - 243.15) < 1
    blocks = sizes.reshape(-1, 200)
    assert abs(np.median(blocks.min(axis=1)) - 165) < 12
    assert abs(np.median(blocks.max(axis=1)) - 272) < 5
    columns = list(zip(*[line.split(b"\t") for line in lines], strict=True))
    assert len(columns) == 40
    empty = [100 * column.count(b"") / count for column in columns[1:]]
    assert np.abs(np.array(empty) - (EMPTY_DENSE + EMPTY_SPARSE)).max() < 1.5
    ones = columns[0].count(b"1") / count
    assert abs(ones - 0.256) < 0.01 and set(columns[0]) == {b"0", b"1"}

    dense = [field for column in columns[1:14] for field in column if field]
    lengths = Counter(map(len, dense))
    assert max(lengths) == 6
    assert abs(sum(length * n for length, n in lengths.items()) / len(dense) - 1.65) < 0.05
    negative = Counter(field for field in dense if field.startswith(b"-"))
    assert set(negative) == {b"-1"}
    assert abs(columns[2].count(b"-1") / count - 15 / 200) < 0.01
    assert negative[b"-1"] == columns[2].count(b"-1")

    sparse = [field for column in columns[14:] for field in column if field]
    assert set(map(len, sparse)) == {8}
    assert set(b"".join(sparse)) == set(b"0123456789abcdef")
    ranked = [n for _, n in Counter(columns[14]).most_common()]
    assert abs(ranked[0] / count - 0.501) < 0.02
    assert abs(sum(ranked[:10]) / count - 0.909) < 0.02
    for column, distinct in zip(columns[14:], generator.DISTINCT, strict=True):
        found = len(set(column) - {b""})
        assert min(distinct, 100) * 0.9 <= found <= distinct
    assert Preprocessor(CRITEO, 2).text(data, Settings()).totals.flagged == 0


@every_schema
def test_schema_rows_are_good(name: str) -> None:
    bases = [spec.base for spec in SPECS[name]]
    data = schema_rows(np.random.default_rng(4), bases, 400)
    table, output = Pair(SPECS[name], 1 << 10, "drop").text(data, Settings(modulus=1000))
    assert (output.rows, output.flagged) == (400, 0)
    assert len(np.unique(table.parsed)) > 20
    fields = data.replace(b"\n", b"\t").split(b"\t")[:-1]
    assert {len(field) for field in fields} >= set(range(9))
    assert len(set(data.split(b"\n"))) > 50


def test_rows_come_again_from_a_seed() -> None:
    for make in (lambda rng: criteo_rows(rng, 50), lambda rng: bad_rows(rng, (10, 16), 50)):
        first, again, other = (make(np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert first == again != other
