"""Testbench of the distance unit: every result, under any stall, at full speed."""

from itertools import pairwise, product

import numpy as np

from golden.integers import Integers
from golden.skeleton import distance
from hdl.skeleton.configurations import DistanceConfiguration
from sim.bench import PATTERNS, Bench, Sink, Source, bench_test
from sim.packing import pack_rows

#: Inputs of this many bits or fewer are tried one and all.
EXHAUSTIVE_BITS = 12
#: Cycles from taking a pair to offering its distance.
LATENCY = 1


@bench_test
async def boundaries(bench: Bench) -> None:
    """Every input if there are few; otherwise, lane by lane, all pairs of extreme values."""
    c = _configuration(bench)
    if 2 * c.lanes * c.bits <= EXHAUSTIVE_BITS:
        elements = list(product(range(1 << c.bits), repeat=2 * c.lanes))
        a, b = np.split(np.array(elements), 2, axis=1)
    else:
        a, b = _extremes(bench)
    await _check(bench, a, b)


@bench_test
async def all_stalls(bench: Bench) -> None:
    """Random vectors under every combination of a pausing input and a refusing output."""
    for patterns in product(PATTERNS, PATTERNS):
        await _check(bench, *_random_vectors(bench, 300), patterns)


@bench_test
async def sustained_throughput(bench: Bench) -> None:
    """One pair in every cycle, and each distance one cycle later."""
    count = 2000
    source, sink = await _check(bench, *_random_vectors(bench, count))
    steps = [after - before for before, after in pairwise(source.taken)]
    bench.check_equal(steps, [1] * (count - 1), "cycles between pairs")
    latencies = [
        cycle - taken for (cycle, _), taken in zip(sink.received, source.taken, strict=True)
    ]
    bench.check_equal(latencies, [LATENCY] * count, "latency")
    bench.report_work(count * _configuration(bench).lanes, count, source.taken[0])


@bench_test
async def reset_in_mid_stream(bench: Bench) -> None:
    """A reset of one cycle, at many moments: nothing inside survives, what follows is exact."""
    for moment in range(1, 20):
        source, sink = _ends(bench, *_random_vectors(bench, 40), ("random", "bursts"))
        for _ in range(moment):
            await bench.tick(source, sink)
        source.withdraw()
        await bench.reset(1)
        await bench.tick()
        bench.check(not int(bench.port("o__valid").value), "a reset left an output")
        await _check(bench, *_random_vectors(bench, 5))


async def _check(
    bench: Bench, a: Integers, b: Integers, patterns: tuple[str, str] = ("flowing", "flowing")
) -> tuple[Source, Sink]:
    """Send pairs of vectors and compare each distance; none may follow the last."""
    source, sink = _ends(bench, a, b, patterns)
    limit = 20 * len(a) + 200
    await bench.run((source, sink), lambda: len(sink.received) >= len(a), limit=limit)
    for _ in range(LATENCY + 1):
        await bench.tick(source, sink)
    bench.check_equal(sink.payloads, distance(a, b), f"distances under {patterns}")
    return source, sink


def _ends(bench: Bench, a: Integers, b: Integers, patterns: tuple[str, str]) -> tuple[Source, Sink]:
    beats = pack_rows(np.concatenate([a, b], axis=1), _configuration(bench).bits)
    return Source(bench, "i", beats, patterns[0]), Sink(bench, "o", patterns[1])


def _extremes(bench: Bench) -> tuple[Integers, Integers]:
    """Each lane sees every pair of extreme values; the other lanes are random, then all alike."""
    c = _configuration(bench)
    top = 1 << c.bits
    values = sorted({0, 1, top // 2 - 1, top // 2, top - 2, top - 1} & set(range(top)))
    pairs = np.array(list(product(values, repeat=2)))
    alike = np.repeat(pairs[:, :, None], c.lanes, axis=2)
    blocks = [alike]
    for lane in range(c.lanes):
        block = bench.rng.integers(0, top, alike.shape)
        block[:, :, lane] = pairs
        blocks.append(block)
    vectors = np.concatenate(blocks)
    return vectors[:, 0], vectors[:, 1]


def _random_vectors(bench: Bench, count: int) -> tuple[Integers, Integers]:
    c = _configuration(bench)
    a, b = bench.rng.integers(0, 1 << c.bits, (2, count, c.lanes))
    return a, b


def _configuration(bench: Bench) -> DistanceConfiguration:
    assert isinstance(bench.configuration, DistanceConfiguration)
    return bench.configuration
