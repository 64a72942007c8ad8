"""Which instructions a unit refuses."""

from amaranth.hdl import Const, Module, Value
from amaranth.lib.data import View

from hdl.fp16.compare import CLASSES
from hdl.fp16.instruction import is_scalar
from hdl.fp16.operation import INDEX_BITS, Form, Group, Mode, Number, Operation
from hdl.fp16.parameters import Parameters
from hdl.wire import wire

_LANES_OF_PACK = {
    Operation.PACK_A: 1,
    Operation.PACK_B: 3,
    Operation.PACK_C: 5,
    Operation.PACK_D: 7,
}
_NO_SCALARS = (Group.DOT, Group.REDUCE, Group.MOVE)
_INTEGERS = (Number.SIGNED, Number.UNSIGNED)


def is_reserved(m: Module, instruction: View, parameters: Parameters) -> Value:
    """Whether the instruction means nothing: its operation, mode, form or formats are reserved."""
    operation = instruction.operation
    known = _is_any(operation, *_operations(parameters))
    scalar = is_scalar(instruction)
    converts = operation[INDEX_BITS:] == Group.CONVERT.value
    vectors_only = _is_any(operation[INDEX_BITS:], *_NO_SCALARS) | (
        converts & (operation != Operation.CONVERT.value)
    )
    return wire(
        m,
        ~known
        | (instruction.mode > Mode.RMM.value)
        | (instruction.form > Form.REPLICATED.value)
        | (scalar & vectors_only)
        | (converts & _has_no_conversion(m, instruction)),
        "reserved",
    )


def _operations(parameters: Parameters) -> list[Operation]:
    """The operations that a unit of this size and format has."""
    return [
        each
        for each in Operation
        if _LANES_OF_PACK.get(each, 0) < parameters.positions
        and (each is not Operation.CLASSIFY or parameters.lane.width >= CLASSES)
    ]


def _has_no_conversion(m: Module, instruction: View) -> Value:
    """Whether a conversion's pair of number formats is not among those of its operation."""
    source, destination = instruction.source, instruction.destination
    operation = instruction.operation
    unknown = ~_is_any(source, *Number) | ~_is_any(destination, *Number)
    both_integers = _is_any(source, *_INTEGERS) & _is_any(destination, *_INTEGERS)
    from_wide, to_wide = (each == Number.WIDE.value for each in (source, destination))
    same_width = from_wide == to_wide
    packs = _is_any(operation, *_LANES_OF_PACK)
    packable = from_wide & _is_any(destination, Number.LANE, Number.ALTERNATE)
    return (
        unknown
        | both_integers
        | ((operation == Operation.CONVERT_HIGH.value) & same_width)
        | (packs & ~packable)
    )


def _is_any(value: Value, *those: Operation | Group | Number) -> Value:
    found: Value = Const(0, 1)
    for each in those:
        found = found | (value == each.value)
    return found
