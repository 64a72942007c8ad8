"""A circuit as a shared library, for code of ours in C++ that drives it."""

from collections.abc import Callable
from pathlib import Path

from sim.cache import build_once, fingerprint, fingerprint_files
from sim.model import RUNTIME, SHARED, compile_model, include_flags, replay_library
from sim.paths import BUILD
from sim.ports import Port
from sim.tools import compiler, run, versions

_BUILDERS = [Path(__file__), Path(__file__).with_name("model.py"), RUNTIME]


def build_shared_library(
    text: str, ports: tuple[Port, ...], write: Callable[[Path], Path], driver: Path
) -> Path:
    """The library of module ``top`` and the C++ file ``driver``, compiled once for equal text.

    text: all that the module depends on. ports: in the order in which the driver is to see them.
    write: writes the module as Verilog into a folder.
    """

    def build(unfinished: Path) -> None:
        objects = compile_model(write(unfinished), ports, unfinished, [], [], options=SHARED)
        command = [compiler(), "-shared", "-O2", *SHARED, *include_flags(unfinished, False)]
        run(
            [
                *(*command, driver, *objects, replay_library()),
                *("-pthread", "-o", unfinished / "library.so"),
            ],
            log=unfinished / "compile.log",
        )

    key = fingerprint(text, fingerprint_files(_BUILDERS), str(versions()), compiler())
    return build_once(BUILD / driver.stem / key, build) / "library.so"
