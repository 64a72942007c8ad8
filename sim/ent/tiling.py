"""Cuts matrices into the tiles of an array and puts the results together again."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from golden.integers import Integers


@dataclass(frozen=True)
class TilePair:
    """Operands of one tile, zero-padded to the array and its lanes: a (R, K), b (K, C)."""

    a: Integers
    b: Integers


def cut(a: Integers, b: Integers, rows: int, columns: int, lanes: int = 1) -> list[TilePair]:
    """Tiles of ``a @ b``, row of tiles by row of tiles."""
    padded_a = _pad(_pad(a, rows, 0), lanes, 1)
    padded_b = _pad(_pad(b, columns, 1), lanes, 0)
    return [
        TilePair(padded_a[top : top + rows], padded_b[:, left : left + columns])
        for top in range(0, len(padded_a), rows)
        for left in range(0, padded_b.shape[1], columns)
    ]


def join(tiles: Iterator[Integers], height: int, width: int) -> Integers:
    """The (height, width) product whose tiles come in the order of ``cut``."""
    rows: list[Integers] = []
    covered = 0
    while covered < height:
        parts = [next(tiles)]
        while sum(part.shape[1] for part in parts) < width:
            parts.append(next(tiles))
        rows.append(np.concatenate(parts, axis=1)[:, :width])
        covered += len(parts[0])
    return np.concatenate(rows)[:height]


def _pad(matrix: Integers, multiple: int, axis: int) -> Integers:
    missing = -matrix.shape[axis] % multiple
    widths = [(0, missing if index == axis else 0) for index in range(2)]
    return np.pad(matrix, widths)
