"""Units made of stages, and how a group of them moves in step."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Const, Module, Value, ValueLike
from amaranth.lib.wiring import In, Member, Out, Signature

from hdl.export import Unit
from hdl.pipeline import Stage, run_stages


class StagedUnit(Unit):
    """A unit whose stages lead from its input ports to its output ports.

    Ports
        those given, and ``enable``: one bit for each of the ``depth`` ranks of registers; there is
        none at depth 0, where the unit is combinational. Outputs come ``depth`` enabled cycles
        after inputs, one each cycle.
    """

    def __init__(self, depth: int, **ports: Member) -> None:
        self.depth = depth
        self._inputs = [name for name, port in ports.items() if port.flow is In]
        self._outputs = [name for name, port in ports.items() if port.flow is Out]
        super().__init__(Signature({**ports, **({"enable": In(depth)} if depth else {})}))

    @abstractmethod
    def stages(self, platform: object) -> Sequence[Stage]:
        """From a bundle of the inputs, by their ports' names, to one of the outputs."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inputs = {name: Value.cast(getattr(self, name)) for name in self._inputs}
        enables = self.enable if self.depth else Const(0, 0)
        outputs = run_stages(m, self.stages(platform), inputs, enables, "stage")
        m.d.comb += [getattr(self, name).eq(outputs[name]) for name in self._outputs]
        return m


def connect_unit(
    m: Module, name: str, unit: Any, depth: int, enables: Value, **inputs: ValueLike
) -> None:
    """Add a staged unit of that depth to a module: its inputs, and the ranks of its group."""
    m.submodules[name] = unit
    m.d.comb += [getattr(unit, port).eq(value) for port, value in inputs.items()]
    if depth:
        m.d.comb += unit.enable.eq(enables)
