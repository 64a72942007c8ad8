"""The golden E-BATCH layers against a literal reading of them, exact fractions and real numbers."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import ebatch_literal as literal
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.ebatch import Cell, Gate, Layer, Steps, run_layer, run_layers
from golden.ebatch_activation import SIGMOID_TABLE, Function, activate
from golden.ebatch_requantise import (
    Scale,
    requantise,
    requantise_each,
    rounding_shift_right,
    saturate,
)

every_cell = pytest.mark.parametrize("cell", list(Cell))
ONE = Scale(1 << 30, 1)
#: A product of two gates, or of a gate and something else, in units of the other factor.
OF_GATE = Scale(1 << 30, -14)
WORDS = np.arange(-(1 << 15), 1 << 15)
BYTES = [-128, -127, -1, 0, 1, 127]


# Requantisation.

CORNERS = [
    sign * (1 << power) + offset for sign in (-1, 1) for power in range(32) for offset in (-1, 0, 1)
]
NUMBERS = sorted({number for number in [0, *CORNERS] if -(1 << 31) <= number < 1 << 31})
MULTIPLIERS = sorted({m for m in [0, 0x5A827999, 0x7FFFFFFE, *CORNERS] if 0 <= m < 1 << 31})
SHIFTS = [-31, -30, -17, -16, -8, -2, -1, 0, 1, 2, 15, 29, 30]


def exact(number: int, multiplier: int, shift: int) -> Fraction:
    return Fraction(number * multiplier) * Fraction(2) ** (shift - 31)


def half_away(value: Fraction) -> int:
    floor = int(abs(value) + Fraction(1, 2))
    return floor if value >= 0 else -floor


def check_requantised(triples: Sequence[tuple[int, int, int]]) -> Counter[str]:
    """Against the literal, always; and against one rounding of the exact product.

    A right shift rounds a second time. So its results are the nearest integers only where the
    product is no closer to the middle of two than the first rounding may move it.
    """
    numbers, multipliers, shifts = (np.array(column) for column in zip(*triples, strict=True))
    got = requantise_each(numbers, multipliers, shifts).tolist()
    counts: Counter[str] = Counter()
    for triple, result in zip(triples, got, strict=True):
        assert result == literal.requant(*triple), triple
        product, shift = exact(*triple), triple[2]
        first = Fraction(1, 1 << 1 - min(shift, 0))
        counts["compared"] += 1
        if shift >= 0:  # once, ties upwards
            assert result == (product + Fraction(1, 2)).__floor__(), triple
        elif abs(product % 1 - Fraction(1, 2)) > first:
            assert result == half_away(product), triple
        else:
            assert abs(result - product) <= Fraction(1, 2) + first, triple
            counts["near a tie"] += 1
            counts["not the nearest"] += abs(result - product) > Fraction(1, 2)
    return counts


def fits(number: int, shift: int) -> bool:
    return -(1 << 31) <= number << max(shift, 0) < 1 << 31


def test_requantise_corners() -> None:
    triples = [
        (number, multiplier, shift)
        for number, multiplier, shift in itertools.product(NUMBERS, MULTIPLIERS[::3], SHIFTS)
        if fits(number, shift)
    ]
    counts = check_requantised(triples)
    assert counts["compared"] == len(triples) > 50_000
    assert counts["near a tie"] > 500 and counts["not the nearest"] > 100


def test_requantise_random_numbers() -> None:
    rng = np.random.default_rng(0)
    count = 40_000
    numbers = rng.integers(-(1 << 31), 1 << 31, count) >> rng.integers(0, 31, count)
    multipliers, shifts = rng.integers(0, 1 << 31, count), rng.integers(-31, 31, count)
    triples = list(zip(numbers.tolist(), multipliers.tolist(), shifts.tolist(), strict=True))
    triples = [triple for triple in triples if fits(triple[0], triple[2])]
    assert check_requantised(triples)["compared"] == len(triples) > 25_000


@settings(deadline=None)
@given(
    number=st.integers(-(1 << 31), (1 << 31) - 1),
    multiplier=st.integers(0, (1 << 31) - 1),
    shift=st.integers(-31, 30),
)
def test_requantise(number: int, multiplier: int, shift: int) -> None:
    scale = Scale(multiplier, shift)
    if not fits(number, shift):
        with pytest.raises(ValueError, match="behind the left shift"):
            requantise([0, number], scale)
        number >>= shift
    check_requantised([(number, multiplier, shift)])
    assert requantise([[number]], scale).tolist() == [[literal.requant(number, multiplier, shift)]]


@settings(deadline=None)
@given(number=st.integers(-(1 << 61), 1 << 61), bits=st.integers(0, 62), odd=st.integers(-3, 3))
def test_rounding_shift_right(number: int, bits: int, odd: int) -> None:
    tie = (2 * odd + 1 << bits) // 2
    numbers = [number] if abs(tie) >= 1 << 62 else [number, tie - 1, tie, tie + 1]
    expected = [half_away(Fraction(each, 1 << bits)) for each in numbers]
    assert rounding_shift_right(numbers, bits).tolist() == expected
    assert expected == [literal.shift_right(each, bits) for each in numbers]


def test_saturate() -> None:
    for bits in (8, 16):
        low, high = -(1 << bits - 1), (1 << bits - 1) - 1
        numbers = [-(1 << 40), low - 1, low, low + 1, 0, high - 1, high, high + 1, 1 << 40]
        expected = [low, low, low, low + 1, 0, high - 1, high, high, high]
        assert saturate(numbers, bits).tolist() == expected
        assert [literal.sat(number, bits) for number in numbers] == expected


@settings(deadline=None)
@given(st.floats(2**-31, 2**29))
def test_nearest_scale(factor: float) -> None:
    scale = Scale.nearest(factor)
    assert scale.multiplier >= 1 << 30
    found = exact(1, scale.multiplier, scale.shift)
    assert abs(found / Fraction(factor) - 1) <= Fraction(1, 1 << 31)


def test_nearest_scale_at_its_ends() -> None:
    assert Scale.nearest(1) == ONE
    assert Scale.nearest(2**-15) == OF_GATE
    assert Scale.nearest(1 - 2**-40) == ONE
    assert Scale.nearest(2**-32) == Scale(1 << 30, -31)
    assert Scale.nearest(2**-33) == Scale(0, 0) == Scale.nearest(0)
    for factor in (2.0**30, -0.5, 1e300):
        with pytest.raises(ValueError, match="allowed are"):
            Scale.nearest(factor)


# Activation.


def test_table() -> None:
    assert SIGMOID_TABLE.tolist() == literal.T
    assert (np.diff(SIGMOID_TABLE.astype(int)) >= 0).all()
    assert not SIGMOID_TABLE.flags.writeable


@pytest.mark.parametrize("function", list(Function))
def test_all_inputs_of_an_activation(function: Function) -> None:
    of_number = {Function.SIGMOID: literal.sigmoid, Function.TANH: literal.tanh}[function]
    compared = 0
    for shift in range(-15, 4):
        got = activate(WORDS, function, shift)
        assert got.dtype == np.int16
        expected = [of_number(number, shift) for number in WORDS.tolist()]
        assert got.tolist() == expected, shift
        assert (np.diff(got) >= 0).all()
        compared += len(expected)
    assert compared == 19 << 16


#: Largest error of an activation in units of 2**-15, all inputs, by the shift: measured.
ERRORS = {
    (Function.SIGMOID, 0): 1.016,
    (Function.TANH, -3): 2.442,
    (Function.TANH, 0): 1.477,
    (Function.TANH, 1): 1.419,
    (Function.TANH, 3): 1.286,
}


@pytest.mark.parametrize(("function", "shift"), ERRORS)
def test_error_of_an_activation(function: Function, shift: int) -> None:
    real = WORDS / 4096 * 2.0**shift
    ideal = np.tanh(real) if function is Function.TANH else 1 / (1 + np.exp(-real))
    error = np.abs(activate(WORDS, function, shift) - ideal * (1 << 15)).max()
    assert ERRORS[function, shift] - 0.001 < error <= ERRORS[function, shift]


# Layers against the literal.


def same(steps: Steps, expected: Sequence[literal.Step]) -> int:
    """How many numbers there are, which are all the same."""
    pairs: list[tuple[np.ndarray, list[list[int]], type]] = []
    pairs.append((steps.outputs, [step.outputs for step in expected], np.int8))
    for name in steps.pre:
        pairs.append((steps.pre[name], [step.pre[name] for step in expected], np.int16))
        pairs.append((steps.gates[name], [step.gates[name] for step in expected], np.int16))
    if steps.cells is not None:
        pairs.append((steps.cells, [step.cells for step in expected], np.int16))
    for got, numbers, dtype in pairs:
        assert got.dtype == dtype
        assert got.tolist() == numbers
    return sum(got.size for got, _, _ in pairs)


def wild_bytes(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Any bytes, a third of them corners."""
    corners = rng.choice(BYTES, shape)
    return np.where(rng.random(shape) < 1 / 3, corners, rng.integers(-128, 128, shape))


def wild_layer(rng: np.random.Generator, cell: Cell, inputs: int, units: int) -> Layer:
    """Weights, biases and scales at random, so that every saturation happens now and then."""

    def part(columns: int) -> tuple[np.ndarray, np.ndarray, Scale]:
        weights = wild_bytes(rng, (units, columns))
        spread = 75 * 75 * columns**0.5
        bias = rng.normal(0, spread, units).astype(np.int64)
        return weights, bias, Scale.nearest(2 ** rng.uniform(8, 17) / spread)

    def gate() -> Gate:
        (w, bw, sw), (u, bu, su) = part(inputs), part(units)
        return Gate(w, u, bw, bu, sw, su)

    gates = {name: gate() for name in cell.gates}
    if cell is not Cell.LSTM:
        return Layer(cell, gates, {"reset": Scale.nearest(2 ** rng.uniform(-16, -13))})
    products = {"forget": (-16, -13), "input": (-19, -13), "output": (-24, -21)}
    return Layer(
        cell,
        gates,
        {name: Scale.nearest(2 ** rng.uniform(*ends)) for name, ends in products.items()},
        cell_clip=int(rng.choice(np.array([32767, 32767, 1, rng.integers(1, 32768)]))),
        cell_shift=int(rng.integers(-15, 4)),
        output_offset=int(rng.integers(-128, 128)),
    )


def ends_reached(layer: Layer, steps: Steps) -> Counter[str]:
    """How often numbers are at the ends of their ranges."""
    counts: Counter[str] = Counter()
    for kind, arrays, low, high in (
        ("pre", steps.pre.values(), -(1 << 15), (1 << 15) - 1),
        ("cell", [steps.cells], -layer.cell_clip, layer.cell_clip),
        ("output", [steps.outputs], -128, 127),
    ):
        for array in arrays:
            if array is not None:
                counts[f"{kind} low"] += int((array == low).sum())
                counts[f"{kind} high"] += int((array == high).sum())
    return counts


SIZES = [(1, 1), (3, 2), (2, 5), (8, 8)]


@every_cell
def test_layers_at_random(cell: Cell) -> None:
    rng = np.random.default_rng(1)
    compared, reached = 0, Counter[str]()
    for _, (inputs, units) in itertools.product(range(40), SIZES):
        layer = wild_layer(rng, cell, inputs, units)
        for length in (1, 2, 9):
            sequence = wild_bytes(rng, (length, inputs))
            steps = run_layer(layer, sequence)
            compared += same(steps, list(literal.Literal(layer).run(sequence.tolist())))
            reached += ends_reached(layer, steps)
    numbers_a_unit = 10 if cell is Cell.LSTM else 7
    assert compared == 40 * 12 * 16 * numbers_a_unit
    kinds = ("pre", "cell", "output") if cell is Cell.LSTM else ("pre", "output")
    for kind, end in itertools.product(kinds, ("low", "high")):
        assert reached[f"{kind} {end}"] > 100, (kind, end)


BYTE = st.integers(-128, 127) | st.sampled_from(BYTES)
MULTIPLIER = st.integers(0, (1 << 31) - 1) | st.sampled_from([1 << 30, (1 << 31) - 1])


@st.composite
def layers(draw: st.DrawFn, cell: Cell, inputs: int, units: int) -> Layer:
    """Layers of any numbers that are allowed, sums up to the ends of int32."""

    def scale() -> Scale:
        return Scale(draw(MULTIPLIER), draw(st.integers(-31, 0)))

    def part(columns: int) -> tuple[list[list[int]], list[int]]:
        weights = [[draw(BYTE) for _ in range(columns)] for _ in range(units)]
        limits = [(1 << 31) - 1 - 128 * sum(map(abs, row)) for row in weights]
        return weights, [
            draw(st.integers(-limit, limit) | st.sampled_from([-limit, 0, limit]))
            for limit in limits
        ]

    def gate() -> Gate:
        (w, bw), (u, bu) = part(inputs), part(units)
        return Gate(np.array(w), np.array(u), np.array(bw), np.array(bu), scale(), scale())

    layer = Layer(
        cell,
        {name: gate() for name in cell.gates},
        {name: scale() for name in cell.products},
    )
    if cell is not Cell.LSTM:
        return layer
    return replace(
        layer,
        cell_clip=draw(st.integers(1, 32767)),
        cell_shift=draw(st.integers(-15, 3)),
        output_offset=draw(BYTE),
    )


@every_cell
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_layer(cell: Cell, data: st.DataObject) -> None:
    layer = data.draw(layers(cell, inputs=2, units=2))
    sequence = data.draw(st.lists(st.lists(BYTE, min_size=2, max_size=2), min_size=1, max_size=4))
    same(run_layer(layer, sequence), list(literal.Literal(layer).run(sequence)))


@every_cell
def test_layers_upon_layers(cell: Cell) -> None:
    rng = np.random.default_rng(2)
    stack = [wild_layer(rng, cell, *size) for size in ((3, 4), (4, 2), (2, 5))]
    sequence = wild_bytes(rng, (20, 3))
    found = run_layers(stack, sequence)
    values: Any = sequence.tolist()
    for layer, steps in zip(stack, found, strict=True):
        expected = list(literal.Literal(layer).run(values))
        same(steps, expected)
        values = [step.outputs for step in expected]
    assert run_layers([], sequence) == []


# Sequences on their own, and beside and behind each other.

LENGTHS = (1, 1, 2, 7, 1, 3, 12, 1)


@every_cell
def test_sequences_end_to_end(cell: Cell) -> None:
    """A lane that only masks what it reads, as the engine does, gives what each gives alone."""
    rng = np.random.default_rng(3)
    leaks = 0
    for _ in range(20):
        layer = wild_layer(rng, cell, 3, 4)
        lane, leaky = literal.Literal(layer), literal.Literal(layer)
        for length in LENGTHS:
            sequence = wild_bytes(rng, (length, 3))
            steps = run_layer(layer, sequence)
            same(steps, list(lane.run(sequence.tolist())))
            without_mask = [leaky.step(x, first=False).outputs for x in sequence.tolist()]
            leaks += without_mask != steps.outputs.tolist()
    assert leaks > 50  # so the mask matters


@every_cell
def test_steps_depend_on_those_before_only(cell: Cell) -> None:
    rng = np.random.default_rng(4)
    layer = wild_layer(rng, cell, 3, 4)
    sequence = wild_bytes(rng, (10, 3))
    whole = run_layer(layer, sequence)
    for length in range(11):
        part = run_layer(layer, sequence[:length])
        assert part.outputs.tolist() == whole.outputs[:length].tolist()
        assert part.outputs.shape == (length, 4)
        for name in cell.gates:
            assert part.pre[name].tolist() == whole.pre[name][:length].tolist()


@every_cell
def test_sequences_side_by_side(cell: Cell) -> None:
    rng = np.random.default_rng(5)
    layer = wild_layer(rng, cell, 3, 4)
    sequences = wild_bytes(rng, (9, 6, 3))
    steps = run_layer(layer, sequences)
    for number in range(6):
        alone = run_layer(layer, sequences[:, number])
        assert alone.outputs.tolist() == steps.outputs[:, number].tolist()
        if alone.cells is not None and steps.cells is not None:
            assert alone.cells.tolist() == steps.cells[:, number].tolist()
        for name in cell.gates:
            assert alone.pre[name].tolist() == steps.pre[name][:, number].tolist()
            assert alone.gates[name].tolist() == steps.gates[name][:, number].tolist()


# The first step.


def single(cell: Cell, **options: Any) -> Layer:
    """One input, one unit, all weights and scales 1: so numbers can be followed by hand."""
    one = np.ones((1, 1), dtype=np.int8)
    gate = Gate(one, one, np.array([100]), np.array([3000]), ONE, ONE)
    products = dict.fromkeys(cell.products, OF_GATE)
    if cell is Cell.LSTM:
        products["output"] = Scale.nearest(2**-23)
    return Layer(cell, dict.fromkeys(cell.gates, gate), products, **options)


@pytest.mark.parametrize("offset", [0, 7, -128])
def test_first_step_of_an_lstm_has_no_state_part(offset: int) -> None:
    """Neither weights nor bias, whatever int8 stands for an output of zero."""
    steps = run_layer(single(Cell.LSTM, output_offset=offset), [[5], [5]])
    for name in Cell.LSTM.gates:
        assert steps.pre[name].tolist() == [[105], [105 + 3000 + int(steps.outputs[0, 0])]]
    # sigmoid(105 / 4096) tanh(105 / 4096) is 0.013, in units of 2**-15 and then of 2**-12.
    assert steps.cells is not None
    assert steps.cells[0].tolist() == [425]


@pytest.mark.parametrize("cell", [Cell.GRU_RESET_AFTER, Cell.GRU_RESET_BEFORE])
def test_first_step_of_a_gru_keeps_the_state_bias(cell: Cell) -> None:
    steps = run_layer(single(cell), [[5]])
    reset = int(steps.gates["reset"][0, 0])
    kept = 3000 * reset / 2**15 if cell is Cell.GRU_RESET_AFTER else 3000
    assert {name: int(pre[0, 0]) for name, pre in steps.pre.items()} == {
        "reset": 3105,
        "update": 3105,
        "new": 105 + round(kept),
    }


def test_a_zero_point_changes_outputs_by_itself_and_nothing_else() -> None:
    """With the zero point folded into the bias, an LSTM goes through the same gates and cells."""
    rng = np.random.default_rng(6)
    compared = 0
    for _ in range(10):
        layer, _ = quantised(rng, Cell.LSTM, 3, 4, output_zero=0)
        narrow = replace(layer.products["output"], shift=layer.products["output"].shift - 1)
        layer = replace(layer, products={**layer.products, "output": narrow})
        sequences = rng.integers(-128, 128, (15, 8, 3))
        expected = run_layer(layer, sequences)
        for zero in (-60, -1, 1, 63):
            gates = {
                name: replace(
                    gate,
                    state_bias=gate.state_bias - zero * gate.state_weights.sum(axis=1, dtype=int),
                )
                for name, gate in layer.gates.items()
            }
            steps = run_layer(replace(layer, gates=gates, output_offset=zero), sequences)
            assert (steps.outputs - zero).tolist() == expected.outputs.tolist()
            assert steps.cells is not None and expected.cells is not None
            assert steps.cells.tolist() == expected.cells.tolist()
            compared += 2 * steps.outputs.size
    assert compared == 10 * 4 * 2 * 15 * 8 * 4


# Layers against real numbers.


@dataclass
class Real:
    """A layer in float64, of the weights and biases that the integers of a layer stand for."""

    cell: Cell
    input_weights: dict[str, np.ndarray]
    state_weights: dict[str, np.ndarray]
    input_bias: dict[str, np.ndarray]
    state_bias: dict[str, np.ndarray]
    #: One step of an input and of an output, and what stands for 0.
    input_unit: float
    output_unit: float
    input_zero: int
    output_zero: int

    def of_inputs(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs.astype(float) - self.input_zero) * self.input_unit

    def of_outputs(self, outputs: np.ndarray) -> np.ndarray:
        return (outputs.astype(float) - self.output_zero) * self.output_unit

    def input_term(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.input_weights[name].T + self.input_bias[name]

    def state_term(self, name: str, h: np.ndarray) -> np.ndarray:
        return h @ self.state_weights[name].T + self.state_bias[name]

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs, from inputs of [T, N, X]."""
        outputs = []
        c = h = np.zeros((inputs.shape[1], len(self.input_bias[self.cell.gates[0]])))
        for x in inputs:
            if self.cell is Cell.LSTM:
                f, i, g, o = (
                    self.input_term(name, x) + self.state_term(name, h) for name in self.cell.gates
                )
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            else:
                r, z = (
                    sigmoid(self.input_term(name, x) + self.state_term(name, h))
                    for name in ("reset", "update")
                )
                n = np.tanh(self.input_term("new", x) + self.reset(r, h))
                h = (1 - z) * n + z * h
            outputs.append(h)
        return np.array(outputs)

    def reset(self, r: np.ndarray, h: np.ndarray) -> np.ndarray:
        """The state part of the new state of a GRU."""
        if self.cell is Cell.GRU_RESET_AFTER:
            return r * self.state_term("new", h)
        return self.state_term("new", r * h)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


CELL_UNIT = 2.0**-11


def quantised(
    rng: np.random.Generator,
    cell: Cell,
    inputs: int,
    units: int,
    input_zero: int = 0,
    output_zero: int = 0,
) -> tuple[Layer, Real]:
    """A layer of weights at random, and what its integers stand for.

    State biases of an LSTM are zero: its first step has none.
    """
    input_unit = 1 / 64
    output_unit = 1 / (127 - abs(output_zero)) if cell is Cell.LSTM else 1 / 128
    real = Real(cell, {}, {}, {}, {}, input_unit, output_unit, input_zero, output_zero)
    gates = {}
    for name in cell.gates:
        scales, integers = [], []
        for weights, biases, columns, unit, zero in (
            (real.input_weights, real.input_bias, inputs, input_unit, input_zero),
            (real.state_weights, real.state_bias, units, output_unit, output_zero),
        ):
            drawn = rng.normal(0, 1 / columns**0.5, (units, columns))
            step = np.abs(drawn).max() / 127
            rounded = np.rint(drawn / step).astype(int)
            bias = np.rint(rng.normal(0, 0.5, units) / (step * unit)).astype(int)
            if cell is Cell.LSTM and weights is real.state_weights:
                bias[:] = 0
            weights[name], biases[name] = rounded * step, bias * step * unit
            integers.append((rounded, bias - zero * rounded.sum(axis=1)))
            scales.append(Scale.nearest(step * unit * 4096))
        (w, bw), (u, bu) = integers
        gates[name] = Gate(w, u, bw, bu, *scales)
    if cell is not Cell.LSTM:
        return Layer(cell, gates, {"reset": OF_GATE}), real
    products = {
        "forget": OF_GATE,
        "input": Scale.nearest(2**-30 / CELL_UNIT),
        "output": Scale.nearest(2**-30 / output_unit),
    }
    shift = int(np.log2(CELL_UNIT)) + 12
    return Layer(cell, gates, products, 32767, shift, output_zero), real


NETWORKS = {
    "lstm": (Cell.LSTM, 0, 0),
    "asymmetric lstm": (Cell.LSTM, -20, 25),
    "gru, reset after": (Cell.GRU_RESET_AFTER, 0, 0),
    "gru, reset before": (Cell.GRU_RESET_BEFORE, 30, 0),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def network(name: str) -> tuple[Layer, Real, np.ndarray]:
    """With inputs of eight sequences."""
    cell, input_zero, output_zero = NETWORKS[name]
    rng = np.random.default_rng(7)
    layer, real = quantised(rng, cell, 16, 32, input_zero, output_zero)
    return layer, real, rng.integers(-128, 128, (60, 8, 16))


def rounding(scale: Scale) -> float:
    """How far a result may be off, in units of its own: half of one twice, once before a shift."""
    return 0.5 + (2.0 ** (scale.shift - 1) if scale.shift < 0 else 0) + 1e-4


@every_network
def test_every_stage_is_within_its_roundings(name: str) -> None:
    """Each stage from the integers before it, by real arithmetic, with the bound that follows."""
    layer, real, inputs = network(name)
    cell, steps = layer.cell, run_layer(layer, inputs)
    compared = 0

    def close(got: np.ndarray, expected: np.ndarray, bound: np.ndarray | float) -> None:
        nonlocal compared
        assert got.shape == expected.shape == (60, 8, 32)
        assert (np.abs(got - expected) <= bound).all()
        compared += got.size

    x, outputs = real.of_inputs(inputs), real.of_outputs(steps.outputs)
    h = np.concatenate([np.zeros((1, 8, 32)), outputs[:-1]])
    gates = {gate: values / 2**15 for gate, values in steps.gates.items()}
    for gate in cell.gates:
        given_ = layer.gates[gate]
        bound: np.ndarray | float = rounding(given_.input_scale) + rounding(given_.state_scale)
        term = real.state_term(gate, h)
        if gate == "new":
            term = real.reset(gates["reset"], h)
            product = rounding(layer.products["reset"])
            bound = bound + product  # of the state part, which is multiplied by 1 at most
            if cell is Cell.GRU_RESET_BEFORE:  # of what the state weights multiply
                weights = np.abs(real.state_weights["new"]).sum(axis=1) * 4096 / 128
                bound = bound - product + product * weights
        close(steps.pre[gate], 4096 * (real.input_term(gate, x) + term), bound)
        assert np.abs(steps.pre[gate]).max() < 32767  # nothing saturates
        function = cell.function(gate)
        through = (np.tanh if function is Function.TANH else sigmoid)(steps.pre[gate] / 4096)
        close(steps.gates[gate], through * 2**15, ERRORS[function, 0])
    if steps.cells is not None:
        cells = steps.cells * CELL_UNIT
        before = np.concatenate([np.zeros((1, 8, 32)), cells[:-1]])
        expected = gates["forget"] * before + gates["input"] * gates["update"]
        products = rounding(layer.products["forget"]) + rounding(layer.products["input"])
        close(steps.cells, expected / CELL_UNIT, products)
        error = ERRORS[Function.TANH, layer.cell_shift] / 2**15 / real.output_unit
        expected = gates["output"] * np.tanh(cells) / real.output_unit + real.output_zero
        close(steps.outputs, expected, rounding(layer.products["output"]) + error)
    else:
        z, n = gates["update"], gates["new"]
        close(steps.outputs, np.minimum(((1 - z) * n + z * h) * 128, 127), 0.5)
    assert compared == (10 if steps.cells is not None else 7) * 60 * 8 * 32


#: Largest difference of an output from that of real numbers, in units of its last place: measured.
DRIFT = {
    "lstm": 0.95,
    "asymmetric lstm": 1.22,
    "gru, reset after": 1.87,
    "gru, reset before": 1.53,
}


@every_network
def test_outputs_stay_with_real_numbers(name: str) -> None:
    """What the integers stand for, against float64 that goes its own way from the first step on."""
    layer, real, inputs = network(name)
    outputs = real.of_outputs(run_layer(layer, inputs).outputs)
    expected = real.run(real.of_inputs(inputs))
    error = np.abs(outputs - expected) / real.output_unit
    assert error.size == 60 * 8 * 32
    assert outputs.std() > 0.2  # so a unit is at most a twentieth of what outputs differ by
    assert DRIFT[name] - 0.05 < error.max() <= DRIFT[name]


# What is refused.


def gate_of(**changes: Any) -> Gate:
    given_ = {
        "input_weights": np.ones((3, 2), dtype=int),
        "state_weights": np.ones((3, 3), dtype=int),
        "input_bias": np.zeros(3, dtype=int),
        "state_bias": np.zeros(3, dtype=int),
        "input_scale": ONE,
        "state_scale": ONE,
    }
    return Gate(**{**given_, **changes})


def layer_of(cell: Cell = Cell.LSTM, **changes: Any) -> Layer:
    given_ = {
        "gates": {name: gate_of() for name in cell.gates},
        "products": dict.fromkeys(cell.products, OF_GATE),
    }
    return Layer(cell, **{**given_, **changes})


TOO_MANY = [(1 << 31) - 2 * 128, 0, 0]
NOT_A_SHAPE = np.ones((2, 2), dtype=int)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Scale(-1, 0), "multiplier is -1"),
        (lambda: Scale(1 << 31, 0), "multiplier is 2147483648"),
        (lambda: Scale(1, -32), "shift is -32"),
        (lambda: Scale(1, 31), "shift is 31"),
        (lambda: requantise([1 << 31], Scale(1, -1)), "to be requantised"),
        (lambda: requantise([1 << 60], Scale(1, 30)), "to be requantised"),
        (lambda: requantise([-(1 << 30) - 1], Scale(1, 1)), "behind the left shift"),
        (lambda: activate([1 << 15], Function.TANH), "allowed is int16"),
        (lambda: activate([-(1 << 15) - 1], Function.TANH), "allowed is int16"),
        (lambda: activate([0], Function.TANH, 4), "shift is 4"),
        (lambda: activate([0], Function.TANH, -16), "shift is -16"),
        (lambda: gate_of(input_weights=np.ones(3, dtype=int)), r"shape \(3,\)"),
        (lambda: gate_of(input_weights=np.ones((3, 0), dtype=int)), r"shape \(3, 0\)"),
        (lambda: gate_of(input_weights=np.full((3, 2), 128)), "int8"),
        (lambda: gate_of(input_weights=np.full((3, 2), -129)), "int8"),
        (lambda: gate_of(input_weights=np.ones((3, 2))), "float64, not of integers"),
        (lambda: gate_of(state_weights=NOT_A_SHAPE), r"state_weights has the shape \(2, 2\)"),
        (lambda: gate_of(input_bias=[0, 0]), r"input_bias has the shape \(2,\)"),
        (lambda: gate_of(input_bias=[0, 0, 1 << 31]), "int32"),
        (lambda: gate_of(input_bias=TOO_MANY), "input sums may reach 2147483648"),
        (lambda: gate_of(state_bias=[-(1 << 31), 0, 0]), "state sums may reach 2147484032"),
        (lambda: layer_of(gates={"forget": gate_of()}), "gates of lstm are"),
        (lambda: layer_of(products={}), "products of lstm are"),
        (lambda: layer_of(Cell.GRU_RESET_AFTER, products={}), "products of gru-reset-after are"),
        (lambda: layer_of(cell_clip=0), "cell_clip is 0"),
        (lambda: layer_of(cell_clip=1 << 15), "cell_clip is 32768"),
        (lambda: layer_of(cell_shift=4), "cell_shift is 4"),
        (lambda: layer_of(cell_shift=-16), "cell_shift is -16"),
        (lambda: layer_of(output_offset=128), "output_offset is 128"),
        (lambda: layer_of(Cell.GRU_RESET_AFTER, output_offset=1), "a GRU has none"),
        (lambda: layer_of(Cell.GRU_RESET_BEFORE, cell_clip=5), "a GRU has none"),
        (
            lambda: layer_of(
                gates={
                    **layer_of().gates,
                    "input": gate_of(input_weights=np.ones((3, 4), dtype=int)),
                }
            ),
            "different units and inputs",
        ),
        (lambda: run_layer(layer_of(), [1, 2]), r"inputs has the shape \(2,\)"),
        (lambda: run_layer(layer_of(), [[1, 2, 3]]), r"inputs has the shape \(1, 3\)"),
        (lambda: run_layer(layer_of(), [[1, 128]]), "int8"),
        (lambda: run_layer(layer_of(), [[1.0, 2.0]]), "not of integers"),
        (lambda: run_layers([layer_of(), layer_of()], [[1, 2]]), r"inputs has the shape \(1, 3\)"),
    ],
)
def test_what_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_what_is_just_allowed() -> None:
    gate = gate_of(input_bias=[TOO_MANY[0] - 1, 0, 1 - (1 << 31) + 2 * 128])
    assert (gate.hidden_size, gate.input_size) == (3, 2)
    layer = layer_of(gates=dict.fromkeys(Cell.LSTM.gates, gate))
    assert (layer.hidden_size, layer.input_size) == (3, 2)
    with pytest.raises(ValueError, match="behind the left shift"):
        run_layer(layer, [[0, 0]])  # which its scale has
    layer_of(cell_clip=1, cell_shift=3, output_offset=-128)
    layer_of(cell_clip=32767, cell_shift=-15, output_offset=127)


def test_weights_are_kept_as_they_were() -> None:
    weights = np.ones((3, 2), dtype=np.int8)
    gate = gate_of(input_weights=weights)
    weights[0, 0] = 9
    assert gate.input_weights.tolist() == np.ones((3, 2)).tolist()
    assert gate.input_weights.dtype == np.int8 and gate.state_bias.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        gate.input_weights[0, 0] = 9
