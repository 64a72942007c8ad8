"""Configurations of the Piper datapath."""

from dataclasses import dataclass, field

from amaranth.lib.wiring import Component

from hdl.datapath import Configuration
from hdl.piper.parameters import Parameters
from hdl.piper.top import Piper


@dataclass(frozen=True)
class PiperConfiguration(Configuration):
    """A whole pipeline."""

    parameters: Parameters = field()

    @property
    def name(self) -> str:
        return self.parameters.name

    @property
    def testbenches(self) -> tuple[str, ...]:
        return ("sim.piper.testbench",)

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.piper.Preprocessor",)

    def build(self) -> Component:
        return Piper(self.parameters)
