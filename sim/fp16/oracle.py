"""What FLOAT16 operations must give, by Berkeley SoftFloat in this process, on NumPy arrays."""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.fp16_instruction import Operation
from golden.rounding import Mode
from sim.cache import build_once, fingerprint, fingerprint_files
from sim.paths import BUILD
from sim.tools import ToolError, compiler, run, versions

FOLDER = Path(__file__).parent
#: Of the struct SoftFloat in oracle.h, in its order.
FUNCTIONS = ("f16_mul", "f16_mulAdd", "f16_to_f32", "f32_eq", "f32_lt", "f32_le")
VARIABLES = ("softfloat_roundingMode", "softfloat_exceptionFlags")


@cache
def softfloat() -> ctypes.CDLL:
    """The C library SoftFloat, as the extension module of its Python package exports it.

    Tininess is set to be detected after rounding.
    """
    found = importlib.util.find_spec("_softfloat")
    if found is None or found.origin is None:
        raise ToolError("the Python package softfloat is missing, the oracle of FP16 arithmetic")
    library = ctypes.CDLL(found.origin)
    ctypes.c_uint8.in_dll(library, "softfloat_detectTininess").value = 1
    return library


@cache
def softfloat_addresses() -> ctypes.Array:
    """The struct SoftFloat for loops in C++. Its variables are this process's only ones."""
    library = softfloat()
    addresses = [ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in FUNCTIONS]
    for name in VARIABLES:
        addresses.append(ctypes.addressof(ctypes.c_uint8.in_dll(library, name)))
    return (ctypes.c_void_p * len(addresses))(*addresses)


@cache
def native(source: str) -> ctypes.CDLL:
    """The C++ file of this folder as a library, compiled once for equal text."""
    sources = [FOLDER / source, FOLDER / "oracle.h"]

    def build(unfinished: Path) -> None:
        options = ["-std=gnu++17", "-O3", "-shared", "-fPIC", f"-I{FOLDER}"]
        target = unfinished / "native.so"
        run([compiler(), *options, sources[0], "-o", target], log=unfinished / "compile.log")

    key = fingerprint(fingerprint_files(sources), str(versions()), compiler())
    return ctypes.CDLL(str(build_once(BUILD / "native" / key, build) / "native.so"))


def wanted(
    operation: Operation, mode: Mode, a: ArrayLike, b: ArrayLike, c: ArrayLike = 0
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Results and flags of an operation of the groups FMA or COMPARE, or a sign injection.

    Operands are patterns of FLOAT16 that are broadcast against each other. A comparison's result
    is 0 or 1; an arithmetic one that is a NaN is the canonical one. Flags are numbered as in
    ``golden.rounding``, tininess is detected after rounding. MIN, MAX and sign injection are
    written here from their definitions, everything else is SoftFloat's.
    Raises ValueError for another operation.
    """
    arrays = np.broadcast_arrays(*(np.asarray(operand, dtype=np.uint16) for operand in (a, b, c)))
    columns = [np.ascontiguousarray(array) for array in arrays]
    shape = arrays[0].shape
    results, flags = np.empty(shape, np.uint16), np.empty(shape, np.uint8)
    function = native("oracle.cpp").assay_wanted
    function.restype = ctypes.c_bool
    pointers = [ctypes.c_void_p(column.ctypes.data) for column in (*columns, results, flags)]
    found = function(
        *(softfloat_addresses(), int(operation), int(mode), ctypes.c_uint64(results.size)),
        *pointers,
    )
    if not found:
        raise ValueError(f"the oracle knows nothing of {operation.name}")
    return results, flags
