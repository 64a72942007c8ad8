"""Between matrices and the packed beats of the multiplier whose weights are stationary."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from golden.ent import Beat, WeightTile
from golden.integers import Integers
from hdl.ent.configurations import WeightStationaryConfiguration
from hdl.ent.drain import row_layout
from hdl.ent.weights import STATUS_LAYOUT
from hdl.ent.weights_loader import ERROR_LAYOUT
from sim.ent.streams import operand_beats
from sim.packing import unpack_fields, unpack_rows


@dataclass(frozen=True)
class WeightPair:
    """Operands of one tile: rows (M, R) and weights (R, C)."""

    rows: Integers
    weights: Integers


def weight_beats(weights: Integers) -> list[Beat]:
    """Beats of one tile of weights, its last row first."""
    return operand_beats(weights[::-1])


def cut_weights(a: Integers, w: Integers, depth: int, columns: int) -> list[WeightPair]:
    """Tiles of ``a @ w``, zero-padded, column of tiles by column of tiles."""
    padded = np.pad(w, ((0, -w.shape[0] % depth), (0, -w.shape[1] % columns)))
    left = np.pad(a, ((0, 0), (0, -a.shape[1] % depth)))
    return [
        WeightPair(left[:, top : top + depth], padded[top : top + depth, at : at + columns])
        for at in range(0, padded.shape[1], columns)
        for top in range(0, padded.shape[0], depth)
    ]


def join_weights(tiles: Iterator[Integers], inner: int, width: int, depth: int) -> Integers:
    """The product, ``width`` columns, whose tiles come in the order of ``cut_weights``.

    The partial sums of one column of tiles are added here, exactly.
    """
    columns: list[Integers] = []
    while sum(each.shape[1] for each in columns) < width:
        partial = [next(tiles) for _ in range(-(-inner // depth))]
        columns.append(np.sum(partial, axis=0, dtype=np.int64))
    return np.concatenate(columns, axis=1)[:, :width]


def unpack_weight_tiles(
    payloads: Sequence[int], configuration: WeightStationaryConfiguration
) -> list[WeightTile]:
    """Tiles of an output stream. Raises ValueError if it ends within one, or its rows disagree."""
    bits, columns = configuration.parameters.accumulator_bits, configuration.columns
    layout = row_layout(configuration.parameters, columns, ERROR_LAYOUT)
    fields = [unpack_fields(layout, word) for word in payloads]
    values = unpack_rows(list(payloads), bits, columns)
    ends = [index + 1 for index, each in enumerate(fields) if each["last"]]
    if ends[-1:] != [len(payloads)]:
        raise ValueError("the output does not end with the last row of a tile")
    tiles = []
    for start, end in zip([0, *ends], ends, strict=False):
        errors = {each["error"] for each in fields[start:end]}
        if len(errors) > 1:
            raise ValueError(f"rows of one tile report different errors: {sorted(errors)}")
        tiles.append(WeightTile(values[start:end], bool(errors.pop())))
    return tiles


@dataclass(frozen=True)
class WeightStatus:
    """Fields of the status port."""

    busy: bool
    input_stalled: bool
    output_stalled: bool
    wrong_length: bool
    error_count: int


def unpack_weight_status(word: int) -> WeightStatus:
    fields = unpack_fields(STATUS_LAYOUT, word)
    return WeightStatus(
        busy=bool(fields["busy"]),
        input_stalled=bool(fields["input_stalled"]),
        output_stalled=bool(fields["output_stalled"]),
        wrong_length=bool(fields["error"]),
        error_count=fields["error_count"],
    )
