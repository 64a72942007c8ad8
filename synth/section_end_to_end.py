"""The section of the report that sets a datapath beside the same work in software."""

from collections.abc import Sequence
from html import escape

from synth.evidence import Entry, grouped
from synth.markup import NUMBER, TEXT, cell, labels, number, paragraph, table

HEADINGS = [
    ("what", TEXT),
    ("", TEXT),
    ("rows/s", NUMBER),
    ("of the fastest", NUMBER),
    ("how", TEXT),
]


def end_to_end(entries: Sequence[Entry]) -> str:
    """A table for each datapath, the fastest first; only what one run found, the last one."""
    if not entries:
        return ""
    parts = [
        f"<h2>End to end {labels('measured', 'simulated', 'published')}</h2>",
        paragraph(
            "The same rows through the circuit and through software, every value equal. The "
            "rate of a circuit is its cycles a row, counted, at the clock that the line states.",
            "soft",
        ),
    ]
    for datapath, recorded in grouped(entries, lambda each: each["datapath"]):
        latest = max(each.get("made", "") for each in recorded)
        own = [each for each in recorded if each.get("made", "") == latest]
        fastest = max(each["rows_per_second"] for each in own)
        ordered = sorted(own, key=lambda each: -each["rows_per_second"])
        parts.append(f"<h3>{escape(datapath)}</h3>")
        parts.append(table(HEADINGS, (_row(each, fastest) for each in ordered)))
    return "\n".join(parts)


def _row(each: Entry, fastest: float) -> list[str]:
    return [
        cell(each["what"]),
        cell(each["kind"]),
        number(f"{each['rows_per_second']:,.0f}"),
        number(f"1/{fastest / each['rows_per_second']:,.0f}"),
        cell(each["note"]),
    ]
