"""The section of the report that sets policies of the E-BATCH runtime beside each other."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from synth.markup import NUMBER, TEXT, cell, labels, number, paragraph, percent, table

#: Where ``make policies`` leaves a table and a figure for each kind of lengths, and one of lanes.
FOLDER = "ebatch/experiment"
LANES = "lanes.svg"
#: What ``make serve`` leaves.
SERVING = "ebatch/serving/lines.json"

SATURATED = [
    ("policy", TEXT),
    ("r", NUMBER),
    ("throughput", NUMBER),
    ("lanes used", NUMBER),
    ("padding", NUMBER),
    ("layers loaded for 1,000 useful steps", NUMBER),
    ("µJ a sequence", NUMBER),
]
GAINS = [
    ("E-BATCH, backlog rule, over", TEXT),
    ("r", NUMBER),
    ("throughput", NUMBER),
    ("fewer loads", NUMBER),
    ("energy", NUMBER),
    ("", TEXT),
]
SERVED = [
    ("policy", TEXT),
    ("right", NUMBER),
    ("right in floating point", NUMBER),
    ("lanes used", NUMBER),
    ("cycles a line", NUMBER),
    ("latency p50", NUMBER),
    ("latency p99", NUMBER),
]


def read_policies(build: Path) -> dict[str, Any]:
    """What the last runs left in the folder of all that is generated; empty if there were none.

    Tables that an earlier version made, without energies, are left out: ``make policies`` anew.
    """
    folder, serving = build / FOLDER, build / SERVING
    made = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    tables = [each for each in made if "energy" in each]
    figures = [file.read_text() for file in sorted(folder.glob("*.svg")) if file.name != LANES]
    lanes = [(folder / LANES).read_text()] if (folder / LANES).exists() else []
    served = [json.loads(serving.read_text())] if serving.exists() else []
    found = {"tables": tables, "figures": figures, "lanes": lanes, "served": served}
    return found if tables or served else {}


def policies(found: Mapping[str, Any]) -> str:
    """Tables and figures of all experiments."""
    if not found:
        return ""
    parts = [f"<h2>Policies of batching {labels('modelled', 'simulated', 'published')}</h2>"]
    for each in found["tables"]:
        parts += _table(each)
    parts += [f"<figure>{figure}</figure>" for figure in (*found["figures"], *found["lanes"])]
    for each in found["served"]:
        parts += _served(each)
    return "\n".join(parts)


def _table(experiment: Mapping[str, Any]) -> list[str]:
    engine = experiment["engine"]
    rows = [row for row in experiment["rows"] if row["load"] is None]
    gains = [
        [
            cell(each["baseline"]),
            number(str(each["ratio"])),
            number(f"{each['throughput']:.2f}"),
            number(f"{each['loads']:.2f}"),
            number(f"{each['energy']:.2f}"),
            cell(experiment["kind"]),
        ]
        for each in experiment["gains"]
    ]
    gains += [
        [
            cell(each["what"]),
            number("–"),
            number(f"{each['throughput']:.2f}"),
            number("–"),
            number(f"{each['energy']:.2f}"),
            cell(each["note"]),
        ]
        for each in experiment["published"]
    ]
    return [
        f"<h3>Lengths: {escape(experiment['lengths'])}</h3>",
        paragraph(
            f"{engine['lanes']} lanes, {engine['layers']} layers of {engine['hidden_size']} units, "
            f"all requests waiting from the start. r: steps of a layer that take as long as "
            "loading one. Throughput: of what the multipliers could do. Energy: "
            f"{experiment['energy']['source']}.",
            "soft",
        ),
        table(SATURATED, map(_saturated, rows)),
        table(GAINS, gains),
    ]


def _saturated(row: Mapping[str, Any]) -> Sequence[str]:
    return [
        cell(row["policy"]),
        number(str(row["ratio"])),
        number(f"{row['throughput']:.3f}"),
        number(f"{row['utilisation']:.3f}"),
        number(percent(row["padding"], 1)),
        number(f"{row['loads']:.2f}"),
        number(f"{row['energy'] / 1000:,.0f}"),
    ]


def _served(served: Mapping[str, Any]) -> list[str]:
    lines = served["lines"]
    rows = [
        [
            cell(row["policy"]),
            number(percent(row["right"] / lines, 1)),
            number(percent(row["float_right"] / lines, 1)),
            number(percent(row["utilisation"], 1)),
            number(f"{row['cycles'] / lines:,.0f}"),
            number(f"{row['p50']:,.0f}"),
            number(f"{row['p99']:,.0f}"),
        ]
        for row in served["rows"]
    ]
    return [
        "<h3>Lines of text: code or prose?</h3>",
        paragraph(
            f"{lines:,} lines of the standard library through the simulated circuit, "
            f"{served['engine']}, at random times, {percent(served['load'])} of what its lanes "
            "can do. Every output equals the golden model's. Latencies in cycles.",
            "soft",
        ),
        table(SERVED, rows),
    ]
