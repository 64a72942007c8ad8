"""Makes the figure of the README, ``docs/pareto.svg``, from the results so far."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib

from sim import results
from sim.paths import ROOT
from synth.evidence import weigh
from synth.pareto_figure import draw_pareto, front
from synth.section_pareto import circuits

DATAPATH, LIBRARY, ROLES = "ent", "sky130hd", ("baseline", "candidate")
FIGURE = ROOT / "docs" / "pareto.svg"
STYLE: dict[Any, Any] = {"svg.hashsalt": FIGURE.name, "svg.fonttype": "none", "font.size": 9.0}


def main(target: Path = FIGURE) -> int:
    """Draw the fronts alone: the report has all circuits."""
    found = [
        each
        for each in weigh(results.read()).tries
        if each["datapath"] == DATAPATH and each["library"].startswith(LIBRARY)
    ]
    groups = [
        replace(group, points=tuple(front(group.points)))
        for group in circuits(found)
        if group.name in ROLES
    ]
    if not groups:
        print(f"assay: no circuit of {DATAPATH} in {LIBRARY}: run make synth", file=sys.stderr)
        return 1
    with matplotlib.rc_context(STYLE):
        figure = draw_pareto(found[0]["unit"], groups)
        figure.patch.set(facecolor="white", alpha=1)
        figure.savefig(target, format="svg", metadata={"Date": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
