"""Workload: the LSTM that tells code from prose, as floating-point numbers and as integers.

Two layers of 32 units read a line one character a step, each character as 32 numbers of a learned
table. The line is code if a weighted sum of the last outputs, with a bias, is greater than 0. The
engine computes the layers; table and weighted sum are the host's. ``sim.ebatch.train`` made the
weights and measured the ranges that quantisation needs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from golden.ebatch import Bytes, Cell, Layer
from golden.ebatch_activation import Function, activate
from golden.ebatch_requantise import requantise, requantise_each, saturate
from golden.integers import Integers
from sim.ebatch.lines import Line, symbols, test_split
from sim.ebatch.quantise import GATES, Affine, FloatLayer, Floats, quantise_layer

CLASSIFIER = Path(__file__).parent / "classifier.npz"

INPUT_SIZE = HIDDEN_SIZE = 32
LAYERS = 2

#: By layer, what the ranges of outputs are multiplied by at their two ends. All outputs reach from
#: -1 to 1, so their zero points would be 0 or next to it. Wider ranges move them away, at the cost
#: of some resolution, and then an engine that takes the integer 0 for a zero gives wrong outputs.
WIDENED = np.array([[1.0, 1.5], [1.5, 1.0]])

#: sigmoid(x) = (tanh(x / 2) + 1) / 2, so one function does all gates [G, 1].
_SLOPES = np.array(
    [[0.5 if Cell.LSTM.function(name) is Function.SIGMOID else 1.0] for name in GATES], np.float32
)


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """embedding: [symbols, X], by symbol. readout: [H]. readout_bias: [1]. All of one type."""

    embedding: Floats
    layers: tuple[FloatLayer, ...]
    readout: Floats
    readout_bias: Floats


@dataclass(frozen=True, eq=False)
class Classifier:
    """The integer network.

    embedding: int8 [symbols, X], the inputs by symbol. layers: what the engine computes. readout:
    int8 [H] and readout_bias: int32, zero point of the last outputs folded in.
    """

    embedding: Bytes
    layers: tuple[Layer, ...]
    readout: Bytes
    readout_bias: int

    def inputs(self, text: str) -> Bytes:
        """int8 [T, X]: what the engine gets for a line of T characters."""
        return self.embedding[symbols(text)]

    def score(self, last_outputs: Bytes) -> Integers:
        """Of the last outputs of the last layer, int8 [..., H]: [...], greater than 0 for code."""
        return last_outputs.astype(np.int64) @ self.readout.astype(np.int64) + self.readout_bias


class Request(NamedTuple):
    """One sequence. tag: its number. inputs: int8 [T, X]. label: whether the line is code."""

    tag: int
    inputs: Bytes
    label: bool


class Padded(NamedTuple):
    """N lines as symbols [T, N], each padded at its end to the longest, and their lengths [N]."""

    symbols: NDArray[np.uint8]
    lengths: Integers


class FloatSteps(NamedTuple):
    """What happens in a layer. gates: [T, N, G, H]. cells, squashed, outputs: [T, N, H].

    cells: before the clip. squashed: tanh of the clipped cells.
    """

    gates: Floats
    cells: Floats
    squashed: Floats
    outputs: Floats


@cache
def load_network() -> FloatNetwork:
    """The floating-point network in the repository."""
    with np.load(CLASSIFIER) as arrays:
        layers = tuple(
            FloatLayer(
                arrays[f"input_weights_{index}"],
                arrays[f"state_weights_{index}"],
                arrays[f"bias_{index}"],
                float(arrays["cell_clip"][index]),
            )
            for index in range(LAYERS)
        )
        return FloatNetwork(arrays["embedding"], layers, arrays["readout"], arrays["readout_bias"])


@cache
def load_ranges() -> Floats:
    """[layers, 2]: lowest and highest outputs that training lines made, in the repository."""
    with np.load(CLASSIFIER) as arrays:
        return arrays["ranges"]


@cache
def load_classifier() -> Classifier:
    """The integer network: that of the repository, quantised."""
    return quantise(load_network(), load_ranges())


def quantise(network: FloatNetwork, ranges: Floats) -> Classifier:
    """The network as integers. ``ranges`` [layers, 2]: lowest and highest outputs of its layers."""
    numbers = numbers_between(network, ranges)
    layers = tuple(
        quantise_layer(layer, inputs, outputs)
        for layer, inputs, outputs in zip(network.layers, numbers[:-1], numbers[1:], strict=True)
    )
    of_readout = Affine.symmetric(float(np.max(np.abs(network.readout))))
    readout = of_readout.quantise(network.readout)
    bias = round(float(network.readout_bias[0]) / (of_readout.scale * numbers[-1].scale))
    return Classifier(
        numbers[0].quantise(network.embedding),
        layers,
        readout,
        bias - numbers[-1].offset * int(readout.sum(dtype=np.int64)),
    )


def numbers_between(network: FloatNetwork, ranges: Floats) -> list[Affine]:
    """What the integers between layers stand for: inputs of the first, then outputs of each."""
    numbers = [Affine.symmetric(float(np.max(np.abs(network.embedding))))]
    return numbers + [Affine.of_range(float(low), float(high)) for low, high in ranges * WIDENED]


def sample(count: int, seed: int) -> list[Line]:
    """``count`` random lines of the test split; none twice before all were there."""
    lines = test_split()
    rng = np.random.default_rng(seed)
    chosen: list[Line] = []
    while len(chosen) < count:
        chosen += [lines[int(index)] for index in rng.permutation(len(lines))]
    return chosen[:count]


def requests(count: int, seed: int) -> list[Request]:
    """The lines of ``sample`` as the engine takes them, tags in order."""
    classifier = load_classifier()
    return [
        Request(tag, classifier.inputs(line.text), line.is_code)
        for tag, line in enumerate(sample(count, seed))
    ]


def padded(lines: Sequence[Line]) -> Padded:
    """The lines side by side."""
    lengths = np.array([len(line.text) for line in lines], dtype=np.int64)
    rows = np.zeros((int(lengths.max()), len(lines)), dtype=np.uint8)
    for column, line in enumerate(lines):
        rows[: len(line.text), column] = symbols(line.text)
    return Padded(rows, lengths)


def labels(lines: Sequence[Line]) -> NDArray[np.bool_]:
    """Whether each of the lines is code."""
    return np.array([line.is_code for line in lines])


def float_steps(layer: FloatLayer, inputs: Floats) -> FloatSteps:
    """``inputs`` [T, N, X] of N sequences through a layer, from the zero state on."""
    gates, units = layer.bias.shape
    steps, count, size = inputs.shape
    flat = inputs.reshape(-1, size) @ layer.input_weights.reshape(-1, size).T + layer.bias.ravel()
    sums = flat.reshape(steps, count, gates * units)
    state_weights = np.ascontiguousarray(layer.state_weights.reshape(-1, units).T)
    done = FloatSteps(
        np.empty((steps, count, gates, units), inputs.dtype),
        *(np.empty((steps, count, units), inputs.dtype) for _ in range(3)),
    )
    outputs = clipped = np.zeros((count, units), inputs.dtype)
    for step in range(steps):
        pre = (sums[step] + outputs @ state_weights).reshape(count, gates, units)
        forget, taken, update, shown = _activated(pre, done.gates[step])
        cells = forget * clipped + taken * update
        clipped = np.clip(cells, -layer.cell_clip, layer.cell_clip)
        squashed = np.tanh(clipped)
        outputs = shown * squashed
        done.cells[step], done.squashed[step], done.outputs[step] = cells, squashed, outputs
    return done


@threadpool_limits.wrap(limits=1)
def float_answers(network: FloatNetwork, lines: Sequence[Line]) -> NDArray[np.bool_]:
    """Whether the network takes each of ``lines`` for code."""
    answers = np.empty(len(lines), np.bool_)
    for chosen, batch in in_batches(lines):
        outputs = network.embedding[batch.symbols]
        for layer in network.layers:
            outputs = float_steps(layer, outputs).outputs
        logits = last(outputs, batch.lengths) @ network.readout + network.readout_bias
        answers[chosen] = logits > 0
    return answers


@threadpool_limits.wrap(limits=1)
def integer_answers(classifier: Classifier, lines: Sequence[Line]) -> NDArray[np.bool_]:
    """Whether the integer network takes each of ``lines`` for code."""
    answers = np.empty(len(lines), np.bool_)
    for chosen, batch in in_batches(lines):
        outputs = classifier.embedding[batch.symbols]
        for layer in classifier.layers:
            outputs = _run_batch(layer, outputs)
        answers[chosen] = classifier.score(last(outputs, batch.lengths)) > 0
    return answers


def accuracy(answers: NDArray[np.bool_], lines: Sequence[Line]) -> float:
    """Share of ``answers`` that are right."""
    return float(np.mean(answers == labels(lines)))


def last(outputs: NDArray[Any], lengths: Integers) -> NDArray[Any]:
    """Of ``outputs`` [T, N, H] those at the end of each sequence, [N, H]."""
    return outputs[lengths - 1, np.arange(len(lengths))]


def _activated(pre: Floats, gates: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The gates, each [N, H], from ``pre`` [N, G, H]; they are parts of ``gates``."""
    np.tanh(pre * _SLOPES.astype(pre.dtype), out=gates)
    for place, name in enumerate(GATES):
        if Cell.LSTM.function(name) is Function.SIGMOID:
            gates[:, place] = (gates[:, place] + 1) / 2
    forget, taken, update, shown = np.moveaxis(gates, 1, 0)
    return forget, taken, update, shown


def in_batches(lines: Sequence[Line]) -> Iterator[tuple[Integers, Padded]]:
    """All lines, some of about equal length at a time, and their places in ``lines``."""
    order = np.argsort([len(line.text) for line in lines], kind="stable")
    for start in range(0, len(order), 250):
        chosen = order[start : start + 250]
        yield chosen, padded([lines[int(index)] for index in chosen])


def _run_batch(layer: Layer, inputs: Bytes) -> Bytes:
    """The outputs that ``golden.ebatch.run_layer`` gives for each of N sequences, [T, N, H].

    inputs: int8 [T, N, X]. All sequences have T steps; what follows the end of one is not its own.
    """
    gates = [layer.gates[name] for name in GATES]
    count, units = inputs.shape[1], layer.hidden_size

    def stacked(part: str) -> Callable[[Bytes], Integers]:
        """Terms of all gates [N, G, H] from what they multiply, [N, X or H]."""
        weights = np.concatenate([getattr(gate, f"{part}_weights") for gate in gates])
        bias = np.array([getattr(gate, f"{part}_bias") for gate in gates])
        scales = [getattr(gate, f"{part}_scale") for gate in gates]
        multipliers = np.array([[scale.multiplier] for scale in scales])
        shifts = np.array([[scale.shift] for scale in scales])
        columns = weights.T.astype(np.float64)  # sums are integers far below 2**53: exact

        def terms(values: Bytes) -> Integers:
            sums = (values @ columns).astype(np.int64).reshape(-1, len(gates), units) + bias
            return requantise_each(sums, multipliers, shifts)

        return terms

    input_terms, state_terms = stacked("input"), stacked("state")
    cells = np.zeros((count, units), np.int64)
    outputs = np.zeros((*inputs.shape[:2], units), np.int8)
    for step in range(len(inputs)):
        pre = saturate(input_terms(inputs[step]), 16)
        if step:
            pre = saturate(pre + state_terms(outputs[step - 1]), 16)
        forget, taken, update, shown = (
            activate(pre[:, place], Cell.LSTM.function(name)).astype(np.int64)
            for place, name in enumerate(GATES)
        )
        kept = saturate(requantise(forget * cells, layer.products["forget"]), 16)
        cells = kept + requantise(taken * update, layer.products["input"])
        cells = np.clip(cells, -layer.cell_clip, layer.cell_clip)
        squashed = activate(cells, Function.TANH, layer.cell_shift).astype(np.int64)
        outputs[step] = saturate(
            requantise(shown * squashed, layer.products["output"]) + layer.output_offset, 8
        )
    return outputs
