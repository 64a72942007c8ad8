"""``make sim`` and ``make waves``: simulate configurations and print one line for each."""

import argparse
import os
import sys
import time
from dataclasses import asdict
from functools import partial
from textwrap import wrap

from hdl.datapath import find_datapath
from sim import results
from sim.console import Column, LiveTable, run_command
from sim.model import runtime_library
from sim.parallel import in_parallel
from sim.run import DEFAULT_SEED, SimulationResult, simulate, waves_file
from sim.selection import SettingsParser, positive, select

#: Characters of a line of figures.
LINE = 100


def main() -> int:
    options = _parse()
    try:
        chosen = [(path.name, name) for path, name in select(options.datapath, options.config)]
    except ValueError as error:
        print(f"assay: {error}", file=sys.stderr)
        return 2
    started = time.monotonic()
    width = max(len(name) for _, name in chosen)
    columns = [
        Column("datapath", max(8, *(len(path) for path, _ in chosen)), right=False),
        Column("configuration", width, right=False),
        Column("seed", 4),
        Column("checks", 9),
        Column("cycles", 7),
        Column("work", 16),
        Column("work/cycle", 10),
        Column("time", 7),
        Column("verdict", 7, right=False),
    ]
    finished = []
    runtime_library(options.waves)  # once, before the jobs that all need it
    work = partial(_simulate_one, seed=options.seed, waves=options.waves)
    with LiveTable(columns, len(chosen), "simulating") as table:
        for result in in_parallel(work, chosen, options.jobs):
            finished.append(result)
            _show(table, result, waves=options.waves)
    results.update("sim", (_entry(result) for result in finished))
    failed = [result for result in finished if result.verdict != "pass"]
    checks = sum(result.checks for result in finished)
    print(
        f"{len(finished) - len(failed)} of {len(finished)} configurations pass, "
        f"{checks:,} checks, {time.monotonic() - started:.0f} s"
    )
    return 1 if failed else 0


def _parse() -> argparse.Namespace:
    parser = SettingsParser(prog="make sim", description=__doc__)
    parser.add_argument("--datapath", default="")
    parser.add_argument("--config", default="")
    parser.add_argument("--seed", type=_seed, default=DEFAULT_SEED)
    parser.add_argument("--jobs", type=positive("JOBS"), default=os.cpu_count() or 1)
    parser.add_argument("--waves", action="store_true")
    return parser.parse_args()


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 31:
        raise argparse.ArgumentTypeError(f"SEED is {text!r}; allowed are 0 to {(1 << 31) - 1}")
    return int(text)


def _simulate_one(datapath: str, name: str, *, seed: int, waves: bool) -> SimulationResult:
    return simulate(find_datapath(datapath), name, seed, waves=waves)


def _show(table: LiveTable, result: SimulationResult, *, waves: bool) -> None:
    passed = result.verdict == "pass"
    cells = [
        result.datapath,
        result.config,
        str(result.seed),
        f"{result.checks:,}",
        f"{result.cycles:,}",
        f"{result.work:,} {result.unit}",
        f"{result.work_per_cycle:.2f}",
        f"{result.seconds + result.build_seconds:.1f} s",
        result.verdict,
    ]
    table.add(cells, style=None if passed else "red")
    if not passed:
        table.note(result.message.replace("\n", "\n  "), style="red")
        table.note(f"replay with waves: {result.replay}")
    if figures := result.figures:
        named = (f"{name.replace('_', ' ')} {value:.5g}" for name, value in figures.items())
        for line in wrap(", ".join(named), LINE):
            table.note(line)
    if waves:
        table.note(f"waves: {os.path.relpath(waves_file(result))}")


def _entry(result: SimulationResult) -> dict:
    internal = ("key", "sources")
    return {name: value for name, value in asdict(result).items() if name not in internal}


if __name__ == "__main__":
    run_command(main)
