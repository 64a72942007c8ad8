"""``make doctor``: versions, what is missing, and a smoke run."""

import subprocess
import sys
import time
from collections.abc import Callable

from hdl.datapath import find_datapaths
from sim.model import runtime_library
from sim.run import simulate
from sim.tools import ToolError, cocotb_environment, compiler, verilator_root, versions


def main() -> int:
    for name, version in versions().items():
        print(f"  {name:12} {version}")
    checks: list[tuple[str, Callable[[], str]]] = [
        ("C++ compiler", _compiler),
        ("simulator", _simulator),
        ("libpython", lambda: cocotb_environment()["GPI_USERS"].partition(";")[0]),
        ("smoke run", _smoke_run),
    ]
    problems = [name for name, check in checks if _fails(name, check)]
    return 1 if problems else 0


def _fails(name: str, check: Callable[[], str]) -> bool:
    try:
        print(f"  {name:12} {check()}", flush=True)
    except (ToolError, OSError, subprocess.SubprocessError) as error:
        print(f"  {name:12} PROBLEM: {error}", flush=True)
        return True
    return False


def _compiler() -> str:
    command = [compiler(), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]


def _simulator() -> str:
    program = verilator_root() / "bin" / "verilator_bin"
    if not program.is_file():
        raise ToolError("verilator_bin is missing: remove .venv and run make again")
    subprocess.run([program, "--version"], capture_output=True, check=True)
    return "verilator_bin starts"


def _smoke_run() -> str:
    """Build and simulate the small configuration of one datapath, whatever is cached."""
    datapath = next(iter(find_datapaths().values()))
    runtime_library()  # compiled once for all; not part of what is timed
    started = time.monotonic()
    result = simulate(datapath, datapath.small, force=True)
    if result.verdict != "pass":
        raise ToolError(f"{datapath.small} fails: {result.message}; {result.replay}")
    return f"{datapath.small}: {result.checks:,} checks in {time.monotonic() - started:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
