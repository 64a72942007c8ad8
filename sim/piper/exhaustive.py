"""``make exhaustive DATAPATH=piper``: the logarithm of every int32.

The circuit's results are compared with the nearest float32. That is the logarithm of the C library
in double precision, rounded once more, unless it is so close to the middle of two float32 that the
library's error counts: the golden model decides such an input (about one in 30 million) with 50
digits. All cores work on chunks of the inputs.
"""

import argparse
import ctypes
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from golden.piper_operators import logarithm
from hdl.export import export
from hdl.piper.logarithm import LogarithmUnit
from sim import results
from sim.cache import build_once, fingerprint, fingerprint_files
from sim.console import Column, LiveTable, run_command
from sim.paths import BUILD
from sim.selection import SettingsParser, positive
from sim.sliced import build_sliced
from sim.tools import ToolError, compiler, run, versions

SOURCE = Path(__file__).with_name("logarithm_sweep.cpp")
INPUTS = 1 << 32
NEGATIVE = 1 << 31
#: Inputs of a chunk, which is about a second; a multiple of the rows that the C++ code takes.
CHUNK = 1 << 24
ROWS = 1 << 12
BLOCKS = ROWS // 64
#: Wrong inputs that are shown, and doubtful ones that a chunk may have.
CAPACITY = 1 << 12
SHOWN = 8
_COLUMNS = (
    Column("inputs", 15, right=False),
    Column("compared", 13),
    Column("nearest", 13),
    Column("next to it", 11),
    Column("beyond", 10),
    Column("worst ULP", 9),
    Column("at", 10),
    Column("M/s per core", 12),
    Column("verdict", 7, right=False),
)


class Found(ctypes.Structure):
    """``struct Found`` of logarithm_sweep.cpp."""

    _fields_ = (
        ("inputs", ctypes.c_uint64),
        ("distance", ctypes.c_uint64 * 3),
        ("doubtful", ctypes.c_uint64),
        ("worst", ctypes.c_double),
        ("worst_input", ctypes.c_uint32),
    )


@dataclass(frozen=True)
class Outcome:
    """What a sweep found.

    distance: how many results are the nearest float32, next to it, and further away. worst: the
    largest error of the exact value, in ULP of it, and worst_input where. wrong: the first inputs
    further away. seconds: of this process's CPU time, without building the circuit.
    """

    distance: tuple[int, int, int]
    worst: float
    worst_input: int
    wrong: tuple[int, ...]
    seconds: float

    @property
    def inputs(self) -> int:
        return sum(self.distance)

    def __add__(self, other: "Outcome") -> "Outcome":
        first, second, third = (a + b for a, b in zip(self.distance, other.distance, strict=True))
        worse = max(self, other, key=lambda each: each.worst)
        return Outcome(
            (first, second, third),
            worse.worst,
            worse.worst_input,
            (self.wrong + other.wrong)[:SHOWN],
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Section:
    """Inputs that make one line of the table."""

    name: str
    inputs: range

    def chunks(self, limit: int | None) -> list[range]:
        starts = self.inputs[::CHUNK][:limit]
        return [range(start, min(start + CHUNK, self.inputs.stop)) for start in starts]


def plan() -> list[Section]:
    """All inputs: those below 2**24, each binade above, and the negative ones."""
    edges = [0, *(1 << bits for bits in range(24, 32))]
    sections = [
        Section(
            f"{'0' if not low else f'2^{low.bit_length() - 1}'} ... 2^{high.bit_length() - 1}",
            range(low, high),
        )
        for low, high in pairwise(edges)
    ]
    return [*sections, Section("negative", range(NEGATIVE, INPUTS))]


def main() -> int:
    options = _parse()
    started = time.monotonic()
    circuit = export(LogarithmUnit(0))
    sections = plan()
    todo = sum(len(each.chunks(options.chunks)) for each in sections)
    outcomes: dict[Section, Outcome] = {}
    with LiveTable(_COLUMNS, todo, "comparing") as table:
        for section, outcome in run_sections(circuit, sections, options.jobs, options.chunks):
            if outcome is None:
                table.advance()
                continue
            outcomes[section] = outcome
            _show(table, section, outcome)
    key = fingerprint(circuit)
    results.update("exhaustive", (_entry(*each, key) for each in outcomes.items()))
    return _conclude(list(outcomes.values()), time.monotonic() - started)


def _parse() -> argparse.Namespace:
    parser = SettingsParser(prog="make exhaustive", description=__doc__)
    parser.add_argument("--jobs", type=positive("JOBS"), default=os.cpu_count() or 1)
    parser.add_argument("--chunks", type=positive("CHUNKS"), default=INPUTS // CHUNK)
    return parser.parse_args()


def run_sections(
    circuit: str, sections: Sequence[Section], jobs: int, limit: int | None = None
) -> Iterator[tuple[Section, Outcome | None]]:
    """Sweep the chunks of all sections, up to ``limit`` of each, on ``jobs`` processes.

    Yields (section, None) for each chunk, and (section, outcome) for each section at its end.
    """
    prepare(circuit)  # once, and not in each process
    with ProcessPoolExecutor(jobs) as pool:
        places = {
            pool.submit(sweep, circuit, chunk): section
            for section in sections
            for chunk in section.chunks(limit)
        }
        done: dict[Section, list[Outcome]] = {section: [] for section in sections}
        try:
            for work in as_completed(places):
                section = places[work]
                done[section].append(work.result())
                yield section, None
                if len(done[section]) == len(section.chunks(limit)):
                    total, *others = done[section]
                    for other in others:
                        total += other
                    yield section, total
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def sweep(circuit: str, inputs: range) -> Outcome:
    """Compare the results of all ``inputs``, which begin and end at multiples of ``ROWS``.

    circuit: RTLIL of ``LogarithmUnit``, combinational. Raises ValueError for other ranges.
    """
    if inputs.start % ROWS or inputs.stop % ROWS:
        raise ValueError(f"inputs are {inputs}; they must begin and end at multiples of {ROWS}")
    program, function = prepare(circuit), _native().assay_logarithm
    found = Found()
    wrong, doubts, given = ((ctypes.c_uint32 * CAPACITY)() for _ in range(3))
    started = time.process_time()
    function(
        *(ctypes.byref(program.structure), ctypes.c_uint64(inputs.start)),
        *(ctypes.c_uint64(inputs.stop), ctypes.byref(found), wrong, doubts, given),
        ctypes.c_uint64(CAPACITY),
    )
    seconds = time.process_time() - started
    if found.doubtful > CAPACITY:
        raise ToolError(f"the C library's logarithm leaves {found.doubtful} inputs in doubt")
    distance = list(found.distance)
    first_wrong = list(wrong[: min(found.distance[2], SHOWN)])
    for at in range(found.doubtful):
        away = min(2, abs(given[at] - int(logarithm(doubts[at]))))
        distance[away] += 1
        first_wrong += [doubts[at]] if away == 2 else []
    outcome = Outcome(
        (distance[0], distance[1], distance[2]),
        found.worst,
        found.worst_input,
        tuple(first_wrong[:SHOWN]),
        seconds,
    )
    if outcome.inputs != len(inputs):
        raise ToolError(f"of {len(inputs):,} inputs only {outcome.inputs:,} were compared")
    return outcome


class _Structure(ctypes.Structure):
    """``struct Circuit`` of logarithm_sweep.cpp."""

    _fields_ = (
        ("evaluate", ctypes.c_void_p),
        ("model", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("value", ctypes.c_void_p * 32),
        ("result", ctypes.c_void_p * 32),
    )


class _Program:
    """A sliced circuit, with memory for its columns."""

    def __init__(self, circuit: str) -> None:
        self._evaluator = build_sliced(circuit, {}, ("result",))
        ports = (*self._evaluator.inputs, *self._evaluator.outputs)
        self._columns = {port.name: np.zeros(BLOCKS, np.uint64) for port in ports}
        addresses = {name: column.ctypes.data for name, column in self._columns.items()}
        self._addresses = (ctypes.c_void_p * len(ports))(*addresses.values())
        self.structure = _Structure(
            self._evaluator.function,
            self._evaluator.model,
            ctypes.cast(self._addresses, ctypes.c_void_p),
            *(
                (ctypes.c_void_p * 32)(*(addresses[f"{port}_{bit:02}"] for bit in range(32)))
                for port in ("value", "result")
            ),
        )


@lru_cache(maxsize=1)
def prepare(circuit: str) -> _Program:
    """The circuit, compiled."""
    return _Program(circuit)


@lru_cache
def _native() -> ctypes.CDLL:
    """The C++ code, compiled once for equal text."""

    def build(unfinished: Path) -> None:
        options = ["-std=gnu++17", "-O3", "-shared", "-fPIC"]
        target = unfinished / "native.so"
        run([compiler(), *options, SOURCE, "-o", target], log=unfinished / "compile.log")

    key = fingerprint(fingerprint_files([SOURCE]), str(versions()), compiler())
    return ctypes.CDLL(str(build_once(BUILD / "native" / key, build) / "native.so"))


def _show(table: LiveTable, section: Section, outcome: Outcome) -> None:
    passed = not outcome.distance[2]
    cells = [
        section.name,
        f"{outcome.inputs:,}",
        *(f"{count:,}" for count in outcome.distance),
        f"{outcome.worst:.3f}",
        f"{outcome.worst_input}",
        f"{outcome.inputs / outcome.seconds / 1e6:.0f}",
        "pass" if passed else "FAIL",
    ]
    table.add(cells, advance=False, style=None if passed else "red")
    for x in outcome.wrong:
        table.note(f"wrong: logarithm of {x:08x}", style="red")


def _entry(section: Section, outcome: Outcome, circuit: str) -> dict:
    return {
        "datapath": "piper",
        "config": "logarithm",
        "operation": "LOGARITHM",
        "mode": section.name,
        "verdict": "fail" if outcome.distance[2] else "pass",
        "inputs": outcome.inputs,
        "of_inputs": len(section.inputs),
        "nearest": outcome.distance[0],
        "next_to_nearest": outcome.distance[1],
        "mismatches": outcome.distance[2],
        "worst_ulp": round(outcome.worst, 4),
        "core_seconds": round(outcome.seconds, 1),
        "circuit": circuit,
    }


def _conclude(outcomes: list[Outcome], seconds: float) -> int:
    failed = sum(each.distance[2] > 0 for each in outcomes)
    inputs = sum(each.inputs for each in outcomes)
    if not inputs:
        raise ToolError("nothing was compared")
    nearest = sum(each.distance[0] for each in outcomes)
    print(
        f"{len(outcomes) - failed} of {len(outcomes)} sections pass, {inputs:,} inputs, "
        f"{100 * nearest / inputs:.1f} % nearest, "
        f"at most {max(each.worst for each in outcomes):.3f} ULP off, {seconds:.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    run_command(main)
