"""Which files a run depends on: what its testbench loaded, with the data beside it."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from hdl.datapath import Configuration
from sim.cache import fingerprint, fingerprint_files
from sim.paths import ROOT
from sim.tools import versions

#: With it cocotb runs only tests whose names match.
FILTER = "COCOTB_TEST_FILTER"
#: What builds and starts a run; the testbench does not load these itself.
BUILDERS = [ROOT / "sim" / name for name in ("model.py", "ports.py", "run.py", "runtime")]


def loaded_files(configuration: Configuration) -> list[str]:
    """Source and data files behind the modules that this process has loaded.

    Modules of the project count, and those of the distribution the configuration comes from.
    """
    own = {"hdl", "golden", "sim", type(configuration).__module__.partition(".")[0]}
    own |= {module.partition(".")[0] for module in configuration.testbenches}
    modules = {
        Path(file)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in own and (file := getattr(module, "__file__", None))
    }
    data = {
        file
        for folder in {module.parent for module in modules}
        for file in folder.iterdir()
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    return sorted(str(file) for file in modules | data)


def run_key(configuration: Configuration, seed: int, files: Iterable[str]) -> str | None:
    """Fingerprint of all that shapes a run; None if one of its files is gone."""
    paths = [*BUILDERS, *(Path(file) for file in files)]
    if not all(path.exists() for path in paths):
        return None
    # A run of some tests only must not count as one of all.
    chosen = [os.environ[FILTER]] if os.environ.get(FILTER) else []
    return fingerprint(
        fingerprint_files(paths), str(versions()), repr(configuration), str(seed), *chosen
    )
