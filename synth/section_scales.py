"""The section of the report that sets arrays at scale beside their fair baselines."""

from collections.abc import Sequence
from html import escape

from synth.evidence import Entry, goal, grouped
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
from synth.scale_gains import Average, averages, notes

_AREA = "work/s/mm²"
#: What a unit of work counts for when operations are counted: a multiplication and an addition.
_OPERATIONS = 2


def scales(entries: Sequence[Entry]) -> str:
    """Gains by organisation and scale, and what they are made of, for each library and target."""
    if not entries:
        return ""
    parts = [
        f"<h2>At scale {labels('mapped', 'simulated', 'estimated', 'published')}</h2>",
        paragraph(
            "Large arrays beside their fair baselines. They are not mapped as a whole: their "
            "blocks are counted, and each costs what it costs in the small array, which was "
            "composed, timed and replayed. A block that only the large array has was mapped by "
            "itself. The glue, what is left of the top module, is taken from the small array. "
            "Memories are by a stated density. A side that “has slack” is faster and larger than "
            "its clock takes, for want of a circuit in between: don't conclude from its area.",
            "soft",
        ),
    ]
    ordered = sorted(entries, key=lambda each: (each["datapath"], each["library"]))
    for (datapath, library), own in grouped(
        ordered, lambda each: (each["datapath"], each["library"])
    ):
        for target, found in grouped(own, lambda each: each["target"]):
            told = goal(target, {"target_ps": None}) if target != "clock" else "clock"
            parts.append(f"<h3>{escape(f'{datapath}, {library}, target: {told}')}</h3>")
            found = sorted(found, key=lambda each: each["multipliers"])
            parts += [_gain_table(found), _verdict(found), _cost_table(found)]
    return "\n".join(parts)


def _gain_table(entries: Sequence[Entry]) -> str:
    """A row for each idea and organisation, with columns for each scale; averages below them."""
    names = list(dict.fromkeys(each["scale"] for each in entries))
    operands = _operands(entries)
    headings = [("comparison", TEXT), ("organisation", TEXT)]
    for name in names:
        headings += [
            (f"{name}: {_AREA}", NUMBER),
            *((f"work/J, {kind}", NUMBER) for kind in operands),
        ]
    rows = []
    for idea, own in grouped(entries, lambda each: each["idea"]):
        for organisation, found in grouped(own, lambda each: each["organisation"]):
            by_scale = {each["scale"]: each for each in found}
            row = [cell(idea), cell(organisation)]
            for name in names:
                row += _gain_cells(by_scale.get(name), operands)
            rows.append(row)
        means = {each.first["scale"]: each for each in averages(own)}
        rows.append(_mean_row(idea, names, means, operands))
    rows.append(_published_row(entries, names, operands))
    return table(headings, rows)


def _gain_cells(gain: Entry | None, operands: Sequence[str]) -> list[str]:
    if gain is None:
        return [number("")] * (1 + len(operands))
    energy = gain["energy_efficiency"]
    return [
        _gain(gain["area_efficiency"], *notes(gain)),
        *(_gain(energy[kind]) if kind in energy else number("") for kind in operands),
    ]


def _mean_row(
    idea: str, names: Sequence[str], means: dict[str, Average], operands: Sequence[str]
) -> list[str]:
    organisations = max(each.organisations for each in means.values())
    row = [cell(idea), cell(f"average of {organisations}")]
    for name in names:
        mean = means.get(name)
        if mean is None:
            row += [number("")] * (1 + len(operands))
            continue
        published = (mean.first["published_area"], mean.first["published_energy"])
        row.append(_gain(mean.area_efficiency, *_below(mean.area_efficiency, published[0])))
        for kind in operands:
            ratio = mean.energy_efficiency.get(kind)
            row.append(number("") if ratio is None else _gain(ratio, *_below(ratio, published[1])))
    return row


def _published_row(
    entries: Sequence[Entry], names: Sequence[str], operands: Sequence[str]
) -> list[str]:
    by_scale = {each["scale"]: each for each in entries}
    row = [cell("published"), cell("average of the paper's")]
    for name in names:
        area, energy = by_scale[name]["published_area"], by_scale[name]["published_energy"]
        row.append(number(_percent(area)))
        row += [number(_percent(energy))] * len(operands)
    return row


def _verdict(entries: Sequence[Entry]) -> str:
    """What falls short of the paper, in words."""
    short = [
        f"{mean.first['idea']}, {mean.first['scale']}: {shortfall}"
        for mean in averages(entries)
        for shortfall in mean.shortfalls()
    ]
    text = "Averages are means of the organisations' ratios. "
    if any(each["published_area"] is not None for each in entries):
        text += (
            f"Below the published averages: {'; '.join(short)}."
            if short
            else "None is below the published ones."
        )
    return paragraph(text, "soft")


def _cost_table(entries: Sequence[Entry]) -> str:
    """What each side costs at scale, a row for each array."""
    operands = _operands(entries)
    headings = [
        ("scale", TEXT),
        ("array", TEXT),
        ("told from", TEXT),
        ("area µm²", NUMBER),
        ("of it glue", NUMBER),
        ("SRAM µm², estimated", NUMBER),
        ("clock ns", NUMBER),
        ("work/s", NUMBER),
        (_AREA, NUMBER),
        *((f"pJ/work, {kind}", NUMBER) for kind in operands),
        *((f"GOPS/W, {kind}", NUMBER) for kind in operands),
        ("mapped by themselves", TEXT),
    ]
    arrays = {
        (each["scale"], each[f"{side}_cost"]["config"]): each[f"{side}_cost"]
        for each in entries
        for side in ("baseline", "candidate")
    }
    rows = []
    for (name, config), cost in arrays.items():
        total = cost["area_um2"] + cost["memory_um2"]
        joules = [cost["energy_pj_per_work"].get(kind) for kind in operands]
        rows.append(
            [
                cell(name),
                cell(config),
                cell(cost["small"]),
                number(f"{cost['area_um2']:,.0f}"),
                number(percent(cost["glue_um2"] / cost["area_um2"], 1)),
                number(f"{cost['memory_um2']:,.0f}"),
                number(f"{cost['period_ps'] / 1000:.2f}"),
                number(with_prefix(cost["work_per_second"], f"{cost['unit']}/s")),
                number(with_prefix(cost["work_per_second"] / (total / 1e6), "")),
                *(number(f"{each:.4g}" if each else "") for each in joules),
                *(number(f"{1000 * _OPERATIONS / each:,.0f}" if each else "") for each in joules),
                cell(", ".join(cost["mapped_alone"])),
            ]
        )
    return table(headings, rows)


def _operands(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(kind for each in entries for kind in each["energy_efficiency"]))


def _gain(ratio: float, *notes: str) -> str:
    mark = "gain" if ratio > 1 else "loss" if ratio < 1 else ""
    return number(signed_percent(ratio), *notes, mark=mark)


def _below(ratio: float, published: float | None) -> list[str]:
    return ["below published"] if published is not None and 100 * (ratio - 1) < published else []


def _percent(value: float | None) -> str:
    return "" if value is None else signed_percent(1 + value / 100)
