"""The golden floating point against SoftFloat, MPFR and exact fractions: results and flags."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from float_reference import (
    TINY,
    TINY_WIDE,
    Exact,
    Value,
    decode,
    exact_quotient,
    exact_sum,
    root,
    rows,
    softfloat,
    specials,
    strata,
)
from hypothesis import given
from hypothesis import strategies as st

from golden import fp16
from golden.float_format import BFLOAT16, FLOAT16, FLOAT32, FloatFormat
from golden.integers import Integers
from golden.rounding import NV, NX, OF, UF, Mode

Patterns = tuple[Integers, ...]
Result = tuple[Integers, Integers]

ALL16 = np.arange(1 << 16)
every_mode = pytest.mark.parametrize("mode", list(Mode))

#: a, b, c, then results in the order of the modes; flags where they are not NX.
FMA_TABLE = """
5d00 5802 0001  7903       7902       7902       7903       7903
5d00 5802 8001  7902       7902       7902       7903       7902
3aa0 d260 0012  d147       d147       d148       d147       d147
520b 00e9 2ff6  3001       3000       3000       3001       3001
0400 3bff 0000  0400:NX+UF 03ff:NX+UF 03ff:NX+UF 0400:NX+UF 0400:NX+UF
2766 9853 0000  8400       83ff:NX+UF 8400       83ff:NX+UF 8400
21db c253 28a3  0400       03ff:NX+UF 03ff:NX+UF 0400       0400
7a00 300e 0001  6e15       6e15       6e15       6e16       6e15
4180 7408 8001  798b       798a       798a       798b       798b
fbf7 3c00 8001  fbf7       fbf7       fbf8       fbf7       fbf7
7bff 3c00 4c00  7c00:OF+NX 7bff       7bff       7c00:OF+NX 7c00:OF+NX
7bff 3c00 4bff  7bff       7bff       7bff       7c00:OF+NX 7bff
3c00 3c00 bc00  0000:0     0000:0     8000:0     0000:0     0000:0
8000 3c00 0000  0000:0     0000:0     8000:0     0000:0     0000:0
8000 3c00 8000  8000:0     8000:0     8000:0     8000:0     8000:0
7c00 0000 7e00  7e00:NV    7e00:NV    7e00:NV    7e00:NV    7e00:NV
7c00 3c00 fc00  7e00:NV    7e00:NV    7e00:NV    7e00:NV    7e00:NV
7c00 7e01 fc00  7e00:0     7e00:0     7e00:0     7e00:0     7e00:0
0001 0001 0000  0000:NX+UF 0000:NX+UF 0000:NX+UF 0001:NX+UF 0000:NX+UF
"""
FLAG_VALUES = {"0": 0, "NX": NX, "UF": UF, "OF": OF, "NV": NV}


def assert_same(got: Result, expected: Result, operands: Sequence[Integers], at_least: int) -> None:
    """Bit for bit, flags included; a failure names the first that differs."""
    assert len(got[0]) == len(expected[0]) >= at_least > 0
    wrong = np.flatnonzero((got[0] != expected[0]) | (got[1] != expected[1]))
    if len(wrong):
        first = int(wrong[0])
        shown = [f"{int(operand[first]):x}" for operand in operands]
        pytest.fail(
            f"{len(wrong)} of {len(got[0])} differ, first operands {shown}: "
            f"got {got[0][first]:x} flags {got[1][first]}, "
            f"expected {expected[0][first]:x} flags {expected[1][first]}"
        )


def as_arrays(outcomes: Sequence[Exact], fmt: FloatFormat, mode: int) -> Result:
    bits, flags = zip(*[outcome.rounded(fmt, mode) for outcome in outcomes], strict=True)
    return np.array(bits), np.array(flags)


def operands(fmt: FloatFormat, count: int, arity: int, seed: int) -> Patterns:
    """Half of all operands are patterns at boundaries, half have random bits."""
    rng = np.random.default_rng(seed)
    shape = (arity, count)
    random = rng.integers(0, 1 << fmt.width, shape)
    return tuple(np.where(rng.random(shape) < 0.5, rng.choice(strata(fmt), shape), random))


def close_sums(fmt: FloatFormat, count: int, seed: int) -> Patterns:
    """a, b, c whose exact a * b + c is where rounding is delicate, ``count`` of each kind."""
    rng = np.random.default_rng(seed)
    f, ones = fmt.fraction_bits, (1 << fmt.fraction_bits) - 1

    def random_signs() -> Integers:
        return rng.integers(0, 2, count) * fmt.sign_bit

    def with_field(field: Integers, fractions: Integers) -> Integers:
        field = np.clip(field, 0, (1 << fmt.exponent_bits) - 2)
        return random_signs() | field << f | fractions

    def fractions() -> Integers:
        patterns = rng.choice([0, 1, 2, ones // 2, ones // 2 + 1, ones - 1, ones], count)
        return np.where(rng.random(count) < 0.5, patterns, rng.integers(0, ones + 1, count))

    def product_near(exponent: Integers) -> tuple[Integers, Integers]:
        """Two factors whose product is at about 2**exponent."""
        field = rng.integers(1, 2 * fmt.bias, count)
        a = with_field(field, np.where(rng.random(count) < 0.5, 0, fractions()))
        return a, with_field(exponent - (field - fmt.bias) + fmt.bias, fractions())

    columns: list[Sequence[Integers]] = [operands(fmt, count, 3, seed + 1)]
    columns.append(rng.choice(specials(fmt), (3, count)))
    # Nearly or exactly cancelled: the product's own rounding with the other sign, some ulps off.
    a, b = product_near(rng.integers(fmt.lowest_exponent, fmt.max_exponent + 1, count))
    nearest, _ = fp16.multiply(a, b, fmt, rng.integers(0, 5, count))
    off = rng.choice([-2, -1, 0, 0, 0, 1, 2], count)
    magnitude = np.clip((nearest & fmt.sign_bit - 1) + off, 0, fmt.largest)
    columns.append((a, b, ~nearest & fmt.sign_bit | magnitude))
    # Ties of an addend, and sums that a far product just moves off one, or from exact.
    field = rng.integers(1, 2 * fmt.bias + 1, count)
    below = rng.choice([f - 1, f, f + 1, f + 2, f + 3, 2 * f, 2 * f + 3, 3 * f], count)
    columns.append((*product_near(field - fmt.bias - below), with_field(field, fractions())))
    # Ties of a product, moved by the smallest addends.
    a, b = product_near(rng.integers(fmt.min_exponent, fmt.max_exponent + 1, count))
    columns.append((a, b, random_signs() | rng.integers(0, 3, count)))
    # About the smallest normal number, and about the overflow threshold.
    a, b = product_near(fmt.min_exponent + rng.integers(-2, 1, count))
    columns.append((a, b, random_signs() | rng.choice([0, 0, 1, 2, ones, ones + 1], count)))
    a, b = product_near(fmt.max_exponent + rng.integers(-f - 2, 2, count))
    largest = fmt.largest - rng.integers(0, 3, count)
    columns.append((a, b, np.where(rng.random(count) < 0.5, random_signs() | largest, 0)))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


@every_mode
def test_fma_table(mode: Mode) -> None:
    table = [line.split() for line in FMA_TABLE.split("\n") if line]
    assert len(table) == 19
    for line in table:
        a, b, c = (int(word, 16) for word in line[:3])
        bits, _, names = line[3 + mode].partition(":")
        flags = sum(FLAG_VALUES[name] for name in (names or "NX").split("+"))
        got = fp16.fused_multiply_add(a, b, c, FLOAT16, mode)
        assert (f"{int(got[0]):04x}", int(got[1])) == (bits, flags), line[:3]


@every_mode
def test_fma_against_softfloat(mode: Mode) -> None:
    cases = close_sums(FLOAT16, 15_000, seed=10 + mode)
    expected = softfloat("f16_mulAdd", "f16", "f16", mode, *cases)
    assert all(np.count_nonzero(expected[1] & flag) > 100 for flag in (NX, UF, OF, NV))
    assert_same(fp16.fused_multiply_add(*cases, FLOAT16, mode), expected, cases, 100_000)


@every_mode
def test_negated_fma_against_softfloat(mode: Mode) -> None:
    a, b, c = close_sums(FLOAT16, 1_000, seed=20 + mode)
    for product, addend in ((True, False), (False, True), (True, True)):
        flipped = (a ^ product << 15, b, c ^ addend << 15)
        expected = softfloat("f16_mulAdd", "f16", "f16", mode, *flipped)
        got = fp16.fused_multiply_add(
            a, b, c, FLOAT16, mode, negate_product=product, negate_addend=addend
        )
        assert_same(got, expected, (a, b, c), 6_000)


BINARY: dict[str, Callable[..., Result]] = {
    "add": fp16.add,
    "sub": fp16.subtract,
    "mul": fp16.multiply,
    "div": fp16.divide,
}


@every_mode
@pytest.mark.parametrize("name", BINARY)
def test_binary_operations_against_softfloat(name: str, mode: Mode) -> None:
    cases = operands(FLOAT16, 20_000, 2, seed=30 + mode)
    if (
        name in ("add", "sub") and mode == Mode.RDN
    ):  # SoftFloat's own lack flags, a * 1 + b does not
        a, b = cases
        ones = np.full_like(a, 0x3C00)
        signed = b ^ (name == "sub") << 15
        expected = softfloat("f16_mulAdd", "f16", "f16", mode, a, ones, signed)
    else:
        expected = softfloat(f"f16_{name}", "f16", "f16", mode, *cases)
    assert_same(BINARY[name](*cases, FLOAT16, mode), expected, cases, 20_000)


@every_mode
def test_float32_against_softfloat(mode: Mode) -> None:
    cases = close_sums(FLOAT32, 1_500, seed=40 + mode)
    expected = softfloat("f32_mulAdd", "f32", "f32", mode, *cases)
    assert_same(fp16.fused_multiply_add(*cases, FLOAT32, mode), expected, cases, 9_000)
    for name, operation in BINARY.items():
        expected = softfloat(f"f32_{name}", "f32", "f32", mode, *cases[:2])
        assert_same(operation(*cases[:2], FLOAT32, mode), expected, cases, 9_000)


@every_mode
def test_every_square_root(mode: Mode) -> None:
    expected = softfloat("f16_sqrt", "f16", "f16", mode, ALL16)
    assert_same(fp16.square_root(ALL16, FLOAT16, mode), expected, [ALL16], 1 << 16)


@pytest.mark.parametrize("fmt", [FLOAT32, BFLOAT16, TINY], ids=str)
def test_square_roots_against_the_definition(fmt: FloatFormat) -> None:
    (cases,) = operands(fmt, 1_000, 1, seed=65)
    cases = np.arange(1 << fmt.width) if fmt == TINY else cases
    if fmt.width == 32:  # squares and their neighbours
        exact, _ = fp16.multiply(*[cases & 0x7FFFF000] * 2, fmt, Mode.RTZ)
        cases = np.concatenate([cases, exact, exact + 1, np.maximum(exact - 1, 0)])
    for mode in Mode:
        bits, flags = zip(*[root(x, fmt, mode) for x in cases.tolist()], strict=True)
        expected = (np.array(bits), np.array(flags))
        assert_same(fp16.square_root(cases, fmt, mode), expected, [cases], 64)


def saturated(result: Result, low: int, high: int) -> Result:
    """Integers of 32 bits as those of fewer: a number out of range is invalid and nothing else."""
    values, flags = result
    outside = (values < low) | (values > high)
    return np.clip(values, low, high) & 0xFFFF, np.where(outside, NV, flags)


@every_mode
def test_every_conversion_to_integers(mode: Mode) -> None:
    expected = softfloat("f16_to_i32", "f16", "i32", mode, ALL16)
    got = fp16.to_integer(ALL16, FLOAT16, 16, True, mode)
    assert_same(got, saturated(expected, -(1 << 15), (1 << 15) - 1), [ALL16], 1 << 16)
    got = fp16.to_integer(ALL16, FLOAT16, 16, False, mode)
    assert_same(got, saturated(expected, 0, (1 << 16) - 1), [ALL16], 1 << 16)


@every_mode
def test_conversions_of_float32_to_integers(mode: Mode) -> None:
    (cases,) = operands(FLOAT32, 20_000, 1, seed=50 + mode)
    for signed, result, width in ((True, "i32", 32), (False, "ui32", 32), (True, "i32", 16)):
        values, flags = softfloat(f"f32_to_{result}", "f32", result, mode, cases)
        expected = (values & 0xFFFFFFFF, flags)
        if width == 16:
            expected = saturated((values, flags), -(1 << 15), (1 << 15) - 1)
        got = fp16.to_integer(cases, FLOAT32, width, signed, mode)
        assert_same(got, expected, [cases], 20_000)


@every_mode
def test_every_conversion_from_integers(mode: Mode) -> None:
    signed = np.where(ALL16 >> 15, ALL16 - (1 << 16), ALL16)
    expected = softfloat("i32_to_f16", "i32", "f16", mode, signed)
    assert_same(fp16.from_integer(ALL16, 16, True, FLOAT16, mode), expected, [ALL16], 1 << 16)
    expected = softfloat("ui32_to_f16", "ui32", "f16", mode, ALL16)
    assert_same(fp16.from_integer(ALL16, 16, False, FLOAT16, mode), expected, [ALL16], 1 << 16)
    assert (expected[1] == OF | NX).any() == (mode in (Mode.RNE, Mode.RUP, Mode.RMM))
    expected = softfloat("i32_to_f32", "i32", "f32", mode, signed)
    assert_same(fp16.from_integer(ALL16, 16, True, FLOAT32, mode), expected, [ALL16], 1 << 16)


def test_integer_conversions_by_hand() -> None:
    """uint16 65505 … 65535 to FLOAT16, and halves to integers: where flags are mixed up."""
    for value, expected in (
        (65504, [(0x7BFF, 0)] * 5),
        (65505, [(0x7BFF, NX)] * 3 + [(0x7C00, OF | NX), (0x7BFF, NX)]),
        (65519, [(0x7BFF, NX)] * 3 + [(0x7C00, OF | NX), (0x7BFF, NX)]),
        (65520, [(0x7C00, OF | NX), (0x7BFF, NX), (0x7BFF, NX)] + [(0x7C00, OF | NX)] * 2),
        (65535, [(0x7C00, OF | NX), (0x7BFF, NX), (0x7BFF, NX)] + [(0x7C00, OF | NX)] * 2),
    ):
        got = [fp16.from_integer(value, 16, False, FLOAT16, mode) for mode in Mode]
        assert [(int(bits), int(flags)) for bits, flags in got] == expected, value
    none = [(0, NX)] * 2
    below = [(0, NX), (0, NX), (0, NV), (0, NX), (0, NV)]
    for bits, signed, expected in (
        (0xB800, False, below),
        (0xB801, False, [(0, NV), (0, NX), (0, NV), (0, NX), (0, NV)]),
        (0x8001, False, [*none, (0, NV), *none]),
        (0xBC00, False, [(0, NV)] * 5),
        (0xF800, True, [(0x8000, 0)] * 5),
        (0x7800, True, [(0x7FFF, NV)] * 5),
        (0xF801, True, [(0x8000, NV)] * 5),
        (0x7E00, True, [(0x7FFF, NV)] * 5),
        (0x7C00, True, [(0x7FFF, NV)] * 5),
        (0xFC00, True, [(0x8000, NV)] * 5),
        (0xFE00, False, [(0xFFFF, NV)] * 5),
    ):
        got = [fp16.to_integer(bits, FLOAT16, 16, signed, mode) for mode in Mode]
        assert [(int(value), int(flags)) for value, flags in got] == expected, hex(bits)


@every_mode
def test_widening_and_narrowing(mode: Mode) -> None:
    expected = softfloat("f16_to_f32", "f16", "f32", mode, ALL16)
    assert_same(fp16.convert(ALL16, FLOAT16, FLOAT32, mode), expected, [ALL16], 1 << 16)
    every = ALL16 << 16  # bfloat16 is the upper half of float32
    expected = softfloat("f32_to_f16", "f32", "f16", mode, every)
    assert_same(fp16.convert(ALL16, BFLOAT16, FLOAT16, mode), expected, [ALL16], 1 << 16)
    (cases,) = operands(FLOAT32, 20_000, 1, seed=60 + mode)
    thresholds = [0x33000000, 0x33000001, 0x32FFFFFF, 0x477FF000, 0x477FEFFF, 0x38800000]
    offsets = np.arange(-3, 4) + np.array([0x387FE000, 0x387FF000, 0x33800000, 0x33C00000])[:, None]
    positive = np.concatenate([thresholds, offsets.ravel()])
    cases = np.concatenate([cases, positive, positive | 1 << 31])
    expected = softfloat("f32_to_f16", "f32", "f16", mode, cases)
    assert_same(fp16.convert(cases, FLOAT32, FLOAT16, mode), expected, [cases], 20_060)


@every_mode
def test_conversions_to_bfloat16(mode: Mode) -> None:
    """From a float32 by exact fractions, which also covers every FLOAT16: it is one of those."""
    every = fp16.convert(ALL16, FLOAT16, FLOAT32, mode)[0]  # against SoftFloat above
    nan = (ALL16 & 0x7FFF) > 0x7C00
    kept, rest = every >> 16, every & 0xFFFF
    half, negative = 1 << 15, every >> 31 == 1
    up = {
        Mode.RNE: (rest > half) | ((rest == half) & (kept & 1 == 1)),
        Mode.RTZ: rest < 0,
        Mode.RDN: (rest > 0) & negative,
        Mode.RUP: (rest > 0) & ~negative,
        Mode.RMM: rest >= half,
    }[mode]
    bits = np.where(nan, BFLOAT16.canonical_nan, kept + up)
    signalling = nan & (ALL16 & 0x200 == 0)
    got = fp16.convert(ALL16, FLOAT16, BFLOAT16, mode)
    flags = np.where(nan, signalling * NV, (rest != 0) * NX)
    assert_same(got, (bits, flags), [ALL16], 1 << 16)

    (cases,) = operands(FLOAT32, 3_000, 1, seed=70 + mode)
    near = np.arange(0x7F7F00, 0x800100, 0x10)  # subnormals and the smallest normal number
    cases = np.concatenate([cases, near, near | 1 << 31])
    outcomes = [exact_sum([], [decode(x, FLOAT32)]) for x in cases.tolist()]
    got = fp16.convert(cases, FLOAT32, BFLOAT16, mode)
    assert_same(got, as_arrays(outcomes, BFLOAT16, mode), [cases], 3_000)


def test_same_format_only_canonicalises() -> None:
    for fmt in (FLOAT16, BFLOAT16):
        bits, flags = fp16.convert(ALL16, fmt, fmt, Mode.RNE)
        nan = ALL16 % fmt.sign_bit > fmt.infinity
        assert (bits == np.where(nan, fmt.canonical_nan, ALL16)).all()
        assert (flags == (nan & (ALL16 & fmt.quiet_bit == 0)) * NV).all()


@pytest.mark.parametrize("fmt", [TINY, FloatFormat(2, 3), BFLOAT16], ids=str)
def test_binary_operations_against_fractions(fmt: FloatFormat) -> None:
    """Every pair of the tiny formats."""
    if fmt.width <= 6:
        a, b = (grid.ravel() for grid in np.meshgrid(*[np.arange(1 << fmt.width)] * 2))
    else:
        a, b = operands(fmt, 1_000, 2, seed=80)
    pairs = [(decode(x, fmt), decode(y, fmt)) for x, y in rows(a, b)]
    references: dict[str, list[Exact]] = {
        "add": [exact_sum([], pair) for pair in pairs],
        "sub": [exact_sum([], (x, y.negated())) for x, y in pairs],
        "mul": [exact_sum([pair], []) for pair in pairs],
        "div": [exact_quotient(*pair) for pair in pairs],
    }
    for name, outcomes in references.items():
        for mode in Mode:
            expected = as_arrays(outcomes, fmt, mode)
            assert_same(BINARY[name](a, b, fmt, mode), expected, (a, b), 1_000)


def test_every_tiny_fma() -> None:
    """All 2**18 triples in all modes: sums repeat, so each distinct one is rounded once."""
    a, b, c = (grid.ravel() for grid in np.meshgrid(*[np.arange(1 << TINY.width)] * 3))
    values = [decode(x, TINY) for x in range(1 << TINY.width)]
    known: dict[Exact, int] = {}
    index = np.empty(len(a), dtype=np.int64)
    sums: dict[tuple, int] = {}
    for row, (x, y, z) in enumerate(rows(a, b, c)):
        key = (values[x], values[y], values[z])
        integers = tuple(
            int(value.number * 16) if value.kind == "finite" and not value.zero else value
            for value in key
        )
        product: object = integers[:2]
        if isinstance(integers[0], int) and isinstance(integers[1], int):
            product = integers[0] * integers[1]
        found = sums.get((product, integers[2]))
        if found is None:
            outcome = exact_sum([key[:2]], key[2:])
            found = sums[product, integers[2]] = known.setdefault(outcome, len(known))
        index[row] = found
    for mode in Mode:
        bits, flags = as_arrays(list(known), TINY, mode)
        got = fp16.fused_multiply_add(a, b, c, TINY, mode)
        assert_same(got, (bits[index], flags[index]), (a, b, c), 1 << 18)


@every_mode
def test_bfloat16_fma_against_fractions(mode: Mode) -> None:
    cases = close_sums(BFLOAT16, 600, seed=90 + mode)
    outcomes = [
        exact_sum([(decode(x, BFLOAT16), decode(y, BFLOAT16))], [decode(z, BFLOAT16)])
        for x, y, z in rows(*cases)
    ]
    expected = as_arrays(outcomes, BFLOAT16, mode)
    assert_same(fp16.fused_multiply_add(*cases, BFLOAT16, mode), expected, cases, 3_600)


@pytest.mark.parametrize("mode", [Mode.RNE, Mode.RTZ, Mode.RDN, Mode.RUP])
def test_fma_against_mpfr(mode: Mode) -> None:
    import gmpy2

    cases = close_sums(FLOAT16, 400, seed=100 + mode)
    finite = np.all([column & 0x7FFF < 0x7C00 for column in cases], axis=0)
    cases = tuple(column[finite] for column in cases)
    floats = [column.astype(np.uint16).view(np.float16).astype(float) for column in cases]
    context = gmpy2.ieee(16)
    context.round = (gmpy2.RoundToNearest, gmpy2.RoundToZero, gmpy2.RoundDown, gmpy2.RoundUp)[mode]
    bits, flags = [], []
    with context:
        for x, y, z in zip(*floats, strict=True):
            now = gmpy2.get_context()
            factors = [gmpy2.mpfr(operand) for operand in (x, y, z)]
            now.clear_flags()
            number = float(gmpy2.fma(*factors))
            bits.append(int(np.float16(number).view(np.uint16)))
            # MPFR calls exact subnormal numbers an underflow as well.
            flags.append(now.inexact * (NX | now.underflow * UF) | now.overflow * OF)
    got = fp16.fused_multiply_add(*cases, FLOAT16, mode)
    assert_same(got, (np.array(bits), np.array(flags)), cases, 2_000)


def dot_cases(source: FloatFormat, destination: FloatFormat, seed: int) -> Patterns:
    """a0, b0, a1, b1, c: mixed ones, and those where a sum in two steps goes wrong."""
    rng = np.random.default_rng(seed)
    count = 250

    def moved(bits: Integers, fmt: FloatFormat) -> Integers:
        magnitude = (bits & fmt.sign_bit - 1) + rng.choice([-1, 0, 0, 1], count)
        return bits & fmt.sign_bit | np.clip(magnitude, 0, fmt.largest)

    def addends() -> Integers:
        return operands(destination, count, 1, int(rng.integers(1 << 30)))[0]

    def small(fmt: FloatFormat) -> Integers:
        return rng.choice([0, 1, 2, 3, fmt.quiet_bit], count) | rng.choice([0, fmt.sign_bit], count)

    a0, b0, a1, b1 = operands(source, count, 4, seed + 1)
    columns = [(a0, b0, a1, b1, addends())]
    # a0 * b0 cancels a1 * b1, nearly or exactly; c is tiny, or as large as what is left.
    finite = [np.where(x & source.sign_bit - 1 < source.infinity, x, 1) for x in (a0, b0)]
    opposite = moved(finite[0] ^ source.sign_bit, source)
    columns.append((*finite, opposite, finite[1], small(destination)))
    columns.append((*finite, finite[1], opposite, addends()))
    # c cancels a0 * b0; a1 * b1 is tiny.
    product, _ = fp16.dot2(*finite, 0, 0, 0, source, destination, rng.integers(0, 5, count))
    cancelling = moved(product ^ destination.sign_bit, destination)
    columns.append((*finite, small(source), b1, cancelling))
    columns.append((small(source), small(source), *finite, cancelling))
    # Infinities, zeros, NaNs.
    special = [rng.choice(specials(source), count) for _ in range(4)]
    columns.append((*special, rng.choice(specials(destination), count)))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


FORMATS = [
    (FLOAT16, FLOAT32),
    (FLOAT16, FLOAT16),
    (BFLOAT16, FLOAT32),
    (BFLOAT16, BFLOAT16),
    (TINY, TINY_WIDE),
    (TINY, TINY),
]


@pytest.mark.parametrize(("source", "destination"), FORMATS, ids=str)
def test_dot_products_and_sums(source: FloatFormat, destination: FloatFormat) -> None:
    cases = dot_cases(source, destination, seed=110)
    decoded = [
        ([decode(x, source) for x in operand], decode(c, destination))
        for *operand, c in rows(*cases)
    ]
    dots: list[Exact] = []
    negated: list[Exact] = []
    sums: list[Exact] = []
    for (a0, b0, a1, b1), c in decoded:
        dots.append(exact_sum([(a0, b0), (a1, b1)], [c]))
        negated.append(exact_sum([(a0.negated(), b0), (a1.negated(), b1)], [c]))
        sums.append(exact_sum([], [a0, a1, c]))
    formats = (source, destination)
    for mode in Mode:
        expected = as_arrays(dots, destination, mode)
        assert {0, NX, NV} <= set(expected[1].tolist())
        assert_same(fp16.dot2(*cases, *formats, mode), expected, cases, 1_500)
        expected = as_arrays(negated, destination, mode)
        assert_same(fp16.dot2(*cases, *formats, mode, negate=True), expected, cases, 1_500)
        expected = as_arrays(sums, destination, mode)
        got = fp16.sum2(cases[0], cases[2], cases[4], *formats, mode)
        assert_same(got, expected, cases, 1_500)


def test_dot_products_by_hand() -> None:
    """Exact sums that a window of fixed length, or a second rounding, gets wrong."""
    one, tiny, largest, minus = 0x3C00, 0x00000001, 0x7BFF, 0x8000
    for factors, c, expected in (
        ((largest, largest, largest, largest | minus), tiny, (tiny, 0)),
        ((one, one, one, one | minus), tiny | 1 << 31, (tiny | 1 << 31, 0)),
        ((one, one, 0x0001, 0x0001), 0xBF800000, (0x27800000, 0)),  # (1 − 1) + 2**−48
        ((0, one, 0, one), 0x80000000, (0, 0)),
        ((minus, one, minus, one), 0x80000000, (0x80000000, 0)),
        ((0x7C00, 0, one, 0x7E00), 0, (0x7FC00000, NV)),
        ((0x7C00, one, 0xFC00, one), 0, (0x7FC00000, NV)),
        ((0x7C00, one, one, one), 0xFF800000, (0x7FC00000, NV)),
        ((0x7C00, one, one, 0x7E00), 0, (0x7FC00000, 0)),
        ((one, one, one, one), 0x7F800001, (0x7FC00000, NV)),
    ):
        bits, flags = fp16.dot2(*factors, c, FLOAT16, FLOAT32, Mode.RNE)
        assert (int(bits), int(flags)) == expected, factors
    assert int(fp16.dot2(one, one, one, one | minus, 0, FLOAT16, FLOAT32, Mode.RDN)[0]) == 1 << 31


def cross_table(fmt: FloatFormat) -> tuple[Integers, Integers]:
    values = np.array(specials(fmt))
    assert len(set(values.tolist())) >= 24
    return np.repeat(values, len(values)), np.tile(values, len(values))


def test_comparisons_against_softfloat() -> None:
    pairs = np.hstack([cross_table(FLOAT16), operands(FLOAT16, 5_000, 2, seed=75)])
    a, b = pairs[:, (pairs & 0x7FFF).any(axis=0)]  # SoftFloat's zeros are not equal
    for kind, name, swap in (
        ("eq", "eq", False),
        ("lt", "lt", False),
        ("le", "le", False),
        ("gt", "lt", True),
        ("ge", "le", True),
    ):
        expected = softfloat(f"f16_{name}", "f16", "bool", 0, *((b, a) if swap else (a, b)))
        assert_same(fp16.compare(a, b, FLOAT16, kind), expected, (a, b), 5_560)
        if kind == "eq":
            opposite = (1 - expected[0], expected[1])
            assert_same(fp16.compare(a, b, FLOAT16, "ne"), opposite, (a, b), 5_560)


@pytest.mark.parametrize("fmt", [FLOAT16, BFLOAT16, TINY], ids=str)
def test_cross_table_against_definitions(fmt: FloatFormat) -> None:
    a, b = cross_table(fmt) if fmt != TINY else (np.repeat(range(64), 64), np.tile(range(64), 64))
    checked = 0
    kinds = ("eq", "ne", "lt", "le", "gt", "ge")
    compared = [fp16.compare(a, b, fmt, kind) for kind in kinds]
    smaller, larger = fp16.minimum(a, b, fmt), fp16.maximum(a, b, fmt)
    signs = [fp16.inject_sign(a, b, fmt, kind) for kind in ("copy", "negate", "xor")]
    for row, (bits_a, bits_b) in enumerate(rows(a, b)):
        x, y = decode(bits_a, fmt), decode(bits_b, fmt)
        signalling = "signalling" in (x.kind, y.kind)
        if x.nan or y.nan:
            relations = [False, True, False, False, False, False]
            number = bits_b if x.nan else bits_a
            least = most = fmt.canonical_nan if x.nan and y.nan else number
        else:
            u, v = (on_a_line(value) for value in (x, y))
            relations = [u == v, u != v, u < v, u <= v, u > v, u >= v]
            ordered = sorted([(u, not x.negative, bits_a), (v, not y.negative, bits_b)])
            least, most = ordered[0][2], ordered[1][2]
        flags = [NV * (signalling or (i > 1 and (x.nan or y.nan))) for i in range(6)]
        got = [(int(bits[row]), int(raised[row])) for bits, raised in compared]
        assert got == list(zip(map(int, relations), flags, strict=True)), (bits_a, bits_b)
        assert (int(smaller[0][row]), int(smaller[1][row])) == (least, NV * signalling)
        assert (int(larger[0][row]), int(larger[1][row])) == (most, NV * signalling)
        magnitude = bits_a % fmt.sign_bit
        wanted = [y.negative, not y.negative, x.negative != y.negative]
        assert [int(s[row]) for s in signs] == [magnitude + fmt.sign_bit * w for w in wanted]
        checked += 1
    assert checked >= 24 * 24


def on_a_line(value: Value) -> float:
    if value.kind == "infinite":
        return float("-inf") if value.negative else float("inf")
    return float(value.number)


@pytest.mark.parametrize("fmt", [FLOAT16, BFLOAT16, FloatFormat(2, 3)], ids=str)
def test_every_class(fmt: FloatFormat) -> None:
    every = np.arange(1 << fmt.width)
    normal = 2.0 ** (2 - 2 ** (fmt.exponent_bits - 1))
    expected = []
    for bits in every.tolist():
        value = decode(bits, fmt)
        size = abs(float(value.number))
        if value.nan:
            number = 8 if value.kind == "signalling" else 9
        else:
            group = 0 if value.zero else 1 if 0 < size < normal else 2
            group = 3 if value.kind == "infinite" else group
            number = 3 - group if value.negative else 4 + group
        expected.append(1 << number)
    assert fp16.classify(every, fmt).tolist() == expected
    assert len(set(expected)) == 10


formats = st.sampled_from([FLOAT16, BFLOAT16, FLOAT32, TINY])
modes = st.sampled_from(Mode)


@st.composite
def drawn(draw: st.DrawFn, arity: int) -> tuple[FloatFormat, list[int]]:
    fmt = draw(formats)
    pattern = st.integers(0, (1 << fmt.width) - 1) | st.sampled_from(specials(fmt))
    return fmt, [draw(pattern) for _ in range(arity)]


def scalar(result: Result) -> tuple[int, int]:
    return int(result[0]), int(result[1])


@given(drawn(3), modes)
def test_fma_properties(case: tuple[FloatFormat, list[int]], mode: Mode) -> None:
    fmt, (a, b, c) = case
    one = fmt.bias << fmt.fraction_bits
    fma = scalar(fp16.fused_multiply_add(a, b, c, fmt, mode))
    assert fma == scalar(fp16.fused_multiply_add(b, a, c, fmt, mode))
    added = scalar(fp16.add(a, c, fmt, mode))
    assert added == scalar(fp16.add(c, a, fmt, mode))
    assert added == scalar(fp16.fused_multiply_add(a, one, c, fmt, mode))
    nothing = 0 if mode == Mode.RDN else fmt.sign_bit
    product = scalar(fp16.multiply(a, b, fmt, mode))
    assert product == scalar(fp16.fused_multiply_add(a, b, nothing, fmt, mode))


@given(drawn(3), modes)
def test_mirror(case: tuple[FloatFormat, list[int]], mode: Mode) -> None:
    """Negating the product and the addend negates the result, with RDN and RUP exchanged."""
    fmt, (a, b, c) = case
    mirrored = {Mode.RDN: Mode.RUP, Mode.RUP: Mode.RDN}.get(mode, mode)
    bits, flags = scalar(fp16.fused_multiply_add(a, b, c, fmt, mode))
    got = scalar(fp16.fused_multiply_add(a, b, c, fmt, mirrored, True, True))
    nan = bits & fmt.sign_bit - 1 > fmt.infinity
    exact_zero = bits & fmt.sign_bit - 1 == 0 and flags == 0
    if exact_zero and mode == mirrored:  # +0 in both, unless all signs agree
        bits, got = bits & fmt.sign_bit - 1, (got[0] & fmt.sign_bit - 1, got[1])
        assert (bits, flags) == got
    else:
        assert (bits if nan else bits ^ fmt.sign_bit, flags) == got


@given(st.data(), st.integers(1, 16), st.sampled_from([FLOAT16, TINY]))
def test_trees(data: st.DataObject, lanes: int, fmt: FloatFormat) -> None:
    """A tree is a recursion on halves; lanes that are not active are as if they were not there."""
    pattern = st.integers(0, (1 << fmt.width) - 1) | st.sampled_from(specials(fmt))
    values = data.draw(st.lists(pattern, min_size=lanes, max_size=lanes))
    active = data.draw(st.lists(st.booleans(), min_size=lanes, max_size=lanes))
    mode = data.draw(modes)

    def halves(leaves: list[int | None], node: Callable[..., Result]) -> tuple[int | None, int]:
        if len(leaves) == 1:
            return leaves[0], 0
        middle = len(leaves) // 2
        (x, raised_x), (y, raised_y) = (
            halves(half, node) for half in (leaves[:middle], leaves[middle:])
        )
        if x is None and y is None:
            return None, 0
        # One alone passes through a node, which canonicalises NaNs: a sum with nothing.
        nothing = 0 if mode == Mode.RDN else fmt.sign_bit
        if node is not fp16.add:
            nothing = fmt.canonical_nan
            bits, flags = scalar(node(*(nothing if z is None else z for z in (x, y)), fmt))
        else:
            bits, flags = scalar(node(*(nothing if z is None else z for z in (x, y)), fmt, mode))
        return bits, raised_x | raised_y | flags

    size = 2
    while size < lanes:
        size *= 2
    leaves = [x if on else None for x, on in zip(values, active, strict=True)]
    leaves += [None] * (size - lanes)
    empty = 0 if mode == Mode.RDN else fmt.sign_bit
    for node, got, neutral in (
        (fp16.add, fp16.tree_sum([values], [active], fmt, mode), empty),
        (fp16.minimum, fp16.tree_minimum([values], [active], fmt), fmt.canonical_nan),
        (fp16.maximum, fp16.tree_maximum([values], [active], fmt), fmt.canonical_nan),
    ):
        bits, flags = halves(leaves, node)
        assert (int(got[0][0]), int(got[1][0])) == (neutral if bits is None else bits, flags)


def test_modes_may_differ_and_shapes_broadcast() -> None:
    a, b, c = (column[:60_000] for column in operands(FLOAT16, 60_000, 3, seed=120))
    mode = np.arange(60_000) % 5
    bits, flags = fp16.fused_multiply_add(a, b, c, FLOAT16, mode)
    for one in Mode:
        alone = fp16.fused_multiply_add(a[one::5], b[one::5], c[one::5], FLOAT16, one)
        assert (bits[one::5] == alone[0]).all()
        assert (flags[one::5] == alone[1]).all()
    table, _ = fp16.add(a[:7, None], b[None, :5], FLOAT16, Mode.RNE)
    assert table.shape == (7, 5)
    assert table[3, 2] == fp16.add(int(a[3]), int(b[2]), FLOAT16, Mode.RNE)[0]
    assert fp16.add(a[:0], b[:0], FLOAT16, Mode.RNE)[0].shape == (0,)
