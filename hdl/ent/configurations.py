"""Configurations of the EN-T datapath: a PE alone, and the streaming multiplier around an array."""

from dataclasses import dataclass, field

from amaranth.lib.wiring import Component

from hdl.datapath import Configuration
from hdl.ent.parameters import Parameters
from hdl.ent.pe import PE
from hdl.ent.top import MatrixMultiplier

LARGEST_SIDE = 256
LARGEST_BUFFER = 16
#: The real workload, the digits network: its deepest product, and how many PEs it deserves.
REAL_DEPTH = 64
REAL_PES = 64


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
        largest = {"rows": LARGEST_SIDE, "columns": LARGEST_SIDE, "buffered_tiles": LARGEST_BUFFER}
        for name, limit in largest.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= limit:
                raise ValueError(f"{name} is {value!r}; allowed are 1 to {limit}")

    @property
    def name(self) -> str:
        buffered = f"-buffer{self.buffered_tiles}" if self.buffered_tiles > 1 else ""
        return f"{self.rows}x{self.columns}-{self.parameters.name}{buffered}"

    @property
    def testbenches(self) -> tuple[str, ...]:
        checks = ("sim.ent.array_testbench",)
        p = self.parameters
        fits = p.operand_bits == 8 and p.longest_exact_tile >= REAL_DEPTH
        if fits and self.rows * self.columns >= REAL_PES:
            return (*checks, "sim.ent.digits_testbench")
        return checks

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.ent.gemm", "golden.ent.multiply_streams")

    def build(self) -> Component:
        return MatrixMultiplier(self.parameters, self.rows, self.columns, self.buffered_tiles)
