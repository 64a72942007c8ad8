"""Golden model of the floating-point SIMD unit: what every instruction returns.

Instructions that differ in operands, mode and mask only are done together.
"""

from collections.abc import Callable, Iterable

import numpy as np

from golden import fp16
from golden.fp16_instruction import (
    Form,
    Group,
    Instruction,
    Number,
    Operation,
    Result,
    Unit,
    is_error,
)
from golden.fp16_registers import Batch, Elements, Fill, Registers, batch_of, written
from golden.integers import Integers

__all__ = ["Form", "Group", "Instruction", "Number", "Operation", "Result", "Unit", "execute"]


def execute(unit: Unit, instructions: Iterable[Instruction]) -> list[Result]:
    """Results of ``instructions`` in the same order."""
    program = list(instructions)
    groups: dict[tuple[int, ...], list[int]] = {}
    results: dict[int, Result] = {}
    for index, item in enumerate(program):
        if is_error(item, unit):
            results[index] = Result(item.tag, 1, 0, 0)
            continue
        converts = Operation(item.operation).group == Group.CONVERT
        formats = (item.source, item.destination) if converts else (0, 0)
        groups.setdefault((item.operation, *formats, item.form), []).append(index)
    for key, indices in groups.items():
        flags, registers = _execute_batch(batch_of(unit, key, [program[i] for i in indices]))
        for index, raised, register in zip(indices, flags.tolist(), registers, strict=True):
            results[index] = Result(program[index].tag, 0, raised, int(register))
    return [results[index] for index in range(len(program))]


def _execute_batch(batch: Batch) -> tuple[Integers, Registers]:
    """Flags and result registers."""
    found = DATAPATHS[batch.operation.group](batch)
    flags = np.bitwise_or.reduce(np.where(found.active, found.flags, 0), axis=1)
    if Operation.EQ <= batch.operation <= Operation.GE:  # one bit a lane, and nothing of c
        outcomes = np.where(found.active, found.bits, 0)
        return flags, (outcomes << np.arange(outcomes.shape[1])).sum(axis=1).astype(object)
    return flags, written(batch, found)


def _of_mask(
    batch: Batch, result: fp16.Result, width: int, first: int = 0, fill: Fill = Fill.ONES
) -> Elements:
    """Elements that are active where their mask bits are; ``fill`` is for scalars."""
    bits, flags = result
    active = batch.mask[:, first : first + bits.shape[1]]
    return Elements(bits, flags, active, width, first, fill if batch.scalar else None)


def _without_flags(bits: Integers) -> fp16.Result:
    return bits, np.zeros_like(bits)


def _fma(batch: Batch) -> Elements:
    lane, mode = batch.unit.lane, batch.mode
    a, b, c = batch.floats(batch.a, lane), batch.second(), batch.floats(batch.c, lane)
    if batch.operation == Operation.ADD:
        result = fp16.add(a, b, lane, mode)
    elif batch.operation == Operation.SUB:
        result = fp16.subtract(a, b, lane, mode)
    elif batch.operation == Operation.MUL:
        result = fp16.multiply(a, b, lane, mode)
    else:
        negate_product = batch.operation in (Operation.FNMSUB, Operation.FNMADD)
        negate_addend = batch.operation in (Operation.FMSUB, Operation.FNMADD)
        result = fp16.fused_multiply_add(a, b, c, lane, mode, negate_product, negate_addend)
    return _of_mask(batch, result, lane.width)


def _compare(batch: Batch) -> Elements:
    lane = batch.unit.lane
    a, b = batch.floats(batch.a, lane), batch.second()
    if batch.operation == Operation.MIN:
        result = fp16.minimum(a, b, lane)
    elif batch.operation == Operation.MAX:
        result = fp16.maximum(a, b, lane)
    else:
        result = fp16.compare(a, b, lane, batch.operation.name.lower())
    return _of_mask(batch, result, lane.width)


def _sign(batch: Batch) -> Elements:
    lane = batch.unit.lane
    a = batch.floats(batch.a, lane)
    if batch.operation == Operation.CLASSIFY:
        classes = _without_flags(fp16.classify(a, lane))
        return _of_mask(batch, classes, lane.width, fill=Fill.ZEROS)
    kinds = {Operation.SGNJ: "copy", Operation.SGNJN: "negate", Operation.SGNJX: "xor"}
    signed = fp16.inject_sign(a, batch.second(), lane, kinds[batch.operation])
    return _of_mask(batch, _without_flags(signed), lane.width)


def _convert(batch: Batch) -> Elements:
    unit, source, destination = batch.unit, Number(batch.source), Number(batch.destination)
    width = unit.number_width(destination)
    if batch.operation.packs:
        wide = [batch.floats(register, unit.wide, 0, 1) for register in (batch.a, batch.b)]
        result = _converted(batch, np.concatenate(wide, axis=1), source, destination)
        return _of_mask(batch, result, width, 2 * (batch.operation - Operation.PACK_A))
    same_width = width == unit.number_width(source) == unit.width
    count = unit.lanes if same_width else unit.pairs
    high = unit.pairs if batch.operation == Operation.CONVERT_HIGH else 0
    start = 0 if source == Number.WIDE else high
    if source.integer:
        bits = batch.elements(batch.a, unit.width, start, count)
    else:
        bits = batch.floats(batch.a, unit.float_format(source), start, count)
    result = _converted(batch, bits, source, destination)
    first = 0 if destination == Number.WIDE else high
    return _of_mask(batch, result, width, first, Fill.SIGN if destination.integer else Fill.ONES)


def _converted(batch: Batch, bits: Integers, source: Number, destination: Number) -> fp16.Result:
    unit, mode = batch.unit, batch.mode
    if source.integer:
        signed = source == Number.SIGNED
        return fp16.from_integer(bits, unit.width, signed, unit.float_format(destination), mode)
    if destination.integer:
        signed = destination == Number.SIGNED
        return fp16.to_integer(bits, unit.float_format(source), unit.width, signed, mode)
    return fp16.convert(bits, unit.float_format(source), unit.float_format(destination), mode)


def _divide(batch: Batch) -> Elements:
    lane = batch.unit.lane
    a = batch.floats(batch.a, lane)
    if batch.operation == Operation.SQRT:
        result = fp16.square_root(a, lane, batch.mode)
    else:
        result = fp16.divide(a, batch.second(), lane, batch.mode)
    return _of_mask(batch, result, lane.width)


def _dot(batch: Batch) -> Elements:
    unit, pairs, operation = batch.unit, batch.unit.pairs, batch.operation
    expands = operation in (Operation.EXDOTP, Operation.EXNDOTP, Operation.EXVSUM)
    destination = unit.wide if expands else unit.lane
    a = batch.floats(batch.a, unit.lane, 0, 2 * pairs)
    c = batch.floats(batch.c, destination, 0, pairs)
    if operation in (Operation.VSUM, Operation.EXVSUM):
        result = fp16.sum2(a[:, 0::2], a[:, 1::2], c, unit.lane, destination, batch.mode)
    else:
        b = np.broadcast_to(batch.second(2 * pairs), a.shape)
        negate = operation in (Operation.NDOTP, Operation.EXNDOTP)
        factors = a[:, 0::2], b[:, 0::2], a[:, 1::2], b[:, 1::2]
        result = fp16.dot2(*factors, c, unit.lane, destination, batch.mode, negate)
    return _of_mask(batch, result, destination.width)


def _reduce(batch: Batch) -> Elements:
    unit = batch.unit
    lanes = batch.floats(batch.a, unit.lane)
    active = batch.mask[:, : unit.lanes]
    if batch.operation == Operation.REDUCE_SUM:
        bits, flags = fp16.tree_sum(lanes, active, unit.lane, batch.mode[:, 0])
    elif batch.operation == Operation.REDUCE_MIN:
        bits, flags = fp16.tree_minimum(lanes, active, unit.lane)
    else:
        bits, flags = fp16.tree_maximum(lanes, active, unit.lane)
    always = np.ones((len(bits), 1), dtype=bool)  # whatever mask bit 0 says of lane 0 of a
    return Elements(bits[:, None], flags[:, None], always, unit.width)


def _move(batch: Batch) -> Elements:
    unit = batch.unit
    lanes, indices = (
        batch.elements(register, unit.width, 0, unit.positions) for register in (batch.a, batch.b)
    )
    if batch.operation == Operation.INSERT:
        bits = np.repeat(lanes[:, :1], unit.positions, axis=1)
        active = batch.mask & (indices[:, :1] == np.arange(unit.positions))
        return Elements(*_without_flags(bits), active, unit.width)
    if batch.operation == Operation.EXTRACT:
        indices = indices[:, :1]
    elif batch.operation == Operation.BROADCAST or batch.form == Form.REPLICATED:
        indices = np.repeat(indices[:, :1], unit.positions, axis=1)
    bits = np.take_along_axis(lanes, np.minimum(indices, unit.positions - 1), axis=1)
    bits = np.where(indices < unit.positions, bits, 0)
    fill = Fill.ONES if batch.operation == Operation.EXTRACT else None
    active = batch.mask[:, : bits.shape[1]]
    return Elements(*_without_flags(bits), active, unit.width, 0, fill)


DATAPATHS: dict[Group, Callable[[Batch], Elements]] = {
    Group.FMA: _fma,
    Group.COMPARE: _compare,
    Group.SIGN: _sign,
    Group.CONVERT: _convert,
    Group.DIVIDE: _divide,
    Group.DOT: _dot,
    Group.REDUCE: _reduce,
    Group.MOVE: _move,
}
