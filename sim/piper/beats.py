"""Between data sets and the beats of the streams."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdl.piper.beat import row_beat
from hdl.piper.parameters import Parameters

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]

#: How a data set lies on the bus: in full beats, or with any bytes of each beat kept.
FULL, RAGGED = "full", "ragged"


def bus_beats(
    data: bytes, width: int, rng: np.random.Generator, layout: str = FULL, shift: int = 0
) -> Bytes:
    """A data set as packed payloads of ``bus_beat(width)``, a row of bytes for each.

    shift: the first so many lanes of the first beat are left out. Lanes that are not kept hold
    random bytes. Raises ValueError for a layout there is not.
    """
    if layout == FULL:
        lanes = np.arange(shift, shift + len(data))
    elif layout == RAGGED:
        # Bytes go to the kept ones of twice as many lanes and a few, so beats may be empty.
        room = 2 * len(data) + 3 * width
        lanes = np.sort(rng.choice(room, len(data), replace=False))
    else:
        raise ValueError(f"layout is {layout!r}; allowed are {FULL!r}, {RAGGED!r}")
    beats = max(1, -(-(int(lanes[-1]) + 1) // width)) if len(data) else 1
    content = rng.integers(0, 256, beats * width, dtype=np.uint8)
    keep = np.zeros(beats * width, dtype=np.uint8)
    content[lanes] = np.frombuffer(data, dtype=np.uint8)
    keep[lanes] = 1
    last = np.zeros((beats, 1), dtype=np.uint8)
    last[-1] = 1
    flags = np.concatenate([keep.reshape(beats, width), last], axis=1)
    return np.concatenate(
        [content.reshape(beats, width), np.packbits(flags, axis=1, bitorder="little")], axis=1
    )


def as_integers(rows: Bytes) -> list[int]:
    """Packed payloads as the integers that a port of the simulator takes."""
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def as_bytes(payloads: Sequence[int], bits: int) -> Bytes:
    """Inverse of ``as_integers``, for payloads of that many bits."""
    size = -(-bits // 8)
    data = b"".join(payload.to_bytes(size, "little") for payload in payloads)
    return np.frombuffer(data, dtype=np.uint8).reshape(len(payloads), size)


@dataclass(frozen=True)
class Output:
    """What came out for one data set: words and unseen (rows, columns), causes (rows)."""

    words: Words
    unseen: NDArray[np.bool_]
    causes: NDArray[np.int64]


class BeatReader:
    """Reads the output stream of a pipeline. Raises AssertionError if it is not well formed."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.layout = row_beat(parameters)
        places = list(parameters.places)
        places += [None] * (parameters.beats * parameters.lanes - len(places))
        self._kept = np.array([place is not None for place in places])
        self._order = np.argsort([place for place in places if place is not None])

    def read(self, rows: Bytes) -> list[Output]:
        """The data sets in packed payloads, whole ones."""
        bits = np.unpackbits(rows, axis=1, bitorder="little")
        last = self._field(bits, "last").astype(bool)
        if not len(last) or not last[-1]:
            raise AssertionError("the output does not end with the end of a data set")
        ends = np.flatnonzero(last)
        starts = np.concatenate([[0], ends[:-1] + 1])
        return [
            self._read_one(bits[start:end], bits[end])
            for start, end in zip(starts, ends, strict=True)
        ]

    def _read_one(self, bits: Bytes, end: Bytes) -> Output:
        p = self.parameters
        if self._field(end[None], "keep")[0] or self._field(end[None], "row_end")[0]:
            raise AssertionError("the end of a data set has columns")
        beats = len(bits)
        if beats % p.beats:
            raise AssertionError(f"{beats} beats are no whole rows of {p.beats}")
        number = self._field(bits, "beat").reshape(-1, p.beats)
        row_end = self._field(bits, "row_end").reshape(-1, p.beats)
        if (number != np.arange(p.beats)).any():
            raise AssertionError("beats of a row are not in order")
        if row_end[:, :-1].any() or not row_end[:, -1].all():
            raise AssertionError("row_end is not where rows end")
        causes = self._field(bits, "causes").reshape(-1, p.beats)
        if (causes != causes[:, :1]).any():
            raise AssertionError("beats of one row have different causes")
        keep = self._lanes(bits, "keep", 1)
        if (keep != self._kept).any():
            raise AssertionError("keep is not where the schema has columns")
        kept = self._kept
        words = self._lanes(bits, "words", 32)[:, kept][:, self._order]
        unseen = self._lanes(bits, "unseen", 1)[:, kept][:, self._order]
        return Output(words.astype(np.uint32), unseen.astype(bool), causes[:, 0])

    def _field(self, bits: Bytes, name: str) -> NDArray[np.int64]:
        """An unsigned field of up to 62 bits, of every payload."""
        field = self.layout[name]
        planes = bits[:, field.offset : field.offset + field.width].astype(np.int64)
        return planes @ (np.int64(1) << np.arange(field.width, dtype=np.int64))

    def _lanes(self, bits: Bytes, name: str, width: int) -> NDArray[np.int64]:
        """A field with ``width`` bits a lane: (rows, lanes of all beats of a row)."""
        field = self.layout[name]
        planes = bits[:, field.offset : field.offset + field.width]
        planes = planes.reshape(-1, self.parameters.beats * self.parameters.lanes, width)
        return planes.astype(np.int64) @ (np.int64(1) << np.arange(width, dtype=np.int64))
