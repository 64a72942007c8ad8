"""The section of the report that shows all circuits there were to choose from."""

from collections.abc import Sequence
from html import escape

from synth.evidence import Entry, grouped
from synth.markup import count, labels, paragraph
from synth.pareto_figure import STYLES, Group, pareto_chart


def pareto(entries: Sequence[Entry]) -> str:
    """A plot of area against delay for each datapath and library."""
    if not entries:
        return ""
    parts = [
        f"<h2>Area and delay {labels('mapped')}</h2>",
        paragraph(
            "Every circuit that the largest block of a configuration was mapped to, such as its "
            "processing element: all scripts and orderings. Area is that of all instances of the "
            "block for one unit of work a cycle. The delay is the block's by itself: in place, "
            "its outputs drive more.",
            "soft",
        ),
    ]
    groups = grouped(entries, lambda each: (each["datapath"], each["library"]))
    for index, ((datapath, library), own) in enumerate(groups):
        drawn = circuits(own)
        if not drawn:
            continue
        shown = "; ".join(
            f"{count(sum(each['role'] == group.name for each in own), f'{group.name} block')}, "
            f"{count(len(group.points), 'circuit')}"
            for group in drawn
        )
        caption = f"{shown}. Lines are the fronts: nothing is both smaller and faster."
        chart = pareto_chart(f"pareto{index}", own[0]["unit"], drawn)
        parts.append(
            f"<h3>{escape(datapath)}, {escape(library)}</h3>"
            f'<figure><div class="scroll">{chart}</div>'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    return "\n".join(parts)


def circuits(entries: Sequence[Entry]) -> list[Group]:
    """All circuits, by what they are in comparisons."""
    return [
        Group(role, *style, tuple((area, delay) for area, delay in points))
        for role, style in STYLES.items()
        if (
            points := [
                point for each in entries if each["role"] == role for point in each["points"]
            ]
        )
    ]
