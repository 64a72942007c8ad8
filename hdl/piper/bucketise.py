"""Bucketise: numbers become the numbers of the buckets they are in."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from hdl.export import place
from hdl.pipeline import Bundle, Stage
from hdl.piper.operator import WORD, Operator
from hdl.staged import StagedUnit
from hdl.wire import wire


@dataclass(frozen=True)
class Bucketise(Operator):
    """How many of ``boundaries`` are ≤ x, x int32: 0 to their number.

    Raises ValueError unless the boundaries are int32 and ascend, without two that are equal.
    """

    boundaries: tuple[int, ...]

    ranks = 1

    def __post_init__(self) -> None:
        limit = 1 << WORD - 1
        if not isinstance(self.boundaries, tuple) or not self.boundaries:
            raise ValueError(
                f"boundaries are {self.boundaries!r}; they must be a tuple of 1 or more"
            )
        for each in self.boundaries:
            if type(each) is not int or not -limit <= each < limit:
                raise ValueError(
                    f"boundary {each!r} is not a whole number from -2**31 to 2**31 - 1"
                )
        for low, high in pairwise(self.boundaries):
            if low >= high:
                raise ValueError(f"boundary {high} does not exceed {low}, the one before it")

    def build(self, platform: object) -> Any:
        return place(platform, BucketiseUnit, self.boundaries, self.ranks)


class BucketiseUnit(StagedUnit):
    """The circuit of ``Bucketise``: one comparison with each boundary, at the same time."""

    def __init__(self, boundaries: tuple[int, ...], depth: int = Bucketise.ranks) -> None:
        self.boundaries = boundaries
        super().__init__(depth, value=In(WORD), result=Out(WORD))

    def stages(self, platform: object) -> Sequence[Stage]:
        return (self._compare,)

    def _compare(self, m: Module, inputs: Bundle) -> Bundle:
        x = inputs["value"].as_signed()
        reached = [
            wire(m, x >= boundary, f"reached_{at}") for at, boundary in enumerate(self.boundaries)
        ]
        bits = len(reached).bit_length()
        # There may be more boundaries, which are never reached.
        reached += [Const(0, 1)] * ((1 << bits) - 1 - len(reached))
        result = _length(m, reached, "length")
        return {"result": Cat(result, Const(0, WORD - bits))}


def _length(m: Module, ones: Sequence[Value], name: str) -> Value:
    """The number of ones, of ``2**n - 1`` bits in which no 1 follows a 0: by bisection."""
    middle = len(ones) // 2
    upper = ones[middle]
    if not middle:
        return upper
    rest = [
        wire(m, Mux(upper, high, low), f"{name}_{middle}_{at}")
        for at, (low, high) in enumerate(zip(ones[:middle], ones[middle + 1 :], strict=True))
    ]
    return Cat(_length(m, rest, name), upper)
