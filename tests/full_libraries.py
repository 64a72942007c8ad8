"""Where the full public libraries are, if the environment says so."""

import os
from pathlib import Path

NAMES = ("sky130hd", "sg13g2")


def full_libraries() -> dict[str, Path]:
    """The full library of each process, as far as the folder of the environment has them."""
    folder = os.environ.get("ASSAY_FULL_LIBERTY")
    files = sorted(Path(folder).glob("*.lib*")) if folder else []
    found = {name: file for name in NAMES for file in files if file.name.startswith(name)}
    if folder and not found:
        raise ValueError(f"ASSAY_FULL_LIBERTY={folder} has no sky130hd*.lib* or sg13g2*.lib*")
    return found
