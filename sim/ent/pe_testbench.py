"""Testbench of one PE: every accumulator value of every beat against the golden model."""

from typing import Any

import numpy as np

from golden.ent import quiet_offset, row_correction, running_sums, sign_offset
from golden.integers import Integers, all_signed, signed_range, wrap
from hdl.ent.configurations import PEConfiguration
from hdl.ent.parameters import Parameters
from sim.bench import Bench, bench_test
from sim.ent.code import a_beats
from sim.ent.operands import digits_layer, normal_matrix
from sim.packing import pack_rows

RANDOM_BEATS = 4000
#: Beats of real operands, and how many of them make a tile.
REAL_BEATS = 2048
REAL_TILE = 64


@bench_test
async def all_products(bench: Bench) -> None:
    """Every pair of operands (16 bits: corners times random), each product on its own."""
    p = _parameters(bench)
    values = all_signed(p.operand_bits) if p.operand_bits <= 8 else corners(bench, p)
    a, b = (_in_lanes(grid, p) for grid in np.meshgrid(values, values, indexing="ij"))
    await _check_beats(bench, a, b, np.ones(len(a), dtype=bool))


@bench_test
async def running_accumulation(bench: Bench) -> None:
    """Random tiles of random length: the accumulator after each beat."""
    p = _parameters(bench)
    low, high = signed_range(p.operand_bits)
    a, b = bench.rng.integers(low, high, (2, RANDOM_BEATS, p.lanes), endpoint=True)
    first = bench.cycle
    await _check_beats(bench, a, b, bench.rng.random(RANDOM_BEATS) < 0.05)
    bench.report_work(RANDOM_BEATS * p.lanes, RANDOM_BEATS, first)


@bench_test
async def normal_operands(bench: Bench) -> None:
    """Normally distributed operands, in tiles; energy is stated for them too."""
    p = _parameters(bench)
    a, b = (normal_matrix(bench.rng, (REAL_BEATS, p.lanes), p.operand_bits) for _ in range(2))
    await _real_beats(bench, a, b, "normal")


@bench_test
async def digits_operands(bench: Bench) -> None:
    """Operands of the digits network's first layer, images by weights, where they fit."""
    p = _parameters(bench)
    images, weights = digits_layer()
    low, high = signed_range(p.operand_bits)
    a, b = (
        np.clip(np.resize(matrix, (REAL_BEATS, p.lanes)), low, high)
        for matrix in (images, weights.T)
    )
    await _real_beats(bench, a, b, "digits")


async def _real_beats(bench: Bench, a: Integers, b: Integers, operands: str) -> None:
    first = bench.cycle
    await _check_beats(bench, a, b, np.arange(len(a)) % REAL_TILE == REAL_TILE - 1)
    bench.report_work(a.size, len(a), first, operands)


@bench_test
async def accumulator_extremes(bench: Bench) -> None:
    """Runs of the largest products of either sign, far beyond where the accumulator wraps."""
    p = _parameters(bench)
    low, high = signed_range(p.operand_bits)
    length = min(4 * (p.longest_exact_tile + 1), 4096)
    for factor_a, factor_b in ((low, low), (low, high), (high, high)):
        last = np.zeros(length, dtype=bool)
        last[-1] = True
        a, b = (np.full((length, p.lanes), factor) for factor in (factor_a, factor_b))
        await _check_beats(bench, a, b, last)


@bench_test
async def reset_starts_anew(bench: Bench) -> None:
    """A reset of one cycle in the middle of a tile: the next beat starts from zero."""
    p = _parameters(bench)
    low, high = signed_range(p.operand_bits)
    for length in (1, 2, 7):
        a, b = bench.rng.integers(low, high, (2, length, p.lanes), endpoint=True)
        await _check_beats(bench, a, b, np.zeros(length, dtype=bool))
        await bench.reset(1)
        await _check_beats(bench, a, b, np.arange(length) == length - 1)


async def _check_beats(bench: Bench, a: Integers, b: Integers, last: np.ndarray) -> None:
    """Send beats, operands of shape (beats, lanes), and compare all that the PE shows."""
    p = _parameters(bench)
    beats = len(a)
    sent_a, sent_b = a_beats(a, p), pack_rows(b, p.operand_bits)
    dut = bench.dut
    dut.a.value, dut.b.value, dut.last.value = sent_a[0], sent_b[0], int(last[0])
    await bench.tick()
    seen: list[tuple[int, ...]] = []
    # A beat driven after one edge is taken at the next and shows at the one after that.
    for index in range(1, beats + p.pe_latency):
        following = min(index, beats - 1)
        dut.a.value, dut.b.value = sent_a[following], sent_b[following]
        dut.last.value = int(last[following])
        await bench.tick()
        seen.append(_outputs(dut))
    accumulators, done, *passed = ([*values] for values in zip(*seen, strict=True))
    late = p.pe_latency - 1
    sums = [_sum_of_words(word, p) for word in accumulators[late:]]
    expected = _expected_sums(a, b, last, p)
    bench.check_equal(wrap(np.array(sums), p.accumulator_bits), expected, "accumulator by beat")
    bench.check_equal(done[late:], last, "done by beat")
    for name, values, sent in zip(
        ("a_next", "b_next", "last_next"), passed, (sent_a, sent_b, last.tolist()), strict=True
    ):
        bench.check_equal(np.array(values[:beats], object), np.array(sent, object), name)


def _outputs(dut: Any) -> tuple[int, ...]:
    ports = (dut.accumulator, dut.done, dut.a_next, dut.b_next, dut.last_next)
    return tuple(int(port.value) for port in ports)


def _sum_of_words(accumulator: int, p: Parameters) -> int:
    """The number that the accumulator's words stand for, modulo its width."""
    mask = (1 << p.accumulator_bits) - 1
    words = (accumulator >> word * p.accumulator_bits for word in range(p.words))
    return sum(word & mask for word in words) & mask


def _expected_sums(a: Integers, b: Integers, last: np.ndarray, p: Parameters) -> Integers:
    sums = _running(a, b, last, p)
    if p.correct_at == "edge":
        # Without its correction each product is off by what depends on a alone.
        off = _offset(a, p) - row_correction(a, p.operand_bits, p.encoding.value)
        sums = sums + _running(off, np.ones_like(off), last, p)
    return wrap(sums, p.accumulator_bits)


def _offset(a: Integers, p: Parameters) -> Integers | int:
    """What the rows' inverted signs add to each product."""
    if p.quiet:
        return quiet_offset(a, p.operand_bits, p.encoding.value)
    return sign_offset(p.operand_bits)


def _running(a: Integers, b: Integers, last: np.ndarray, p: Parameters) -> Integers:
    """Sums after each beat: lanes one after the other, the last of them ends the beat."""
    ends = np.zeros(a.shape, dtype=bool)
    ends[:, -1] = last
    sums = running_sums(a.ravel(), b.ravel(), ends.ravel().tolist(), p.accumulator_bits)
    return sums[p.lanes - 1 :: p.lanes]


def _in_lanes(values: Integers, p: Parameters) -> Integers:
    """All values in beats of ``lanes``, as many as make whole beats."""
    whole = values.size // p.lanes * p.lanes
    return values.ravel()[:whole].reshape(-1, p.lanes)


def corners(bench: Bench, p: Parameters) -> Integers:
    """Operands where a recoding may go wrong: around powers of two, the ends, some at random."""
    low, high = signed_range(p.operand_bits)
    powers = [sign << bit for bit in range(p.operand_bits - 1) for sign in (1, -1)]
    near = [number + offset for number in powers for offset in (-1, 0, 1)]
    random = bench.rng.integers(low, high, 48, endpoint=True).tolist()
    return np.unique(np.clip([low, low + 1, high - 1, high, *near, *random], low, high))


def _parameters(bench: Bench) -> Parameters:
    assert isinstance(bench.configuration, PEConfiguration)
    return bench.configuration.parameters
