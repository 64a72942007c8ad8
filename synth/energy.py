"""Energy of a netlist during stretches of its recorded run, from the transitions of its nets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from hdl.export import TOP
from sim.bench import UNIFORM
from sim.cache import build_once, fingerprint, fingerprint_files
from sim.ports import Port
from sim.run import SimulationResult, stimulus_file
from synth.blocks import BLOCK
from synth.gates import UnsupportedError, without_memories
from synth.library import Library
from synth.netlist import CLOCK, Netlist, memories
from synth.timing import net_loads
from synth.toggles import SOURCE, Stretch, Toggles, count_toggles
from synth.wires import connection_ff, connections

#: Cycles counted at most; of a longer stretch, these are its first.
LONGEST_STRETCH = 20_000
#: Bits of memory beyond which the contents are not simulated gate by gate.
LARGEST_MEMORY = 1 << 16

#: Operations in a unit of work that is a multiply-add: as everywhere, a product and a sum.
OPERATIONS = {"MAC": 2, "FMA": 2}

_FJ_PER_PJ = 1e3
#: nW times ps, in fJ.
_LEAKAGE_FJ = 1e-6


@dataclass(frozen=True)
class Energy:
    """In fJ, over all cycles of a stretch.

    cells: inside the cells, by transitions of their outputs, and of inputs that leave these as
    they are. nets: charging the pins and ports that nets drive. wires: charging the wires to
    these, the clock's too, as long as ``synth.wires`` says. clock: both edges of every cycle,
    inside the registers and at their clock pins; the clock tree has no buffers. leakage: over
    the time it takes.
    """

    cells: float = 0.0
    nets: float = 0.0
    wires: float = 0.0
    clock: float = 0.0
    leakage: float = 0.0

    @property
    def total(self) -> float:
        return sum(astuple(self))

    def __add__(self, other: "Energy") -> "Energy":
        return Energy(
            *(own + more for own, more in zip(astuple(self), astuple(other), strict=True))
        )


@dataclass(frozen=True)
class WorkEnergy:
    """pJ for a unit of work: by the parts of ``Energy``, and by the blocks of the netlist.

    A block has what all its instances take; what is in no block is in ``top``.
    """

    parts: dict[str, float]
    blocks: dict[str, float]

    @property
    def total(self) -> float:
        return round(sum(self.parts.values()), 6)


def energy_per_work(
    netlist: Netlist,
    library: Library,
    ports: Sequence[Port],
    simulated: SimulationResult,
    period_ps: float,
    folder: Path,
) -> dict[str, WorkEnergy]:
    """Energy of a unit of work by the operands of a stretch, that of the throughput first.

    Memories are not in it. Empty if the testbench does not say in which cycles the work is done,
    or if the netlist has what is not simulated here. What was found before is taken from
    ``folder``. Raises ReplayError if an output differs from the recording.
    """
    bits = sum(memory.bits for memory in memories(netlist.flat))
    if simulated.first_cycle is None or not simulated.work or bits > LARGEST_MEMORY:
        return {}
    main = {"first_cycle": simulated.first_cycle, "cycles": simulated.cycles}
    told = simulated.stretches or {UNIFORM: main | {"work": simulated.work}}
    stretches = [
        Stretch(each["first_cycle"], min(each["cycles"], LONGEST_STRETCH)) for each in told.values()
    ]
    stimulus = stimulus_file(simulated)

    def build(unfinished: Path) -> None:
        module = without_memories(netlist.flat, library, unfinished) if bits else netlist.flat
        counted = count_toggles(module, library, ports, stimulus, stretches, unfinished)
        found = [
            energy_by_block(module, library, toggles, stretch.cycles, period_ps)
            for stretch, toggles in zip(stretches, counted, strict=True)
        ]
        text = [{block: asdict(energy) for block, energy in each.items()} for each in found]
        (unfinished / "energy.json").write_text(json.dumps(text))

    key = _key(netlist, library, stimulus, stretches, period_ps)
    try:
        made = build_once(folder / f"energy-{key}", build)
    except UnsupportedError:
        return {}
    saved = json.loads((made / "energy.json").read_text())
    found = {}
    for (operands, each), stretch, blocks in zip(told.items(), stretches, saved, strict=True):
        work = each["work"] * stretch.cycles / each["cycles"]
        found[operands] = _of_work({name: Energy(**parts) for name, parts in blocks.items()}, work)
    return found


def operations_per_joule(unit: str, pj_per_work: float | None) -> float | None:
    """Of work in ``unit``; None if that is no multiply-add, or the energy is not known."""
    operations = OPERATIONS.get(unit)
    if operations is None or not pj_per_work:
        return None
    return operations / (pj_per_work * 1e-12)


def _of_work(blocks: Mapping[str, Energy], work: float) -> WorkEnergy:
    def share(energy_fj: float) -> float:
        return round(energy_fj / work / _FJ_PER_PJ, 6)

    together = asdict(sum(blocks.values(), Energy()))
    return WorkEnergy(
        parts={name: share(value) for name, value in together.items()},
        blocks={name: share(energy.total) for name, energy in sorted(blocks.items())},
    )


def _key(
    netlist: Netlist,
    library: Library,
    stimulus: Path,
    stretches: Sequence[Stretch],
    period_ps: float,
) -> str:
    """Fingerprint of all that shapes the energy; of the library, what it says of these cells."""
    used = sorted({instance["type"] for instance in netlist.flat["cells"].values()})
    cells = [library.cells[name] for name in used if name in library.cells]
    names = ("energy.py", "gates.py", "timing.py", "toggles.py", "wires.py")
    sources = (SOURCE, *(Path(__file__).with_name(name) for name in names))
    # The blocks of the cells are in the flat netlist alone.
    blocks = [_block(instance) for instance in netlist.flat["cells"].values()]
    return fingerprint(
        fingerprint_files([netlist.verilog, stimulus, *sources]),
        *(repr(each) for each in (cells, library.voltage, stretches, period_ps, blocks)),
    )


def energy_of(
    module: Mapping[str, Any], library: Library, toggles: Toggles, cycles: int, period_ps: float
) -> Energy:
    """What ``toggles`` take, in ``cycles`` of ``period_ps`` each.

    An output port has the load that it has in timing.
    """
    return sum(energy_by_block(module, library, toggles, cycles, period_ps).values(), Energy())


def energy_by_block(
    module: Mapping[str, Any], library: Library, toggles: Toggles, cycles: int, period_ps: float
) -> dict[str, Energy]:
    """Like ``energy_of``, by the block of each cell of a flat module of Yosys' JSON.

    A block takes what charges the nets that its cells drive, and what the clock takes in its
    registers. In ``top`` are also the nets that input ports and memories drive.
    """
    half_square = library.voltage**2 / 2
    loads, counts = net_loads(module, library), connections(module, library)
    wire = connection_ff(module, library)
    clock_net = module["ports"].get(CLOCK, {"bits": [None]})["bits"][0]
    clock_edges = half_square * 2 * cycles
    found = {TOP: Energy()}
    drivers: dict[int, str] = {}

    def add(block: str, **parts: float) -> None:
        found[block] = found.get(block, Energy()) + Energy(**parts)

    for name, instance in module["cells"].items():
        cell = library.cells.get(instance["type"])
        if cell is None:
            continue
        block = _block(instance)
        pins = instance["connections"]
        drivers |= {net: block for pin in cell.outputs for net in pins.get(pin.name, ())}
        outputs = [toggles.outputs[name, pin.name] for pin in cell.outputs]
        inside = sum(toggles.alone.get((name, pin.name), 0) * pin.energy_fj for pin in cell.inputs)
        clock = clock_wires = 0.0
        if cell.register:
            # Its outputs move together, and the figure of each is of that one event.
            inside += cell.internal_energy_fj * max(outputs)
            clock = 2 * cycles * cell.pin(cell.register.clock).energy_fj
        else:
            energies = (pin.energy_fj for pin in cell.outputs)
            inside += sum(count * each for count, each in zip(outputs, energies, strict=True))
        for pin in cell.inputs:
            if clock_net in pins.get(pin.name, ()):
                clock += clock_edges * pin.capacitance_ff
                clock_wires += clock_edges * wire
        leakage = cell.leakage_nw * period_ps * cycles * _LEAKAGE_FJ
        add(block, cells=inside, wires=clock_wires, clock=clock, leakage=leakage)
    for net, load in loads.items():
        charges = half_square * toggles.nets.get(net, 0)
        add(drivers.get(net, TOP), nets=charges * load, wires=charges * wire * counts[net])
    return found


def _block(instance: Mapping[str, Any]) -> str:
    return str(instance.get("attributes", {}).get(BLOCK, TOP))
