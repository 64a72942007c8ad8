"""scikit-learn's handwritten digits, and the split that all workloads on them share.

The data set has 1,797 images of 8 × 8 pixels, 0 … 16. The test split is every fifth image,
those whose index is a multiple of 5 (360 images); the other 1,437 are the training split.
Consecutive images come from the same writer, so every writer is in both splits: accuracies here
say how well a network reads known hands, not new ones.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from golden.integers import Integers

SPLIT = "test: images whose index is a multiple of 5; training: all others"

Images = NDArray[np.int8]


def test_split() -> tuple[Images, Integers]:
    """Images int8 (360, 64) and their labels int64 (360,), in the order of the data set."""
    return _split(test=True)


def training_split() -> tuple[Images, Integers]:
    """Images int8 (1437, 64) and their labels int64 (1437,), in the order of the data set."""
    return _split(test=False)


def _split(*, test: bool) -> tuple[Images, Integers]:
    images, labels = load_digits(return_X_y=True)
    chosen = (np.arange(len(labels)) % 5 == 0) == test
    return images[chosen].astype(np.int8), labels[chosen].astype(np.int64)
