"""Matrix products as programs of the FP16 unit: instructions, their order, and what each returns.

A tag names a register: the result of an instruction goes to the register of its tag, and operands
that are results of earlier instructions are named likewise. All other operands are part of their
instruction, as if they came from a memory that is fast enough.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from golden.fp16_instruction import Form, Instruction, Operation
from golden.fp16_matrix import Accumulation, accumulators, pad_depth
from golden.integers import Integers
from hdl.fp16.parameters import Parameters
from sim.packing import pack_rows

#: Accumulators that take turns, as long as there are as many: each one has to be back when its
#: turn comes again.
TURNS = 8
#: Accumulators that share a repeated pair of elements, at most.
LARGEST_ROW = 32
#: First of the registers with repeated pairs: those being used, those of the next step, in turn.
BUFFERS = (64, 96)
#: Lanes that must not matter: signalling NaNs in operands, and what stays in operand c.
UNUSED, KEPT = 0x7D55, 0x2AAA

Registers = NDArray[np.object_]


@dataclass(frozen=True)
class Step:
    """An instruction, its exact result, and the registers that are its operands b and c, if any.

    place: row, block of columns and step of the accumulator that it makes, if it makes one.
    """

    instruction: Instruction
    result: int
    b_from: int | None = None
    c_from: int | None = None
    place: tuple[int, int, int] | None = None

    def __str__(self) -> str:
        each, place = self.instruction, ""
        if self.place is not None:
            place = "row {}, block {}, step {}, ".format(*self.place)
        b, c = (
            f"{operand:x}" if tag is None else f"register {tag}"
            for operand, tag in ((each.b, self.b_from), (each.c, self.c_from))
        )
        name = Operation(each.operation).name
        return f"{name}, {place}mask {each.mask:b}, a {each.a:x}, b {b}, c {c}"


def make_steps(
    p: Parameters, how: Accumulation, a: Integers, b: Integers, c: Integers
) -> list[Step]:
    """The program for ``c + a @ b``: patterns (N, K), (K, M) and (N, M), all 1 or more.

    p: a unit for FLOAT16, with 7 or more bits in a tag.
    """
    return list((_fmadd if how is Accumulation.FMADD else _exdotp)(p, a, b, c))


def _fmadd(p: Parameters, a: Integers, b: Integers, c: Integers) -> Iterator[Step]:
    """Lanes are columns of the result. Operand b is an element of ``a``, the same for all lanes."""
    (rows, depth), width = a.shape, b.shape[1]
    how, count = Accumulation.FMADD, p.lanes
    masks = _masks(width, count)
    of_a = _registers(p, a.reshape(rows, depth, 1), 1, UNUSED)[:, :, 0]
    of_b, of_c = _registers(p, b, count, UNUSED), _registers(p, c, count, KEPT)
    totals = _registers(p, accumulators(a, b, how, c), count, KEPT)
    chains = list(product(range(rows), range(len(masks))))
    for turn in _evenly(chains, len(chains) // TURNS):
        for k in range(depth):
            for tag, (row, block) in enumerate(turn):
                instruction = Instruction(
                    operation=Operation.FMADD,
                    form=Form.REPLICATED,
                    mask=masks[block],
                    tag=tag,
                    a=of_b[k, block],
                    b=of_a[row, k],
                    c=0 if k else of_c[row, block],
                )
                before = tag if k else None
                yield Step(instruction, totals[k, row, block], None, before, (row, block, k))


@dataclass(frozen=True)
class _Phase:
    """One step of some rows and some blocks of columns of the result."""

    step: int
    rows: Sequence[int]
    blocks: Sequence[int]


def _exdotp(p: Parameters, a: Integers, b: Integers, c: Integers) -> Iterator[Step]:
    """Wide elements are columns of the result. Operand b is a pair of elements of ``a``, repeated.

    A SHUFFLE repeats the pair, one phase before the EXDOTPs that share it.
    """
    rows, columns, count = len(a), b.shape[1], 2 * p.pairs
    how = Accumulation.EXDOTP
    masks = _masks(columns, p.pairs)
    left, right = pad_depth(a, b, 2)
    pairs = right.reshape(-1, 2, columns).swapaxes(1, 2).reshape(-1, 2 * columns)
    of_a, of_b = _registers(p, left, count, UNUSED), _registers(p, pairs, count, UNUSED)
    of_c = _registers(p, _halves(c), count, KEPT)
    totals = _registers(p, _halves(accumulators(a, b, how, c)), count, KEPT)
    numbers = _registers(p, np.tile(np.arange(count).reshape(-1, 2), p.pairs), count, UNUSED)
    repeated = _registers(p, np.tile(left.reshape(rows, -1, 2), p.pairs), count, KEPT)
    (kept,) = _registers(p, np.full(count, KEPT), count, KEPT)

    def shuffles(phase: _Phase, buffer: int) -> Iterator[Step]:
        register, pair = divmod(phase.step, p.pairs)
        for place, row in enumerate(phase.rows):
            instruction = Instruction(
                operation=Operation.SHUFFLE,
                mask=(1 << count) - 1,
                tag=buffer + place,
                a=of_a[row, register],
                b=numbers[pair, 0],
                c=kept,
            )
            yield Step(instruction, repeated[row, phase.step, 0])

    def dot_products(phase: _Phase, buffer: int) -> Iterator[Step]:
        k = phase.step
        for tag, ((place, row), block) in enumerate(product(enumerate(phase.rows), phase.blocks)):
            instruction = Instruction(
                operation=Operation.EXDOTP,
                mask=masks[block],
                tag=tag,
                a=of_b[k, block],
                c=0 if k else of_c[row, block],
            )
            source, before = buffer + place, tag if k else None
            yield Step(instruction, totals[k, row, block], source, before, (row, block, k))

    phases = list(_phases(rows, len(masks), len(of_b)))
    yield from shuffles(phases[0], BUFFERS[0])
    for number, phase in enumerate(phases):
        if number + 1 < len(phases):
            yield from shuffles(phases[number + 1], BUFFERS[(number + 1) % 2])
        yield from dot_products(phase, BUFFERS[number % 2])


def _phases(rows: int, blocks: int, steps: int) -> Iterator[_Phase]:
    for together in _evenly(range(blocks), -(-blocks // LARGEST_ROW)):
        for turn in _evenly(range(rows), rows * len(together) // TURNS):
            for step in range(steps):
                yield _Phase(step, turn, together)


def _evenly(items: Sequence, parts: int) -> list[Sequence]:
    """``items`` in ``parts`` consecutive parts of nearly the same length, none of them empty."""
    parts = min(max(parts, 1), len(items))
    bounds = [len(items) * part // parts for part in range(parts + 1)]
    return [items[low:high] for low, high in pairwise(bounds)]


def _masks(columns: int, elements: int) -> list[int]:
    """Masks of registers of ``elements`` columns each; the last one may be partly filled."""
    return [(1 << min(elements, columns - at)) - 1 for at in range(0, columns, elements)]


def _halves(wide: Integers) -> Integers:
    """Patterns (…, M) of FLOAT32 as lanes (…, 2 M)."""
    return np.stack([wide & 0xFFFF, wide >> 16], axis=-1).reshape(*wide.shape[:-1], -1)


def _registers(p: Parameters, lanes: Integers, count: int, filler: int) -> Registers:
    """Registers (…, ceil(M / count)) with ``count`` of the lanes (…, M) each, the rest ``filler``.

    They are Python's integers, as the fields of an instruction are.
    """
    missing = -lanes.shape[-1] % count
    ends = [(0, 0)] * (lanes.ndim - 1)
    full = np.pad(lanes, [*ends, (0, missing)], constant_values=filler)
    rows = full.reshape(*full.shape[:-1], -1, count)
    rows = np.pad(rows, [*ends, (0, 0), (0, p.positions - count)], constant_values=filler)
    packed = pack_rows(rows.reshape(-1, p.positions), p.lane.width)
    registers = np.empty(len(packed), dtype=object)
    registers[:] = packed
    return registers.reshape(rows.shape[:-1])
