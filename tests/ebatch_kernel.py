"""Makes ebatch_kernel.npz: small int8 LSTMs, and what a kernel that is not ours gives for them.

    python -m pip install tflite-micro
    python tests/ebatch_kernel.py

The kernel is UNIDIRECTIONAL_SEQUENCE_LSTM of TensorFlow Lite for microcontrollers, the portable
one, as its Python package runs it. tflite-micro 0.dev20261023182759 made the file in the
repository; the file says so itself. The same package and the same NumPy make the same arrays.

Nothing of this project is imported. The file holds what a model file of TensorFlow Lite holds, so
the settings of a golden layer are derived by the test, not here:

- made_by: package and version.
- networks: a record per network of the scales and zero points (``RECORD``).
- by the number of the network, for X inputs, H units and N sequences of T steps:
  weights int8 [4, H, X], state_weights int8 [4, H, H], bias int32 [4, H] in units of
  input_scale × weight_scale, inputs int8 [T, N, X], cells int16 and outputs int8 [T, N, H].
  Gates as in ``GATES``.

Before the kernel adds the two parts of a gate it saturates both to int16, CMSIS-NN and the golden
model only the input part. Scales of state weights are so small that state parts cannot saturate;
input parts and sums do. Without a clip the kernel lets a cell be -32768, the golden model -32767;
the network that has none stays away from it.
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray
from tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

FILE = Path(__file__).with_suffix(".npz")
PACKAGE = "tflite-micro"
#: As the kernel orders them; its "cell gate" is called update here.
GATES = ("input", "forget", "update", "output")
#: A cell_clip of 0 is none. cell_scale is a power of two, the zero point of the cell is 0.
RECORD = np.dtype(
    [
        ("input_scale", np.float32),
        ("input_zero", np.int32),
        ("output_scale", np.float32),
        ("output_zero", np.int32),
        ("cell_scale", np.float32),
        ("cell_clip", np.float32),
        ("weight_scale", np.float32, (len(GATES),)),
        ("state_weight_scale", np.float32, (len(GATES),)),
    ]
)
#: What goes into a gate, in units of 2**-12: a state part is below this, so below 2**15 - 1.
STATE_LIMIT, GATE_UNIT = 32000, 2.0**-12
ARENA_BYTES = 1 << 18


@dataclass(frozen=True)
class Shape:
    """One network. loudness: about the standard deviation of its pre-activations (8: they clip)."""

    inputs: int
    units: int
    sequences: int
    steps: int
    input_zero: int
    output_zero: int
    cell_power: int
    cell_clip: float
    loudness: float


SHAPES = (
    Shape(1, 1, 3, 40, 0, 0, -12, 10.0, 1.0),
    Shape(1, 20, 2, 30, -128, 5, -11, 10.0, 2.0),
    Shape(20, 1, 3, 40, 127, -31, -12, 1.5, 1.0),
    Shape(3, 5, 3, 40, -3, 0, -10, 4.0, 4.0),
    Shape(8, 8, 3, 40, 17, -128, -11, 0.0, 2.0),
    Shape(20, 20, 1, 40, -40, 12, -13, 1.0, 3.0),
    Shape(13, 7, 2, 40, 60, -60, -9, 10.0, 12.0),
    Shape(16, 16, 2, 20, 1, 127, -12, 2.5, 1.5),
    Shape(5, 17, 1, 40, -1, -1, -14, 0.7, 2.0),
    Shape(19, 11, 2, 33, 100, 44, -11, 6.0, 6.0),
    Shape(2, 9, 3, 40, -77, 0, -15, 0.25, 1.0),
    Shape(10, 4, 3, 1, 5, 90, -12, 0.1, 8.0),
)


@dataclass(frozen=True)
class Network:
    """Numbers of a network and of its sequences, as in the file."""

    record: np.void
    weights: NDArray[np.int8]
    state_weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    inputs: NDArray[np.int8]


def network(rng: np.random.Generator, shape: Shape) -> Network:
    """Random numbers for ``shape``; inputs often stay for a few steps, so that cells grow."""
    gates = len(GATES)
    weights = rng.integers(-127, 128, (gates, shape.units, shape.inputs))
    state_weights = rng.integers(-127, 128, (gates, shape.units, shape.units))
    record = np.zeros((), RECORD)
    record["input_scale"] = rng.uniform(1 / 128, 1 / 32)
    record["input_zero"] = shape.input_zero
    record["output_scale"] = rng.uniform(1 / 127, 1 / 64)
    record["output_zero"] = shape.output_zero
    record["cell_scale"] = 2.0**shape.cell_power
    record["cell_clip"] = shape.cell_clip
    spread = record["input_scale"] * 75 * 75 * np.sqrt(shape.inputs)
    record["weight_scale"] = shape.loudness * rng.uniform(0.6, 1.7, gates) / spread
    largest = np.abs(state_weights).sum(axis=2).max(axis=1) * (128 + abs(shape.output_zero))
    limit = STATE_LIMIT * GATE_UNIT / (largest * record["output_scale"])
    record["state_weight_scale"] = limit * rng.uniform(0.2, 1, gates)
    unit = record["input_scale"] * record["weight_scale"]
    bias = np.rint(rng.normal(0, 1, (gates, shape.units)) / unit[:, np.newaxis])
    inputs = rng.integers(-128, 128, (shape.steps, shape.sequences, shape.inputs))
    for step in range(1, shape.steps):
        stay = rng.random(shape.sequences) < 0.6
        inputs[step, stay] = inputs[step - 1, stay]
    return Network(
        record[()],
        weights.astype(np.int8),
        state_weights.astype(np.int8),
        bias.astype(np.int32),
        inputs.astype(np.int8),
    )


class Model:
    """The network as a model file of one operator, built up tensor by tensor."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]  # the first one is empty by convention
        self.graph = schema.SubGraphT()
        self.graph.tensors = []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: tuple[int, ...],
        kind: type[np.generic],
        scale: float,
        zero: int = 0,
        data: NDArray[Any] | None = None,
        variable: bool = False,
    ) -> int:
        """Its number. With ``data`` it is a constant; variable: it lives from step to step."""
        tensor = schema.TensorT()
        tensor.shape, tensor.isVariable, tensor.buffer = list(shape), variable, 0
        tensor.type = getattr(schema.TensorType, np.dtype(kind).name.upper())
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [float(scale)], [int(zero)]
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = list(data.astype(kind).tobytes())
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def finish(self, inputs: list[int], output: int, cell: int, clip: float) -> bytes:
        """The file: an LSTM, the first of its ``inputs`` set from outside, output and cell seen."""
        code = schema.OperatorCodeT()
        code.builtinCode = schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 3
        self.model.operatorCodes = [code]
        options = schema.UnidirectionalSequenceLSTMOptionsT()
        options.fusedActivationFunction = schema.ActivationFunctionType.TANH
        options.cellClip, options.projClip, options.timeMajor = float(clip), 0.0, True
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, inputs, [output]
        operator.builtinOptionsType = schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions
        operator.builtinOptions = options
        self.graph.operators = [operator]
        self.graph.inputs, self.graph.outputs = inputs[:1], [output, cell]
        builder = flatbuffers.Builder()
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def model_file(network: Network, steps: int) -> bytes:
    """The network, run for so many steps at a time."""
    record, model = network.record, Model()
    _, sequences, inputs = network.inputs.shape
    units = network.bias.shape[1]
    of_input = record["input_scale"], record["input_zero"]
    of_output = record["output_scale"], record["output_zero"]
    first = model.tensor((steps, sequences, inputs), np.int8, *of_input)
    weights, state_weights, biases = (
        [
            model.tensor(values.shape, kind, scale, data=values)
            for values, scale in zip(arrays, scales, strict=True)
        ]
        for arrays, kind, scales in (
            (network.weights, np.int8, record["weight_scale"]),
            (network.state_weights, np.int8, record["state_weight_scale"]),
            (network.bias, np.int32, record["input_scale"] * record["weight_scale"]),
        )
    )
    hidden = model.tensor((sequences, units), np.int8, *of_output, variable=True)
    cell = model.tensor((sequences, units), np.int16, record["cell_scale"], variable=True)
    output = model.tensor((steps, sequences, units), np.int8, *of_output)
    peephole, projection, normalisation = [-1] * 3, [-1] * 2, [-1] * 4
    inputs = [first, *weights, *state_weights, *peephole, *biases, *projection]
    inputs += [hidden, cell, *normalisation]
    return model.finish(inputs, output, cell, record["cell_clip"])


def run(network: Network, steps: int) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """What the kernel gives, so many steps at a time; all sequences from the zero state.

    Outputs of all steps, int8 [T, N, H]; cells behind each time, int16 [T / steps, N, H].
    """
    file = model_file(network, steps)
    interpreter = runtime.Interpreter.from_bytes(file, arena_size=ARENA_BYTES)
    outputs, cells = [], []
    for begin in range(0, len(network.inputs), steps):
        interpreter.set_input(network.inputs[begin : begin + steps], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
        cells.append(interpreter.get_output(1).copy())
    return np.concatenate(outputs), np.stack(cells)


def main() -> None:
    rng = np.random.default_rng(5)
    networks = [network(rng, shape) for shape in SHAPES]
    arrays: dict[str, NDArray[Any]] = {
        "made_by": np.array(f"{PACKAGE} {version(PACKAGE)}"),
        "networks": np.array([each.record for each in networks], RECORD),
    }
    for number, each in enumerate(networks):
        for name in ("weights", "state_weights", "bias", "inputs"):
            arrays[f"{name}_{number}"] = getattr(each, name)
        # In one go, as the kernel is meant to be used; and in steps, so that all cells are seen.
        outputs, last = run(each, len(each.inputs))
        stepped, cells = run(each, 1)
        if (outputs != stepped).any() or (last[-1] != cells[-1]).any():
            raise RuntimeError(f"network {number}: steps one by one give something else")
        arrays[f"outputs_{number}"], arrays[f"cells_{number}"] = outputs, cells
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main()
