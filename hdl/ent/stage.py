"""Registers of an array outside its PEs, as units: they are mapped once, however many there are."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import In, Out, Signature

from hdl.export import Unit, place

#: Units that one register drives.
FAN_OUT = 4


class Stage(Unit):
    """``o`` is ``i`` of the cycle before; both have ``width`` bits. Not reset."""

    mapped_alone = True

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(Signature({"i": In(width), "o": Out(width)}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        register = Signal(self.width, reset_less=True)
        m.d.sync += register.eq(self.i)
        m.d.comb += self.o.eq(register)
        return m


def stages(m: Module, platform: object, value: Value, count: int, *, name: str) -> Value:
    """``value`` as it was ``count`` cycles ago, by that many placed stages."""
    for index in range(count):
        stage = place(platform, Stage, len(value))
        m.submodules[f"{name}_{index}"] = stage
        m.d.comb += stage.i.eq(value)
        value = stage.o
    return value


def levels(sinks: int, fan_out: int = FAN_OUT) -> int:
    """Stages between one register and ``sinks`` units, if each drives ``fan_out`` at most."""
    count = 0
    while sinks > fan_out:
        sinks = -(-sinks // fan_out)
        count += 1
    return count


def broadcast(
    m: Module, platform: object, value: Value, sinks: int, depth: int, *, name: str
) -> list[Value]:
    """``value``, from a register, for each of ``sinks`` units, ``depth`` cycles later.

    A tree of placed stages; ``depth`` is ``levels(sinks)`` or more.
    """
    value = stages(m, platform, value, depth - levels(sinks), name=f"{name}_wait")
    found = [value]
    for level in reversed(range(levels(sinks))):
        found = [
            stages(m, platform, found[at // FAN_OUT], 1, name=f"{name}_{level}_{at}")
            for at in range(-(-sinks // FAN_OUT ** (level + 1)))
        ]
    return [found[at // FAN_OUT] for at in range(sinks)]
