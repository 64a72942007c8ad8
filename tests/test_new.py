"""``make new``: its datapath simulates, maps and fails as it should; bad names leave no trace.

All of it in a copy of the project, so that nothing appears in the tree itself.
"""

import json
import keyword
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hdl.datapath import find_datapath
from sim import new
from sim.model import replay_library, runtime_library
from sim.paths import BUILD, ROOT

PACKAGES = ("hdl", "golden", "sim", "synth")
FILES = ("pyproject.toml", "Makefile")
NAME = "foo"
MADE = (
    "docs/foo.md",
    "golden/foo.py",
    "hdl/foo/__init__.py",
    "hdl/foo/configurations.py",
    "hdl/foo/distance.py",
    "sim/foo/__init__.py",
    "sim/foo/testbench.py",
    "tests/test_foo.py",
)


def copy_of_project(root: Path) -> Path:
    """What ``make new`` and what follows it need, without anything generated."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=ignored)
    for file in FILES:
        shutil.copy(ROOT / file, root / file)
    (root / "tests").mkdir()
    (root / "docs").mkdir()
    return root


def run(root: Path, *module: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a module of the copy, which comes before the installed tree; ``path`` comes next."""
    folders = [str(folder) for folder in (root, path) if folder]
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


def edit(file: Path, old: str, replacement: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, replacement))


def entries(root: Path, section: str) -> list[dict]:
    results = json.loads((root / "build" / "report" / "results.json").read_text())
    return [entry for entry in results[section] if entry["datapath"] == NAME]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copy_of_project(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with the datapath, and with the Verilator runtime that this tree has compiled."""
    root = copy_of_project(tmp_path_factory.mktemp("project"))
    finished = run(root, "sim.new", NAME)
    assert finished.returncode == 0, finished.stderr
    for library in (runtime_library(), replay_library()):
        runtime = library.parent.relative_to(BUILD)
        shutil.copytree(BUILD / runtime, root / "build" / runtime)
    return root


def test_prints_what_it_made_and_what_comes_next(copy: Path) -> None:
    finished = run(copy, "sim.new", NAME)
    assert finished.returncode == 0, finished.stderr
    lines = [line.strip() for line in finished.stdout.splitlines()]
    assert [line.split()[0] for line in lines[1 : 1 + len(MADE)]] == list(MADE)
    start = lines.index("docs/add-a-datapath.md goes through these files; next:")
    assert lines[start + 1 : start + 4] == [
        "make sim DATAPATH=foo",
        "make synth DATAPATH=foo",
        "make test",
    ]
    texts = {path: (copy / path).read_text() for path in MADE}
    assert all(texts.values())
    assert not any(new.PLACEHOLDER in text for text in texts.values())


def test_the_copy_imports_its_own_packages(made: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", "import hdl, sim; print(hdl.__file__, sim.__file__)"],
        cwd=made,
        env={**os.environ, "PYTHONPATH": str(made)},
        capture_output=True,
        text=True,
    )
    assert finished.stdout.split() == [
        str(made / package / "__init__.py") for package in ("hdl", "sim")
    ]


def test_simulates_at_full_speed_and_is_reported(made: Path) -> None:
    finished = run(made, "sim", "--datapath", NAME)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "3 of 3 configurations pass" in finished.stdout
    found = {entry["config"]: entry for entry in entries(made, "sim")}
    assert found.keys() == {"2x3-compressor", "4x8-adders", "4x8-compressor"}
    assert {entry["verdict"] for entry in found.values()} == {"pass"}
    assert {name: entry["work_per_cycle"] for name, entry in found.items()} == {
        "2x3-compressor": 2,
        "4x8-adders": 4,
        "4x8-compressor": 4,
    }


def test_its_own_tests_pass(made: Path) -> None:
    finished = run(made, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_foo.py")
    assert finished.returncode == 0, finished.stdout


def test_maps_and_is_compared(made: Path) -> None:
    finished = run(made, "synth", "--datapath", NAME)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    mapped = entries(made, "synth")
    assert {entry["config"] for entry in mapped} == {
        "2x3-compressor",
        "4x8-adders",
        "4x8-compressor",
    }
    assert all(entry["area_um2"] > 0 and entry["netlist_checks"] > 0 for entry in mapped)
    areas = [entry for entry in entries(made, "comparisons") if entry["metric"] == "area"]
    assert {entry["target"] for entry in areas} == {"area", "clock"}
    # The two adders do the same work: neither side of the comparison is a straw man.
    assert all(0.8 < entry["ratio"] < 1.25 for entry in areas)


@pytest.mark.parametrize(
    ("file", "old", "replacement", "message"),
    [
        (
            "hdl/foo/distance.py",
            "dots.add_bit(one, 0)",
            "dots.add_bit(one, 1)",
            r"boundaries: distances under .*: \d+ of 4096 wrong, first at \[\d+\]: got \d+, "
            r"expected \d+",
        ),
        (
            "hdl/foo/distance.py",
            "self.i.ready.eq(~self.o.valid | self.o.ready)",
            "self.i.ready.eq(1)",
            r"all_stalls: o: payload changed while waiting, cycle \d+|"
            r"all_stalls: o: valid fell before ready in cycle \d+",
        ),
        (
            "hdl/foo/distance.py",
            "m.d.sync += total.eq(self._sum(m, platform))",
            "m.d.sync += total.eq(self._sum(m, platform))\n"
            "        with m.If(self.o.valid):\n"
            "            m.d.comb += self.i.ready.eq(0)\n"
            "            m.d.sync += self.o.valid.eq(~self.o.ready)",
            r"sustained_throughput: cycles between pairs: \d+ of 1999 wrong",
        ),
        (
            "hdl/foo/distance.py",
            "with m.If(self.i.ready):\n            m.d.sync += self.o.valid.eq(self.i.valid)",
            "valid = Signal(reset_less=True)\n"
            "        m.d.comb += self.o.valid.eq(valid)\n"
            "        with m.If(self.i.ready):\n            m.d.sync += valid.eq(self.i.valid)",
            r"reset_in_mid_stream: a reset left an output",
        ),
        (
            "golden/foo.py",
            "np.abs(difference)",
            "difference",
            r"boundaries: distances under .*: \d+ of 4096 wrong",
        ),
    ],
    ids=["sum", "no-back-pressure", "half-speed", "reset", "golden"],
)
def test_a_wrong_circuit_is_caught(
    made: Path, file: str, old: str, replacement: str, message: str
) -> None:
    original = (made / file).read_text()
    edit(made / file, old, replacement)
    try:
        finished = run(made, "sim", "--datapath", NAME, "--config", "small", "--seed", "7")
    finally:
        (made / file).write_text(original)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert re.search(message, finished.stdout), finished.stdout
    assert "make waves DATAPATH=foo CONFIG=2x3-compressor SEED=7" in finished.stdout
    assert [e["verdict"] for e in entries(made, "sim") if e["seed"] == 7] == ["fail"]


def test_a_repaired_circuit_passes_again(made: Path) -> None:
    """No failure is remembered longer than its cause."""
    command = ("sim", "--datapath", NAME, "--config", "small", "--seed", "8")
    file = made / "hdl/foo/distance.py"
    edit(file, "dots.add_bit(one, 0)", "dots.add_bit(one, 1)")
    broken = run(made, *command)
    edit(file, "dots.add_bit(one, 1)", "dots.add_bit(one, 0)")
    repaired = run(made, *command)
    assert (broken.returncode, repaired.returncode) == (1, 0), repaired.stdout


def test_a_datapath_in_a_package_of_its_own(made: Path, tmp_path: Path) -> None:
    """Found through the entry point of an installed distribution; no new one gets its name."""
    package = tmp_path / "bar"
    package.mkdir()
    moved = {
        "__init__.py": "hdl/foo/__init__.py",
        "configurations.py": "hdl/foo/configurations.py",
        "distance.py": "hdl/foo/distance.py",
        "golden.py": "golden/foo.py",
        "testbench.py": "sim/foo/testbench.py",
    }
    names = {"golden.foo": "bar.golden", "hdl.foo": "bar", "sim.foo": "bar", '"foo"': '"bar"'}
    for target, source in moved.items():
        text = (made / source).read_text()
        for old, name in names.items():
            text = text.replace(old, name)
        (package / target).write_text(text)
    # What pip writes from pyproject.toml.
    installed = tmp_path / "bar-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: bar\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[assay.datapaths]\nbar = bar:DATAPATH\n")
    simulated = run(made, "sim", "--datapath", "bar", "--config", "small", path=tmp_path)
    assert simulated.returncode == 0, simulated.stdout + simulated.stderr
    assert "1 of 1 configurations pass" in simulated.stdout
    refused = run(made, "sim.new", "bar", path=tmp_path)
    assert refused.stderr == "assay: a datapath bar is installed already, as bar:DATAPATH\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "NAME is missing: make new NAME=foo"),
        ("Foo", "NAME is 'Foo'; allowed are"),
        ("two words", "NAME is 'two words'; allowed are"),
        ("../foo", "NAME is '../foo'; allowed are"),
        ("_foo", "NAME is '_foo'; allowed are"),
        ("4lanes", "NAME is '4lanes'; allowed are"),
        ("größe", "NAME is 'größe'; allowed are"),
        ("x" * 33, "32 in all"),
        ("lambda", "NAME is 'lambda', a keyword of Python"),
        ("json", "NAME is 'json', a module of Python's library"),
        ("synth", "NAME is 'synth', a folder of this project"),
        ("report", "NAME is 'report', a folder that build needs"),
        ("ent", "there is already: golden/ent.py, hdl/ent, sim/ent"),
        ("adder", "there is already: hdl/adder.py"),
        ("run", "there is already: sim/run.py"),
    ],
)
def test_bad_names_are_refused(copy: Path, name: str, message: str) -> None:
    before = sorted(copy.rglob("*"))
    with pytest.raises(new.RefusedError, match=re.escape(message)):
        new.create(name, copy)
    assert sorted(copy.rglob("*")) == before


def test_a_refusal_is_one_line_and_a_status(copy: Path) -> None:
    finished = run(copy, "sim.new", "class")
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr == "assay: NAME is 'class', a keyword of Python: choose another\n"


@pytest.mark.parametrize("path", MADE)
def test_every_place_is_looked_at(copy: Path, path: str) -> None:
    (copy / path).parent.mkdir(parents=True, exist_ok=True)
    (copy / path).write_text("precious")
    before = sorted(copy.rglob("*"))
    place = path if path.count("/") == 1 else path.rpartition("/")[0]
    with pytest.raises(new.RefusedError, match=f"there is already: {re.escape(place)}$"):
        new.create(NAME, copy)
    assert sorted(copy.rglob("*")) == before
    assert (copy / path).read_text() == "precious"


def test_a_failure_half_way_leaves_nothing(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(copy.rglob("*"))
    opened = Path.open

    def open_some(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == f"test_{NAME}.py" and copy in path.parents:
            raise OSError("the disk is full")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_some)
    with pytest.raises(OSError, match="the disk is full"):
        new.create(NAME, copy)
    assert sorted(copy.rglob("*")) == before


def test_outside_a_checkout_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(new.RefusedError, match="is no checkout"):
        new.create(NAME, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "zz9", "x" * new.LONGEST_NAME])
def test_files_keep_the_style_whatever_the_name(copy: Path, name: str) -> None:
    """Names change which import is first and how long lines are."""
    new.create(name, copy)
    for command in (["check"], ["format", "--check"]):
        finished = run(copy, "ruff", *command, "--no-cache", ".")
        assert finished.returncode == 0, finished.stdout


def test_the_template_is_no_datapath() -> None:
    assert not keyword.iskeyword(new.PLACEHOLDER)
    with pytest.raises(ValueError, match="no datapath is named"):
        find_datapath(new.PLACEHOLDER)
