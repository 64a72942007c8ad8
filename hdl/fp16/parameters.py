"""Parameters of an FP16 unit."""

from dataclasses import dataclass, field, fields

from hdl.fp16.format import BFLOAT16, FLOAT16, FLOAT32, Format

LARGEST_DEPTH = 4
LARGEST_LANES = 16
LARGEST_TAG = 64


@dataclass(frozen=True)
class Depths:
    """Ranks of pipeline registers of each group of operations, 0 (combinational) to 4.

    Raises ValueError for others. Division and square root iterate and have no depth.
    """

    fma: int = 3
    compare: int = 1
    convert: int = 2
    dot: int = 3
    reduce: int = 2
    move: int = 1

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if type(value) is not int or not 0 <= value <= LARGEST_DEPTH:
                raise ValueError(
                    f"depth of {each.name} is {value!r}; allowed are 0 to {LARGEST_DEPTH}"
                )

    @classmethod
    def all(cls, depth: int) -> "Depths":
        """The same depth for every group."""
        return cls(*[depth] * len(fields(cls)))


@dataclass(frozen=True)
class Parameters:
    """What a unit computes with.

    lane: format of a lane, 6 to 16 bits. lanes: 1 to 16. tag_bits: 1 to 64. order_bits: what the
    unit itself puts above a tag inside; none on its ports.
    Raises ValueError for a value outside what is allowed.

    A register holds ``positions`` lanes: one for each lane, but two at least, so that a wide
    element fits in.
    """

    lane: Format = FLOAT16
    lanes: int = 4
    depths: Depths = field(default_factory=Depths)
    tag_bits: int = 8
    order_bits: int = 0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("lanes", self.lanes, 1, LARGEST_LANES),
            ("tag_bits", self.tag_bits, 1, LARGEST_TAG),
            ("width of the lane format", self.lane.width, 6, 16),
        ):
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; allowed are {low} to {high}")

    @property
    def alternate(self) -> Format:
        """The other format of a lane's width: BFLOAT16 for FLOAT16 and the other way round."""
        others = {FLOAT16: BFLOAT16, BFLOAT16: FLOAT16}
        exponent, fraction = self.lane.exponent_bits, self.lane.fraction_bits
        step = -1 if exponent > 2 else 1
        return others.get(self.lane) or Format(exponent + step, fraction - step)

    @property
    def wide(self) -> Format:
        """The format of twice a lane's width: FLOAT32 for 16 bits."""
        if self.lane.width == FLOAT16.width:
            return FLOAT32
        exponent = self.lane.exponent_bits + 1
        return Format(exponent, 2 * self.lane.width - 1 - exponent)

    @property
    def positions(self) -> int:
        """Lanes that a register has room for."""
        return max(2, self.lanes)

    @property
    def pairs(self) -> int:
        """Wide elements in a register."""
        return self.positions // 2

    @property
    def register_bits(self) -> int:
        return self.positions * self.lane.width

    @property
    def name(self) -> str:
        """Stable name, for example ``4xe5m10-d3.1.2.3.2.1``."""
        d = self.depths
        depths = (d.fma, d.compare, d.convert, d.dot, d.reduce, d.move)
        same = len(set(depths)) == 1
        depth = str(depths[0]) if same else ".".join(map(str, depths))
        return f"{self.lanes}x{self.lane.name}-depth{depth}"
