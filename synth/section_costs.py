"""The section of the report on what each circuit costs."""

from collections.abc import Iterable, Sequence
from html import escape

from synth.evidence import Entry, goal, grouped, misses_clock
from synth.markup import (
    NUMBER,
    TEXT,
    cell,
    count,
    labels,
    natural,
    number,
    paragraph,
    percent,
    signed_percent,
    table,
    with_prefix,
)


def costs(entries: Sequence[Entry]) -> str:
    """Tables of all mapped circuits."""
    if not entries:
        return ""
    checks = sum(each["netlist_checks"] for each in entries)
    parts = [
        f"<h2>Cost {labels('mapped', 'simulated', 'estimated')}</h2>",
        paragraph(
            f"{count(len(entries), 'mapped circuit')}, each with its netlist replayed against the "
            f"simulation: {count(checks, 'output')} compared, all identical. A circuit that "
            "fails is not in this table.",
            "soft",
        ),
    ]
    ordered = sorted(entries, key=lambda each: natural(each["config"]))
    ordered.sort(key=lambda each: (each["datapath"], each["library"]))
    for (datapath, library), own in grouped(
        ordered, lambda each: (each["datapath"], each["library"])
    ):
        parts.append(f"<h3>{escape(datapath)}, {escape(library)}</h3>")
        parts += [_memory_note(own), _cost_table(own)]
    return "\n".join(parts)


def _memory_note(entries: Iterable[Entry]) -> str:
    for each in entries:
        if each["sram_bits"]:
            density = each["memory_um2"] / each["sram_bits"]
            text = f"Memories are estimated at {density:.1f} µm² a bit; they are not in the area."
            return paragraph(text, "soft")
    return ""


def _cost_table(entries: Sequence[Entry]) -> str:
    energy = any(each.get("energy_pj_per_work") is not None for each in entries)
    headings = [
        ("configuration", TEXT),
        ("target", TEXT),
        ("area µm²", NUMBER),
        ("NAND2 equivalents", NUMBER),
        ("cells", NUMBER),
        ("registers", NUMBER),
        ("SRAM bits", NUMBER),
        ("SRAM µm², estimated", NUMBER),
        ("critical path ns", NUMBER),
        ("work/s", NUMBER),
        *([("pJ/work", NUMBER)] if energy else []),
        ("block: best script", TEXT),
        ("mappings", NUMBER),
        ("spread: all", NUMBER),
        ("spread: orderings", NUMBER),
        ("netlist checks", NUMBER),
    ]
    return table(headings, (_cost_row(each, energy) for each in entries))


def _cost_row(cost: Entry, energy: bool) -> list[str]:
    missed = misses_clock(cost)
    spread = [cost["spread"].get(block, {}) for block in cost["script"]]
    joules = cost.get("energy_pj_per_work")
    return [
        cell(cost["config"]),
        cell(goal(cost["target"], cost)),
        number(f"{cost['area_um2']:,.0f}"),
        number(f"{cost['area_ge']:,.0f}"),
        number(f"{cost['cells']:,}"),
        number(percent(cost["sequential_um2"] / cost["area_um2"])),
        number(f"{cost['sram_bits']:,}"),
        number(f"{cost['memory_um2']:,.0f}"),
        number(
            f"{cost['critical_path_ps'] / 1000:.2f}",
            *(["misses the clock"] if missed else []),
            mark="bad" if missed else "",
        ),
        number(with_prefix(cost["work_per_second"], f"{cost['unit']}/s")),
        *([number("" if joules is None else f"{joules:.4g}")] if energy else []),
        cell(*(f"{block}: {script}" for block, script in cost["script"].items())),
        number(*(f"{each['mappings']:,}" if each else "" for each in spread)),
        *(
            number(*(signed_percent(each[kind], 0) if each else "" for each in spread))
            for kind in ("worst_over_best", "orderings")
        ),
        number(f"{cost['netlist_checks']:,}"),
    ]
