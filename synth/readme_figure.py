"""Makes the figure of the README, ``docs/comparisons.svg``, from the results so far."""

import sys
from pathlib import Path
from typing import Any

import matplotlib

from sim import results
from sim.paths import ROOT
from synth.evidence import weigh
from synth.figures import draw
from synth.section_comparisons import PANELS, bars

DATAPATH, LIBRARY = "ent", "sky130hd"
FIGURE = ROOT / "docs" / "comparisons.svg"
STYLE: dict[Any, Any] = {"svg.hashsalt": FIGURE.name, "svg.fonttype": "none", "font.size": 9.0}


def main(target: Path = FIGURE) -> int:
    pairs = [
        pair
        for pair in weigh(results.read()).pairs
        if (pair.first["datapath"], pair.first["library"]) == (DATAPATH, LIBRARY)
    ]
    if not pairs:
        print(f"assay: no comparison of {DATAPATH} in {LIBRARY}: run make synth", file=sys.stderr)
        return 1
    with matplotlib.rc_context(STYLE):
        figure = draw(PANELS, bars(pairs))
        figure.patch.set(facecolor="white", alpha=1)
        figure.savefig(target, format="svg", metadata={"Date": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
