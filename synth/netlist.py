"""Mapped netlists: composed of their blocks, measured, and written for simulation."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdl.export import TOP
from sim.tools import run_yosys
from synth.blocks import BLOCK, rename
from synth.drivers import Drivers, with_drivers
from synth.library import Cell, Library, Register

MEMORY = "$mem_v2"
CLOCK = "clk"


@dataclass(frozen=True)
class Memory:
    """A memory that stayed one: its size and how many ports it has."""

    words: int
    width: int
    read_ports: int
    write_ports: int

    @property
    def bits(self) -> int:
        return self.words * self.width


@dataclass(frozen=True)
class Netlist:
    """A design of mapped blocks.

    flat: all blocks flattened, a module of Yosys' JSON. verilog: the same with blocks kept, and
    the cells as modules, for simulation.
    """

    flat: Mapping[str, Any]
    verilog: Path


def compose(
    blocks: Mapping[str, Path], library: Library, folder: Path, drivers: Drivers | None = None
) -> Netlist:
    """Put the mapped blocks, by module name, together to the whole design in ``folder``.

    ``drivers``: buffers behind outputs of blocks.
    """
    commands = _read(blocks, folder, drivers or {})
    verilog, flat = folder / "netlist.v", folder / "flat.json"
    ties = folder / "ties.v"
    ties.write_text(cell_models({library.tie_high[0], library.tie_low[0]}))
    commands += [
        "design -save blocks",
        *("flatten", "opt_clean -purge", f"write_json {flat}", "design -load blocks"),
        # Yosys writes a memory only if what is constant of its ports is so without a tie cell.
        *(f"techmap -map {ties}", "opt_clean"),
        f"write_verilog -noattr -noexpr -nohex -norename {verilog}",
    ]
    run_yosys(commands, folder / "compose.log")
    module = read_module(flat, TOP)
    flat.unlink()
    used = Counter(cell["type"] for cell in module["cells"].values())
    models = cell_models(library.cells[name] for name in sorted(used) if name in library.cells)
    with verilog.open("a") as text:
        text.write(models)
    return Netlist(module, verilog)


def hierarchy(blocks: Mapping[str, Path], folder: Path) -> dict[str, dict[str, Any]]:
    """The design of the mapped blocks as modules of Yosys' JSON, nothing flattened."""
    target = folder / "hierarchy.json"
    commands = [*_read(blocks, folder, {}), f"write_json {target}"]
    run_yosys(commands, folder / "hierarchy.log")
    modules: dict[str, dict[str, Any]] = json.loads(target.read_text())["modules"]
    target.unlink()
    return modules


def _read(blocks: Mapping[str, Path], folder: Path, drivers: Drivers) -> list[str]:
    """Commands that read all blocks, under their own names."""
    commands = []
    for number, (name, file) in enumerate(blocks.items()):
        part = folder / f"part-{number}.il"
        text = rename(_without_black_boxes(file.read_text()), BLOCK, name)
        part.write_text(with_drivers(text, drivers.get(name, {})))
        commands += [f"read_rtlil {part}", f'setattr -set block "{name}" {name}/c:*']
    return [*commands, f"hierarchy -top {TOP}"]


def block_of(netlist: Netlist, cell: str) -> str:
    """The block a cell of the flat netlist is part of; none for what is no cell of it."""
    found = netlist.flat["cells"].get(cell)
    return str(found["attributes"].get("block", "")) if found else ""


def read_module(file: Path, name: str) -> dict[str, Any]:
    """One module of a file of Yosys' ``write_json``."""
    module: dict[str, Any] = json.loads(file.read_text())["modules"][name]
    return module


def cell_area(module: Mapping[str, Any], library: Library) -> dict[str, float]:
    """Area in µm² by cell type, of the cells that are in the library."""
    count = Counter(cell["type"] for cell in module["cells"].values())
    return {
        name: number * library.cells[name].area_um2
        for name, number in count.items()
        if name in library.cells
    }


def memories(module: Mapping[str, Any]) -> list[Memory]:
    """The memories of a flat module."""
    return [
        Memory(*(int(cell["parameters"][field], 2) for field in
                 ("SIZE", "WIDTH", "RD_PORTS", "WR_PORTS")))
        for cell in module["cells"].values()
        if cell["type"] == MEMORY
    ]  # fmt: skip


def with_registered_inputs(module: Mapping[str, Any], library: Library) -> dict[str, Any]:
    """The module with a flip-flop in front of each input, clock apart.

    Timed like this, an input that drives much inside a block costs what it will cost in place,
    where a neighbour's register drives it.
    """
    cell = library.flip_flop
    register = cell.register
    assert register is not None and register.data and register.output
    clock = module["ports"][CLOCK]["bits"] if CLOCK in module["ports"] else ["0"]
    outer = 1 + max(_net_numbers(module), default=0)
    cells, ports = dict(module["cells"]), dict(module["ports"])
    ties = {pin: [str(value)] for pin, value in register.ties.items()}
    for name, port in module["ports"].items():
        if name == CLOCK or port["direction"] != "input":
            continue
        bits = list(range(outer, outer + len(port["bits"])))
        outer += len(bits)
        ports[name] = {**port, "bits": bits}
        for index, (outside, inside) in enumerate(zip(bits, port["bits"], strict=True)):
            pins = {register.clock: clock, register.data: [outside], register.output: [inside]}
            cells[f"{name}[{index}]"] = {"type": cell.name, "connections": {**pins, **ties}}
    return {**module, "cells": cells, "ports": ports}


def _net_numbers(module: Mapping[str, Any]) -> Iterator[int]:
    for part in (*module["ports"].values(), *module.get("netnames", {}).values()):
        yield from (bit for bit in part["bits"] if isinstance(bit, int))
    for cell in module["cells"].values():
        for bits in cell["connections"].values():
            yield from (bit for bit in bits if isinstance(bit, int))


def unmapped(module: Mapping[str, Any], library: Library) -> list[str]:
    """Types of cells that are neither in the library nor memories: there must be none."""
    types = {cell["type"] for cell in module["cells"].values()}
    return sorted(types - library.cells.keys() - {MEMORY, "$scopeinfo"})


def cell_models(cells: Iterable[Cell]) -> str:
    """Verilog modules that do what the cells' functions say, without any delay."""
    return "".join(_cell_model(cell) for cell in cells)


def _cell_model(cell: Cell) -> str:
    ports = ", ".join(f"{pin.direction} {pin.name}" for pin in cell.pins)
    if cell.register is not None:
        body = _register_model(cell.register)
    else:
        body = [
            f"  assign {pin.name} = {pin.function.verilog};"
            for pin in cell.outputs
            if pin.function is not None
        ]
    return "\n".join([f"module {cell.name}({ports});", *body, "endmodule", ""])


def _register_model(register: Register) -> list[str]:
    events = [f"{'posedge' if register.rising else 'negedge'} {register.clock}"]
    lines, otherwise = ["  reg state;"], ""
    for name, function, value in (("clear", register.clear, 0), ("preset", register.preset, 1)):
        if function is not None:
            lines.append(f"  wire {name} = {function.verilog};")
            events.append(f"posedge {name}")
            otherwise += f"if ({name}) state <= {value}; else "
    lines.append(
        f"  always @({' or '.join(events)}) {otherwise}state <= {register.next_state.verilog};"
    )
    if register.output:
        lines.append(f"  assign {register.output} = state;")
    if register.inverted_output:
        lines.append(f"  assign {register.inverted_output} = ~state;")
    return lines


def _without_black_boxes(text: str) -> str:
    """Drop the interfaces of kept blocks, which their own netlists are about to define."""
    parts = text.split("attribute \\blackbox 1\n")
    return parts[0] + "".join(part.partition("\nend\n")[2] for part in parts[1:])
