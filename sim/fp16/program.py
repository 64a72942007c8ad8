"""Programs for the FP16 unit: random instructions, and their bits on the ports."""

from collections.abc import Sequence

import numpy as np

from golden.float_format import FloatFormat
from golden.fp16_instruction import Form, Instruction, Number, Operation, Result, Unit
from golden.integers import Integers
from golden.rounding import Mode
from hdl.fp16.format import Format
from hdl.fp16.instruction import instruction_layout, result_layout
from hdl.fp16.parameters import Parameters
from sim.fp16.operands import corner_values, near_negative
from sim.packing import pack_rows

#: Part of random instructions that has something reserved in it, drawn blindly.
RESERVED_SHARE = 0.05


def golden_format(fmt: Format) -> FloatFormat:
    return FloatFormat(fmt.exponent_bits, fmt.fraction_bits)


def golden_unit(p: Parameters) -> Unit:
    """The unit as the golden model knows it."""
    return Unit(p.lanes, *(golden_format(each) for each in (p.lane, p.alternate, p.wide)))


def random_program(
    rng: np.random.Generator,
    p: Parameters,
    count: int,
    operations: Sequence[Operation] = tuple(Operation),
) -> list[Instruction]:
    """Instructions with corner operands; the tags count up."""
    a, b, c = (_registers(rng, p, count) for _ in range(3))
    near = rng.random(count) < 0.3
    fmt = golden_format(p.lane)
    lanes_of_a, lanes_of_b = _lanes(p, a), _lanes(p, b)
    cancelling = pack_rows(near_negative(rng, lanes_of_a, lanes_of_b, fmt), fmt.width)
    program = []
    for index, (wants, operation) in enumerate(
        zip(near, rng.choice(operations, count), strict=True)
    ):
        reserved = rng.random() < RESERVED_SHARE
        form = int(rng.integers(4 if reserved else 3))
        program.append(
            Instruction(
                operation=int(rng.integers(64)) if reserved else int(operation),
                source=int(rng.integers(8 if reserved else len(Number))),
                destination=int(rng.integers(8 if reserved else len(Number))),
                form=form,
                mode=int(rng.integers(8 if reserved else len(Mode))),
                mask=_mask(rng, p),
                tag=index % (1 << p.tag_bits),
                a=_boxed(rng, p, a[index], form),
                b=_boxed(rng, p, b[index], form),
                c=cancelling[index] if wants else _boxed(rng, p, c[index], form),
            )
        )
    return program


def pack(instructions: Sequence[Instruction], p: Parameters) -> list[int]:
    """Payloads of the instruction stream."""
    layout = instruction_layout(p)
    fields = [(name, layout[name].offset) for name, _ in layout]
    return [sum(getattr(each, name) << offset for name, offset in fields) for each in instructions]


def unpack(payload: int, p: Parameters) -> Result:
    """One payload of the result stream."""
    layout = result_layout(p)
    values = {
        name: payload >> layout[name].offset & (1 << layout[name].width) - 1 for name, _ in layout
    }
    return Result(**values)


def _registers(rng: np.random.Generator, p: Parameters, count: int) -> list[int]:
    """Registers of corner lanes or of corner wide elements, and some small lane numbers."""
    width = p.lane.width
    lanes = corner_values(rng, golden_format(p.lane), (count, p.positions))
    numbers = rng.integers(0, p.positions + 2, (count, p.positions))
    lanes = np.where(rng.random((count, 1)) < 0.2, numbers, lanes)
    wide = corner_values(rng, golden_format(p.wide), (count, p.pairs))
    top = p.pairs * 2 * width
    of_lanes, of_wide = pack_rows(lanes, width), pack_rows(wide, 2 * width)
    choice = rng.random(count) < 0.3
    return [
        second | first >> top << top if is_wide else first
        for first, second, is_wide in zip(of_lanes, of_wide, choice, strict=True)
    ]


def _lanes(p: Parameters, registers: Sequence[int]) -> Integers:
    width = p.lane.width
    mask = (1 << width) - 1
    return np.array(
        [[register >> at * width & mask for at in range(p.positions)] for register in registers]
    )


def _mask(rng: np.random.Generator, p: Parameters) -> int:
    everything = (1 << p.positions) - 1
    return everything if rng.random() < 0.5 else int(rng.integers(everything + 1))


def _boxed(rng: np.random.Generator, p: Parameters, register: int, form: int) -> int:
    """For a scalar mostly a boxed lane, or one whose box has a single hole."""
    width, bits = p.lane.width, p.register_bits
    if form != Form.SCALAR or rng.random() < 0.3:
        return register
    boxed = register | (1 << bits) - (1 << width)
    if rng.random() < 0.3:
        boxed ^= 1 << int(rng.integers(width, bits))
    return boxed
