"""Drives the streaming multiplier: whole matrices in, whole matrices out, every beat checked."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from golden.ent import Beat, Tile, multiply_streams
from golden.integers import Integers
from hdl.ent.configurations import ArrayConfiguration
from sim.bench import Bench, Sink, Source
from sim.ent.streams import (
    Status,
    lines_by_beat,
    operand_beats,
    pack_beats,
    unpack_status,
    unpack_tiles,
)
from sim.ent.tiling import TilePair, cut, join

#: Patterns of i_a, i_b and o.
Patterns = tuple[str, str, str]
FLOWING: Patterns = ("flowing", "flowing", "flowing")


class StatusMonitor:
    """Compares stalled and busy flags with the handshakes in every cycle."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._status = bench.port("status")
        self._operand = bench.port("i_a__payload"), bench.port("i_b__payload")
        self._is_open = False
        self._wires = {
            f"{name}_{end}": bench.port(f"{name}__{end}")
            for name in ("i_a", "i_b", "o")
            for end in ("valid", "ready")
        }

    @property
    def now(self) -> Status:
        return unpack_status(int(self._status.value))

    def sample(self, cycle: int) -> None:
        level = {name: bool(int(wire.value)) for name, wire in self._wires.items()}
        status = self.now
        waiting = level["i_a_valid"] and level["i_b_valid"] and not level["i_a_ready"]
        output_waiting = level["o_valid"] and not level["o_ready"]
        self._bench.check(
            (status.input_stalled, status.output_stalled) == (waiting, output_waiting),
            f"status shows the wrong stalls in cycle {cycle}: {status}",
        )
        if self._is_open or level["o_valid"]:
            self._bench.check(status.busy, f"status is not busy in cycle {cycle}")
        if level["i_a_valid"] and level["i_a_ready"] and level["i_b_valid"] and level["i_b_ready"]:
            self._is_open = not any(int(port.value) >> len(port) - 1 for port in self._operand)

    def drive(self) -> None:
        pass

    def forget(self) -> None:
        """A reset has closed the open tile."""
        self._is_open = False


class Multiplier:
    """The design under test with its two sources, its sink and its status."""

    def __init__(self, bench: Bench) -> None:
        assert isinstance(bench.configuration, ArrayConfiguration)
        self.bench = bench
        self.configuration = bench.configuration
        self.parameters = bench.configuration.parameters
        self.status = StatusMonitor(bench)

    def ends(
        self, a: Sequence[Beat], b: Sequence[Beat], patterns: Patterns
    ) -> tuple[Source, Source, Sink]:
        bits = self.parameters.operand_bits
        return (
            Source(self.bench, "i_a", pack_beats(a, bits), patterns[0]),
            Source(self.bench, "i_b", pack_beats(b, bits), patterns[1]),
            Sink(self.bench, "o", patterns[2]),
        )

    async def send(
        self, pairs: Sequence[TilePair], patterns: Patterns = FLOWING
    ) -> tuple[list[Tile], Source, Sink]:
        """Send tiles back to back and check each result, flag and handshake."""
        lanes = self.parameters.lanes
        a = [beat for pair in pairs for beat in operand_beats(lines_by_beat(pair.a, lanes))]
        b = [beat for pair in pairs for beat in operand_beats(lines_by_beat(pair.b.T, lanes))]
        source_a, source_b, sink = self.ends(a, b, patterns)
        rows = len(pairs) * self.configuration.rows
        for end in (source_a, source_b, sink):
            end.drive()  # at once: the first beat may come in the very cycle after a reset
        # Without a pause there is little for the status to show, and watching it takes time.
        monitors = () if patterns == FLOWING else (self.status,)
        await self.bench.run(
            (source_a, source_b, sink, *monitors),
            lambda: len(sink.received) == rows and source_a.done and source_b.done,
            limit=60 * (len(a) + rows) + 1000,
        )
        tiles = self.unpack(sink)
        self.check_tiles(tiles, a, b)
        return tiles, source_a, sink

    def unpack(self, sink: Sink) -> list[Tile]:
        return unpack_tiles(sink.payloads, self.configuration)

    def check_tiles(self, tiles: list[Tile], a: Sequence[Beat], b: Sequence[Beat]) -> None:
        """Compare values and errors with what the golden model makes of the two streams."""
        p = self.parameters
        expected = multiply_streams(a, b, p.accumulator_bits, p.longest_exact_tile, p.lanes)
        values = np.array([tile.values for tile in tiles])
        self.bench.check_equal(values, [tile.values for tile in expected], "tile, row, column")
        self.bench.check_equal(_errors(tiles), _errors(expected), "errors by tile")

    async def multiply(self, a: ArrayLike, b: ArrayLike, patterns: Patterns = FLOWING) -> Integers:
        """The product of two matrices of any shape, tile by tile."""
        left, right = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
        c = self.configuration
        pairs = cut(left, right, c.rows, c.columns, c.parameters.lanes)
        tiles, _, _ = await self.send(pairs, patterns)
        return join((tile.values for tile in tiles), len(left), right.shape[1])


def _errors(tiles: Sequence[Tile]) -> list[list[bool]]:
    return [[tile.last_mismatch, tile.overflow_possible] for tile in tiles]
