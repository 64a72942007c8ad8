"""Trains the digits network in three arithmetics: ``python -m sim.fp16.train``.

Prints the figures and writes ``training.npz`` beside this file; takes about 15 s. Accuracies
are those of the test split, which training does not see. The error of a gradient is that of the
convolution's, in the norm of all its elements, relative to exact sums of the same numbers, over the
whole training split at once: a sum of 51,732 products where a batch has 288.
"""

from pathlib import Path
from typing import Any

import numpy as np

from golden.fp16_matrix import Accumulation
from sim.digits_data import SPLIT, test_split, training_split
from sim.fp16.training import (
    SEED,
    Arithmetic,
    Training,
    evaluate,
    float32_arithmetic,
    golden_arithmetic,
    gradients,
    train,
)

RECORD = Path(__file__).parent / "training.npz"

#: What the figures call the arithmetics: how they accumulate.
ARITHMETICS = {
    "fp16": golden_arithmetic(Accumulation.FMADD),
    "exdotp": golden_arithmetic(Accumulation.EXDOTP),
    "fp32": float32_arithmetic(),
}


def load_figures() -> dict[str, float]:
    """The figures in the repository, which this script made."""
    with np.load(RECORD) as arrays:
        return {name: float(arrays[name]) for name in arrays.files if name != "split"}


def accuracy(name: str) -> float:
    """Share of the test split that the network is right about after a whole training."""
    training = train(*training_split(), ARITHMETICS[name])
    return evaluate(training.network, *test_split(), ARITHMETICS[name])[1]


def gradient_error(name: str) -> float:
    """Error of the gradient by the weights that a training starts with."""
    network = Training.start(np.random.default_rng(SEED)).network
    images, labels = training_split()
    kind = ARITHMETICS[name].kind
    exact = Arithmetic(kind, lambda a, b: a.astype(np.float64) @ b.astype(np.float64))
    slopes = [
        gradients(network, images, labels, each)[0].convolution.astype(np.float64)
        for each in (ARITHMETICS[name], exact)
    ]
    return float(np.linalg.norm(slopes[0] - slopes[1]) / np.linalg.norm(slopes[1]))


def measure() -> dict[str, float]:
    """All figures, by name."""
    figures = {f"training_accuracy_{name}": accuracy(name) for name in ARITHMETICS}
    for name in ("fp16", "exdotp"):
        figures[f"gradient_error_{name}"] = gradient_error(name)
    return figures


def main() -> None:
    """Measure, write the file and print the figures."""
    figures = measure()
    arrays: dict[str, Any] = {**figures, "split": SPLIT}
    np.savez(RECORD, **arrays)
    for name, value in figures.items():
        print(f"{name} {value:.3g}" if "error" in name else f"{name} {value:.4f}")


if __name__ == "__main__":
    main()
