"""Data sets for a pipeline, whatever its schema and its source."""

import numpy as np

from hdl.piper.parameters import Parameters, Source
from hdl.piper.schemas import CRITEO
from sim.piper.reference import golden_columns
from sim.piper.rows import EDGE_FIELDS, bad_rows, binary_rows, breakers, criteo_rows, schema_rows

#: Most distinct values of a column: few enough that they return within a short run.
DISTINCT = 60


class Traffic:
    """Makes data sets. A binary source gets the values of good rows, and cuts for bad ones."""

    def __init__(self, rng: np.random.Generator, parameters: Parameters) -> None:
        self.rng = rng
        self.parameters = parameters
        self.columns = golden_columns(parameters.schema)
        self.bases = [column.base for column in self.columns]

    def good(self, rows: int) -> bytes:
        """Rows with nothing wrong; those of click logs with their statistics."""
        if self.parameters.schema == CRITEO:
            text = criteo_rows(self.rng, rows)
        else:
            text = schema_rows(self.rng, self.bases, rows, distinct=DISTINCT)
        return self._encode(text)

    def mixed(self, rows: int) -> bytes:
        """Good rows and bad ones; the last may lack its newline."""
        if self.parameters.source is Source.BINARY:
            return self._cut(self.good(rows))
        return bad_rows(self.rng, self.bases, rows, bool(self.rng.random() < 0.5))

    def everything_bad(self) -> bytes:
        """Each cause several times, and each odd field in each base, between good rows."""
        if self.parameters.source is Source.BINARY:
            return self._cut(self.good(5))
        good = self.good(40).split(b"\n")[:-1]
        lines = []
        for breaker in breakers(self.bases).values():
            for line in good[:4]:
                lines += [line, b"\t".join(breaker(self.rng, line.split(b"\t"), self.bases))]
        for field in EDGE_FIELDS:
            for base in set(self.bases):
                fields = good[len(lines) % len(good)].split(b"\t")
                at = self.rng.choice([n for n, each in enumerate(self.bases) if each == base])
                fields[at] = field
                lines.append(b"\t".join(fields))
        lines += [b"", good[0] + b"\r", good[1].upper(), b"\r", b"\r\r", b"\t" * 300]
        return b"\n".join(lines) + b"\n"

    def truncated(self) -> list[bytes]:
        """Data sets that end at every place of a beat, some in a CR; and empty ones."""
        data = self.good(2)
        width = self.parameters.bus_bytes
        cuts = [len(data) - cut for cut in range(min(2 * width, 40))]
        ends = [data[:cut] for cut in cuts]
        if self.parameters.source is Source.TEXT:
            ends += [data[:-1] + b"\r", data[:-1] + b"\r\n", b"\n", b"\r", b"\r\n", b"7"]
        return [*ends, b"", b""]

    def empty(self, rows: int) -> bytes:
        """Rows of empty fields: as dense as good rows can be."""
        return self._encode((b"\t" * (len(self.bases) - 1) + b"\n") * rows)

    def newlines(self, rows: int) -> bytes:
        """Blank lines: as many rows as bytes."""
        return b"\n" * rows if self.parameters.source is Source.TEXT else self.empty(rows)

    def bytes_behind_first_row(self, data: bytes) -> int:
        if self.parameters.source is Source.BINARY:
            return len(data) - 4 * len(self.parameters.places)
        return len(data) - data.index(b"\n") - 1

    def _encode(self, text: bytes) -> bytes:
        if self.parameters.source is Source.BINARY:
            return binary_rows(text, self.columns, self.parameters.places)
        return text

    def _cut(self, data: bytes) -> bytes:
        """Without the last bytes, so that the last row is short."""
        return data[: len(data) - int(self.rng.integers(1, 4 * len(self.parameters.places)))]
