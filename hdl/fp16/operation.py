"""Operations, rounding modes and flags of the FP16 unit, as its instructions encode them."""

from amaranth.lib import enum
from amaranth.lib.data import StructLayout

GROUP_BITS = 3
INDEX_BITS = 3


class Group(enum.Enum, shape=GROUP_BITS):
    """Operations that share a datapath: the upper three bits of an operation."""

    FMA = 0
    COMPARE = 1
    SIGN = 2
    CONVERT = 3
    DIVIDE = 4
    DOT = 5
    REDUCE = 6
    MOVE = 7


class Operation(enum.Enum, shape=GROUP_BITS + INDEX_BITS):
    """What an instruction does; codes that are not listed are reserved."""

    ADD = 0
    SUB = 1
    MUL = 2
    FMADD = 3
    FMSUB = 4
    FNMSUB = 5
    FNMADD = 6
    MAC = 3  # the third operand is the destination's old value
    MRE = 5

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
        return Group(self.value >> INDEX_BITS)

    @property
    def index(self) -> int:
        """Number within its group."""
        return self.value & (1 << INDEX_BITS) - 1


class Mode(enum.Enum, shape=3):
    """Rounding modes, as RISC-V numbers them; 5, 6 and 7 are reserved."""

    RNE = 0
    RTZ = 1
    RDN = 2
    RUP = 3
    RMM = 4


class Form(enum.Enum, shape=2):
    """Which lanes take part: all, lane 0 alone, or all with lane 0 of operand b for each."""

    VECTOR = 0
    SCALAR = 1
    REPLICATED = 2


class Number(enum.Enum, shape=3):
    """Number formats of conversions: the lane's own, its alternate, the wide one, integers."""

    LANE = 0
    ALTERNATE = 1
    WIDE = 2
    SIGNED = 3
    UNSIGNED = 4


#: Exception flags, in the order of RISC-V's fflags.
FLAGS = StructLayout(
    {"inexact": 1, "underflow": 1, "overflow": 1, "divide_by_zero": 1, "invalid": 1}
)
