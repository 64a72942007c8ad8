"""Trains and quantises the digit classifier: ``python -m sim.ent.train_digits``.

Prints the accuracies on the test split and writes ``digits.npz`` beside this file. Training sees
the training split only, and so does calibration. The hyperparameters come from cross-validation
on the training split.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from golden.digits import Int8, QuantizedNetwork, classify, product
from golden.integers import Integers
from sim.ent.digits import NETWORK, SPLIT, test_split, training_split

HIDDEN = 32
PIXEL_SCALE = 16  # the float network sees pixels / 16, so 0 … 1
LARGEST = 127

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """The quantised network and what the float network gets right of the test split."""

    network: QuantizedNetwork
    float_accuracy: float


def train() -> Trained:
    """Train the float network and quantise it; takes about a second.

    Adam on one thread with a fixed seed: other BLAS kernels change the float weights only in
    their last bits, which quantisation removes. (L-BFGS is a little more accurate, but its line
    search amplifies those bits into different networks.)
    """
    images, labels = training_split()
    test_images, test_labels = test_split()
    model = MLPClassifier(
        (HIDDEN,), alpha=0.1, learning_rate_init=0.01, max_iter=1000, random_state=0
    )
    with threadpool_limits(limits=1):
        model.fit(images / PIXEL_SCALE, labels)
        guesses = model.predict(test_images / PIXEL_SCALE)
    network = quantise(model.coefs_, model.intercepts_, images)
    return Trained(network, accuracy(guesses, test_labels))


def quantise(weights: list[Floats], biases: list[Floats], images: Int8) -> QuantizedNetwork:
    """Symmetric quantisation, one scale per weight matrix, calibrated with ``images`` (N, 64).

    The largest weight of a matrix becomes ±127. The shift is the smallest with which no
    activation of ``images`` saturates. A bias gets the scale of the sums that it is added to.
    Scales of the sums need not be undone: ReLU and the choice of the largest logit ignore them.
    """
    hidden_scale, output_scale = (LARGEST / np.max(np.abs(matrix)) for matrix in weights)
    hidden_weights = np.rint(weights[0] * hidden_scale).astype(np.int8)
    sum_scale = PIXEL_SCALE * hidden_scale
    hidden_bias = np.rint(biases[0] * sum_scale).astype(np.int32)
    shift = smallest_shift(product(images, hidden_weights) + hidden_bias)
    logit_scale = sum_scale / 2**shift * output_scale
    return QuantizedNetwork(
        hidden_weights=hidden_weights,
        hidden_bias=hidden_bias,
        shift=shift,
        output_weights=np.rint(weights[1] * output_scale).astype(np.int8),
        output_bias=np.rint(biases[1] * logit_scale).astype(np.int32),
    )


def smallest_shift(sums: Integers) -> int:
    """The smallest shift with which the largest sum stays within int8 after rounding."""
    largest = int(np.max(sums))
    shift = 0
    while (largest + ((1 << shift) >> 1)) >> shift > LARGEST:
        shift += 1
    return shift


def accuracy(guesses: Integers, labels: Integers) -> float:
    """Share of ``guesses`` that equal ``labels``."""
    return float(np.mean(guesses == labels))


def save(trained: Trained, path: Path) -> None:
    """Write the network, the float accuracy and a description of the split as ``.npz``."""
    arrays = asdict(trained.network)
    np.savez(path, **arrays, float_accuracy=trained.float_accuracy, split=SPLIT)


def main() -> None:
    """Train, write the file and print both accuracies on the test split."""
    trained = train()
    save(trained, NETWORK)
    images, labels = test_split()
    classes, _ = classify(trained.network, images)
    print(f"{len(labels)} test images")
    print(f"float accuracy {trained.float_accuracy:.2%}")
    print(f"int8 accuracy  {accuracy(classes, labels):.2%}")


if __name__ == "__main__":
    main()
