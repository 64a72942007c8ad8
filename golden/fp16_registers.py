"""Registers of the floating-point SIMD unit: elements out of operands and into results.

Registers are Python integers, in arrays of dtype object; elements taken out of them are int64
arrays (n, elements).
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from golden.float_format import Booleans, FloatFormat
from golden.fp16_instruction import Form, Instruction, Operation, Unit
from golden.integers import Integers

Registers = NDArray[np.object_]


class Fill(Enum):
    """Bits above a scalar result."""

    ONES = "ones"  # NaN boxing
    SIGN = "sign"
    ZEROS = "zeros"


@dataclass(frozen=True)
class Elements:
    """New elements of results, of ``width`` bits, from element ``first`` of the register on.

    bits, flags, active: (n, k). An element that is not active is not written and has no flags.
    fill: None to leave the rest of operand c in place; otherwise element 0 is the whole result.
    """

    bits: Integers
    flags: Integers
    active: Booleans
    width: int
    first: int = 0
    fill: Fill | None = None


@dataclass(frozen=True)
class Batch:
    """Instructions with operation, formats and form in common."""

    unit: Unit
    operation: Operation
    source: int
    destination: int
    form: int
    mode: Integers
    mask: Booleans
    a: Registers
    b: Registers
    c: Registers

    @property
    def scalar(self) -> bool:
        return self.form == Form.SCALAR

    def elements(self, register: Registers, width: int, first: int, count: int) -> Integers:
        """Patterns of ``count`` elements of ``width`` bits, one alone in a scalar instruction."""
        if self.scalar:
            count = 1
        shifts = np.array([width * (first + i) for i in range(count)], dtype=object)
        return (register[:, None] >> shifts & (1 << width) - 1).astype(np.int64)

    def floats(
        self, register: Registers, fmt: FloatFormat, first: int = 0, count: int | None = None
    ) -> Integers:
        """``elements`` of a floating-point format, as many as there are lanes if not told.

        A scalar that is not NaN-boxed counts as the canonical NaN.
        """
        count = self.unit.lanes if count is None else count
        bits = self.elements(register, fmt.width, first, count)
        if not self.scalar:
            return bits
        above = (1 << self.unit.register_bits - fmt.width) - 1
        boxed = (register >> fmt.width == above).astype(bool)
        return np.where(boxed[:, None], bits, fmt.canonical_nan)

    def second(self, count: int | None = None) -> Integers:
        """Lanes of operand b, or its lane 0 alone, which then goes with every lane of others."""
        if self.form == Form.REPLICATED:
            count = 1
        return self.floats(self.b, self.unit.lane, 0, count)


def batch_of(unit: Unit, key: tuple[int, ...], items: list[Instruction]) -> Batch:
    """Instructions ``items`` that have operation, formats and form, ``key``, in common."""
    operation, source, destination, form = key
    registers = [
        np.array([getattr(item, name) for item in items], dtype=object) for name in ("a", "b", "c")
    ]
    masks = np.array([item.mask for item in items], dtype=np.int64)
    return Batch(
        unit=unit,
        operation=Operation(operation),
        source=source,
        destination=destination,
        form=form,
        mode=np.array([item.mode for item in items], dtype=np.int64)[:, None],
        mask=(masks[:, None] >> np.arange(unit.positions) & 1).astype(bool),
        a=registers[0],
        b=registers[1],
        c=registers[2],
    )


def written(batch: Batch, elements: Elements) -> Registers:
    """Operand c with the active ones of ``elements`` in it."""
    if elements.fill is not None:
        whole = _extended(
            elements.bits[:, 0], elements.width, elements.fill, batch.unit.register_bits
        )
        return np.where(elements.active[:, 0], whole, batch.c)
    result = batch.c
    for index in range(elements.bits.shape[1]):
        shift = elements.width * (elements.first + index)
        others = result & ~((1 << elements.width) - 1 << shift)
        replaced = others | elements.bits[:, index].astype(object) << shift
        result = np.where(elements.active[:, index], replaced, result)
    return result


def _extended(bits: Integers, width: int, fill: Fill, register_bits: int) -> Registers:
    above = (1 << register_bits) - (1 << width)
    ones = {
        Fill.ONES: np.ones_like(bits),
        Fill.SIGN: bits >> width - 1 & 1,
        Fill.ZEROS: np.zeros_like(bits),
    }[fill]
    return bits.astype(object) | ones.astype(object) * above
