"""Neg2Zero: negative numbers become 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from hdl.export import place
from hdl.pipeline import Bundle, Stage
from hdl.piper.operator import WORD, Operator
from hdl.staged import StagedUnit


@dataclass(frozen=True)
class Neg2Zero(Operator):
    """max(0, x), x int32. So few gates that they need no rank of their own."""

    ranks = 0

    def build(self, platform: object) -> Any:
        return place(platform, Neg2ZeroUnit, self.ranks)


class Neg2ZeroUnit(StagedUnit):
    """The circuit of ``Neg2Zero``."""

    def __init__(self, depth: int = Neg2Zero.ranks) -> None:
        super().__init__(depth, value=In(WORD), result=Out(WORD))

    def stages(self, platform: object) -> Sequence[Stage]:
        return (self._clear,)

    def _clear(self, m: Module, inputs: Bundle) -> Bundle:
        x = inputs["value"]
        return {"result": x & (~x[-1]).replicate(WORD)}
