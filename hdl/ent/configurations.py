"""Configurations of the EN-T datapath: a PE alone, and streaming multipliers around an array."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from amaranth.lib.wiring import Component

from hdl.datapath import Configuration
from hdl.ent.broadcast import BroadcastArray
from hdl.ent.parameters import Parameters
from hdl.ent.pe import PE
from hdl.ent.systolic import SystolicArray
from hdl.ent.top import MatrixMultiplier
from hdl.ent.weights import WeightStationaryMultiplier

LARGEST_SIDE = 512
LARGEST_BUFFER = 16
#: The real workload, the digits network: its deepest product, and how many PEs it deserves.
REAL_DEPTH = 64
REAL_PES = 64

#: By lanes and process, clock periods in ps that carry-save PEs reach; for others the usual ones.
CARRY_SAVE_PS = {
    1: {"sky130hd": 2300.0, "sg13g2": 1700.0},
    8: {"sky130hd": 4200.0, "sg13g2": 2900.0},
}
#: Accumulators of so many bits have room for the operands that energy is stated for.
ENERGY_BITS = 24

Operands = Literal["systolic", "broadcast"]
_ARRAYS = {"systolic": SystolicArray, "broadcast": BroadcastArray}


class EntConfiguration(Configuration):
    """What all configurations have in common: ``parameters`` decide what they are mapped for."""

    parameters: Parameters

    @property
    def clock_ps(self) -> Mapping[str, float]:
        if self.parameters.accumulation == "carry-save":
            return CARRY_SAVE_PS.get(self.parameters.lanes, {})
        return {}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("efficiency",)


@dataclass(frozen=True)
class PEConfiguration(EntConfiguration):
    """One processing element of a systolic array."""

    parameters: Parameters = field(default_factory=Parameters)

    @property
    def name(self) -> str:
        lanes = f"{self.parameters.lanes}lanes-" if self.parameters.lanes > 1 else ""
        return f"pe-{lanes}{self.parameters.name}"

    @property
    def targets(self) -> tuple[str, ...]:
        return ("area", "clock", "efficiency")

    @property
    def testbenches(self) -> tuple[str, ...]:
        return ("sim.ent.pe_testbench",)

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.ent.running_sums", "golden.ent.row_correction")

    def build(self) -> Component:
        return PE(self.parameters)


@dataclass(frozen=True)
class ArrayConfiguration(EntConfiguration):
    """A streaming matrix multiplier with ``rows`` times ``columns`` PEs, outputs stationary.

    buffered_tiles: tiles of results that fit between the array and a stalled output.
    operands: whether they hop from PE to PE or are broadcast.
    Raises ValueError for a value outside what is allowed.
    """

    rows: int
    columns: int
    parameters: Parameters = field(default_factory=Parameters)
    buffered_tiles: int = 1
    operands: Operands = "systolic"

    def __post_init__(self) -> None:
        largest = {"rows": LARGEST_SIDE, "columns": LARGEST_SIDE, "buffered_tiles": LARGEST_BUFFER}
        _check_sizes(self, largest)
        if self.operands not in get_args(Operands):
            raise ValueError(
                f"operands is {self.operands!r}; allowed are 'systolic' and 'broadcast'"
            )

    @property
    def name(self) -> str:
        p = self.parameters
        sides = "x".join(map(str, (self.rows, self.columns, p.lanes)[: 2 + (p.lanes > 1)]))
        operands = "" if self.operands == "systolic" else f"{self.operands}-"
        buffered = f"-buffer{self.buffered_tiles}" if self.buffered_tiles > 1 else ""
        return f"{operands}{sides}-{p.name}{buffered}"

    @property
    def testbenches(self) -> tuple[str, ...]:
        return _testbenches(self, "sim.ent.array_testbench")

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.ent.gemm", "golden.ent.multiply_streams")

    def build(self) -> MatrixMultiplier:
        depth = self.rows * self.buffered_tiles
        return MatrixMultiplier(
            _ARRAYS[self.operands](self.parameters, self.rows, self.columns, depth)
        )


@dataclass(frozen=True)
class WeightStationaryConfiguration(EntConfiguration):
    """A streaming multiplier with ``rows`` times ``columns`` PEs, weights stationary.

    Raises ValueError for a value outside what is allowed: PEs have one lane, corrections do not
    come beat by beat, and the accumulator has room for the sum of ``rows`` products.
    """

    rows: int
    columns: int
    parameters: Parameters = field(default_factory=Parameters)

    def __post_init__(self) -> None:
        _check_sizes(self, {"rows": LARGEST_SIDE, "columns": LARGEST_SIDE})
        p = self.parameters
        if p.lanes != 1:
            raise ValueError(f"lanes is {p.lanes}; where weights are stationary it must be 1")
        if p.correct_at == "beat":
            raise ValueError(
                "correct_at is 'beat'; where weights are stationary, whose corrections are known "
                "beforehand, allowed are 'pe' and 'edge'"
            )
        if self.rows > p.longest_exact_tile:
            raise ValueError(
                f"rows is {self.rows}; {p.accumulator_bits} accumulator_bits have room for the "
                f"sum of {p.longest_exact_tile} products"
            )

    @property
    def name(self) -> str:
        return f"weights-{self.rows}x{self.columns}-{self.parameters.name}"

    @property
    def testbenches(self) -> tuple[str, ...]:
        return _testbenches(self, "sim.ent.weights_testbench")

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.ent.gemm", "golden.ent.multiply_by_weights")

    def build(self) -> WeightStationaryMultiplier:
        return WeightStationaryMultiplier(self.parameters, self.rows, self.columns)


def _check_sizes(configuration: Configuration, largest: dict[str, int]) -> None:
    for name, limit in largest.items():
        value = getattr(configuration, name)
        if type(value) is not int or not 1 <= value <= limit:
            raise ValueError(f"{name} is {value!r}; allowed are 1 to {limit}")


def _testbenches(
    configuration: "ArrayConfiguration | WeightStationaryConfiguration", checks: str
) -> tuple[str, ...]:
    """The array's own, and those of real operands where they fit."""
    p = configuration.parameters
    found = [checks]
    if p.operand_bits == 8 and p.accumulator_bits >= ENERGY_BITS:
        found.append("sim.ent.operands_testbench")
    fits = p.operand_bits == 8 and p.longest_exact_tile * p.lanes >= REAL_DEPTH
    if fits and configuration.rows * configuration.columns * p.lanes >= REAL_PES:
        found.append("sim.ent.digits_testbench")
    return tuple(found)
