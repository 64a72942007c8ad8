"""The golden LSTM against TensorFlow Lite Micro's own kernel, by vectors of ebatch_kernel.py."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.ebatch import Cell, Gate, Layer, run_layer
from golden.ebatch_requantise import Scale

VECTORS = Path(__file__).with_name("ebatch_kernel.npz")
#: Gates as the file orders them.
GATES = ("input", "forget", "update", "output")
GATE_UNIT, OUTPUT_UNIT = 2.0**-12, 2.0**-15


def gate_scale(first: np.float32, second: np.float32) -> float:
    """As the kernel does: the product of two scales is float32, the quotient is not."""
    product = np.float32(first) * np.float32(second)
    assert product.dtype == np.float32
    return float(product) / GATE_UNIT


def golden_layer(network: np.void, arrays: dict[str, NDArray[Any]]) -> Layer:
    """The layer that a network of the file is, from its scales, zero points and weights."""
    gates, output_zero = {}, int(network["output_zero"])
    for index, name in enumerate(GATES):
        weights = arrays["weights"][index].astype(np.int64)
        state_weights = arrays["state_weights"][index].astype(np.int64)
        of_state = gate_scale(network["output_scale"], network["state_weight_scale"][index])
        # The kernel would saturate a state part; the golden model, as CMSIS-NN, would not.
        largest = np.abs(state_weights).sum(axis=1).max() * (128 + abs(output_zero))
        assert largest * of_state < (1 << 15) - 1
        gates[name] = Gate(
            weights,
            state_weights,
            arrays["bias"][index] - int(network["input_zero"]) * weights.sum(axis=1),
            -output_zero * state_weights.sum(axis=1),
            Scale.nearest(gate_scale(network["input_scale"], network["weight_scale"][index])),
            Scale.nearest(of_state),
        )
    cell_scale, clip = float(network["cell_scale"]), float(network["cell_clip"])
    products = {
        "forget": OUTPUT_UNIT,
        "input": OUTPUT_UNIT**2 / cell_scale,
        "output": OUTPUT_UNIT**2 / float(network["output_scale"]),
    }
    return Layer(
        Cell.LSTM,
        gates,
        {name: Scale.nearest(factor) for name, factor in products.items()},
        cell_clip=min(int(clip / cell_scale), 32767) if clip else 32767,
        cell_shift=round(np.log2(cell_scale / GATE_UNIT)),
        output_offset=output_zero,
    )


def test_outputs_of_the_kernel() -> None:
    counts: Counter[str] = Counter()
    shifts, clips, input_zeros, output_zeros = set(), set(), set(), set()
    with np.load(VECTORS) as file:
        assert str(file["made_by"]).startswith("tflite-micro 0.")
        for number, network in enumerate(file["networks"]):
            arrays = {
                name: file[f"{name}_{number}"]
                for name in ("weights", "state_weights", "bias", "inputs", "cells", "outputs")
            }
            layer = golden_layer(network, arrays)
            steps = run_layer(layer, arrays["inputs"])
            assert steps.cells is not None
            for name, found in (("cells", steps.cells), ("outputs", steps.outputs)):
                np.testing.assert_array_equal(
                    found, arrays[name], f"network {number}, {name}", strict=True
                )
                counts[name] += found.size
            for name, pre in steps.pre.items():
                counts[f"{name} at an end"] += int(((pre == -32768) | (pre == 32767)).sum())
                counts[f"{name} between"] += int((abs(pre.astype(int)) < 32767).sum())
            cells = abs(steps.cells.astype(int))
            if network["cell_clip"]:
                counts["clipped cells"] += int((cells == layer.cell_clip).sum())
            else:
                counts["outputs without a clip"] += steps.outputs.size
                assert cells.max() < layer.cell_clip
            counts["outputs at an end"] += int(np.isin(steps.outputs, (-128, 127)).sum())
            counts["asymmetric outputs"] += steps.outputs.size * (layer.output_offset != 0)
            shifts.add(layer.cell_shift)
            clips.add(layer.cell_clip)
            input_zeros.add(int(network["input_zero"]))
            output_zeros.add(layer.output_offset)
    assert counts["cells"] == counts["outputs"] > 5_000
    for name in GATES:
        assert counts[f"{name} at an end"] > 300, name
        assert counts[f"{name} between"] > 5_000, name
    assert counts["clipped cells"] > 1_000 and counts["outputs without a clip"] > 500
    assert counts["outputs at an end"] > 500
    assert counts["asymmetric outputs"] > 4_000
    assert shifts == set(range(-3, 4))
    assert len(clips) > 5
    assert {-128, 127} <= input_zeros
    assert {-128, 0, 127} <= output_zeros
