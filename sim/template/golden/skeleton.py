"""Golden model of the skeleton datapath: the distance of two vectors."""

import numpy as np
from numpy.typing import ArrayLike

from golden.integers import Integers


def distance(a: ArrayLike, b: ArrayLike) -> Integers:
    """``Σ |a − b|`` over the last axis; ``a`` and ``b`` have shape (…, lanes), below ``2**32``."""
    difference = np.asarray(a, dtype=np.int64) - np.asarray(b, dtype=np.int64)
    return np.sum(np.abs(difference), axis=-1)
