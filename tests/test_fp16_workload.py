"""The FP16 unit's real workload: matrix products, their programs, and a network that they train."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from float_reference import decode, exact_sum
from test_golden_fp16 import close_sums, dot_cases

from golden import fp16, fp16_matrix
from golden.float_format import FLOAT16, FLOAT32
from golden.fp16_instruction import Operation
from golden.fp16_matrix import Accumulation, accumulators, multiply
from golden.fp16_unit import execute
from golden.integers import Integers
from golden.rounding import Mode
from hdl.datapath import find_datapath
from hdl.fp16.format import FLOAT16 as LANE
from hdl.fp16.parameters import Parameters
from sim import digits_data
from sim.fp16.kernels import make_steps
from sim.fp16.operands import corner_values, weights
from sim.fp16.program import golden_unit
from sim.fp16.train import ARITHMETICS, accuracy, gradient_error, load_figures
from sim.fp16.training import (
    FILTERS,
    PLACES,
    SEED,
    TAPS,
    Arithmetic,
    Floats,
    Network,
    Training,
    batches,
    forward,
    gradients,
    initial_network,
)
from sim.run import SimulationResult, simulate

CONFIGURATION = "4xe5m10-depth3.1.2.3.2.1"
IMAGES, LABELS = digits_data.training_split()

every_accumulation = pytest.mark.parametrize("how", list(Accumulation))


def every_exponent(rng: np.random.Generator) -> tuple[Integers, ...]:
    """Three operands: all triples of FLOAT16's exponents, eight times, with chosen fractions."""
    exponents = np.tile(np.array(list(product(range(32), repeat=3))), (8, 1)).T
    fractions = rng.choice([0, 1, 2, 511, 512, 513, 1022, 1023, *range(1024)], exponents.shape)
    a, b, c = exponents << 10 | fractions | rng.integers(0, 2, exponents.shape) << 15
    return a, b, c


def near_ties(rng: np.random.Generator, count: int) -> tuple[Integers, ...]:
    """Sums half way between two FLOAT32 numbers, moved by a product too small for a float64.

    c is of 24 bits and 2**8 or more, a0 * b0 half a unit in its last place, a1 * b1 down to 2**-48.
    """
    exponent = rng.integers(8, 16, count)
    c = exponent + 127 << 23 | rng.integers(0, 1 << 23, count) | rng.integers(0, 2, count) << 31
    half = exponent - 24
    a0 = half + 10 + 15 << 10 | rng.integers(0, 2, count) << 15
    b0 = np.full(count, -10 + 15 << 10)
    a1, b1 = (rng.integers(0, 4, count) | rng.integers(0, 2, count) << 15 for _ in range(2))
    swapped = rng.random(count) < 0.5
    return (*(np.where(swapped, *each) for each in ((a0, a1), (b0, b1), (a1, a0), (b1, b0))), c)


def assert_equal(got: Integers, expected: Integers, *operands: Integers) -> None:
    wrong = np.flatnonzero(got != expected)
    assert not len(wrong), [hex(each[wrong[0]]) for each in (*operands, got, expected)]


def test_multiply_add_equals_the_golden_arithmetic() -> None:
    rng = np.random.default_rng(1)
    cases = np.concatenate([every_exponent(rng), close_sums(FLOAT16, 10_000, seed=2)], axis=1)
    assert cases.shape[1] > 300_000
    expected, _ = fp16.fused_multiply_add(*cases, FLOAT16, Mode.RNE)
    assert_equal(fp16_matrix.fused_multiply_add(*cases), expected, *cases)


def test_dot_product_equals_the_golden_arithmetic() -> None:
    rng = np.random.default_rng(3)
    corners = [corner_values(rng, FLOAT16, (150_000,)) for _ in range(4)]
    corners.append(corner_values(rng, FLOAT32, (150_000,)))
    directed = [dot_cases(FLOAT16, FLOAT32, seed) for seed in range(20)]
    cases = np.concatenate([corners, *directed, near_ties(rng, 50_000)], axis=1)
    assert cases.shape[1] > 200_000
    expected, _ = fp16.dot2(*cases, FLOAT16, FLOAT32, Mode.RNE)
    assert_equal(fp16_matrix.dot2(*cases), expected, *cases)


def test_dot_products_need_more_than_float64() -> None:
    """Otherwise the cases above would not reach what makes them exact."""
    cases = near_ties(np.random.default_rng(4), 10_000)
    a0, b0, a1, b1 = (fp16_matrix.values(each, FLOAT16) for each in cases[:4])
    plain = a0 * b0 + a1 * b1 + fp16_matrix.values(cases[4], FLOAT32)
    wrong = fp16_matrix.patterns(plain, FLOAT32) != fp16_matrix.dot2(*cases)
    assert np.mean(wrong) > 0.2


def step_by_step(a: Integers, b: Integers, how: Accumulation, total: Integers) -> Integers:
    """Accumulators by ``golden.fp16``."""
    steps = []
    for k in range(0, a.shape[1], how.terms):
        factors = [each for at in range(k, k + how.terms) for each in factors_of(a, b, at)]
        if how is Accumulation.FMADD:
            total, _ = fp16.fused_multiply_add(*factors, total, FLOAT16, Mode.RNE)
        else:
            total, _ = fp16.dot2(*factors, total, FLOAT16, FLOAT32, Mode.RNE)
        steps.append(total)
    return np.array(steps)


def factors_of(a: Integers, b: Integers, k: int) -> tuple[Integers, Integers]:
    """Step k's factors of all products; beyond the last step +0."""
    if k == len(b):
        return np.zeros((len(a), 1), np.int64), np.zeros((1, b.shape[1]), np.int64)
    return a[:, k, None], b[None, k]


def chained_ties(rng: np.random.Generator, how: Accumulation) -> list[Integers]:
    """Products whose sums must be corrected at one step after the other."""
    a0, b0, a1, b1, c = near_ties(rng, 40)
    depth = 12
    a = np.tile(np.stack([a0, a1], axis=1), (1, depth // 2))
    b = np.tile(np.stack([b0, b1]), (depth // 2, 1))
    return [a, b, np.tile(c, (40, 1)) if how is Accumulation.EXDOTP else np.zeros((40, 40), int)]


@every_accumulation
@pytest.mark.parametrize("block", [1, 1 << 18])
def test_accumulators_equal_the_golden_arithmetic(
    how: Accumulation, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fp16_matrix, "BLOCK", block)
    rng = np.random.default_rng(5)
    cases = [chained_ties(rng, how)]
    for n, k, m in ((1, 1, 1), (5, 3, 1), (7, 6, 11), (20, 33, 15)):
        for draw in (corner_values, weights):
            c = corner_values(rng, how.format, (n, m))
            cases.append([draw(rng, FLOAT16, (n, k)), draw(rng, FLOAT16, (k, m)), c])
    for a, b, c in cases:
        got = accumulators(a, b, how, c)
        assert np.array_equal(got, step_by_step(a, b, how, c))
        assert np.array_equal(multiply(a, b, how, c), got[-1])
        assert np.array_equal(accumulators(b.T, a.T, how, c.T), got.swapaxes(1, 2))
        zeros = np.zeros_like(c)
        assert np.array_equal(multiply(a, b, how), multiply(a, b, how, zeros))


@every_accumulation
def test_accumulators_equal_fractions(how: Accumulation) -> None:
    rng = np.random.default_rng(6)
    for draw, depth in product((corner_values, weights), (1, 4, 5)):
        a, b = draw(rng, FLOAT16, (6, depth)), draw(rng, FLOAT16, (depth, 6))
        got = accumulators(a, b, how)
        for row, column in product(range(6), range(6)):
            total = 0
            for step, bits in enumerate(got[:, row, column].tolist()):
                terms = range(how.terms * step, min(how.terms * (step + 1), depth))
                pairs = [
                    tuple(decode(int(each), FLOAT16) for each in (a[row, k], b[k, column]))
                    for k in terms
                ]
                if len(pairs) < how.terms:
                    pairs.append((decode(0, FLOAT16), decode(0, FLOAT16)))
                exact = exact_sum(pairs, [decode(total, how.format)])
                total, _ = exact.rounded(how.format, Mode.RNE)
                assert bits == total


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        multiply(np.zeros((2, 3)), np.zeros((2, 3)), Accumulation.FMADD)


@every_accumulation
@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 5, 16])
def test_programs_in_order(how: Accumulation, lanes: int) -> None:
    """Executed one by one on the golden unit, with a register for each tag: as expected."""
    p = Parameters(LANE, lanes)
    unit, rng = golden_unit(p), np.random.default_rng(7)
    for n, k, m in ((1, 1, 1), (5, 3, 1), (2, 6, 7), (3, 5, 70)):
        a, b = corner_values(rng, FLOAT16, (n, k)), corner_values(rng, FLOAT16, (k, m))
        steps = make_steps(p, how, a, b, corner_values(rng, how.format, (n, m)))
        registers: dict[int, int] = {}
        for step in steps:
            operands = {"b": step.b_from, "c": step.c_from}
            read = {name: registers[tag] for name, tag in operands.items() if tag is not None}
            (result,) = execute(unit, [replace(step.instruction, **read)])
            assert (result.result, result.error) == (step.result, 0)
            registers[result.tag] = result.result
        elements = p.pairs if how is Accumulation.EXDOTP else lanes
        places = product(range(n), range(-(-m // elements)), range(-(-k // how.terms)))
        assert sorted(step.place for step in steps if step.place is not None) == list(places)


def test_a_program_shares_its_shuffles() -> None:
    """64 columns: a SHUFFLE for 32 EXDOTPs, and nothing else."""
    a, b = np.zeros((4, 64), np.int64), np.zeros((64, 64), np.int64)
    steps = make_steps(Parameters(LANE, 4), Accumulation.EXDOTP, a, b, np.zeros((4, 64), np.int64))
    operations = [step.instruction.operation for step in steps]
    assert operations.count(Operation.SHUFFLE) == 4 * 32
    assert operations.count(Operation.EXDOTP) == len(steps) - 4 * 32 == 4 * 32 * 32


def plain(a: Floats, b: Floats) -> Floats:
    return a.astype(np.float64) @ b.astype(np.float64)


def test_gradients_equal_finite_differences() -> None:
    rng = np.random.default_rng(8)
    network = initial_network(rng)
    weights64 = [network.convolution.astype(float), network.dense.astype(float)]
    weights64[0][0] = rng.normal(size=FILTERS)  # with 0, blank windows are at the kink of ReLU
    arithmetic = Arithmetic(np.float64, plain)
    images, labels = IMAGES[:5], LABELS[:5]
    slopes, _ = gradients(Network(*weights64), images, labels, arithmetic)
    for matrix, slope in zip(weights64, (slopes.convolution, slopes.dense), strict=True):
        assert slope.shape == matrix.shape
        for at in rng.choice(matrix.size, min(matrix.size, 150), replace=False):
            before, losses = matrix.flat[at], []
            for moved in (before + 1e-6, before - 1e-6):
                matrix.flat[at] = moved
                losses.append(gradients(Network(*weights64), images, labels, arithmetic)[1])
            matrix.flat[at] = before
            assert slope.flat[at] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-7)


def test_the_convolution_is_one() -> None:
    network = initial_network(np.random.default_rng(9))
    network.convolution[0] = np.arange(FILTERS)
    windows = forward(network, IMAGES[:1], Arithmetic(np.float64, plain)).windows
    sums = (windows @ network.convolution).reshape(6, 6, FILTERS)
    image = IMAGES[0].reshape(8, 8) / 16
    filters = network.convolution[1:].reshape(3, 3, FILTERS)
    for y, x in product(range(6), range(6)):
        expected = np.einsum("yx,yxf->f", image[y : y + 3, x : x + 3], filters)
        assert sums[y, x] == pytest.approx(expected + np.arange(FILTERS))


@pytest.mark.parametrize("name", ARITHMETICS)
def test_loss_falls(name: str) -> None:
    rng = np.random.default_rng(SEED)
    training, losses = Training.start(rng), []
    for _, chosen in zip(range(40), batches(rng, len(LABELS)), strict=False):
        training, loss = training.step(IMAGES[chosen], LABELS[chosen], ARITHMETICS[name])
        losses.append(loss)
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


@every_accumulation
def test_products_go_through_the_hook(how: Accumulation) -> None:
    """Five products of float16 operands, and a wrong one reaches the weights."""
    name = "exdotp" if how is Accumulation.EXDOTP else "fp16"
    start = Training.start(np.random.default_rng(SEED))
    expected, _ = start.step(IMAGES[:8], LABELS[:8], ARITHMETICS[name])
    shapes = []
    for wrong in range(5):
        shapes.clear()

        def hook(a: Floats, b: Floats, wrong: int = wrong) -> Floats:
            assert a.dtype == b.dtype == np.float16
            result = ARITHMETICS[name].multiply(a, b)
            if len(shapes) == wrong:
                result = result + result.dtype.type(1)
            shapes.append((a.shape[0], a.shape[1], b.shape[1]))
            return result

        changed, _ = start.step(IMAGES[:8], LABELS[:8], Arithmetic(np.float16, hook))
        assert not np.array_equal(changed.network.convolution, expected.network.convolution) or (
            not np.array_equal(changed.network.dense, expected.network.dense)
        )
    windows, hidden = 8 * PLACES, PLACES * FILTERS
    assert shapes == [
        (windows, 1 + TAPS, FILTERS),
        (8, 1 + hidden, 10),
        (1 + hidden, 8, 10),
        (8, 10, hidden),
        (1 + TAPS, windows, FILTERS),
    ]


def test_recorded_accuracies_are_what_training_makes() -> None:
    """An image more or less in float32: BLAS kernels differ in the last bits of their sums."""
    recorded = load_figures()
    for name, tolerance in (("fp16", 0), ("exdotp", 0), ("fp32", 1 / 360)):
        made = accuracy(name)
        assert made == pytest.approx(recorded[f"training_accuracy_{name}"], abs=tolerance + 1e-9)
        assert made >= 0.97
        assert abs(made - recorded["training_accuracy_fp32"]) <= 0.01


def test_accumulating_in_16_bits_costs_accuracy_of_long_sums() -> None:
    recorded = load_figures()
    errors = {name: gradient_error(name) for name in ("fp16", "exdotp")}
    for name, error in errors.items():
        assert error == pytest.approx(recorded[f"gradient_error_{name}"], rel=1e-3)
    assert errors["fp16"] > 0.05
    assert errors["exdotp"] < 1e-5


@cache
def simulated() -> SimulationResult:
    return simulate(find_datapath("fp16"), CONFIGURATION)


def test_simulation_reports_the_workload() -> None:
    result = simulated()
    assert result.verdict == "pass", f"{result.message}\nreplay with waves: {result.replay}"
    figures = result.figures
    assert figures is not None
    assert figures["matrix_utilisation_fma"] >= 0.999
    assert figures["matrix_utilisation_exdotp"] >= 0.965
    for name in ("fp16", "exdotp"):
        assert figures[f"training_loss_last_{name}"] < 0.9 * figures[f"training_loss_first_{name}"]
        assert figures[f"training_mac_per_cycle_{name}"] >= 3.6
    assert {name: figures[name] for name in load_figures()} == load_figures()
