"""The lanes of the FP16 datapath: results and flags, whole functions at a time.

The golden model, which has been checked against fractions, is the reference of small formats and
of BFLOAT16; SoftFloat in this process that of FLOAT16. Operands are aimed at where rounding is
delicate, since random ones hardly ever get there.
"""

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
import pytest
from float_reference import TINY as GOLDEN_TINY
from float_reference import decode, exact_sum, softfloat, specials
from test_golden_fp16 import FLAG_VALUES, FMA_TABLE, close_sums

from golden import fp16
from golden.float_format import BFLOAT16 as GOLDEN_BFLOAT16
from golden.float_format import FLOAT16 as GOLDEN_FLOAT16
from golden.float_format import FloatFormat
from golden.fp16_compare import COMPARISONS, SIGNS
from golden.fp16_instruction import Group, Operation
from golden.integers import Integers
from golden.rounding import NX, OF, UF, Mode
from hdl.fp16.compare import Compare
from hdl.fp16.fma import FusedMultiplyAdd
from hdl.fp16.format import BFLOAT16, FLOAT16, TINY, Format
from sim.evaluate import Evaluator, build_evaluator
from sim.fp16.oracle import wanted

Result = tuple[Integers, Integers]

every_mode = pytest.mark.parametrize("mode", list(Mode))
SUMS = (Operation.ADD, Operation.SUB, Operation.MUL)
FUSED = (Operation.FMADD, Operation.FMSUB, Operation.FNMSUB, Operation.FNMADD)
ORDERED = [operation for operation in Operation if operation.group is Group.COMPARE]
SIGNED = (Operation.SGNJ, Operation.SGNJN, Operation.SGNJX)
INVALID_BIT = 4


@cache
def fma_lane(fmt: Format) -> Evaluator:
    return build_evaluator(FusedMultiplyAdd(fmt))


@cache
def compare_lane(fmt: Format) -> Evaluator:
    return build_evaluator(Compare(fmt))


def run_lane(
    fmt: Format, operation: Operation, mode: Mode, a: Integers, b: Integers, c: Integers | int = 0
) -> Result:
    """Results and flags of the lane that has the operation; it may do nothing with the rest."""
    index = operation & 7
    if operation.group is Group.FMA:
        if operation in (Operation.ADD, Operation.SUB):  # a lane adds its third operand
            b, c = c, b
        got = fma_lane(fmt)(a=a, b=b, c=c, operation=index, mode=int(mode))
        return got["result"], got["flags"]
    is_sign = operation.group is Group.SIGN
    got = compare_lane(fmt)(a=a, b=b, is_sign=int(is_sign), operation=index)
    is_comparison = not is_sign and operation < Operation.MIN
    return got["holds" if is_comparison else "result"], got["invalid"] << INVALID_BIT


def golden(
    fmt: FloatFormat, operation: Operation, mode: Mode, a: Integers, b: Integers, c: Integers | int
) -> Result:
    """The same by the golden model."""
    two: dict[Operation, Callable[..., Result]] = {
        Operation.ADD: fp16.add,
        Operation.SUB: fp16.subtract,
        Operation.MUL: fp16.multiply,
    }
    if operation in two:
        return two[operation](a, b, fmt, mode)
    if operation in FUSED:
        negate_product = operation in (Operation.FNMSUB, Operation.FNMADD)
        negate_addend = operation in (Operation.FMSUB, Operation.FNMADD)
        return fp16.fused_multiply_add(a, b, c, fmt, mode, negate_product, negate_addend)
    if operation in SIGNED:
        bits = fp16.inject_sign(a, b, fmt, SIGNS[operation - Operation.SGNJ])
        return bits, np.zeros_like(bits)
    if operation in (Operation.MIN, Operation.MAX):
        return (fp16.minimum if operation is Operation.MIN else fp16.maximum)(a, b, fmt)
    return fp16.compare(a, b, fmt, COMPARISONS[operation - Operation.EQ])


def check(
    operation: Operation, mode: Mode, got: Result, want: Result, operands: tuple, at_least: int
) -> None:
    """Bit for bit, signs and flags included; a failure names the first operands that differ."""
    assert got[0].shape == want[0].shape
    assert got[0].size >= at_least > 0
    wrong = (got[0] != want[0]) | (got[1] != want[1])
    if wrong.any():
        first = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        shown = [f"{int(column[first]):04x}" for column in np.broadcast_arrays(*operands)]
        pytest.fail(
            f"{operation.name} {mode.name}: {int(wrong.sum())} of {wrong.size} differ, first "
            f"{' '.join(shown)}: got {int(got[0][first]):04x} flags {int(got[1][first])}, "
            f"wanted {int(want[0][first]):04x} flags {int(want[1][first])}"
        )


def check_softfloat(
    operation: Operation, mode: Mode, a: Integers, b: Integers, c: Integers, at_least: int
) -> Result:
    want = wanted(operation, mode, a, b, c)
    got = run_lane(FLOAT16, operation, mode, a, b, c)
    check(operation, mode, got, want, (a, b, c), at_least)
    return want


# Small formats, whole: what is wrong with windows, sticky bits and signs shows there.


@every_mode
def test_every_triple_of_a_tiny_format(mode: Mode) -> None:
    values = np.arange(1 << TINY.width)
    a, b, c = (column.ravel() for column in np.meshgrid(values, values, values, indexing="ij"))
    for operation in FUSED:
        got = run_lane(TINY, operation, mode, a, b, c)
        want = golden(GOLDEN_TINY, operation, mode, a, b, c)
        check(operation, mode, got, want, (a, b, c), 1 << 18)


@every_mode
def test_every_pair_of_a_tiny_format(mode: Mode) -> None:
    values = np.arange(1 << TINY.width)
    a, b = (column.ravel() for column in np.meshgrid(values, values, indexing="ij"))
    rest = np.random.default_rng(1).integers(0, 64, a.size)  # operand c has no part in these
    for operation in (*SUMS, *ORDERED, *SIGNED):
        got = run_lane(TINY, operation, mode, a, b, rest)
        want = golden(GOLDEN_TINY, operation, mode, a, b, rest)
        check(operation, mode, got, want, (a, b, rest), 1 << 12)


# FLOAT16 against SoftFloat.


@every_mode
def test_directed_vectors(mode: Mode) -> None:
    table = [line.split() for line in FMA_TABLE.split("\n") if line]
    a, b, c = (np.array([int(line[at], 16) for line in table]) for at in range(3))
    outcomes = [line[3 + mode].partition(":") for line in table]
    bits = np.array([int(outcome[0], 16) for outcome in outcomes])
    flags = np.array(
        [sum(FLAG_VALUES[name] for name in (names or "NX").split("+")) for _, _, names in outcomes]
    )
    got = run_lane(FLOAT16, Operation.FMADD, mode, a, b, c)
    check(Operation.FMADD, mode, got, (bits, flags), (a, b, c), 19)


#: Signs and exponents, and fractions, that TestFloat's patterns of level 1 are made of.
EXPONENTS = [0x0000, 0x0400, 0x3400, 0x3800, 0x3C00, 0x4000, 0x4400, 0x6400, 0x6800, 0x7800, 0x7C00]
FRACTIONS = [0x000, 0x001, 0x3FF, 0x3FE]
LEVEL_1 = np.array(
    [s | e | f for s, e, f in product((0, 0x8000), EXPONENTS, FRACTIONS)], dtype=np.uint16
)


def runs(bits: int) -> list[int]:
    """Fractions that are one-hot, ones below or above a place, and all of these inverted."""
    ones = (1 << bits) - 1
    low = [(1 << place) - 1 for place in range(bits + 1)]
    hot = [1 << place for place in range(bits)]
    return sorted({each ^ flip for each in (*low, *hot) for flip in (0, ones)})


def weighted(rng: np.random.Generator, count: int) -> Integers:
    """Random patterns, with exponents and fractions out of pools or not."""
    exponents = np.where(
        rng.random(count) < 0.5,
        rng.choice(LEVEL_1 & 0xFC00, count),
        rng.integers(0, 64, count, dtype=np.uint16) << 10,
    )
    fractions = np.where(
        rng.random(count) < 0.5,
        rng.choice(np.array(runs(10), dtype=np.uint16), count),
        rng.integers(0, 1024, count, dtype=np.uint16),
    )
    return (exponents | fractions).astype(np.uint16)


@every_mode
@pytest.mark.parametrize("patterns", [*product((True, False), repeat=3)], ids=str)
def test_products_of_patterns(patterns: tuple[bool, ...], mode: Mode) -> None:
    """All triples of TestFloat's patterns of level 1, with some operands random instead."""
    rng = np.random.default_rng([*patterns, mode])
    everything = np.meshgrid(LEVEL_1, LEVEL_1, LEVEL_1, indexing="ij")
    size = everything[0].size
    a, b, c = (
        column.ravel() if keep else weighted(rng, size)
        for column, keep in zip(everything, patterns, strict=True)
    )
    check_softfloat(Operation.FMADD, mode, a, b, c, 88**3)
    if not any(patterns):  # the ninth sequence
        a, b, c = rng.integers(0, 1 << 16, (3, size), dtype=np.uint16)
        check_softfloat(Operation.FMADD, mode, a, b, c, 88**3)


def to_pattern(numbers: Integers) -> Integers:
    """The nearest FLOAT16, finite; operands are chosen with it, nothing is judged."""
    with np.errstate(over="ignore"):
        patterns = numbers.astype(np.float16).view(np.uint16).astype(np.int64)
    return np.where(patterns & 0x7FFF == 0x7C00, patterns - 1, patterns)


def to_number(patterns: Integers) -> Integers:
    return patterns.astype(np.uint16).view(np.float16).astype(np.float64)


def moved(patterns: Integers, steps: int) -> Integers:
    """So many units in the last place away from zero, but finite and of the same sign."""
    return patterns & 0x8000 | np.clip((patterns & 0x7FFF) + steps, 0, 0x7BFF)


def delicate_addends() -> tuple[Integers, Integers, Integers]:
    """Factors of all exponents with addends that bring the exact sum to an edge, or next to it."""
    rng = np.random.default_rng(7)
    pool = np.array([0x000, 0x001, 0x3FF, 0x3FE, 0x200, 0x155, 0x2AA])
    exponents = np.arange(31) << 10
    a, b = (
        grid.ravel()
        for grid in np.meshgrid(
            *[(exponents[:, None] | pool).ravel()] * 2,
            indexing="ij",
        )
    )
    a, b = (x | rng.integers(0, 2, x.size) << 15 for x in (a, b))
    exact = to_number(a) * to_number(b)  # 22 bits: exact in float64
    sign = np.where(rng.integers(0, 2, a.size) == 1, -1.0, 1.0)
    nearest = to_pattern(exact)
    unit = np.abs(to_number(moved(nearest, 1)) - to_number(nearest))
    edges = [to_number(nearest) + half * unit for half in (-0.5, 0.5)]  # ties by the product
    edges += [sign * (2.0**-14 - quarters * 2.0**-26) for quarters in (1, 2, 3)]  # tininess
    edges += [sign * 65520.0, sign * 65519.0]  # overflow
    columns = []
    for edge in edges:
        addend = to_pattern(edge - exact)
        columns += [moved(addend, steps) for steps in (-1, 0, 1)]
    columns += [moved(nearest ^ 0x8000, steps) for steps in (-3, -2, -1, 0, 1, 2, 3)]  # cancels
    c = np.concatenate(columns)
    return np.tile(a, len(columns)), np.tile(b, len(columns)), c


def test_addends_derived_from_the_product() -> None:
    a, b, c = (column.astype(np.uint16) for column in delicate_addends())
    found = {mode: check_softfloat(Operation.FMADD, mode, a, b, c, 1_000_000) for mode in Mode}
    results = {mode: bits for mode, (bits, _) in found.items()}
    flags = found[Mode.RNE][1]
    # They are where they should be: on ties, about the smallest normal number and overflow,
    # and cancelled.
    assert np.count_nonzero(results[Mode.RNE] != results[Mode.RMM]) > 10_000
    assert np.count_nonzero(flags & UF) > 10_000
    assert np.count_nonzero((results[Mode.RNE] & 0x7FFF == 0x0400) & (flags & UF != 0)) > 100
    assert np.count_nonzero((results[Mode.RNE] & 0x7FFF == 0x0400) & (flags == NX)) > 100
    assert np.count_nonzero(flags & OF) > 10_000
    assert np.count_nonzero(found[Mode.RUP][1] & OF & ~flags) > 1_000
    assert np.count_nonzero(results[Mode.RNE] != results[Mode.RDN]) > 10_000
    assert np.count_nonzero((results[Mode.RNE] == 0) & (results[Mode.RDN] == 0x8000)) > 10_000


@every_mode
def test_gaps_between_product_and_addend(mode: Mode) -> None:
    """Exponents from 40 below to 40 above the product's, with one-hot fractions."""
    rng = np.random.default_rng([8, mode])
    a, b, gap = (
        grid.ravel() for grid in np.meshgrid(np.arange(31), np.arange(31), np.arange(-40, 41))
    )
    c = a + b - 15 + gap
    a, b, c = (x[(c >= 0) & (c < 31)] for x in (a, b, c))
    a, b, c = (np.tile(x, 16) for x in (a, b, c))
    hot = np.array([0, *(1 << place for place in range(10))])
    factors = np.array(runs(10))
    a, b = (
        x << 10 | rng.choice(factors, x.size) | rng.integers(0, 2, x.size) << 15 for x in (a, b)
    )
    c = c << 10 | rng.choice(hot, c.size) | rng.integers(0, 2, c.size) << 15
    for operation in FUSED:
        check_softfloat(operation, mode, *(x.astype(np.uint16) for x in (a, b, c)), 250_000)


def slice_of_pairs(fractions: list[int]) -> tuple[Integers, Integers]:
    """Every pair of signs and exponents, with every pair of ``fractions``; arrays of a table."""
    values = (np.arange(64)[:, None] << 10 | np.array(fractions)).ravel().astype(np.uint16)
    return values[:, None], values[None, :]


@every_mode
@pytest.mark.parametrize("operation", SUMS, ids=lambda operation: operation.name)
def test_slice_of_sums_and_products(operation: Operation, mode: Mode) -> None:
    a, b = slice_of_pairs([0x000, 0x001, 0x3FF, 0x3FE, 0x200, 0x1FF, 0x155, 0x010, 0x3EF, 0x007])
    c = np.uint16(0x7D55)  # a signalling NaN, which is none of theirs
    check_softfloat(operation, mode, a, b, c, 640**2)


@pytest.mark.parametrize("operation", [*ORDERED, *SIGNED], ids=lambda operation: operation.name)
def test_slice_of_comparisons_and_signs(operation: Operation) -> None:
    a, b = slice_of_pairs(runs(10))
    check_softfloat(operation, Mode.RNE, a, b, np.uint16(0), 2_000_000)


@pytest.mark.parametrize("operation", [*SUMS, *ORDERED, *SIGNED], ids=lambda each: each.name)
def test_special_values_with_each_other(operation: Operation) -> None:
    """Zeros, infinities, quiet and signalling NaNs of both signs, by the golden model."""
    values = np.array([*specials(GOLDEN_FLOAT16), 0xFD01, 0xFFFF, 0x7E01])
    a, b = (grid.ravel() for grid in np.meshgrid(values, values, indexing="ij"))
    for mode in Mode if operation in SUMS else [Mode.RNE]:
        got = run_lane(FLOAT16, operation, mode, a, b)
        check(operation, mode, got, golden(GOLDEN_FLOAT16, operation, mode, a, b, 0), (a, b), 1000)


@pytest.mark.parametrize(
    ("fmt", "reference"), [(FLOAT16, GOLDEN_FLOAT16), (BFLOAT16, GOLDEN_BFLOAT16)], ids=str
)
def test_every_class(fmt: Format, reference: FloatFormat) -> None:
    every = np.arange(1 << 16)
    got = run_lane(fmt, Operation.CLASSIFY, Mode.RNE, every, 0)
    want = (fp16.classify(every, reference), np.zeros_like(every))
    check(Operation.CLASSIFY, Mode.RNE, got, want, (every,), 1 << 16)
    assert {int(each) for each in got[0]} == {1 << kind for kind in range(10)}


# BFLOAT16, whose window is another one, against the golden model.


@every_mode
def test_bfloat16(mode: Mode) -> None:
    a, b, c = close_sums(GOLDEN_BFLOAT16, 8_000, seed=200 + mode)
    for operation in FUSED:
        got = run_lane(BFLOAT16, operation, mode, a, b, c)
        want = golden(GOLDEN_BFLOAT16, operation, mode, a, b, c)
        check(operation, mode, got, want, (a, b, c), 48_000)
    for operation in (*SUMS, *ORDERED, *SIGNED):
        got = run_lane(BFLOAT16, operation, mode, a, c)
        check(
            operation, mode, got, golden(GOLDEN_BFLOAT16, operation, mode, a, c, 0), (a, c), 48_000
        )


# The oracle itself.


@every_mode
@pytest.mark.parametrize(
    "operation", [*SUMS, *FUSED, *ORDERED, *SIGNED], ids=lambda each: each.name
)
def test_the_oracle_agrees_with_the_golden_model(operation: Operation, mode: Mode) -> None:
    a, b, c = close_sums(GOLDEN_FLOAT16, 2_000, seed=300 + mode)
    want = golden(GOLDEN_FLOAT16, operation, mode, a, b, c)
    check(operation, mode, wanted(operation, mode, a, b, c), want, (a, b, c), 12_000)


def test_flaws_of_the_oracle_that_are_gone_around() -> None:
    """Its f16_add forgets an overflow, its f16_eq takes −0 for another number than +0."""
    a, b = np.array([0xFBFF]), np.array([0x9D1F])
    flawed = softfloat("f16_add", "f16", "f16", Mode.RDN, a, b)
    assert (int(flawed[0][0]), int(flawed[1][0])) == (0xFC00, NX)
    exact = exact_sum([], [decode(0xFBFF, GOLDEN_FLOAT16), decode(0x9D1F, GOLDEN_FLOAT16)])
    assert exact.rounded(GOLDEN_FLOAT16, Mode.RDN) == (0xFC00, NX | OF)
    for operation, second in ((Operation.ADD, b), (Operation.SUB, b ^ 0x8000)):
        bits, flags = wanted(operation, Mode.RDN, a, second)
        assert (int(bits[0]), int(flags[0])) == (0xFC00, NX | OF)
    zeros = np.array([0x0000]), np.array([0x8000])
    assert not softfloat("f16_eq", "f16", "bool", Mode.RNE, *zeros)[0][0]
    assert wanted(Operation.EQ, Mode.RNE, *zeros)[0][0]
    assert not wanted(Operation.LT, Mode.RNE, *zeros[::-1])[0][0]
    with pytest.raises(ValueError, match="CLASSIFY"):
        wanted(Operation.CLASSIFY, Mode.RNE, a, b)
