"""Golden model of the E-BATCH engine: one sequence through the layers of a recurrent network.

Weights, inputs and outputs are int8, sums int32, gates and cell int16. The LSTM is that of CMSIS-NN
(int8 with a 16-bit cell), bit for bit. The portable kernel of TensorFlow Lite for microcontrollers
gives the same, unless the state part of a gate or a product exceeds int16, which it saturates
before adding, or the cell has no clip, which then may be -32768. Neither has a GRU; both kinds here
are of the same arithmetic.

Numbers: what goes into a gate has a scale of 2**-12, a gate of 2**-15, and the output of a GRU of
2**-7 with zero point 0. Other scales are the network's own and are in its ``Scale``s and shifts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden import ebatch_activation
from golden.ebatch_activation import Function, activate
from golden.ebatch_requantise import Scale, requantise, rounding_shift_right, saturate
from golden.integers import Integers, signed_range

Bytes = NDArray[np.int8]
Words = NDArray[np.int16]

#: Bits behind the point of a gate, and of the output of a GRU.
GATE_FRACTION, OUTPUT_FRACTION = 15, 7
_NO_CLIP = 32767


class Cell(StrEnum):
    """What a unit of a layer computes. The two GRUs differ in where the reset gate acts."""

    LSTM = "lstm"
    GRU_RESET_BEFORE = "gru-reset-before"
    GRU_RESET_AFTER = "gru-reset-after"

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates. ``update`` of an LSTM and ``new`` of a GRU have tanh."""
        if self is Cell.LSTM:
            return ("forget", "input", "update", "output")
        return ("reset", "update", "new")

    @property
    def products(self) -> tuple[str, ...]:
        """Products that are requantised, by the gate that is a factor.

        LSTM: forget × cell, input × update, output × tanh(cell). GRU: reset × what it resets.
        """
        return ("forget", "input", "output") if self is Cell.LSTM else ("reset",)

    def function(self, gate: str) -> Function:
        """The activation of ``gate``."""
        tanh = "update" if self is Cell.LSTM else "new"
        return Function.TANH if gate == tanh else Function.SIGMOID


@dataclass(frozen=True, eq=False)
class Gate:
    """One gate of a layer of H units with X inputs; integers of any type, kept as read-only copies.

    input_weights: int8 [H, X]. state_weights: int8 [H, H], of the outputs one step before.
    input_bias, state_bias: int32 [H], zero points of inputs and outputs folded in.
    input_scale, state_scale: bring the two sums, each with its bias, to 2**-12.

    Raises ValueError for a wrong shape, or a number out of range, and if a sum could exceed int32:
    |bias| + 128 × the sum of |weights| must be less than 2**31.
    """

    input_weights: Bytes
    state_weights: Bytes
    input_bias: NDArray[np.int32]
    state_bias: NDArray[np.int32]
    input_scale: Scale
    state_scale: Scale

    def __post_init__(self) -> None:
        shape = np.shape(self.input_weights)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"input_weights has the shape {shape}, not units by inputs")
        units, inputs = shape
        for name, bits, shape in (
            ("input_weights", 8, (units, inputs)),
            ("state_weights", 8, (units, units)),
            ("input_bias", 32, (units,)),
            ("state_bias", 32, (units,)),
        ):
            object.__setattr__(self, name, _integers(name, getattr(self, name), bits, shape))
        for part, weights, bias in (
            ("input", self.input_weights, self.input_bias),
            ("state", self.state_weights, self.state_bias),
        ):
            largest = _magnitude(bias) + 128 * _magnitude(weights).sum(axis=1)
            if largest.max() >= 1 << 31:
                raise ValueError(f"{part} sums may reach {largest.max()}; int32 must hold them")

    @property
    def hidden_size(self) -> int:
        return self.input_weights.shape[0]

    @property
    def input_size(self) -> int:
        return self.input_weights.shape[1]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer: its gates, all of one shape, and the scales of products, by the names of ``Cell``.

    Of an LSTM only, a GRU has the defaults: cell_clip, 1 … 32767: largest magnitude of the cell.
    cell_shift, -15 … 3: the cell has a scale of 2**(cell_shift - 12). output_offset, int8: zero
    point of the output. Raises ValueError for anything else.
    """

    cell: Cell
    gates: Mapping[str, Gate]
    products: Mapping[str, Scale]
    cell_clip: int = _NO_CLIP
    cell_shift: int = 0
    output_offset: int = 0

    def __post_init__(self) -> None:
        for kind, found, expected in (
            ("gates", self.gates, self.cell.gates),
            ("products", self.products, self.cell.products),
        ):
            if set(found) != set(expected):
                raise ValueError(f"{kind} of {self.cell} are {list(found)}, not {list(expected)}")
        shapes = {(gate.hidden_size, gate.input_size) for gate in self.gates.values()}
        if len(shapes) > 1:
            raise ValueError(f"gates have different units and inputs: {sorted(shapes)}")
        for name, low, high in (
            ("cell_clip", 1, _NO_CLIP),
            ("cell_shift", ebatch_activation.MIN_SHIFT, ebatch_activation.MAX_SHIFT),
            ("output_offset", *signed_range(8)),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; allowed are {low} to {high}")
            if self.cell is not Cell.LSTM and value != getattr(Layer, name):
                raise ValueError(f"{name} is {value}; a GRU has none")

    @property
    def hidden_size(self) -> int:
        return next(iter(self.gates.values())).hidden_size

    @property
    def input_size(self) -> int:
        return next(iter(self.gates.values())).input_size


@dataclass(frozen=True, eq=False)
class Steps:
    """What happens to a sequence of T steps in a layer of H units.

    pre: by gate, int16 [T, H], what goes into the activation. gates: by gate, int16 [T, H], what
    comes out. cells: int16 [T, H], None for a GRU. outputs: int8 [T, H].
    """

    pre: dict[str, Words]
    gates: dict[str, Words]
    cells: Words | None
    outputs: Bytes


def run_layer(layer: Layer, inputs: ArrayLike) -> Steps:
    """One sequence, int8 [T, X], from the zero state on; or N of one length, [T, N, X].

    Of N sequences all arrays of the result have [T, N, H]. What steps give does not depend on those
    after them, so sequences of different lengths may be run together, filled up behind their ends.

    An LSTM has no state part at the first step, so not its bias either: with an output_offset, int8
    0 is not an output of zero. Raises ValueError for wrong inputs, and if a sum or a product is not
    int32 behind the left shift of its scale.
    """
    shape = np.shape(inputs)
    if len(shape) not in (2, 3):
        raise ValueError(f"inputs has the shape {shape}, not [T, X] or [T, N, X]")
    sequences = _integers("inputs", inputs, 8, (*shape[:-1], layer.input_size))
    run = _Run(layer, sequences.astype(np.int64))
    cells: Integers | None = None
    if layer.cell is Cell.LSTM:
        cells = _lstm(run)
    else:
        _gru(run)
    return Steps(
        {name: values.astype(np.int16) for name, values in run.pre.items()},
        {name: values.astype(np.int16) for name, values in run.gates.items()},
        None if cells is None else cells.astype(np.int16),
        run.outputs.astype(np.int8),
    )


def run_layers(layers: Iterable[Layer], inputs: ArrayLike) -> list[Steps]:
    """``inputs`` through all ``layers``; the outputs of one are the inputs of the next."""
    steps: list[Steps] = []
    for layer in layers:
        steps.append(run_layer(layer, steps[-1].outputs if steps else inputs))
    return steps


class _Run:
    """Sequences in one layer, and what is found on the way, all int64 [T, H] or [T, N, H]."""

    def __init__(self, layer: Layer, inputs: Integers) -> None:
        self.layer = layer
        self.shape = (*inputs.shape[:-1], layer.hidden_size)
        # Input parts don't wait for a state, so those of all steps are one product.
        self.input_terms = {
            name: self.input_term(gate, inputs) for name, gate in layer.gates.items()
        }
        self.state_columns = {
            name: _columns(gate.state_weights) for name, gate in layer.gates.items()
        }
        self.pre = {name: self.zeros() for name in layer.gates}
        self.gates = {name: self.zeros() for name in layer.gates}
        self.outputs = self.zeros()

    @staticmethod
    def input_term(gate: Gate, inputs: Integers) -> Integers:
        """The input part of a gate at all steps, int16."""
        sums = inputs @ _columns(gate.input_weights) + gate.input_bias
        return saturate(requantise(sums, gate.input_scale), 16)

    def zeros(self) -> Integers:
        return np.zeros(self.shape, dtype=np.int64)

    def state_term(self, name: str, state: Integers) -> Integers:
        """The state part of a gate, int32."""
        gate = self.layer.gates[name]
        return requantise(state @ self.state_columns[name] + gate.state_bias, gate.state_scale)

    def gate(self, name: str, step: int, term: Integers | int) -> Integers:
        """A gate of its input part and another term."""
        self.pre[name][step] = saturate(self.input_terms[name][step] + term, 16)
        self.gates[name][step] = activate(self.pre[name][step], self.layer.cell.function(name))
        return self.gates[name][step]

    def product(self, name: str, first: Integers, second: Integers) -> Integers:
        return requantise(first * second, self.layer.products[name])


def _lstm(run: _Run) -> Integers:
    """The cells."""
    layer, cells = run.layer, run.zeros()
    cell = hidden = np.zeros(run.shape[1:], dtype=np.int64)
    for step in range(len(cells)):
        gates = {
            name: run.gate(name, step, run.state_term(name, hidden) if step else 0)
            for name in layer.cell.gates
        }
        kept = saturate(run.product("forget", gates["forget"], cell), 16)
        added = run.product("input", gates["input"], gates["update"])
        cell = cells[step] = np.clip(kept + added, -layer.cell_clip, layer.cell_clip)
        squashed = activate(cell, Function.TANH, layer.cell_shift).astype(np.int64)
        output = run.product("output", gates["output"], squashed) + layer.output_offset
        hidden = run.outputs[step] = saturate(output, 8)
    return cells


def _gru(run: _Run) -> None:
    """(1 - z) n + z h, rounded once. The state before the first step is 0, a true zero."""
    hidden = np.zeros(run.shape[1:], dtype=np.int64)
    for step in range(len(run.outputs)):
        reset, update = (
            run.gate(name, step, run.state_term(name, hidden)) for name in ("reset", "update")
        )
        if run.layer.cell is Cell.GRU_RESET_AFTER:
            term = run.product("reset", reset, saturate(run.state_term("new", hidden), 16))
        else:
            term = run.state_term("new", saturate(run.product("reset", reset, hidden), 8))
        new = run.gate("new", step, term)
        fine_hidden = hidden << GATE_FRACTION - OUTPUT_FRACTION
        mixed = (new << GATE_FRACTION) + update * (fine_hidden - new)
        rounded = rounding_shift_right(mixed, 2 * GATE_FRACTION - OUTPUT_FRACTION)
        hidden = run.outputs[step] = saturate(rounded, 8)


def _columns(weights: Bytes) -> Integers:
    """``weights`` transposed, to be multiplied by rows of values in int64."""
    return weights.T.astype(np.int64)


def _integers(name: str, values: ArrayLike, bits: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """``values`` as a read-only array of the type of ``bits`` bits."""
    array, (low, high) = np.asarray(values), signed_range(bits)
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, not {shape}")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} is of type {array.dtype}, not of integers")
    if array.size and not (low <= array.min() and array.max() <= high):
        raise ValueError(f"{name} has {array.min()} to {array.max()}; allowed is int{bits}")
    result = array.astype(f"int{bits}")
    result.flags.writeable = False
    return result


def _magnitude(values: NDArray[Any]) -> Integers:
    return np.abs(values.astype(np.int64))
