"""Configurations of the E-BATCH datapath."""

from dataclasses import dataclass, field

from amaranth.lib.wiring import Component

from hdl.datapath import Configuration
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.plain import PlainEngine
from hdl.ebatch.top import Ebatch


@dataclass(frozen=True)
class EbatchConfiguration(Configuration):
    """A whole engine, with E-BATCH or plain."""

    parameters: Parameters = field(default_factory=Parameters)

    @property
    def name(self) -> str:
        return self.parameters.name

    @property
    def testbenches(self) -> tuple[str, ...]:
        if self.parameters.completion:
            return ("sim.ebatch.testbench",)
        return ("sim.ebatch.plain_testbench",)

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.ebatch.run_layers",)

    def build(self) -> Component:
        engine = Ebatch if self.parameters.completion else PlainEngine
        return engine(self.parameters)
