"""The sections of the report on what ran: failures, simulations, and how long it took."""

from collections.abc import Mapping, Sequence
from html import escape

from synth.evidence import Entry, Evidence
from synth.markup import NUMBER, TEXT, cell, count, labels, natural, number, table


def problems(evidence: Evidence) -> str:
    """What failed, with the command that shows it, and what is not shown because of that."""
    parts = []
    for each in evidence.failed:
        heading = f"{each['datapath']} {each['config']}, seed {each['seed']}: {each['verdict']}"
        parts.append(
            f'<p class="bad">{escape(heading)}</p><pre>{escape(each.get("message", ""))}</pre>'
            f"<p>Replay with waves: <code>{escape(replay_command(each))}</code></p>"
        )
    if evidence.withheld:
        items = "".join(f"<li>{escape(line)}</li>" for line in evidence.withheld)
        parts.append(f'<p class="bad">Not shown</p><ul>{items}</ul>')
    if not parts:
        return ""
    title = count(len(evidence.failed), "failure") if evidence.failed else "Incomplete"
    return f'<div class="failures"><h2>{title}</h2>\n{"".join(parts)}</div>'


def replay_command(simulation: Entry) -> str:
    """The command that repeats a simulation with waves."""
    names = {"DATAPATH": "datapath", "CONFIG": "config", "SEED": "seed"}
    return " ".join(["make waves", *(f"{key}={simulation[of]}" for key, of in names.items())])


def simulations(entries: Sequence[Entry]) -> str:
    """Table of all simulations."""
    if not entries:
        return ""
    headings = [
        ("datapath", TEXT),
        ("configuration", TEXT),
        ("seed", NUMBER),
        ("verdict", TEXT),
        ("checks", NUMBER),
        ("cycles", NUMBER),
        ("work", NUMBER),
        ("work/cycle", NUMBER),
        ("figures", TEXT),
    ]
    ordered = sorted(
        entries, key=lambda each: (each["datapath"], natural(each["config"]), each["seed"])
    )
    rows = (
        [
            cell(each["datapath"]),
            cell(each["config"]),
            number(str(each["seed"])),
            cell(each["verdict"], mark="" if each["verdict"] == "pass" else "fail"),
            number(f"{each['checks']:,}"),
            number(f"{each['cycles']:,}"),
            number(f"{each['work']:,} {each['unit']}"),
            number(f"{each['work_per_cycle']:,.2f}"),
            cell(*_figures(each.get("figures") or {})),
        ]
        for each in ordered
    )
    return f"<h2>Simulation {labels('simulated')}</h2>\n" + table(headings, rows)


def _figures(figures: Mapping[str, float]) -> list[str]:
    """Each on its line, one that is called ``<name>_float`` beside its ``<name>``."""
    lines = []
    for name, value in figures.items():
        if name.removesuffix("_float") != name and name.removesuffix("_float") in figures:
            continue
        reference = figures.get(f"{name}_float")
        beside = "" if reference is None else f" (in floating point {reference:.4g})"
        lines.append(f"{name.replace('_', ' ')} {value:.4g}{beside}")
    return lines


def speed(entries: Sequence[Entry]) -> str:
    """Table of how long the workbench itself takes."""
    if not entries:
        return ""
    rows = ([cell(each["measure"]), number(f"{each['seconds']:,.2f}")] for each in entries)
    title = f"<h2>Speed of the workbench {labels('measured')}</h2>\n"
    return title + table([("measure", TEXT), ("seconds", NUMBER)], rows)
