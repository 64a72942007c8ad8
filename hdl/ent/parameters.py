"""Parameters of a PE, shared by everything built from it."""

from dataclasses import dataclass
from typing import Literal, get_args

from hdl.encoding import Encoding

EncodeAt = Literal["pe", "pe-register", "edge"]
CorrectAt = Literal["pe", "edge", "beat"]
Accumulation = Literal["separate", "fused", "carry-save"]

OPERAND_BITS = (4, 8, 16)
MAXIMUM_ACCUMULATOR_BITS = 64
MAXIMUM_LANES = 64
#: Bits of a sum that are added in one cycle where sums arrive in carry-save form.
SEGMENT = 16


@dataclass(frozen=True)
class Parameters:
    """What one PE computes and what it leaves to the edge of the array.

    operand_bits: width of both operands, two's complement.
    accumulator_bits: width of the sum; it wraps modulo ``2**accumulator_bits``.
    encoding: recoding of one operand, A, or W where weights are stationary. encode_at: where the
    encoder sits; in ``pe-register`` in every PE, with a register behind it. correct_at: where
    negative digits' missing ones and the rows' sign constant are added: in every PE; at the edge,
    to the results; with ``beat`` the ones of all lanes are summed at the edge for each beat, and
    come to the PE as one number, while the constant stays there.
    accumulation: ``separate``: products first, then the accumulator; ``fused``: the accumulator is
    one more row of the tree; ``carry-save``: likewise, and it stays two words, which are added
    once for each result.
    lanes: products of a PE in a cycle.
    Raises ValueError for a value outside what is allowed.
    """

    operand_bits: int = 8
    accumulator_bits: int = 32
    encoding: Encoding = Encoding.NR4SD
    encode_at: EncodeAt = "edge"
    correct_at: CorrectAt = "edge"
    accumulation: Accumulation = "fused"
    lanes: int = 1

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
        for field, choices in (
            ("encode_at", EncodeAt),
            ("correct_at", CorrectAt),
            ("accumulation", Accumulation),
        ):
            value, known = getattr(self, field), get_args(choices)
            if value not in known:
                *others, last = map(repr, known)
                raise ValueError(
                    f"{field} is {value!r}; allowed are {', '.join(others)} and {last}"
                )
        if type(self.lanes) is not int or not 1 <= self.lanes <= MAXIMUM_LANES:
            raise ValueError(f"lanes is {self.lanes!r}; allowed are 1 to {MAXIMUM_LANES}")
        if self.product_bits > self.accumulator_bits:
            raise ValueError(
                f"lanes is {self.lanes}, whose sum has {self.product_bits} bits; "
                f"accumulator_bits is {self.accumulator_bits}"
            )

    @property
    def digits(self) -> int:
        """Radix-4 digits of an operand."""
        return self.operand_bits // 2

    @property
    def a_width(self) -> int:
        """Wires that carry one operand A to a PE: its code or itself."""
        if self.encode_at == "edge":
            return self.encoding.code_width(self.operand_bits)
        return self.operand_bits

    @property
    def quiet(self) -> bool:
        """Whether digits 0 add nothing in a PE: what they lack of the offset the edge knows."""
        return self.correct_at == "edge" and self.encoding is Encoding.ONE_HOT

    @property
    def ones_bits(self) -> int:
        """Bits of the sum of all lanes' missing ones, if it comes to the PE with the operands."""
        largest = self.lanes * (4**self.digits // 3)
        return largest.bit_length() if self.correct_at == "beat" else 0

    @property
    def a_bits(self) -> int:
        """Wires that carry the operands A of one beat to a PE: of all lanes, then the ones."""
        return self.a_width * self.lanes + self.ones_bits

    @property
    def product_bits(self) -> int:
        """Bits of the sum of all lanes' products."""
        return 2 * self.operand_bits + (self.lanes - 1).bit_length()

    @property
    def words(self) -> int:
        """Words that the accumulator consists of; their sum is its value."""
        return 2 if self.accumulation == "carry-save" else 1

    @property
    def segment(self) -> int:
        """Bits of a result that are added in one cycle at the edge."""
        return SEGMENT if self.accumulation == "carry-save" else self.accumulator_bits

    @property
    def pe_latency(self) -> int:
        """Cycles from a beat at a PE's inputs to its accumulator."""
        return 2 if self.encode_at == "pe-register" else 1

    @property
    def longest_exact_tile(self) -> int:
        """Beats that cannot overflow the accumulator, whatever the operands are."""
        largest_product = self.lanes << 2 * self.operand_bits - 2
        return ((1 << self.accumulator_bits - 1) - 1) // largest_product

    @property
    def name(self) -> str:
        """Stable name, for example ``int8-acc32-nr4sd-edge-edge``."""
        encode_at = self.encode_at.replace("-", "")
        parts = [
            f"int{self.operand_bits}-acc{self.accumulator_bits}-{self.encoding.value}",
            f"{encode_at}-{self.correct_at}",
        ]
        if self.accumulation != "fused":
            parts.append(self.accumulation.replace("-", ""))
        return "-".join(parts)


def _encoding(value: object) -> Encoding:
    try:
        return Encoding(value)
    except ValueError:
        allowed = ", ".join(repr(encoding.value) for encoding in Encoding)
        raise ValueError(f"encoding is {value!r}; allowed are {allowed}") from None
