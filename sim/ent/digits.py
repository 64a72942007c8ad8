"""Workload: the int8 network that classifies scikit-learn's handwritten digits."""

from pathlib import Path

import numpy as np

from golden.digits import QuantizedNetwork, load
from sim.digits_data import SPLIT, test_split, training_split

__all__ = [
    "NETWORK",
    "SPLIT",
    "float_accuracy",
    "load_network",
    "test_split",
    "training_split",
]

NETWORK = Path(__file__).parent / "digits.npz"


def load_network() -> QuantizedNetwork:
    """The network in the repository, which ``sim.ent.train_digits`` made."""
    return load(NETWORK)


def float_accuracy() -> float:
    """Share of the test split that the float network, before quantisation, gets right."""
    with np.load(NETWORK) as arrays:
        return float(arrays["float_accuracy"])
