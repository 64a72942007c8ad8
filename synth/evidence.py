"""Which of the recorded figures may be shown: those whose circuit passed, and that fit together."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Entry = Mapping[str, Any]
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
#: Targets without a clock, in the words of a reader.
_GOALS = {"area": "smallest", "efficiency": "most work/s/mm²"}
#: Metrics of a comparison that must equal these fields of its configurations' costs.
_SAME = {"area": "area_um2", "critical path": "critical_path_ps"}


@dataclass(frozen=True)
class Pair:
    """One comparison for one target: its metrics by name, and the costs of its two sides."""

    metrics: Mapping[str, Entry]
    baseline: Entry
    candidate: Entry

    @property
    def first(self) -> Entry:
        """Any metric, for the fields that all share."""
        return next(iter(self.metrics.values()))

    @property
    def noise(self) -> float:
        """How far areas move when only the order of the gates changes, as a part of the area.

        Of the block that moves most: the largest over the smallest best area of an ordering, − 1.
        """
        sides = (self.baseline, self.candidate)
        found = [block["orderings"] for side in sides for block in side["spread"].values()]
        return max(found, default=1.0) - 1

    def misses(self) -> list[str]:
        """Which sides do not reach the clock target: "baseline", "candidate"."""
        sides = {"baseline": self.baseline, "candidate": self.candidate}
        return [name for name, side in sides.items() if misses_clock(side)]


@dataclass(frozen=True)
class Evidence:
    """failed: simulations that did not pass. withheld: what is not shown, and why.

    references: circuits beside public designs. fpga: circuits on an FPGA. scales: comparisons of
    arrays at scale. tries: all circuits of the largest blocks.
    """

    simulations: list[Entry]
    failed: list[Entry]
    costs: list[Entry]
    pairs: list[Pair]
    references: list[Entry]
    fpga: list[Entry]
    scales: list[Entry]
    tries: list[Entry]
    withheld: list[str]


def misses_clock(cost: Entry) -> bool:
    """Whether a circuit was mapped for a clock that it does not reach."""
    return cost["target_ps"] is not None and cost["critical_path_ps"] > cost["target_ps"]


def goal(target: str, cost: Entry) -> str:
    """What a circuit was mapped for, in the words of a reader."""
    if cost["target_ps"] is None:
        return _GOALS.get(target, target)
    return f"{cost['target_ps'] / 1000:g} ns"


def grouped(entries: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Entries of the same key together, in the order in which the keys first appear."""
    found: dict[K, list[T]] = {}
    for each in entries:
        found.setdefault(key(each), []).append(each)
    return list(found.items())


def weigh(results: Mapping[str, Any]) -> Evidence:
    """Sort the entries of ``results.json`` into what may be shown and what may not.

    A cost needs a netlist that was replayed and no failing simulation of its configuration, and so
    does what is set beside public designs or put on an FPGA; a comparison needs such a cost for
    both sides, with the very figures it was made from.
    """
    simulations = list(results.get("sim", ()))
    failed = [each for each in simulations if each["verdict"] != "pass"]
    broken = {(each["datapath"], each["config"]) for each in failed}
    circuits = {(each["datapath"], each["config"]): each["circuit"] for each in simulations}
    withheld: list[str] = []

    def reason(entry: Entry) -> str:
        """Why the figures of a mapped circuit may not be shown; empty if they may."""
        if (entry["datapath"], entry["config"]) in broken:
            return "its simulation fails"
        if not entry["netlist_checks"]:
            return "its netlist was not replayed"
        if entry.get("circuit") != circuits.get((entry["datapath"], entry["config"])):
            return "its circuit has changed since; make synth"
        return ""

    def shown(section: str, title: Callable[[Entry], str]) -> list[Entry]:
        """The entries of a section that may be shown; the others are withheld under ``title``."""
        found = []
        for each in results.get(section, ()):
            if why := reason(each):
                withheld.append(f"{title(each)}: {why}")
            else:
                found.append(each)
        return found

    costs = shown("synth", lambda each: f"cost of {_place(each, 'config')}")
    references = shown("references", _beside)
    fpga = shown("fpga", lambda each: f"{_name(each)} ({each['device']})")
    tries = shown("tries", lambda each: f"all circuits of {_name(each)} ({each['library']})")
    known = {_key(cost, cost["config"]): cost for cost in costs}
    pairs = []
    by_name = grouped(results.get("comparisons", ()), lambda each: _key(each, each["name"]))
    for _, entries in by_name:
        metrics = {each["metric"]: each for each in entries}
        first = entries[0]
        sides = [known.get(_key(first, first[side])) for side in ("baseline", "candidate")]
        if sides[0] is None or sides[1] is None:
            withheld.append(f"comparison {_place(first, 'name')}: a side has no cost to show")
        elif not _fits(metrics, sides[0], "baseline") or not _fits(metrics, sides[1], "candidate"):
            withheld.append(f"comparison {_place(first, 'name')}: older than the costs; make synth")
        else:
            pairs.append(Pair(metrics, sides[0], sides[1]))
    scales = []
    for each in results.get("scales", ()):
        if why := _stale_scale(each, known):
            withheld.append(
                f"{each['scale']}, {each['organisation']}, {_place(each, 'idea')}: {why}"
            )
        else:
            scales.append(each)
    return Evidence(simulations, failed, costs, pairs, references, fpga, scales, tries, withheld)


def _stale_scale(gain: Entry, known: Mapping[tuple[str, str, str, str], Entry]) -> str:
    """Why a comparison at scale may not be shown: a small array's cost may not, or has changed."""
    sides = [
        (gain[side], gain[f"{side}_cost"]["circuit"], gain[f"{side}_cost"]["small_um2"])
        for side in ("baseline", "candidate")
    ]
    rivals = gain.get("energy_baselines", {}).values()
    sides += [(each["config"], each["circuit"], each["area_um2"]) for each in rivals]
    for config, *told in sides:
        cost = known.get(_key(gain, config))
        if cost is None:
            return "a side has no cost to show"
        if [cost["circuit"], cost["area_um2"]] != told:
            return "older than the costs; make synth"
    return ""


def _name(entry: Entry) -> str:
    return f"{entry['datapath']} {entry['config']}"


def _beside(entry: Entry) -> str:
    return f"{_name(entry)} ({entry['library']}, {entry['script']}) beside {entry['name']}"


def _key(entry: Entry, name: str) -> tuple[str, str, str, str]:
    return entry["datapath"], name, entry["library"], entry["target"]


def _place(entry: Entry, name: str) -> str:
    return f"{entry['datapath']} {entry[name]} ({entry['library']}, target {entry['target']})"


def _fits(metrics: Mapping[str, Entry], cost: Entry, side: str) -> bool:
    return all(
        metrics[metric][f"{side}_value"] == cost[field]
        for metric, field in _SAME.items()
        if metric in metrics
    )
