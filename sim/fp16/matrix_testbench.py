"""Matrix products on the FP16 unit: every accumulator, any shape, any stall, and at full speed."""

from itertools import product

from golden.fp16_matrix import Accumulation
from golden.integers import Integers
from sim.bench import PATTERNS, Bench, bench_test
from sim.fp16.matrix import MatrixUnit
from sim.fp16.operands import corner_values, weights
from sim.fp16.program import golden_format

Shape = tuple[int, int, int]
#: Rows, depth and columns: from the smallest to those that fill neither lanes nor pairs.
RAGGED = ((1, 1, 1), (5, 3, 1), (1, 2, 9), (3, 4, 2), (4, 1, 4), (6, 5, 7), (17, 13, 17))
#: Of the products that show the sustained throughput.
LARGE = 64
LEAST_UTILISATION = 0.95


def _operands(bench: Bench, unit: MatrixUnit, shape: Shape) -> tuple[Integers, Integers]:
    lane = golden_format(unit.parameters.lane)
    rows, depth, columns = shape
    return weights(bench.rng, lane, (rows, depth)), weights(bench.rng, lane, (depth, columns))


@bench_test
async def ragged_shapes(bench: Bench) -> None:
    """Shapes that leave lanes, pairs and turns unfilled, of ordinary numbers, from +0 on."""
    unit = MatrixUnit(bench)
    for shape, how in product(RAGGED, Accumulation):
        a, b = _operands(bench, unit, shape)
        await unit.multiply(a, b, how)


@bench_test
async def corner_operands(bench: Bench) -> None:
    """Subnormals, infinities, NaNs and ties as operands and as first accumulators."""
    unit = MatrixUnit(bench)
    lane = golden_format(unit.parameters.lane)
    for how in Accumulation:
        a, b = (corner_values(bench.rng, lane, shape) for shape in ((13, 4), (4, 18)))
        await unit.multiply(a, b, how, corner_values(bench.rng, how.format, (13, 18)))


@bench_test
async def stalls(bench: Bench) -> None:
    """Every combination of a pausing input and a refusing output."""
    unit = MatrixUnit(bench)
    for patterns, how in product(product(PATTERNS, PATTERNS), Accumulation):
        a, b = _operands(bench, unit, (5, 7, 9))
        await unit.multiply(a, b, how, patterns=patterns)


@bench_test
async def utilisation(bench: Bench) -> None:
    """Products of 64 × 64 matrices: nearly a multiply-accumulate in every lane and cycle."""
    unit = MatrixUnit(bench)
    a, b = _operands(bench, unit, (LARGE, LARGE, LARGE))
    for how, figure in ((Accumulation.FMADD, "fma"), (Accumulation.EXDOTP, "exdotp")):
        done = await unit.multiply(a, b, how)
        share = done.macs / (unit.parameters.lanes * done.cycles)
        message = f"{how.name}: {share:.4f} of the lanes are used in {done.cycles} cycles"
        bench.check(share >= LEAST_UTILISATION, message)
        bench.figures[f"matrix_utilisation_{figure}"] = share
