"""Testbench of the multiplier whose weights are stationary: exact results whatever happens."""

from functools import partial

import numpy as np

from golden.ent import Beat, gemm
from golden.integers import Integers, all_signed, signed_range, wrap
from sim.bench import PATTERNS, Bench, Sink, Source, bench_test
from sim.ent.multiplier import FLOWING, Patterns
from sim.ent.pe_testbench import corners
from sim.ent.streams import operand_beats, random_matrix
from sim.ent.weights_multiplier import MOST_COUNTED, WeightsMultiplier
from sim.ent.weights_streams import WeightPair, unpack_weight_tiles, weight_beats

LONGEST = 1024


@bench_test
async def every_product(bench: Bench) -> None:
    """All values by all weights (16 bits: corners), each product on its own, in every PE.

    A row of A has one value that is not zero, and meets one weight in each column.
    """
    multiplier = WeightsMultiplier(bench)
    c, p = multiplier.configuration, multiplier.parameters
    values = all_signed(p.operand_bits) if p.operand_bits <= 8 else corners(bench, p)
    rows = np.kron(np.eye(c.rows, dtype=np.int64), values[:, None])
    size = c.rows * c.columns
    padded = np.resize(values, -(-len(values) // size) * size)
    pairs = [WeightPair(rows, tile) for tile in padded.reshape(-1, c.rows, c.columns)]
    tiles, _, _ = await multiplier.send(pairs, watched=False)
    for tile, pair in zip(tiles, pairs, strict=True):
        products = values[None, :, None] * pair.weights[:, None, :]
        expected = wrap(products.reshape(-1, c.columns), p.accumulator_bits)
        bench.check_equal(tile.values, expected, "products: value and row of the array, column")


@bench_test
async def shapes_under_stalls(bench: Bench) -> None:
    """Shapes that do not divide the array, M and K from 1 on, all ports pausing at random."""
    multiplier = WeightsMultiplier(bench)
    c = multiplier.configuration
    shapes = [(1, 1, 1), (2, c.rows + 1, c.columns + 1), (1, 3 * c.rows - 1, 2 * c.columns + 1)]
    shapes += [(height, c.rows, c.columns) for height in (1, 2, c.rows, 3 * c.rows + 5, 255)]
    shapes += [tuple(bench.rng.integers(1, 24, 3).tolist()) for _ in range(4)]
    for height, inner, width in shapes:
        patterns = _random_patterns(bench)
        a = random_matrix(bench.rng, (height, inner), c.parameters.operand_bits)
        w = random_matrix(bench.rng, (inner, width), c.parameters.operand_bits)
        result = await multiplier.multiply(a, w, patterns)
        exact = 64 if inner > c.rows else c.parameters.accumulator_bits
        bench.check_equal(result, gemm(a, w, exact), f"{a.shape} by {w.shape} under {patterns}")
    for _ in range(3):
        lengths = bench.rng.integers(1, 3 * c.rows + 4, 30).tolist()
        pairs = [_random_pair(multiplier, length) for length in lengths]
        await multiplier.send(pairs, _random_patterns(bench))


@bench_test
async def sustained_throughput(bench: Bench) -> None:
    """Ten tiles of 1024 rows back to back: no bubble, 98 % of all multipliers overall."""
    multiplier = WeightsMultiplier(bench)
    c = multiplier.configuration
    tiles = 10
    source, sink = await _send_random(multiplier, tiles, LONGEST, watched=False)
    bench.check_equal(np.diff(source.taken), np.ones(tiles * LONGEST - 1), "cycles between rows")
    cycles = sink.received[-1][0] - source.taken[0] + 1
    multipliers = c.rows * c.columns
    work = tiles * LONGEST * multipliers
    rate = work / cycles
    bench.check(rate >= 0.98 * multipliers, f"only {rate:.2f} of {multipliers} MACs a cycle")
    bench.report_work(work, cycles, source.taken[0])


@bench_test
async def shortest_tiles(bench: Bench) -> None:
    """The shortest tiles that the contract promises to take without a bubble; the latencies."""
    multiplier = WeightsMultiplier(bench)
    c = multiplier.configuration
    built = c.build()
    for length in (built.shortest_tile, built.shortest_tile + 1):
        source, sink = await _send_random(multiplier, 12, length)
        bench.check_equal(np.diff(source.taken), np.ones(12 * length - 1), f"{length} rows a tile")
        latency = np.subtract([cycle for cycle, _ in sink.received], source.taken)
        bench.check_equal(latency, [built.latency] * len(latency), "latency by row")
    await multiplier.reset()
    pair = _random_pair(multiplier, 1)
    source_w, source_a, sink = multiplier.ends(
        weight_beats(pair.weights), operand_beats(pair.rows), FLOWING
    )
    await bench.run((source_w, source_a, sink), lambda: source_a.done, limit=100 + c.rows)
    bench.check_equal(source_a.taken[0] - source_w.taken[-1], 2, "from the last weights to a row")


@bench_test
async def reset_in_mid_tile(bench: Bench) -> None:
    """A reset of one cycle, at many moments: what was inside is gone, what follows is exact."""
    multiplier = WeightsMultiplier(bench)
    c = multiplier.configuration
    for moment in (*range(1, 3 * c.rows + 2 * c.columns + 12), 50, 81):
        pairs = [_random_pair(multiplier, length) for length in (2, c.rows + 4, 3, 40)]
        patterns = FLOWING if moment % 2 else _random_patterns(bench)
        source_w, source_a, sink = multiplier.ends(*_beats(pairs), patterns)
        for _ in range(moment):
            await bench.tick(source_w, source_a, sink, multiplier.status)
        for source in (source_w, source_a):
            source.withdraw()
        await multiplier.reset()
        if moment % 3 == 0:
            await bench.tick(multiplier.status)
            bench.check(not int(bench.port("o__valid").value), "a reset left an output")
        await multiplier.send([_random_pair(multiplier, length) for length in (c.rows, 1, 4)])
        await _settle(multiplier)


@bench_test
async def wrong_lengths(bench: Bench) -> None:
    """Tiles of too few and too many rows of weights: flagged and counted, beyond the counter.

    Correct tiles in between are exact, and leave the sticky flag alone.
    """
    multiplier = WeightsMultiplier(bench)
    c = multiplier.configuration
    bits = c.parameters.operand_bits
    mostly, sometimes = 0.95, 0.4
    for count, share, patterns in (
        (300, mostly, FLOWING),
        (40, sometimes, FLOWING),
        (40, sometimes, ("flowing", "random", "random")),
        (40, sometimes, ("random", "flowing", "bursts")),
    ):
        await multiplier.reset()
        wrong = bench.rng.random(count) < share
        lengths = np.where(wrong, bench.rng.integers(1, 2 * c.rows + 3, count), c.rows)
        weights = [
            beat
            for length in lengths.tolist()
            for beat in operand_beats(random_matrix(bench.rng, (length, c.columns), bits))
        ]
        heights = bench.rng.integers(1, c.rows + 5, count).tolist()
        rows = [beat for height in heights for beat in _random_rows(multiplier, height)]
        await multiplier.send_beats(weights, rows, patterns)
        await _settle(multiplier)
        flagged = int(np.sum(lengths != c.rows))
        bench.check(0 < flagged < count, "all tiles are alike: the test says nothing")
        status = multiplier.status.now
        bench.check_equal(status.error_count, min(flagged, MOST_COUNTED), "error_count")
        bench.check_equal(status.wrong_length, 1, "sticky wrong_length")
    await multiplier.reset()
    await _settle(multiplier)
    bench.check_equal(multiplier.status.now.error_count, 0, "error_count after a reset")


@bench_test
async def output_blocked(bench: Bench) -> None:
    """Against an output that takes nothing for long: as many rows as there is room for, no more."""
    multiplier = WeightsMultiplier(bench)
    c = multiplier.configuration
    latency = c.build().latency
    for length in (1, 2, c.rows, latency + 30):
        await multiplier.reset()
        count = 4 + 2 * latency // length
        pairs = [_random_pair(multiplier, length) for _ in range(count)]
        weights, rows = _beats(pairs)
        source_w, source_a, sink = multiplier.ends(weights, rows, FLOWING)
        for _ in range((latency + 4) * (c.rows + 3)):
            await bench.tick(source_w, source_a, multiplier.status)
        # Rows in the memories, and the one that is offered.
        bench.check_equal(len(source_a.taken), latency + 1, "rows taken while o is blocked")
        await bench.run(
            (source_w, source_a, sink, multiplier.status),
            partial(_received, sink, len(rows)),
            limit=20 * (len(weights) + len(rows)) + 1000,
        )
        tiles = unpack_weight_tiles(sink.payloads, c)
        multiplier.check_tiles(tiles, weights, rows)


@bench_test
async def accumulator_extremes(bench: Bench) -> None:
    """The largest sums of either sign: no row may differ from the exact one."""
    multiplier = WeightsMultiplier(bench)
    c = multiplier.configuration
    low, high = signed_range(c.parameters.operand_bits)
    factors = [(a, w) for a in (low, high, -1, 0) for w in (low, high, -1, 0)]
    pairs = [
        WeightPair(np.full((3, c.rows), a), np.full((c.rows, c.columns), w)) for a, w in factors
    ]
    tiles, _, _ = await multiplier.send(pairs)
    for tile, (a, w) in zip(tiles, factors, strict=True):
        exact = np.full((3, c.columns), c.rows * a * w)
        bench.check_equal(tile.values, exact, f"rows of {a} by weights of {w}")


@bench_test
async def one_side_ahead(bench: Bench) -> None:
    """Weights long before their rows, rows long before their weights: both wait, none is lost."""
    multiplier = WeightsMultiplier(bench)
    c = multiplier.configuration
    for late in ("i_w", "i_a"):
        await multiplier.reset()
        await multiplier.send([_random_pair(multiplier, 2)])
        weights, rows = _beats([_random_pair(multiplier, 3) for _ in range(4)])
        source_w, source_a, sink = multiplier.ends(weights, rows, FLOWING)
        early = source_a if late == "i_w" else source_w
        for _ in range(3 * c.rows + 8):
            await bench.tick(early, sink, multiplier.status)
        # Of weights there is room for a tile in use and one that waits.
        room = 0 if late == "i_w" else 2 * c.rows
        bench.check_equal(len(early.taken), room, f"beats taken while {late} has none")
        await bench.run(
            (source_w, source_a, sink, multiplier.status),
            partial(_received, sink, len(rows)),
            limit=20 * len(weights) + 1000,
        )
        multiplier.check_tiles(unpack_weight_tiles(sink.payloads, c), weights, rows)


def _received(sink: Sink, rows: int) -> bool:
    return len(sink.received) == rows


def _random_patterns(bench: Bench) -> Patterns:
    first, second, third = bench.rng.choice(PATTERNS, 3).tolist()
    return first, second, third


def _random_pair(multiplier: WeightsMultiplier, height: int) -> WeightPair:
    c, rng = multiplier.configuration, multiplier.bench.rng
    bits = c.parameters.operand_bits
    return WeightPair(
        random_matrix(rng, (height, c.rows), bits), random_matrix(rng, (c.rows, c.columns), bits)
    )


def _random_rows(multiplier: WeightsMultiplier, height: int) -> list[Beat]:
    c = multiplier.configuration
    shape = height, c.rows
    values: Integers = random_matrix(multiplier.bench.rng, shape, c.parameters.operand_bits)
    return operand_beats(values)


def _beats(pairs: list[WeightPair]) -> tuple[list[Beat], list[Beat]]:
    return (
        [beat for pair in pairs for beat in weight_beats(pair.weights)],
        [beat for pair in pairs for beat in operand_beats(pair.rows)],
    )


async def _send_random(
    multiplier: WeightsMultiplier, count: int, height: int, *, watched: bool = True
) -> tuple[Source, Sink]:
    await multiplier.reset()
    pairs = [_random_pair(multiplier, height) for _ in range(count)]
    _, source, sink = await multiplier.send(pairs, watched=watched)
    return source, sink


async def _settle(multiplier: WeightsMultiplier) -> None:
    """Nothing may come out any more, and the status must say it is idle."""
    sink = multiplier.ends([], [], FLOWING)[2]
    for _ in range(multiplier.configuration.build().latency + 20):
        await multiplier.bench.tick(sink, multiplier.status)
    multiplier.bench.check_equal(len(sink.received), 0, "rows out of nowhere")
    multiplier.bench.check(not multiplier.status.now.busy, "busy without work")
