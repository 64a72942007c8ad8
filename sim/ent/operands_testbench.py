"""Operands as networks have them on whichever multiplier; energy is stated for these beats."""

from typing import Any

from hdl.ent.configurations import WeightStationaryConfiguration
from sim.bench import Bench, bench_test
from sim.ent.driver import driver
from sim.ent.operands import digits_layer, normal_matrix
from sim.ent.tiling import cut
from sim.ent.weights_streams import cut_weights

TILES = 4
BEATS = 256
#: Beats of the digits network's first layer that are sent, in whole tiles.
DIGITS_BEATS = 1024


@bench_test
async def normal_operands(bench: Bench) -> None:
    """Normally distributed operands, back to back."""
    c: Any = bench.configuration
    bits = c.parameters.operand_bits
    height, depth = c.rows, BEATS * c.parameters.lanes
    if isinstance(c, WeightStationaryConfiguration):
        height, depth = BEATS, c.rows
    a = normal_matrix(bench.rng, (height, depth), bits)
    b = normal_matrix(bench.rng, (depth, TILES * c.columns), bits)
    await _send(bench, _tiles(c, a, b), "normal")


@bench_test
async def digits_operands(bench: Bench) -> None:
    """Tiles of the digits network's first layer, back to back."""
    pairs = _tiles(bench.configuration, *digits_layer())
    count = max(1, DIGITS_BEATS // _beats(bench.configuration, pairs[0]))
    chosen = bench.rng.choice(len(pairs), count, replace=False)
    await _send(bench, [pairs[index] for index in chosen], "digits")


def _tiles(c: Any, a: Any, b: Any) -> list[Any]:
    """Tiles of ``a @ b`` as the multiplier takes them."""
    if isinstance(c, WeightStationaryConfiguration):
        return cut_weights(a, b, c.rows, c.columns)
    return cut(a, b, c.rows, c.columns, c.parameters.lanes)


def _beats(c: Any, pair: Any) -> int:
    """Beats of operand A that a tile takes."""
    if isinstance(c, WeightStationaryConfiguration):
        return len(pair.rows)
    return int(pair.a.shape[1]) // c.parameters.lanes


async def _send(bench: Bench, pairs: list[Any], operands: str) -> None:
    c: Any = bench.configuration
    multiplier = driver(bench)
    await bench.reset(1)
    _, source, _ = await multiplier.send(pairs)
    first, last = source.taken[0], source.taken[-1]
    beats = sum(_beats(c, pair) for pair in pairs)
    bench.check_equal(len(source.taken), beats, "beats of A")
    work = beats * c.rows * c.columns * c.parameters.lanes
    bench.report_work(work, last - first + 1, first, operands)
