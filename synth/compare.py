"""Candidates beside their fair baselines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hdl.datapath import Comparison, Datapath
from synth.cost import Cost

UM2_PER_MM2 = 1e6


@dataclass(frozen=True)
class Result:
    """One metric of one comparison. ``ratio`` is candidate over baseline."""

    datapath: str
    name: str
    library: str
    target: str
    baseline: str
    candidate: str
    metric: str
    unit: str
    baseline_value: float
    candidate_value: float
    ratio: float
    published: str


def compare(datapath: Datapath, costs: Iterable[Cost]) -> list[Result]:
    """Every comparison of the datapath whose two sides are both among ``costs``."""
    by_name: dict[tuple[str, str], dict[str, Cost]] = {}
    for each in costs:
        if each.datapath == datapath.name:
            by_name.setdefault((each.library, each.target), {})[each.config] = each
    return [
        result
        for comparison in datapath.comparisons
        for found in by_name.values()
        if comparison.baseline in found and comparison.candidate in found
        for result in _results(comparison, found)
    ]


def _results(comparison: Comparison, costs: Mapping[str, Cost]) -> list[Result]:
    baseline, candidate = costs[comparison.baseline], costs[comparison.candidate]
    values = [_metrics(baseline), _metrics(candidate)]
    return [
        Result(
            datapath=baseline.datapath,
            name=comparison.name,
            library=baseline.library,
            target=baseline.target,
            baseline=baseline.config,
            candidate=candidate.config,
            metric=metric,
            unit=unit,
            baseline_value=values[0][metric, unit],
            candidate_value=values[1][metric, unit],
            ratio=round(values[1][metric, unit] / values[0][metric, unit], 4),
            published=comparison.published,
        )
        for metric, unit in values[0]
    ]


def _metrics(cost: Cost) -> dict[tuple[str, str], float]:
    """Cells alone for the area, cells and memories for what the whole delivers per area."""
    efficiency = cost.work_per_second / (cost.total_um2 / UM2_PER_MM2)
    return {
        ("area", "µm²"): cost.area_um2,
        ("critical path", "ps"): cost.critical_path_ps,
        ("area efficiency", f"{cost.unit}/s/mm²"): efficiency,
    }
