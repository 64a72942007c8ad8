"""Testbench of one PE: every accumulator value of every beat against the golden model."""

from typing import Any

import numpy as np

from golden.ent import row_correction, running_sums, sign_offset
from golden.integers import Integers, all_signed, signed_range, wrap
from hdl.ent.configurations import PEConfiguration
from hdl.ent.parameters import Parameters
from sim.bench import Bench, bench_test
from sim.ent.code import code_words

RANDOM_BEATS = 4000


@bench_test
async def all_products(bench: Bench) -> None:
    """Every pair of operands (16 bits: corners times random), each product on its own."""
    p = _parameters(bench)
    values = all_signed(p.operand_bits) if p.operand_bits <= 8 else corners(bench, p)
    a, b = (grid.ravel() for grid in np.meshgrid(values, values, indexing="ij"))
    await _check_beats(bench, a, b, np.ones(len(a), dtype=bool))


@bench_test
async def running_accumulation(bench: Bench) -> None:
    """Random tiles of random length: the accumulator after each beat."""
    p = _parameters(bench)
    low, high = signed_range(p.operand_bits)
    a, b = bench.rng.integers(low, high, (2, RANDOM_BEATS), endpoint=True)
    first = bench.cycle
    await _check_beats(bench, a, b, bench.rng.random(RANDOM_BEATS) < 0.05)
    bench.report_work(RANDOM_BEATS, RANDOM_BEATS, first)


@bench_test
async def accumulator_extremes(bench: Bench) -> None:
    """Runs of the largest products of either sign, far beyond where the accumulator wraps."""
    p = _parameters(bench)
    low, high = signed_range(p.operand_bits)
    length = min(4 * (p.longest_exact_tile + 1), 4096)
    for factor_a, factor_b in ((low, low), (low, high), (high, high)):
        last = np.zeros(length, dtype=bool)
        last[-1] = True
        await _check_beats(bench, np.full(length, factor_a), np.full(length, factor_b), last)


@bench_test
async def reset_starts_anew(bench: Bench) -> None:
    """A reset of one cycle in the middle of a tile: the next beat starts from zero."""
    p = _parameters(bench)
    low, high = signed_range(p.operand_bits)
    for length in (1, 2, 7):
        a, b = bench.rng.integers(low, high, (2, length), endpoint=True)
        await _check_beats(bench, a, b, np.zeros(length, dtype=bool))
        await bench.reset(1)
        await _check_beats(bench, a, b, np.arange(length) == length - 1)


async def _check_beats(bench: Bench, a: Integers, b: Integers, last: np.ndarray) -> None:
    p = _parameters(bench)
    expected = _expected_sums(a, b, last, p)
    words = code_words(a, p)
    mask = (1 << p.operand_bits) - 1
    dut = bench.dut
    seen: list[tuple[int, int, int, int]] = []
    dut.a.value, dut.b.value, dut.last.value = words[0], int(b[0]) & mask, int(last[0])
    await bench.tick()
    # A beat driven after one edge is taken at the next and shows at the one after that.
    for index in range(1, len(a) + 1):
        following = min(index, len(a) - 1)
        dut.a.value = words[following]
        dut.b.value = int(b[following]) & mask
        dut.last.value = int(last[following])
        await bench.tick()
        seen.append(_outputs(dut))
    accumulators, a_next, b_next, last_next = np.array(seen).T
    bench.check_equal(wrap(accumulators, p.accumulator_bits), expected, "accumulator by beat")
    bench.check_equal(a_next, words, "a_next by beat")
    bench.check_equal(b_next, b & mask, "b_next by beat")
    bench.check_equal(last_next, last, "last_next by beat")


def _outputs(dut: Any) -> tuple[int, int, int, int]:
    return (
        int(dut.accumulator.value),
        int(dut.a_next.value),
        int(dut.b_next.value),
        int(dut.last_next.value),
    )


def _expected_sums(a: Integers, b: Integers, last: np.ndarray, p: Parameters) -> Integers:
    sums = running_sums(a, b, last.tolist(), p.accumulator_bits)
    if p.correct_at == "edge":
        # Without its correction each product is off by what depends on a alone.
        off = sign_offset(p.operand_bits) - row_correction(a, p.operand_bits, p.encoding.value)
        sums = sums + running_sums(off, np.ones_like(off), last.tolist(), p.accumulator_bits)
    return wrap(sums, p.accumulator_bits)


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
