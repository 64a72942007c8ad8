"""Maps a whole circuit with the two scripts that public designs were mapped with.

Unlike in ``mapping.py`` the design is flattened, and nothing is chosen for it but the best of a
few orderings, so that what is set beside a public design got no more effort than that did. To
explore a circuit, without a replay of its netlist:

    python -m synth.reference ent pe-int8-acc32-booth-pe-pe [--library sg13g2] [--liberty FILE]

or, for a component that is no configuration, ``map_reference(export(component))``.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hdl.datapath import find_datapath
from hdl.export import TOP, export
from sim.cache import build_once, fingerprint, fingerprint_files
from sim.console import run_command
from sim.paths import BUILD
from sim.tools import ToolError, run_yosys, versions
from synth.libraries import choose, dont_use_options, load_library
from synth.library import Library
from synth.netlist import cell_area, read_module

MAPPINGS = BUILD / "references"
LIBRARIES = BUILD / "libraries"

#: ABC scripts; the public designs' figures are of exactly these.
SCRIPTS = {
    "smallest": "+strash;ifraig;scorr;dc2;dc2;dch,-f;amap;topo;stime,-p",
    "fastest": (
        "+strash;ifraig;scorr;dc2;dch,-f;map,-B,0.9,-D,1;topo;buffer,-c;upsize,-D,1;dnsize;stime,-p"
    ),
}
ORDERINGS = 3

_MEMORY = re.compile(r"^  (?:memory|cell \$mem)", re.MULTILINE)
#: The summary of ``stime``; colours may stand between its parts.
_STIME = re.compile(r"ABC:.*\bArea\b.*\bDelay\s*=\s*([\d.]+)\s*ps")


@dataclass(frozen=True)
class Try:
    """What one script made of one ordering."""

    ordering: int
    area_um2: float
    delay_ns: float


@dataclass(frozen=True)
class Mapped:
    """What one script made of a circuit.

    area_um2: of all cells. delay_ns: the longest path as ABC's ``stime`` states it: gates alone,
    without the times of registers. Both are of the best ordering, by what the script is for.
    spread: the worst ordering over the best, by the same. file: RTLIL of the best.
    """

    script: str
    area_um2: float
    delay_ns: float
    tries: tuple[Try, ...]
    file: Path

    @property
    def spread(self) -> float:
        figures = [_aim(self.script, each) for each in self.tries]
        return round(max(figures) / min(figures), 4) if min(figures) else 1.0


def map_reference(
    rtlil: str, library: str = "sky130hd", liberty: str = "", folder: Path = MAPPINGS
) -> dict[str, Mapped]:
    """Map an exported design by both scripts; ``library`` and ``liberty`` as for ``make synth``.

    What was mapped before is taken from ``folder``. Raises ValueError if the design has memories,
    which these scripts would turn into flip-flops, or if there is no such library.
    """
    cells, file = load_library(choose(library, liberty, "").source, LIBRARIES)
    return map_design(rtlil, cells, file, folder)


def map_design(
    rtlil: str, library: Library, liberty: Path, folder: Path = MAPPINGS
) -> dict[str, Mapped]:
    """Like ``map_reference``, with a library that is loaded."""
    if _MEMORY.search(rtlil):
        raise ValueError("a design with memories cannot be set beside public designs")
    sources = fingerprint_files([liberty, Path(__file__)])
    key = fingerprint(rtlil, sources, dont_use_options(), str(versions()))

    def build(unfinished: Path) -> None:
        _run(rtlil, library, liberty, unfinished)
        delays = iter(_delays(unfinished / "yosys.log"))
        tries = {
            script: [
                asdict(_measure(unfinished, library, script, ordering, next(delays)))
                for ordering in range(ORDERINGS)
            ]
            for script in SCRIPTS
        }
        (unfinished / "tries.json").write_text(json.dumps(tries))

    made = build_once(folder / key, build)
    tries = json.loads((made / "tries.json").read_text())
    return {
        script: _best(script, [Try(**each) for each in found], made)
        for script, found in tries.items()
    }


def _run(rtlil: str, library: Library, liberty: Path, folder: Path) -> None:
    source = folder / "top.il"
    source.write_text(rtlil)
    avoid = dont_use_options()
    high, low = library.tie_high, library.tie_low
    ties = f"-hicell {high[0].name} {high[1]} -locell {low[0].name} {low[1]}"
    commands = [
        *(f"read_rtlil {source}", f"hierarchy -check -top {TOP}"),
        "setattr -unset init w:*",  # gates have no initial value; a reset must do
        "setattr -mod -unset keep_hierarchy =*",  # public designs were flattened too
        f"synth -flatten -booth -top {TOP}",
        *(f"dfflibmap -liberty {liberty} {avoid}", "opt_clean -purge", "design -save generic"),
    ]
    for script, text in SCRIPTS.items():
        for ordering in range(ORDERINGS):
            commands += [
                "design -load generic",
                *([f"rename -scramble-name -seed {ordering}", "sort"] if ordering else []),
                f"abc -liberty {liberty} {avoid} -script {text}",
                *(f"hilomap -singleton {ties}", "opt_clean -purge"),
                f"write_rtlil {folder}/{script}-{ordering}.il",
                f"write_json {folder}/{script}-{ordering}.json",
            ]
    run_yosys(commands, folder / "yosys.log")


def _delays(log: Path) -> list[float]:
    """The delay in ns that each run of ABC stated at its end, in the order of the runs."""
    found = [float(delay) / 1000 for delay in _STIME.findall(log.read_text(errors="replace"))]
    if len(found) != len(SCRIPTS) * ORDERINGS:
        raise ToolError(f"ABC stated {len(found)} delays; expected {len(SCRIPTS) * ORDERINGS}")
    return found


def _measure(folder: Path, library: Library, script: str, ordering: int, delay_ns: float) -> Try:
    file = folder / f"{script}-{ordering}.json"
    area = sum(cell_area(read_module(file, TOP), library).values())
    file.unlink()  # large, and the RTLIL beside it says the same
    return Try(ordering, round(area, 2), round(delay_ns, 3))


def _best(script: str, tries: Sequence[Try], folder: Path) -> Mapped:
    best = min(tries, key=lambda each: _aim(script, each))
    file = folder / f"{script}-{best.ordering}.il"
    return Mapped(script, best.area_um2, best.delay_ns, tuple(tries), file)


def _aim(script: str, tried: Try) -> float:
    """The figure that the script is to make small."""
    return tried.area_um2 if script == "smallest" else tried.delay_ns


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m synth.reference", description=__doc__)
    parser.add_argument("datapath")
    parser.add_argument("config")
    parser.add_argument("--library", default="sky130hd")
    parser.add_argument("--liberty", default="")
    options = parser.parse_args()
    try:
        circuit = find_datapath(options.datapath).configuration(options.config).build()
        found = map_reference(export(circuit), options.library, options.liberty)
        choice = choose(options.library, options.liberty, "")
    except (ToolError, ValueError) as error:
        print(f"assay: {error}", file=sys.stderr)
        return 2
    print(f"cells: {choice.description}; not replayed, for exploration only")
    for script, mapped in found.items():
        tries = ", ".join(f"{each.area_um2:,.0f} / {each.delay_ns:.2f}" for each in mapped.tries)
        print(
            f"{script:8}  {mapped.area_um2:9,.0f} µm²  {mapped.delay_ns:6.2f} ns  "
            f"spread {mapped.spread - 1:+.1%}  (orderings: {tries})"
        )
    return 0


if __name__ == "__main__":
    run_command(main)
