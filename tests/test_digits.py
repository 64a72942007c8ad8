"""The int8 digit classifier: its arithmetic, its accuracy, and where its weights come from."""

from dataclasses import fields
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from golden.digits import Int8, QuantizedNetwork, classify, layers, load, product, requantise
from golden.integers import Integers
from sim.ent import digits  # not its names: pytest would collect ``test_split`` as a test
from sim.ent.train_digits import Trained, accuracy, save, smallest_shift, train

NETWORK = digits.load_network()
IMAGES, LABELS = digits.test_split()


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train()


def plain_logits(network: QuantizedNetwork, image: list[int]) -> list[int]:
    """Logits of one image in Python's integers and fractions, without NumPy's arithmetic."""
    hidden = []
    for weights, bias in zip(
        network.hidden_weights.T.tolist(), network.hidden_bias.tolist(), strict=True
    ):
        total = sum(x * w for x, w in zip(image, weights, strict=True)) + bias
        rounded = floor(Fraction(max(total, 0), 2**network.shift) + Fraction(1, 2))
        hidden.append(min(rounded, 127))
    return [
        sum(x * w for x, w in zip(hidden, weights, strict=True)) + bias
        for weights, bias in zip(
            network.output_weights.T.tolist(), network.output_bias.tolist(), strict=True
        )
    ]


def random_network(seed: int) -> tuple[QuantizedNetwork, Int8]:
    """A network with the whole range of weights, and images; many activations saturate."""
    generator = np.random.default_rng(seed)
    shift = int(generator.integers(0, 10))
    network = QuantizedNetwork(
        hidden_weights=generator.integers(-128, 128, (64, 7), dtype=np.int8),
        hidden_bias=generator.integers(-5000, 5000, 7, dtype=np.int32),
        shift=shift,
        output_weights=generator.integers(-128, 128, (7, 10), dtype=np.int8),
        output_bias=generator.integers(-5000, 5000, 10, dtype=np.int32),
    )
    return network, generator.integers(0, 17, (3, 64), dtype=np.int8)


def test_logits_equal_plain_integers() -> None:
    chosen = IMAGES[::20]
    classes, logits = classify(NETWORK, chosen)
    expected = [plain_logits(NETWORK, image) for image in chosen.tolist()]
    assert logits.tolist() == expected
    assert classes.tolist() == [row.index(max(row)) for row in expected]


@pytest.mark.parametrize("seed", range(20))
def test_logits_of_random_networks_equal_plain_integers(seed: int) -> None:
    network, images = random_network(seed)
    _, logits = classify(network, images)
    assert logits.tolist() == [plain_logits(network, image) for image in images.tolist()]


def test_logits_equal_float64_evaluation() -> None:
    """Every number is an integer below 2**53 or a multiple of 2**-shift, so float64 is exact."""
    images = np.concatenate([IMAGES, digits.training_split()[0]]).astype(np.float64)
    sums = images @ NETWORK.hidden_weights.astype(np.float64) + NETWORK.hidden_bias
    hidden = np.clip(np.floor(sums / 2.0**NETWORK.shift + 0.5), 0, 127)
    expected = hidden @ NETWORK.output_weights.astype(np.float64) + NETWORK.output_bias
    classes, logits = classify(NETWORK, images.astype(np.int8))
    assert np.array_equal(logits, expected)
    assert np.array_equal(classes, np.argmax(expected, axis=1))


@pytest.mark.parametrize(
    ("total", "shift", "expected"),
    [
        *[(-1, 0, 0), (-1000, 3, 0), (0, 4, 0)],
        *[(7, 4, 0), (8, 4, 1), (23, 4, 1), (24, 4, 2), (40, 4, 3)],  # halves up, even or odd
        *[(126, 0, 126), (127, 0, 127), (128, 0, 127), (2**31 - 1, 7, 127)],
        *[(2039, 4, 127), (2040, 4, 127)],  # the second one would round to 128
    ],
)
def test_requantise_examples(total: int, shift: int, expected: int) -> None:
    assert requantise([total], shift).tolist() == [expected]


@given(total=st.integers(-(2**31), 2**31 - 1), shift=st.integers(0, 24))
def test_requantise_equals_definition(total: int, shift: int) -> None:
    rounded = floor(Fraction(total, 2**shift) + Fraction(1, 2))
    result = requantise([total], shift)
    assert result.dtype == np.int8
    assert result.tolist() == [min(max(rounded, 0), 127)]


@given(largest=st.integers(0, 2**24))
def test_smallest_shift_is_the_first_without_saturation(largest: int) -> None:
    def rounded(shift: int) -> int:
        return floor(Fraction(largest, 2**shift) + Fraction(1, 2))

    shift = smallest_shift(np.array([largest]))
    assert rounded(shift) <= 127
    assert shift == 0 or rounded(shift - 1) > 127


def test_equal_logits_give_the_lowest_class() -> None:
    network = QuantizedNetwork(
        hidden_weights=np.zeros((64, 1), np.int8),
        hidden_bias=np.zeros(1, np.int32),
        shift=0,
        output_weights=np.zeros((1, 10), np.int8),
        output_bias=np.array([0, 0, 5, 1, 5, 0, 0, 5, 0, 0], np.int32),
    )
    assert classify(network, IMAGES[:2])[0].tolist() == [2, 2]


def test_layers_are_the_operands_of_multiply() -> None:
    seen: list[tuple[Int8, Int8]] = []

    def multiply(a: Int8, b: Int8) -> Integers:
        seen.append((a, b))
        return product(a, b)

    classify(NETWORK, IMAGES, multiply)
    operands = layers(NETWORK, IMAGES)
    assert [(a.shape, b.shape) for a, b in operands] == [
        ((360, 64), (64, 32)),
        ((360, 32), (32, 10)),
    ]
    for pair, expected in zip(operands, seen, strict=True):
        for matrix, other in zip(pair, expected, strict=True):
            assert matrix.dtype == np.int8
            assert np.array_equal(matrix, other)


@pytest.mark.parametrize("layer", [0, 1])
def test_results_of_multiply_are_used(layer: int) -> None:
    """A wrong product in either layer reaches the logits of its image, and of no other one."""
    calls = 0

    def wrong(a: Int8, b: Int8) -> Integers:
        nonlocal calls
        result = product(a, b)
        if calls == layer:
            result[3] += 1 << NETWORK.shift
        calls += 1
        return result

    _, logits = classify(NETWORK, IMAGES, wrong)
    _, expected = classify(NETWORK, IMAGES)
    assert calls == 2
    assert np.flatnonzero(np.any(logits != expected, axis=1)).tolist() == [3]


def test_no_sum_leaves_int32() -> None:
    """Worst cases from the weights alone, whatever the images and the order of the additions."""
    for largest, weights, bias in (
        (16, NETWORK.hidden_weights, NETWORK.hidden_bias),
        (127, NETWORK.output_weights, NETWORK.output_bias),
    ):
        worst = largest * np.sum(np.abs(weights.astype(np.int64)), axis=0)
        assert np.max(worst + np.abs(bias.astype(np.int64))) < 2**31


def test_real_inputs_reach_every_part_of_requantise() -> None:
    """Otherwise the circuit's run would not see them: negative sums, halves, wide activations."""
    sums = product(IMAGES, NETWORK.hidden_weights) + NETWORK.hidden_bias
    assert np.any(sums < 0)
    assert np.any((sums > 0) & (sums % 2**NETWORK.shift == 2 ** (NETWORK.shift - 1)))
    assert np.max(layers(NETWORK, IMAGES)[1][0]) > 63


def test_splits_are_the_documented_ones() -> None:
    data, target = load_digits(return_X_y=True)
    assert np.array_equal(IMAGES, data[::5])
    assert np.array_equal(LABELS, target[::5])
    images, labels = digits.training_split()
    assert np.array_equal(images, np.delete(data, np.s_[::5], axis=0))
    assert np.array_equal(labels, np.delete(target, np.s_[::5]))
    assert (IMAGES.min(), IMAGES.max()) == (0, 16)
    assert IMAGES.dtype == images.dtype == np.int8


def test_accuracy_on_the_test_split() -> None:
    classes, _ = classify(NETWORK, IMAGES)
    share = accuracy(classes, LABELS)
    assert digits.float_accuracy() >= 0.96
    assert share >= 0.96
    assert abs(share - digits.float_accuracy()) <= 0.01


def test_committed_network_is_what_training_makes(trained: Trained) -> None:
    """Exact: BLAS kernels differ by 1e-15 in the float weights, far below half an int8 step."""
    for field in fields(QuantizedNetwork):
        assert np.array_equal(getattr(NETWORK, field.name), getattr(trained.network, field.name))
    assert digits.float_accuracy() == trained.float_accuracy


def test_committed_file_is_small_and_typed() -> None:
    assert digits.NETWORK.stat().st_size < 8192
    assert NETWORK.hidden_weights.dtype == NETWORK.output_weights.dtype == np.int8
    assert NETWORK.hidden_bias.dtype == NETWORK.output_bias.dtype == np.int32
    with np.load(digits.NETWORK) as arrays:
        assert str(arrays["split"]) == digits.SPLIT


def test_saved_network_loads_unchanged(trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    save(trained, path)
    loaded = load(path)
    for field in fields(QuantizedNetwork):
        expected = np.asarray(getattr(trained.network, field.name))
        assert np.array_equal(getattr(loaded, field.name), expected)
