"""Between matrices and the packed beats of the streaming multiplier's ports."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.ent import Beat, Tile
from golden.integers import Integers
from hdl.ent.configurations import ArrayConfiguration
from hdl.ent.drain import row_layout
from hdl.ent.top import STATUS_LAYOUT
from sim.packing import pack_rows, unpack_rows


def lines_by_beat(lines: Integers, lanes: int) -> Integers:
    """What each beat has of all lines (rows of A, columns of B): ``lanes`` values of each.

    lines: shape (lines, K), K a multiple of ``lanes``. Result: shape (K / lanes, lines x lanes).
    """
    count = len(lines)
    return lines.reshape(count, -1, lanes).transpose(1, 0, 2).reshape(-1, count * lanes)


def operand_beats(steps: Integers) -> list[Beat]:
    """Beats of one tile: ``steps`` has a row of values for each beat."""
    final = len(steps) - 1
    return [Beat(tuple(row), k == final) for k, row in enumerate(steps.tolist())]


def pack_beats(beats: Sequence[Beat], bits: int) -> list[int]:
    """Payloads of an operand stream."""
    if not beats:
        return []
    width = len(beats[0].values) * bits
    words = pack_rows([beat.values for beat in beats], bits)
    return [word | beat.last << width for word, beat in zip(words, beats, strict=True)]


def unpack_tiles(payloads: Sequence[int], configuration: ArrayConfiguration) -> list[Tile]:
    """Tiles of an output stream. Raises ValueError if its ``last`` markers are misplaced."""
    bits, columns = configuration.parameters.accumulator_bits, configuration.columns
    rows = configuration.rows
    layout = row_layout(configuration.parameters, columns)
    error_at, last_at = layout["error"].offset, layout["last"].offset
    values = unpack_rows(list(payloads), bits, columns)
    last = [word >> last_at & 1 for word in payloads]
    expected = [int(index % rows == rows - 1) for index in range(len(payloads))]
    if last != expected or len(payloads) % rows:
        raise ValueError("last must mark the bottom row of each tile and no other")
    tiles = []
    for top in range(0, len(payloads), rows):
        errors = {word >> error_at & 3 for word in payloads[top : top + rows]}
        if len(errors) > 1:
            raise ValueError(f"rows of one tile report different errors: {sorted(errors)}")
        error = errors.pop()
        tiles.append(Tile(values[top : top + rows], bool(error & 1), bool(error & 2)))
    return tiles


@dataclass(frozen=True)
class Status:
    """Fields of the status port."""

    busy: bool
    input_stalled: bool
    output_stalled: bool
    last_mismatch: bool
    overflow_possible: bool
    error_count: int


def unpack_status(word: int) -> Status:
    error = word >> STATUS_LAYOUT["error"].offset
    return Status(
        busy=bool(word >> STATUS_LAYOUT["busy"].offset & 1),
        input_stalled=bool(word >> STATUS_LAYOUT["input_stalled"].offset & 1),
        output_stalled=bool(word >> STATUS_LAYOUT["output_stalled"].offset & 1),
        last_mismatch=bool(error & 1),
        overflow_possible=bool(error >> 1 & 1),
        error_count=word >> STATUS_LAYOUT["error_count"].offset,
    )


def random_matrix(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> Integers:
    """Uniform over all two's-complement numbers of ``bits`` bits."""
    return rng.integers(-(1 << bits - 1), 1 << bits - 1, shape, dtype=np.int64)
