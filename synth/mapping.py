"""Maps one block to gates many times over, and keeps the best circuit.

ABC's result depends on the script and on the order in which it meets the gates, so one mapping
proves nothing: every script runs on several orderings, with and without full-adder cells, and
every circuit that is compared gets the same number of tries.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sim.cache import build_once, fingerprint, fingerprint_files
from sim.tools import run_yosys, versions
from synth.blocks import BLOCK, Block
from synth.libraries import dont_use_options
from synth.library import Library
from synth.netlist import cell_area, read_module, with_registered_inputs
from synth.scripts import AREA, CLOCK, SCRIPTS, abc_argument
from synth.targets import Target
from synth.timing import critical_path

#: Orderings tried of a block that is instantiated many times, and of one that is not, or is large:
#: more than so many bytes of RTLIL, of which a mapping takes seconds and chance decides less. Of a
#: huge one a mapping takes more than a minute.
ORDERINGS_REPEATED = 4
ORDERINGS_SINGLE = 2
ORDERINGS_HUGE = 1
LARGE_BLOCK = 250_000
HUGE_BLOCK = 2_000_000

#: How RTLIL begins the module of a full adder.
FULL_ADDER = "module \\full_adder\n"

#: Part of a clock period that is left for logic when ABC is told the period: the rest is for the
#: register's own times, which ABC does not see.
LOGIC_SHARE = 0.85

#: Parts of the clock period that a block may use by itself: in place, its outputs drive more.
SHARES = (1.0, 0.95, 0.9, 0.85, 0.8)


@dataclass(frozen=True)
class Try:
    """One way to map a block, and what came of it."""

    adders: str
    script: str
    ordering: int
    area_um2: float
    period_ps: float

    @property
    def stem(self) -> str:
        return f"{self.adders}-{self.script}-{self.ordering}"


@dataclass(frozen=True)
class Mappings:
    """All circuits a block was mapped to, in ``folder``."""

    block: Block
    tries: tuple[Try, ...]
    folder: Path

    def options(self, target: Target) -> list[Try]:
        """Circuits worth trying in place, for a clock from the smallest to ever faster ones.

        Scripts for area leave inputs that drive much without buffers, at the expense of whatever
        drives the block: a circuit of theirs may reach the clock alone and break it in place.
        """
        if target.period_ps is None:
            return [_smallest(self.competing(target))]
        found = [
            [each for each in self.tries if each.period_ps <= share * target.period_ps]
            for share in SHARES
        ]
        sized = [[each for each in tries if each.script in CLOCK] for tries in found]
        chosen = [_smallest(tries) for tries in (found[0], *sized) if tries]
        fastest = min(self.tries, key=lambda each: each.period_ps)
        return list(dict.fromkeys([*chosen, fastest]))

    def competing(self, target: Target) -> list[Try]:
        """For area what the scripts that aim for it made; for a clock all that reach it."""
        if target.period_ps is None:
            return [each for each in self.tries if each.script in AREA]
        return [each for each in self.tries if each.period_ps <= target.period_ps]

    def file(self, chosen: Try) -> Path:
        """RTLIL of one circuit."""
        return self.folder / f"{chosen.stem}.il"

    def spread(self, target: Target) -> dict[str, float]:
        """How much the mapping decides: of the areas that competed.

        mappings: how many. worst_over_best: largest over smallest. orderings: the same, if only
        one ordering had been tried, with all scripts.
        """
        areas: dict[int, list[float]] = {}
        for each in self.competing(target):
            areas.setdefault(each.ordering, []).append(each.area_um2)
        if not areas:
            return {"mappings": 0, "worst_over_best": 1.0, "orderings": 1.0}
        best = [min(found) for found in areas.values()]
        return {
            "mappings": sum(len(found) for found in areas.values()),
            "worst_over_best": round(max(map(max, areas.values())) / min(best), 4),
            "orderings": round(max(best) / min(best), 4),
        }


def _smallest(tries: Sequence[Try]) -> Try:
    return min(tries, key=lambda each: each.area_um2)


def map_block(
    block: Block, repeated: bool, period_ps: float, library: Library, liberty: Path, folder: Path
) -> Mappings:
    """Map ``block`` in every way, with ``period_ps`` for the scripts that aim for a clock.

    A ``repeated`` block gets more tries. What was mapped before is taken from ``folder``.
    """
    plan = list(_plan(block, repeated, library))

    def build(unfinished: Path) -> None:
        _run(block, plan, period_ps, library, liberty, unfinished)
        tries = [_measure(unfinished, library, *way) for way in plan]
        (unfinished / "tries.json").write_text(json.dumps([asdict(each) for each in tries]))

    made = build_once(folder / _key(block, plan, period_ps, liberty), build)
    tries = json.loads((made / "tries.json").read_text())
    return Mappings(block, tuple(Try(**each) for each in tries), made)


def _plan(block: Block, repeated: bool, library: Library) -> Iterator[tuple[str, str, int]]:
    for adders in _adder_styles(block, library):
        for script in SCRIPTS:
            for ordering in range(_orderings(block, repeated)):
                yield adders, script, ordering


def _orderings(block: Block, repeated: bool) -> int:
    if len(block.text) > HUGE_BLOCK:
        return ORDERINGS_HUGE
    if repeated and len(block.text) <= LARGE_BLOCK:
        return ORDERINGS_REPEATED
    return ORDERINGS_SINGLE


def _adder_styles(block: Block, library: Library) -> tuple[str, ...]:
    """Without full adders in the block there is nothing to make cells of."""
    return ("cells", "gates") if library.full_adder and FULL_ADDER in block.text else ("gates",)


def _key(block: Block, plan: list, period_ps: float, liberty: Path) -> str:
    sources = [Path(__file__).with_name(name) for name in ("mapping.py", "timing.py")]
    inputs = fingerprint_files([liberty, *sources])
    ways = (str(plan), str(SCRIPTS), str(period_ps), dont_use_options())
    return fingerprint(block.key, *ways, inputs, str(versions()))


def _run(
    block: Block,
    plan: list[tuple[str, str, int]],
    period_ps: float,
    library: Library,
    liberty: Path,
    folder: Path,
) -> None:
    source = folder / "block.il"
    source.write_text(block.text)
    avoid = dont_use_options()
    commands = []
    for adders in _adder_styles(block, library):
        commands += [
            *("design -reset", f"read_rtlil {source}", f"hierarchy -check -top {BLOCK}"),
            "setattr -unset init w:*",  # gates have no initial value; a reset must do
            *_full_adder_commands(adders, library, folder),
            *("proc", "flatten", "opt -full", "memory -nomap", "opt_clean"),
            *("techmap", "opt -full", f"dfflibmap -liberty {liberty} {avoid}"),
            *("opt -full", "opt_clean -purge", f"design -save {adders}"),
        ]
    # A register drives each input, which ABC should know to be no stronger than a small gate.
    constraints = folder / "drive.constr"
    constraints.write_text(f"set_driving_cell {library.inverter.name}\nset_load 10 [fF]\n")
    period = LOGIC_SHARE * period_ps
    high, low = library.tie_high, library.tie_low
    ties = f"-hicell {high[0].name} {high[1]} -locell {low[0].name} {low[1]}"
    for adders, script, ordering in plan:
        commands += [
            f"design -load {adders}",
            *([f"rename -scramble-name -seed {ordering}", "sort"] if ordering else []),
            f"abc -liberty {liberty} {avoid} -constr {constraints} "
            f"-script {abc_argument(SCRIPTS[script], period)}",
            *(f"hilomap -singleton {ties}", "opt_clean -purge"),
            f"write_rtlil {folder}/{adders}-{script}-{ordering}.il",
            f"write_json {folder}/{adders}-{script}-{ordering}.json",
        ]
    run_yosys(commands, folder / "yosys.log")


def _full_adder_commands(adders: str, library: Library, folder: Path) -> list[str]:
    """Replace the full adders of compressor trees by the library's cell, which ABC never finds."""
    cell = library.full_adder
    if adders == "gates" or cell is None:
        return []
    pins = zip((*cell.inputs, cell.sum, cell.carry), ("a", "b", "c", "sum", "carry"), strict=True)
    connections = ", ".join(f".{pin}({port})" for pin, port in pins)
    file = folder / "full_adder.v"
    file.write_text(
        "module full_adder(input a, input b, input c, output sum, output carry);\n"
        f"  {cell.cell.name} cell ({connections});\nendmodule\n"
    )
    return [f"techmap -map {file}"]


def _measure(folder: Path, library: Library, adders: str, script: str, ordering: int) -> Try:
    file = folder / f"{adders}-{script}-{ordering}.json"
    module = read_module(file, BLOCK)
    file.unlink()  # large, and the RTLIL beside it says the same
    area = sum(cell_area(module, library).values())
    period = critical_path(with_registered_inputs(module, library), library).period_ps
    return Try(adders, script, ordering, round(area, 4), round(period, 1))
