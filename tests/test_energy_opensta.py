"""Power by an independent estimator: OpenSTA with the full libraries, every net equally active.

``tests/opensta`` holds the netlists and what OpenSTA 2.0.17 said, written by
``make_opensta_power.py``. The same activity goes through ``energy_by_block`` with the built-in
tables. What differs, and why:

- This OpenSTA adds the energies of rise and fall for each transition of an output or of the clock,
  where Liberty means one of them; later releases take their mean. So it reports twice what is
  there: with the full tables at OpenSTA's own slews and loads, 2 × (outputs + clock) + inputs is
  what it reports to 0.1 % in sky130hd. Here that very sum is compared.
- It takes every arc of an output at about one half, however many there are: a majority gate
  counts 1.5 times. So the netlists have gates of one and two inputs only.
- It loads a driver with the larger of a pin's rise and fall capacitances, which is all of the
  difference in switching power; these tables have the library's ``capacitance``.
- It adds conditional energies of sg13g2's flip-flop, weighted as if all its pins were random (its
  reset and both its outputs too), to the unconditional one, and counts both outputs. So these
  registers are not compared; conditions of inputs are the rest in sg13g2's gates.
- It has no power of nets that ports drive, and none of wires.
"""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sim.tools import run_yosys
from synth.cost import LIBRARIES
from synth.energy import Energy, energy_by_block
from synth.libraries import load_library
from synth.library import Library
from synth.netlist import read_module
from synth.toggles import Toggles

PLACE = Path(__file__).parent / "opensta"
POWER = json.loads((PLACE / "power.json").read_text())
CYCLES = 1000
#: Largest relative deviation of each part.
SWITCHING = {"sky130hd": 0.035, "sg13g2": 0.015}
INTERNAL = {
    ("sky130hd", "sequential"): 0.001,
    ("sky130hd", "combinational"): 0.007,
    ("sg13g2", "combinational"): 0.06,
}
LEAKAGE = 1e-4
CASES = [
    (name, activity) for name, each in POWER["libraries"].items() for activity in each["powers"]
]


@cache
def circuit(name: str) -> tuple[Library, dict[str, Any]]:
    """The netlist, its blocks the two groups that OpenSTA tells apart."""
    library, liberty = load_library(name, LIBRARIES)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "netlist.json"
        commands = [f"read_liberty -lib {liberty}", f"read_verilog {PLACE / name}.v"]
        run_yosys([*commands, f"write_json {file}"], Path(folder) / "yosys.log")
        module = read_module(file, "top")
    for instance in module["cells"].values():
        register = library.cells[instance["type"]].register
        instance["attributes"] = {"block": "sequential" if register else "combinational"}
    return library, module


def equally_active(library: Library, module: dict[str, Any], moves: int, inputs: int) -> Toggles:
    """Every net that a gate or register drives moves so often, constants and clock apart.

    inputs: how often an input of a cell takes energy of its own.
    """
    cells = {name: library.cells[each["type"]] for name, each in module["cells"].items()}
    pins = {name: each["connections"] for name, each in module["cells"].items()}
    return Toggles(
        outputs={
            (name, pin.name): moves if cell.inputs else 0
            for name, cell in cells.items()
            for pin in cell.outputs
        },
        alone={
            (name, pin.name): inputs
            for name, cell in cells.items()
            for pin in cell.inputs
            if not pin.is_clock
        },
        nets={
            net: moves
            for name, cell in cells.items()
            for pin in cell.outputs
            for net in (pins[name].get(pin.name, []) if cell.inputs else [])
        },
    )


@pytest.mark.parametrize(("name", "activity"), CASES)
def test_power_agrees_with_opensta(name: str, activity: str) -> None:
    library, module = circuit(name)
    moves = round(float(activity) * CYCLES)
    period_ps = POWER["period_ns"] * 1e3

    def blocks(inputs: int) -> dict[str, Energy]:
        toggles = equally_active(library, module, moves, inputs)
        return energy_by_block(module, library, toggles, CYCLES, period_ps)

    def watts(energy_fj: float) -> float:
        return energy_fj * 1e-15 / (CYCLES * period_ps * 1e-12)

    still, moving = blocks(0), blocks(moves)
    clock = CYCLES * library.voltage**2 * library.flip_flop.pin("CLK").capacitance_ff
    registers = sum(
        each["attributes"]["block"] == "sequential" for each in module["cells"].values()
    )
    clocks = {"sequential": still["sequential"].clock - registers * clock, "combinational": 0.0}
    theirs = POWER["libraries"][name]["powers"][activity]
    for group in theirs:
        ours = still[group]
        inputs = moving[group].cells - ours.cells
        internal, _, leakage = theirs[group]
        assert watts(ours.leakage) == pytest.approx(leakage, rel=LEAKAGE)
        if (name, group) in INTERNAL:
            twice = 2 * (ours.cells + clocks[group]) + inputs
            assert watts(twice) == pytest.approx(internal, rel=INTERNAL[name, group])
    switching = sum(each[1] for each in theirs.values())
    nets = sum(each.nets for each in still.values())
    assert watts(nets) == pytest.approx(switching, rel=SWITCHING[name])
    assert sum(each.wires for each in still.values()) > 0


def test_the_netlists_are_large_enough() -> None:
    for name in POWER["libraries"]:
        library, module = circuit(name)
        kinds = [library.cells[each["type"]] for each in module["cells"].values()]
        assert 50 <= len(kinds) <= 200
        assert all(len(cell.inputs) <= 2 for cell in kinds if not cell.register)
        assert sum(cell.register is not None for cell in kinds) == 15
