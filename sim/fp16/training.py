"""Workload: training a small convolutional network on handwritten digits, from scratch.

A convolution of 3 × 3 with 8 filters over images of 8 × 8 pixels, ReLU, and a dense layer to ten
classes; softmax and cross-entropy; stochastic gradient descent with momentum. Every sum over
products, forward and backward, is a matrix product and goes through a function that the caller may
replace, by the circuit for example. Biases are in them: rows of weights whose input is 1.

Weights, activations and their gradients are rounded to FLOAT16 (or whatever the arithmetic's kind
is); products and gradients of weights come as they are accumulated. Master weights, momentum and
updates are float32, softmax is float64; both stay in software. The loss is not scaled: the network
trains as well without.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from golden.fp16_matrix import Accumulation, multiply, patterns, values
from golden.integers import Integers

Floats = NDArray[np.floating[Any]]
Multiply = Callable[[Floats, Floats], Floats]

SIDE, KERNEL, CLASSES, FILTERS = 8, 3, 10, 8
TAPS = KERNEL * KERNEL
PLACES = (SIDE - KERNEL + 1) ** 2
PIXEL_SCALE = 16  # the network sees pixels / 16, so 0 … 1
#: From cross-validation on the training split, in float32.
BATCH, EPOCHS, RATE, MOMENTUM = 8, 10, 0.05, 0.9
SEED = 0


@dataclass(frozen=True)
class Arithmetic:
    """The type of weights and activations, and the products of matrices of that type."""

    kind: type[np.floating[Any]]
    multiply: Multiply


@dataclass(frozen=True)
class Network:
    """convolution: (1 + 9, filters). dense: (1 + places * filters, 10). Row 0 is the bias."""

    convolution: Floats
    dense: Floats


@dataclass(frozen=True)
class Pass:
    """What a forward pass leaves for the backward one.

    windows: (N * places, 1 + 9). hidden: (N, 1 + places * filters). logits: (N, 10), float64.
    """

    windows: Floats
    hidden: Floats
    logits: Floats


def golden_arithmetic(how: Accumulation) -> Arithmetic:
    """FLOAT16 as the unit's instructions have it."""

    def product(a: Floats, b: Floats) -> Floats:
        bits = multiply(half_patterns(a), half_patterns(b), how)
        return as_numbers(bits, how)

    return Arithmetic(np.float16, product)


def float32_arithmetic() -> Arithmetic:
    """The reference: each product is a sum in float64, rounded to float32."""
    return Arithmetic(
        np.float32, lambda a, b: (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
    )


def half_patterns(matrix: Floats) -> Integers:
    """Patterns of a float16 matrix."""
    assert matrix.dtype == np.float16
    return patterns(matrix, Accumulation.FMADD.format)


def as_numbers(bits: Integers, how: Accumulation) -> Floats:
    """Results of a product, of the type that they are accumulated in."""
    kind = np.float16 if how is Accumulation.FMADD else np.float32
    return values(bits, how.format).astype(kind)


def initial_network(rng: np.random.Generator) -> Network:
    """Normally distributed float32 weights (He), and biases of 0."""
    convolution = np.zeros((1 + TAPS, FILTERS), np.float32)
    dense = np.zeros((1 + PLACES * FILTERS, CLASSES), np.float32)
    for weights in (convolution, dense):
        inputs = len(weights) - 1
        weights[1:] = rng.normal(size=weights[1:].shape) * np.sqrt(2 / inputs)
    return Network(convolution, dense)


def forward(network: Network, images: NDArray[Any], arithmetic: Arithmetic) -> Pass:
    """Logits of images (N, 64), pixels of 0 … 16: two products."""
    kind, count = arithmetic.kind, len(images)
    pixels = images.reshape(count, SIDE, SIDE) / PIXEL_SCALE
    seen = sliding_window_view(pixels, (KERNEL, KERNEL), (1, 2)).reshape(-1, TAPS)
    windows = _with_ones(seen.astype(kind))
    sums = arithmetic.multiply(windows, network.convolution.astype(kind)).astype(kind)
    hidden = _with_ones(np.maximum(sums, 0).reshape(count, -1))
    logits = arithmetic.multiply(hidden, network.dense.astype(kind)).astype(kind)
    return Pass(windows, hidden, logits.astype(np.float64))


def gradients(
    network: Network, images: NDArray[Any], labels: Integers, arithmetic: Arithmetic
) -> tuple[Network, float]:
    """Gradients of the mean loss by all weights, and that loss: five products in all."""
    kind = arithmetic.kind
    done = forward(network, images, arithmetic)
    probabilities, losses = softmax(done.logits, labels)
    probabilities[np.arange(len(labels)), labels] -= 1
    by_logits = (probabilities / len(labels)).astype(kind)
    by_dense = arithmetic.multiply(done.hidden.T, by_logits)
    by_hidden = arithmetic.multiply(by_logits, network.dense[1:].T.astype(kind)).astype(kind)
    by_sums = np.where(done.hidden[:, 1:] > 0, by_hidden, kind(0))
    by_convolution = arithmetic.multiply(done.windows.T, by_sums.reshape(-1, FILTERS))
    return Network(by_convolution, by_dense), float(np.mean(losses))


def softmax(logits: Floats, labels: Integers) -> tuple[Floats, Floats]:
    """Probabilities (N, 10) and cross-entropies (N,), in float64."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    losses = np.log(sums[:, 0]) - shifted[np.arange(len(labels)), labels]
    return exponentials / sums, losses


@dataclass(frozen=True)
class Training:
    """Where a training stands: master weights and their velocities, all float32."""

    network: Network
    velocity: Network

    @classmethod
    def start(cls, rng: np.random.Generator) -> "Training":
        network = initial_network(rng)
        return cls(network, Network(0 * network.convolution, 0 * network.dense))

    def step(
        self, images: NDArray[Any], labels: Integers, arithmetic: Arithmetic
    ) -> tuple["Training", float]:
        """After one update, and the loss before it."""
        slope, loss = gradients(self.network, images, labels, arithmetic)
        velocity = Network(
            _accelerated(self.velocity.convolution, slope.convolution),
            _accelerated(self.velocity.dense, slope.dense),
        )
        network = Network(
            self.network.convolution + velocity.convolution, self.network.dense + velocity.dense
        )
        return Training(network, velocity), loss


def batches(rng: np.random.Generator, count: int) -> Iterator[Integers]:
    """Indices of one epoch: ``count`` in random order, a batch at a time, an odd rest left out."""
    order = rng.permutation(count)
    yield from order[: count - count % BATCH].reshape(-1, BATCH)


def train(
    images: NDArray[Any], labels: Integers, arithmetic: Arithmetic, epochs: int = EPOCHS
) -> Training:
    """A whole training, always with the same first weights and the same batches."""
    rng = np.random.default_rng(SEED)
    training = Training.start(rng)
    for _ in range(epochs):
        for chosen in batches(rng, len(labels)):
            training, _ = training.step(images[chosen], labels[chosen], arithmetic)
    return training


def evaluate(
    network: Network, images: NDArray[Any], labels: Integers, arithmetic: Arithmetic
) -> tuple[float, float]:
    """Mean loss and accuracy."""
    logits = forward(network, images, arithmetic).logits
    _, losses = softmax(logits, labels)
    return float(np.mean(losses)), float(np.mean(np.argmax(logits, axis=1) == labels))


def _accelerated(velocity: Floats, slope: Floats) -> Floats:
    return np.float32(MOMENTUM) * velocity - np.float32(RATE) * slope.astype(np.float32)


def _with_ones(matrix: Floats) -> Floats:
    return np.concatenate([np.ones((len(matrix), 1), matrix.dtype), matrix], axis=1)
