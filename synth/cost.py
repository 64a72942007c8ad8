"""What one configuration costs: mapped, timed, and replayed against its simulation."""

from dataclasses import dataclass
from pathlib import Path

from hdl.datapath import Datapath
from hdl.export import export
from sim.cache import fingerprint
from sim.paths import BUILD, configuration_folder
from sim.ports import top_ports
from sim.run import SimulationResult, simulate, stimulus_file
from synth.blocks import cut
from synth.library import Library
from synth.mapping import Mapped, map_block
from synth.memory_area import memory_area_um2
from synth.netlist import Netlist, cell_area, compose, memories, unmapped
from synth.replay import replay
from synth.targets import Target
from synth.timing import critical_path

MAPPINGS = BUILD / "mappings"


@dataclass(frozen=True)
class Cost:
    """Figures of one mapped configuration; fields as in the report's schema.

    area_um2: cells only, without memories; area_ge: the same in two-input NANDs.
    sequential_um2: its registers. memory_um2: the memories by a stated density.
    spread: per block, how many mappings competed, the worst area over the best, and the largest
    over the smallest best of an ordering. netlist_checks: outputs compared in the replay.
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
    energy_pj_per_work: float | None = None

    @property
    def total_um2(self) -> float:
        """Cells and memories."""
        return self.area_um2 + self.memory_um2


class NotVerifiedError(RuntimeError):
    """The circuit fails its own simulation, so its cost means nothing."""


def cost(
    datapath: Datapath, name: str, library_name: str, library: Library, liberty: Path,
    target: Target,
) -> Cost:  # fmt: skip
    """Map a configuration for one target.

    Raises NotVerifiedError if its simulation fails, ReplayError if the netlist differs from it.
    """
    simulated = simulate(datapath, name)
    if simulated.verdict != "pass":
        raise NotVerifiedError(f"its simulation fails: {simulated.message}; {simulated.replay}")
    rtlil = export(datapath.configuration(name).build())
    if fingerprint(rtlil) != simulated.circuit:
        raise NotVerifiedError("its sources changed during the run; run again")
    blocks = cut(rtlil)
    mapped = {
        block.name: map_block(
            block, repeated=not block.kept, target=target, library=library, liberty=liberty,
            folder=MAPPINGS,
        )
        for block in blocks
    }  # fmt: skip
    folder = configuration_folder(datapath.name, name) / "synth" / f"{library_name}-{target.name}"
    folder.mkdir(parents=True, exist_ok=True)
    netlist = compose({part: found.file for part, found in mapped.items()}, library, folder)
    if foreign := unmapped(netlist.flat, library):
        raise NotVerifiedError(f"cells outside the library are left: {', '.join(foreign)}")
    checks = replay(
        netlist.verilog,
        top_ports(rtlil),
        sorted({part for block in blocks for part in block.kept}),
        stimulus_file(simulated),
        folder,
    )
    return _figures(simulated, library_name, library, target, mapped, netlist, checks)


def _figures(
    simulated: SimulationResult,
    library_name: str,
    library: Library,
    target: Target,
    mapped: dict[str, Mapped],
    netlist: Netlist,
    checks: int,
) -> Cost:
    areas = cell_area(netlist.flat, library)
    area = sum(areas.values())
    sequential = sum(um2 for name, um2 in areas.items() if library.cells[name].register)
    bits = sum(memory.bits for memory in memories(netlist.flat))
    timing = critical_path(netlist.flat, library)
    path = [f"{step.cell or 'port'} {step.pin} {step.arrival_ps:.0f} ps" for step in timing.path]
    return Cost(
        datapath=simulated.datapath,
        config=simulated.config,
        library=library_name,
        target=target.name,
        target_ps=target.period_ps,
        script={part: found.best.stem for part, found in mapped.items()},
        area_um2=round(area, 2),
        area_ge=round(area / library.nand2.area_um2, 1),
        sequential_um2=round(sequential, 2),
        cells=len(netlist.flat["cells"]),
        sram_bits=bits,
        memory_um2=round(memory_area_um2(bits, library), 1),
        critical_path_ps=round(timing.period_ps, 1),
        critical_path=path,
        work_per_second=simulated.work_per_cycle / (timing.period_ps * 1e-12),
        unit=simulated.unit,
        spread={
            part: {
                "mappings": len(found.tries),
                "worst_over_best": round(found.worst_over_best, 4),
                "orderings": round(found.ordering_spread, 4),
            }
            for part, found in mapped.items()
        },
        netlist_checks=checks,
    )
