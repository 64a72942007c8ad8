"""The operators of the Piper pipeline, against whole numbers and MPFR; all corners of 32 bits."""

import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

import gmpy2
import numpy as np
import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.sim import Simulator

from golden.piper_operators import logarithm as golden_logarithm
from hdl.export import export
from hdl.piper.bucketise import Bucketise, BucketiseUnit
from hdl.piper.decimal_number import DecimalNumber
from hdl.piper.fill_missing import fill_missing
from hdl.piper.logarithm import Logarithm, LogarithmUnit, look_up
from hdl.piper.logarithm_table import LogarithmTable
from hdl.piper.modulus import Modulus, ModulusUnit
from hdl.piper.neg2zero import Neg2Zero, Neg2ZeroUnit
from hdl.piper.operator import WORD, Operator
from hdl.piper.reciprocal import Reciprocal
from hdl.piper.settings import SETTINGS
from hdl.staged import StagedUnit
from sim.evaluate import Evaluator, build_evaluator
from sim.piper import exhaustive
from sim.tools import ToolError

MASK = (1 << WORD) - 1
SIGN = 1 << WORD - 1
RANDOM = 100_000
MODULI = (
    0,
    1,
    2,
    3,
    5,
    7,
    10,
    5000,
    8191,
    8192,
    8193,
    10**6,
    SIGN - 1,
    SIGN,
    SIGN + 1,
    MASK - 1,
    MASK,
)
#: Ends of int32 and uint32, and powers of two, with their neighbours.
CORNERS = sorted(
    {
        (power + step) & MASK
        for power in (1 << bits for bits in range(WORD + 1))
        for step in (-2, -1, 0, 1, 2)
    }
)
BOUNDARIES = (
    (0,),
    (-SIGN,),
    (SIGN - 1,),
    (-1, 0, 1),
    (-SIGN, -SIGN + 1, -2, 7, 1000, SIGN - 2, SIGN - 1),
    tuple(2**bits for bits in range(17)),
    tuple(range(-310, 310, 10)),
    tuple(each**3 for each in range(-100, 164)),
)


def signed(word: int) -> int:
    return word - (1 << WORD) if word & SIGN else word


def spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """Words of all sizes: as many of few bits as of many."""
    words = rng.integers(0, 1 << WORD, count, dtype=np.uint64)
    return words >> rng.integers(0, WORD, count, dtype=np.uint64)


def check(got: np.ndarray, want: np.ndarray, given: np.ndarray) -> None:
    assert got.shape == want.shape
    assert got.size > 0
    wrong = np.flatnonzero(got.astype(np.uint64) != want.astype(np.uint64))
    if wrong.size:
        at = wrong[0]
        pytest.fail(
            f"{wrong.size} of {got.size} differ, first {int(given[at]):08x}: "
            f"got {int(got[at]):08x}, wanted {int(want[at]):08x}"
        )


# DecimalNumber.


@cache
def decimal_number() -> Evaluator:
    return build_evaluator(DecimalNumber(0))


def check_decimal(numbers: np.ndarray, negative: np.ndarray) -> None:
    magnitudes = np.abs(numbers)
    digits = sum(
        (magnitudes // 10**place % 10).astype(np.uint64) << np.uint64(4 * place)
        for place in range(10)
    )
    got = decimal_number()(digits=digits, negative=negative)["result"]
    check(got, (numbers & MASK).astype(np.uint64), magnitudes)


def test_decimal_numbers() -> None:
    rng = np.random.default_rng(1)
    each_digit = [digit * 10**place for place in range(10) for digit in range(10)]
    corners = [each_digit, [10**n - 1 for n in range(11)], CORNERS]
    positive = np.array([n for group in corners for n in group if n < SIGN])
    check_decimal(positive, np.zeros(positive.size, int))
    negative = -np.array([n for group in corners for n in group if n <= SIGN])
    check_decimal(negative, np.ones(negative.size, int))  # −0 among them
    assert negative.min() == -SIGN
    numbers = rng.integers(-SIGN, SIGN, RANDOM)
    check_decimal(numbers, numbers < 0)
    sizes = spread(rng, RANDOM).astype(np.int64) >> 1
    check_decimal(sizes, np.zeros(RANDOM, int))
    check_decimal(-sizes, np.ones(RANDOM, int))


# FillMissing, Neg2Zero.


def test_fill_missing() -> None:
    value, missing, default = Signal(WORD), Signal(), Signal(WORD)
    assert len(fill_missing(value, missing, default)) == WORD
    for given, kept in (((5, 0, 9), 5), ((5, 1, 9), 9), ((MASK, 1, 0), 0), ((0, 1, MASK), MASK)):
        assert (
            settled(fill_missing(value, missing, default), (value, missing, default), given) == kept
        )


def settled(value: Signal, signals: tuple[Signal, ...], given: tuple[int, ...]) -> int:
    """What a combinational value is for those values of signals."""
    m = Module()
    result = Signal(len(value))
    m.d.comb += result.eq(value)
    found = []

    async def bench(context) -> None:
        for signal, word in zip(signals, given, strict=True):
            context.set(signal, word)
        found.append(context.get(result))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return found[0]


def test_neg2zero() -> None:
    x = np.concatenate([CORNERS, np.random.default_rng(2).integers(0, 1 << WORD, RANDOM)])
    got = build_evaluator(Neg2ZeroUnit(0))(value=x)["result"]
    check(got, np.where(x < SIGN, x, 0), x)


# Logarithm.


@cache
def logarithm() -> Evaluator:
    return build_evaluator(LogarithmUnit(0))


def nearest_logarithm(x: int) -> int:
    """Bits of the float32 nearest to ln(x + 1), by MPFR, which rounds correctly."""
    with gmpy2.context(precision=24):
        nearest = gmpy2.log(gmpy2.mpz(x + 1))
    return int(np.float32(float(nearest)).view(np.uint32))


def distances(x: np.ndarray) -> np.ndarray:
    """How many float32 the results are away from the nearest ones; x is 1 or more."""
    got = logarithm()(value=x)["result"].astype(np.int64)
    return np.abs(got - np.array([nearest_logarithm(int(each)) for each in x]))


def test_logarithms_are_within_one_unit_in_the_last_place() -> None:
    rng = np.random.default_rng(3)
    binades = [rng.integers(1 << bits, 2 << bits, 1000) for bits in range(WORD - 1)]
    # The first and last numbers of intervals, where z is largest.
    intervals = [((64 + i) << 24) + step for i in range(64) for step in (-2, -1, 0, 1)]
    x = np.concatenate(
        [
            np.arange(1, 1 << 13),
            [each for each in CORNERS if 0 < each < SIGN],
            np.array(intervals)[8:],
            *binades,
        ]
    )
    found = distances(x)
    assert found.max() <= 1, x[found > 1][:8]
    assert (found == 0).mean() > 0.75


def test_logarithm_of_zero_and_of_negative_numbers_is_zero() -> None:
    x = np.array([0, SIGN, SIGN + 1, MASK, MASK - 1, *np.arange(SIGN, 1 << WORD, 999_983)])
    assert not logarithm()(value=x)["result"].any()


def test_logarithms_of_powers_of_two() -> None:
    """Their intervals are the first one, whose d is 0: e * ln 2, rounded."""
    x = np.array([(1 << bits) - 1 for bits in range(1, WORD)])
    assert distances(x).max() <= 1
    assert logarithm()(value=1)["result"] == nearest_logarithm(1) == 0x3F317218


@pytest.mark.parametrize("values", [[0], [1, 0, 1], [-4, 3, 0, -1], [7] * 5, [2, -3] * 8], ids=str)
def test_look_up(values: list[int]) -> None:
    index = Signal(max(1, (len(values) - 1).bit_length()))
    for at in range(1 << len(index)):
        m = Module()
        value = look_up(m, values, index, "table")
        result = Signal(8)
        m.d.comb += result.eq(value.as_signed() if min(values) < 0 else value)
        found = []

        async def bench(context, at=at, result=result, found=found) -> None:
            context.set(index, at)
            found.append(context.get(result))

        simulator = Simulator(m)
        simulator.add_testbench(bench)
        simulator.run()
        assert found == [values[min(at, len(values) - 1)] & 0xFF]


# The exhaustive run.


@cache
def circuit() -> str:
    return export(LogarithmUnit(0))


def test_a_sweep_counts_what_mpfr_finds() -> None:
    rows = 8 * exhaustive.ROWS
    for start in (0, SIGN - rows):
        outcome = exhaustive.sweep(circuit(), range(start, start + rows))
        x = np.arange(max(1, start), start + rows)
        found = distances(x)
        zeros = int(start == 0)
        assert outcome.distance == (zeros + (found == 0).sum(), (found == 1).sum(), 0)
        results = logarithm()(value=x)["result"].view(np.float32).astype(float)
        exact = np.log(x + 1.0)
        errors = np.abs(results - exact) / np.spacing(
            exact.astype(np.float32) * np.float32(0.9999999)
        )
        assert outcome.worst == pytest.approx(errors.max(), rel=1e-6)
        assert outcome.worst_input == x[errors.argmax()]
        assert not outcome.wrong
    negative = exhaustive.sweep(circuit(), range(SIGN, SIGN + rows))
    assert negative.distance == (rows, 0, 0)


@pytest.mark.parametrize("x", [58_037_907, 235_203_551, 1_249_524_241])
def test_the_golden_model_decides_what_the_library_leaves_in_doubt(
    x: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their logarithms are in the middle of two float32, as far as a float64 can tell."""
    asked: list[int] = []

    def decide(word: int) -> int:
        asked.append(word)
        return wanted

    start = x // exhaustive.ROWS * exhaustive.ROWS
    got = int(logarithm()(value=x)["result"])
    counts = []
    monkeypatch.setattr(exhaustive, "logarithm", decide)
    for wanted in (got, got + 1, got - 2):
        outcome = exhaustive.sweep(circuit(), range(start, start + exhaustive.ROWS))
        assert outcome.inputs == exhaustive.ROWS
        assert outcome.wrong == ((x,) if wanted == got - 2 else ())
        counts.append(outcome.distance)
    assert asked == [x] * 3
    nearest, beside, beyond = counts[0]
    assert counts[1:] == [(nearest - 1, beside + 1, beyond), (nearest - 1, beside, beyond + 1)]
    assert golden_logarithm(x) == nearest_logarithm(x)


def table_with(offsets: tuple[int, ...]) -> LogarithmTable:
    table = LogarithmTable()
    vars(table)["offsets"] = offsets  # where the cached ones go
    return table


def test_a_sweep_finds_one_wrong_entry() -> None:
    right = LogarithmTable().offsets
    table = table_with(tuple(entry + 9 * (at == 37) for at, entry in enumerate(right)))
    faulty = export(LogarithmUnit(0, table))
    # Inputs of 25 bits, of which the interval's number is the second to the seventh.
    for interval, is_wrong in ((36, False), (37, True)):
        start = (64 + interval) << 18
        outcome = exhaustive.sweep(faulty, range(start, start + exhaustive.ROWS))
        assert (outcome.distance[2] > 0) == is_wrong
    assert outcome.worst > 1.5
    assert len(outcome.wrong) == exhaustive.SHOWN
    assert all(each in range(start, start + exhaustive.ROWS) for each in outcome.wrong)


def test_the_plan_has_all_inputs_once() -> None:
    chunks = [chunk for section in exhaustive.plan() for chunk in section.chunks(None)]
    assert chunks[0].start == 0
    assert chunks[-1].stop == 1 << WORD
    assert all(a.stop == b.start for a, b in pairwise(chunks))
    with pytest.raises(ValueError, match="multiples"):
        exhaustive.sweep(circuit(), range(1, 4097))
    with pytest.raises(ToolError, match="nothing"):
        exhaustive._conclude([], 1.0)


@pytest.mark.parametrize("is_faulty", [False, True])
def test_the_exhaustive_command(
    is_faulty: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept: list[dict] = []
    if is_faulty:
        table = table_with(tuple(entry + 99 for entry in LogarithmTable().offsets))
        monkeypatch.setattr(exhaustive, "LogarithmUnit", lambda depth: LogarithmUnit(depth, table))
    monkeypatch.setattr(exhaustive, "CHUNK", exhaustive.ROWS)
    monkeypatch.setattr(exhaustive.results, "update", lambda section, each: kept.extend(each))
    monkeypatch.setattr("sys.argv", ["exhaustive", "--chunks", "1", "--jobs", "2"])
    assert exhaustive.main() == int(is_faulty)
    output = capsys.readouterr().out
    assert len(kept) == 9
    assert {each["inputs"] for each in kept} == {exhaustive.ROWS}
    if is_faulty:
        assert "1 of 9 sections pass" in output  # the negative numbers
        assert "wrong: logarithm of 00000001" in output
    else:
        assert "9 of 9 sections pass, 36,864 inputs" in output
        assert {each["verdict"] for each in kept} == {"pass"}


# Modulus.


@cache
def modulus() -> Evaluator:
    return build_evaluator(ModulusUnit(0))


def reciprocal_of(modulus: int) -> int:
    return ((1 << 33) - 1) // modulus if modulus else 0


def check_modulus(x: np.ndarray, moduli: np.ndarray) -> None:
    divisors = np.maximum(moduli, 1)
    reciprocals = np.where(moduli > 0, ((1 << 33) - 1) // divisors, 0)
    got = modulus()(value=x, modulus=moduli, reciprocal=reciprocals)["result"]
    check(got, np.where(moduli > 0, x % divisors, x), x)


@pytest.mark.parametrize("divisor", MODULI)
def test_modulus_of_corners(divisor: int) -> None:
    rng = np.random.default_rng([4, divisor])
    last = MASK // max(1, divisor)
    multiples = [0, 1, 2, 3, last - 1, last, *(last >> shift for shift in range(32))]
    about = [each * divisor + step for each in multiples for step in (-2, -1, 0, 1, 2)]
    x = np.array([*CORNERS, *(each for each in about if 0 <= each <= MASK)])
    x = np.concatenate([x, rng.integers(0, 1 << WORD, RANDOM // 10), spread(rng, RANDOM // 10)])
    x = x.astype(np.int64)
    check_modulus(x, np.full_like(x, divisor))


def test_modulus_of_random_numbers() -> None:
    """Of all sizes; next to multiples of the modulus, and as large as they can be."""
    rng = np.random.default_rng(5)
    moduli = spread(rng, RANDOM).astype(np.int64)
    x = rng.integers(0, 1 << WORD, RANDOM)
    multiples = x - x % np.maximum(moduli, 1)
    largest = MASK - (MASK + 1) % np.maximum(moduli, 1)  # remainder M - 1
    for numbers in (x, multiples, np.maximum(multiples - 1, 0), largest, spread(rng, RANDOM)):
        check_modulus(numbers.astype(np.int64), moduli)
    few = 2 ** rng.integers(0, WORD, RANDOM) - rng.integers(0, 3, RANDOM)
    check_modulus(x, few & MASK)


# Bucketise.


@pytest.mark.parametrize("boundaries", BOUNDARIES, ids=len)
def test_buckets(boundaries: tuple[int, ...]) -> None:
    rng = np.random.default_rng(6)
    about = [(each + step) & MASK for each in boundaries for step in (-1, 0, 1)]
    spans = rng.integers(min(boundaries) - 9, max(boundaries) + 9, 1000) & MASK
    x = np.concatenate([CORNERS, about, spans, rng.integers(0, 1 << WORD, 1000)])
    got = build_evaluator(BucketiseUnit(boundaries, 0))(value=x)["result"]
    want = np.array([sum(each <= signed(int(word)) for each in boundaries) for word in x])
    check(got, want, x)
    assert got.max() == len(boundaries)
    assert got.min() == (min(boundaries) == -SIGN)


@pytest.mark.parametrize(
    ("boundaries", "message"),
    [
        ((), "1 or more"),
        ([1, 2], "tuple"),
        ((1, 1), "boundary 1 does not exceed 1"),
        ((1, 3, 2), "boundary 2 does not exceed 3"),
        ((0, SIGN), f"boundary {SIGN} is not"),
        ((-SIGN - 1, 0), f"boundary {-SIGN - 1} is not"),
        ((0.5,), "boundary 0.5 is not"),
        ((True,), "boundary True is not"),
    ],
)
def test_boundaries_that_are_refused(boundaries: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bucketise(boundaries)


# All of them, with registers.


@pytest.mark.parametrize(
    "operator", [Neg2Zero(), Logarithm(), Modulus(), Bucketise((3, 5))], ids=lambda each: str(each)
)
def test_ports(operator: Operator) -> None:
    unit = operator.build(None)
    assert unit.depth == operator.ranks
    ports = {name: len(getattr(unit, name)) for name in unit.signature.members}
    settings = {name: SETTINGS[name] for name in operator.settings}
    enables = {"enable": operator.ranks} if operator.ranks else {}
    assert ports == {"value": WORD, "result": WORD, **settings, **enables}
    assert export(unit)


DIVISOR = 5000


def pipelined() -> Iterator[tuple[str, Callable[[int], StagedUnit], list[int], dict[str, int]]]:
    """Units to be made of a depth, their own depths, and inputs that stay."""
    settings = {"modulus": DIVISOR, "reciprocal": reciprocal_of(DIVISOR)}
    yield "neg2zero", Neg2ZeroUnit, [1, 2], {}
    yield "logarithm", LogarithmUnit, [Logarithm.ranks, 3], {}
    yield "modulus", ModulusUnit, [Modulus.ranks], settings
    yield "decimal", DecimalNumber, [DecimalNumber.RANKS, 2], {}
    yield (
        "bucketise",
        lambda depth: BucketiseUnit((-(10**9), 0, 7, 10**9), depth),
        [Bucketise.ranks],
        {},
    )


PIPELINED = [
    pytest.param(make, depth, settings, id=f"{name}-{depth}")
    for name, make, depths, settings in pipelined()
    for depth in depths
]


@pytest.mark.parametrize(("make", "depth", "settings"), PIPELINED)
def test_ranks_move_as_they_are_enabled(
    make: Callable[[int], StagedUnit], depth: int, settings: dict[str, int]
) -> None:
    """Each rank by itself: the result is that of the input that the last rank holds."""
    function, unit = build_evaluator(make(0)), make(depth)
    names = [name for name in unit.signature.members if name not in {"enable", "result", *settings}]
    random_ = random.Random(depth)
    compared = []

    async def bench(context) -> None:
        for name, setting in settings.items():
            context.set(getattr(unit, name), setting)
        ranks: list[dict[str, int] | None] = [None] * depth
        for _ in range(60):
            given = {name: random_.getrandbits(len(getattr(unit, name))) for name in names}
            given = {
                name: word & 0x9999999999 if name == "digits" else word
                for name, word in given.items()
            }
            enables = random_.getrandbits(depth) | random_.getrandbits(depth)
            for name, word in given.items():
                context.set(getattr(unit, name), word)
            context.set(unit.enable, enables)
            await context.tick()
            before = [given, *ranks]
            ranks = [before[at] if enables >> at & 1 else ranks[at] for at in range(depth)]
            if ranks[-1]:
                compared.append((context.get(unit.result), ranks[-1]))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    got, inputs = zip(*compared, strict=True)
    assert len(got) > 40
    columns = {name: np.array([each[name] for each in inputs]) for name in names}
    want = function(**columns, **settings)["result"]
    assert list(got) == want.tolist()
    assert len(set(got)) > 2


# Reciprocal.


#: Moduli one after the other, and the cycles in which each stays; None: until it is ready.
SEQUENCE = (
    (0, None),
    (1, None),
    (5000, None),
    (5000, 3),
    (MASK, None),
    (SIGN, 5),  # not long enough
    (3, 33),  # one cycle short
    (SIGN, None),
    (0, None),
    (0, 2),
    (7, 1),
    (0, None),
    (MASK - 1, None),
    (SIGN - 1, None),
    (SIGN + 1, None),
    (8192, None),
    (10**6, None),
    (2, None),
)


@pytest.mark.parametrize("first", [0, 1, 5000])
def test_reciprocals(first: int) -> None:
    """What they are, and that they are ready just when they should be."""
    random_ = random.Random(first)
    sizes = [random_.getrandbits(random_.randrange(1, WORD + 1)) for _ in range(20)]
    unit = Reciprocal()
    checked = []

    async def bench(context) -> None:
        reached = 0  # after a reset
        for modulus, stays in [(first, None), *SEQUENCE, *((size, None) for size in sizes)]:
            context.set(unit.modulus, modulus)
            wait = 0 if modulus == reached else 34 if modulus else 1
            for _ in range(wait if stays is None else stays):
                assert context.get(unit.ready) == (wait == 0), (modulus, wait)
                await context.tick()
                wait = max(0, wait - 1)
            reached = modulus if wait == 0 else None
            assert context.get(unit.ready) == (wait == 0), (modulus, wait)
            if wait == 0:
                assert context.get(unit.reciprocal) == reciprocal_of(modulus)
                checked.append(modulus)

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(checked) == 1 + len(SEQUENCE) - 3 + len(sizes)


def test_a_reset_ends_a_reciprocal() -> None:
    m, reset = Module(), Signal()
    m.submodules.unit = unit = ResetInserter(reset)(Reciprocal())
    ready, reciprocal, modulus = Signal(), Signal(33), Signal(WORD)
    m.d.comb += [unit.modulus.eq(modulus), ready.eq(unit.ready), reciprocal.eq(unit.reciprocal)]

    async def bench(context) -> None:
        context.set(modulus, 77)
        for start in (10, 40, 0):
            for _ in range(start):
                await context.tick()
            context.set(reset, 1)
            await context.tick()
            context.set(reset, 0)
            for _ in range(34):
                assert not context.get(ready)
                await context.tick()
            assert context.get(ready)
            assert context.get(reciprocal) == reciprocal_of(77)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
