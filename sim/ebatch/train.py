"""Trains the classifier of lines: ``python -m sim.ebatch.train``.

Prints the accuracies on the test split and writes ``classifier.npz`` beside this file; takes one
to two minutes on one core. Training sees the training split only, and so does the measurement of
ranges. Back-propagation through time over whole lines, cross-entropy, Adam with gradients of a
limited norm, and a rate that falls to 0 as a cosine does. All is float32 and from one seed; other
BLAS kernels and other versions of Python, which have other lines, give other weights.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from golden.integers import Integers
from sim.ebatch.classifier import (
    CLASSIFIER,
    HIDDEN_SIZE,
    INPUT_SIZE,
    LAYERS,
    FloatNetwork,
    FloatSteps,
    Padded,
    accuracy,
    float_answers,
    float_steps,
    in_batches,
    integer_answers,
    labels,
    last,
    padded,
    quantise,
)
from sim.ebatch.lines import SPLIT, SYMBOLS, Line, test_split, training_split
from sim.ebatch.quantise import GATES, FloatLayer, Floats

SEED = 0
BATCH, EPOCHS, RATE = 64, 10, 4e-3
#: Of Adam: decays of the mean and of the mean square of gradients, and what no divisor is below.
DECAYS, FLOOR = (0.9, 0.999), 1e-8
LARGEST_NORM = 1.0
#: Largest magnitudes of cells, by layer. Low ones make a cell of 16 bits finer.
CELL_CLIPS = (3.0, 6.0)
#: Batches of this many are sorted by length together, so that little of a batch is padding.
SORTED_TOGETHER = 16

Arrays = dict[str, Floats]


def initial_arrays(rng: np.random.Generator) -> Arrays:
    """All weights by their names in the file: normally distributed; forget gates start open."""
    arrays: Arrays = {"embedding": rng.normal(size=(SYMBOLS, INPUT_SIZE)) * 0.5}
    for index in range(LAYERS):
        inputs = HIDDEN_SIZE if index else INPUT_SIZE
        shape = (len(GATES), HIDDEN_SIZE)
        arrays[f"input_weights_{index}"] = rng.normal(size=(*shape, inputs)) / np.sqrt(inputs)
        arrays[f"state_weights_{index}"] = rng.normal(size=(*shape, HIDDEN_SIZE)) / np.sqrt(
            HIDDEN_SIZE
        )
        arrays[f"bias_{index}"] = np.zeros(shape)
        arrays[f"bias_{index}"][GATES.index("forget")] = 1
    arrays["readout"] = rng.normal(size=HIDDEN_SIZE) / np.sqrt(HIDDEN_SIZE)
    arrays["readout_bias"] = np.zeros(1)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def network_of(arrays: Arrays) -> FloatNetwork:
    """The network that ``arrays`` are the weights of; shares them."""
    layers = tuple(
        FloatLayer(
            arrays[f"input_weights_{index}"],
            arrays[f"state_weights_{index}"],
            arrays[f"bias_{index}"],
            CELL_CLIPS[index],
        )
        for index in range(LAYERS)
    )
    return FloatNetwork(arrays["embedding"], layers, arrays["readout"], arrays["readout_bias"])


def gradients(network: FloatNetwork, lines: Padded, is_code: Floats) -> tuple[Arrays, float]:
    """Gradients of the mean cross-entropy by all weights, and that loss. is_code: [N], 0 or 1."""
    inputs = [network.embedding[lines.symbols]]
    passes: list[FloatSteps] = []
    for layer in network.layers:
        passes.append(float_steps(layer, inputs[-1]))
        inputs.append(passes[-1].outputs)
    read = last(inputs[-1], lines.lengths)
    logits = read @ network.readout + network.readout_bias
    loss = float(np.mean(np.logaddexp(0, logits) - is_code * logits))
    by_logits = (1 / (1 + np.exp(-logits)) - is_code) / len(is_code)
    found: Arrays = {
        "readout": read.T @ by_logits,
        "readout_bias": np.sum(by_logits, keepdims=True),
    }
    by_outputs = np.zeros_like(inputs[-1])
    everyone = np.arange(len(lines.lengths))
    by_outputs[lines.lengths - 1, everyone] = by_logits[:, None] * network.readout
    for index in reversed(range(LAYERS)):
        of_layer, by_outputs = layer_gradients(
            network.layers[index], inputs[index], passes[index], by_outputs
        )
        found |= {f"{name}_{index}": array for name, array in of_layer.items()}
    found["embedding"] = np.zeros_like(network.embedding)
    np.add.at(found["embedding"], lines.symbols, by_outputs)
    return found, loss


def layer_gradients(
    layer: FloatLayer, inputs: Floats, done: FloatSteps, by_outputs: Floats
) -> tuple[Arrays, Floats]:
    """Gradients by the weights of a layer, and by its ``inputs``, from those by its outputs."""
    steps, count, gates, units = done.gates.shape
    by_sums = np.empty_like(done.gates)
    state_weights = layer.state_weights.reshape(-1, units)
    by_state = by_cells = np.zeros((count, units), inputs.dtype)
    inside = np.abs(done.cells) <= layer.cell_clip
    clipped = np.clip(done.cells, -layer.cell_clip, layer.cell_clip)
    for step in reversed(range(steps)):
        forget, taken, update, shown = np.moveaxis(done.gates[step], 1, 0)
        squashed = done.squashed[step]
        by_output = by_outputs[step] + by_state
        by_cells = (by_cells + by_output * shown * (1 - squashed**2)) * inside[step]
        by_gate = by_sums[step]
        before = clipped[step - 1] if step else np.zeros_like(squashed)
        by_gate[:, 0] = by_cells * before * forget * (1 - forget)
        by_gate[:, 1] = by_cells * update * taken * (1 - taken)
        by_gate[:, 2] = by_cells * taken * (1 - update**2)
        by_gate[:, 3] = by_output * squashed * shown * (1 - shown)
        by_cells = by_cells * forget
        by_state = by_gate.reshape(count, -1) @ state_weights
    flat = by_sums.reshape(steps * count, -1)
    outputs_before = done.outputs[:-1].reshape(-1, units)
    found = {
        "input_weights": flat.T @ inputs.reshape(steps * count, -1),
        "state_weights": flat[count:].T @ outputs_before,
        "bias": flat.sum(axis=0),
    }
    by_inputs = flat @ layer.input_weights.reshape(gates * units, -1)
    return {
        name: array.reshape(gates, units, *array.shape[1:]) for name, array in found.items()
    }, by_inputs.reshape(inputs.shape)


@dataclass
class Adam:
    """Weights and their optimiser, which changes them where they are."""

    arrays: Arrays
    means: Arrays = field(init=False)
    squares: Arrays = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        self.means = {name: np.zeros_like(array) for name, array in self.arrays.items()}
        self.squares = {name: np.zeros_like(array) for name, array in self.arrays.items()}

    def step(self, slopes: Arrays, rate: float) -> None:
        """One update; all ``slopes`` together are cut to ``LARGEST_NORM``."""
        self.steps += 1
        norm = np.sqrt(sum(float(np.sum(np.square(slope))) for slope in slopes.values()))
        factor = np.float32(min(1.0, LARGEST_NORM / max(norm, FLOOR)))
        first, second = DECAYS
        warm = np.sqrt(1 - second**self.steps) / (1 - first**self.steps)
        for name, array in self.arrays.items():
            slope = slopes[name] * factor
            self.means[name] += np.float32(1 - first) * (slope - self.means[name])
            self.squares[name] += np.float32(1 - second) * (slope**2 - self.squares[name])
            array -= (
                np.float32(rate * warm)
                * self.means[name]
                / (np.sqrt(self.squares[name]) + np.float32(FLOOR))
            )


def batches(rng: np.random.Generator, lengths: Integers) -> Iterator[Integers]:
    """Indices of one epoch, a batch of similar lengths at a time, an odd rest left out."""
    order = rng.permutation(len(lengths))
    order = order[: len(order) - len(order) % BATCH]
    together = BATCH * SORTED_TOGETHER
    for start in range(0, len(order), together):
        part = order[start : start + together]
        part = part[np.argsort(lengths[part], kind="stable")]
        yield from rng.permutation(part.reshape(-1, BATCH))


@threadpool_limits.wrap(limits=1)
def train(lines: Sequence[Line], epochs: int = EPOCHS, *, verbose: bool = False) -> FloatNetwork:
    """A whole training on ``lines``."""
    rng = np.random.default_rng(SEED)
    adam = Adam(initial_arrays(rng))
    network = network_of(adam.arrays)
    lengths = np.array([len(line.text) for line in lines], dtype=np.int64)
    total = epochs * (len(lines) // BATCH)
    for epoch in range(epochs):
        losses: list[float] = []
        for chosen in batches(rng, lengths):
            batch = [lines[int(index)] for index in chosen]
            slopes, loss = gradients(network, padded(batch), labels(batch).astype(np.float32))
            adam.step(slopes, RATE * (1 + np.cos(np.pi * adam.steps / total)) / 2)
            losses.append(loss)
        if verbose:
            print(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.4f}", flush=True)
    return network


@threadpool_limits.wrap(limits=1)
def measured_ranges(network: FloatNetwork, lines: Sequence[Line]) -> Floats:
    """[layers, 2]: the lowest and the highest output that ``lines`` make in each layer."""
    found = np.zeros((LAYERS, 2), np.float32)
    for _, batch in in_batches(lines):
        real = np.arange(len(batch.symbols))[:, None] < batch.lengths
        outputs = network.embedding[batch.symbols]
        for index, layer in enumerate(network.layers):
            outputs = float_steps(layer, outputs).outputs
            found[index, 0] = min(found[index, 0], outputs[real].min())
            found[index, 1] = max(found[index, 1], outputs[real].max())
    return found


def main() -> None:
    """Train, write the file and print both accuracies on the test split."""
    lines = training_split()
    start = time.process_time()
    network = train(lines, verbose=True)
    ranges = measured_ranges(network, lines)
    print(f"{time.process_time() - start:.0f} s of processor time")
    save(network, ranges, CLASSIFIER)
    lines = test_split()
    classifier = quantise(network, ranges)
    print(f"{len(lines)} test lines")
    print(f"float accuracy {accuracy(float_answers(network, lines), lines):.2%}")
    print(f"int8 accuracy  {accuracy(integer_answers(classifier, lines), lines):.2%}")


def save(network: FloatNetwork, ranges: Floats, path: Path) -> None:
    """Write the weights, ``ranges`` and a description of the split as ``.npz``."""
    arrays: dict[str, Any] = {
        "embedding": network.embedding,
        "readout": network.readout,
        "readout_bias": network.readout_bias,
        "cell_clip": np.array([layer.cell_clip for layer in network.layers]),
        "ranges": ranges,
        "split": SPLIT,
    }
    for index, layer in enumerate(network.layers):
        arrays[f"input_weights_{index}"] = layer.input_weights
        arrays[f"state_weights_{index}"] = layer.state_weights
        arrays[f"bias_{index}"] = layer.bias
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main()
