"""Tables of ``make synth`` that set arrays at scale beside their fair baselines."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial

from hdl.datapath import find_datapath
from sim.console import Column, LiveTable
from sim.parallel import in_parallel
from sim.tools import ToolError
from synth.cost import Cost, NotVerifiedError
from synth.libraries import Choice
from synth.scale import ScaledCost, scaled
from synth.scale_gains import Average, Gain, averages, gains, notes
from synth.targets import clock, targets, told
from synth.tries import Tries, all_tries, distinct

#: Datapath, configuration, its arrays at scale by their number among the datapath's scales, the
#: circuits of its largest block, and what went wrong if anything did.
Outcome = tuple[str, str, list[tuple[int, ScaledCost]], Tries | None, str]


def show_scales(
    costs: Sequence[Cost], choice: Choice, period_ps: float | None, jobs: int
) -> tuple[list[Gain], list[Tries], int]:
    """Scale what was mapped and print the gains; also all circuits, and how many failed.

    ``period_ps``: the clock the user asked for.
    """
    names = dict.fromkeys((each.datapath, each.config) for each in costs)
    chosen = [pair for pair in names if find_datapath(pair[0]).scales]
    if not chosen:
        return [], [], 0
    work = partial(_one, costs=list(costs), choice=choice, period_ps=period_ps)
    found: dict[str, list[tuple[int, ScaledCost]]] = {}
    tries: list[Tries] = []
    failed = 0
    for datapath, config, made, points, message in in_parallel(work, chosen, jobs):
        found.setdefault(datapath, []).extend(made)
        tries += [points] if points else []
        if message:
            failed += 1
            print(f"{datapath} {config} at scale: {message}")
    made_gains = []
    for datapath, numbered in found.items():
        path = find_datapath(datapath)
        # Processes finish in any order.
        numbered.sort(key=lambda each: each[0])
        made_gains += gains(path, [(path.scales[number], cost) for number, cost in numbered])
    for target in dict.fromkeys(each.target for each in made_gains):
        _show([each for each in made_gains if each.target == target], target)
    return made_gains, distinct(tries), failed


def _one(
    datapath: str,
    config: str,
    *,
    costs: Iterable[Cost],
    choice: Choice,
    period_ps: float | None,
) -> Outcome:
    path = find_datapath(datapath)
    configuration = path.configuration(config)
    goals = targets(choice.process, period_ps, configuration)
    clocks = told(goals, clock(choice.process, period_ps, configuration))
    own = [each for each in costs if (each.datapath, each.config) == (datapath, config)]
    made: list[tuple[int, ScaledCost]] = []
    try:
        for number, scale in enumerate(path.scales):
            if scale.small == config:
                made += [(number, scaled(path, scale, each, choice, clocks)) for each in own]
        return datapath, config, made, all_tries(path, own[0], choice, clocks), ""
    except (NotVerifiedError, ToolError, ValueError) as error:
        return datapath, config, [], None, f"{type(error).__name__}: {error}"


def _show(found: Sequence[Gain], target: str) -> None:
    operands = list(dict.fromkeys(kind for each in found for kind in each.energy_efficiency))
    found = sorted(found, key=lambda each: (each.multipliers, each.idea))
    means = averages([asdict(each) for each in found])
    columns = [
        Column("scale", max(9, *(len(each.scale) for each in found)), right=False),
        Column("organisation", max(15, *(len(each.organisation) for each in found)), right=False),
        Column("comparison", max(10, *(len(each.idea) for each in found)), right=False),
        Column("work/s/mm²", 10),
        *(Column(f"work/J {kind}", len(kind) + 7) for kind in operands),
        Column("clock ns: baseline", 18),
        Column("candidate", 9),
        Column("", 12, right=False),
    ]
    print(f"\nat scale, target {target}: candidate against the best of its fair baselines; blocks")
    print("counted, glue as in the small array; memories by a stated density")
    with LiveTable(columns, len(found), "scaling") as table:
        for each in found:
            table.add(_cells(each, operands))
        for mean in means:
            table.add(_mean_cells(mean, operands), advance=False, style="bold")
            if published := mean.beside_published():
                told = "; ".join(f"{what} {paper:+.1f} %" for what, _, paper in published)
                table.note(f"published: {told}")
            for shortfall in mean.shortfalls():
                table.note(f"below the published average: {shortfall}")


def _cells(gain: Gain, operands: Sequence[str]) -> list[str]:
    return [
        gain.scale,
        gain.organisation,
        gain.idea,
        f"{gain.area_efficiency - 1:+.1%}",
        *(_change(gain.energy_efficiency.get(kind)) for kind in operands),
        f"{gain.baseline_cost['period_ps'] / 1000:.2f}",
        f"{gain.candidate_cost['period_ps'] / 1000:.2f}",
        ", ".join(notes(asdict(gain))),
    ]


def _mean_cells(mean: Average, operands: Sequence[str]) -> list[str]:
    return [
        mean.first["scale"],
        f"average of {mean.organisations}",
        mean.first["idea"],
        f"{mean.area_efficiency - 1:+.1%}",
        *(_change(mean.energy_efficiency.get(kind)) for kind in operands),
        "",
        "",
        "",
    ]


def _change(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio - 1:+.1%}"
