"""What an E-BATCH engine is made of: its sizes, and the order in which it computes a step."""

from dataclasses import dataclass
from enum import StrEnum

BYTE = 8
ACCUMULATOR_LIMIT = 1 << 31

#: Cycles a part lasts at least, so that what one gate leaves for the next one is there in time.
MIN_PART = 8


class Cell(StrEnum):
    """What a unit of a layer computes. The two GRUs differ in where the reset gate acts."""

    LSTM = "lstm"
    GRU_RESET_BEFORE = "gru-reset-before"
    GRU_RESET_AFTER = "gru-reset-after"

    @property
    def phases(self) -> tuple[tuple[str, ...], ...]:
        """The gates of one unit, in the order they are computed.

        A phase goes through all units before the next phase begins, which may need all results.
        """
        match self:
            case Cell.LSTM:
                return (("forget", "input", "update", "output"),)
            case Cell.GRU_RESET_AFTER:
                return (("reset", "new", "update"),)
            case Cell.GRU_RESET_BEFORE:
                return (("reset",), ("update", "new"))

    @property
    def gates(self) -> tuple[str, ...]:
        return tuple(gate for phase in self.phases for gate in phase)

    @property
    def products(self) -> tuple[str, ...]:
        """Gates whose product with something else is requantised."""
        return ("forget", "update", "output") if self is Cell.LSTM else ("reset",)


@dataclass(frozen=True)
class Parameters:
    """Sizes of an engine.

    lanes: sequences that run side by side. hidden_size, input_size: units of a layer, and values
    of an input; inputs of the layers above are outputs of those below. max_steps: time steps of a
    block at most. width: values a lane multiplies each cycle, and bytes of every bus. token_depth:
    time steps that wait in a lane at most. done_depth: events that wait at most. tag_bits: of the
    number a sequence goes by. weight_buffers: layers whose weights are on the chip. completion:
    lanes begin and end on their own and say so; without it the engine is the plain one that E-BATCH
    is compared with, in which all lanes begin and end together. descriptors: of sequences in memory
    that wait in a lane at most, beside the one whose tokens the engine fetches; 0: tokens are sent
    to it.
    """

    cell: Cell = Cell.LSTM
    lanes: int = 8
    hidden_size: int = 32
    input_size: int = 32
    layers: int = 2
    max_steps: int = 32
    width: int = 4
    token_depth: int = 64
    done_depth: int = 16
    tag_bits: int = 16
    weight_buffers: int = 2
    completion: bool = True
    descriptors: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("lanes", 1, 256),
            ("layers", 1, 16),
            ("max_steps", 1, 1024),
            ("token_depth", 2, 4096),
            ("done_depth", 2, 4096),
            ("tag_bits", 1, 32),
            ("weight_buffers", 1, 2),
            ("descriptors", 0, 256),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; allowed are {low} to {high}")
        if self.descriptors and not self.completion:
            raise ValueError(f"descriptors is {self.descriptors}; without completion allowed is 0")
        if self.width not in (4, 8, 16, 32):
            raise ValueError(f"width is {self.width}; allowed are 4, 8, 16 and 32")
        for name in ("hidden_size", "input_size"):
            value = getattr(self, name)
            if value < self.width or value % self.width or value > 4096:
                raise ValueError(
                    f"{name} is {value}; allowed are multiples of the width {self.width} to 4096"
                )

    @property
    def name(self) -> str:
        sizes = f"{self.lanes}lanes-{self.input_size}x{self.hidden_size}x{self.layers}"
        tail = "" if self.completion else "-plain"
        buffers = "" if self.weight_buffers == 2 else "-1buffer"
        descriptors = f"-descriptors{self.descriptors}" if self.descriptors else ""
        return f"{self.cell}-{sizes}-{self.width}wide{buffers}{tail}{descriptors}"

    def inputs(self, layer: int) -> int:
        """How many inputs a layer has."""
        return self.hidden_size if layer else self.input_size

    @property
    def count_bits(self) -> int:
        """Bits of how many tokens a lane holds, from none to all it has room for."""
        return self.token_depth.bit_length()

    def part_cycles(self, inputs: int) -> int:
        """Cycles of one part, which multiplies ``inputs`` values of every lane."""
        return max(inputs // self.width, self.lanes, MIN_PART)

    def step_cycles(self, layer: int) -> int:
        """Cycles in which the multipliers are at one step of a layer, if nothing waits."""
        parts = self.part_cycles(self.inputs(layer)) + self.part_cycles(self.hidden_size)
        return len(self.cell.gates) * self.hidden_size * parts

    def weight_words(self, layer: int) -> int:
        """Words of ``width`` weights that a layer has."""
        columns = self.inputs(layer) + self.hidden_size
        return len(self.cell.gates) * self.hidden_size * columns // self.width

    @property
    def bias_words(self) -> int:
        """Words of biases that a layer has, ``width`` bytes each."""
        return -(-2 * len(self.cell.gates) * self.hidden_size * 4 // self.width)

    @property
    def setting_words(self) -> int:
        """Words of settings that a layer has: two for each scale, and three of the cell."""
        return 2 * (2 * len(self.cell.gates) + len(self.cell.products)) + 3

    def load_words(self, layer: int) -> int:
        """Words that the weights of a layer come in, of ``width`` bytes."""
        return self.setting_words + self.bias_words + self.weight_words(layer)

    @property
    def accumulator_bits(self) -> int:
        """Bits of an accumulator, which no part overflows."""
        terms = max(self.hidden_size, self.input_size)
        return (terms * 128 * 128).bit_length() + 1
