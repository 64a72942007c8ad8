"""``make speed``: measures the inner loop and writes it to the results, section ``speed``.

Works in a copy of the project, so that nothing here is touched: a simulation of everything from
nothing, the same again unchanged, and the small configuration after one file of a datapath was
edited.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sim import results
from sim.paths import ROOT

EDITED = Path("hdl/ent/pe.py")
#: A renamed register: the circuit's text changes, so that it is exported and built anew.
RENAMED = ("b_register", "b_held")
LEFT_OUT = shutil.ignore_patterns("build", ".venv", ".git", "*.egg-info", "__pycache__", ".*cache")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "assay"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        measured = {
            "fresh clone to the end of make sim, installation included": _time(copy),
            "make sim again, nothing changed": _time(copy),
        }
        source = copy / EDITED
        source.write_text(source.read_text().replace(*RENAMED))
        measured[f"make sim CONFIG=small after an edit of {EDITED}"] = _time(copy, "CONFIG=small")
    for measure, seconds in measured.items():
        print(f"{seconds:7.1f} s  {measure}")
    entries = [{"measure": key, "seconds": round(value, 1)} for key, value in measured.items()]
    results.update("speed", entries)
    return 0


def _time(folder: Path, *settings: str) -> float:
    started = time.monotonic()
    command = ["make", "sim", *settings]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if finished.returncode != 0:
        sys.exit(f"assay: {' '.join(command)} failed in a copy:\n{finished.stdout[-2000:]}")
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
