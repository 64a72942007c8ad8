"""Replays a netlist with the ports recorded in simulation: every output, every cycle."""

import re
import subprocess
from pathlib import Path

from sim.cache import build_once, fingerprint, fingerprint_files
from sim.model import OPTIMIZATION, RUNTIME, compile_model, include_flags, replay_library
from sim.ports import Port
from sim.tools import ToolError, compiler, run

#: Seconds after which a replay counts as hung.
LONGEST_REPLAY = 1200


class ReplayError(RuntimeError):
    """The netlist does not do what the simulated circuit did; the message names cycle and port."""


def replay(
    verilog: Path, ports: tuple[Port, ...], blocks: list[str], stimulus: Path, folder: Path
) -> int:
    """Number of outputs compared, all identical. ``blocks`` are modules compiled only once.

    Raises ReplayError at the first difference, or if there was nothing to compare.
    """
    key = fingerprint(fingerprint_files([verilog, stimulus, RUNTIME]))

    def build(unfinished: Path) -> None:
        program = _build(verilog, ports, blocks, unfinished)
        answer = _run(program, stimulus)
        program.unlink()
        (unfinished / "answer.txt").write_text(answer)

    answer = (build_once(folder / f"replay-{key}", build) / "answer.txt").read_text()
    found = re.fullmatch(r"cycles (\d+) comparisons (\d+)\n", answer)
    if found is None:
        raise ReplayError(answer.strip())
    if int(found[2]) == 0:
        raise ReplayError("the recorded run has nothing to compare")
    return int(found[2])


def _build(verilog: Path, ports: tuple[Port, ...], blocks: list[str], folder: Path) -> Path:
    objects = compile_model(verilog, ports, folder, [], blocks)
    program = folder / "replay"
    sources = [RUNTIME / "replay.cpp", *objects, replay_library()]
    command: list[str | Path] = [compiler(), OPTIMIZATION, *include_flags(folder, False)]
    run([*command, *sources, "-pthread", "-o", program], log=folder / "compile.log")
    return program


def _run(program: Path, stimulus: Path) -> str:
    try:
        finished = subprocess.run(
            [program, stimulus], capture_output=True, text=True, timeout=LONGEST_REPLAY
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"the replay was stopped after {LONGEST_REPLAY} s") from None
    if finished.returncode not in (0, 1) or not finished.stdout:
        raise ToolError(f"the replay ended with status {finished.returncode}: {finished.stderr}")
    return finished.stdout
