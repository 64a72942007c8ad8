"""Testbench of one FMA lane: corner operands in all operations and modes, and ordinary ones."""

import numpy as np

from golden.float_format import FloatFormat
from golden.fp16 import add, fused_multiply_add, multiply, subtract
from golden.fp16_instruction import Operation
from golden.integers import Integers
from golden.rounding import Mode
from hdl.fp16.configurations import FMAConfiguration
from sim.bench import Bench, bench_test
from sim.fp16.operands import corner_values, near_negative, weights
from sim.fp16.program import golden_format

VECTORS = 20_000
SUSTAINED = 2_000
OPERATIONS = tuple(each for each in Operation if each <= Operation.FNMADD)


@bench_test
async def corners(bench: Bench) -> None:
    """All operations and modes; a third of the addends nearly cancel their products."""
    fmt = golden_format(_configuration(bench).format)
    a, b, c = corner_values(bench.rng, fmt, (3, VECTORS))
    c = np.where(bench.rng.random(VECTORS) < 0.3, near_negative(bench.rng, a, b, fmt), c)
    operation = bench.rng.choice(OPERATIONS, VECTORS)
    mode = bench.rng.integers(0, len(Mode), VECTORS)
    await _check(bench, a, b, c, operation, mode)


@bench_test
async def sustained(bench: Bench) -> None:
    """Fused multiply-adds of ordinary numbers, one a cycle."""
    fmt = golden_format(_configuration(bench).format)
    a, b, c = (weights(bench.rng, fmt, (SUSTAINED,)) for _ in range(3))
    first = bench.cycle
    operation = np.full(SUSTAINED, int(Operation.FMADD))
    await _check(bench, a, b, c, operation, np.zeros(SUSTAINED, dtype=np.int64))
    bench.report_work(SUSTAINED, SUSTAINED, first)


async def _check(
    bench: Bench, a: Integers, b: Integers, c: Integers, operation: Integers, mode: Integers
) -> None:
    fmt = golden_format(_configuration(bench).format)
    inputs = np.stack([a, b, c, operation, mode], axis=1).tolist()
    ports = [bench.port(name) for name in ("a", "b", "c", "operation", "mode")]
    results, flags = bench.port("result"), bench.port("flags")
    seen = []
    for vector in inputs:
        for port, value in zip(ports, vector, strict=True):
            port.value = value
        await bench.tick()
        seen.append((int(results.value), int(flags.value)))
    bench.check_equal(np.array(seen), expected(a, b, c, operation, mode, fmt), "result, flags")


def expected(
    a: Integers, b: Integers, c: Integers, operation: Integers, mode: Integers, fmt: FloatFormat
) -> Integers:
    """Results and flags of a lane, of shape (N, 2); its sums are of ``a`` and ``c``."""
    found = np.zeros((len(a), 2), dtype=np.int64)
    for each in OPERATIONS:
        at = operation == each
        if each in (Operation.ADD, Operation.SUB):
            apply = add if each == Operation.ADD else subtract
            outcome = apply(a[at], c[at], fmt, mode[at])
        elif each == Operation.MUL:
            outcome = multiply(a[at], b[at], fmt, mode[at])
        else:
            outcome = fused_multiply_add(
                a[at],
                b[at],
                c[at],
                fmt,
                mode[at],
                negate_product=each in (Operation.FNMSUB, Operation.FNMADD),
                negate_addend=each in (Operation.FMSUB, Operation.FNMADD),
            )
        found[at] = np.stack(outcome, axis=1)
    return found


def _configuration(bench: Bench) -> FMAConfiguration:
    assert isinstance(bench.configuration, FMAConfiguration)
    return bench.configuration
