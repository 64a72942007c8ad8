"""The section of the report that sets candidates beside their baselines."""

from collections.abc import Mapping, Sequence
from html import escape

from synth.evidence import Pair, goal, grouped
from synth.figures import Bar, Panel, bar_chart
from synth.markup import (
    NUMBER,
    TEXT,
    cell,
    labels,
    number,
    paragraph,
    percent,
    signed_percent,
    table,
    with_prefix,
)

AREA, EFFICIENCY = "area", "area efficiency"
#: The target for which each side runs at its own clock.
EFFICIENT = "efficiency"
#: Metrics of which more is better; of all others, less is.
_MORE_IS_BETTER = {EFFICIENCY}
PANELS = (
    Panel("area of the cells (less is better)", True),
    Panel("work/s/mm² (more is better)", False),
)


def comparisons(pairs: Sequence[Pair], about: Mapping[str, str]) -> str:
    """Charts and tables of candidates beside their baselines."""
    if not pairs:
        return ""
    parts = [
        f"<h2>Comparisons {labels('mapped', 'simulated', 'estimated', 'published')}</h2>",
        paragraph(
            "Each candidate beside its fair baseline: same widths, target and mapping "
            "effort. Area is of the cells, without memories (mapped). Work/s/mm² counts work in "
            "simulation and includes memories by a stated density (estimated).",
            "soft",
        ),
    ]
    groups = grouped(pairs, lambda pair: (pair.first["datapath"], pair.first["library"]))
    for index, ((datapath, library), own) in enumerate(groups):
        told = paragraph(about[datapath], "soft") if about.get(datapath) else ""
        parts.append(f"<h3>{escape(datapath)}, {escape(library)}</h3>{told}")
        parts += [_chart(f"chart{index}", own), _comparison_table(own)]
    return "\n".join(parts)


def bars(pairs: Sequence[Pair]) -> list[Bar]:
    """A bar for each comparison and target, with the changes that ``PANELS`` show."""
    return [
        Bar(
            pair.first["name"],
            goal(pair.first["target"], pair.baseline) + ("*" if pair.misses() else ""),
            tuple(_change(pair, metric) for metric in (AREA, EFFICIENCY)),
            100 * pair.noise,
        )
        for pair in pairs
    ]


def _chart(name: str, pairs: Sequence[Pair]) -> str:
    caption = (
        "Pale: a change smaller than what the order of the gates alone makes of the area. "
        "“Smallest” is mapped without a clock in mind: its clock, and so its work/s, is what came "
        "of it."
    )
    if any(pair.misses() for pair in pairs):
        caption += " * A side does not reach the clock; see the table."
    return (
        f'<figure><div class="scroll">{bar_chart(name, PANELS, bars(pairs))}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _change(pair: Pair, metric: str) -> float | None:
    found = pair.metrics.get(metric)
    return None if found is None else 100 * (found["ratio"] - 1)


def _comparison_table(pairs: Sequence[Pair]) -> str:
    metrics = {metric: entry["unit"] for pair in pairs for metric, entry in pair.metrics.items()}
    headings = [("comparison: baseline, candidate", TEXT), ("target", TEXT)]
    for metric, unit in metrics.items():
        headings += [
            (f"{metric}, {unit}: baseline", NUMBER),
            ("candidate", NUMBER),
            ("ratio", NUMBER),
            ("change", NUMBER),
        ]
    headings += [("spread", NUMBER), ("published by the paper", TEXT)]
    rows = []
    for _, own in grouped(pairs, lambda pair: pair.first["name"]):
        for index, pair in enumerate(own):
            row = [] if index else [_names(pair, len(own))]
            row.append(cell(goal(pair.first["target"], pair.baseline)))
            for metric in metrics:
                row += _metric_cells(pair, metric)
            row.append(number(percent(pair.noise, 1)))
            if not index:
                row.append(cell(pair.first["published"], rows=len(own), mark="wide"))
            rows.append(row)
    return table(headings, rows)


def _names(pair: Pair, rows: int) -> str:
    first = pair.first
    return cell(first["name"], first["baseline"], first["candidate"], rows=rows)


def _metric_cells(pair: Pair, metric: str) -> list[str]:
    found = pair.metrics.get(metric)
    if found is None:
        return [number("")] * 4
    better = (found["ratio"] < 1) != (metric in _MORE_IS_BETTER)
    mark = "" if found["ratio"] == 1 else "gain" if better else "loss"
    missed = pair.misses() if metric == "critical path" else []
    # Where each side runs at its own clock, a gain may be bought with it.
    own_clock = metric == "critical path" and pair.first["target"] == EFFICIENT
    slower = own_clock and found["ratio"] > 1
    return [
        *(
            number(
                _amount(found[f"{side}_value"]),
                *(["misses the clock"] if side in missed else []),
                mark="bad" if side in missed else "",
            )
            for side in ("baseline", "candidate")
        ),
        number(f"{found['ratio']:.4f}"),
        number(signed_percent(found["ratio"]), *(["slower clock"] if slower else []), mark=mark),
    ]


def _amount(value: float) -> str:
    """Whole numbers with thousands separators; what is larger or smaller, to four digits."""
    return f"{value:,.0f}" if 100 <= abs(value) < 1e9 else with_prefix(value, "")
