"""Quantises a floating-point LSTM layer to the integers that the E-BATCH engine computes with.

A real number is ``scale * (integer - offset)``. Inputs and outputs have the scale and the offset of
the range that they are to cover. Weights have one scale for all units of a gate, and no offset, so
the offset of what they multiply becomes part of a bias: w (q - z) = w q - w z.
"""

from dataclasses import dataclass
from math import ceil, frexp, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.ebatch import Cell, Gate, Layer
from golden.ebatch_requantise import Scale
from golden.integers import Integers, signed_range

Floats = NDArray[np.floating[Any]]

#: Order of the gates in the arrays of a ``FloatLayer``.
GATES = Cell.LSTM.gates
#: What one unit is worth of what goes into a gate, and of what comes out.
PRE_SCALE, GATE_SCALE = 2.0**-12, 2.0**-15
#: With this shift a cell has the scale of what goes into a gate.
CELL_FRACTION = 12
BYTE_LOW, BYTE_HIGH = signed_range(8)


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """An LSTM layer of H units with X inputs; G = 4 gates in the order of ``GATES``.

    input_weights: [G, H, X]. state_weights: [G, H, H]. bias: [G, H]. cell_clip: the cell is kept
    within ± cell_clip.
    """

    input_weights: Floats
    state_weights: Floats
    bias: Floats
    cell_clip: float


@dataclass(frozen=True)
class Affine:
    """int8 numbers that stand for ``scale * (integer - offset)``."""

    scale: float
    offset: int

    @classmethod
    def of_range(cls, low: float, high: float) -> "Affine":
        """The finest numbers that span ``low`` to ``high`` and 0, and in which 0 is exact."""
        low, high = min(low, 0.0), max(high, 0.0)
        if low == high:
            raise ValueError("a range of 0 alone has no scale")
        scale = (high - low) / (BYTE_HIGH - BYTE_LOW)
        return cls(scale, round(BYTE_LOW - low / scale))

    @classmethod
    def symmetric(cls, largest: float) -> "Affine":
        """Numbers with an offset of 0, in which ``largest`` is 127."""
        return cls(largest / BYTE_HIGH, 0)

    def quantise(self, values: Floats) -> NDArray[np.int8]:
        """The nearest integer of each of ``values``, ties to even, within int8."""
        integers = np.rint(np.asarray(values, np.float64) / self.scale) + self.offset
        return np.clip(integers, BYTE_LOW, BYTE_HIGH).astype(np.int8)


def scale_of(factor: float) -> Scale:
    """The real ``factor`` > 0 as multiplier and shift; the multiplier is 2**30 at least."""
    fraction, exponent = frexp(factor)
    multiplier = round(fraction * 2**31)
    if multiplier == 1 << 31:
        multiplier, exponent = 1 << 30, exponent + 1
    return Scale(multiplier, exponent)


def quantise_layer(layer: FloatLayer, inputs: Affine, outputs: Affine) -> Layer:
    """The layer with 8-bit ``inputs`` and ``outputs``, and a 16-bit cell.

    The cell's scale is the finest power of two that holds ± cell_clip. A bias goes into the sum of
    the inputs, which every step has, in contrast to that of the state.
    """
    cell_scale = 2.0 ** (ceil(log2(layer.cell_clip)) - 15)
    gates = {
        name: _gate(
            layer.input_weights[place],
            layer.state_weights[place],
            layer.bias[place],
            inputs,
            outputs,
        )
        for place, name in enumerate(GATES)
    }
    return Layer(
        Cell.LSTM,
        gates,
        products={
            "forget": scale_of(GATE_SCALE),
            "input": scale_of(GATE_SCALE**2 / cell_scale),
            "output": scale_of(GATE_SCALE**2 / outputs.scale),
        },
        cell_clip=min(round(layer.cell_clip / cell_scale), signed_range(16)[1]),
        cell_shift=round(log2(cell_scale)) + CELL_FRACTION,
        output_offset=outputs.offset,
    )


def _gate(
    input_weights: Floats, state_weights: Floats, bias: Floats, inputs: Affine, outputs: Affine
) -> Gate:
    """One gate: ``input_weights`` [H, X], ``state_weights`` [H, H], ``bias`` [H]."""
    of_inputs, of_state = (
        Affine.symmetric(float(np.max(np.abs(weights))))
        for weights in (input_weights, state_weights)
    )
    rows, columns = of_inputs.quantise(input_weights), of_state.quantise(state_weights)
    sum_scale = of_inputs.scale * inputs.scale
    real_bias = np.rint(bias.astype(np.float64) / sum_scale).astype(np.int64)
    return Gate(
        input_weights=rows,
        state_weights=columns,
        input_bias=(real_bias - inputs.offset * _row_sums(rows)).astype(np.int32),
        state_bias=(-outputs.offset * _row_sums(columns)).astype(np.int32),
        input_scale=scale_of(sum_scale / PRE_SCALE),
        state_scale=scale_of(of_state.scale * outputs.scale / PRE_SCALE),
    )


def _row_sums(weights: NDArray[np.int8]) -> Integers:
    return np.sum(weights.astype(np.int64), axis=1)
