"""``make exhaustive``: FLOAT16 operations of two operands on all 2**32 pairs, in all modes.

Sums and products are compared with SoftFloat in all five modes, results and flags; comparisons as
well; minimum, maximum and sign injection with their definitions. All cores work on chunks of the
pairs. What is done stays under ``build/exhaustive`` for as long as the circuit and its checkers
are the same, so that an interrupted run goes on where it was. A mismatch ends its sweep, and is
looked for again the next time.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

from golden.fp16_instruction import Group, Operation
from golden.rounding import Mode
from hdl.export import export
from hdl.fp16.compare import Compare
from hdl.fp16.fma import FusedMultiplyAdd
from hdl.fp16.format import FLOAT16
from sim import results
from sim.cache import fingerprint, locked
from sim.console import Column, LiveTable, run_command
from sim.fp16.campaign import CHUNK, Campaign, Sweep
from sim.fp16.oracle import softfloat
from sim.fp16.sweep import OPERANDS, Outcome, sweep
from sim.paths import BUILD
from sim.selection import SettingsParser, positive
from sim.tools import ToolError

FOLDER = BUILD / "exhaustive"
LANES = {f"fma-{FLOAT16.name}": FusedMultiplyAdd, f"compare-{FLOAT16.name}": Compare}
ROUNDED = (Operation.ADD, Operation.SUB, Operation.MUL)
EXACT = tuple(
    operation
    for operation in Operation
    if operation.group in (Group.COMPARE, Group.SIGN) and operation is not Operation.CLASSIFY
)
_COLUMNS = (
    Column("operation", 9, right=False),
    Column("mode", 4, right=False),
    Column("pairs", 13),
    Column("mismatches", 10),
    Column("M/s per core", 12),
    Column("verdict", 7, right=False),
)


def main() -> int:
    options = _parse()
    softfloat()  # if it is missing, that is said before any work
    started = time.monotonic()
    circuits = {name: export(lane(FLOAT16)) for name, lane in LANES.items()}
    with locked(FOLDER / ".lock"):
        campaigns = {
            name: Campaign(rtlil, FOLDER, CHUNK, options.chunks) for name, rtlil in circuits.items()
        }
        sweeps = plan()
        finished: dict[Sweep, Outcome] = {}
        todo = sum(len(campaigns[each.config].missing(each)) for each in sweeps)
        table = LiveTable(_COLUMNS, todo, "comparing")
        with table:
            for each, outcome in run_sweeps(sweeps, campaigns, options.jobs):
                if outcome is None:
                    table.advance()
                    continue
                finished[each] = outcome
                _show(table, each, outcome)
    keys = {name: fingerprint(rtlil) for name, rtlil in circuits.items()}
    results.update(
        "exhaustive", (_entry(each, found, keys[each.config]) for each, found in finished.items())
    )
    return _conclude(list(finished.values()), time.monotonic() - started)


def _parse() -> argparse.Namespace:
    parser = SettingsParser(prog="make exhaustive", description=__doc__)
    parser.add_argument("--jobs", type=positive("JOBS"), default=os.cpu_count() or 1)
    parser.add_argument("--chunks", type=positive("CHUNKS"), default=OPERANDS // CHUNK)
    return parser.parse_args()


def plan() -> list[Sweep]:
    """All sweeps of a full run."""
    fma, compare = LANES
    rounded = [Sweep(fma, operation, mode) for operation in ROUNDED for mode in Mode]
    return rounded + [Sweep(compare, operation) for operation in EXACT]


def run_sweeps(
    sweeps: Sequence[Sweep], campaigns: Mapping[str, Campaign], jobs: int
) -> Iterator[tuple[Sweep, Outcome | None]]:
    """Do what is missing of each sweep in the campaign of its lane, on ``jobs`` processes.

    Yields (sweep, None) for each chunk, and (sweep, outcome) for each sweep at its end.
    """
    with ProcessPoolExecutor(jobs) as pool:
        places: dict[Future[Outcome], tuple[Sweep, int]] = {}
        for each in sweeps:
            campaign = campaigns[each.config]
            for number in campaign.missing(each):
                work = pool.submit(_do_chunk, campaign.circuit, each, campaign.operands(number))
                places[work] = (each, number)
        waiting = Counter(each for each, _ in places.values())
        try:
            for each in sweeps:
                if not waiting[each]:
                    yield each, campaigns[each.config].outcome(each)
            for work in as_completed(places):
                each, number = places[work]
                waiting[each] -= 1
                if not work.cancelled():
                    outcome = work.result()
                    campaigns[each.config].add(each, number, outcome)
                    if outcome.mismatches:
                        _cancel(other for other, place in places.items() if place[0] == each)
                yield each, None
                if not waiting[each]:
                    yield each, campaigns[each.config].outcome(each)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _cancel(works: Iterator[Future[Outcome]]) -> None:
    """Those that run already come to their own end."""
    for work in works:
        work.cancel()


def _do_chunk(circuit: Path, of: Sweep, operands: range) -> Outcome:
    return sweep(circuit.read_text(), of.operation, of.mode, operands)


def _show(table: LiveTable, each: Sweep, outcome: Outcome) -> None:
    passed = not outcome.mismatches
    cells = [
        each.operation.name,
        each.mode_name,
        f"{outcome.pairs:,}",
        f"{outcome.mismatches:,}",
        f"{outcome.pairs / outcome.seconds / 1e6:.0f}",
        "pass" if passed else "FAIL",
    ]
    table.add(cells, advance=False, style=None if passed else "red")
    for example in outcome.examples:
        table.note(str(example), style="red")


def _entry(each: Sweep, outcome: Outcome, circuit: str) -> dict:
    return {
        "datapath": "fp16",
        "config": each.config,
        "operation": each.operation.name,
        "mode": each.mode_name,
        "verdict": "fail" if outcome.mismatches else "pass",
        "pairs": outcome.pairs,
        "of_pairs": OPERANDS * OPERANDS,
        "mismatches": outcome.mismatches,
        "core_seconds": round(outcome.seconds, 1),
        "pairs_per_core_second": round(outcome.pairs / outcome.seconds),
        "circuit": circuit,
    }


def _conclude(outcomes: list[Outcome], seconds: float) -> int:
    pairs = sum(each.pairs for each in outcomes)
    core_seconds = sum(each.seconds for each in outcomes)
    failed = sum(each.mismatches > 0 for each in outcomes)
    if not pairs:
        raise ToolError("nothing was compared")
    print(
        f"{len(outcomes) - failed} of {len(outcomes)} sweeps pass, {pairs:,} pairs, "
        f"{pairs / core_seconds / 1e6:.0f} M/s per core, {seconds:.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    run_command(main)
