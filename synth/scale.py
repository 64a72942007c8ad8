"""What an array costs at a scale at which it is neither mapped nor simulated as a whole.

Its blocks are counted, not copied: each has the circuit it has in a small array, which was mapped,
composed, timed and replayed. A block that only the large array has, such as the drain of a longer
column, is mapped by itself once. The rest of the top module, the glue, is taken to be as large as
in the small array: it is control, which hardly grows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hdl.datapath import Datapath, Scale
from hdl.export import TOP, export
from synth.block_costs import memory_bits
from synth.blocks import Block, cut, cut_units
from synth.cost import LIBRARIES, Cost, map_blocks
from synth.inventory import inventory_of
from synth.libraries import Choice, load_library
from synth.mapping import Mappings, Try
from synth.memory_area import memory_area_um2
from synth.scripts import CLOCK


@dataclass(frozen=True)
class ScaledCost:
    """What one array costs at scale; fields without a remark are as in ``Cost``.

    config: of the large array. small: of the one its cost is told from, for ``target``.
    small_um2: area_um2 of the small array. glue_um2: what area_um2 has of its top module.
    mapped_alone: blocks that the small array lacks, with their critical path in ps. period_ps: the
    small array's clock period, or that of the slowest of these; critical_path_ps: the same without
    the clock that was asked for. work_per_second: one unit of every
    multiplier a cycle. energy_pj_per_work: by operands, empty where it was not determined; blocks
    that the small array lacks take what their kind takes there for its area. circuit: of the
    small array.
    """

    config: str
    small: str
    library: str
    target: str
    multipliers: int
    area_um2: float
    memory_um2: float
    small_um2: float
    glue_um2: float
    mapped_alone: dict[str, float]
    period_ps: float
    critical_path_ps: float
    work_per_second: float
    unit: str
    energy_pj_per_work: dict[str, float]
    netlist_checks: int
    circuit: str

    @property
    def area_efficiency(self) -> float:
        """Work per second and mm² of cells and memories."""
        return self.work_per_second / ((self.area_um2 + self.memory_um2) / 1e6)


@dataclass(frozen=True)
class _Part:
    """One block at scale. energy_pj: by operands, of one instance in a cycle."""

    instances: int
    area_um2: float
    sram_bits: float
    energy_pj: Mapping[str, float]


def scaled(
    datapath: Datapath, scale: Scale, small: Cost, choice: Choice, clocks: Sequence[float]
) -> ScaledCost:
    """Tell the cost at scale from that of the small array.

    ``clocks``: those ABC was told when the small array was mapped. Raises ValueError if the
    small array's blocks are not known.
    """
    if small.blocks is None:
        raise ValueError(f"{small.config}: its blocks were not recorded; make synth")
    library, _ = load_library(choice.source, LIBRARIES)
    inventory = inventory_of(scale.large)
    known = {
        block.key: block.name
        for block in cut(export(datapath.configuration(scale.small).build()))
        if block.name != TOP
    }
    # What is known of the small array by block, its energy for one instance in a cycle.
    per_cycle = _energy_per_cycle(small)
    parts = {TOP: _Part(1, energy_pj=per_cycle[TOP], **_size(small.blocks[TOP]))}
    fresh: list[Block] = []
    for block in cut_units(inventory.text):
        if block.key in known:
            name = known[block.key]
            size = _size(small.blocks[name])
            parts[block.name] = _Part(
                inventory.instances[block.name], energy_pj=per_cycle[name], **size
            )
        else:
            fresh.append(block)
    alone: dict[str, float] = {}
    for mapped in map_blocks(fresh, choice, clocks):
        name = mapped.block.name
        chosen = choose_alone(mapped, small.clock_ps)
        alone[name] = chosen.period_ps
        parts[name] = _Part(
            inventory.instances[name],
            chosen.area_um2,
            memory_bits(mapped.file(chosen).read_text()),
            _energy_by_area(name, chosen.area_um2, small.blocks, per_cycle),
        )
    period = max(small.clock_ps, *alone.values()) if alone else small.clock_ps
    path = max(small.critical_path_ps, *alone.values()) if alone else small.critical_path_ps
    bits = round(sum(each.instances * each.sram_bits for each in parts.values()))
    return ScaledCost(
        config=scale.large.name,
        small=small.config,
        library=small.library,
        target=small.target,
        multipliers=scale.multipliers,
        area_um2=round(sum(each.instances * each.area_um2 for each in parts.values()), 2),
        memory_um2=round(memory_area_um2(bits, library), 1),
        small_um2=small.area_um2,
        glue_um2=round(parts[TOP].area_um2, 2),
        mapped_alone=alone,
        period_ps=round(period, 1),
        critical_path_ps=round(path, 1),
        work_per_second=scale.multipliers / (period * 1e-12),
        unit=small.unit,
        energy_pj_per_work={
            operands: round(
                sum(each.instances * each.energy_pj.get(operands, 0.0) for each in parts.values())
                / scale.multipliers,
                6,
            )
            for operands in small.energy_by_block or ()
        },
        netlist_checks=small.netlist_checks,
        circuit=small.circuit,
    )


def choose_alone(mappings: Mappings, clock_ps: float) -> Try:
    """The circuit of a block that nothing was composed with: the smallest that reaches the clock.

    One of a script that aims for a clock, if there is one: others leave inputs that drive much
    without buffers. The fastest, if none reaches it.
    """
    reaching = [each for each in mappings.tries if each.period_ps <= clock_ps]
    sized = [each for each in reaching if each.script in CLOCK]
    if not reaching:
        return min(mappings.tries, key=lambda each: each.period_ps)
    return min(sized or reaching, key=lambda each: each.area_um2)


def _size(block: Mapping[str, float]) -> dict[str, float]:
    return {"area_um2": block["area_um2"], "sram_bits": block["sram_bits"]}


def _energy_per_cycle(small: Cost) -> dict[str, dict[str, float]]:
    """By block and operands, pJ of one instance in a cycle."""
    blocks = small.blocks or {}
    work_per_cycle = small.work_per_second * small.clock_ps * 1e-12
    found: dict[str, dict[str, float]] = {name: {} for name in blocks}
    for operands, by_block in (small.energy_by_block or {}).items():
        for name, own in blocks.items():
            energy = by_block.get(name, 0.0) * work_per_cycle
            found[name][operands] = energy / own["instances"] if own["instances"] else 0.0
    return found


def _energy_by_area(
    name: str,
    area_um2: float,
    blocks: Mapping[str, Mapping[str, float]],
    per_cycle: Mapping[str, Mapping[str, float]],
) -> dict[str, float]:
    """pJ in a cycle of a block that takes what its kind takes for its area.

    Its kind: units of the same class, else all blocks of the small array.
    """
    siblings = [other for other in blocks if _kind(other) == _kind(name)] or list(blocks)
    area = _total(siblings, blocks, {each: blocks[each]["area_um2"] for each in siblings})
    return {
        operands: area_um2
        / area
        * _total(siblings, blocks, {each: per_cycle[each][operands] for each in siblings})
        for operands in per_cycle[TOP]
    }


def _total(
    names: Iterable[str], blocks: Mapping[str, Mapping[str, float]], of_one: Mapping[str, float]
) -> float:
    return sum(blocks[name]["instances"] * of_one[name] for name in names)


def _kind(module: str) -> str:
    """The class of a unit by its module's name, which ends with a number from the second on."""
    return re.sub(r"_\d+$", "", module)
