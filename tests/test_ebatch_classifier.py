"""The LSTM that tells code from prose: its lines, its training, its integers, its accuracy."""

import io
import sysconfig
import tokenize
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.ebatch import Layer, run_layer, run_layers
from golden.ebatch_requantise import Scale
from hdl.ebatch.parameters import Parameters
from sim.ebatch import classifier as workload
from sim.ebatch import lines as data
from sim.ebatch import train as training
from sim.ebatch.classifier import (
    CLASSIFIER,
    FloatNetwork,
    accuracy,
    float_answers,
    float_steps,
    integer_answers,
    labels,
    load_classifier,
    load_network,
    load_ranges,
    numbers_between,
    padded,
    requests,
)
from sim.ebatch.lines import (
    MODULES,
    SPLIT,
    SYMBOLS,
    Line,
    code_and_prose,
    line_lengths,
    paragraphs,
    symbols,
    training_split,
)
from sim.ebatch.quantise import GATES, Affine, FloatLayer, Floats, quantise_layer, scale_of

#: What the outputs of integers may differ from those of real numbers, root mean square: about twice
#: what they do, a little more than a step of 1 / 100.
ERROR = 0.02

SOURCE = '''
# A comment.
#No space, so no prose.
#   Indented, as code that was taken out is.
"""First line of a docstring.

Second one.
    indented, left out
>>> left_out()
left out, too
"""
import os  # left out: code and prose
\x0c
def function(a,
             b):
    """One line."""
    text = """spans
two lines""" + a
    both = f"""{a}
""" + f"{b}"
    return (a
            + "b\x0c")

class Empty:
    "Quoted once."
'''


def test_a_source_is_told_apart_by_line() -> None:
    code, prose = code_and_prose(SOURCE)
    assert [line for line in code if line] == [
        "def function(a,",
        "b):",
        "return (a",
        '+ "b\x0c")',
        "class Empty:",
    ]
    assert sorted(line for line in prose if line) == [
        "A comment.",
        "First line of a docstring.",
        "One line.",
        "Quoted once.",
        "Second one.",
    ]


def test_help_texts_lose_what_is_indented() -> None:
    text = "A title\n*******\n\nSome text, as in::\n\n   x = 1\n\n* and more of it\n"
    assert [line for line in paragraphs(text) if line] == [
        "A title",
        "*******",
        "Some text, as in::",
        "* and more of it",
    ]


@pytest.mark.parametrize("name", ["contextlib", "functools", "textwrap"])
def test_tokens_agree_on_what_is_code(name: str) -> None:
    """Another definition: lines with tokens that are neither comments nor strings of many lines.

    Left out may be those with strings that follow each other, which are one string of many lines.
    """
    path = Path(sysconfig.get_path("stdlib")) / f"{name}.py"
    source = path.read_text(encoding="utf-8")
    code: set[int] = set()
    other: set[int] = set()
    blank = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token, following in pairwise(tokenize.generate_tokens(io.StringIO(source).readline)):
        rows = range(token.start[0], token.end[0] + 1)
        alone = token.line.strip() == token.string and following.type == tokenize.NEWLINE
        is_docstring = token.type == tokenize.STRING and alone
        if token.type == tokenize.COMMENT or len(rows) > 1 or is_docstring:
            other.update(rows)
        elif token.type not in blank:
            code.add(token.start[0])
    lines = [line.strip() for line in source.split("\n")]
    expected = Counter(lines[row - 1] for row in code - other if "#" not in lines[row - 1])
    found = Counter(line for line in code_and_prose(source)[0] if line)
    assert found.total() > 100
    assert not found - expected
    left_out = (expected - found).elements()
    assert [line for line in left_out if '"' not in line and "'" not in line] == []
    assert (expected - found).total() < 0.1 * expected.total()


def test_splits_are_the_documented_ones() -> None:
    for lines, count in ((training_split(), 24_000), (data.test_split(), 3_000)):
        assert len(lines) == count
        assert int(labels(lines).sum()) == count // 2
        for line in lines:
            assert 1 <= len(line.text) <= 100
            assert line.text == line.text.strip()
            assert any(character.isalpha() for character in line.text)
    every = [line.text for line in training_split() + data.test_split()]
    assert len(set(every)) == 27_000, "a line is in a split twice, or in both"
    assert len(set(MODULES)) == len(MODULES)


def test_lines_have_many_lengths() -> None:
    lengths = line_lengths()
    assert lengths.tolist() == [len(line.text) for line in data.test_split()]
    assert lengths.min() <= 8 and lengths.max() > 80 and len(set(lengths.tolist())) > 60


def test_characters_are_symbols() -> None:
    printable = "".join(map(chr, range(32, 127)))
    assert symbols(printable).tolist() == list(range(95))
    assert symbols("é\t\x7f\U0001f600").tolist() == [SYMBOLS - 1] * 4


def test_a_range_becomes_numbers_with_an_exact_zero() -> None:
    rng = np.random.default_rng(0)
    chosen = [(-1.0, 1.0), (-1.0, 3.0), (0.5, 2.0), (-2.0, -1.0)]
    for low, high in [*chosen, *np.sort(rng.normal(size=(50, 2)))]:
        numbers = Affine.of_range(low, high)
        assert numbers.quantise(np.zeros(1)).tolist() == [numbers.offset]
        values = np.linspace(low, high, 1000)
        back = numbers.scale * (numbers.quantise(values).astype(float) - numbers.offset)
        assert np.max(np.abs(back - values)) <= numbers.scale * 1.001
    assert Affine.of_range(-1.0, 3.0) == Affine(4 / 255, -64)
    assert Affine.symmetric(2.54).quantise(np.array([-2.54, 0.0, 2.54, 9.0])).tolist() == [
        -127,
        0,
        127,
        127,
    ]
    with pytest.raises(ValueError, match="no scale"):
        Affine.of_range(0.0, 0.0)


def test_a_factor_becomes_multiplier_and_shift() -> None:
    assert scale_of(2.0**-15) == Scale(1 << 30, -14)
    assert scale_of(1.0) == Scale(1 << 30, 1)
    assert scale_of(np.nextafter(1.0, 0)) == Scale(1 << 30, 1)  # rounds up to a power of two
    for factor in np.random.default_rng(0).uniform(1e-6, 100, 200):
        scale = scale_of(factor)
        assert 1 << 30 <= scale.multiplier < 1 << 31
        assert abs(scale.multiplier * 2.0 ** (scale.shift - 31) / factor - 1) <= 2.0**-31


@pytest.mark.parametrize(
    ("clip", "shift", "integer"),
    [(1.0, -3, 32767), (3.0, -1, 24576), (4.0, -1, 32767), (4.1, 0, 16794), (8.0, 0, 32767)],
)
def test_a_cell_has_the_finest_power_of_two(clip: float, shift: int, integer: int) -> None:
    layer = _random_layer(np.random.default_rng(0), clip)
    quantised = quantise_layer(layer, Affine.symmetric(1.0), Affine.of_range(-1, 1))
    assert (quantised.cell_shift, quantised.cell_clip) == (shift, integer)


@pytest.mark.parametrize("inputs", [(-1.0, 1.0), (-0.2, 1.8)])
@pytest.mark.parametrize("outputs", [(-1.0, 1.0), (-1.0, 1.6), (-1.7, 1.0)])
@pytest.mark.parametrize("clip", [0.7, 3.0, 8.0])
def test_integers_follow_the_real_layer(
    inputs: tuple[float, float], outputs: tuple[float, float], clip: float
) -> None:
    """Every output of every step, with any zero points, as accurate as 8 bits allow."""
    rng = np.random.default_rng(1)
    layer = _random_layer(rng, clip)
    numbers, of_outputs = Affine.of_range(*inputs), Affine.of_range(*outputs)
    integers = numbers.quantise(rng.uniform(*inputs, (40, 16)))
    found = run_layer(quantise_layer(layer, numbers, of_outputs), integers).outputs
    reals = numbers.scale * (integers.astype(np.float64) - numbers.offset)
    expected = float_steps(layer, reals[:, None]).outputs[:, 0]
    assert np.max(np.abs(_real(found, of_outputs) - expected)) <= 0.03


def test_lines_in_batches_give_what_the_golden_model_gives() -> None:
    """Bit for bit: every step of every line, in both layers."""
    classifier = load_classifier()
    order = np.argsort(line_lengths())
    chosen = [*order[:6], *order[100:3000:200], order[-1]]
    lines = [data.test_split()[int(index)] for index in chosen]
    batch = padded(lines)
    first = workload._run_batch(classifier.layers[0], classifier.embedding[batch.symbols])
    second = workload._run_batch(classifier.layers[1], first)
    compared = 0
    scores: list[int] = []
    for column, line in enumerate(lines):
        steps = run_layers(list(classifier.layers), classifier.inputs(line.text))
        for expected, found in zip(steps, (first, second), strict=True):
            assert np.array_equal(found[: len(line.text), column], expected.outputs)
            compared += expected.outputs.size
        scores.append(int(classifier.score(steps[-1].outputs[-1])))
    assert integer_answers(classifier, lines).tolist() == [score > 0 for score in scores]
    assert compared > 40_000
    assert len({score > 0 for score in scores}) == 2


def test_accuracy_on_the_test_split() -> None:
    lines = data.test_split()
    reals = float_answers(load_network(), lines)
    integers = integer_answers(load_classifier(), lines)
    assert accuracy(reals, lines) >= 0.9
    assert accuracy(integers, lines) >= 0.9
    assert abs(accuracy(reals, lines) - accuracy(integers, lines)) <= 0.01
    assert np.mean(reals == integers) >= 0.99
    for is_code in (False, True):  # of each class, too
        assert np.mean(integers[labels(lines) == is_code] == is_code) >= 0.9


def test_integers_follow_the_real_network() -> None:
    """Of the outputs at all steps of both layers; accuracy alone would forgive wrong integers."""
    assert max(_errors()) < ERROR


def test_scores_are_sums_of_real_outputs() -> None:
    """Of any outputs, in units of what a product is worth; a bias alone is exact."""
    network, classifier = load_network(), load_classifier()
    numbers = numbers_between(network, load_ranges())[-1]
    unit = float(np.max(np.abs(network.readout))) / 127 * numbers.scale
    nothing = numbers.quantise(np.zeros(32))
    assert int(classifier.score(nothing)) == round(float(network.readout_bias[0]) / unit)
    outputs = np.random.default_rng(0).uniform(-0.9, 0.9, (200, 32))
    expected = outputs @ network.readout + network.readout_bias
    scores = classifier.score(numbers.quantise(outputs))
    assert np.max(np.abs(unit * scores - expected)) < 0.05


def _forget_offset_of_state(layer: Layer, numbers: Affine) -> Layer:
    gates = layer.gates.items()
    return replace(
        layer, gates={name: replace(gate, state_bias=0 * gate.state_bias) for name, gate in gates}
    )


def _forget_offset_of_inputs(layer: Layer, numbers: Affine) -> Layer:
    gates = {
        name: replace(
            gate,
            input_bias=gate.input_bias
            + numbers.offset * gate.input_weights.sum(axis=1, dtype=np.int64),
        )
        for name, gate in layer.gates.items()
    }
    return replace(layer, gates=gates)


def _swap_forget_and_input(layer: Layer, numbers: Affine) -> Layer:
    gates = dict(layer.gates)
    gates["forget"], gates["input"] = gates["input"], gates["forget"]
    return replace(layer, gates=gates)


def _scale_of_one_gate_twice(layer: Layer, numbers: Affine) -> Layer:
    gate = layer.gates["output"]
    scale = replace(gate.state_scale, shift=gate.state_scale.shift + 1)
    return replace(layer, gates={**layer.gates, "output": replace(gate, state_scale=scale)})


@pytest.mark.parametrize(
    "broken",
    [
        _forget_offset_of_state,
        _forget_offset_of_inputs,
        _swap_forget_and_input,
        _scale_of_one_gate_twice,
    ],
)
def test_wrong_integers_are_noticed(
    broken: Callable[[Layer, Affine], Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        workload,
        "quantise_layer",
        lambda layer, inputs, outputs: broken(quantise_layer(layer, inputs, outputs), inputs),
    )
    assert max(_errors()) > ERROR


def test_real_lines_reach_what_is_special() -> None:
    """Otherwise the circuit's run would not see it: clipped cells, saturation, zero points."""
    classifier = load_classifier()
    clipped, saturated = np.zeros(2, np.int64), 0
    for line in data.test_split()[:20]:
        steps = run_layers(list(classifier.layers), classifier.inputs(line.text))
        for place, (layer, done) in enumerate(zip(classifier.layers, steps, strict=True)):
            assert done.cells is not None
            assert np.max(np.abs(done.cells.astype(np.int64))) <= layer.cell_clip < 32767
            clipped[place] += np.sum(np.abs(done.cells.astype(np.int64)) == layer.cell_clip)
            saturated += sum(int(np.sum(pre == 32767)) for pre in done.pre.values())
    assert clipped.min() > 50
    assert saturated > 0
    offsets = [layer.output_offset for layer in classifier.layers]
    assert min(offsets) < -16 and max(offsets) > 16


def test_classifier_fits_the_engine() -> None:
    parameters = Parameters()
    layers = load_classifier().layers
    assert [layer.input_size for layer in layers] == [
        parameters.inputs(index) for index in range(parameters.layers)
    ]
    assert {layer.hidden_size for layer in layers} == {parameters.hidden_size}


def test_requests_are_lines_of_the_test_split() -> None:
    classifier = load_classifier()
    found = requests(500, seed=3)
    assert [request.tag for request in found] == list(range(500))
    known = {(classifier.inputs(line.text).tobytes(), line.is_code) for line in data.test_split()}
    for request in found:
        assert request.inputs.dtype == np.int8 and request.inputs.shape[1:] == (32,)
        assert (request.inputs.tobytes(), request.label) in known
    assert len({request.inputs.tobytes() for request in found}) == 500
    again, other = requests(500, seed=3), requests(500, seed=4)
    assert all(np.array_equal(a.inputs, b.inputs) for a, b in zip(found, again, strict=True))
    assert any(len(a.inputs) != len(b.inputs) for a, b in zip(found, other, strict=True))
    assert len(requests(3_100, seed=0)) == 3_100
    assert requests(0, seed=0) == []


def test_gradients_are_the_slopes_of_the_loss() -> None:
    """Central differences in a random direction for each array; some cells are clipped."""
    rng = np.random.default_rng(0)
    arrays = {
        name: array.astype(np.float64) * (4 if "weights" in name else 1)
        for name, array in training.initial_arrays(rng).items()
    }
    network = training.network_of(arrays)
    lines = _short(training_split(), 4)
    batch, is_code = padded(lines), labels(lines).astype(np.float64)
    cells = float_steps(network.layers[0], network.embedding[batch.symbols]).cells
    assert 0.05 < np.mean(np.abs(cells) > network.layers[0].cell_clip) < 0.5
    slopes, _ = training.gradients(network, batch, is_code)
    assert set(slopes) == set(arrays)
    step = 1e-6
    for name, array in arrays.items():
        assert slopes[name].shape == array.shape
        direction = rng.normal(size=array.shape)
        array += step * direction
        above = training.gradients(network, batch, is_code)[1]
        array -= 2 * step * direction
        below = training.gradients(network, batch, is_code)[1]
        array += step * direction
        assert np.sum(slopes[name] * direction) == pytest.approx(
            (above - below) / (2 * step), rel=1e-5
        )


def test_adam_goes_a_limited_way_downhill() -> None:
    """The first step is the rate in each place, whatever the size of the slopes."""
    arrays = {"a": np.array([1.0, -2.0], np.float32), "b": np.array([[3.0]], np.float32)}
    adam = training.Adam(arrays)
    adam.step({"a": np.array([1e3, -1.0], np.float32), "b": np.array([[0.5]], np.float32)}, 0.1)
    assert arrays["a"] == pytest.approx([0.9, -1.9], abs=1e-4)
    assert arrays["b"] == pytest.approx(np.array([[2.9]]), abs=1e-4)
    assert np.sqrt(sum(np.sum(np.square(mean)) for mean in adam.means.values())) == pytest.approx(
        0.1, rel=1e-3
    )  # 1 - 0.9 of gradients that were cut to a norm of 1


def test_an_epoch_has_every_line_once() -> None:
    lengths = np.array([len(line.text) for line in training_split()[:5_000]])
    chosen = list(training.batches(np.random.default_rng(0), lengths))
    assert {len(batch) for batch in chosen} == {training.BATCH}
    assert len(np.unique(np.concatenate(chosen))) == 5_000 - 5_000 % training.BATCH
    padding = sum(int(np.sum(lengths[batch].max() - lengths[batch])) for batch in chosen)
    assert padding < 0.15 * lengths.sum()


def test_training_learns_from_labels_and_from_nothing_else() -> None:
    """A short training on short lines, with their labels and with those of other lines."""
    lines, tested = _short(training_split(), 1_000), _short(data.test_split(), 200)
    share = accuracy(float_answers(training.train(lines, epochs=4), tested), tested)
    assert share >= 0.85
    order = np.random.default_rng(0).permutation(len(lines))
    others = [
        replace(line, is_code=lines[int(index)].is_code)
        for line, index in zip(lines, order, strict=True)
    ]
    share = accuracy(float_answers(training.train(others, epochs=4), tested), tested)
    assert share < 0.65


def test_training_repeats_itself() -> None:
    lines = training_split()[:320]
    first, second = (_arrays(training.train(lines, epochs=1)) for _ in range(2))
    for name, array in first.items():
        assert np.array_equal(array, second[name]), name
        assert not np.array_equal(array, _initial()[name]), name


def test_ranges_are_those_of_real_steps() -> None:
    """What follows a line's end, so that all lines of a batch have one length, doesn't count."""
    network, lines = load_network(), training_split()
    for start in range(0, 60, 3):
        few = lines[start : start + 3]
        alone = np.zeros((2, 2))
        for line in few:
            values = network.embedding[symbols(line.text)][:, None]
            for place, layer in enumerate(network.layers):
                values = float_steps(layer, values).outputs
                alone[place, 0] = min(alone[place, 0], values.min())
                alone[place, 1] = max(alone[place, 1], values.max())
        assert training.measured_ranges(network, few) == pytest.approx(alone, abs=1e-4)


def test_committed_ranges_hold_the_training_lines() -> None:
    found, committed = (
        training.measured_ranges(load_network(), training_split()[:400]),
        load_ranges(),
    )
    assert np.all(committed[:, 0] <= found[:, 0]) and np.all(found[:, 1] <= committed[:, 1])
    assert np.all(np.abs(found - committed) < 0.05)


def test_committed_file_is_small_and_typed() -> None:
    assert CLASSIFIER.stat().st_size < 100_000
    with np.load(CLASSIFIER) as arrays:
        assert str(arrays["split"]) == SPLIT
        assert arrays["embedding"].shape == (SYMBOLS, 32)
        assert {arrays[name].dtype.name for name in arrays.files if name != "split"} <= {
            "float32",
            "float64",
        }


def test_saved_network_loads_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = training.initial_arrays(np.random.default_rng(5))
    ranges = np.array([[-0.5, 1.0], [-1.0, 0.25]], np.float32)
    path = tmp_path / "network.npz"
    training.save(training.network_of(arrays), ranges, path)
    monkeypatch.setattr(workload, "CLASSIFIER", path)
    loaded = workload.load_network.__wrapped__()
    for name, array in _arrays(loaded).items():
        assert np.array_equal(array, arrays[name]), name
    assert tuple(layer.cell_clip for layer in loaded.layers) == training.CELL_CLIPS
    assert np.array_equal(workload.load_ranges.__wrapped__(), ranges)


def _random_layer(rng: np.random.Generator, clip: float) -> FloatLayer:
    """Six units with sixteen inputs, in float64."""
    shape = (len(GATES), 6)
    return FloatLayer(
        rng.normal(size=(*shape, 16)) * 0.5,
        rng.normal(size=(*shape, 6)) * 0.5,
        rng.normal(size=shape),
        clip,
    )


def _real(integers: NDArray[np.int8], numbers: Affine) -> Floats:
    return numbers.scale * (integers.astype(np.float64) - numbers.offset)


def _errors() -> list[float]:
    """By layer: how far outputs of the quantised network are from those of the real one."""
    network, ranges = load_network(), load_ranges()
    layers = workload.quantise(network, ranges).layers
    batch = padded(data.test_split()[:60])
    real_steps = np.arange(len(batch.symbols))[:, None] < batch.lengths
    numbers = numbers_between(network, ranges)
    reals = network.embedding[batch.symbols]
    integers = numbers[0].quantise(reals)
    errors: list[float] = []
    for place, layer in enumerate(network.layers):
        reals = float_steps(layer, reals).outputs
        integers = workload._run_batch(layers[place], integers)
        difference = (_real(integers, numbers[place + 1]) - reals)[real_steps]
        errors.append(float(np.sqrt(np.mean(np.square(difference)))))
    return errors


def _short(lines: Sequence[Line], count: int) -> list[Line]:
    """The first ``count`` lines of each class that have 40 characters at most."""
    short = [line for line in lines if len(line.text) <= 40]
    return [
        line
        for is_code in (True, False)
        for line in [line for line in short if line.is_code == is_code][:count]
    ]


def _initial() -> dict[str, Floats]:
    """All weights before a training."""
    return training.initial_arrays(np.random.default_rng(training.SEED))


def _arrays(network: FloatNetwork) -> dict[str, Floats]:
    """All weights by their names in the file."""
    arrays = {
        "embedding": network.embedding,
        "readout": network.readout,
        "readout_bias": network.readout_bias,
    }
    for index, layer in enumerate(network.layers):
        arrays[f"input_weights_{index}"] = layer.input_weights
        arrays[f"state_weights_{index}"] = layer.state_weights
        arrays[f"bias_{index}"] = layer.bias
    return arrays
