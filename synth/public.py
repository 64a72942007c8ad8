"""Configurations beside public designs of the same purpose, mapped with the same scripts."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hdl.datapath import Reference, find_datapath
from hdl.export import TOP
from sim.cache import locked
from sim.paths import configuration_folder
from sim.ports import top_ports
from sim.run import stimulus_file
from synth.cost import LIBRARIES, NotVerifiedError, verified
from synth.libraries import IN_PDK, Choice, load_library
from synth.netlist import compose, unmapped
from synth.reference import Mapped, map_design
from synth.replay import replay


@dataclass(frozen=True)
class Beside:
    """What one script makes of a configuration, beside what it made of a public design.

    library: what the configuration was mapped to, as in ``Cost``; the public design was mapped to
    the full library of ``public_library``. spread: the worst ordering over the best. delay_ns: as
    ABC states it. netlist_checks: outputs compared in the replay of this very netlist. Ratios are
    the configuration over the public design.
    """

    datapath: str
    config: str
    library: str
    script: str
    area_um2: float
    delay_ns: float
    spread: float
    netlist_checks: int
    circuit: str
    name: str
    source: str
    public_library: str
    public_area_um2: float
    public_delay_ns: float
    area_ratio: float
    delay_ratio: float


def references(datapath: str, config: str, choice: Choice) -> list[Reference]:
    """The public designs that a configuration is set beside, in the chosen process."""
    own = [each for each in find_datapath(datapath).references if each.config == config]
    return [each for each in own if each.library == _process(choice)]


@cache
def _process(choice: Choice) -> str:
    """The built-in name of the process; a file of a user's is known by what it calls itself."""
    if choice.process in IN_PDK:
        return choice.process
    name = load_library(choice.source, LIBRARIES)[0].name
    stems = {Path(place).stem: process for process, places in IN_PDK.items() for place in places}
    return stems.get(name, choice.process)


def set_beside(datapath: str, config: str, choice: Choice) -> list[Beside]:
    """Map a configuration by both scripts, replay both netlists, and set them beside each design.

    Raises NotVerifiedError if its simulation fails, ReplayError if a netlist differs from it.
    """
    simulated, rtlil = verified(find_datapath(datapath), config)
    library, liberty = load_library(choice.source, LIBRARIES)
    folder = configuration_folder(datapath, config) / "synth"
    found = []
    with locked(folder / ".lock"):
        for script, mapped in map_design(rtlil, library, liberty).items():
            place = folder / f"{choice.label}-{script}"
            place.mkdir(parents=True, exist_ok=True)
            netlist = compose({TOP: mapped.file}, library, place)
            if foreign := unmapped(netlist.flat, library):
                raise NotVerifiedError(f"cells outside the library are left: {', '.join(foreign)}")
            stimulus = stimulus_file(simulated)
            checks = replay(netlist.verilog, top_ports(rtlil), [], stimulus, place)
            found += [
                _beside(datapath, choice, mapped, checks, simulated.circuit, each, public)
                for each in references(datapath, config, choice)
                if (public := getattr(each, script)) is not None
            ]
    return found


def _beside(
    datapath: str,
    choice: Choice,
    mapped: Mapped,
    checks: int,
    circuit: str,
    reference: Reference,
    public: tuple[float, float],
) -> Beside:
    area, delay = public
    return Beside(
        datapath=datapath,
        config=reference.config,
        library=choice.label,
        script=mapped.script,
        area_um2=mapped.area_um2,
        delay_ns=mapped.delay_ns,
        spread=mapped.spread,
        netlist_checks=checks,
        circuit=circuit,
        name=reference.name,
        source=reference.source,
        public_library=reference.library,
        public_area_um2=area,
        public_delay_ns=delay,
        area_ratio=round(mapped.area_um2 / area, 4),
        delay_ratio=round(mapped.delay_ns / delay, 4),
    )
