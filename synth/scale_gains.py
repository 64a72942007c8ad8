"""Candidates beside their fair baselines at scale, and averages over the organisations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hdl.datapath import Datapath, Scale
from synth.scale import ScaledCost

Entry = Mapping[str, Any]

#: A clock period over another one, up to which their energies are compared.
SLOWER = 1.15
_SIDES = ("candidate", "baseline")
#: Part of the clock period that a circuit uses at least, if its area is what the clock takes.
_USED = 0.9


@dataclass(frozen=True)
class Gain:
    """One comparison at one scale.

    idea: what is compared. Of several baselines the one that leaves the least is the baseline;
    energy is compared with the best of those that are about as fast, for each kind of operands.
    energy_baselines: which, as ``ScaledCost`` names its small array: config, circuit, area_um2.
    baseline, candidate: the small arrays; baseline_cost, candidate_cost:
    fields of ``ScaledCost``. area_efficiency: work/s/mm², candidate over baseline.
    energy_efficiency: work/J likewise, by operands. slower: the candidate's clock is the lower
    one. published_area, published_energy: the paper's averages for this scale, in %, or None.
    """

    datapath: str
    scale: str
    organisation: str
    idea: str
    library: str
    target: str
    multipliers: int
    baseline: str
    candidate: str
    baseline_cost: dict[str, Any]
    candidate_cost: dict[str, Any]
    area_efficiency: float
    energy_efficiency: dict[str, float]
    energy_baselines: dict[str, dict[str, Any]]
    slower: bool
    published_area: float | None
    published_energy: float | None


@dataclass(frozen=True)
class Average:
    """Gains of one idea at one scale, for one target: the mean of the organisations' ratios.

    energy_efficiency: by operands, of those that all organisations have.
    """

    first: Entry
    organisations: int
    area_efficiency: float
    energy_efficiency: dict[str, float]

    def beside_published(self) -> list[tuple[str, float, float]]:
        """What the paper has a figure for: its name, our change and the paper's, in %."""
        found = [("area efficiency", self.area_efficiency, self.first["published_area"])]
        found += [
            (f"energy efficiency, {operands}", ratio, self.first["published_energy"])
            for operands, ratio in self.energy_efficiency.items()
        ]
        return [
            (what, round(100 * (ratio - 1), 2), published)
            for what, ratio, published in found
            if published is not None
        ]

    def shortfalls(self) -> list[str]:
        """What is below the published averages, in words."""
        return [
            f"{what} {change:+.1f} %, published {published:+.1f} %"
            for what, change, published in self.beside_published()
            if change < published
        ]


def notes(gain: Entry) -> list[str]:
    """What a reader must know of a comparison's clocks; ``gain``: fields of ``Gain``.

    A side with slack found nothing between circuits that just miss the clock and ones that are
    faster and larger than it takes: its area says little.
    """
    found = ["slower clock"] if gain["slower"] else []
    for side in ("baseline", "candidate"):
        cost = gain[f"{side}_cost"]
        if cost["critical_path_ps"] < _USED * cost["period_ps"]:
            found.append(f"{side} has slack")
    return found


def gains(datapath: Datapath, costs: Iterable[tuple[Scale, ScaledCost]]) -> list[Gain]:
    """Every comparison of the datapath at every scale that both its sides have.

    Raises ValueError for sides of different size, and for two of the same idea in one place that
    differ in more than their baselines.
    """
    found: dict[tuple[str, str, str, str], dict[str, tuple[Scale, ScaledCost]]] = {}
    for scale, cost in costs:
        key = (scale.name, scale.organisation, cost.library, cost.target)
        found.setdefault(key, {})[scale.small] = scale, cost
    published = {each.scale: each for each in datapath.published_gains}
    made = []
    for (name, organisation, library, target), sides in found.items():
        for comparison in datapath.comparisons:
            if comparison.baseline not in sides or comparison.candidate not in sides:
                continue
            scale, baseline = sides[comparison.baseline]
            _, candidate = sides[comparison.candidate]
            if baseline.multipliers != candidate.multipliers:
                raise ValueError(f"{comparison.name}, {name}: different numbers of multipliers")
            paper = published.get(name)
            made.append(
                Gain(
                    datapath=datapath.name,
                    scale=name,
                    organisation=organisation,
                    idea=comparison.idea,
                    library=library,
                    target=target,
                    multipliers=scale.multipliers,
                    baseline=baseline.small,
                    candidate=candidate.small,
                    baseline_cost=asdict(baseline),
                    candidate_cost=asdict(candidate),
                    area_efficiency=round(candidate.area_efficiency / baseline.area_efficiency, 4),
                    energy_efficiency=(energy := _energy(baseline, candidate)),
                    energy_baselines=dict.fromkeys(energy, _told_from(baseline)),
                    slower=candidate.period_ps > baseline.period_ps,
                    published_area=paper.area_efficiency if paper else None,
                    published_energy=paper.energy_efficiency if paper else None,
                )
            )
    return _one_baseline_each(made)


def _one_baseline_each(made: Iterable[Gain]) -> list[Gain]:
    places: dict[tuple[str, ...], list[Gain]] = {}
    for each in made:
        key = (each.scale, each.organisation, each.idea, each.library, each.target)
        places.setdefault(key, []).append(each)
    for place, own in places.items():
        candidates, baselines = ({getattr(each, side) for each in own} for side in _SIDES)
        if len(candidates) > 1 or len(baselines) < len(own):
            raise ValueError(f"compared twice at scale: {', '.join(place)}")
    return [_against_the_best(own) for own in places.values()]


def _against_the_best(entries: Sequence[Gain]) -> Gain:
    """One candidate beside several baselines: in each figure the best of them counts.

    A much slower one does not count for energy: small gates with all the time in the world take
    less of it, whatever they compute.
    """
    weakest = min(entries, key=lambda each: each.area_efficiency)
    rivals = [each for each in entries if each is weakest or _as_fast(each)]
    best = {
        operands: min(
            (each for each in rivals if operands in each.energy_efficiency),
            key=lambda each: each.energy_efficiency[operands],
        )
        for operands in weakest.energy_efficiency
    }
    return replace(
        weakest,
        energy_efficiency={kind: each.energy_efficiency[kind] for kind, each in best.items()},
        energy_baselines={kind: each.energy_baselines[kind] for kind, each in best.items()},
    )


def _told_from(cost: ScaledCost) -> dict[str, Any]:
    """The small array, by what says whether it is still the same."""
    return {"config": cost.small, "circuit": cost.circuit, "area_um2": cost.small_um2}


def _as_fast(gain: Gain) -> bool:
    """Whether the baseline's clock is about that of the candidate, or faster."""
    return bool(gain.baseline_cost["period_ps"] <= SLOWER * gain.candidate_cost["period_ps"])


def _energy(baseline: ScaledCost, candidate: ScaledCost) -> dict[str, float]:
    """Work per energy, candidate over baseline, by operands that both have."""
    theirs = candidate.energy_pj_per_work
    return {
        operands: round(energy / theirs[operands], 4)
        for operands, energy in baseline.energy_pj_per_work.items()
        if theirs.get(operands)
    }


def averages(entries: Sequence[Entry]) -> list[Average]:
    """Of the fields of ``Gain``: a line for each datapath, library, target, scale and idea."""
    groups: dict[tuple, list[Entry]] = {}
    for each in entries:
        key = ("datapath", "library", "target", "scale", "idea")
        groups.setdefault(tuple(each[field] for field in key), []).append(each)
    return [_average(own) for own in groups.values()]


def _average(entries: Sequence[Entry]) -> Average:
    shared = [
        operands
        for operands in entries[0]["energy_efficiency"]
        if all(operands in each["energy_efficiency"] for each in entries)
    ]
    return Average(
        entries[0],
        len(entries),
        sum(each["area_efficiency"] for each in entries) / len(entries),
        {
            operands: sum(each["energy_efficiency"][operands] for each in entries) / len(entries)
            for operands in shared
        },
    )
