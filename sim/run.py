"""Runs the testbench of one configuration and records what it found."""

import json
import shutil
import time
import traceback
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass
from pathlib import Path

from hdl.datapath import Configuration, Datapath
from hdl.export import export
from sim.bench import CONFIGURATION_VARIABLE, DATAPATH_VARIABLE, RESULT_VARIABLE, empty_outcome
from sim.cache import fingerprint, locked, unfinished_folder, write_atomically
from sim.model import build_simulator
from sim.paths import ROOT, configuration_folder
from sim.sources import run_key
from sim.tools import ToolError, cocotb_environment, run

DEFAULT_SEED = 1
#: Seconds after which a simulation counts as hung.
LONGEST_RUN = 1200


@dataclass(frozen=True)
class SimulationResult:
    """One run of one configuration. ``verdict`` is "pass" or "fail".

    checks: comparisons made. cycles, work: of the stretch that shows sustained throughput.
    first_cycle: where the stretch begins in the recording, if the testbench told. stretches: by
    their operands, first_cycle, cycles and work of all whose beginning is known, that one first;
    None of a run before there was more than one.
    simulated_cycles: of the whole run. seconds: of the run, without the build.
    circuit: fingerprint of the exported design. sources: files the run depends on; key: their
    fingerprint.
    """

    datapath: str
    config: str
    seed: int
    verdict: str
    checks: int
    cycles: int
    work: int
    unit: str
    work_per_cycle: float
    simulated_cycles: int
    seconds: float
    build_seconds: float
    circuit: str
    sources: list[str]
    key: str
    message: str = ""
    figures: dict[str, float] | None = None
    first_cycle: int | None = None
    stretches: dict[str, dict[str, int]] | None = None

    @property
    def replay(self) -> str:
        """The command that repeats the run with waves."""
        return f"make waves DATAPATH={self.datapath} CONFIG={self.config} SEED={self.seed}"


def simulate(
    datapath: Datapath,
    name: str,
    seed: int = DEFAULT_SEED,
    *,
    waves: bool = False,
    force: bool = False,
) -> SimulationResult:
    """Build and run the testbench of configuration ``name``, unless nothing changed since."""
    folder = configuration_folder(datapath.name, name) / "sim"
    # Whoever comes second waits, and finds the result.
    with locked(folder / ".lock"):
        known = None if force or waves else load(folder / f"seed-{seed}" / "result.json")
        if known and known.key == _key(datapath, known):
            return known
        return _simulate(datapath, name, seed, waves=waves)


def _key(datapath: Datapath, known: SimulationResult) -> str | None:
    return run_key(datapath.configuration(known.config), known.seed, known.sources)


def _simulate(datapath: Datapath, name: str, seed: int, *, waves: bool) -> SimulationResult:
    folder = configuration_folder(datapath.name, name) / "sim"
    configuration = datapath.configuration(name)
    started = time.monotonic()
    rtlil, outcome, built = "", empty_outcome(), started
    target = folder / (f"seed-{seed}-waves" if waves else f"seed-{seed}")
    try:
        rtlil = export(configuration.build())
        simulator = build_simulator(rtlil, folder, waves=waves)
    except Exception as error:  # whatever a circuit under construction may raise
        outcome["message"] = f"cannot be built: {_describe(error)}"
    else:
        built = time.monotonic()
        outcome = _run_testbench(
            simulator, datapath.name, name, configuration.testbenches, seed, target, waves
        )
    stretches = outcome["stretches"]
    main: dict = next(iter(stretches.values()), {})
    work, cycles = int(main.get("work", 0)), int(main.get("cycles", 0))
    result = SimulationResult(
        datapath=datapath.name,
        config=name,
        seed=seed,
        verdict="fail" if outcome["message"] else "pass",
        checks=sum(test["checks"] for test in outcome["tests"].values()),
        cycles=cycles,
        work=work,
        unit=datapath.work,
        work_per_cycle=round(work / cycles, 4) if cycles else 0.0,
        simulated_cycles=sum(test["cycles"] for test in outcome["tests"].values()),
        seconds=round(time.monotonic() - built, 2),
        build_seconds=round(built - started, 2),
        circuit=fingerprint(rtlil),
        sources=outcome["sources"],
        key=_key_of_pass(configuration, seed, outcome),
        message=outcome["message"],
        figures=outcome["figures"],
        first_cycle=main.get("first_cycle"),
        stretches=_located(stretches),
    )
    write_atomically(target / "result.json", json.dumps(asdict(result), indent=1))
    return result


def _located(stretches: dict[str, dict]) -> dict[str, dict[str, int]]:
    """The stretches of which the testbench told where they begin."""
    return {name: each for name, each in stretches.items() if each["first_cycle"] is not None}


def _describe(error: Exception) -> str:
    """The error, and the last line of this project on the way to it."""
    text = f"{type(error).__name__}: {error}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_relative_to(ROOT / "hdl"):
            return f"{text} ({file.relative_to(ROOT)}, line {frame.lineno})"
    return text


def _key_of_pass(configuration: Configuration, seed: int, outcome: dict) -> str:
    """A failure has no key: it is run again, whatever it depended on."""
    if outcome["message"]:
        return ""
    return run_key(configuration, seed, outcome["sources"]) or ""


def stimulus_file(result: SimulationResult) -> Path:
    """Recorded ports of a run, cycle by cycle."""
    folder = configuration_folder(result.datapath, result.config) / "sim"
    return folder / f"seed-{result.seed}" / "ports.bin"


def waves_file(result: SimulationResult) -> Path:
    folder = configuration_folder(result.datapath, result.config) / "sim"
    return folder / f"seed-{result.seed}-waves" / "waves.fst"


def load(record: Path) -> SimulationResult | None:
    try:
        return SimulationResult(**json.loads(record.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _run_testbench(
    simulator: Path,
    datapath: str,
    name: str,
    testbenches: tuple[str, ...],
    seed: int,
    target: Path,
    waves: bool,
) -> dict:
    with unfinished_folder(target.parent) as work:
        variables = {
            **cocotb_environment(),
            DATAPATH_VARIABLE: datapath,
            CONFIGURATION_VARIABLE: name,
            RESULT_VARIABLE: str(work / "tests.json"),
            "ASSAY_RECORD": str(work / "ports.bin"),
            "COCOTB_RANDOM_SEED": str(seed),
            "COCOTB_RESULTS_FILE": str(work / "results.xml"),
            "COCOTB_TEST_MODULES": ",".join(testbenches),
            "COCOTB_TOPLEVEL": "top",
            "COCOTB_TRUST_INERTIAL_WRITES": "1",
            "COCOTB_REWRITE_ASSERTION_FILES": "",
            "COCOTB_ANSI_OUTPUT": "0",
        }
        command: list[str | Path] = [simulator.resolve()]
        if waves:
            command += ["--trace", "--trace-file", work / "waves.fst"]
        crash = ""
        try:
            run(
                command,
                log=work / "log.txt",
                cwd=work,
                environment=variables,
                timeout=LONGEST_RUN,
            )
        except ToolError as error:
            crash = str(error)
        outcome = _read_outcome(work, crash)
        shutil.rmtree(target, ignore_errors=True)
        work.rename(target)
        return outcome


def _read_outcome(work: Path, crash: str) -> dict:
    tests = work / "tests.json"
    outcome: dict = json.loads(tests.read_text()) if tests.exists() else empty_outcome()
    outcome["message"] = _first_failure(work / "results.xml") or crash
    if not outcome["message"] and not outcome["tests"]:
        outcome["message"] = "the testbench ran no test"
    return outcome


def _first_failure(results: Path) -> str:
    if not results.exists():
        return "the simulation ended without a result"
    for case in ElementTree.parse(results).iter("testcase"):
        for kind in ("failure", "error"):
            if (found := case.find(kind)) is not None:
                text = found.get("error_msg") or found.get("message") or found.text or kind
                return f"{case.get('name')}: {text.strip()}"
    return ""
