"""Networks with random weights, whose values go everywhere they can."""

import numpy as np

from golden.ebatch import Cell, Gate, Layer, Scale
from hdl.ebatch.parameters import Parameters


def random_network(rng: np.random.Generator, parameters: Parameters) -> list[Layer]:
    """A network of the engine's sizes. Gates see all of their range, and saturate at times."""
    return [_layer(rng, parameters, parameters.inputs(layer)) for layer in range(parameters.layers)]


def _layer(rng: np.random.Generator, parameters: Parameters, inputs: int) -> Layer:
    cell = Cell(parameters.cell.value)
    units = parameters.hidden_size
    gates = {name: _gate(rng, units, inputs) for name in cell.gates}
    if cell is not Cell.LSTM:
        return Layer(cell, gates, {name: _near(rng, 2.0**-15) for name in cell.products})
    products = {
        "forget": _near(rng, 2.0**-15),
        "input": _near(rng, 2.0**-18),
        "output": _near(rng, 2.0**-23),
    }
    return Layer(
        cell,
        gates,
        products,
        cell_clip=int(rng.choice([32767, 20000, 9000])),
        cell_shift=int(rng.integers(-1, 2)),
        output_offset=int(rng.integers(-20, 21)),
    )


def _gate(rng: np.random.Generator, units: int, inputs: int) -> Gate:
    # A sum of n products of uniform int8 has a standard deviation of about 5,461 √n: brought to
    # about 2.0, which is 8,192, most values are where the functions bend.
    return Gate(
        rng.integers(-128, 128, (units, inputs), np.int8),
        rng.integers(-128, 128, (units, units), np.int8),
        rng.integers(-40_000, 40_000, units, np.int32),
        rng.integers(-40_000, 40_000, units, np.int32),
        _near(rng, 8192 / (5461 * inputs**0.5)),
        _near(rng, 8192 / (5461 * units**0.5)),
    )


def _near(rng: np.random.Generator, factor: float) -> Scale:
    """A scale within a factor of two of ``factor``."""
    mantissa, exponent = np.frexp(factor * 2 ** rng.uniform(-0.7, 0.7))
    return Scale(min(round(float(mantissa) * (1 << 31)), (1 << 31) - 1), int(exponent))
