"""Stretches of sustained work: what a testbench names, and a run records."""

import json
from pathlib import Path
from typing import Any

import pytest

from hdl.datapath import find_datapath
from sim import bench as sim_bench
from sim.bench import RESULT_VARIABLE, Bench
from sim.run import _located, load, simulate, stimulus_file

NAME = "pe-int4-acc12-nr4sd-edge-edge"


def test_a_testbench_marks_its_stretch() -> None:
    """In the recording, beats are behind the two cycles of reset that begin their test."""
    simulated = simulate(find_datapath("ent"), NAME)
    first = simulated.first_cycle
    assert first is not None
    header, _, samples = stimulus_file(simulated).read_bytes().partition(b"\n")
    ports = [name.split(b":")[0] for name in header.split()]
    widths = [int(name.split(b":")[1]) for name in header.split()]
    sizes = [1 if width <= 8 else 2 for width in widths]
    size = sum(sizes)
    assert (len(samples) - len(b"end\n")) / size == simulated.simulated_cycles
    reset = samples[sum(sizes[: ports.index(b"rst")]) :: size]
    assert reset[first - 2 : first] == b"\1\1"
    assert not any(reset[first : first + simulated.cycles])


def bench() -> Bench:
    made = object.__new__(Bench)
    made.figures, made.stretches, made.checks = {}, {}, 1
    return made


def test_a_testbench_names_its_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over three tests: the first operands stay first, and are told anew by the last test."""
    file = tmp_path / "tests.json"
    monkeypatch.setenv(RESULT_VARIABLE, str(file))
    monkeypatch.setattr(sim_bench, "loaded_files", lambda _: [])
    reports: list[tuple[int, list[tuple[Any, ...]]]] = [
        (100, [(7, 5, 3), (8, 6, 50, "normal")]),
        (30, [(9, 4, 20, "digits"), (1, 2, None, "unknown")]),
        (10, [(6, 3, 4)]),
    ]
    for number, (cycles, calls) in enumerate(reports):
        each = bench()
        each.cycle, each.configuration = cycles, None  # type: ignore[assignment]
        for call in calls:
            each.report_work(*call)
        sim_bench._save(f"test_{number}", each)
    assert list(json.loads(file.read_text())["stretches"].items()) == [
        ("uniform", {"first_cycle": 134, "cycles": 3, "work": 6}),
        ("normal", {"first_cycle": 50, "cycles": 6, "work": 8}),
        ("digits", {"first_cycle": 120, "cycles": 4, "work": 9}),
        ("unknown", {"first_cycle": None, "cycles": 2, "work": 1}),
    ]


def test_a_run_records_the_stretches_whose_place_is_known() -> None:
    known = {"first_cycle": 0, "cycles": 5, "work": 7}
    assert _located({"a": {**known, "first_cycle": None}, "b": known}) == {"b": known}


def test_results_from_before_there_were_stretches_are_read(tmp_path: Path) -> None:
    simulated = simulate(find_datapath("ent"), NAME)
    main = {
        "first_cycle": simulated.first_cycle,
        "cycles": simulated.cycles,
        "work": simulated.work,
    }
    assert simulated.stretches is not None
    assert next(iter(simulated.stretches.items())) == ("uniform", main)
    known = stimulus_file(simulated).with_name("result.json")
    assert load(known) == simulated
    text = json.loads(known.read_text())
    del text["stretches"]
    old = tmp_path / "result.json"
    old.write_text(json.dumps(text))
    read = load(old)
    assert read is not None
    assert (read.stretches, read.first_cycle) == (None, simulated.first_cycle)
