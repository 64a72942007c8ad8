"""Instructions of the floating-point SIMD unit: fields, codes, and those that are errors."""

from dataclasses import dataclass
from enum import IntEnum

from golden.float_format import FloatFormat
from golden.rounding import Mode


class Group(IntEnum):
    """Upper three bits of an operation."""

    FMA = 0
    COMPARE = 1
    SIGN = 2
    CONVERT = 3
    DIVIDE = 4
    DOT = 5
    REDUCE = 6
    MOVE = 7


class Operation(IntEnum):
    """Codes of operations; all others of six bits are reserved."""

    ADD = 0
    SUB = 1
    MUL = 2
    FMADD = 3
    FMSUB = 4
    FNMSUB = 5
    FNMADD = 6
    EQ = 8
    NE = 9
    LT = 10
    LE = 11
    GT = 12
    GE = 13
    MIN = 14
    MAX = 15
    SGNJ = 16
    SGNJN = 17
    SGNJX = 18
    CLASSIFY = 19
    CONVERT = 24
    CONVERT_HIGH = 25
    PACK_A = 28
    PACK_B = 29
    PACK_C = 30
    PACK_D = 31
    DIV = 32
    SQRT = 33
    DOTP = 40
    NDOTP = 41
    VSUM = 42
    EXDOTP = 44
    EXNDOTP = 45
    EXVSUM = 46
    REDUCE_SUM = 48
    REDUCE_MIN = 49
    REDUCE_MAX = 50
    BROADCAST = 56
    SHUFFLE = 57
    INSERT = 58
    EXTRACT = 59

    @property
    def group(self) -> Group:
        return Group(self >> 3)

    @property
    def packs(self) -> bool:
        return Operation.PACK_A <= self <= Operation.PACK_D


CODES = frozenset(int(operation) for operation in Operation)


class Form(IntEnum):
    """All elements; element 0 alone; all, but with lane 0 of operand b for every lane of it."""

    VECTOR = 0
    SCALAR = 1
    REPLICATED = 2


class Number(IntEnum):
    """What conversions convert between. Integers have as many bits as a lane."""

    LANE = 0
    ALTERNATE = 1
    WIDE = 2
    SIGNED = 3
    UNSIGNED = 4

    @property
    def integer(self) -> bool:
        return self >= Number.SIGNED


@dataclass(frozen=True)
class Unit:
    """A unit of ``lanes`` lanes, 1 to 16, of format ``lane``.

    alternate: a format as wide as ``lane``. wide: a format of twice its width.
    """

    lanes: int
    lane: FloatFormat
    alternate: FloatFormat
    wide: FloatFormat

    def __post_init__(self) -> None:
        if not 1 <= self.lanes <= 16:
            raise ValueError(f"lanes is {self.lanes}; allowed are 1 to 16")
        if (self.alternate.width, self.wide.width) != (self.width, 2 * self.width):
            raise ValueError(f"{self.alternate} and {self.wide} do not go with {self.lane}")

    @property
    def width(self) -> int:
        """Bits of a lane."""
        return self.lane.width

    @property
    def positions(self) -> int:
        """Lanes that a register has room for: always a wide element, even with one lane."""
        return max(2, self.lanes)

    @property
    def pairs(self) -> int:
        """Wide elements of a register."""
        return self.positions // 2

    @property
    def register_bits(self) -> int:
        return self.positions * self.width

    def float_format(self, number: Number) -> FloatFormat:
        return {
            Number.LANE: self.lane,
            Number.ALTERNATE: self.alternate,
            Number.WIDE: self.wide,
        }[number]

    def number_width(self, number: Number) -> int:
        return 2 * self.width if number == Number.WIDE else self.width


@dataclass(frozen=True)
class Instruction:
    """One instruction as its fields' bits, reserved codes included; a, b, c are registers.

    Lane i is at bits ``[i * w, (i + 1) * w)`` of a register, wide element p at
    ``[p * 2w, (p + 1) * 2w)``; bit i of ``mask`` belongs to element i of the result.
    """

    operation: int
    source: int = Number.LANE
    destination: int = Number.LANE
    form: int = Form.VECTOR
    mode: int = Mode.RNE
    mask: int = 0
    tag: int = 0
    a: int = 0
    b: int = 0
    c: int = 0


@dataclass(frozen=True)
class Result:
    """What a unit returns for one instruction; after an error, flags and result are 0."""

    tag: int
    error: int
    flags: int
    result: int


def is_error(instruction: Instruction, unit: Unit) -> bool:
    """Whether ``unit`` refuses the instruction: a code is reserved or the combination is."""
    if instruction.operation not in CODES:
        return True
    if instruction.mode > Mode.RMM or instruction.form > Form.REPLICATED:
        return True
    operation = Operation(instruction.operation)
    if operation == Operation.CLASSIFY:
        return unit.width < 10  # a class is a mask of 10 bits
    if instruction.form == Form.SCALAR:
        if operation.group in (Group.DOT, Group.REDUCE, Group.MOVE):
            return True
        if operation.packs or operation == Operation.CONVERT_HIGH:
            return True
    return operation.group == Group.CONVERT and _is_unsupported(operation, instruction, unit)


def _is_unsupported(operation: Operation, instruction: Instruction, unit: Unit) -> bool:
    """Whether a conversion is between formats that it cannot be between."""
    if max(instruction.source, instruction.destination) > Number.UNSIGNED:
        return True
    source, destination = Number(instruction.source), Number(instruction.destination)
    if operation.packs:
        last = 2 * (operation - Operation.PACK_A) + 1
        packs = source == Number.WIDE and destination in (Number.LANE, Number.ALTERNATE)
        return not packs or last >= unit.positions
    if operation == Operation.CONVERT_HIGH:
        return unit.number_width(source) == unit.number_width(destination)
    return source.integer and destination.integer
