"""Sigmoid and tanh of 16-bit numbers from one table, as microcontroller kernels compute them.

Both are those of TensorFlow Lite's and CMSIS-NN's int16 kernels, bit for bit. tanh comes from the
same table: tanh(x) = 2 sigmoid(2x) - 1.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.integers import Integers, signed_range

Words = NDArray[np.int16]

#: About 65536 sigmoid(i / 24), i = 0 … 255. Values of the table that the int16 activations of
#: TensorFlow Lite and CMSIS-NN share, taken as facts: they are fitted, 44 of them are one off the
#: nearest integer, so none is computed here.
_TABLE = """
32768 33451 34133 34813 35493 36169 36843 37513 38180 38841 39498 40149 40794 41432 42064 42688
43304 43912 44511 45102 45683 46255 46817 47369 47911 48443 48964 49475 49975 50464 50942 51409
51865 52311 52745 53169 53581 53983 54374 54755 55125 55485 55834 56174 56503 56823 57133 57433
57724 58007 58280 58544 58800 59048 59288 59519 59743 59959 60168 60370 60565 60753 60935 61110
61279 61441 61599 61750 61896 62036 62172 62302 62428 62549 62666 62778 62886 62990 63090 63186
63279 63368 63454 63536 63615 63691 63765 63835 63903 63968 64030 64090 64148 64204 64257 64308
64357 64405 64450 64494 64536 64576 64614 64652 64687 64721 64754 64786 64816 64845 64873 64900
64926 64950 64974 64997 65019 65039 65060 65079 65097 65115 65132 65149 65164 65179 65194 65208
65221 65234 65246 65258 65269 65280 65291 65301 65310 65319 65328 65337 65345 65352 65360 65367
65374 65381 65387 65393 65399 65404 65410 65415 65420 65425 65429 65433 65438 65442 65445 65449
65453 65456 65459 65462 65465 65468 65471 65474 65476 65479 65481 65483 65485 65488 65489 65491
65493 65495 65497 65498 65500 65501 65503 65504 65505 65507 65508 65509 65510 65511 65512 65513
65514 65515 65516 65517 65517 65518 65519 65520 65520 65521 65522 65522 65523 65523 65524 65524
65525 65525 65526 65526 65526 65527 65527 65528 65528 65528 65529 65529 65529 65529 65530 65530
65530 65530 65531 65531 65531 65531 65531 65532 65532 65532 65532 65532 65532 65533 65533 65533
65533 65533 65533 65533 65533 65534 65534 65534 65534 65534 65534 65534 65534 65534 65534 65535
"""
SIGMOID_TABLE: NDArray[np.uint16] = np.array([int(word) for word in _TABLE.split()], np.uint16)
SIGMOID_TABLE.flags.writeable = False
_LAST = len(SIGMOID_TABLE) - 1

#: Shifts of an input, of which 12 bits are behind the point when it is 0.
MIN_SHIFT, MAX_SHIFT = -15, 3


class Function(StrEnum):
    """Functions of an activation."""

    SIGMOID = "sigmoid"
    TANH = "tanh"


def activate(values: ArrayLike, function: Function, shift: int = 0) -> Words:
    """``function`` of ``values`` / 2**(12 - shift), in units of 2**-15; any shape.

    values: int16. shift: -15 … 3. A sigmoid is in 0 … 32767, a tanh in -32767 … 32767.
    Raises ValueError for a value or a shift beyond that.
    """
    inputs = np.asarray(values).astype(np.int64)
    low, high = signed_range(16)
    if inputs.size and not (low <= inputs.min() and inputs.max() <= high):
        raise ValueError(f"activation of {inputs.min()} to {inputs.max()}; allowed is int16")
    if not MIN_SHIFT <= shift <= MAX_SHIFT:
        raise ValueError(f"shift is {shift}; allowed are {MIN_SHIFT} to {MAX_SHIFT}")
    scaled = 3 * inputs  # 24 entries of the table for an input of 1.0
    if shift >= 0:
        scaled <<= shift
    else:
        scaled = scaled + (1 << -shift - 1) >> -shift
    positive = scaled >= 0
    if Function(function) is Function.SIGMOID:
        found = _interpolate(np.abs(scaled), 9, 0x7FFF << 10)
        return _words(np.where(positive, found + 512, (1 << 25) - found + 511) >> 10)
    found = _interpolate(np.abs(scaled), 8, 0xFFFF << 8) - (1 << 23)
    return _words(np.where(positive, found + 128, 127 - found) >> 8)


def _interpolate(magnitudes: Integers, bits: int, limit: int) -> Integers:
    """The table at ``magnitudes`` / 2**bits, times 2**bits; ``limit`` at its end and beyond."""
    table = SIGMOID_TABLE.astype(np.int64)
    index = np.minimum(magnitudes >> bits, _LAST - 1)
    rest = magnitudes & (1 << bits) - 1
    between = (table[index] << bits) + rest * (table[index + 1] - table[index])
    return np.where(magnitudes >> bits >= _LAST, limit, between)


def _words(values: Integers) -> Words:
    return values.astype(np.int16)
