"""Drives the multiplier whose weights are stationary: whole matrices in, whole matrices out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from golden.ent import Beat, WeightTile, multiply_by_weights
from golden.integers import Integers
from hdl.ent.configurations import WeightStationaryConfiguration
from sim.bench import Bench, Sink, Source
from sim.ent.multiplier import FLOWING, Patterns
from sim.ent.streams import operand_beats, pack_beats
from sim.ent.weights_streams import (
    WeightPair,
    WeightStatus,
    cut_weights,
    join_weights,
    unpack_weight_status,
    unpack_weight_tiles,
    weight_beats,
)

#: Where the error counter saturates.
MOST_COUNTED = 255


class StatusMonitor:
    """Compares every field of the status with the handshakes so far, in every cycle."""

    def __init__(self, bench: Bench, depth: int) -> None:
        self._bench = bench
        self._depth = depth
        self._status = bench.port("status")
        self._payloads = {name: bench.port(f"{name}__payload") for name in ("i_w", "i_a")}
        self._wires = {
            name: (bench.port(f"{name}__valid"), bench.port(f"{name}__ready"))
            for name in ("i_w", "i_a", "o")
        }
        self.forget()

    @property
    def now(self) -> WeightStatus:
        return unpack_weight_status(int(self._status.value))

    def forget(self) -> None:
        """A reset has dropped all that was inside, and the errors."""
        self._weight_rows = 0  # of the tile that is not finished
        self._wrong: list[bool] = []  # of each tile of weights
        self._tiles = 0
        self._rows_inside = 0
        self._errors = 0

    def sample(self, cycle: int) -> None:
        level = {
            name: (bool(int(valid.value)), bool(int(ready.value)))
            for name, (valid, ready) in self._wires.items()
        }
        stalled = {name: valid and not ready for name, (valid, ready) in level.items()}
        status = self.now
        waits = len(self._wrong) > self._tiles
        expected = WeightStatus(
            busy=bool(self._weight_rows or waits or self._rows_inside),
            input_stalled=stalled["i_a"],
            output_stalled=stalled["o"],
            wrong_length=self._errors > 0,
            error_count=min(self._errors, MOST_COUNTED),
        )
        self._bench.check(
            status == expected, f"status in cycle {cycle} is {status}, expected {expected}"
        )
        self._count({name: all(ends) for name, ends in level.items()})

    def _count(self, moved: dict[str, bool]) -> None:
        ends = {name: self._ends(name) for name in ("i_w", "i_a") if moved[name]}
        if moved["i_a"]:
            # The tile's weights are inside: all that there are or, of a tile too long, R rows.
            finished = self._tiles < len(self._wrong)
            self._bench.check(
                finished or self._weight_rows >= self._depth, "a row was taken before its weights"
            )
            wrong = self._wrong[self._tiles] if finished else True
            self._rows_inside += 1
            self._tiles += ends["i_a"]
            self._errors += ends["i_a"] and wrong
        if moved["i_w"]:
            self._weight_rows += 1
            if ends["i_w"]:
                self._wrong.append(self._weight_rows != self._depth)
                self._weight_rows = 0
        self._rows_inside -= moved["o"]

    def _ends(self, name: str) -> bool:
        port = self._payloads[name]
        return bool(int(port.value) >> len(port) - 1)

    def drive(self) -> None:
        pass


class WeightsMultiplier:
    """The design under test with its two sources, its sink and its status."""

    def __init__(self, bench: Bench) -> None:
        assert isinstance(bench.configuration, WeightStationaryConfiguration)
        self.bench = bench
        self.configuration = bench.configuration
        self.parameters = bench.configuration.parameters
        self.status = StatusMonitor(bench, self.configuration.rows)

    async def reset(self) -> None:
        await self.bench.reset(1)
        self.status.forget()

    def ends(
        self, weights: Sequence[Beat], rows: Sequence[Beat], patterns: Patterns
    ) -> tuple[Source, Source, Sink]:
        bits = self.parameters.operand_bits
        return (
            Source(self.bench, "i_w", pack_beats(weights, bits), patterns[0]),
            Source(self.bench, "i_a", pack_beats(rows, bits), patterns[1]),
            Sink(self.bench, "o", patterns[2]),
        )

    async def send_beats(
        self,
        weights: Sequence[Beat],
        rows: Sequence[Beat],
        patterns: Patterns = FLOWING,
        *,
        watched: bool = True,
    ) -> tuple[list[WeightTile], Source, Sink]:
        """Send whole tiles back to back and check each result, error and handshake.

        watched: the status of every cycle too, which takes time.
        """
        source_w, source_a, sink = self.ends(weights, rows, patterns)
        for end in (source_w, source_a, sink):
            end.drive()  # at once: the first beat may come in the very cycle after a reset
        await self.bench.run(
            (source_w, source_a, sink, *((self.status,) if watched else ())),
            lambda: len(sink.received) == len(rows) and source_w.done and source_a.done,
            limit=60 * (len(weights) + len(rows)) + 1000,
        )
        tiles = unpack_weight_tiles(sink.payloads, self.configuration)
        self.check_tiles(tiles, weights, rows)
        return tiles, source_a, sink

    async def send(
        self, pairs: Sequence[WeightPair], patterns: Patterns = FLOWING, *, watched: bool = True
    ) -> tuple[list[WeightTile], Source, Sink]:
        weights = [beat for pair in pairs for beat in weight_beats(pair.weights)]
        rows = [beat for pair in pairs for beat in operand_beats(pair.rows)]
        return await self.send_beats(weights, rows, patterns, watched=watched)

    def check_tiles(
        self, tiles: list[WeightTile], weights: Sequence[Beat], rows: Sequence[Beat]
    ) -> None:
        """Compare values and errors with what the golden model makes of the two streams."""
        bits = self.parameters.accumulator_bits
        expected = multiply_by_weights(weights, rows, self.configuration.rows, bits)
        lengths = [len(tile.values) for tile in expected]
        self.bench.check_equal([len(tile.values) for tile in tiles], lengths, "rows by tile")
        values = np.concatenate([tile.values for tile in tiles])
        wanted = np.concatenate([tile.values for tile in expected])
        self.bench.check_equal(values, wanted, f"row, column; tiles of {lengths[:20]} rows")
        wrong = [tile.wrong_length for tile in expected]
        self.bench.check_equal([tile.wrong_length for tile in tiles], wrong, "errors by tile")

    async def multiply(self, a: ArrayLike, b: ArrayLike, patterns: Patterns = FLOWING) -> Integers:
        """The product of two matrices of any shape, tile by tile; partial sums are added here."""
        left, right = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
        c = self.configuration
        pairs = cut_weights(left, right, c.rows, c.columns)
        tiles, _, _ = await self.send(pairs, patterns, watched=patterns != FLOWING)
        values = (tile.values for tile in tiles)
        return join_weights(values, left.shape[1], right.shape[1], c.rows)
