"""Testbench of the streaming multiplier: exact results under any shape, stall, reset and error."""

from functools import partial

import numpy as np

from golden.ent import Beat, gemm
from golden.integers import Integers, all_signed, signed_range
from sim.bench import PATTERNS, Bench, Sink, Source, bench_test
from sim.ent.multiplier import FLOWING, Multiplier, Patterns
from sim.ent.pe_testbench import corners
from sim.ent.streams import operand_beats, random_matrix
from sim.ent.tiling import TilePair

LONGEST_INNER = 4096
#: Where the error counter saturates.
MOST_COUNTED = 255


@bench_test
async def every_product(bench: Bench) -> None:
    """Outer product of all values by all values (16 bits: corners): each product on its own."""
    multiplier = Multiplier(bench)
    bits = multiplier.parameters.operand_bits
    values = all_signed(bits) if bits <= 8 else corners(bench, multiplier.parameters)
    await _check_product(multiplier, values[:, None], values[None, :])


@bench_test
async def shapes_under_stalls(bench: Bench) -> None:
    """Shapes that do not divide the array, K from 1 to 4096, all ports pausing at random."""
    multiplier = Multiplier(bench)
    rows, columns = multiplier.configuration.rows, multiplier.configuration.columns
    bits = multiplier.parameters.operand_bits
    shapes = [(1, 1, 1), (rows + 1, 2, columns + 1), (3 * rows - 1, 1, 2 * columns + 1)]
    shapes += [(rows, inner, columns) for inner in (1, 2, 3, rows, rows + columns + 3, 255)]
    shapes += [tuple(bench.rng.integers(1, 40, 3).tolist()) for _ in range(4)]
    for height, inner, width in shapes:
        patterns = tuple(bench.rng.choice(PATTERNS, 3).tolist())
        a = random_matrix(bench.rng, (height, inner), bits)
        b = random_matrix(bench.rng, (inner, width), bits)
        await _check_product(multiplier, a, b, patterns)
    for patterns in (("random", "random", "random"), ("bursts", "flowing", "random")):
        a = random_matrix(bench.rng, (rows, LONGEST_INNER), bits)
        b = random_matrix(bench.rng, (LONGEST_INNER, columns), bits)
        await _check_product(multiplier, a, b, patterns)


@bench_test
async def sustained_throughput(bench: Bench) -> None:
    """Ten tiles of 1024 beats back to back: no bubble but the contract's, 98 % overall."""
    multiplier = Multiplier(bench)
    tiles, inner = 10, 1024
    source, sink = await _send_random(multiplier, tiles, inner)
    _check_bubbles(multiplier, source, inner)
    cycles = sink.received[-1][0] - source.taken[0] + 1
    c = multiplier.configuration
    multipliers = c.rows * c.columns * c.parameters.lanes
    work = tiles * inner * multipliers
    rate = work / cycles
    bench.check(rate >= 0.98 * multipliers, f"only {rate:.2f} of {multipliers} MACs a cycle")
    bench.report_work(work, cycles, source.taken[0])


@bench_test
async def shortest_tiles(bench: Bench) -> None:
    """The shortest tiles that the contract promises to take without a bubble; the latency."""
    multiplier = Multiplier(bench)
    c = multiplier.configuration
    latency = c.build().latency
    shortest = max(c.rows, c.rows + latency - c.rows * (c.buffered_tiles - 1))
    for inner in (shortest, shortest + 1):
        source, sink = await _send_random(multiplier, 12, inner)
        _check_bubbles(multiplier, source, inner)
        first_rows = [cycle for cycle, _ in sink.received[:: c.rows]]
        ends = source.taken[inner - 1 :: inner]
        bench.check_equal(np.subtract(first_rows, ends), [latency] * 12, "latency by tile")


@bench_test
async def reset_in_mid_tile(bench: Bench) -> None:
    """A reset of one cycle, at many moments: what was inside is gone, what follows is exact."""
    multiplier = Multiplier(bench)
    c = multiplier.configuration
    for moment in (1, 2, 3, c.rows + 1, c.rows + c.columns, 20, 33):
        beats = _random_beats(multiplier, [5, 2 * c.rows + 9, 17])
        ends = multiplier.ends(*beats, ("flowing", "random", "bursts"))
        for _ in range(moment):
            await bench.tick(*ends, multiplier.status)
        for source in ends[:2]:
            source.withdraw()
        await bench.reset(1)
        multiplier.status.forget()
        await bench.tick()
        bench.check(not int(bench.port("o__valid").value), "a reset left an output")
        pair = _random_pair(multiplier, 7)
        await multiplier.send([pair, pair])
        await _settle(multiplier)


@bench_test
async def mismatched_lasts(bench: Bench) -> None:
    """Inputs that end tiles early: flagged and counted, beyond what the counter holds.

    Correct tiles in between are exact, and leave the sticky flags alone.
    """
    multiplier = Multiplier(bench)
    for count, patterns in ((300, FLOWING), (40, ("random", "bursts", "random"))):
        await bench.reset(1)
        lengths = bench.rng.integers(1, 12, count)
        change = bench.rng.random(count) < (0.95 if count > MOST_COUNTED else 0.4)
        others = np.where(change, 1 + lengths % 11, lengths)
        others[-1] = lengths[-1]
        a, b = _random_beats(multiplier, lengths.tolist(), others.tolist())
        source_a, source_b, sink = multiplier.ends(a, b, patterns)
        rows = count * multiplier.configuration.rows
        await bench.run(
            (source_a, source_b, sink),
            partial(_all_done, source_a, source_b, sink, rows),
            limit=100 * rows + 10_000,
        )
        tiles = multiplier.unpack(sink)
        multiplier.check_tiles(tiles, a, b)
        await _settle(multiplier)
        status = multiplier.status.now
        wrong = sum(tile.last_mismatch or tile.overflow_possible for tile in tiles)
        bench.check(wrong > 0, "no tile was wrong: the test says nothing")
        bench.check_equal(status.error_count, min(wrong, MOST_COUNTED), "error_count")
        bench.check_equal(status.last_mismatch, 1, "sticky last_mismatch")
        long = any(tile.overflow_possible for tile in tiles)
        bench.check_equal(status.overflow_possible, long, "sticky overflow_possible")


@bench_test
async def output_blocked(bench: Bench) -> None:
    """Short tiles against an output that takes nothing for long: all wait, none is lost."""
    multiplier = Multiplier(bench)
    c = multiplier.configuration
    for inner in (1, 2, c.rows):
        await bench.reset(1)
        count = 3 * c.buffered_tiles + 4
        a, b = _random_beats(multiplier, [inner] * count)
        source_a, source_b, sink = multiplier.ends(a, b, FLOWING)
        for _ in range(count * (inner + c.rows) + c.columns + 20):
            await bench.tick(source_a, source_b)
        bench.check(multiplier.status.now.busy, "not busy with results that wait")
        bench.check(not source_a.done, "more was taken than there is room for")
        rows = count * c.rows
        await bench.run(
            (source_a, source_b, sink),
            partial(_all_done, source_a, source_b, sink, rows),
            limit=20 * (rows + len(a)) + 1000,
        )
        multiplier.check_tiles(multiplier.unpack(sink), a, b)


@bench_test
async def accumulator_extremes(bench: Bench) -> None:
    """The largest sums of either sign, up to and beyond the longest tile that is surely exact."""
    multiplier = Multiplier(bench)
    p = multiplier.parameters
    low, high = signed_range(p.operand_bits)
    longest = p.longest_exact_tile
    lengths = [longest, longest + 1, 2 * longest + 3] if longest < LONGEST_INNER else [200]
    for factor_a, factor_b in ((low, low), (low, high), (high, high)):
        pairs = [
            TilePair(
                np.full((multiplier.configuration.rows, length * p.lanes), factor_a),
                np.full((length * p.lanes, multiplier.configuration.columns), factor_b),
            )
            for length in lengths
        ]
        await bench.reset(1)
        tiles, _, _ = await multiplier.send([*pairs, _random_pair(multiplier, 1)])
        overflows = sum(tile.overflow_possible for tile in tiles)
        status = multiplier.status.now
        bench.check_equal(status.overflow_possible, overflows > 0, "sticky overflow_possible")
        bench.check_equal(status.error_count, overflows, "error_count")
        exact = [length * p.lanes * factor_a * factor_b for length in lengths]
        for tile, total in zip(tiles[:-1], exact, strict=True):
            bench.check(
                tile.overflow_possible or bool((tile.values == total).all()),
                "a tile wrapped without its overflow_possible flag",
            )


def _all_done(source_a: Source, source_b: Source, sink: Sink, rows: int) -> bool:
    return source_a.done and source_b.done and len(sink.received) == rows


def _check_bubbles(multiplier: Multiplier, source: Source, inner: int) -> None:
    """Beats follow each other at once; between tiles there is what the array is busy for."""
    between = 1 + multiplier.configuration.build().array.busy_cycles
    steps = np.diff(source.taken)
    ends = np.arange(1, len(source.taken)) % inner == 0
    multiplier.bench.check_equal(steps, np.where(ends, between, 1), f"cycles, {inner} beats")


async def _check_product(
    multiplier: Multiplier, a: Integers, b: Integers, patterns: Patterns = FLOWING
) -> None:
    result = await multiplier.multiply(a, b, patterns)
    expected = gemm(a, b, multiplier.parameters.accumulator_bits)
    multiplier.bench.check_equal(result, expected, f"{a.shape} by {b.shape} under {patterns}")


async def _send_random(multiplier: Multiplier, count: int, inner: int) -> tuple[Source, Sink]:
    await multiplier.bench.reset(1)
    pairs = [_random_pair(multiplier, inner) for _ in range(count)]
    _, source, sink = await multiplier.send(pairs)
    return source, sink


async def _settle(multiplier: Multiplier) -> None:
    """Nothing may come out any more, and the multiplier must say it is idle."""
    sink = multiplier.ends([], [], FLOWING)[2]
    for _ in range(4 * multiplier.configuration.columns + 40):
        await multiplier.bench.tick(sink, multiplier.status)
    multiplier.bench.check_equal(len(sink.received), 0, "rows out of nowhere")
    multiplier.bench.check(not multiplier.status.now.busy, "busy without work")


def _random_pair(multiplier: Multiplier, inner: int) -> TilePair:
    c, rng = multiplier.configuration, multiplier.bench.rng
    bits = multiplier.parameters.operand_bits
    depth = inner * c.parameters.lanes
    return TilePair(
        random_matrix(rng, (c.rows, depth), bits), random_matrix(rng, (depth, c.columns), bits)
    )


def _random_beats(
    multiplier: Multiplier, lengths: list[int], lengths_b: list[int] | None = None
) -> tuple[list[Beat], list[Beat]]:
    c, rng = multiplier.configuration, multiplier.bench.rng
    bits = multiplier.parameters.operand_bits

    def beats(tile_lengths: list[int], count: int) -> list[Beat]:
        tiles = (random_matrix(rng, (length, count), bits) for length in tile_lengths)
        return [beat for tile in tiles for beat in operand_beats(tile)]

    lanes = c.parameters.lanes
    return beats(lengths, c.rows * lanes), beats(lengths_b or lengths, c.columns * lanes)
