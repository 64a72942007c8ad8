"""Finds the cell library a run is to use: a built-in table, a file, or one of a PDK."""

import gzip
import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sim.cache import fingerprint, write_atomically
from synth.cell_table import liberty_text, read_table
from synth.liberty import parse_liberty
from synth.library import Library

TABLES = Path(__file__).parent / "cells"

IN_PDK = {
    "sky130hd": (
        "sky130A/libs.ref/sky130_fd_sc_hd/lib/sky130_fd_sc_hd__tt_025C_1v80.lib",
        "sky130B/libs.ref/sky130_fd_sc_hd/lib/sky130_fd_sc_hd__tt_025C_1v80.lib",
    ),
    "sg13g2": ("ihp-sg13g2/libs.ref/sg13g2_stdcell/lib/sg13g2_stdcell_typ_1p20V_25C.lib",),
}
"""Where the installers of PDKs put the full libraries, below ``PDK_ROOT``."""

DONT_USE = (
    "*lpflow*",  # isolation cells and the like, of low-power flows
    "*dly*",  # delay cells, also those of clocks
    "*probe*",  # probe points
    "*_macro_*",
    "*sighold*",  # bus keepers
    "*ebufn*",  # three-state drivers
    "*einvn*",
    "*einvp*",
    "*antenna*",
    "*decap*",
    "*fill*",
    "*diode*",
    "*tap*",
)
"""Patterns of cells that logic must not be mapped to, whatever their function says."""


@dataclass(frozen=True)
class Choice:
    """Which cells to map to.

    label: what reports call the library. process: the built-in name whose clock target applies,
    or the label. source: what ``load_library`` loads.
    """

    label: str
    process: str
    source: str

    @property
    def description(self) -> str:
        if self.source in builtin_names():
            return f"{self.label}, built-in table"
        return f"{self.label}, {self.source}"


def choose(name: str, liberty: str, pdk_root: str) -> Choice:
    """The user's choice: a Liberty file, else a PDK's library, else a built-in table.

    Raises ValueError if there is no such library.
    """
    if liberty:
        if not Path(liberty).is_file():
            raise ValueError(
                f"LIBERTY is {liberty!r}, which is not a file; allowed are .lib and .lib.gz files"
            )
        label = Path(liberty).name.partition(".")[0]
        return Choice(label, label, liberty)
    if name not in builtin_names():
        raise ValueError(f"LIB is {name!r}; allowed are {', '.join(builtin_names())}")
    if pdk_root:
        return Choice(f"{name}-pdk", name, str(find_in_pdk(pdk_root, name)))
    return Choice(name, name, name)


def is_usable(cell: str) -> bool:
    """Whether a cell of this name may be used."""
    return not any(fnmatchcase(cell, pattern) for pattern in DONT_USE)


def dont_use_options() -> str:
    """``DONT_USE`` as options of Yosys' ``dfflibmap`` and ``abc``."""
    return " ".join(f"-dont_use {pattern}" for pattern in DONT_USE)


def builtin_names() -> list[str]:
    """Names of the built-in tables."""
    return sorted(file.stem for file in TABLES.glob("*.csv"))


def load_library(choice: str | Path, build_folder: Path) -> tuple[Library, Path]:
    """The library of that name or file, and the plain Liberty file that Yosys is to read.

    ``choice`` is a built-in name, or the path of a ``.lib`` or ``.lib.gz`` file. Files that have
    to be made are written to ``build_folder``, under names that change with their contents. The
    library has no cell of ``DONT_USE``; the file may, so give Yosys ``dont_use_options()``.

    Raises:
        ValueError: There is no such library, or its file is malformed.
    """
    if str(choice) in builtin_names():
        name = str(choice)
        file = TABLES / f"{name}.csv"
        text = liberty_text(read_table(file.read_text(), file.name))
        path = _written(build_folder, name, text)
        return parse_liberty(text, path.name, is_usable), path
    path = Path(choice)
    if not path.is_file():
        names = ", ".join(builtin_names())
        what = "is a folder" if path.is_dir() else "is neither a built-in library nor a file"
        raise ValueError(f"{str(choice)!r} {what}: use one of {names}, or a .lib or .lib.gz file")
    data = path.read_bytes()
    packed = data[:2] == b"\x1f\x8b"
    try:
        text = (gzip.decompress(data) if packed else data).decode("utf-8", "replace")
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} is not a complete gzip file: {error}") from error
    library = parse_liberty(text, path.name, is_usable)
    if not library.cells:
        raise ValueError(f"{path} has no cell that logic could be mapped to")
    if packed:
        return library, _written(build_folder, path.name.split(".")[0], text)
    return library, path.resolve()


def find_in_pdk(pdk_root: str | Path, name: str) -> Path:
    """The full library of a built-in name in an installed PDK.

    Raises:
        ValueError: The name is unknown or the PDK does not have the file.
    """
    if name not in IN_PDK:
        raise ValueError(f"no PDK is known for {name!r}: use one of {', '.join(sorted(IN_PDK))}")
    places = [Path(pdk_root) / place for place in IN_PDK[name]]
    for place in places:
        for file in (place, place.with_suffix(".lib.gz")):
            if file.is_file():
                return file
    raise ValueError(
        f"PDK_ROOT={os.fspath(pdk_root)} has no library {name}: "
        f"expected {' or '.join(map(str, places))}"
    )


def _written(folder: Path, name: str, text: str) -> Path:
    file = folder / f"{name}-{fingerprint(text)}.lib"
    if not file.is_file():
        write_atomically(file, text)
    return file.resolve()
