"""The section of the report that sets circuits beside public designs."""

from collections.abc import Sequence
from html import escape

from synth.evidence import Entry, grouped
from synth.markup import (
    NUMBER,
    TEXT,
    cell,
    labels,
    natural,
    number,
    paragraph,
    signed_percent,
    table,
)

HEADINGS = [
    ("configuration", TEXT),
    ("script", TEXT),
    ("area µm²", NUMBER),
    ("delay ns", NUMBER),
    ("spread", NUMBER),
    ("public design", TEXT),
    ("its area µm²", NUMBER),
    ("its delay ns", NUMBER),
    ("area, change", NUMBER),
    ("delay, change", NUMBER),
    ("netlist checks", NUMBER),
]


def public_designs(entries: Sequence[Entry]) -> str:
    """A table for each datapath and library."""
    if not entries:
        return ""
    parts = [
        f"<h2>Public designs {labels('mapped')}</h2>",
        paragraph(
            "Public designs, mapped by this project's authors with the same scripts. Whole "
            "designs, flattened, best of a few orderings; delays as ABC states them. The public "
            "designs were mapped with the full library of the process.",
            "soft",
        ),
    ]
    ordered = sorted(entries, key=lambda each: natural(each["config"]))
    for (datapath, library), own in grouped(
        ordered, lambda each: (each["datapath"], each["library"])
    ):
        parts.append(f"<h3>{escape(datapath)}, {escape(library)}</h3>")
        parts.append(table(HEADINGS, (_row(each) for each in own)))
        sources = {each["name"]: each["source"] for each in own if each["source"]}
        parts += [paragraph(f"{name}: {source}", "soft") for name, source in sources.items()]
    return "\n".join(parts)


def _row(each: Entry) -> list[str]:
    return [
        cell(each["config"]),
        cell(each["script"]),
        number(f"{each['area_um2']:,.0f}"),
        number(f"{each['delay_ns']:.2f}"),
        number(signed_percent(each["spread"])),
        cell(each["name"]),
        number(f"{each['public_area_um2']:,.0f}"),
        number(f"{each['public_delay_ns']:.2f}"),
        *(
            number(signed_percent(ratio), mark="gain" if ratio < 1 else "loss" if ratio > 1 else "")
            for ratio in (each["area_ratio"], each["delay_ratio"])
        ),
        number(f"{each['netlist_checks']:,}"),
    ]
