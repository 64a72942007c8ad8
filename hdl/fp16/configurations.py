"""Configurations of the FP16 datapath: the whole unit, and its lanes alone."""

from dataclasses import dataclass, field

from amaranth.lib.wiring import Component

from hdl.datapath import Configuration
from hdl.fp16.fma import FusedMultiplyAdd
from hdl.fp16.format import FLOAT16, Format
from hdl.fp16.parameters import LARGEST_LANES, Parameters
from hdl.fp16.top import SIMDUnit

#: The unit that the real workload, training a network, deserves: that of a 64-bit register.
REAL_PARAMETERS = Parameters()


@dataclass(frozen=True)
class UnitConfiguration(Configuration):
    """A SIMD unit with all its operations."""

    parameters: Parameters = field(default_factory=Parameters)

    @property
    def name(self) -> str:
        return self.parameters.name

    @property
    def testbenches(self) -> tuple[str, ...]:
        checks = ("sim.fp16.unit_testbench",)
        p = self.parameters
        if p == REAL_PARAMETERS:
            return (*checks, "sim.fp16.matrix_testbench", "sim.fp16.training_testbench")
        if (p.lane, p.lanes) == (FLOAT16, LARGEST_LANES):  # tries operands fastest
            return (*checks, "sim.fp16.root_testbench")
        return checks

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.fp16_unit.execute",)

    def build(self) -> Component:
        return SIMDUnit(self.parameters)


@dataclass(frozen=True)
class FMAConfiguration(Configuration):
    """One combinational lane of the fused multiply-add."""

    format: Format = FLOAT16

    @property
    def name(self) -> str:
        return f"fma-{self.format.name}"

    @property
    def testbenches(self) -> tuple[str, ...]:
        return ("sim.fp16.fma_testbench",)

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.fp16.fused_multiply_add",)

    def build(self) -> Component:
        return FusedMultiplyAdd(self.format)
