"""Maps one block to gates many times over, and keeps the best circuit.

ABC's result depends on the script and on the order in which it meets the gates, so one mapping
proves nothing: every script runs on several orderings, with and without full-adder cells, and
every circuit that is compared gets the same number of tries.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sim.cache import build_once, fingerprint, fingerprint_files
from sim.tools import run_yosys, versions
from synth.blocks import BLOCK, Block
from synth.libraries import dont_use_options
from synth.library import Library
from synth.netlist import cell_area, read_module
from synth.scripts import AREA, CLOCK, abc_argument
from synth.targets import OUTSIDE, Target
from synth.timing import Timing, critical_path

#: Orderings tried of a block that is instantiated many times, and of one that is not.
ORDERINGS_REPEATED = 6
ORDERINGS_SINGLE = 2

#: Part of a clock period that is left for logic when ABC is told the period: the rest is for the
#: register's own times, which ABC does not see.
LOGIC_SHARE = 0.85


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
class Mapped:
    """The best circuit of a block for one target. ``tries`` are all that competed."""

    block: Block
    best: Try
    tries: tuple[Try, ...]
    file: Path

    @property
    def worst_over_best(self) -> float:
        """Largest area of any try over the best one's."""
        return max(each.area_um2 for each in self.tries) / self.best.area_um2

    @property
    def ordering_spread(self) -> float:
        """How much the best of all scripts still depends on the ordering: largest over smallest."""
        orderings = {each.ordering for each in self.tries}
        best = [
            min(each.area_um2 for each in self.tries if each.ordering == ordering)
            for ordering in orderings
        ]
        return max(best) / min(best)


def map_block(
    block: Block, repeated: bool, target: Target, library: Library, liberty: Path, folder: Path
) -> Mapped:
    """The best of all mappings of ``block`` for ``target``; they are cached in ``folder``.

    With a clock target that is the smallest circuit that meets it, or else the fastest one.
    """
    scripts = AREA if target.period_ps is None else AREA | CLOCK
    plan = list(_plan(scripts, repeated, library))

    def build(unfinished: Path) -> None:
        _run(block, plan, scripts, target, library, liberty, unfinished)
        tries = [_measure(unfinished, library, *way) for way in plan]
        (unfinished / "tries.json").write_text(json.dumps([asdict(each) for each in tries]))

    made = build_once(folder / _key(block, plan, scripts, target, liberty), build)
    tries = tuple(Try(**each) for each in json.loads((made / "tries.json").read_text()))
    best = choose(tries, target)
    return Mapped(block, best, tries, made / f"{best.stem}.il")


def choose(tries: tuple[Try, ...], target: Target) -> Try:
    """The smallest try that meets the target, or the fastest if none does."""
    if target.period_ps is None:
        return min(tries, key=lambda each: each.area_um2)
    in_time = [each for each in tries if each.period_ps <= target.period_ps]
    if in_time:
        return min(in_time, key=lambda each: each.area_um2)
    return min(tries, key=lambda each: each.period_ps)


def _plan(
    scripts: dict[str, str], repeated: bool, library: Library
) -> Iterator[tuple[str, str, int]]:
    for adders in _adder_styles(library):
        for script in scripts:
            for ordering in range(ORDERINGS_REPEATED if repeated else ORDERINGS_SINGLE):
                yield adders, script, ordering


def _adder_styles(library: Library) -> tuple[str, ...]:
    return ("cells", "gates") if library.full_adder else ("gates",)


def _key(block: Block, plan: list, scripts: dict[str, str], target: Target, liberty: Path) -> str:
    sources = [Path(__file__).with_name(name) for name in ("mapping.py", "timing.py")]
    return fingerprint(
        block.key, str(plan), str(scripts), str(target), fingerprint_files([liberty, *sources]),
        str(versions()),
    )  # fmt: skip


def _run(
    block: Block,
    plan: list[tuple[str, str, int]],
    scripts: dict[str, str],
    target: Target,
    library: Library,
    liberty: Path,
    folder: Path,
) -> None:
    source = folder / "block.il"
    source.write_text(block.text)
    avoid = dont_use_options()
    commands = []
    for adders in _adder_styles(library):
        commands += [
            *("design -reset", f"read_rtlil {source}", f"hierarchy -check -top {BLOCK}"),
            "setattr -unset init w:*",  # gates have no initial value; a reset must do
            *_full_adder_commands(adders, library, folder),
            *("proc", "flatten", "opt -full", "memory -nomap", "opt_clean"),
            *("techmap", "opt -full", f"dfflibmap -liberty {liberty} {avoid}"),
            *("opt -full", "opt_clean -purge", f"design -save {adders}"),
        ]
    period = LOGIC_SHARE * (target.period_ps or 0.0)
    high, low = library.tie_high, library.tie_low
    ties = f"-hicell {high[0].name} {high[1]} -locell {low[0].name} {low[1]}"
    for adders, script, ordering in plan:
        commands += [
            f"design -load {adders}",
            *([f"rename -scramble-name -seed {ordering}", "sort"] if ordering else []),
            f"abc -liberty {liberty} {avoid} -script {abc_argument(scripts[script], period)}",
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
    return Try(adders, script, ordering, round(area, 4), round(_period(module, library), 1))


def _period(module: dict, library: Library) -> float:
    """The clock period the block allows, with room for the register that drives its inputs."""
    timing: Timing = critical_path(module, library)
    outside = max(timing.input_to_register_ps, timing.input_to_output_ps) / (1 - OUTSIDE)
    return max(timing.register_to_register_ps, timing.register_to_output_ps, outside)
