"""The choice of circuits: as small or as efficient as any, found by timing few of them."""

from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from synth import fit as module
from synth.blocks import Block
from synth.efficiency import STEP, clocks, most_efficient
from synth.fit import CHOICES, Timed, Whole, fit, search
from synth.mapping import SHARES, Mappings, Try
from synth.targets import Target

BLOCKS = ("adder", "multiplier", "router", "top")
KEPT = {"adder": 3, "multiplier": 1, "router": 5}
TARGET = Target("clock", 100.0)
#: Over the best product: a step of the sweep.
TOLERANCE = STEP


class Circuits:
    """Random circuits of each block, and paths that run through some of the blocks."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.timed = 0
        self.paths = [[*rng.permutation(BLOCKS)[: rng.integers(1, 4)]] for _ in range(3)]
        self.mappings = [self._mappings(name, rng) for name in BLOCKS]

    def _mappings(self, name: str, rng: np.random.Generator) -> Mappings:
        kept = KEPT if name == "top" else {}
        tries = [
            Try("gates", script, 0, float(rng.integers(10, 90)), float(rng.integers(15, 110)))
            for script in ("amap", "fastest", "balanced-map", "balanced-amap", "map-sized", "nf")
        ]
        text = "  wire width 2 output 1 \\o\n"
        return Mappings(Block(name, text, kept, name), tuple(tries), Path(name))

    def compose(self, files: dict[str, Path], *_: object) -> SimpleNamespace:
        self.timed += 1
        chosen = {name: file.stem for name, file in files.items()}
        cells = {name: {"attributes": {"block": name}} for name in files}
        return SimpleNamespace(flat={"cells": cells, "chosen": chosen})

    def period(self, chosen: dict[str, str]) -> tuple[float, list[str]]:
        """The longest path: the delays of its blocks, one after the other."""
        delays = {
            each.block.name: one.period_ps
            for each in self.mappings
            for one in each.tries
            if one.stem == chosen[each.block.name]
        }
        return max((sum(delays[name] for name in path), path) for path in self.paths)

    def critical_path(self, flat: dict, _: object) -> SimpleNamespace:
        period, path = self.period(flat["chosen"])
        return SimpleNamespace(period_ps=period, path=[SimpleNamespace(cell=name) for name in path])

    def area(self, chosen: dict[str, Try]) -> float:
        return sum(KEPT.get(name, 1) * one.area_um2 for name, one in chosen.items())


class Arrays(Circuits):
    """Random circuits between registers: each block is slower in place by what it drives there."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        loads = np.random.default_rng(seed).uniform(1.0, 1.2, len(BLOCKS))
        self.loads = dict(zip(BLOCKS, loads, strict=True))

    def period(self, chosen: dict[str, str]) -> tuple[float, list[str]]:
        return max(
            (self.loads[each.block.name] * one.period_ps, [each.block.name])
            for each in self.mappings
            for one in each.tries
            if one.stem == chosen[each.block.name]
        )


def _circuits(
    seed: int, monkeypatch: pytest.MonkeyPatch, kind: type[Circuits] = Circuits
) -> Circuits:
    circuits = kind(seed)
    monkeypatch.setattr(module, "compose", circuits.compose)
    monkeypatch.setattr(module, "critical_path", circuits.critical_path)
    monkeypatch.setattr(module, "with_registered_inputs", lambda flat, _: flat)
    monkeypatch.setattr("synth.efficiency.hierarchy", lambda files, _: files)
    monkeypatch.setattr("synth.efficiency.find_drivers", lambda modules, _: {})
    return circuits


@pytest.mark.parametrize("seed", range(40))
def test_with_one_choice_all_blocks_are_made_faster(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least as fast as the fastest circuits, or as small as it may be then."""
    circuits = _circuits(seed, monkeypatch)
    whole = Whole(circuits.mappings, None, Path())  # type: ignore[arg-type]
    found = search(whole, TARGET, 1)
    fastest = whole.timed(
        tuple(min(each.tries, key=lambda one: one.period_ps) for each in circuits.mappings)
    )
    assert found.period_ps <= max(fastest.period_ps, TARGET.period_ps)
    assert found.period_ps > TARGET.period_ps or found.area_um2 <= fastest.area_um2


@pytest.mark.parametrize("seed", range(40))
def test_nothing_smaller_reaches_the_clock(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against all choices there are."""
    circuits = _circuits(seed, monkeypatch)
    found = fit(circuits.mappings, TARGET, None, Path())  # type: ignore[arg-type]
    timed = circuits.timed
    everything = []
    for tries in product(*(each.options(TARGET) for each in circuits.mappings)):
        chosen = dict(zip(BLOCKS, tries, strict=True))
        period, _ = circuits.period({name: one.stem for name, one in chosen.items()})
        everything.append((period, circuits.area(chosen)))
    reaching = [area for period, area in everything if period <= TARGET.period_ps]
    assert timed <= CHOICES + len(SHARES) + 2
    if reaching:
        assert circuits.area(found.chosen) == min(reaching)
    else:
        assert found.timing.period_ps == min(period for period, _ in everything)


def test_fewer_choices_are_timed_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = choices = 0
    for seed in range(40):
        circuits = _circuits(seed, monkeypatch)
        fit(circuits.mappings, TARGET, None, Path())  # type: ignore[arg-type]
        timed += circuits.timed
        choices += int(np.prod([len(each.options(TARGET)) for each in circuits.mappings]))
    assert 0 < timed < choices / 2


@pytest.mark.parametrize("seed", range(40))
def test_no_choice_is_more_efficient(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against all choices there are, to within a step of the sweep."""
    circuits = _circuits(seed, monkeypatch, Arrays)
    found = most_efficient(circuits.mappings, None, Path())  # type: ignore[arg-type]
    timed = circuits.timed
    products = []
    for tries in product(*(each.tries for each in circuits.mappings)):
        chosen = dict(zip(BLOCKS, tries, strict=True))
        period, _ = circuits.period({name: one.stem for name, one in chosen.items()})
        products.append(period * circuits.area(chosen))
    own = circuits.area(found.chosen) * found.timing.period_ps
    assert min(products) <= own <= TOLERANCE * min(products)
    assert found.netlist.flat["chosen"] == {name: one.stem for name, one in found.chosen.items()}
    assert timed < 15 < len(products) / 10


@pytest.mark.parametrize("seed", range(5))
def test_buffers_are_composed_and_paid_for(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the fastest circuits, in all but the smallest choice; for every instance."""
    circuits = _circuits(seed, monkeypatch, Arrays)
    drivers = {"router": {"o": SimpleNamespace(area_um2=0.5)}}
    monkeypatch.setattr("synth.efficiency.find_drivers", lambda modules, _: drivers)
    composed = []

    def compose(files: dict, library: Any, folder: Path, drivers: Any) -> SimpleNamespace:
        composed.append(drivers)
        return circuits.compose(files)

    monkeypatch.setattr(module, "compose", compose)
    found = most_efficient(circuits.mappings, None, Path())  # type: ignore[arg-type]
    assert composed[0] == {}
    assert composed[1:] == [drivers] * (len(composed) - 1) != []
    assert found.drivers == drivers
    tries = tuple(found.chosen[name] for name in BLOCKS)
    whole = Whole(circuits.mappings, None, Path(), drivers=drivers)  # type: ignore[arg-type]
    width = 2
    assert whole.area(tries) == circuits.area(found.chosen) + KEPT["router"] * width * 0.5


def test_clocks_that_cannot_win_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = swept = 0

    def counted(*arguments: Any) -> Timed:
        nonlocal tried
        tried += 1
        return search(*arguments)

    monkeypatch.setattr("synth.efficiency.search", counted)
    for seed in range(40):
        circuits = _circuits(seed, monkeypatch, Arrays)
        most_efficient(circuits.mappings, None, Path())  # type: ignore[arg-type]
        swept += len(clocks(circuits.mappings, 110.0))
    assert 40 < tried < swept / 2


def test_clocks_of_the_sweep() -> None:
    mappings = Circuits(0).mappings
    swept = clocks(mappings, 200.0)
    assert swept[0] == max(min(each.period_ps for each in own.tries) for own in mappings)
    assert all(b / a == pytest.approx(STEP) for a, b in pairwise(swept))
    assert swept[-2] < 200 <= swept[-1]
    assert clocks(mappings, 0.5 * swept[0]) == swept[:1]
