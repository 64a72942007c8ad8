"""Table of ``make synth`` with the energy of a unit of work by operands."""

from collections.abc import Sequence

from sim.console import Column, LiveTable
from synth.cost import Cost
from synth.energy import operations_per_joule


def show_energies(costs: Sequence[Cost]) -> None:
    """A line for each circuit whose testbench has several kinds of operands, if there are any."""
    shown = [each for each in costs if len(each.energy_by_operands or ()) > 1]
    if not shown:
        return
    operands = list(dict.fromkeys(kind for each in shown for kind in each.energy_by_operands or ()))
    columns = [
        Column("configuration", max(len(each.config) for each in shown), right=False),
        Column("target", max(6, *(len(each.target) for each in shown)), right=False),
        Column("clock ns", 8),
        *(Column(f"pJ {kind}", len(kind) + 3) for kind in operands),
        *(Column(f"GOPS/W {kind}", len(kind) + 7) for kind in operands),
        Column("clock's part", 12),
    ]
    print(
        "\nenergy of a unit of work by operands, at the clock of work/s; clock's part of the first"
    )
    with LiveTable(columns, len(shown), "energies") as table:
        for each in shown:
            table.add(_cells(each, operands))


def _cells(cost: Cost, operands: Sequence[str]) -> list[str]:
    found = {kind: sum(parts.values()) for kind, parts in (cost.energy_by_operands or {}).items()}
    per_joule = {kind: operations_per_joule(cost.unit, each) for kind, each in found.items()}
    clock = (cost.energy_parts or {}).get("clock", 0.0)
    return [
        cost.config,
        cost.target,
        f"{cost.clock_ps / 1000:.2f}",
        *(f"{found[kind]:.4g}" if kind in found else "-" for kind in operands),
        *(_giga(per_joule.get(kind)) for kind in operands),
        f"{clock / next(iter(found.values())):.0%}",
    ]


def _giga(per_joule: float | None) -> str:
    return "-" if per_joule is None else f"{per_joule / 1e9:,.0f}"
