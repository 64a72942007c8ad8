"""A combinational circuit as a function on NumPy arrays, at millions of evaluations a second."""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from amaranth.lib import wiring
from numpy.typing import ArrayLike, NDArray

from hdl.export import export
from sim.model import RUNTIME, write_verilog
from sim.ports import Port, top_ports
from sim.shared_library import build_shared_library

SOURCE = RUNTIME / "evaluate.cpp"
#: Ports that every exported design has; a combinational one makes no use of them.
CLOCK_AND_RESET = ("clk", "rst")
#: What remembers: registers, latches, memories, and processes that wait for an edge.
_STATE = re.compile(r"^ *(?:cell \$\w*(?:ff|latch|mem)|memory |sync (?:pos|neg)?edge )", re.M)


class Evaluator:
    """Evaluates one circuit for all rows of its inputs: ``evaluator(a=…, b=…)["result"]``.

    Arguments are the input ports, broadcast against each other; the outputs come back by name,
    in that shape, as uint8, uint16, uint32 or uint64, the smallest type that holds the port.
    Raises TypeError for an argument that is missing or no port, ValueError for a value that does
    not fit its port. Not for several threads at once.
    """

    def __init__(self, library: Path, ports: tuple[Port, ...]) -> None:
        self.inputs = tuple(port for port in ports if port.is_input)
        self.outputs = tuple(port for port in ports if not port.is_input)
        self._library = ctypes.CDLL(str(library))
        self._library.assay_create.restype = ctypes.c_void_p
        self.function = ctypes.cast(self._library.assay_evaluate, ctypes.c_void_p)
        """``void f(model, uint64_t rows, void* const* columns)``, for loops that are in C++."""
        self.model = ctypes.c_void_p(self._library.assay_create())

    def __call__(self, **arguments: ArrayLike) -> dict[str, NDArray]:
        names = [port.name for port in self.inputs]
        if set(arguments) != set(names):
            raise TypeError(f"arguments are {sorted(arguments)}, input ports are {names}")
        given = [np.asarray(arguments[name]) for name in names]
        for port, values in zip(self.inputs, given, strict=True):
            _check_range(port, values)
        shape = np.broadcast_shapes(*(values.shape for values in given))
        columns = [
            np.ascontiguousarray(np.broadcast_to(values, shape), dtype=dtype_of(port))
            for port, values in zip(self.inputs, given, strict=True)
        ]
        results = {port.name: np.empty(shape, dtype_of(port)) for port in self.outputs}
        self.run(np.prod(shape, dtype=int), [*columns, *results.values()])
        return results

    def run(self, rows: int, columns: list[NDArray]) -> None:
        """Evaluate ``rows`` rows of columns that are contiguous and of the ports' own types."""
        pointers = (ctypes.c_void_p * len(columns))(*(column.ctypes.data for column in columns))
        self._library.assay_evaluate(self.model, ctypes.c_uint64(rows), pointers)

    def __del__(self) -> None:
        if model := getattr(self, "model", None):
            self._library.assay_destroy(model)


def build_evaluator(circuit: wiring.Component | str) -> Evaluator:
    """The evaluator of a component or of exported RTLIL, compiled once for equal text.

    Raises ValueError for a circuit with registers or memories, or a port of more than 64 bits.
    """
    rtlil = circuit if isinstance(circuit, str) else export(circuit)
    ports = function_ports(rtlil)
    return evaluator_of(rtlil, ports, lambda folder: write_verilog(rtlil, folder))


def function_ports(rtlil: str) -> tuple[Port, ...]:
    """Ports of an exported combinational circuit, without clock and reset, inputs first.

    Raises ValueError for a circuit with registers or memories.
    """
    if _STATE.search(rtlil):
        raise ValueError(
            "the circuit has registers or memories: only combinational ones are functions"
        )
    return tuple(port for port in top_ports(rtlil) if port.name not in CLOCK_AND_RESET)


def evaluator_of(text: str, ports: tuple[Port, ...], write: Callable[[Path], Path]) -> Evaluator:
    """The evaluator of a combinational module ``top``, inputs first among its ports.

    text: all that the module depends on. write: writes it as Verilog into a folder.
    """
    if wide := [port.name for port in ports if port.width > 64]:
        raise ValueError(f"ports wider than 64 bits: {', '.join(wide)}")

    return Evaluator(build_shared_library(text, ports, write, SOURCE), ports)


def dtype_of(port: Port) -> np.dtype:
    """The type that Verilator gives the port."""
    bits = next(bits for bits in (8, 16, 32, 64) if port.width <= bits)
    return np.dtype(f"uint{bits}")


def _check_range(port: Port, values: NDArray) -> None:
    if values.dtype.kind not in "iub":
        raise ValueError(f"{port.name} is {values.dtype}, not integers")
    if values.size and (values.min() < 0 or int(values.max()) >> port.width):
        raise ValueError(f"{port.name} has values that do not fit its {port.width} bits")
