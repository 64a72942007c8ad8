"""What one configuration costs: mapped, timed, and replayed against its simulation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hdl.datapath import Datapath
from hdl.export import export
from sim.cache import fingerprint, locked
from sim.paths import BUILD, configuration_folder
from sim.ports import Port, top_ports
from sim.run import SimulationResult, simulate, stimulus_file
from synth.block_costs import block_costs
from synth.blocks import Block, cut
from synth.efficiency import most_efficient, pool
from synth.energy import energy_per_work, operations_per_joule
from synth.fit import fit
from synth.inventory import counts_at_scale
from synth.libraries import Choice, load_library
from synth.library import Library
from synth.mapping import Mappings, map_block
from synth.memory_area import memory_area_um2
from synth.netlist import cell_area, memories, unmapped
from synth.replay import replay
from synth.targets import DEFAULT_PERIOD, Target, told

MAPPINGS = BUILD / "mappings"
LIBRARIES = BUILD / "libraries"


@dataclass(frozen=True)
class Cost:
    """Figures of one mapped configuration; fields as in the report's schema.

    area_um2: cells only, without memories; area_ge: the same in two-input NANDs.
    work_per_second: at the target's clock, or at the critical path's if that is slower or there
    is no target. sequential_um2: its registers. memory_um2: the memories by a stated density.
    spread: per block, how many mappings competed, the worst area over the best, and the largest
    over the smallest best of an ordering. netlist_checks: outputs compared in the replay.
    circuit: fingerprint of the exported design, as in ``SimulationResult``. energy_pj_per_work:
    over the stretch that shows sustained throughput, at the clock of ``work_per_second``, without
    the memories; None where it was not determined. energy_parts: the same by its causes.
    energy_by_operands: these parts by the operands of each stretch, that one first;
    energy_by_block: by operands and block, in pJ for a unit of work in all instances of the block,
    the glue between blocks as ``top``.
    blocks: by block, how many instances, and area_um2 and sram_bits of one, without blocks inside;
    the instances' areas add up to area_um2.
    """

    datapath: str
    config: str
    library: str
    target: str
    target_ps: float | None
    script: dict[str, str]
    area_um2: float
    area_ge: float
    sequential_um2: float
    cells: int
    sram_bits: int
    memory_um2: float
    critical_path_ps: float
    critical_path: list[str]
    work_per_second: float
    unit: str
    spread: dict[str, dict[str, float]]
    netlist_checks: int
    circuit: str
    energy_pj_per_work: float | None = None
    energy_parts: dict[str, float] | None = None
    energy_by_operands: dict[str, dict[str, float]] | None = None
    energy_by_block: dict[str, dict[str, float]] | None = None
    blocks: dict[str, dict[str, float]] | None = None

    @property
    def clock_ps(self) -> float:
        """The clock period that ``work_per_second`` is stated at."""
        return max(self.critical_path_ps, self.target_ps or 0.0)

    @property
    def total_um2(self) -> float:
        """Cells and memories."""
        return self.area_um2 + self.memory_um2

    @property
    def operations_per_joule(self) -> float | None:
        """Over 1e9, GOPS/W; None for work that is no multiply-add, or without an energy."""
        return operations_per_joule(self.unit, self.energy_pj_per_work)


class NotVerifiedError(RuntimeError):
    """The circuit fails its own simulation, so its cost means nothing."""


def verified(datapath: Datapath, name: str) -> tuple[SimulationResult, str]:
    """The simulation of a configuration, which passes, and the RTLIL of the very circuit.

    Raises NotVerifiedError if there is no such thing.
    """
    simulated = simulate(datapath, name)
    if simulated.verdict != "pass":
        raise NotVerifiedError(f"its simulation fails: {simulated.message}; {simulated.replay}")
    rtlil = export(datapath.configuration(name).build())
    if fingerprint(rtlil) != simulated.circuit:
        raise NotVerifiedError("its sources changed during the run; run again")
    return simulated, rtlil


def map_blocks(blocks: Iterable[Block], choice: Choice, clocks: Sequence[float]) -> list[Mappings]:
    """Map every block in every way; scripts that aim for a clock are told each of ``clocks``."""
    library, liberty = load_library(choice.source, LIBRARIES)
    return [
        pool(
            [
                map_block(block, not block.kept, period, library, liberty, MAPPINGS)
                for period in clocks
            ]
        )
        for block in blocks
    ]


def costs(
    datapath: Datapath,
    name: str,
    choice: Choice,
    goals: tuple[Target, ...],
    period_ps: float | None = None,
) -> list[Cost]:
    """Map a configuration to the chosen library, for every target in ``goals``.

    For efficiency, circuits of a small array that larger ones are told from are chosen for these.
    ``period_ps``: what ABC is told, if no goal has a clock (``synth.targets.clock``). Raises
    NotVerifiedError if its simulation fails, ReplayError if a netlist differs from it.
    """
    simulated, rtlil = verified(datapath, name)
    clocks = [goal.period_ps for goal in goals if goal.period_ps]
    period = max(clocks, default=period_ps or DEFAULT_PERIOD)
    library, _ = load_library(choice.source, LIBRARIES)
    mappings = map_blocks(cut(rtlil), choice, told(goals, period))
    weights = counts_at_scale(datapath, name, [each.block for each in mappings])
    folder = configuration_folder(datapath.name, name) / "synth"
    found = []
    with locked(folder / ".lock"):
        for target in goals:
            place = folder / f"{choice.label}-{target.name}"
            place.mkdir(parents=True, exist_ok=True)
            ports = top_ports(rtlil)
            found.append(
                _cost(simulated, ports, mappings, weights, target, library, choice.label, place)
            )
    return found


def _cost(
    simulated: SimulationResult,
    ports: tuple[Port, ...],
    mappings: list[Mappings],
    weights: Mapping[str, float] | None,
    target: Target,
    library: Library,
    label: str,
    folder: Path,
) -> Cost:
    if target.efficient:
        found = most_efficient(mappings, library, folder, weights)
    else:
        found = fit(mappings, target, library, folder)
    netlist, timing = found.netlist, found.timing
    if foreign := unmapped(netlist.flat, library):
        raise NotVerifiedError(f"cells outside the library are left: {', '.join(foreign)}")
    blocks = sorted({part for each in mappings for part in each.block.kept})
    checks = replay(netlist.verilog, ports, blocks, stimulus_file(simulated), folder)
    areas = cell_area(netlist.flat, library)
    parts = block_costs(
        [each.block for each in mappings], found.chosen, netlist, library, found.drivers
    )
    area = sum(areas.values())
    sequential = sum(um2 for name, um2 in areas.items() if library.cells[name].register)
    bits = sum(memory.bits for memory in memories(netlist.flat))
    clock_ps = max(timing.period_ps, target.period_ps or 0.0)
    # What the sweep chose had to compete with whatever reaches the clock that came of it.
    competed = Target(target.name, timing.period_ps) if target.efficient else target
    energy = energy_per_work(netlist, library, ports, simulated, clock_ps, folder)
    main = next(iter(energy.values()), None)
    path = [f"{step.cell or 'port'} {step.pin} {step.arrival_ps:.0f} ps" for step in timing.path]
    return Cost(
        datapath=simulated.datapath,
        config=simulated.config,
        library=label,
        target=target.name,
        target_ps=target.period_ps,
        script={part: each.stem for part, each in found.chosen.items()},
        area_um2=round(area, 2),
        area_ge=round(area / library.nand2.area_um2, 1),
        sequential_um2=round(sequential, 2),
        cells=len(netlist.flat["cells"]),
        sram_bits=bits,
        memory_um2=round(memory_area_um2(bits, library), 1),
        critical_path_ps=round(timing.period_ps, 1),
        critical_path=path,
        work_per_second=simulated.work_per_cycle / (clock_ps * 1e-12),
        unit=simulated.unit,
        spread={each.block.name: each.spread(competed) for each in mappings},
        netlist_checks=checks,
        circuit=simulated.circuit,
        energy_pj_per_work=main.total if main else None,
        energy_parts=main.parts if main else None,
        energy_by_operands={name: each.parts for name, each in energy.items()} or None,
        energy_by_block={name: each.blocks for name, each in energy.items()} or None,
        blocks=parts,
    )
