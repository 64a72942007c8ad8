"""All pairs of FLOAT16 operands of one operation, circuit against oracle, at 64 pairs a step."""

import ctypes
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from golden.fp16_instruction import Group, Operation
from golden.rounding import Mode
from sim.evaluate import Evaluator
from sim.fp16.oracle import native, softfloat_addresses
from sim.sliced import WORD, build_sliced, to_slices

OPERANDS = 1 << 16
BLOCKS = OPERANDS // WORD
EXAMPLES = 8
#: A wanted word: the result, and above it the flags. As in oracle.h and sweep.cpp.
FLAG_SHIFT = 16
FLAGS = ("NX", "UF", "OF", "DZ", "NV")
WANTED_BITS = FLAG_SHIFT + len(FLAGS)
#: What an operand that takes no part is: a signalling NaN, which would not go unnoticed.
UNUSED = 0x7D01


@dataclass(frozen=True)
class Mismatch:
    """One pair, with the words of result and flags that the circuit gave and the oracle wanted."""

    a: int
    b: int
    got: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.a:04x} {self.b:04x}: got {_show(self.got)}, wanted {_show(self.wanted)}"


@dataclass(frozen=True)
class Outcome:
    """What a sweep found: ``examples`` are the first of its mismatches.

    seconds: of this process's CPU time, without building the circuit.
    """

    pairs: int
    mismatches: int
    seconds: float
    examples: tuple[Mismatch, ...] = ()


@dataclass(frozen=True)
class SweptForm:
    """What a lane is reduced to: its constant inputs, the port of the second operand, outputs."""

    constants: tuple[tuple[str, int], ...]
    second: str
    outputs: tuple[str, ...]


def swept_form(operation: Operation) -> SweptForm:
    """Of the group FMA just the one operation, whose gates are fewer than those of all."""
    if operation.group is not Group.FMA:
        return SweptForm((), "b", ("result", "holds", "invalid"))
    # A lane adds its third operand.
    second, unused = ("b", "c") if operation is Operation.MUL else ("c", "b")
    constants = (("operation", _index(operation)), (unused, UNUSED))
    return SweptForm(constants, second, ("result", "flags"))


def sweep(circuit: str, operation: Operation, mode: Mode | None, operands: range) -> Outcome:
    """Compare all pairs whose first operand is in ``operands``; ends early at a mismatch.

    circuit: RTLIL of the lane of the operation's group, for FLOAT16. mode: None for the groups
    COMPARE and SIGN, which do not round.
    """
    library = native("sweep.cpp")
    function = library.assay_sweep
    function.restype = ctypes.c_uint64
    program = _program(circuit, swept_form(operation))
    chosen = Mode.RNE if mode is None else mode
    structure = program.structure(operation, chosen)
    mismatches = ctypes.c_uint64(0)
    examples = (ctypes.c_uint32 * (4 * EXAMPLES))()
    started = time.process_time()
    pairs = function(
        *(softfloat_addresses(), ctypes.byref(structure), int(operation)),
        *(int(chosen), operands.start, operands.stop),
        *(ctypes.byref(mismatches), examples, ctypes.c_uint64(EXAMPLES)),
    )
    seconds = time.process_time() - started
    shown = min(mismatches.value, EXAMPLES)
    found = tuple(Mismatch(*examples[4 * at : 4 * at + 4]) for at in range(shown))
    return Outcome(pairs, mismatches.value, seconds, found)


class _Structure(ctypes.Structure):
    """``struct Circuit`` of sweep.cpp."""

    _fields_ = (
        ("evaluate", ctypes.c_void_p),
        ("model", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("a", ctypes.c_void_p * 16),
        ("outputs", ctypes.c_void_p * WANTED_BITS),
    )


class _Program:
    """A sliced circuit with columns for all values of the port ``second``."""

    def __init__(self, evaluator: Evaluator, second: str) -> None:
        self._evaluator = evaluator
        ports = (*evaluator.inputs, *evaluator.outputs)
        self._columns = {port.name: np.zeros(BLOCKS, np.uint64) for port in ports}
        for bit, words in enumerate(to_slices(np.arange(OPERANDS), 16)):
            self._columns[f"{second}_{bit:02}"][:] = words
        addresses = [column.ctypes.data for column in self._columns.values()]
        self._addresses = (ctypes.c_void_p * len(addresses))(*addresses)

    def structure(self, operation: Operation, mode: Mode) -> _Structure:
        """Set the inputs that choose the operation, and tell where its outputs are."""
        is_sign = operation.group is Group.SIGN
        choice = {"operation": _index(operation), "mode": int(mode), "is_sign": int(is_sign)}
        for name, value in choice.items():
            for bit in range(3):
                if (column := self._columns.get(f"{name}_{bit:02}")) is not None:
                    column[:] = ~np.uint64(0) if value >> bit & 1 else 0
        outputs: list[int | None] = [None] * WANTED_BITS
        for port, (place, width) in _places(operation).items():
            for bit in range(width):
                outputs[place + bit] = self._columns[f"{port}_{bit:02}"].ctypes.data
        return _Structure(
            self._evaluator.function,
            self._evaluator.model,
            ctypes.cast(self._addresses, ctypes.c_void_p),
            (ctypes.c_void_p * 16)(
                *(self._columns[f"a_{bit:02}"].ctypes.data for bit in range(16))
            ),
            (ctypes.c_void_p * WANTED_BITS)(*outputs),
        )


@lru_cache
def _program(circuit: str, form: SweptForm) -> _Program:
    return _Program(build_sliced(circuit, dict(form.constants), form.outputs), form.second)


def _places(operation: Operation) -> Mapping[str, tuple[int, int]]:
    """Ports of the lane that the operation determines: first bit in a wanted word, and width."""
    if operation.group is Group.FMA:
        return {"result": (0, 16), "flags": (FLAG_SHIFT, len(FLAGS))}
    is_comparison = operation.group is Group.COMPARE and operation < Operation.MIN
    value = {"holds": (0, 1)} if is_comparison else {"result": (0, 16)}
    return value | {"invalid": (FLAG_SHIFT + FLAGS.index("NV"), 1)}


def _index(operation: Operation) -> int:
    """Number within its group."""
    return operation & 7


def _show(word: int) -> str:
    flags = [name for bit, name in enumerate(FLAGS, FLAG_SHIFT) if word >> bit & 1]
    return f"{word & 0xFFFF:04x} {'+'.join(flags) or 'no flags'}"
