"""Between arrays of integers and the packed bits of a port."""

import numpy as np
from amaranth.lib.data import StructLayout
from numpy.typing import ArrayLike

from golden.integers import Integers


def pack_rows(values: ArrayLike, bits: int) -> list[int]:
    """One integer a row: element j of a row sits at bit ``j * bits``, two's complement."""
    numbers = np.atleast_2d(np.asarray(values, dtype=np.int64))
    planes = numbers[:, :, None] >> np.arange(bits) & 1
    packed = np.packbits(
        planes.reshape(len(numbers), -1).astype(np.uint8), axis=1, bitorder="little"
    )
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def unpack_rows(words: list[int], bits: int, count: int) -> Integers:
    """Inverse of ``pack_rows``: signed numbers, shape (rows, count); higher bits are ignored."""
    size = (bits * count + 7) // 8
    mask = (1 << 8 * size) - 1
    data = b"".join((word & mask).to_bytes(size, "little") for word in words)
    planes = np.unpackbits(
        np.frombuffer(data, dtype=np.uint8).reshape(len(words), size), axis=1, bitorder="little"
    )[:, : bits * count].reshape(len(words), count, bits)
    weights = np.int64(1) << np.arange(bits, dtype=np.int64)
    if bits < 64:
        weights[-1] = -weights[-1]
    return np.sum(planes * weights, axis=2, dtype=np.int64)


def pack_fields(layout: StructLayout, **fields: int) -> int:
    """A payload of a layout whose fields are integers; a field that is not named is 0."""
    payload = 0
    for name, value in fields.items():
        field = layout[name]
        payload |= (value & (1 << field.width) - 1) << field.offset
    return payload


def unpack_fields(layout: StructLayout, payload: int) -> dict[str, int]:
    """Inverse of ``pack_fields``, all fields unsigned."""
    return {name: payload >> field.offset & (1 << field.width) - 1 for name, field in layout}
