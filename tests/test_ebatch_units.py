"""The arithmetic units of the E-BATCH engine, each result of each, and the cycle it comes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from ebatch_circuits import (
    ACCUMULATOR,
    ALL_LANES,
    GATE_LANES,
    Rows,
    circuit,
    equal,
    fields,
    functions,
    masked,
    pack,
    play,
)

from golden import ebatch, ebatch_activation
from golden.ebatch import Gate, Layer, Steps, run_layer
from golden.ebatch_requantise import (
    Scale,
    requantise,
    requantise_each,
    rounding_shift_right,
    saturate,
)
from golden.integers import Integers
from hdl.ebatch import cell_unit, gate_unit, gru_cell_unit, sigmoid_table
from hdl.ebatch.activation import Function
from hdl.ebatch.parameters import MIN_PART, Cell

LAYERS = 260
STEPS, UNITS, INPUTS = 8, 2, 4
#: Sets of numbers that no layer has, of as many steps.
SETS = 60
INT32 = 1 << 31

# Functions.


def corners(bits: int) -> Integers:
    """Ends of a signed range, zero, and powers of two, with their neighbours."""
    near = [
        sign * (1 << bit) + step for bit in range(bits) for sign in (-1, 1) for step in (-1, 0, 1)
    ]
    found = np.unique([0, *near])
    return found[(found >= -(1 << bits - 1)) & (found < 1 << bits - 1)]


def test_requantisation() -> None:
    """Values and multipliers of all sizes, ties among them, with every shift."""
    rng = np.random.default_rng(1)
    multipliers = np.unique([0, *(c for c in corners(32) if c >= 0), 0x55555555])
    value, multiplier, shift = (
        grid.ravel() for grid in np.meshgrid(corners(32), multipliers, np.arange(-31, 31))
    )
    count = 1_000_000
    sizes = rng.integers(-INT32, INT32, count) >> rng.integers(0, 32, count)
    # Of a power of two the product is just shifted: so many results are halves.
    powers = 1 << rng.integers(0, 31, count)
    factors = np.where(rng.random(count) < 0.3, powers, rng.integers(0, INT32, count))
    value = np.concatenate([value, sizes])
    multiplier = np.concatenate([multiplier, factors])
    shift = np.concatenate([shift, rng.integers(-31, 31, count)])
    fits = np.abs((value << np.maximum(shift, 0)) + 0.5) < INT32
    value, multiplier, shift = value[fits], multiplier[fits], shift[fits]
    assert value.size > 1_000_000
    assert set(shift) == set(range(-31, 31))
    passed = rng.integers(0, 256, value.size)
    got = functions()(
        value=masked(value, 32),
        multiplier=multiplier,
        shift=masked(shift, 6),
        passed=passed,
        x=0,
        x_shift=0,
        is_tanh=0,
    )
    want = requantise_each(value, multiplier, shift)
    equal(got["requantised"].astype(np.int32), want, value, multiplier, shift)
    equal(got["passed_on"], passed)


@pytest.mark.parametrize("function", [Function.SIGMOID, Function.TANH], ids=lambda each: each.name)
def test_all_activations(function: Function) -> None:
    """Every input, with every shift."""
    x = np.arange(-(1 << 15), 1 << 15)
    shifts = np.arange(-15, 4)[:, None]
    golden = ebatch_activation.Function(function.name.lower())
    want = np.stack([ebatch_activation.activate(x, golden, int(shift)) for (shift,) in shifts])
    got = functions()(
        x=masked(x, 16),
        x_shift=masked(shifts, 6),
        is_tanh=int(function == Function.TANH),
        value=0,
        multiplier=0,
        shift=0,
        passed=0,
    )
    assert want.size == 19 << 16
    equal(got["activated"].astype(np.int16), want, *np.broadcast_arrays(x, shifts))


def test_the_table() -> None:
    assert tuple(ebatch_activation.SIGMOID_TABLE.tolist()) == sigmoid_table.SIGMOID


# Units.


def test_latencies() -> None:
    """What the engine counts on; what one gate leaves is there when the next one comes."""
    assert gate_unit.LATENCY == 8
    assert cell_unit.CARRY_LATENCY == cell_unit.OUTPUT_LATENCY == 7
    assert gru_cell_unit.OUTPUT_LATENCY == 3
    assert gru_cell_unit.RESET_LATENCY == 6
    assert cell_unit.TANH_RANKS + 1 <= 2 * MIN_PART - 1


# Layers.


@dataclass(frozen=True)
class Trace:
    """What happens in a layer, [STEPS, ALL_LANES, …], in lanes that carry sequences end to end.

    is_first: where a sequence begins; steps: as ``run_layer`` found them. Before the first one
    there is something that must not count.
    """

    layer: Layer
    inputs: Integers
    is_first: Integers
    steps: Steps
    outputs_before: Integers
    cells_before: Integers

    @property
    def outputs_that_count(self) -> Integers:
        return np.where(self.is_first[..., None], 0, self.outputs_before)


def random_trace(rng: np.random.Generator, cell: ebatch.Cell) -> Trace:
    layer = random_layer(rng, cell)
    inputs = random_bytes(rng, (STEPS, ALL_LANES, INPUTS))
    is_first = rng.random((STEPS, ALL_LANES)) < 0.4
    is_first[0] = True
    # Of each step, which sequence it is of, and which step of it.
    sequence = np.cumsum(is_first, axis=0) - 1
    sequence += np.concatenate([[0], np.cumsum(sequence[-1] + 1)[:-1]])
    number = np.arange(STEPS)[:, None]
    step = number - np.maximum.accumulate(np.where(is_first, number, 0), axis=0)
    sequences = np.zeros((STEPS, sequence.max() + 1, INPUTS), dtype=np.int64)
    sequences[step, sequence] = inputs
    found = run_layer(layer, sequences)
    steps = Steps(
        {name: each[step, sequence].astype(np.int64) for name, each in found.pre.items()},
        {name: each[step, sequence].astype(np.int64) for name, each in found.gates.items()},
        None if found.cells is None else found.cells[step, sequence].astype(np.int64),
        found.outputs[step, sequence].astype(np.int64),
    )
    size = (1, ALL_LANES, UNITS)
    before = random_bytes(rng, size)
    cells = rng.integers(-(1 << 15), 1 << 15, size)
    return Trace(
        layer,
        inputs,
        is_first,
        steps,
        np.concatenate([before, steps.outputs[:-1]]),
        np.concatenate([cells, steps.outputs[1:] if steps.cells is None else steps.cells[:-1]]),
    )


def random_bytes(rng: np.random.Generator, shape: tuple[int, ...]) -> Integers:
    """int8, or else just the ends of its range."""
    if rng.random() < 0.2:
        return rng.choice([-128, 127], shape)
    return rng.integers(-128, 128, shape)


def random_layer(rng: np.random.Generator, cell: ebatch.Cell) -> Layer:
    gates = {}
    for name in cell.gates:
        parts = []
        for columns in (INPUTS, UNITS):
            weights = random_bytes(rng, (UNITS, columns))
            bias = rng.integers(-(1 << 20), 1 << 20, UNITS) >> rng.integers(0, 20)
            largest = int((np.abs(bias) + 128 * np.abs(weights).sum(axis=1)).max())
            parts.append((weights, bias, random_scale(rng, largest, rng.integers(12, 19))))
        (w, bw, of_w), (u, bu, of_u) = parts
        gates[name] = Gate(w, u, bw, bu, of_w, of_u)
    if cell is not ebatch.Cell.LSTM:
        largest, reach = (1 << 22, 7) if cell is ebatch.Cell.GRU_RESET_BEFORE else (1 << 30, 15)
        return Layer(cell, gates, {"reset": random_scale(rng, largest, reach + random_reach(rng))})
    reaches = {"forget": 15, "input": 15, "output": 7}
    return Layer(
        cell,
        gates,
        {
            name: random_scale(rng, 1 << 30, reach + random_reach(rng))
            for name, reach in reaches.items()
        },
        cell_clip=int(rng.choice([1, 32767, 32767, rng.integers(1, 32768)])),
        cell_shift=int(rng.choice([-15, 3, 0, rng.integers(-6, 4)])),
        output_offset=int(rng.choice([0, -128, 127, rng.integers(-128, 128)])),
    )


def random_reach(rng: np.random.Generator) -> int:
    return int(rng.choice([0, 0, 1, -1, rng.integers(-8, 9)]))


def random_scale(rng: np.random.Generator, largest: int, reach: int) -> Scale:
    """One that makes about 2**reach of the ``largest`` value, which fits behind the left shift."""
    room = 31 - largest.bit_length()
    shift = int(reach) - largest.bit_length() + 1
    spare = max(0, shift - room)
    if rng.random() < 0.3:
        spare = max(spare, int(rng.integers(0, 8)))  # the same with a smaller multiplier
        shift = min(room, shift + spare)
    shift = min(room, shift)
    return Scale(int(rng.integers(1 << 30, INT32)) >> spare, max(-31, shift))


def random_traces(cell: Cell) -> list[Trace]:
    rng = np.random.default_rng([2, len(cell)])
    return [random_trace(rng, ebatch.Cell(cell)) for _ in range(LAYERS)]


traces = cache(random_traces)


def order(cell: Cell) -> tuple[list[str], list[int]]:
    """Gates and units of a step, as they follow each other."""
    places = [(gate, unit) for phase in cell.phases for unit in range(UNITS) for gate in phase]
    return [gate for gate, _ in places], [unit for _, unit in places]


def by_gate(cell: Cell, arrays: Mapping[str, Integers]) -> Integers:
    """[STEPS, places, ALL_LANES] of an array [STEPS, ALL_LANES, UNITS] for each gate."""
    gates, of_units = order(cell)
    found = [arrays[gate][:, :, unit] for gate, unit in zip(gates, of_units, strict=True)]
    return np.stack(found, axis=1)


def flat(array: Integers, shape: tuple[int, ...]) -> Integers:
    return np.broadcast_to(array, shape).reshape(-1, shape[-1])


FUNCTIONS = {
    ebatch_activation.Function.SIGMOID: Function.SIGMOID,
    ebatch_activation.Function.TANH: Function.TANH,
}


def function(cell: Cell, gate: str) -> Function:
    if cell is Cell.GRU_RESET_AFTER and gate == "new":
        return Function.NONE
    return FUNCTIONS[ebatch.Cell(cell).function(gate)]


def gate_values(cell: Cell, trace: Trace) -> tuple[dict[str, Integers], dict[str, Integers]]:
    """What comes out of the gate unit: ``value`` and ``pre`` of each gate."""
    value, pre = dict(trace.steps.gates), dict(trace.steps.pre)
    if cell is Cell.GRU_RESET_AFTER:
        new = trace.layer.gates["new"]
        of_input = trace.inputs @ new.input_weights.T.astype(np.int64) + new.input_bias
        of_state = trace.outputs_that_count @ new.state_weights.T.astype(np.int64) + new.state_bias
        value["new"] = saturate(requantise(of_state, new.state_scale), 16)
        pre["new"] = saturate(requantise(of_input, new.input_scale), 16)
    return value, pre


def reset_states(trace: Trace) -> Integers:
    product = trace.steps.gates["reset"] * trace.outputs_that_count
    return saturate(requantise(product, trace.layer.products["reset"]), 8)


def gate_rows(cell: Cell, trace: Trace) -> Rows:
    gates, of_units = order(cell)
    layer = trace.layer
    states = dict.fromkeys(cell.gates, trace.outputs_before)
    if cell is Cell.GRU_RESET_BEFORE:
        count = ~trace.is_first[..., None]
        states["new"] = np.where(count, reset_states(trace), trace.outputs_before)
    sums = [
        by_gate(cell, {name: parts[name] @ weights(layer.gates[name]).T for name in cell.gates})
        for parts, weights in (
            (dict.fromkeys(cell.gates, trace.inputs), lambda each: each.input_weights.astype(int)),
            (states, lambda each: each.state_weights.astype(int)),
        )
    ]
    shape = (STEPS, len(gates), 2, ALL_LANES)
    is_state = np.array([0, 1])[:, None]

    def of_parts(name: str) -> Integers:
        return [
            [getattr(layer.gates[gate], f"{part}_{name}") for part in ("input", "state")]
            for gate in gates
        ]

    scales = of_parts("scale")
    biases = [
        [int(bias[unit]) for bias in pair]
        for pair, unit in zip(of_parts("bias"), of_units, strict=True)
    ]
    columns = {
        "accumulator": np.stack(sums, axis=2),
        "bias": np.array(biases)[..., None],
        "multiplier": np.array([[each.multiplier for each in pair] for pair in scales])[..., None],
        "shift": np.array([[each.shift for each in pair] for pair in scales])[..., None],
        "is_state": is_state,
        "gate_function": np.array([function(cell, gate) for gate in gates])[:, None, None],
        "is_first": trace.is_first[:, None, None, :],
    }
    value, pre = (by_gate(cell, each)[:, :, None, :] for each in gate_values(cell, trace))
    return Rows(
        {name: flat(column, shape) for name, column in columns.items()},
        {
            "gate": (
                flat(is_state, shape) == 1,
                {"value": flat(value, shape), "pre": flat(pre, shape)},
            )
        },
        {},
    )


def cell_rows(cell: Cell, trace: Trace) -> Rows:
    gates, _ = order(cell)
    layer = trace.layer
    shape = (STEPS, len(gates), ALL_LANES)
    value, pre = (by_gate(cell, each) for each in gate_values(cell, trace))
    before = trace.cells_before if cell is Cell.LSTM else trace.outputs_before
    # The product that each gate completes, by its golden name.
    names = {
        Cell.LSTM: {"forget": "forget", "update": "input", "output": "output"},
        Cell.GRU_RESET_BEFORE: {"reset": "reset"},
        Cell.GRU_RESET_AFTER: {"new": "reset"},
    }[cell]
    scales = [layer.products[names[gate]] if gate in names else Scale(12345, 3) for gate in gates]
    columns = {
        "gate": np.array([cell.gates.index(gate) for gate in gates])[:, None],
        "value": value,
        "pre": pre,
        "is_first": trace.is_first[:, None, :],
        "carry": by_gate(cell, dict.fromkeys(cell.gates, before)),
        "multiplier": np.array([each.multiplier for each in scales])[:, None],
        "shift": np.array([each.shift for each in scales])[:, None],
    }

    def results(gate: str, port: str, wanted: Integers) -> tuple[Integers, dict[str, Integers]]:
        is_gate = np.array([each == gate for each in gates])[:, None]
        arrays = by_gate(cell, dict.fromkeys(cell.gates, wanted))
        return flat(is_gate, shape), {port: flat(arrays, shape)}

    outputs = trace.steps.outputs
    wanted = {"h": results(cell.gates[-1], "h", outputs)}
    if cell is Cell.LSTM:
        wanted["carry"] = results("update", "carry_out", trace.steps.cells)
    if cell is Cell.GRU_RESET_BEFORE:
        wanted["q"] = results("reset", "q", reset_states(trace))
    constants = {
        name: getattr(layer, name) for name in ("cell_clip", "cell_shift", "output_offset")
    }
    return Rows({name: flat(column, shape) for name, column in columns.items()}, wanted, constants)


GATE_LATENCIES = {"gate": gate_unit.LATENCY}
CELL_LATENCIES = {
    cell: {
        "h": gru_cell_unit.OUTPUT_LATENCY,
        "q": gru_cell_unit.RESET_LATENCY,
    }
    for cell in (Cell.GRU_RESET_AFTER, Cell.GRU_RESET_BEFORE)
} | {Cell.LSTM: {"h": cell_unit.OUTPUT_LATENCY, "carry": cell_unit.CARRY_LATENCY}}


@pytest.mark.parametrize("cell", Cell)
def test_gates_of_layers(cell: Cell) -> None:
    compared = play(
        cell, "gate", [gate_rows(cell, trace) for trace in traces(cell)], GATE_LATENCIES
    )
    assert compared == 2 * LAYERS * STEPS * UNITS * len(cell.gates) * sum(GATE_LANES[cell])


@pytest.mark.parametrize("cell", Cell)
def test_cells_of_layers(cell: Cell) -> None:
    rows = [cell_rows(cell, trace) for trace in traces(cell)]
    compared = play(cell, "cell", rows, CELL_LATENCIES[cell])
    each = LAYERS * STEPS * UNITS * ALL_LANES
    assert compared == each * (1 if cell is Cell.GRU_RESET_AFTER else 2)


# Numbers at the ends of their ranges.


def near_corners(rng: np.random.Generator, bits: int, shape: tuple[int, ...]) -> Integers:
    """Signed numbers: corners, numbers of all sizes, and ends of the range."""
    sizes = rng.integers(-(1 << bits - 1), 1 << bits - 1, shape) >> rng.integers(0, bits, shape)
    ends = rng.choice([-(1 << bits - 1), (1 << bits - 1) - 1], shape)
    kind = rng.random(shape)
    return np.where(kind < 0.4, rng.choice(corners(bits), shape), np.where(kind < 0.7, sizes, ends))


def scales_for(rng: np.random.Generator, largest: Integers) -> tuple[Integers, Integers]:
    """Multipliers and shifts: any, but such that ``largest`` fits behind the left shift."""
    room = 31 - np.ceil(np.log2(np.abs(largest) + 1.0)).astype(np.int64)
    any_shift, ordinary = (rng.integers(*ends, largest.shape) for ends in ((-31, 31), (-16, 2)))
    shift = np.where(rng.random(largest.shape) < 0.6, ordinary, any_shift)
    shift = np.minimum(shift, room.clip(0))
    multiplier = rng.integers(0, INT32, largest.shape) >> rng.choice([0, 0, 0, 12], largest.shape)
    return np.where(rng.random(largest.shape) < 0.1, INT32 - 1, multiplier), shift


def activate_each(values: Integers, functions: Integers, shift: int = 0) -> Integers:
    """As ``functions`` say; NONE of them as it is."""
    found = [
        ebatch_activation.activate(values, each, shift).astype(np.int64)
        for each in (ebatch_activation.Function.SIGMOID, ebatch_activation.Function.TANH)
    ]
    return np.choose(functions, [*found, values])


def gate_corner_rows(rng: np.random.Generator, cell: Cell) -> Rows:
    shape = (STEPS, 4, 2, ALL_LANES)
    is_state = np.broadcast_to(np.array([0, 1])[:, None], shape)
    accumulator = near_corners(rng, ACCUMULATOR, shape)
    bias = near_corners(rng, 32, shape)
    bias = np.clip(bias, -INT32 - accumulator, INT32 - 1 - accumulator).clip(-INT32, INT32 - 1)
    is_first = rng.random(shape) < 0.3
    counts = np.where(is_first & (is_state == 1) & (cell is not Cell.LSTM), 0, accumulator)
    multiplier, shift = scales_for(rng, np.maximum(np.abs(counts + bias), np.abs(bias)))
    term = requantise_each(counts + bias, multiplier, shift)
    first, second = saturate(term[:, :, 0], 16), term[:, :, 1]
    if cell is Cell.LSTM:
        second = np.where(is_first[:, :, 1], 0, second)
    kinds = 3 if cell is Cell.GRU_RESET_AFTER else 2
    function = rng.integers(0, kinds, (*shape[:2], ALL_LANES))
    is_none = function == Function.NONE
    total = saturate(second + np.where(is_none, 0, first), 16)
    columns = {
        "accumulator": accumulator,
        "bias": bias,
        "multiplier": multiplier,
        "shift": shift,
        "is_state": is_state,
        "gate_function": function[:, :, None, :],
        "is_first": is_first,
    }
    wanted = {"value": activate_each(total, function), "pre": np.where(is_none, first, total)}
    return Rows(
        {name: flat(column, shape) for name, column in columns.items()},
        {
            "gate": (
                flat(is_state, shape) == 1,
                {port: flat(each[:, :, None, :], shape) for port, each in wanted.items()},
            )
        },
        {},
    )


def cell_corner_rows(rng: np.random.Generator, cell: Cell) -> Rows:
    """Of an LSTM any gates; of a GRU any that sigmoids may be."""
    size = (STEPS, ALL_LANES, UNITS)
    gates = {name: near_corners(rng, 16, size) for name in cell.gates}
    pre = near_corners(rng, 16, size)
    is_first = rng.random(size[:2]) < 0.3
    carry = near_corners(rng, 16 if cell is Cell.LSTM else 8, size)
    before = np.where(is_first[..., None], 0, carry)
    scales = {}

    def product(gate: str, first: Integers, second: Integers) -> Integers:
        scales[gate] = scales_for(rng, first * second)
        return requantise_each(first * second, *scales[gate])

    constants = {
        "cell_clip": int(rng.choice([1, 2, 255, 32766, 32767])),
        "cell_shift": int(rng.integers(-15, 4)),
        "output_offset": int(rng.choice([-128, -1, 0, 1, 127])),
    }
    if cell is Cell.LSTM:
        clip = constants["cell_clip"]
        kept = saturate(product("forget", gates["forget"], before), 16)
        state = np.clip(kept + product("update", gates["input"], gates["update"]), -clip, clip)
        tanh = activate_each(state, np.full(size, Function.TANH), constants["cell_shift"])
        output = product("output", gates["output"], tanh) + constants["output_offset"]
        found = {
            "carry": ("update", "carry_out", state),
            "h": ("output", "h", saturate(output, 8)),
        }
    else:
        for name in ("reset", "update"):
            gates[name] = np.abs(gates[name]).clip(0, (1 << 15) - 1)
        new = gates["new"]
        if cell is Cell.GRU_RESET_AFTER:
            total = saturate(pre + product("new", gates["reset"], new), 16)
            new = activate_each(total, np.full(size, Function.TANH))
            found = {}
        else:
            reset = saturate(product("reset", gates["reset"], before), 8)
            found = {"q": ("reset", "q", reset)}
        mixed = (new << 15) + gates["update"] * ((before << 8) - new)
        output = saturate(rounding_shift_right(mixed, 23), 8)
        found["h"] = (cell.gates[-1], "h", output)
    names, _ = order(cell)
    shape = (STEPS, len(names), ALL_LANES)
    spare = scales_for(rng, gates[names[0]])
    multiplier, shift = (
        by_gate(cell, {name: scales.get(name, spare)[part] for name in cell.gates})
        for part in (0, 1)
    )
    columns = {
        "gate": np.array([cell.gates.index(name) for name in names])[:, None],
        "value": by_gate(cell, gates),
        "pre": by_gate(cell, dict.fromkeys(cell.gates, pre)),
        "is_first": is_first[:, None, :],
        "carry": by_gate(cell, dict.fromkeys(cell.gates, carry)),
        "multiplier": multiplier,
        "shift": shift,
    }
    wanted = {}
    for stream, (gate, port, values) in found.items():
        is_gate = np.array([name == gate for name in names])[:, None]
        arrays = by_gate(cell, dict.fromkeys(cell.gates, values))
        wanted[stream] = flat(is_gate, shape), {port: flat(arrays, shape)}
    return Rows({name: flat(column, shape) for name, column in columns.items()}, wanted, constants)


@pytest.mark.parametrize("cell", Cell)
def test_gates_of_corners(cell: Cell) -> None:
    rng = np.random.default_rng([3, len(cell)])
    rows = [gate_corner_rows(rng, cell) for _ in range(SETS)]
    assert play(cell, "gate", rows, GATE_LATENCIES) == 2 * SETS * STEPS * 4 * sum(GATE_LANES[cell])


@pytest.mark.parametrize("cell", Cell)
def test_cells_of_corners(cell: Cell) -> None:
    rng = np.random.default_rng([4, len(cell)])
    rows = [cell_corner_rows(rng, cell) for _ in range(SETS)]
    streams = 1 if cell is Cell.GRU_RESET_AFTER else 2
    compared = play(cell, "cell", rows, CELL_LATENCIES[cell])
    assert compared == streams * SETS * STEPS * UNITS * ALL_LANES


def test_layers_reach_what_they_should() -> None:
    """Or else the comparisons above say little."""
    for cell in Cell:
        found = traces(cell)
        pre = np.concatenate(
            [each.steps.pre[gate].ravel() for each in found for gate in cell.gates]
        )
        outputs = np.concatenate([each.steps.outputs.ravel() for each in found])
        for values, bits in ((pre, 16), (outputs, 8)):
            limit = 1 << bits - 1
            for end in (-limit, limit - 1):
                assert 0.005 < (values == end).mean() < 0.3, (cell, bits, end)
        assert len(np.unique(outputs)) == 256
        if cell is Cell.LSTM:
            cells = np.concatenate([each.steps.cells.ravel() for each in found])
            assert len(np.unique(cells)) > 1000


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_reset_drops_what_is_inside(is_reset: bool) -> None:
    found, rng = circuit(), np.random.default_rng(5)
    found.runner.reset()
    sources = {}
    for name, layout in found.inputs.items():
        columns = {each: rng.integers(0, 1 << bits, 2) for each, bits in fields(layout).items()}
        last = 2 if name.startswith("gru") else 3
        columns |= {"valid": np.ones(2, int)}
        columns |= {"is_state": np.ones(2, int)} if "gate" in name.split("_") else {}
        columns |= {"gate": np.full(2, last)} if "gate" in columns else {}
        sources[name] = pack(layout, columns)
    expected = {
        f"{name}_{stream}": 2 * (not is_reset and stream in ("gate", "h"))
        for name, streams in found.results.items()
        for stream in streams
    }
    found.runner.run(sources, {})
    if is_reset:
        found.runner.reset(1)
    run = found.runner.run({}, expected, until_idle=True)
    assert sum(map(len, run.received.values())) == sum(expected.values())
