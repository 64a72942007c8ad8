"""Energy of a unit of work: stretches that a testbench names, and memories."""

from itertools import pairwise
from pathlib import Path

import pytest
from energy_circuits import (
    HALF_SKY,
    PERIOD_PS,
    PORTS,
    RESET,
    SKY,
    TOGGLING,
    count,
    module,
    netlist,
    record,
    result,
    toggling,
)

from sim.run import SimulationResult
from sim.tools import run_yosys
from synth import energy
from synth.cost import LIBRARIES, Cost
from synth.energy import WorkEnergy, energy_of, energy_per_work
from synth.energy_table import show_energies
from synth.gates import without_memories
from synth.libraries import load_library
from synth.library import Library
from synth.netlist import read_module
from synth.toggles import Stretch, count_toggles


@pytest.fixture(scope="module")
def sky130hd() -> Library:
    return load_library("sky130hd", LIBRARIES)[0]


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
    found_parts = energy_per_work(
        netlist(circuit, tmp_path), sky130hd, PORTS, simulated, PERIOD_PS, tmp_path
    )
    parts = found_parts["uniform"].parts
    assert parts["nets"] == pytest.approx(found.nets / 190 / 1000, abs=1e-6)
    assert parts["nets"] > 0 == parts["clock"]  # no register is outside the memory
    monkeypatch.setattr(energy, "LARGEST_MEMORY", 1)
    too_large = energy_per_work(
        netlist(circuit, tmp_path), sky130hd, PORTS, simulated, PERIOD_PS, tmp_path
    )
    assert too_large == {}


def test_energy_of_a_unit_of_work(
    sky130hd: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two units in three cycles; of a stretch that is too long, the first cycles count."""
    monkeypatch.setattr(energy, "stimulus_file", lambda _: toggling(tmp_path))
    circuit = netlist(module(TOGGLING, 5), tmp_path)

    def of(simulated: SimulationResult) -> dict[str, WorkEnergy]:
        return energy_per_work(circuit, sky130hd, PORTS, simulated, PERIOD_PS, tmp_path)

    found = of(result(first_cycle=RESET + 1, cycles=150, work=100))
    assert found.keys() == {"uniform"}
    full = found["uniform"].parts
    assert found["uniform"].total == pytest.approx(sum(full.values()), abs=1e-6)
    assert found["uniform"].blocks == {"top": pytest.approx(found["uniform"].total, abs=1e-5)}
    assert full["clock"] == pytest.approx(1.5 * 2 * (19.92 + HALF_SKY * 1.794) / 1000, abs=1e-6)
    assert full["cells"] == pytest.approx(1.5 * (19.55 + 2.357 + 4.117) / 1000, abs=1e-6)
    monkeypatch.setattr(energy, "LONGEST_STRETCH", 60)
    assert of(result(first_cycle=RESET + 1, cycles=150, work=100))["uniform"].parts == full
    assert of(result(first_cycle=None, cycles=150, work=100)) == {}


def test_stretches_are_counted_in_one_pass(sky130hd: Library, tmp_path: Path) -> None:
    """go moves in every cycle up to 29, then in every third; the stretches may overlap."""
    circuit = module({"not": (f"{SKY}inv_1", {"A": 3, "Y": 5})}, 5)
    go = [cycle % 2 if cycle < 30 else 1 + cycle // 3 & 1 for cycle in range(91)]
    stimulus = record(tmp_path, go, [1 - level for level in go])
    places = ((30, 60), (5, 20), (20, 30), (0, 91))
    stretches = [Stretch(*place) for place in places]
    counted = count_toggles(circuit, sky130hd, PORTS, stimulus, stretches, tmp_path)
    for stretch, toggles in zip(stretches, counted, strict=True):
        first = max(stretch.first, 1)
        pairs = pairwise(go[first - 1 : stretch.first + stretch.cycles])
        moves = sum(before != after for before, after in pairs)
        assert toggles.nets[3] == toggles.nets[5] == moves > 0
        alone = count(circuit, sky130hd, stimulus, stretch, tmp_path)
        assert toggles == alone
    assert len({toggles.nets[3] for toggles in counted}) == 4


def test_each_stretch_has_its_own_energy(
    sky130hd: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has half the work a cycle and a third of the transitions."""
    circuit = module({"not": (f"{SKY}inv_1", {"A": 3, "Y": 5})}, 5)
    go = [cycle % 2 if cycle < 30 else 1 + cycle // 3 & 1 for cycle in range(91)]
    stimulus = record(tmp_path, go, [1 - level for level in go])
    monkeypatch.setattr(energy, "stimulus_file", lambda _: stimulus)
    simulated = result(
        first_cycle=6,
        cycles=24,
        work=24,
        stretches={
            "uniform": {"first_cycle": 6, "cycles": 24, "work": 24},
            "normal": {"first_cycle": 31, "cycles": 60, "work": 30},
        },
    )
    flat = netlist(circuit, tmp_path)
    found = energy_per_work(flat, sky130hd, PORTS, simulated, PERIOD_PS, tmp_path)
    assert list(found) == ["uniform", "normal"]
    first, second = found["uniform"].parts, found["normal"].parts
    assert first["cells"] == pytest.approx(2.747 / 1000)
    assert second["cells"] == pytest.approx(2.747 / 1000 * 20 / 30, abs=1e-6)
    assert first["nets"] == pytest.approx(HALF_SKY * (2.302 + 10) / 1000, abs=1e-6)
    assert second["leakage"] == pytest.approx(2 * first["leakage"], abs=1e-6)
    old = energy_per_work(
        flat,
        sky130hd,
        PORTS,
        result(first_cycle=6, cycles=24, work=24, stretches=None),
        PERIOD_PS,
        tmp_path,
    )
    assert old == {"uniform": found["uniform"]}


def test_operations_per_joule_of_multiply_adds() -> None:
    """2 operations in 0.5 pJ are 4000 GOPS/W."""
    known = dict.fromkeys(Cost.__dataclass_fields__, 0)
    for unit, picojoules, expected in (
        ("MAC", 0.5, 4e12),
        ("FMA", 4.0, 5e11),
        ("row", 0.5, None),
        ("MAC", None, None),
    ):
        cost = Cost(**{**known, "unit": unit, "energy_pj_per_work": picojoules})  # type: ignore[arg-type]
        assert cost.operations_per_joule == (expected and pytest.approx(expected))


def test_energies_by_operands_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Two operations for a MAC; circuits with one kind of operands are in another table."""
    fields = {"unit": "MAC", "config": "one", "target": "efficiency", "target_ps": None}
    fields |= {"critical_path_ps": 2850.0, "energy_parts": {"cells": 3.0, "clock": 1.0}}
    known = dict.fromkeys(Cost.__dataclass_fields__) | fields
    both = {"uniform": {"cells": 3.0, "clock": 1.0}, "normal": {"cells": 1.5, "clock": 1.0}}
    costs = [
        Cost(**{**known, "energy_by_operands": kinds, "config": name})  # type: ignore[arg-type]
        for name, kinds in (("none", None), ("one", {"uniform": both["uniform"]}), ("two", both))
    ]
    costs.append(
        Cost(**{**known, "energy_by_operands": both, "config": "rows", "unit": "row"})  # type: ignore[arg-type]
    )
    show_energies(costs)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split() for line in lines if line][1:] == [
        ["two", "efficiency", "2.85", "4", "2.5", "500", "800", "25%"],
        ["rows", "efficiency", "2.85", "4", "2.5", "-", "-", "25%"],
    ]
    show_energies(costs[:2])
    assert capsys.readouterr().out == ""
