"""Parameters of a PE, shared by everything built from it."""

from dataclasses import dataclass
from typing import Literal, get_args

from hdl.encoding import Encoding

Location = Literal["pe", "edge"]

OPERAND_BITS = (4, 8, 16)
MAXIMUM_ACCUMULATOR_BITS = 64


@dataclass(frozen=True)
class Parameters:
    """What one PE computes and what it leaves to the edge of the array.

    operand_bits: width of both operands, two's complement.
    accumulator_bits: width of the sum; it wraps modulo ``2**accumulator_bits``.
    encoding: recoding of operand A. encode_at: where the encoder sits.
    correct_at: where negative digits' missing ones and the rows' sign constant are added.
    Raises ValueError for a value outside what is allowed.
    """

    operand_bits: int = 8
    accumulator_bits: int = 32
    encoding: Encoding = Encoding.NR4SD
    encode_at: Location = "edge"
    correct_at: Location = "edge"

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoding", _encoding(self.encoding))
        if type(self.operand_bits) is not int or self.operand_bits not in OPERAND_BITS:
            raise ValueError(
                f"operand_bits is {self.operand_bits!r}; allowed are "
                f"{', '.join(map(str, OPERAND_BITS))}"
            )
        narrowest = 2 * self.operand_bits
        allowed = range(narrowest, MAXIMUM_ACCUMULATOR_BITS + 1)
        if type(self.accumulator_bits) is not int or self.accumulator_bits not in allowed:
            raise ValueError(
                f"accumulator_bits is {self.accumulator_bits!r}; allowed for "
                f"{self.operand_bits}-bit operands are {narrowest} to {MAXIMUM_ACCUMULATOR_BITS}"
            )
        for field in ("encode_at", "correct_at"):
            if getattr(self, field) not in get_args(Location):
                raise ValueError(
                    f"{field} is {getattr(self, field)!r}; allowed are 'pe' and 'edge'"
                )

    @property
    def digits(self) -> int:
        """Radix-4 digits of an operand."""
        return self.operand_bits // 2

    @property
    def a_width(self) -> int:
        """Wires that carry operand A from PE to PE: its code or itself."""
        if self.encode_at == "edge":
            return self.encoding.code_width(self.operand_bits)
        return self.operand_bits

    @property
    def longest_exact_tile(self) -> int:
        """Beats that cannot overflow the accumulator, whatever the operands are."""
        largest_product = 1 << 2 * self.operand_bits - 2
        return ((1 << self.accumulator_bits - 1) - 1) // largest_product

    @property
    def name(self) -> str:
        """Stable name, for example ``int8-acc32-nr4sd-edge-edge``."""
        return (
            f"int{self.operand_bits}-acc{self.accumulator_bits}-{self.encoding.value}"
            f"-{self.encode_at}-{self.correct_at}"
        )


def _encoding(value: object) -> Encoding:
    try:
        return Encoding(value)
    except ValueError:
        allowed = ", ".join(repr(encoding.value) for encoding in Encoding)
        raise ValueError(f"encoding is {value!r}; allowed are {allowed}") from None
