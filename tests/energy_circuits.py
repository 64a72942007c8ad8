"""Circuits small enough to calculate by hand, and recordings of them, for tests of the energy."""

import json
from pathlib import Path
from typing import Any

from sim.ports import Port
from sim.run import SimulationResult
from synth.library import Library
from synth.netlist import Netlist
from synth.toggles import Stretch, Toggles, count_toggles

PERIOD_PS = 4000.0
CYCLES = 100
#: The first cycles of a recording, in which it is reset.
RESET = 2
#: What an output port drives, in fF.
PORT_LOAD = 10.0

SKY = "sky130_fd_sc_hd__"
HALF_SKY = 1.8**2 / 2
HALF_SG = 1.2**2 / 2

RST, GO, OUT = (Port(name, 1, name != "out") for name in ("rst", "go", "out"))
PORTS = (Port("clk", 1, True), GO, RST, OUT)


def module(cells: dict[str, Any], out: int | str) -> dict[str, Any]:
    """Nets 2, 3 and 4 are the inputs clk, go and rst."""
    ports = {"clk": ("input", 2), "go": ("input", 3), "rst": ("input", 4), "out": ("output", out)}
    return {
        "ports": {name: {"direction": way, "bits": [bit]} for name, (way, bit) in ports.items()},
        "cells": {
            name: {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}
            for name, (kind, pins) in cells.items()
        },
        "netnames": {},
    }


def record(folder: Path, go: list[int], out: list[int]) -> Path:
    """A recording of one bit each of go, rst and out; reset in its first cycles."""
    file = folder / "ports.bin"
    rows = [
        (go, int(cycle < RESET), out) for cycle, (go, out) in enumerate(zip(go, out, strict=True))
    ]
    file.write_bytes(b"go:1 rst:1 out:1\n" + b"".join(map(bytes, rows)) + b"end\n")
    return file


def result(**changes: Any) -> SimulationResult:
    known = dict.fromkeys(SimulationResult.__dataclass_fields__, 0)
    return SimulationResult(**{**known, "first_cycle": RESET, **changes})


def netlist(flat: dict[str, Any], folder: Path) -> Netlist:
    verilog = folder / "netlist.v"
    verilog.write_text(json.dumps(flat))
    return Netlist(flat, verilog)


#: A register that toggles: its data are high while it is low, unless it is reset.
TOGGLING = {
    "state": (f"{SKY}dfxtp_1", {"CLK": 2, "D": 6, "Q": 5}),
    "next": (f"{SKY}nor2_1", {"A": 5, "B": 4, "Y": 6}),
}


def toggling(folder: Path) -> Path:
    """After the reset, low and high in turn."""
    out = [0] * RESET + [cycle % 2 for cycle in range(2 * CYCLES)]
    return record(folder, [0] * len(out), out)


def count(
    circuit: dict[str, Any], library: Library, stimulus: Path, stretch: Stretch, folder: Path
) -> Toggles:
    return count_toggles(circuit, library, PORTS, stimulus, [stretch], folder)[0]
