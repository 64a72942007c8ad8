"""Testbench of square roots: every operand in every mode, a lane's width of them at a time."""

import numpy as np

from golden.fp16_instruction import Instruction, Operation
from golden.rounding import Mode
from sim.bench import Bench, bench_test
from sim.fp16.unit_testbench import Unit
from sim.packing import pack_rows

#: Operands of each mode that are looked at alone, because flags of lanes are ORed.
ALONE = 1000


@bench_test
async def all_square_roots(bench: Bench) -> None:
    """All bit patterns, NaNs and negative numbers among them."""
    unit = Unit(bench)
    p = unit.parameters
    width = p.lane.width
    registers = pack_rows(np.arange(1 << width).reshape(-1, p.lanes), width)
    program = [
        Instruction(
            operation=Operation.SQRT,
            mode=mode,
            mask=(1 << p.positions) - 1,
            tag=index % (1 << p.tag_bits),
            a=register,
        )
        for mode in Mode
        for index, register in enumerate(registers)
    ]
    await unit.run(program)


@bench_test
async def flags_of_square_roots(bench: Bench) -> None:
    """Random operands in one active lane among others that raise other flags."""
    unit = Unit(bench)
    p = unit.parameters
    width = p.lane.width
    operands = bench.rng.integers(0, 1 << width, (ALONE * len(Mode), p.lanes))
    lanes = bench.rng.integers(0, p.lanes, len(operands))
    program = [
        Instruction(
            operation=Operation.SQRT,
            mode=index % len(Mode),
            mask=1 << int(lane),
            tag=index % (1 << p.tag_bits),
            a=register,
        )
        for index, (register, lane) in enumerate(
            zip(pack_rows(operands, width), lanes, strict=True)
        )
    ]
    await unit.run(program)
