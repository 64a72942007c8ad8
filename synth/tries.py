"""Area and delay of every circuit that a configuration's largest block was mapped to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hdl.datapath import Datapath
from hdl.export import export
from sim.cache import fingerprint
from synth.blocks import cut
from synth.cost import Cost, map_blocks
from synth.libraries import Choice

BASELINE, CANDIDATE, OTHER = "baseline", "candidate", "other"
#: What RTLIL says of the top module.
_TOP = "attribute \\top 1\n"
_ROLES = (BASELINE, CANDIDATE, OTHER)


@dataclass(frozen=True)
class Tries:
    """All circuits of one block; fields without a remark are as in ``Cost``.

    block: the one that takes most of the configuration's area, such as the processing element.
    key: fingerprint of what was mapped. role: "baseline" or "candidate" of a comparison, or
    "other". points: µm² for a unit of work a cycle, all instances together, and critical path in
    ps of the block by itself.
    """

    datapath: str
    config: str
    library: str
    block: str
    key: str
    role: str
    unit: str
    points: list[tuple[float, float]]
    netlist_checks: int
    circuit: str


def all_tries(
    datapath: Datapath, cost: Cost, choice: Choice, clocks: Sequence[float]
) -> Tries | None:
    """The circuits of the largest block of a configuration that was mapped before.

    ``clocks``: those ABC was told then. None if the configuration did no work.
    """
    per_cycle = cost.work_per_second * cost.clock_ps * 1e-12
    if not cost.blocks or not per_cycle:
        return None
    name, size = max(
        cost.blocks.items(), key=lambda each: each[1]["instances"] * each[1]["area_um2"]
    )
    blocks = cut(export(datapath.configuration(cost.config).build()))
    largest = [each for each in blocks if each.name == name]
    (mapped,) = map_blocks(largest, choice, clocks)
    count = size["instances"] / per_cycle
    return Tries(
        datapath=datapath.name,
        config=cost.config,
        library=cost.library,
        block=name,
        # The same for a unit that is placed and for one that is all there is.
        key=fingerprint(mapped.block.text.replace(_TOP, "")),
        role=_role(datapath, cost.config),
        unit=cost.unit,
        points=[(round(each.area_um2 * count, 2), each.period_ps) for each in mapped.tries],
        netlist_checks=cost.netlist_checks,
        circuit=cost.circuit,
    )


def distinct(found: Iterable[Tries]) -> list[Tries]:
    """Each block once, though many configurations have it; in a comparison, if it is in any."""
    by_key: dict[tuple[str, str], Tries] = {}
    for each in sorted(found, key=lambda each: (_ROLES.index(each.role), each.config)):
        by_key.setdefault((each.library, each.key), each)
    return list(by_key.values())


def _role(datapath: Datapath, config: str) -> str:
    if any(config == comparison.baseline for comparison in datapath.comparisons):
        return BASELINE
    if any(config == comparison.candidate for comparison in datapath.comparisons):
        return CANDIDATE
    return OTHER
