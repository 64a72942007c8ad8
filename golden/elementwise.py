"""Operations on arrays of any shape and size, done in blocks that fit a cache."""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec

import numpy as np

from golden.integers import Integers

P = ParamSpec("P")
Operation = Callable[P, tuple[Integers, Integers]]

BLOCK = 1 << 14


def elementwise(*names: str) -> Callable[[Operation[P]], Operation[P]]:
    """Let the parameters ``names`` broadcast against each other, as NumPy's own operations do.

    The function itself sees one-dimensional int64 arrays of equal length, ``BLOCK`` at most, and
    returns two such arrays; what it needs besides does not grow with its operands.
    """

    def decorate(function: Operation[P]) -> Operation[P]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> tuple[Integers, Integers]:
            bound = signature.bind(*args, **kwargs)
            given = [name for name in names if name in bound.arguments]
            arrays = np.broadcast_arrays(
                *[np.asarray(bound.arguments[name], dtype=np.int64) for name in given]
            )
            shape, size = arrays[0].shape, arrays[0].size
            flat = [array.reshape(size) for array in arrays]
            first, second = np.empty((2, size), dtype=np.int64)
            for start in range(0, size, BLOCK):
                block = slice(start, start + BLOCK)
                bound.arguments.update(
                    {name: array[block] for name, array in zip(given, flat, strict=True)}
                )
                first[block], second[block] = function(*bound.args, **bound.kwargs)
            return first.reshape(shape), second.reshape(shape)

        return wrapper

    return decorate
