"""Counts the transitions of every net of a netlist during stretches of its recorded run.

The gates are data for ``sim/runtime/toggles.cpp``, which is compiled once. Nets are compared
between settled cycles, so glitches are not seen. The outputs are compared with the recording once
more, so what is counted are the transitions of a circuit that does what was simulated.
"""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sim.cache import build_once, fingerprint, fingerprint_files
from sim.model import RUNTIME, TRAILER
from sim.paths import BUILD
from sim.ports import Port
from sim.tools import ToolError, compiler, run
from synth.gates import Circuit, Pin
from synth.library import Library
from synth.netlist import CLOCK
from synth.replay import LONGEST_REPLAY, ReplayError

SOURCE = RUNTIME / "toggles.cpp"
RESET = "rst"


@dataclass(frozen=True)
class Stretch:
    """Cycles of a recording in which work is done."""

    first: int
    cycles: int


@dataclass(frozen=True)
class Toggles:
    """Transitions during a stretch.

    outputs: by cell and output pin, connected or not. alone: by cell and input pin, those in
    cycles in which no output of the cell moves; all of them for registers, whose outputs only the
    clock moves. nets: by the net's number.
    """

    outputs: Mapping[Pin, int]
    alone: Mapping[Pin, int]
    nets: Mapping[int, int]


def count_toggles(
    module: Mapping[str, Any],
    library: Library,
    ports: Sequence[Port],
    stimulus: Path,
    stretches: Sequence[Stretch],
    folder: Path,
) -> list[Toggles]:
    """Transitions of a flat module of Yosys' JSON in each of the ``stretches`` of a recording.

    The recording is repeated once for all of them. What is written on the way is in ``folder``.
    Raises UnsupportedError for a circuit that is not simulated here, and ReplayError if an
    output differs from the recording.
    """
    circuit = Circuit(module, library)
    recording = _Recording(ports, stimulus)
    if any(stretch.first + stretch.cycles > recording.cycles for stretch in stretches):
        raise ReplayError("the stretch in which work is done is not in the recording")
    file = folder / "gates.txt"
    file.write_text(_text(circuit, module["ports"], recording))
    counts = [int(count) for count in _simulate(file, recording, stretches).split()]
    file.unlink()  # large, and made from the netlist in no time
    size = circuit.size + len(circuit.watched)
    return [_toggles(circuit, counts[at : at + size]) for at in range(0, len(counts), size)]


def _toggles(circuit: Circuit, counts: Sequence[int]) -> Toggles:
    """What ``toggles.cpp`` prints of one stretch, by cell, pin and net."""
    alone = dict(zip(circuit.watched, counts[circuit.size :], strict=True))
    return Toggles(
        outputs={pin: counts[value] for pin, value in circuit.outputs.items()},
        alone=alone | {pin: counts[value] for pin, value in circuit.data.items()},
        nets={net: counts[value] for net, value in circuit.values.items()},
    )


class _Recording:
    """Where the ports are in a recording.

    compared: the cycle behind the first clock edge under reset, from which outputs count.
    """

    def __init__(self, ports: Sequence[Port], file: Path) -> None:
        self.file = file
        self.places: dict[str, int] = {}
        self.size = 0
        for port in ports:
            if port.name != CLOCK:
                self.places[port.name] = self.size
                self.size += _bytes(port.width)
        data = file.read_bytes()
        self.header = data.index(b"\n") + 1
        self.cycles = (len(data) - self.header - len(TRAILER) - 1) // self.size
        samples = data[self.header : self.header + self.cycles * self.size]
        place = self.places.get(RESET)
        reset = b"" if place is None else samples[place :: self.size]
        self.compared = reset.find(b"\1") + 1


def _bytes(width: int) -> int:
    """What a port takes in a recording: Verilator's smallest type that holds it."""
    small = next((size for size in (1, 2, 4, 8) if width <= 8 * size), 0)
    return small or 4 * -(-width // 32)


def _text(circuit: Circuit, ports: Mapping[str, Any], recording: _Recording) -> str:
    """The circuit as ``toggles.cpp`` reads it."""
    places: dict[str, list[tuple[int, ...]]] = {"input": [], "output": []}
    for name, port in ports.items():
        if name != CLOCK:
            for index, net in enumerate(port["bits"]):
                byte, bit = divmod(index, 8)
                place = (circuit.value(net), recording.places[name] + byte, bit)
                places[port["direction"]].append(place)
    return "\n".join(
        [
            f"{recording.header} {recording.size} {circuit.size}",
            *_listed(places["input"]),
            *_listed(places["output"]),
            *_listed((len(each.inputs), *each[:2], *each.inputs) for each in circuit.gates),
            *_listed(circuit.flip_flops),
            *_listed((value, len(own), *own) for value, own in circuit.watched.values()),
            "",
        ]
    )


def _listed(rows: Iterable[Sequence[int]]) -> list[str]:
    """A line for each row, after their number."""
    lines = [" ".join(map(str, row)) for row in rows]
    return [str(len(lines)), *lines]


def _simulate(gates: Path, recording: _Recording, stretches: Sequence[Stretch]) -> str:
    """What ``toggles.cpp`` prints."""
    cycles = [recording.compared]
    for stretch in stretches:
        cycles += [stretch.first, stretch.cycles]
    command = [*map(str, (_program(), gates, recording.file, *cycles))]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_REPLAY)
    except subprocess.TimeoutExpired:
        raise ToolError(f"counting toggles was stopped after {LONGEST_REPLAY} s") from None
    if finished.returncode == 1:
        raise ReplayError(f"while toggles were counted, {finished.stdout.strip()}")
    if finished.returncode != 0:
        raise ToolError(f"counting toggles ended with status {finished.returncode}")
    return finished.stdout


@cache
def _program() -> Path:
    def build(unfinished: Path) -> None:
        flags = ["-std=gnu++17", "-O3", str(SOURCE), "-o", str(unfinished / "toggles")]
        run([compiler(), *flags], log=unfinished / "compile.log")

    key = fingerprint(fingerprint_files([SOURCE]), compiler())
    return build_once(BUILD / "runtime" / f"toggles-{key}", build) / "toggles"
