"""Golden model of the int8 digit classifier: a perceptron of two layers, 64 → H → 10.

One image is one row. With all arithmetic in exact integers::

    hidden = requantise(images @ hidden_weights + hidden_bias, shift)
    logits = hidden @ output_weights + output_bias

The class is the index of the largest logit, the lowest index among equals. Both products have
int8 operands and go through a function that the caller may replace, by the circuit for example;
biases, requantisation and the choice of the class stay in software.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.integers import Integers

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Multiply = Callable[[Int8, Int8], Integers]


@dataclass(frozen=True)
class QuantizedNetwork:
    """Weights and biases with all scales folded in, so that inference needs integers only.

    hidden_weights: int8 (64, H). hidden_bias: int32 (H,). shift: as ``requantise`` has it.
    output_weights: int8 (H, 10). output_bias: int32 (10,).
    """

    hidden_weights: Int8
    hidden_bias: Int32
    shift: int
    output_weights: Int8
    output_bias: Int32


def load(path: Path) -> QuantizedNetwork:
    """The network in an ``.npz`` file with one array per field; other arrays are ignored."""
    with np.load(path) as arrays:
        return QuantizedNetwork(
            hidden_weights=arrays["hidden_weights"],
            hidden_bias=arrays["hidden_bias"],
            shift=int(arrays["shift"]),
            output_weights=arrays["output_weights"],
            output_bias=arrays["output_bias"],
        )


def product(a: Int8, b: Int8) -> Integers:
    """``a @ b`` for int8 matrices (N, K) and (K, M), exact in int64."""
    return a.astype(np.int64) @ b.astype(np.int64)


def requantise(sums: ArrayLike, shift: int) -> Int8:
    """Integers to activations 0 … 127: ReLU, then ``sums / 2**shift`` rounded, then saturation.

    Rounding is to the nearest integer, halves up: ``floor(sums / 2**shift + 1/2)``. ReLU leaves
    nothing negative, so a half goes away from zero as well. ``shift`` is 0 or more.
    """
    positive = np.maximum(np.asarray(sums, dtype=np.int64), 0)
    half = (1 << shift) >> 1
    rounded: Integers = (positive + half) >> shift
    return np.minimum(rounded, 127).astype(np.int8)


def classify(
    network: QuantizedNetwork, images: Int8, multiply: Multiply = product
) -> tuple[Integers, Integers]:
    """Classes (N,) and logits (N, 10), both int64, of int8 ``images`` (N, 64) of 0 … 16.

    ``multiply(a, b)`` is called once per layer, in order, with int8 activations (N, K) and int8
    weights (K, M), and returns their product as int64 (N, M). Biases are added afterwards.
    """
    sums = multiply(images, network.hidden_weights) + network.hidden_bias
    hidden = requantise(sums, network.shift)
    logits = multiply(hidden, network.output_weights) + network.output_bias
    return np.argmax(logits, axis=1), logits


def layers(network: QuantizedNetwork, images: Int8) -> list[tuple[Int8, Int8]]:
    """Operands of both products: activations (N, K) and weights (K, M), int8, first layer first."""
    operands: list[tuple[Int8, Int8]] = []

    def record(a: Int8, b: Int8) -> Integers:
        operands.append((a, b))
        return product(a, b)

    classify(network, images, record)
    return operands
