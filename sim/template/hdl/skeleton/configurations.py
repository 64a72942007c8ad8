"""Configurations of the skeleton datapath: its widths and its adder."""

from dataclasses import dataclass
from typing import get_args

from amaranth.lib.wiring import Component

from hdl.datapath import Configuration
from hdl.skeleton.distance import Adder, Distance

MAXIMUM_LANES = 64
MAXIMUM_BITS = 32


@dataclass(frozen=True)
class DistanceConfiguration(Configuration):
    """One distance unit.

    lanes: elements of a vector. bits: width of an element, unsigned.
    adder: how the lanes' differences are added; the results are the same.
    Raises ValueError for a value outside what is allowed.
    """

    lanes: int
    bits: int
    adder: Adder

    def __post_init__(self) -> None:
        if self.lanes not in range(1, MAXIMUM_LANES + 1):
            raise ValueError(f"lanes is {self.lanes!r}; allowed are 1 to {MAXIMUM_LANES}")
        if self.bits not in range(1, MAXIMUM_BITS + 1):
            raise ValueError(f"bits is {self.bits!r}; allowed are 1 to {MAXIMUM_BITS}")
        if self.adder not in get_args(Adder):
            allowed = " and ".join(map(repr, get_args(Adder)))
            raise ValueError(f"adder is {self.adder!r}; allowed are {allowed}")

    @property
    def name(self) -> str:
        return f"{self.lanes}x{self.bits}-{self.adder}"

    @property
    def testbenches(self) -> tuple[str, ...]:
        return ("sim.skeleton.testbench",)

    @property
    def golden(self) -> tuple[str, ...]:
        return ("golden.skeleton.distance",)

    def build(self) -> Component:
        return Distance(self.lanes, self.bits, self.adder)
