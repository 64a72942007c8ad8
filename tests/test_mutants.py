"""The testbenches are tested: small faults in the RTL, one at a time, must make them fail.

Each mutant is a copy of the tree with one replacement of text in it. It must be found by the
cocotb test named here; the same copy without the replacement must pass.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import ebatch_mutants
import ent_mutants
import fp16_mutants
import piper_mutants
import pytest
from mutation import Mutant

from sim.model import runtime_library
from sim.paths import BUILD, ROOT

PACKAGES = ("hdl", "golden", "sim")
SECONDS = 120

#: All of them, those of each datapath in a file of its own.
MUTANTS = (
    *ebatch_mutants.MUTANTS,
    *ent_mutants.MUTANTS,
    *fp16_mutants.MUTANTS,
    *piper_mutants.MUTANTS,
)


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file.name} has {text.count(old)} times {old!r}"
    file.write_text(text.replace(old, new))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages, compiled too, and the runtime of the tree, in a folder of their own."""
    ignored = shutil.ignore_patterns(".*")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    catalogue = tmp_path / "hdl" / "ent" / "__init__.py"
    replace(catalogue, "_CHECKED = (\n", f"_CHECKED = (\n    {ent_mutants.ADDED},\n")
    library = runtime_library().relative_to(BUILD)
    (tmp_path / "build" / library.parent).mkdir(parents=True)
    shutil.copy(BUILD / library, tmp_path / "build" / library)
    return tmp_path


def python(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, whose packages come before the installed ones."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def simulate(
    root: Path, datapath: str, config: str, seed: int, tests: Iterable[str]
) -> subprocess.CompletedProcess[str]:
    """``make sim`` of one configuration, but only these tests: others may hang on a mutant."""
    chosen = ("--datapath", datapath, "--config", config, "--seed", str(seed), "--jobs", "1")
    only = rf"\.({'|'.join(tests)})$"
    finished = python(root, "-m", "sim", *chosen, COCOTB_TEST_FILTER=only)
    # The runtime that came along was used: nothing else was compiled for it.
    assert len([each for each in (root / "build" / "runtime").iterdir() if each.is_dir()]) == 1
    return finished


def test_the_copy_imports_its_own_packages(copy: Path) -> None:
    names = ", ".join(PACKAGES)
    finished = python(copy, "-c", f"import {names}; print(*(p.__file__ for p in ({names})))")
    assert finished.stdout.split() == [str(copy / name / "__init__.py") for name in PACKAGES]


RUNS = sorted({(m.datapath, m.config, m.seed) for m in MUTANTS})


@pytest.mark.parametrize(("datapath", "config", "seed"), RUNS)
def test_without_a_mutation_it_passes(copy: Path, datapath: str, config: str, seed: int) -> None:
    run = (datapath, config, seed)
    tests = {m.found_by for m in MUTANTS if (m.datapath, m.config, m.seed) == run}
    finished = simulate(copy, *run, sorted(tests))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "1 of 1 configurations pass" in finished.stdout
    assert "replay" not in finished.stdout
    log = next((copy / "build" / datapath / config).rglob("log.txt")).read_text()
    passed = re.findall(r"cocotb\.regression +\S+\.(\w+) passed$", log, re.MULTILINE)
    assert sorted(passed) == sorted(tests)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault)
def test_mutant_is_found(copy: Path, mutant: Mutant) -> None:
    replace(copy / "hdl" / mutant.file, mutant.old, mutant.new)
    finished = simulate(copy, mutant.datapath, mutant.config, mutant.seed, [mutant.found_by])
    output = finished.stdout + finished.stderr
    assert finished.returncode == 1, output
    assert "0 of 1 configurations pass" in finished.stdout, output
    # Found by a comparison in a test, not because it could not be built or run.
    assert re.search(rf"^  {mutant.found_by}: \S", finished.stdout, re.MULTILINE), output
    command = f"make waves DATAPATH={mutant.datapath} CONFIG={mutant.config} SEED={mutant.seed}"
    assert f"  replay with waves: {command}" in finished.stdout.splitlines(), output
