"""Operands as networks have them on the streaming multiplier; energy is stated for these beats."""

from sim.bench import Bench, bench_test
from sim.ent.multiplier import Multiplier
from sim.ent.operands import digits_layer, normal_matrix
from sim.ent.tiling import TilePair, cut

TILES = 4
BEATS = 256
#: Products of the digits network that are sent, in tiles of the array.
DIGITS_TILES = 16


@bench_test
async def normal_operands(bench: Bench) -> None:
    """Normally distributed operands, back to back."""
    multiplier = Multiplier(bench)
    c = multiplier.configuration
    depth, bits = BEATS * c.parameters.lanes, c.parameters.operand_bits
    pairs = [
        TilePair(
            normal_matrix(bench.rng, (c.rows, depth), bits),
            normal_matrix(bench.rng, (depth, c.columns), bits),
        )
        for _ in range(TILES)
    ]
    await _send(multiplier, pairs, "normal")


@bench_test
async def digits_operands(bench: Bench) -> None:
    """Tiles of the digits network's first layer, back to back."""
    multiplier = Multiplier(bench)
    c = multiplier.configuration
    images, weights = digits_layer()
    pairs = cut(images, weights, c.rows, c.columns, c.parameters.lanes)
    chosen = bench.rng.choice(len(pairs), DIGITS_TILES, replace=False)
    await _send(multiplier, [pairs[index] for index in chosen], "digits")


async def _send(multiplier: Multiplier, pairs: list[TilePair], operands: str) -> None:
    bench, c = multiplier.bench, multiplier.configuration
    await bench.reset(1)
    _, source, _ = await multiplier.send(pairs)
    first, last = source.taken[0], source.taken[-1]
    work = sum(pair.a.shape[1] for pair in pairs) * c.rows * c.columns
    bench.report_work(work, last - first + 1, first, operands)
