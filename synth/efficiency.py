"""Chooses circuits with which the whole delivers the most work per second and area.

Every clock has its smallest circuit; the one of least area times critical path is found by
sweeping the clock. What a clock can give at best is known before anything is composed: the
smallest circuits that reach it by themselves. So most clocks are never tried, nor are those that
the fastest circuits miss.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log
from pathlib import Path

from synth.drivers import find_drivers
from synth.fit import Fit, Timed, Whole, search
from synth.library import Library
from synth.mapping import Mappings, Try
from synth.netlist import hierarchy
from synth.targets import Target

#: A clock period of the sweep over the one before it.
STEP = 1.03
#: Choices that are timed at most for one clock: its neighbours in the sweep time others.
CHOICES = 10


@dataclass(frozen=True)
class Pooled(Mappings):
    """Circuits of one block from several mappings, which were told different clocks."""

    pooled: tuple[Mappings, ...] = ()

    def file(self, chosen: Try) -> Path:
        source = next(each for each in self.pooled if chosen in each.tries)
        return source.file(chosen)


def pool(mappings: Sequence[Mappings]) -> Mappings:
    """All different circuits of the same block."""
    first = mappings[0]
    tries = tuple(dict.fromkeys(each for own in mappings for each in own.tries))
    return Pooled(first.block, tries, first.folder, tuple(mappings))


def most_efficient(
    mappings: Sequence[Mappings],
    library: Library,
    folder: Path,
    weights: Mapping[str, float] | None = None,
) -> Fit:
    """The choice with the smallest product of area and critical path among those of all clocks.

    ``weights``: how often each block counts in the area, if not as often as it occurs. Outputs of
    blocks have buffers where the fastest circuits want them.
    """
    plain = Whole(mappings, library, folder, weights)
    smallest = search(plain, Target("area"), CHOICES)
    quickest = tuple(min(own.tries, key=lambda each: each.period_ps) for own in mappings)
    drivers = find_drivers(hierarchy(plain.files(quickest), folder), library)
    whole = Whole(mappings, library, folder, weights, drivers)
    fastest = whole.timed(quickest)
    best = fastest
    reachable = min(smallest.period_ps, fastest.period_ps)
    slowest = max(each.period_ps for own in mappings for each in own.tries)
    swept = clocks(mappings, max(slowest, smallest.period_ps))
    bounds = ((_bound(whole, clock), clock) for clock in swept if clock >= reachable)
    for bound, clock in sorted(bounds):
        if bound >= product(best):
            break
        best = min(best, search(whole, Target("clock", clock), CHOICES), key=product)
    if product(smallest) < product(best):
        return Whole(mappings, library, folder, weights).fit(smallest.tries)
    return whole.fit(best.tries)


def product(timed: Timed) -> float:
    """Area times critical path: work per second and area is its inverse, but for a factor."""
    return timed.area_um2 * timed.period_ps


def clocks(mappings: Sequence[Mappings], slowest_ps: float) -> list[float]:
    """Periods from the shortest that every block reaches by itself to ``slowest_ps``, in steps."""
    fastest = max(min(each.period_ps for each in own.tries) for own in mappings)
    steps = max(0, ceil(log(slowest_ps / fastest) / log(STEP)))
    return [fastest * STEP**step for step in range(steps + 1)]


def _bound(whole: Whole, clock_ps: float) -> float:
    """Less than what the sweep's step to this clock can add.

    What is faster than the step before it is found there, and no smaller here.
    """
    tries = [
        min(
            (each for each in own.tries if each.period_ps <= clock_ps * (1 + 1e-9)),
            key=lambda each: each.area_um2,
        )
        for own in whole.mappings
    ]
    return whole.area(tries) * clock_ps / STEP
