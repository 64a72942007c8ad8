"""From an Amaranth component to RTLIL, the text that every later tool starts from.

A component that occurs many times, such as a PE, is *placed* instead of repeated: the exported
design holds its module once and an instance for each occurrence, so that elaboration, simulation
builds and mapping do not grow with the number of copies.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Elaboratable, Fragment, Instance, ResetSignal, Value
from amaranth.lib import wiring

TOP = "top"
_PORT = re.compile(r"^  wire .*(?:input|output) \d+ +\\(\S+)$", re.MULTILINE)


class Unit(wiring.Component):
    """A component made to be placed. Its parameters must be hashable: they tell units apart."""

    mapped_alone = False
    """Whether synthesis maps the module on its own, once, and keeps its boundary."""


class Export:
    """The platform of an export: holds the module of every unit that was placed."""

    def __init__(self) -> None:
        self._units: dict[tuple[type[Unit], Hashable], _Module] = {}
        self._placed: dict[str, Counter[str]] = {TOP: Counter()}
        self._holders = [TOP]

    @contextmanager
    def inside(self, module: str) -> Iterator[None]:
        """What is placed now is part of ``module``."""
        self._placed[module] = Counter()
        self._holders.append(module)
        yield
        self._holders.pop()

    def count(self, module: str) -> None:
        """One more instance of a module is part of what is being elaborated."""
        self._placed[self._holders[-1]][module] += 1

    def instances(self) -> dict[str, int]:
        """How often the module of each unit occurs in the whole."""

        def total(module: str) -> int:
            if module == TOP:
                return 1
            holders = (name for name, placed in self._placed.items() if placed[module])
            return sum(self._placed[name][module] * total(name) for name in holders)

        return {module.name: total(module.name) for module in self._units.values()}

    def place(self, unit: type[Unit], parameters: tuple[Hashable, ...]) -> "Placed":
        key = (unit, parameters)
        if key not in self._units:
            module = _Module(unit(*parameters), self, self._free_name(unit))
            self._units[key] = module
        return Placed(self._units[key])

    def _free_name(self, unit: type[Unit]) -> str:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unit.__name__).lower()
        taken = sum(other.__name__ == unit.__name__ for other, _ in self._units)
        return f"{name}_{taken}" if taken else name

    @property
    def text(self) -> str:
        return "".join(module.text for module in self._units.values())


class _Module:
    """RTLIL of one unit, and what an instance of it needs to know."""

    def __init__(self, unit: Unit, platform: Export, name: str) -> None:
        self.name = name
        self.signature = unit.signature
        with platform.inside(name):
            text = rtlil.convert(unit, name=name, platform=platform, emit_src=False)
        keep = "attribute \\keep_hierarchy 1\n" if unit.mapped_alone else ""
        self.text = text.replace("attribute \\top 1\n", keep)
        self.clocks = {
            f"i_{port}": signal
            for port, signal in (("clk", ClockSignal), ("rst", ResetSignal))
            if re.search(rf"wire width 1 input \d+ +\\{port}\n", text)
        }


class Placed(Elaboratable):
    """One instance of a unit's module, with the unit's ports as attributes."""

    def __init__(self, module: _Module) -> None:
        self._module = module
        self._ports = module.signature.create(path=(module.name,))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ports, name)

    def elaborate(self, platform: object) -> Instance:
        if isinstance(platform, Export):
            platform.count(self._module.name)
        ports: dict[str, Value] = {port: signal() for port, signal in self._module.clocks.items()}
        for path, member, value in self._module.signature.flatten(self._ports):
            direction = "i" if member.flow is wiring.In else "o"
            ports[f"{direction}_{'__'.join(map(str, path))}"] = Value.cast(value)
        return Instance(self._module.name, **ports)


def place(platform: object, unit: type[Unit], *parameters: Hashable) -> Any:
    """One more instance of ``unit(*parameters)``; the unit itself outside an export.

    Add the result to ``m.submodules`` and wire its ports like those of any component.
    """
    if isinstance(platform, Export):
        return platform.place(unit, parameters)
    return unit(*parameters)


def export(component: wiring.Component) -> str:
    """RTLIL of ``component`` as module ``top``, with one clock ``clk`` and one reset ``rst``."""
    platform = Export()
    top = rtlil.convert(component, name=TOP, platform=platform, emit_src=False)
    return platform.text + _with_clock(top)


@dataclass(frozen=True)
class Inventory:
    """The units of a design: RTLIL of their modules, and how often each occurs in the whole."""

    text: str
    instances: dict[str, int]


def take_inventory(component: wiring.Component) -> Inventory:
    """The units of ``component`` without the rest of it.

    The same modules as in its export, in a part of the time: nothing is written of what holds
    thousands of instances.
    """
    platform = Export()
    Fragment.get(component, platform)
    return Inventory(platform.text, platform.instances())


def _with_clock(text: str) -> str:
    """The design with ports ``clk`` and ``rst``, which a combinational circuit leaves out."""
    head = f"module \\{TOP}\n"
    before, _, rest = text.partition(head)
    ports = _PORT.findall(rest.partition("\nend\n")[0])
    missing = [port for port in ("clk", "rst") if port not in ports]
    lines = [
        f"  wire width 1 input {number} \\{port}\n"
        for number, port in enumerate(missing, start=len(ports))
    ]
    return before + head + "".join(lines) + rest
