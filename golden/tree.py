"""Reductions by a pairwise tree: the order matters where every node rounds."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from golden.integers import Integers

Node = Callable[[Integers, Integers], tuple[Integers, Integers]]


def reduce_pairwise(
    node: Node, lanes: ArrayLike, active: ArrayLike, nothing: ArrayLike
) -> tuple[Integers, Integers]:
    """Rows (n, lanes) reduced by ``node``, neighbours (0, 1), (2, 3) … level by level.

    There are as many leaves as the next power of two, 2 at least; inactive and missing lanes are
    ``nothing``, a scalar or one a row. Flags of all nodes are ORed.
    """
    numbers = np.asarray(lanes, dtype=np.int64)
    neutral = np.broadcast_to(np.asarray(nothing, dtype=np.int64), len(numbers))
    count = numbers.shape[1]
    leaves = max(2, 1 << (count - 1).bit_length())
    level = np.repeat(neutral[:, None], leaves, axis=1)
    level[:, :count] = np.where(np.asarray(active, dtype=bool), numbers, neutral[:, None])
    flags = np.zeros(len(numbers), dtype=np.int64)
    while level.shape[1] > 1:
        results = [node(level[:, i], level[:, i + 1]) for i in range(0, level.shape[1], 2)]
        level = np.stack([bits for bits, _ in results], axis=1)
        for _, raised in results:
            flags |= raised
    return level[:, 0], flags
