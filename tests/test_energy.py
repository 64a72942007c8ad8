"""Energy from counted transitions: circuits small enough to calculate by hand, from the tables."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sim.ports import Port
from sim.run import SimulationResult
from sim.tools import run_yosys
from synth import energy
from synth.cost import LIBRARIES
from synth.energy import Energy, energy_of, energy_per_work
from synth.gates import UnsupportedError, without_memories
from synth.libraries import load_library
from synth.library import Library
from synth.netlist import Netlist, read_module
from synth.replay import ReplayError
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


@pytest.fixture(scope="module")
def sky130hd() -> Library:
    return load_library("sky130hd", LIBRARIES)[0]


@pytest.fixture(scope="module")
def sg13g2() -> Library:
    return load_library("sg13g2", LIBRARIES)[0]


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
    return count_toggles(circuit, library, PORTS, stimulus, stretch, folder)


def test_a_toggling_register_by_hand(sky130hd: Library, tmp_path: Path) -> None:
    circuit, stretch = module(TOGGLING, 5), Stretch(RESET + 1, CYCLES)
    toggles = count(circuit, sky130hd, toggling(tmp_path), stretch, tmp_path)
    found = energy_of(circuit, sky130hd, toggles, CYCLES, PERIOD_PS)
    # Q and Y both change in every cycle, so the NOR's inputs never change alone.
    assert found.cells == pytest.approx(CYCLES * (19.55 + 2.357 + 4.117))
    state, data = 2.373 + PORT_LOAD, 1.678
    assert found.nets == pytest.approx(CYCLES * HALF_SKY * (state + data))
    assert found.clock == pytest.approx(2 * CYCLES * (19.92 + HALF_SKY * 1.794))
    leakage = (0.008439 + 0.00197) * 1e-9 * PERIOD_PS * 1e-12 * CYCLES / 1e-15
    assert found.leakage == pytest.approx(leakage)
    assert found.total == pytest.approx(found.cells + found.nets + found.clock + found.leakage)


def test_without_activity_there_is_clock_and_leakage(sky130hd: Library, tmp_path: Path) -> None:
    """The register keeps what it is reset to: its data are 0 as long as go is."""
    cells = {
        "state": (f"{SKY}dfxtp_1", {"CLK": 2, "D": 6, "Q": 5}),
        "next": (f"{SKY}and2_0", {"A": 3, "B": 5, "X": 6}),
    }
    circuit, stretch = module(cells, 5), Stretch(RESET, CYCLES)
    stimulus = record(tmp_path, [0] * 200, [0] * 200)
    toggles = count(circuit, sky130hd, stimulus, stretch, tmp_path)
    found = energy_of(circuit, sky130hd, toggles, CYCLES, PERIOD_PS)
    assert (found.cells, found.nets) == (0, 0)
    assert found.clock == pytest.approx(2 * CYCLES * (19.92 + HALF_SKY * 1.794))
    assert found.leakage > 0
    twice = energy_of(circuit, sky130hd, toggles, CYCLES, 2 * PERIOD_PS)
    assert twice == Energy(0, 0, found.clock, pytest.approx(2 * found.leakage))


def test_only_the_stretch_counts(sky130hd: Library, tmp_path: Path) -> None:
    """go rises once, in cycle 20: it is counted in a stretch that begins there, not after it."""
    circuit = module({"not": (f"{SKY}inv_1", {"A": 3, "Y": 5})}, 5)
    go = [int(cycle >= 20) for cycle in range(60)]
    stimulus = record(tmp_path, go, [1 - level for level in go])
    for first, cycles, expected in ((10, 10, 0), (10, 11, 1), (20, 1, 1), (21, 39, 0)):
        toggles = count(circuit, sky130hd, stimulus, Stretch(first, cycles), tmp_path)
        assert (toggles.nets[3], toggles.nets[5]) == (expected, expected)
        assert toggles.outputs == {("not", "Y"): expected}


def test_an_input_has_energy_of_its_own_only_alone(sg13g2: Library, tmp_path: Path) -> None:
    """A_N of a NAND whose other input is low, and whose other input is high."""
    go = [cycle % 2 for cycle in range(60)]
    for level, out in (("0", [1] * 60), ("1", go)):
        # The NAND is high while A_N is high or B is low.
        circuit = module({"nand": ("sg13g2_nand2b_1", {"A_N": 3, "B": level, "Y": 5})}, 5)
        stimulus = record(tmp_path, go, out)
        toggles = count(circuit, sg13g2, stimulus, Stretch(10, 50), tmp_path)
        found = energy_of(circuit, sg13g2, toggles, 50, PERIOD_PS)
        alone = level == "0"
        assert found.cells == pytest.approx(50 * (3.031 if alone else 2.993))
        loads = 2.307 + (0 if alone else PORT_LOAD)
        assert found.nets == pytest.approx(50 * HALF_SG * loads)
        assert found.clock == 0


def test_a_register_with_two_outputs_has_one_event(sg13g2: Library, tmp_path: Path) -> None:
    """Driven by its own inverse, with its reset tied off."""
    pins = {"CLK": 2, "D": 6, "RESET_B": 7, "Q": 5, "Q_N": 6}
    cells = {
        "state": ("sg13g2_dfrbp_1", pins),
        "tie": ("sg13g2_tiehi", {"L_HI": 7}),
    }
    circuit = module(cells, 5)
    out = [cycle % 2 for cycle in range(60)]
    toggles = count(circuit, sg13g2, record(tmp_path, [0] * 60, out), Stretch(10, 50), tmp_path)
    assert toggles.outputs["state", "Q"] == toggles.outputs["state", "Q_N"] == 50
    found = energy_of(circuit, sg13g2, toggles, 50, PERIOD_PS)
    assert found.cells == pytest.approx(50 * (24.97 + 3.124))


@pytest.mark.parametrize("fault", ["gate", "recording"])
def test_a_circuit_that_differs_has_no_energy(
    sky130hd: Library, tmp_path: Path, fault: str
) -> None:
    cells, stimulus = TOGGLING, toggling(tmp_path)
    if fault == "gate":
        cells = TOGGLING | {"next": (f"{SKY}nand2_1", {"A": 5, "B": 4, "Y": 6})}
    else:
        samples = bytearray(stimulus.read_bytes())
        samples[len(b"go:1 rst:1 out:1\n") + 3 * 50 + 2] ^= 1
        stimulus.write_bytes(samples)
    with pytest.raises(ReplayError, match=r"cycle \d+: an output differs"):
        count(module(cells, 5), sky130hd, stimulus, Stretch(RESET, CYCLES), tmp_path)


def test_a_stretch_beyond_the_recording_is_refused(sky130hd: Library, tmp_path: Path) -> None:
    stimulus = toggling(tmp_path)
    with pytest.raises(ReplayError, match="is not in the recording"):
        count(module(TOGGLING, 5), sky130hd, stimulus, Stretch(RESET + 101, CYCLES), tmp_path)


@pytest.mark.parametrize("clock", ["gated", "reset"])
def test_what_is_not_simulated_is_refused(sg13g2: Library, tmp_path: Path, clock: str) -> None:
    reset, edge = (3, 2) if clock == "reset" else ("1", 3)
    pins = {"CLK": edge, "D": 4, "RESET_B": reset, "Q": 5}
    circuit = module({"state": ("sg13g2_dfrbp_1", pins)}, 5)
    stimulus = record(tmp_path, [0] * 60, [0] * 60)
    with pytest.raises(UnsupportedError, match="register state"):
        count(circuit, sg13g2, stimulus, Stretch(10, 40), tmp_path)


def test_a_memory_is_simulated_but_has_no_energy(
    sky130hd: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two words of one bit, written at the address that go gives, read at the same one."""
    source = tmp_path / "memory.v"
    source.write_text(
        "module top(input clk, input go, input rst, output reg out);\n"
        "  reg words [0:1];\n"
        "  always @(posedge clk) begin words[go] <= ~out | rst; out <= words[go]; end\n"
        "endmodule\n"
    )
    file, liberty = tmp_path / "memory.json", load_library("sky130hd", LIBRARIES)[1]
    commands = [
        *(f"read_verilog {source}", "proc", "opt", "memory -nomap", "opt_clean", "techmap"),
        *(f"dfflibmap -liberty {liberty}", f"abc -liberty {liberty}", "opt_clean"),
        f"write_json {file}",
    ]
    run_yosys(commands, tmp_path / "yosys.log")
    circuit = read_module(file, "top")
    go = [0, 1, *(cycle // 3 % 2 for cycle in range(198))]
    words, out = [0, 0], [0]
    for cycle, address in enumerate(go[:-1]):
        read, words[address] = words[address], int(not out[-1] or cycle < RESET)
        out.append(read)
    assert {0, 1} == set(out[RESET:])
    whole = without_memories(circuit, sky130hd, tmp_path)
    stimulus = record(tmp_path, go, out)
    toggles = count(whole, sky130hd, stimulus, Stretch(10, 190), tmp_path)
    changes = sum(first != second for first, second in pairwise(out[9:]))
    assert toggles.nets[whole["ports"]["out"]["bits"][0]] == changes > 20
    found = energy_of(whole, sky130hd, toggles, 190, PERIOD_PS)
    monkeypatch.setattr(energy, "stimulus_file", lambda _: stimulus)
    simulated = result(first_cycle=10, cycles=190, work=190)
    parts = energy_per_work(
        netlist(circuit, tmp_path), sky130hd, PORTS, simulated, PERIOD_PS, tmp_path
    )
    assert parts is not None
    assert parts["nets"] == pytest.approx(found.nets / 190 / 1000, abs=1e-6)
    assert parts["nets"] > 0 == parts["clock"]  # no register is outside the memory
    monkeypatch.setattr(energy, "LARGEST_MEMORY", 1)
    too_large = energy_per_work(
        netlist(circuit, tmp_path), sky130hd, PORTS, simulated, PERIOD_PS, tmp_path
    )
    assert too_large is None


def test_energy_of_a_unit_of_work(
    sky130hd: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two units in three cycles; of a stretch that is too long, the first cycles count."""
    monkeypatch.setattr(energy, "stimulus_file", lambda _: toggling(tmp_path))
    circuit = netlist(module(TOGGLING, 5), tmp_path)

    def of(simulated: SimulationResult) -> dict[str, float] | None:
        return energy_per_work(circuit, sky130hd, PORTS, simulated, PERIOD_PS, tmp_path)

    full = of(result(first_cycle=RESET + 1, cycles=150, work=100))
    assert full is not None
    assert full["clock"] == pytest.approx(1.5 * 2 * (19.92 + HALF_SKY * 1.794) / 1000, abs=1e-6)
    assert full["cells"] == pytest.approx(1.5 * (19.55 + 2.357 + 4.117) / 1000, abs=1e-6)
    monkeypatch.setattr(energy, "LONGEST_STRETCH", 60)
    assert of(result(first_cycle=RESET + 1, cycles=150, work=100)) == full
    assert of(result(first_cycle=None, cycles=150, work=100)) is None
