"""``make report``: the page for people, made from the results of all runs so far."""

import os
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from hdl.datapath import Datapath, find_datapath, find_datapaths
from sim import results
from sim.cache import write_atomically
from synth.evidence import Evidence, weigh
from synth.markup import count
from synth.section_comparisons import comparisons
from synth.section_costs import costs
from synth.section_end_to_end import end_to_end
from synth.section_fpga import on_fpga
from synth.section_pareto import pareto
from synth.section_policies import policies, read_policies
from synth.section_public import public_designs
from synth.section_runs import problems, simulations, speed
from synth.section_scales import scales

PAGE = results.RESULTS.with_name("index.html")
TEMPLATE = Path(__file__).with_name("report.html")


def main(source: Path = results.RESULTS, page: Path = PAGE) -> int:
    found = _current(results.read(source))
    if not any(found.get(section) for section in results.IDENTITY):
        print("assay: no results yet: run make sim and make synth first", file=sys.stderr)
        return 1
    found["policies"] = read_policies(source.parents[1])
    made = datetime.fromtimestamp(source.stat().st_mtime, UTC)
    entries = [each for section in ("sim", "synth") for each in found.get(section, ())]
    write_atomically(page, render(found, made, _about(each["datapath"] for each in entries)))
    for label, file in (("report", page), ("figures", source)):
        print(f"{label}: {os.path.relpath(file)}")
    return 0


def render(found: Mapping[str, Any], made: datetime, about: Mapping[str, str]) -> str:
    """The page. made: when the results were last written. about: a line on each datapath.

    The same arguments give the same page.
    """
    evidence = weigh(found)
    parts = [
        comparisons(evidence.pairs, about),
        scales(evidence.scales),
        pareto(evidence.tries),
        public_designs(evidence.references),
        costs(evidence.costs),
        on_fpga(evidence.fpga),
        end_to_end(found.get("end_to_end", ())),
        policies(found.get("policies", {})),
        simulations(evidence.simulations),
        speed(found.get("speed", ())),
    ]
    return Template(TEMPLATE.read_text()).substitute(
        made=escape(_made(found, made)),
        summary=escape(_summary(evidence)),
        problems=problems(evidence),
        sections="\n".join(filter(None, parts)),
    )


def _current(found: dict[str, Any]) -> dict[str, Any]:
    """Without what is left of datapaths and configurations that are gone."""
    known = find_datapaths()

    def exists(entry: Mapping[str, Any]) -> bool:
        if "datapath" not in entry:
            return True
        datapath = known.get(entry["datapath"])
        names = [entry[field] for field in ("config", "baseline", "candidate") if field in entry]
        if datapath is None or not all(name in datapath.by_name for name in names):
            return False
        return "scale" not in entry or _scaled(datapath, entry)

    return {
        section: [each for each in entries if exists(each)]
        if isinstance(entries, list)
        else entries
        for section, entries in found.items()
    }


def _scaled(datapath: Datapath, gain: Mapping[str, Any]) -> bool:
    """Whether a comparison at scale is still one of the datapath's: averages are made of them."""
    ideas = {comparison.idea for comparison in datapath.comparisons}
    places = {(scale.name, scale.organisation, scale.small) for scale in datapath.scales}
    sides = (gain["baseline"], gain["candidate"])
    return gain["idea"] in ideas and all(
        (gain["scale"], gain["organisation"], side) in places for side in sides
    )


def _made(found: Mapping[str, Any], made: datetime) -> str:
    tools = ", ".join(f"{tool} {version}" for tool, version in found.get("tools", {}).items())
    libraries = sorted({each["library"] for each in found.get("synth", ())})
    cells = f"; cells of {', '.join(libraries)}" if libraries else ""
    return f"Results of {made:%Y-%m-%d %H:%M} UTC{cells}; last run with {tools}."


def _summary(evidence: Evidence) -> str:
    runs = evidence.simulations
    passed = len(runs) - len(evidence.failed)
    lines = [
        f"{passed:,} of {count(len(runs), 'simulation')} pass, "
        f"{count(sum(each['checks'] for each in runs), 'check')}.",
        f"{count(len(evidence.costs), 'mapped circuit')}, "
        f"{count(sum(each['netlist_checks'] for each in evidence.costs), 'output')} of their "
        "netlists replayed and identical.",
        f"{count(len({pair.first['name'] for pair in evidence.pairs}), 'comparison')} with a fair "
        "baseline.",
    ]
    return " ".join(lines)


def _about(names: Iterable[str]) -> dict[str, str]:
    """Summary and paper of each datapath that is still there."""
    told = {}
    for name in sorted(set(names)):
        try:
            datapath = find_datapath(name)
        except ValueError:
            continue
        told[name] = f"{datapath.summary}. Paper: {datapath.paper}"
    return told


if __name__ == "__main__":
    sys.exit(main())
