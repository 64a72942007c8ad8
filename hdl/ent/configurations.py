"""Configurations of the EN-T datapath: a PE alone, and the streaming multiplier around an array."""

from dataclasses import dataclass, field

from amaranth.lib.wiring import Component

from hdl.datapath import Configuration
from hdl.ent.parameters import Parameters
from hdl.ent.pe import PE
from hdl.ent.top import MatrixMultiplier

LARGEST_SIDE = 256
#: Depth of the largest matrix product in the real workload, the digits network.
LONGEST_REAL_TILE = 64


@dataclass(frozen=True)
class PEConfiguration(Configuration):
    """One processing element."""

    parameters: Parameters = field(default_factory=Parameters)

    @property
    def name(self) -> str:
        return f"pe-{self.parameters.name}"

    @property
    def testbenches(self) -> tuple[str, ...]:
        return ("sim.ent.pe_testbench",)

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.ent.running_sums", "golden.ent.row_correction")

    def build(self) -> Component:
        return PE(self.parameters)


@dataclass(frozen=True)
class ArrayConfiguration(Configuration):
    """A streaming matrix multiplier with ``rows`` times ``columns`` PEs.

    buffered_tiles: tiles of results that fit between the array and a stalled output.
    Raises ValueError for a value outside what is allowed.
    """

    rows: int
    columns: int
    parameters: Parameters = field(default_factory=Parameters)
    buffered_tiles: int = 1

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            if getattr(self, name) not in range(1, LARGEST_SIDE + 1):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; allowed are 1 to {LARGEST_SIDE}"
                )
        if self.buffered_tiles not in range(1, 17):
            raise ValueError(f"buffered_tiles is {self.buffered_tiles!r}; allowed are 1 to 16")

    @property
    def name(self) -> str:
        buffered = f"-buffer{self.buffered_tiles}" if self.buffered_tiles > 1 else ""
        return f"{self.rows}x{self.columns}-{self.parameters.name}{buffered}"

    @property
    def testbenches(self) -> tuple[str, ...]:
        checks = ("sim.ent.array_testbench",)
        p = self.parameters
        if p.operand_bits == 8 and p.longest_exact_tile >= LONGEST_REAL_TILE:
            return (*checks, "sim.ent.digits_testbench")
        return checks

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.ent.gemm", "golden.ent.multiply_streams")

    def build(self) -> Component:
        return MatrixMultiplier(self.parameters, self.rows, self.columns, self.buffered_tiles)
