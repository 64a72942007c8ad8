"""Operands as networks have them, for which energy is stated."""

import numpy as np

from golden.digits import layers
from golden.integers import Integers, signed_range
from sim.ent.digits import load_network, test_split

#: Standard deviation of the literature's int8 operands (Q. Wu et al., arXiv 2503.06342).
SIGMA = 20


def normal_matrix(rng: np.random.Generator, shape: tuple[int, ...], bits: int) -> Integers:
    """Normal with the mean 0 and ``SIGMA`` in 8 bits, in other widths in proportion."""
    low, high = signed_range(bits)
    numbers = np.rint(rng.normal(0, SIGMA * 2.0 ** (bits - 8), shape)).astype(np.int64)
    return np.clip(numbers, low, high)


def digits_layer() -> tuple[Integers, Integers]:
    """The first layer of the digits network: images (360, 64), weights (64, 32), int8."""
    network, (images, _) = load_network(), test_split()
    a, b = next(iter(layers(network, images)))
    return np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
