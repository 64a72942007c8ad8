"""Chooses a circuit for every block, so that the whole is small and reaches its clock."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.blocks import instances
from synth.drivers import Drivers, drivers_um2
from synth.library import Library
from synth.mapping import SHARES, Mappings, Try
from synth.netlist import Netlist, block_of, compose, with_registered_inputs
from synth.scripts import CLOCK
from synth.targets import Target
from synth.timing import Timing, critical_path

#: Choices that are timed at most. A path through many blocks has more than anyone can time.
CHOICES = 60


@dataclass(frozen=True)
class Fit:
    """The chosen circuits by block, with buffers behind some, and the whole made of them."""

    chosen: Mapping[str, Try]
    drivers: Drivers
    netlist: Netlist
    timing: Timing


@dataclass(frozen=True)
class Timed:
    """One choice of circuits, in the order of the blocks.

    area_um2, period_ps: of the whole. on_path: the blocks its critical path runs through.
    """

    tries: tuple[Try, ...]
    area_um2: float
    period_ps: float
    on_path: frozenset[str]


class Whole:
    """A design of several blocks, composed of chosen circuits in ``folder``, each choice once.

    ``weights``: how often each block counts in the area, if not as often as it occurs. ``drivers``:
    buffers behind outputs of blocks.
    """

    def __init__(
        self,
        mappings: Sequence[Mappings],
        library: Library,
        folder: Path,
        weights: Mapping[str, float] | None = None,
        drivers: Drivers | None = None,
    ) -> None:
        self.mappings = mappings
        self.drivers = drivers or {}
        self._drivers_um2 = {
            each.block.name: drivers_um2(self.drivers, each.block.name, each.block.text)
            for each in mappings
        }
        self._library = library
        self._folder = folder
        count = weights or instances([each.block for each in mappings])
        self._copies = [count[each.block.name] for each in mappings]
        self._known: dict[tuple[Try, ...], Timed] = {}
        self._last: tuple[tuple[Try, ...], Fit] | None = None

    def area(self, tries: Sequence[Try]) -> float:
        """Area in µm² of the whole with these circuits."""
        return sum(
            copies * (one.area_um2 + self._drivers_um2[each.block.name])
            for copies, each, one in zip(self._copies, self.mappings, tries, strict=True)
        )

    def timed(self, tries: tuple[Try, ...]) -> Timed:
        """What the whole costs with these circuits."""
        if tries not in self._known:
            found = self.fit(tries)
            on_path = frozenset(block_of(found.netlist, step.cell) for step in found.timing.path)
            period = found.timing.period_ps
            self._known[tries] = Timed(tries, self.area(tries), period, on_path)
        return self._known[tries]

    def fit(self, tries: tuple[Try, ...]) -> Fit:
        """The whole of these circuits, which is now what the folder holds."""
        if self._last is None or self._last[0] != tries:
            netlist = compose(self.files(tries), self._library, self._folder, self.drivers)
            registered = with_registered_inputs(netlist.flat, self._library)
            timing = critical_path(registered, self._library)
            named = zip(self.mappings, tries, strict=True)
            chosen = {each.block.name: one for each, one in named}
            self._last = tries, Fit(chosen, self.drivers, netlist, timing)
        return self._last[1]

    def files(self, tries: Sequence[Try]) -> dict[str, Path]:
        """RTLIL of the circuits by block."""
        named = zip(self.mappings, tries, strict=True)
        return {each.block.name: each.file(one) for each, one in named}


def fit(mappings: Sequence[Mappings], target: Target, library: Library, folder: Path) -> Fit:
    """The smallest choice of circuits with which the whole reaches the target, else the fastest."""
    whole = Whole(mappings, library, folder)
    return whole.fit(search(whole, target, CHOICES).tries)


def search(whole: Whole, target: Target, limit: int) -> Timed:
    """The smallest choice that reaches the target, else the fastest of ``limit`` that were timed.

    From the smallest circuits on, choices are tried in the order of the whole's area. A choice
    that is too slow tells which blocks its critical path runs through: no other one with the same
    circuits for these is tried, and what follows from it differs in one of them. If none of
    ``limit`` will do, all blocks are made faster at once.
    """
    mappings = whole.mappings
    options = [sorted(each.options(target), key=lambda each: each.area_um2) for each in mappings]

    def tries(choice: tuple[int, ...]) -> tuple[Try, ...]:
        return tuple(found[index] for found, index in zip(options, choice, strict=True))

    start = (0,) * len(mappings)
    queue = [(whole.area(tries(start)), start)]
    seen = {start}
    too_slow: list[dict[int, int]] = []
    fastest: Timed | None = None
    timed = 0
    while queue and timed < limit:
        _, choice = heapq.heappop(queue)
        conflict = next((each for each in too_slow if _holds(each, choice)), None)
        if conflict is None:
            found = whole.timed(tries(choice))
            timed += 1
            if target.period_ps is None or found.period_ps <= target.period_ps:
                return found
            if fastest is None or found.period_ps < fastest.period_ps:
                fastest = found
            conflict = {
                at: choice[at]
                for at, each in enumerate(mappings)
                if each.block.name in found.on_path
            }
            too_slow.append(conflict)
        for at in conflict:
            follower = (*choice[:at], choice[at] + 1, *choice[at + 1 :])
            if follower[at] < len(options[at]) and follower not in seen:
                seen.add(follower)
                heapq.heappush(queue, (whole.area(tries(follower)), follower))
    assert fastest is not None
    return min((fastest, *_all_faster(whole, target)), key=lambda each: _rank(each, target))


def _all_faster(whole: Whole, target: Target) -> Iterator[Timed]:
    """Choices of blocks that use less and less of the clock by themselves, then of the fastest."""
    if target.period_ps is None:
        return
    for share in (*SHARES, 0.0):
        limit = share * target.period_ps
        yield whole.timed(tuple(_sized(each, limit) for each in whole.mappings))


def _sized(mappings: Mappings, period_ps: float) -> Try:
    """The smallest circuit of the scripts that aim for a clock which reaches it, or the fastest."""
    sized = [each for each in mappings.tries if each.script in CLOCK] or mappings.tries
    reaching = [each for each in sized if each.period_ps <= period_ps]
    if not reaching:
        return min(mappings.tries, key=lambda each: each.period_ps)
    return min(reaching, key=lambda each: each.area_um2)


def _rank(timed: Timed, target: Target) -> tuple[bool, float]:
    """Orders choices: those that reach the target by their area, then the others by their speed."""
    if target.period_ps is not None and timed.period_ps > target.period_ps:
        return True, timed.period_ps
    return False, timed.area_um2


def _holds(conflict: Mapping[int, int], choice: Sequence[int]) -> bool:
    return all(choice[at] == index for at, index in conflict.items())
