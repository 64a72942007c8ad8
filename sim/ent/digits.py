"""Workload: scikit-learn's handwritten digits and the int8 network that classifies them.

The data set has 1,797 images of 8 × 8 pixels, 0 … 16. The test split is every fifth image,
those whose index is a multiple of 5 (360 images); the other 1,437 are the training split.
Consecutive images come from the same writer, so every writer is in both splits: accuracies here
say how well the network reads known hands, not new ones.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from golden.digits import Int8, QuantizedNetwork, load
from golden.integers import Integers

NETWORK = Path(__file__).parent / "digits.npz"
SPLIT = "test: images whose index is a multiple of 5; training: all others"


def test_split() -> tuple[Int8, Integers]:
    """Images int8 (360, 64) and their labels int64 (360,), in the order of the data set."""
    return _split(test=True)


def training_split() -> tuple[Int8, Integers]:
    """Images int8 (1437, 64) and their labels int64 (1437,), in the order of the data set."""
    return _split(test=False)


def load_network() -> QuantizedNetwork:
    """The network in the repository, which ``sim.ent.train_digits`` made."""
    return load(NETWORK)


def float_accuracy() -> float:
    """Share of the test split that the float network, before quantisation, gets right."""
    with np.load(NETWORK) as arrays:
        return float(arrays["float_accuracy"])


def _split(*, test: bool) -> tuple[Int8, Integers]:
    images, labels = load_digits(return_X_y=True)
    chosen = (np.arange(len(labels)) % 5 == 0) == test
    return images[chosen].astype(np.int8), labels[chosen].astype(np.int64)
