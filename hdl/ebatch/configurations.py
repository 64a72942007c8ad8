"""Configurations of the E-BATCH datapath."""

from dataclasses import dataclass, field

from amaranth.lib.wiring import Component

from hdl.datapath import Configuration
from hdl.ebatch.described import DescribedEngine
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.plain import PlainEngine
from hdl.ebatch.top import Ebatch


@dataclass(frozen=True)
class EbatchConfiguration(Configuration):
    """A whole engine, with E-BATCH or plain, of tokens or of descriptors."""

    parameters: Parameters = field(default_factory=Parameters)

    @property
    def name(self) -> str:
        return self.parameters.name

    @property
    def testbenches(self) -> tuple[str, ...]:
        if self.parameters.descriptors:
            return ("sim.ebatch.descriptor_testbench",)
        if self.parameters.completion:
            return ("sim.ebatch.testbench",)
        return ("sim.ebatch.plain_testbench",)

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.ebatch.run_layers",)

    def build(self) -> Component:
        if self.parameters.descriptors:
            return DescribedEngine(self.parameters)
        engine = Ebatch if self.parameters.completion else PlainEngine
        return engine(self.parameters)
