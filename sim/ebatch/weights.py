"""Weights as the engine loads them."""

from collections.abc import Iterator

import numpy as np

from golden.ebatch import Layer, Scale
from hdl.ebatch.flags import weight_beat
from hdl.ebatch.parameters import Parameters
from sim.packing import pack_fields

#: What the golden model calls the products, by the gates whose results they take.
PRODUCTS = {"forget": "forget", "update": "input", "output": "output", "reset": "reset"}


def load_words(layer: Layer, parameters: Parameters) -> list[int]:
    """The words of ``width`` bytes a layer is loaded in: settings, biases, weights.

    Settings have a word each, biases lie side by side, weights are in the order they are used.
    """
    width = parameters.width
    settings = [value & 0xFFFFFFFF for value in _settings(layer, parameters)]
    biases = np.array(list(_biases(layer, parameters)), "<i4")
    weights = np.concatenate(list(_rows(layer, parameters))).astype(np.int8)
    padded = biases.tobytes().ljust(parameters.bias_words * width, b"\0") + weights.tobytes()
    return settings + [
        int.from_bytes(padded[at : at + width], "little") for at in range(0, len(padded), width)
    ]


def weight_beats(layer: Layer, parameters: Parameters) -> list[int]:
    """The same as the stream's payloads."""
    layout = weight_beat(parameters)
    *words, last = load_words(layer, parameters)
    beats = [pack_fields(layout, data=word) for word in words]
    return [*beats, pack_fields(layout, data=last, last=1)]


def _settings(layer: Layer, parameters: Parameters) -> Iterator[int]:
    def of(scale: Scale) -> tuple[int, int]:
        return scale.multiplier, scale.shift

    for name in parameters.cell.gates:
        yield from of(layer.gates[name].input_scale)
        yield from of(layer.gates[name].state_scale)
    for name in parameters.cell.products:
        yield from of(layer.products[PRODUCTS[name] if len(layer.products) > 1 else "reset"])
    yield from (layer.cell_clip, layer.cell_shift, layer.output_offset)


def _order(parameters: Parameters) -> Iterator[tuple[int, str]]:
    """Units and gates as they are computed."""
    for phase in parameters.cell.phases:
        for unit in range(parameters.hidden_size):
            for gate in phase:
                yield unit, gate


def _biases(layer: Layer, parameters: Parameters) -> Iterator[int]:
    for unit, name in _order(parameters):
        gate = layer.gates[name]
        yield int(gate.input_bias[unit])
        yield int(gate.state_bias[unit])


def _rows(layer: Layer, parameters: Parameters) -> Iterator[np.ndarray]:
    for unit, name in _order(parameters):
        gate = layer.gates[name]
        yield gate.input_weights[unit]
        yield gate.state_weights[unit]
