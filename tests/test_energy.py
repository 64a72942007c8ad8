"""Energy from counted transitions: circuits small enough to calculate by hand, from the tables."""

from dataclasses import astuple
from math import sqrt
from pathlib import Path

import pytest
from energy_circuits import (
    CYCLES,
    HALF_SG,
    HALF_SKY,
    PERIOD_PS,
    PORT_LOAD,
    RESET,
    SKY,
    TOGGLING,
    count,
    module,
    record,
    toggling,
)

from synth.cost import LIBRARIES
from synth.energy import Energy, energy_by_block, energy_of
from synth.gates import UnsupportedError
from synth.libraries import load_library
from synth.library import Library
from synth.replay import ReplayError
from synth.toggles import Stretch


def wire_ff(*areas_um2: float) -> float:
    """fF of one connection among cells of these areas: 2.5 pitches, 56 % cells, 0.172 fF/µm."""
    return 2.5 * sqrt(sum(areas_um2) / len(areas_um2) / 0.56) * 0.172


@pytest.fixture(scope="module")
def sky130hd() -> Library:
    return load_library("sky130hd", LIBRARIES)[0]


@pytest.fixture(scope="module")
def sg13g2() -> Library:
    return load_library("sg13g2", LIBRARIES)[0]


def test_a_toggling_register_by_hand(sky130hd: Library, tmp_path: Path) -> None:
    circuit, stretch = module(TOGGLING, 5), Stretch(RESET + 1, CYCLES)
    toggles = count(circuit, sky130hd, toggling(tmp_path), stretch, tmp_path)
    found = energy_of(circuit, sky130hd, toggles, CYCLES, PERIOD_PS)
    # Q and Y both change in every cycle, so the NOR's inputs never change alone.
    assert found.cells == pytest.approx(CYCLES * (19.55 + 2.357 + 4.117))
    state, data = 2.373 + PORT_LOAD, 1.678
    assert found.nets == pytest.approx(CYCLES * HALF_SKY * (state + data))
    # Two connections of the state, one of the data, and one of the clock, which moves twice.
    wire = wire_ff(20.0192, 3.7536)
    assert wire == pytest.approx(1.981, abs=1e-3)
    assert found.wires == pytest.approx(CYCLES * HALF_SKY * wire * (2 + 1 + 2 * 1))
    assert found.clock == pytest.approx(2 * CYCLES * (19.92 + HALF_SKY * 1.794))
    leakage = (0.008439 + 0.00197) * 1e-9 * PERIOD_PS * 1e-12 * CYCLES / 1e-15
    assert found.leakage == pytest.approx(leakage)
    parts = (found.cells, found.nets, found.wires, found.clock, found.leakage)
    assert found.total == pytest.approx(sum(parts))


def test_blocks_by_hand(sky130hd: Library, tmp_path: Path) -> None:
    """Two instances of a block, of a register each, around an inverting gate between blocks.

    A block pays for what its cells drive, wherever that is.
    """
    cells = TOGGLING | {"again": (f"{SKY}dfxtp_1", {"CLK": 2, "D": 6, "Q": 7})}
    circuit = module(cells, 5)
    for name in ("state", "again"):
        circuit["cells"][name]["attributes"] = {"block": "pe"}
    stretch = Stretch(RESET + 1, CYCLES)
    toggles = count(circuit, sky130hd, toggling(tmp_path), stretch, tmp_path)
    blocks = energy_by_block(circuit, sky130hd, toggles, CYCLES, PERIOD_PS)
    pe, top = blocks["pe"], blocks["top"]
    assert blocks.keys() == {"pe", "top"}
    wire = wire_ff(20.0192, 20.0192, 3.7536)
    assert pe.cells == pytest.approx(CYCLES * 2 * 19.55 + CYCLES * 2 * 2.357)
    assert pe.nets == pytest.approx(CYCLES * HALF_SKY * (2.373 + PORT_LOAD))
    assert pe.wires == pytest.approx(CYCLES * HALF_SKY * wire * (2 + 2 * 2))
    assert pe.clock == pytest.approx(2 * 2 * CYCLES * (19.92 + HALF_SKY * 1.794))
    assert top.cells == pytest.approx(CYCLES * 4.117)
    assert top.nets == pytest.approx(CYCLES * HALF_SKY * 2 * 1.678)
    assert top.wires == pytest.approx(CYCLES * HALF_SKY * wire * 2)
    assert top.clock == 0
    whole = energy_of(circuit, sky130hd, toggles, CYCLES, PERIOD_PS)
    assert whole.total == pytest.approx(pe.total + top.total)
    assert whole.leakage == pytest.approx(pe.leakage + top.leakage)
    assert pe.leakage / top.leakage == pytest.approx(2 * 0.008439 / 0.00197)


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
    wires = 2 * CYCLES * HALF_SKY * wire_ff(20.0192, sky130hd.cells[f"{SKY}and2_0"].area_um2)
    expected = Energy(0, 0, wires, found.clock, 2 * found.leakage)
    assert astuple(twice) == pytest.approx(astuple(expected))


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
        assert found.wires == pytest.approx(50 * HALF_SG * wire_ff(9.072) * (1 if alone else 2))
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
