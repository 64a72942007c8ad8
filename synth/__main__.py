"""``make synth``: map configurations to gates, replay the netlists, compare with the baselines."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from hdl.datapath import find_datapath, find_datapaths
from sim import results
from sim.console import Column, LiveTable, run_command
from sim.parallel import in_parallel
from sim.selection import SettingsParser, is_pattern, positive, select
from sim.tools import ToolError
from synth.compare import Result, compare
from synth.cost import Cost, NotVerifiedError, costs
from synth.energy_table import show_energies
from synth.libraries import Choice, choose
from synth.public_table import show_public
from synth.replay import ReplayError
from synth.scale_table import show_scales
from synth.targets import EFFICIENCY, clock, targets

#: Datapaths and names of configurations.
Chosen = list[tuple[str, str]]
#: Datapath, configuration, what it costs for each target, and what went wrong if anything did.
Outcome = tuple[str, str, list[Cost], str]
Work = Callable[[str, str], Outcome]


def main() -> int:
    options = _parse()
    try:
        choice = choose(options.library, options.liberty, os.environ.get("PDK_ROOT", ""))
        chosen = _select(options.datapath, options.config)
    except ValueError as error:
        print(f"assay: {error}", file=sys.stderr)
        return 2
    started = time.monotonic()
    print(f"cells: {choice.description}")
    for line in _targets(chosen, choice, options.clock):
        print(line)
    work = partial(_map_one, choice=choice, period_ps=options.clock)
    found, failed = _map_all(chosen, work, options.jobs)
    compared = [
        result
        for name in sorted({datapath for datapath, _ in chosen})
        for result in compare(find_datapath(name), found)
    ]
    show_energies(found)
    _show_comparisons(compared)
    results.update("synth", (asdict(each) for each in found))
    results.update("comparisons", (asdict(each) for each in compared))
    at_scale, tries, not_scaled = show_scales(found, choice, options.clock, options.jobs)
    mapped = dict.fromkeys((each.datapath, each.config) for each in found)
    beside, unlike = show_public(mapped, choice, options.jobs)
    results.update("references", (asdict(each) for each in beside))
    results.update("scales", (asdict(each) for each in at_scale))
    results.update("tries", (asdict(each) for each in tries))
    checks = sum(each.netlist_checks for each in found)
    print(
        f"{len(chosen) - failed} of {len(chosen)} configurations mapped, "
        f"{checks:,} outputs of their netlists replayed and identical, "
        f"{time.monotonic() - started:.0f} s"
    )
    return 1 if failed or unlike or not_scaled else 0


def _parse() -> argparse.Namespace:
    parser = SettingsParser(prog="make synth", description=__doc__)
    parser.add_argument("--datapath", default="")
    parser.add_argument("--config", default="")
    parser.add_argument("--library", default="sky130hd")
    parser.add_argument("--liberty", default="")
    parser.add_argument("--clock", type=_picoseconds, default=None)
    parser.add_argument("--jobs", type=positive("JOBS"), default=os.cpu_count() or 1)
    return parser.parse_args()


def _picoseconds(text: str) -> float:
    """A clock period in ns as ps."""
    try:
        period = float(text) * 1000
    except ValueError:
        period = 0.0
    if not 10 <= period <= 1_000_000:
        raise argparse.ArgumentTypeError(f"CLOCK is {text!r}; allowed are 0.01 to 1000 (ns)")
    return period


def _select(datapath: str, configuration: str) -> Chosen:
    """What was asked for by name, or else what each datapath says is to be mapped."""
    if configuration:
        found = select(datapath, configuration)
        if is_pattern(configuration):
            found = [(path, name) for path, name in found if name in path.mapped] or found
        return [(path.name, name) for path, name in found]
    datapaths = [find_datapath(datapath)] if datapath else find_datapaths().values()
    return [(path.name, name) for path in datapaths for name in path.mapped]


def _targets(chosen: Chosen, choice: Choice, period_ps: float | None) -> list[str]:
    """A line for each target that any configuration is mapped for."""
    goals = [
        target
        for datapath, name in chosen
        for target in targets(
            choice.process, period_ps, find_datapath(datapath).configuration(name)
        )
    ]
    return list(dict.fromkeys(f"target {each.name}: {each.description}" for each in goals))


def _map_all(chosen: Chosen, work: Work, jobs: int) -> tuple[list[Cost], int]:
    columns = [
        Column("configuration", max(13, *(len(name) for _, name in chosen)), right=False),
        Column("target", _target_width(chosen), right=False),
        Column("area µm²", 11),
        Column("NAND2", 8),
        Column("registers", 9),
        Column("SRAM bits", 9),
        Column("path ns", 7),
        Column("work/s", 13),
        Column("pJ/work", 7),
        Column("spread", 7),
        Column("netlist checks", 14),
    ]
    found: list[Cost] = []
    failed = 0
    with LiveTable(columns, len(chosen), "mapping") as table:
        for datapath, name, mapped, message in in_parallel(work, chosen, jobs):
            found += mapped
            for row, each in enumerate(mapped):
                table.add(_cells(each), advance=row == 0)
            if message:
                failed += 1
                table.add([name, "failed", *[""] * (len(columns) - 2)], style="red")
                table.note(message.replace("\n", "\n  "), style="red")
                table.note(f"again: make synth DATAPATH={datapath} CONFIG={name}")
    return found, failed


def _target_width(chosen: Chosen) -> int:
    """Characters of the longest target that any configuration is mapped for."""
    configurations = (find_datapath(datapath).configuration(name) for datapath, name in chosen)
    return max(6, *(len(target) for each in configurations for target in each.targets))


def _map_one(datapath: str, name: str, *, choice: Choice, period_ps: float | None) -> Outcome:
    try:
        path = find_datapath(datapath)
        configuration = path.configuration(name)
        goals = targets(choice.process, period_ps, configuration)
        period = clock(choice.process, period_ps, configuration)
        return datapath, name, costs(path, name, choice, goals, period), ""
    except (NotVerifiedError, ReplayError, ToolError, ValueError) as error:
        return datapath, name, [], f"{type(error).__name__}: {error}"


def _cells(cost: Cost) -> list[str]:
    worst = max(block["worst_over_best"] for block in cost.spread.values())
    return [
        cost.config,
        cost.target,
        f"{cost.area_um2:,.0f}",
        f"{cost.area_ge:,.0f}",
        f"{cost.sequential_um2 / cost.area_um2:.0%}",
        f"{cost.sram_bits:,}",
        f"{cost.critical_path_ps / 1000:.2f}",
        f"{cost.work_per_second / 1e9:.2f} G{cost.unit}",
        "-" if cost.energy_pj_per_work is None else f"{cost.energy_pj_per_work:.4g}",
        f"{worst - 1:+.0%}",
        f"{cost.netlist_checks:,}",
    ]


def _show_comparisons(compared: list[Result]) -> None:
    """A line for each comparison and target, with the candidate's gains and losses."""
    if not compared:
        return
    lines: dict[tuple[str, str, str], dict[str, Result]] = {}
    for each in compared:
        lines.setdefault((each.datapath, each.name, each.target), {})[each.metric] = each
    own_clocks = any(target == EFFICIENCY for _, _, target in lines)
    columns = [
        Column("comparison", max(len(name) for _, name, _ in lines), right=False),
        Column("target", max(6, *(len(target) for _, _, target in lines)), right=False),
        Column("baseline µm²", 12),
        Column("candidate µm²", 13),
        Column("area", 7),
        Column("delay", 7),
        Column("work/s/mm²", 10),
        *([Column("clocks ns", 10), Column("", 12, right=False)] if own_clocks else []),
    ]
    print("\ncandidate against its fair baseline: same widths, target and mapping effort")
    with LiveTable(columns, len(lines), "comparing") as table:
        for (_, name, target), metrics in lines.items():
            area = metrics["area"]
            table.add(
                [
                    name,
                    target,
                    f"{area.baseline_value:,.0f}",
                    f"{area.candidate_value:,.0f}",
                    *(f"{metrics[metric].ratio - 1:+.1%}" for metric in metrics),
                    *(_clocks(metrics["critical path"]) if own_clocks else ()),
                ]
            )
    for published in dict.fromkeys(each.published for each in compared):
        print(f"published: {published}")
    print()


def _clocks(path: Result) -> tuple[str, str]:
    """The sides' own clocks where each has its own, and whether the candidate's is the lower."""
    if path.target != EFFICIENCY:
        return "", ""
    sides = (path.baseline_value, path.candidate_value)
    slower = "slower clock" if path.candidate_value > path.baseline_value else ""
    return ", ".join(f"{value / 1000:.2f}" for value in sides), slower


if __name__ == "__main__":
    run_command(main)
