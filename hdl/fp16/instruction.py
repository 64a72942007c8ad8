"""Instructions and results of the FP16 unit, bit by bit, and the parts a group makes them of."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Mux, Value
from amaranth.lib.data import StructLayout, View

from hdl.fp16.operation import FLAGS, GROUP_BITS, INDEX_BITS, Form
from hdl.fp16.parameters import Parameters


def instruction_layout(parameters: Parameters) -> StructLayout:
    """Fields of one instruction; ``mask`` has a bit for each element of the result."""
    p = parameters
    return StructLayout(
        {
            "operation": GROUP_BITS + INDEX_BITS,
            "source": 3,
            "destination": 3,
            "form": 2,
            "mode": 3,
            "mask": p.positions,
            "tag": p.tag_bits + p.order_bits,
            "a": p.register_bits,
            "b": p.register_bits,
            "c": p.register_bits,
        }
    )


def result_layout(parameters: Parameters) -> StructLayout:
    """Fields of one result. ``error``: the instruction was reserved; it did nothing."""
    p = parameters
    tag_bits = p.tag_bits + p.order_bits
    return StructLayout({"tag": tag_bits, "error": 1, "flags": FLAGS, "result": p.register_bits})


def index_of(instruction: View) -> Value:
    """The operation's number within its group."""
    return instruction.operation[:INDEX_BITS]


def is_scalar(instruction: View) -> Value:
    return instruction.form == Form.SCALAR.value


def active_mask(instruction: View) -> Value:
    """The mask, of which a scalar instruction uses bit 0 alone."""
    mask = instruction.mask
    return Cat(mask[0], mask[1:] & ~is_scalar(instruction).replicate(len(mask) - 1))


def elements(register: Value, width: int) -> list[Value]:
    """The elements of ``width`` bits in a register, without what is left over at its top."""
    return [register[at : at + width] for at in range(0, len(register) - width + 1, width)]


def unbox(register: Value, width: int, nan: int, scalar: Value) -> Value:
    """Element 0 of ``width`` bits; a scalar that is not boxed, by ones above it, is a NaN."""
    if width == len(register):
        return register
    return Mux(scalar & ~register[width:].all(), nan, register[:width])


def lane_operands(register: Value, parameters: Parameters, scalar: Value) -> list[Value]:
    """The lanes of an operand in the lane format, the first one checked for its box."""
    lane = parameters.lane
    first = unbox(register, lane.width, lane.canonical_nan, scalar)
    return [first, *elements(register, lane.width)[1 : parameters.lanes]]


def merge(results: Sequence[Value], mask: Value, kept: Value) -> Value:
    """A register of new elements where the mask has a one, and of those of ``kept`` elsewhere.

    results: elements of one width, from element 0 up; what they do not cover is kept too.
    """
    width = len(results[0])
    old = elements(kept, width)
    new = [
        Mux(active, result, before)
        for active, result, before in zip(mask, results, old, strict=False)
    ]
    return Cat(*new, kept[width * len(new) :])


def box(register: Value, width: int, fill: Value, scalar: Value) -> Value:
    """``register``; for a scalar instruction all bits above element 0 are ``fill``."""
    rest = register[width:]
    return Cat(register[:width], Mux(scalar, fill.replicate(len(rest)), rest))


def merge_flags(flags: Sequence[Value], mask: Value) -> Value:
    """The OR of the flags of active elements."""
    total: Value = Const(0, len(flags[0]))
    for each, active in zip(flags, mask, strict=False):
        total = total | (Value.cast(each) & active.replicate(len(total)))
    return total
