"""The file every run leaves its figures in: ``build/report/results.json``."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sim.cache import locked, write_atomically
from sim.paths import BUILD
from sim.tools import versions

SCHEMA = 1
RESULTS = BUILD / "report" / "results.json"
#: Fields that tell the entries of a section apart.
IDENTITY = {
    "sim": ("datapath", "config", "seed"),
    "synth": ("datapath", "config", "library", "target"),
    "comparisons": ("datapath", "name", "library", "target", "metric"),
    "references": ("datapath", "config", "library", "script", "name"),
    "scales": ("datapath", "scale", "organisation", "idea", "library", "target"),
    "tries": ("datapath", "config", "library"),
    "fpga": ("datapath", "config", "device"),
    "end_to_end": ("datapath", "what"),
    "exhaustive": ("datapath", "config", "operation", "mode"),
    "speed": ("measure",),
}


def read(file: Path = RESULTS) -> dict[str, Any]:
    """All results so far; an empty set of them if there are none or they are of another schema."""
    try:
        results = json.loads(file.read_text())
    except (OSError, ValueError):
        results = {}
    if results.get("schema") != SCHEMA:
        results = {"schema": SCHEMA, "tools": {}}
    for section in IDENTITY:
        results.setdefault(section, [])
    return results


def update(section: str, entries: Iterable[Mapping[str, Any]], file: Path = RESULTS) -> None:
    """Add ``entries`` to a section, each in the place of the one with the same identity."""
    with locked(file.with_suffix(".lock")):
        results = read(file)
        known = {_identity(section, entry): entry for entry in results[section]}
        known |= {_identity(section, entry): dict(entry) for entry in entries}
        results[section] = list(known.values())
        results["tools"] = versions()
        write_atomically(file, json.dumps(results, indent=1) + "\n")


def _identity(section: str, entry: Mapping[str, Any]) -> tuple:
    return tuple(entry[field] for field in IDENTITY[section])
