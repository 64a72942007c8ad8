"""Chooses a circuit for every block, so that the whole is small and reaches its clock."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hdl.export import TOP
from synth.library import Library
from synth.mapping import Mappings, Try
from synth.netlist import Netlist, block_of, compose, with_registered_inputs
from synth.targets import Target
from synth.timing import Timing, critical_path

#: Choices that are timed at most. A path through many blocks has more than anyone can time.
CHOICES = 60


@dataclass(frozen=True)
class Fit:
    """The chosen circuits by block, and the whole made of them."""

    chosen: Mapping[str, Try]
    netlist: Netlist
    timing: Timing


def fit(mappings: Sequence[Mappings], target: Target, library: Library, folder: Path) -> Fit:
    """The smallest choice of circuits with which the whole reaches the target, else the fastest.

    From the smallest circuits on, choices are tried in the order of the whole's area. A choice
    that is too slow tells which blocks its critical path runs through: no other one with the same
    circuits for these is tried, and what follows from it differs in one of them.
    """
    options = [sorted(each.options(target), key=lambda each: each.area_um2) for each in mappings]
    copies = [_instances(mappings, each.block.name) for each in mappings]

    def area(choice: tuple[int, ...]) -> float:
        each = zip(copies, options, choice, strict=True)
        return sum(count * tries[index].area_um2 for count, tries, index in each)

    def build(choice: tuple[int, ...]) -> Fit:
        chosen = [tries[index] for tries, index in zip(options, choice, strict=True)]
        named = list(zip(mappings, chosen, strict=True))
        files = {each.block.name: each.file(one) for each, one in named}
        netlist = compose(files, library, folder)
        timing = critical_path(with_registered_inputs(netlist.flat, library), library)
        return Fit({each.block.name: one for each, one in named}, netlist, timing)

    start = (0,) * len(mappings)
    queue = [(area(start), start)]
    seen = {start}
    too_slow: list[dict[int, int]] = []
    fastest: tuple[float, tuple[int, ...]] | None = None
    timed = 0
    while queue and timed < CHOICES:
        _, choice = heapq.heappop(queue)
        conflict = next((each for each in too_slow if _holds(each, choice)), None)
        if conflict is None:
            found = build(choice)
            timed += 1
            if target.period_ps is None or found.timing.period_ps <= target.period_ps:
                return found
            if fastest is None or found.timing.period_ps < fastest[0]:
                fastest = found.timing.period_ps, choice
            on_path = {block_of(found.netlist, step.cell) for step in found.timing.path}
            conflict = {
                at: choice[at] for at, each in enumerate(mappings) if each.block.name in on_path
            }
            too_slow.append(conflict)
        for at in conflict:
            follower = (*choice[:at], choice[at] + 1, *choice[at + 1 :])
            if follower[at] < len(options[at]) and follower not in seen:
                seen.add(follower)
                heapq.heappush(queue, (area(follower), follower))
    assert fastest is not None
    return build(fastest[1])


def _holds(conflict: Mapping[int, int], choice: Sequence[int]) -> bool:
    return all(choice[at] == index for at, index in conflict.items())


def _instances(mappings: Sequence[Mappings], name: str) -> int:
    """How often a block occurs in the whole."""
    if name == TOP:
        return 1
    holders = (each.block for each in mappings if name in each.block.kept)
    return sum(block.kept[name] * _instances(mappings, block.name) for block in holders)
