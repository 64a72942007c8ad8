"""Buffers behind outputs of blocks that drive much.

A block is mapped without knowing what it will drive. Where an output of a unit goes to so many
places that a buffer behind it makes the next circuit start earlier, it gets one.
"""

import re
from collections.abc import Mapping
from typing import Any

from synth.library import Cell, Library
from synth.timing import OUTPUT_LOAD_FF, critical_path

#: Part of the gain of the best buffer, and of the time without any, that a buffer must gain.
MOST, FAIR = 0.75, 0.1

#: Cells by the outputs, of each block, that get such a buffer on every bit.
Drivers = Mapping[str, Mapping[str, Cell]]
Module = Mapping[str, Any]


def find_drivers(modules: Mapping[str, Module], library: Library) -> dict[str, dict[str, Cell]]:
    """The buffers that are worth their delay, for the blocks of a mapped design.

    modules: all of a design that is not flattened, as Yosys' JSON has them. Only blocks that hold
    no other blocks get any; one size for all instances and bits of a port, for the most it drives.
    """
    loads = _Loads(modules, library)
    leaves = {name for name, module in modules.items() if not loads.inside(module)}
    found: dict[str, dict[str, Cell]] = {}
    for (block, port), load in sorted(loads.driven().items()):
        buffer = _worth_it(load, library)
        if block in leaves and buffer is not None:
            found.setdefault(block, {})[port] = buffer
    return found


def drivers_um2(drivers: Drivers, name: str, rtlil: str) -> float:
    """Area of the buffers behind outputs of the block ``name``."""
    return sum(
        cell.area_um2 * int(_output(rtlil, port)[1] or 1)
        for port, cell in drivers.get(name, {}).items()
    )


def with_drivers(rtlil: str, drivers: Mapping[str, Cell]) -> str:
    """RTLIL of one mapped block with a buffer behind every bit of the outputs in ``drivers``."""
    for port, cell in drivers.items():
        (source,), (target,) = cell.inputs, cell.outputs
        found = _output(rtlil, port)
        width = int(found[1] or 1)
        before = f"\\{port}$undriven"
        line = found[0].replace(found[2], "").replace(f"\\{port}", before)
        body = re.sub(rf"\\{re.escape(port)}(?=\s)", before.replace("\\", "\\\\"), rtlil)
        body = body.replace(found[0].replace(f"\\{port}", before), found[0] + line)
        cells = "".join(
            f"  cell \\{cell.name} \\{port}$driver_{bit}\n"
            f"    connect \\{source.name} {before} [{bit}]\n"
            f"    connect \\{target.name} \\{port} [{bit}]\n"
            "  end\n"
            for bit in range(width)
        )
        rtlil = body[: body.rindex("end\n")] + cells + "end\n"
    return rtlil


def _output(rtlil: str, port: str) -> re.Match[str]:
    """The line that declares an output: its width, if it says one, and what makes it an output."""
    line = rf"^  wire (?:width (\d+) )?(output \d+ +)\\{re.escape(port)}\n"
    found = re.search(line, rtlil, re.MULTILINE)
    assert found, f"there is no output {port}"
    return found


class _Loads:
    """What inputs of blocks take, and what their outputs drive, in fF."""

    def __init__(self, modules: Mapping[str, Module], library: Library) -> None:
        self._modules = modules
        self._library = library
        self._sinks: dict[str, dict[int, float]] = {}

    def inside(self, module: Module) -> list[Module]:
        """Instances of blocks."""
        return [cell for cell in module["cells"].values() if cell["type"] in self._modules]

    def driven(self) -> dict[tuple[str, str], float]:
        """By block and output, the most that a bit of it drives in any instance."""
        found: dict[tuple[str, str], float] = {}
        for name, module in self._modules.items():
            sinks = self._of(name)
            for cell in self.inside(module):
                for port, bits in cell["connections"].items():
                    if self._modules[cell["type"]]["ports"][port]["direction"] == "output":
                        load = max((sinks.get(bit, 0.0) for bit in bits), default=0.0)
                        key = (cell["type"], port)
                        found[key] = max(load, found.get(key, 0.0))
        return found

    def _of(self, name: str) -> dict[int, float]:
        """By net of a module, the capacitance of all that it drives."""
        if name not in self._sinks:
            module, sinks = self._modules[name], dict[int, float]()
            self._sinks[name] = sinks
            for cell in module["cells"].values():
                for bits, capacitances in self._inputs(cell):
                    for bit, capacitance in zip(bits, capacitances, strict=True):
                        if isinstance(bit, int):
                            sinks[bit] = sinks.get(bit, 0.0) + capacitance
            for port in module["ports"].values():
                if port["direction"] == "output":
                    for bit in port["bits"]:
                        if isinstance(bit, int):
                            sinks[bit] = sinks.get(bit, 0.0) + OUTPUT_LOAD_FF
        return self._sinks[name]

    def _inputs(self, cell: Module) -> list[tuple[list, list[float]]]:
        """Bits that a cell or block reads, and what each of them has to drive there."""
        kind, connections = cell["type"], cell["connections"]
        known = self._library.cells.get(kind)
        if known is not None:
            pins = [pin for pin in known.inputs if pin.name in connections]
            return [(connections[pin.name], [pin.capacitance_ff]) for pin in pins]
        if kind not in self._modules:
            return []
        block, sinks = self._modules[kind], self._of(kind)
        return [
            (bits, [sinks.get(bit, 0.0) for bit in block["ports"][port]["bits"]])
            for port, bits in connections.items()
            if block["ports"][port]["direction"] == "input"
        ]


def _worth_it(load_ff: float, library: Library) -> Cell | None:
    """The smallest buffer with most of what can be gained for a register that drives ``load_ff``.

    None if it does not gain a fair part of the time that the register takes alone.
    """
    alone = _delay(None, load_ff, library)
    gains = {each.name: alone - _delay(each, load_ff, library) for each in library.buffers}
    wanted = max(MOST * max(gains.values(), default=0.0), FAIR * alone)
    worth = [each for each in library.buffers if gains[each.name] >= wanted]
    return min(worth, key=lambda each: each.area_um2, default=None)


def _delay(buffer: Cell | None, load_ff: float, library: Library) -> float:
    """From the clock of a flip-flop through ``buffer`` to an output with a load, in ps."""
    cell = library.flip_flop
    register = cell.register
    assert register and register.data and register.output
    ties = {pin: [str(value)] for pin, value in register.ties.items()}
    pins = {register.clock: [2], register.data: [3], register.output: [4], **ties}
    cells: dict[str, Any] = {"register": {"type": cell.name, "connections": pins}}
    if buffer:
        (source,), (target,) = buffer.inputs, buffer.outputs
        pins = {source.name: [4], target.name: [5]}
        cells["buffer"] = {"type": buffer.name, "connections": pins}
    ports = {
        "clk": {"direction": "input", "bits": [2]},
        "i": {"direction": "input", "bits": [3]},
        "o": {"direction": "output", "bits": [5 if buffer else 4]},
    }
    module = {"ports": ports, "cells": cells}
    return critical_path(module, library, output_load_ff=load_ff).register_to_output_ps
