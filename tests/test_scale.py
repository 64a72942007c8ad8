"""Arrays at scale: told from the blocks of a small one, and right where both can be mapped."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hdl.datapath import Comparison, Datapath, PublishedGain, Scale
from hdl.encoding import Encoding
from hdl.ent.configurations import ArrayConfiguration
from hdl.ent.parameters import Parameters
from hdl.export import TOP, export, take_inventory
from synth import scale as module
from synth.block_costs import block_costs, memory_bits
from synth.blocks import Block, cut, cut_units, instances
from synth.cost import LIBRARIES, Cost, map_blocks
from synth.fit import fit
from synth.flat import map_flat
from synth.inventory import counts_at_scale, inventory_of
from synth.libraries import choose, load_library
from synth.mapping import Mappings, Try
from synth.netlist import Netlist, cell_area
from synth.scale import choose_alone, scaled
from synth.scale_gains import averages, gains, notes
from synth.targets import targets

CHOICE = choose("sky130hd", "", "")
PERIOD = 4500.0
PARAMETERS = Parameters(4, 8, Encoding.NR4SD, "edge", "edge")
BASELINE = Parameters(4, 8, Encoding.BOOTH, "pe", "pe")
OTHER = Parameters(4, 8, Encoding.BOOTH, "pe-register", "pe")


def array(side: int, parameters: Parameters = PARAMETERS) -> ArrayConfiguration:
    return ArrayConfiguration(side, side, parameters)


def datapath(*scales: Scale, **changes: Any) -> Datapath:
    configurations = (array(2), array(2, BASELINE), array(2, OTHER))
    names = tuple(each.name for each in configurations)
    fields = {"name": "demo", "summary": "", "paper": "", "work": "MAC", "small": names[0]}
    fields |= {"configurations": configurations, "mapped": names, "scales": scales} | changes
    return Datapath(**fields)


@pytest.mark.parametrize("side", [1, 2, 5])
@pytest.mark.parametrize("parameters", [PARAMETERS, BASELINE])
def test_inventory_is_the_export_counted(side: int, parameters: Parameters) -> None:
    rtlil = export(array(side, parameters).build())
    inventory = take_inventory(array(side, parameters).build())
    blocks = cut(rtlil)
    assert [each for each in blocks if each.name != TOP] == cut_units(inventory.text)
    counted = instances(blocks)
    assert counted.pop(TOP) == 1
    assert counted == {name: inventory.instances[name] for name in counted}
    assert counted["pe"] == side**2
    assert counted["row_edge"] == counted["column_memory"] == side
    # Of units inside units, every one: full adders of the PEs, and of corrections outside.
    (pe,) = (each for each in blocks if each.name == "pe")
    inside = pe.text.count("cell \\full_adder ")
    assert inventory.instances["full_adder"] >= side**2 * inside > 0


def test_a_large_inventory_takes_seconds() -> None:
    inventory = inventory_of(array(64))
    assert inventory.instances["pe"] == 4096
    assert inventory.instances["row_correction"] == 64


@dataclass(frozen=True)
class Composed:
    """An array mapped block by block, composed for a clock, and what its blocks cost."""

    cost: Cost
    mappings: list[Mappings]


def composed(side: int, folder: Path) -> Composed:
    library, _ = load_library(CHOICE.source, LIBRARIES)
    target = targets("sky130hd", PERIOD)[1]
    mappings = map_blocks(cut(export(array(side).build())), CHOICE, [PERIOD])
    place = folder / str(side)
    place.mkdir()
    found = fit(mappings, target, library, place)
    blocks = block_costs([each.block for each in mappings], found.chosen, found.netlist, library)
    energy = {"random": {"pe": 2.0 * side**2, TOP: 0.5}}
    cost = a_cost(
        array(side).name,
        area_um2=round(sum(cell_area(found.netlist.flat, library).values()), 2),
        critical_path_ps=found.timing.period_ps,
        blocks=blocks,
        energy_by_block=energy,
        script={name: each.stem for name, each in found.chosen.items()},
        work_per_second=side**2 / (PERIOD * 1e-12),
    )
    return Composed(cost, mappings)


def a_cost(config: str, **changes: Any) -> Cost:
    fields: dict[str, Any] = dict.fromkeys(Cost.__dataclass_fields__)
    fields |= {"datapath": "demo", "config": config, "library": "sky130hd", "target": "clock"}
    fields |= {"target_ps": PERIOD, "critical_path_ps": 4000.0, "unit": "MAC", "circuit": "0"}
    return Cost(**(fields | {"netlist_checks": 7} | changes))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Composed:
    return composed(2, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Composed:
    return composed(4, tmp_path_factory.mktemp("large"))


def test_composition_against_the_larger_array(small: Composed, large: Composed) -> None:
    """The area of shared blocks is exact; others are mapped alone; the glue hardly grows.

    A flat mapping has nothing but the whole.
    """
    scale = Scale("4×4", "systolic", 16, array(2).name, array(4))
    predicted = scaled(datapath(scale), scale, small.cost, CHOICE, [PERIOD])
    blocks, own = large.cost.blocks, small.cost.blocks
    assert blocks and own
    assert set(predicted.mapped_alone) == {"select", "column_memory"}
    shared = set(blocks) - set(predicted.mapped_alone) - {TOP}
    assert {"pe", "row_edge", "row_correction", "column_foot", "stage"} <= shared
    for name in shared:
        assert blocks[name]["area_um2"] == own[name]["area_um2"], name
    glue = blocks[TOP]["area_um2"] - own[TOP]["area_um2"]
    missing = large.cost.area_um2 / predicted.area_um2 - 1
    # The composed whole against one that was mapped flat, for the same clock.
    flat = map_flat(export(array(4).build()), CHOICE, PERIOD)
    reaching = [each.area_um2 for each in flat.tries if each.period_ps <= PERIOD]
    deviation = large.cost.area_um2 / min(reaching) - 1
    print(
        f"glue missing: {glue / large.cost.area_um2:.1%}; all that is missing: {missing:+.1%}; "
        f"composed over flat: {deviation:+.1%}"
    )
    assert 0 < glue / large.cost.area_um2 < 0.03
    assert abs(missing) < 0.03
    assert abs(deviation) < 0.1
    assert predicted.period_ps == small.cost.clock_ps == PERIOD
    assert predicted.critical_path_ps == round(small.cost.critical_path_ps, 1) < PERIOD


def test_blocks_add_up_or_nothing_is_said(small: Composed, tmp_path: Path) -> None:
    library, _ = load_library(CHOICE.source, LIBRARIES)
    found = fit(small.mappings, targets("sky130hd", PERIOD)[1], library, tmp_path)
    blocks = [each.block for each in small.mappings]
    assert block_costs(blocks, found.chosen, found.netlist, library) == small.cost.blocks
    wrong = {**found.chosen, "pe": replace(found.chosen["pe"], area_um2=1.0)}
    with pytest.raises(ValueError, match="the blocks add up to"):
        block_costs(blocks, wrong, found.netlist, library)
    more = [each if each.name != TOP else replace(each, kept={"pe": 5}) for each in blocks]
    with pytest.raises(ValueError, match="the blocks add up to"):
        block_costs(more, found.chosen, found.netlist, library)


def test_memories_of_a_block_are_counted(small: Composed) -> None:
    """As in the composed whole; in the text of the block's circuit alone."""
    (top,) = (each for each in small.mappings if each.block.name == TOP)
    bits = {memory_bits(top.file(each).read_text()) for each in top.tries}
    # Two rows of two error flags; and in each of two columns of 8 bits.
    assert bits == {2 * 2}
    assert small.cost.blocks and small.cost.blocks[TOP]["sram_bits"] == 4
    assert small.cost.blocks["column_memory"]["sram_bits"] == 2 * 8


def test_memories_are_shared_out_among_instances() -> None:
    """Two in each of three units, whose cells know their block."""
    size = {"SIZE": "100", "WIDTH": "1000", "RD_PORTS": "1", "WR_PORTS": "1"}
    memory = {"type": "$mem_v2", "parameters": size, "attributes": {"block": "unit"}}
    netlist = Netlist({"cells": {str(index): memory for index in range(6)}}, Path())
    blocks = [Block("unit", "", {}, "unit"), Block(TOP, "", {"unit": 3}, TOP)]
    chosen = {name: Try("gates", "amap", 0, 0.0, 1.0) for name in ("unit", TOP)}
    found = block_costs(blocks, chosen, netlist, SimpleNamespace(cells={}))  # type: ignore[arg-type]
    assert found["unit"] == {"instances": 3, "area_um2": 0.0, "sram_bits": 2 * 4 * 8}
    assert found[TOP] == {"instances": 1, "area_um2": 0.0, "sram_bits": 0}


def test_energy_and_work_at_scale(small: Composed) -> None:
    scale = Scale("x", "systolic", 64, array(2).name, array(8))
    found = scaled(datapath(scale), scale, small.cost, CHOICE, [PERIOD])
    # pJ for a MAC, times the small array's 4 MACs a cycle: 8 in each of 4 PEs, 2 in the glue.
    assert found.energy_pj_per_work == {"random": pytest.approx((64 * 8 + 2) / 64)}
    assert found.work_per_second == pytest.approx(64 / 4.5e-9)
    whole = found.area_um2 + found.memory_um2
    assert found.area_efficiency == pytest.approx(64 / 4.5e-9 / whole * 1e6)
    without = replace(small.cost, energy_by_block=None)
    assert scaled(datapath(scale), scale, without, CHOICE, [PERIOD]).energy_pj_per_work == {}
    with pytest.raises(ValueError, match="blocks were not recorded"):
        scaled(datapath(scale), scale, replace(small.cost, blocks=None), CHOICE, [PERIOD])


def test_a_block_that_only_the_large_array_has(
    small: Composed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Mapped by itself; it sets the clock if it is slow, and takes energy by its area."""
    asked: list[Block] = []
    text = "  cell $mem_v2 $1\n    parameter \\WIDTH 12\n    parameter \\SIZE 2\n"
    (tmp_path / "gates-map-sized-0.il").write_text(text)

    def map_alone(blocks: Any, *_: object) -> list[Mappings]:
        asked.extend(blocks)
        tries = (Try("gates", "map-sized", 0, 500.0, 9000.0),)
        return [Mappings(each, tries, tmp_path) for each in asked]

    monkeypatch.setattr(module, "map_blocks", map_alone)
    wider = array(4, replace(PARAMETERS, accumulator_bits=9))
    scale = Scale("x", "systolic", 16, array(2).name, wider)
    found = scaled(datapath(scale), scale, small.cost, CHOICE, [PERIOD])
    fresh = {each.name for each in asked}
    assert "pe" in fresh and not fresh & {"row_edge", "stage"}
    assert small.cost.blocks
    glue = small.cost.blocks[TOP]
    count = take_inventory(wider.build()).instances
    alone = sum(count[name] for name in fresh)
    shared = sum(
        count[name] * small.cost.blocks[name]["area_um2"] for name in ("row_edge", "stage")
    )
    whole = 500 * alone + shared + glue["area_um2"]
    assert found.area_um2 == pytest.approx(whole, abs=0.02)
    assert found.mapped_alone == dict.fromkeys(fresh, 9000.0)
    assert found.period_ps == found.critical_path_ps == 9000.0
    assert found.work_per_second == pytest.approx(16 / 9e-9)
    each = 8 * 500 / small.cost.blocks["pe"]["area_um2"]
    assert found.energy_pj_per_work["random"] == pytest.approx((16 * each + 2) / 16, rel=1e-5)
    density = found.memory_um2 / (glue["sram_bits"] + alone * 24)
    assert density == pytest.approx(17.4, rel=0.05)


def test_the_circuit_of_a_block_by_itself() -> None:
    tries = (
        Try("gates", "amap", 0, 10.0, 95.0),
        Try("gates", "map-sized", 0, 12.0, 99.0),
        Try("gates", "fastest", 0, 30.0, 50.0),
    )
    mappings = Mappings(Block("x", "", {}, "x"), tries, Path())
    assert choose_alone(mappings, 100.0) == tries[1]  # sized, though not the smallest
    assert choose_alone(mappings, 96.0) == tries[2]
    assert choose_alone(mappings, 40.0) == tries[2]  # the fastest, which is too slow
    only = Mappings(mappings.block, tries[:1], Path())
    assert choose_alone(only, 100.0) == tries[0]


COMPARISONS = (Comparison("2×2: idea", array(2, BASELINE).name, array(2).name),)


def at_scale(organisation: str, multipliers: int, period: float, parameters: Parameters) -> Any:
    scale = Scale("1 TOPS", organisation, multipliers, array(2, parameters).name, array(8))
    cost = module.ScaledCost(
        config=scale.large.name,
        small=scale.small,
        library="sky130hd",
        target="efficiency",
        multipliers=multipliers,
        area_um2=1000.0,
        memory_um2=0.0,
        small_um2=500.0,
        glue_um2=100.0,
        mapped_alone={},
        period_ps=period,
        critical_path_ps=period,
        work_per_second=multipliers / (period * 1e-12),
        unit="MAC",
        energy_pj_per_work={"random": period / 1000, "mean 0": 5.0},
        netlist_checks=7,
        circuit="0",
    )
    return scale, cost


def test_gains_and_their_averages() -> None:
    costs = [
        at_scale("systolic", 64, 5000.0, BASELINE),
        at_scale("systolic", 64, 4000.0, PARAMETERS),
        at_scale("broadcast", 64, 4000.0, BASELINE),
        at_scale("broadcast", 64, 5000.0, PARAMETERS),
        at_scale("alone", 64, 5000.0, PARAMETERS),
    ]
    paper = PublishedGain("1 TOPS", 12.2, 17.5)
    path = datapath(
        *(scale for scale, _ in costs), comparisons=COMPARISONS, published_gains=(paper,)
    )
    found = gains(path, costs)
    assert [each.organisation for each in found] == ["systolic", "broadcast"]
    assert [each.area_efficiency for each in found] == [1.25, 0.8]
    assert [each.slower for each in found] == [False, True]
    assert [each.energy_efficiency for each in found] == [
        {"random": 1.25, "mean 0": 1.0},
        {"random": 0.8, "mean 0": 1.0},
    ]
    assert {each.idea for each in found} == {"idea"}
    assert [notes(vars(each)) for each in found] == [[], ["slower clock"]]
    baseline = {**found[1].baseline_cost, "critical_path_ps": 3500.0}
    slack = replace(found[1], baseline_cost=baseline)
    assert notes(vars(slack)) == ["slower clock", "baseline has slack"]
    (mean,) = averages([vars(each) for each in found])
    assert mean.organisations == 2
    assert mean.area_efficiency == pytest.approx(1.025)
    assert mean.energy_efficiency == pytest.approx({"random": 1.025, "mean 0": 1.0})
    assert mean.shortfalls() == [
        "area efficiency +2.5 %, published +12.2 %",
        "energy efficiency, random +2.5 %, published +17.5 %",
        "energy efficiency, mean 0 +0.0 %, published +17.5 %",
    ]
    (better,) = averages([vars(found[0])])
    assert len(better.shortfalls()) == 1
    (unpublished,) = averages([vars(replace(found[0], published_area=None, published_energy=None))])
    assert unpublished.beside_published() == unpublished.shortfalls() == []


def test_sides_of_different_size_are_not_compared() -> None:
    costs = [
        at_scale("systolic", 64, 5000.0, BASELINE),
        at_scale("systolic", 32, 4000.0, PARAMETERS),
    ]
    path = datapath(*(scale for scale, _ in costs), comparisons=COMPARISONS)
    with pytest.raises(ValueError, match="different numbers of multipliers"):
        gains(path, costs)


def test_blocks_are_counted_as_in_the_middle_one_of_the_large_arrays() -> None:
    small = array(2)
    scales = [Scale(str(n), "systolic", n * n, small.name, array(n)) for n in (16, 4, 8)]
    blocks = cut(export(small.build()))
    counted = counts_at_scale(datapath(*scales), small.name, blocks)
    assert counted is not None
    assert counted.keys() == {each.name for each in blocks}
    assert (counted["pe"], counted["row_edge"], counted[TOP]) == (64, 8, 1)
    # What picks one of two results: eight are picked from there.
    assert counted["select"] == instances(blocks)["select"]
    assert counts_at_scale(datapath(*scales), array(2, BASELINE).name, blocks) is None


@pytest.mark.parametrize("changed", [{}, {"candidate": array(2, OTHER).name}])
def test_nothing_is_averaged_twice(changed: dict[str, str]) -> None:
    costs = [at_scale("systolic", 64, 5000.0, each) for each in (BASELINE, PARAMETERS, OTHER)]
    again = (replace(COMPARISONS[0], name="4×4: idea", **changed),)
    path = datapath(*(scale for scale, _ in costs), comparisons=COMPARISONS + again)
    with pytest.raises(ValueError, match="compared twice at scale: 1 TOPS, systolic, idea"):
        gains(path, costs)


@pytest.mark.parametrize(("period", "random"), [(4590.0, 1.1475), (4610.0, 2.5)])
def test_of_several_baselines_the_best_counts_in_each_figure(period: float, random: float) -> None:
    """The best takes more energy where operands are random; the other may be too slow to count."""
    costs = [
        at_scale("systolic", 64, each, parameters)
        for each, parameters in ((period, BASELINE), (4000.0, PARAMETERS), (4300.0, OTHER))
    ]
    costs[2][1].energy_pj_per_work["random"] = 10.0
    again = (replace(COMPARISONS[0], name="2×2, other: idea", baseline=array(2, OTHER).name),)
    path = datapath(*(scale for scale, _ in costs), comparisons=COMPARISONS + again)
    (found,) = gains(path, costs)
    assert found.baseline == array(2, OTHER).name
    assert found.area_efficiency == 1.075
    assert found.energy_efficiency == {"random": random, "mean 0": 1.0}
    best = array(2, BASELINE if random < 2 else OTHER).name
    assert found.energy_baselines["random"] == {"config": best, "circuit": "0", "area_um2": 500.0}


def test_only_circuits_of_the_same_clock_and_targets_are_compared() -> None:
    @dataclass(frozen=True)
    class Faster(ArrayConfiguration):
        clock_ps = {"sky130hd": 3000.0}  # noqa: RUF012

    fast = Faster(3, 3, PARAMETERS)
    sides = (Comparison("2×2: idea", array(2).name, fast.name),)
    with pytest.raises(ValueError, match="different clocks or targets"):
        datapath(
            configurations=(array(2), array(2, BASELINE), array(2, OTHER), fast), comparisons=sides
        )
