"""Energy of a netlist during a stretch of its recorded run, from the transitions of its nets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim.cache import build_once, fingerprint, fingerprint_files
from sim.ports import Port
from sim.run import SimulationResult, stimulus_file
from synth.gates import UnsupportedError, without_memories
from synth.library import Library
from synth.netlist import CLOCK, Netlist, memories
from synth.timing import net_loads
from synth.toggles import SOURCE, Stretch, Toggles, count_toggles

#: Cycles counted at most; of a longer stretch, these are its first.
LONGEST_STRETCH = 20_000
#: Bits of memory beyond which the contents are not simulated gate by gate.
LARGEST_MEMORY = 1 << 16

_FJ_PER_PJ = 1e3
#: nW times ps, in fJ.
_LEAKAGE_FJ = 1e-6


@dataclass(frozen=True)
class Energy:
    """In fJ, over all cycles of a stretch.

    cells: inside the cells, by transitions of their outputs, and of inputs that leave these as
    they are. nets: charging what the nets drive. clock: both edges of every cycle, inside the
    registers and at their clock pins, with an ideal clock tree. leakage: over the time it takes.
    """

    cells: float
    nets: float
    clock: float
    leakage: float

    @property
    def total(self) -> float:
        return self.cells + self.nets + self.clock + self.leakage


def energy_per_work(
    netlist: Netlist,
    library: Library,
    ports: Sequence[Port],
    simulated: SimulationResult,
    period_ps: float,
    folder: Path,
) -> dict[str, float] | None:
    """pJ for a unit of work, by the parts of ``Energy``; memories are not in it.

    None if the testbench does not say in which cycles the work is done, or if the netlist has
    what is not simulated here. What was found before is taken from ``folder``. Raises ReplayError
    if an output differs from the recording.
    """
    bits = sum(memory.bits for memory in memories(netlist.flat))
    if simulated.first_cycle is None or not simulated.work or bits > LARGEST_MEMORY:
        return None
    stretch = Stretch(simulated.first_cycle, min(simulated.cycles, LONGEST_STRETCH))
    stimulus = stimulus_file(simulated)

    def build(unfinished: Path) -> None:
        module = without_memories(netlist.flat, library, unfinished) if bits else netlist.flat
        toggles = count_toggles(module, library, ports, stimulus, stretch, unfinished)
        energy = energy_of(module, library, toggles, stretch.cycles, period_ps)
        (unfinished / "energy.json").write_text(json.dumps(asdict(energy)))

    key = _key(netlist, library, stimulus, stretch, period_ps)
    try:
        made = build_once(folder / f"energy-{key}", build)
    except UnsupportedError:
        return None
    work = simulated.work * stretch.cycles / simulated.cycles
    parts: dict[str, float] = json.loads((made / "energy.json").read_text())
    return {name: round(value / work / _FJ_PER_PJ, 6) for name, value in parts.items()}


def _key(
    netlist: Netlist, library: Library, stimulus: Path, stretch: Stretch, period_ps: float
) -> str:
    """Fingerprint of all that shapes the energy; of the library, what it says of these cells."""
    used = sorted({instance["type"] for instance in netlist.flat["cells"].values()})
    cells = [library.cells[name] for name in used if name in library.cells]
    names = ("energy.py", "gates.py", "timing.py", "toggles.py")
    sources = (SOURCE, *(Path(__file__).with_name(name) for name in names))
    return fingerprint(
        fingerprint_files([netlist.verilog, stimulus, *sources]),
        *(repr(each) for each in (cells, library.voltage, stretch, period_ps)),
    )


def energy_of(
    module: Mapping[str, Any], library: Library, toggles: Toggles, cycles: int, period_ps: float
) -> Energy:
    """What ``toggles`` take, in ``cycles`` of ``period_ps`` each.

    Wires have no capacitance, as in timing; an output port has the load that it has there.
    """
    half_square = library.voltage**2 / 2
    loads = net_loads(module, library)
    clock_net = module["ports"].get(CLOCK, {"bits": [None]})["bits"][0]
    inside = clock = leakage = 0.0
    for name, instance in module["cells"].items():
        cell = library.cells.get(instance["type"])
        if cell is None:
            continue
        leakage += cell.leakage_nw
        counts = [toggles.outputs[name, pin.name] for pin in cell.outputs]
        if cell.register:
            # Its outputs move together, and the figure of each is of that one event.
            inside += cell.internal_energy_fj * max(counts)
            clock += 2 * cycles * cell.pin(cell.register.clock).energy_fj
        else:
            energies = (pin.energy_fj for pin in cell.outputs)
            inside += sum(count * each for count, each in zip(counts, energies, strict=True))
        for pin in cell.inputs:
            inside += toggles.alone.get((name, pin.name), 0) * pin.energy_fj
    nets = sum(half_square * load * toggles.nets.get(net, 0) for net, load in loads.items())
    clock += half_square * loads.get(clock_net, 0.0) * 2 * cycles
    return Energy(inside, nets, clock, leakage * period_ps * cycles * _LEAKAGE_FJ)
