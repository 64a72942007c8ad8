"""A library of standard cells: what each one computes, how large, how fast and how hungry it is.

Units throughout: times in ps, capacitances in fF, areas in µm², leakage in nW, energies in fJ.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations, product

from synth.function import Function, parse

POSITIVE = "positive_unate"
NEGATIVE = "negative_unate"
EITHER = "non_unate"


@dataclass(frozen=True)
class Table:
    """Times over two axes: input slew (rows) and output load (columns).

    For a constraint the rows are the slew of the clock and the columns that of the data.
    """

    rows: tuple[float, ...]
    columns: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def at(self, row: float, column: float) -> float:
        """Bilinear interpolation; outside the axes the outermost cell of the grid is extended."""
        rows, columns, values = self.rows, self.columns, self.values
        if len(columns) == 1:
            low = high = 0
            across = 0.0
        else:
            high = min(max(bisect_right(columns, column), 1), len(columns) - 1)
            low = high - 1
            across = (column - columns[low]) / (columns[high] - columns[low])
        if len(rows) == 1:
            line = values[0]
            return line[low] + across * (line[high] - line[low])
        below = min(max(bisect_right(rows, row), 1), len(rows) - 1)
        above = below - 1
        line, next_line = values[above], values[below]
        first = line[low] + across * (line[high] - line[low])
        second = next_line[low] + across * (next_line[high] - next_line[low])
        return first + (row - rows[above]) / (rows[below] - rows[above]) * (second - first)


@dataclass(frozen=True)
class Pin:
    """One signal pin. ``function`` is of input pins, or of a register's state names.

    ``energy_fj`` is the mean energy inside the cell of one transition: of the output itself, or of
    an input that leaves the outputs alone (mostly the clock of a register). What charging the
    load takes comes on top.
    """

    name: str
    direction: str
    capacitance_ff: float = 0.0
    function: Function | None = None
    is_clock: bool = False
    energy_fj: float = 0.0


@dataclass(frozen=True)
class Arc:
    """How long a change of ``input`` takes to reach ``output``; ``None`` where an edge never does.

    ``sense`` says which edge follows: the same, the opposite, or either of them.
    """

    input: str
    output: str
    sense: str
    cell_rise: Table | None
    cell_fall: Table | None
    rise_transition: Table | None
    fall_transition: Table | None


@dataclass(frozen=True)
class Setup:
    """How long before the clock edge a data pin must be stable, by the edge of the data."""

    pin: str
    rise: Table | None
    fall: Table | None


@dataclass(frozen=True)
class Register:
    """What makes a cell a flip-flop.

    ``next_state`` is a function of input pins, and so are ``clear`` and ``preset``, which act
    without the clock while they are 1.
    """

    clock: str
    rising: bool
    next_state: Function
    output: str | None
    inverted_output: str | None = None
    setups: tuple[Setup, ...] = ()
    clear: Function | None = None
    preset: Function | None = None

    @property
    def data(self) -> str | None:
        """The pin that is stored, if it is just one."""
        return None if self.next_state.operator else self.next_state.name

    @property
    def ties(self) -> dict[str, int]:
        """The value at which each pin of ``clear`` and ``preset`` does nothing."""
        functions = [function for function in (self.clear, self.preset) if function]
        pins = sorted({pin for function in functions for pin in function.variables})
        for choice in product((0, 1), repeat=len(pins)):
            values = dict(zip(pins, choice, strict=True))
            if not any(function.evaluate(values) for function in functions):
                return values
        raise ValueError(f"the register of clock {self.clock} is always cleared or preset")


@dataclass(frozen=True)
class Cell:
    """One cell. Combinational unless it has a ``register``."""

    name: str
    area_um2: float
    leakage_nw: float
    pins: tuple[Pin, ...]
    arcs: tuple[Arc, ...] = ()
    register: Register | None = None

    @property
    def inputs(self) -> tuple[Pin, ...]:
        return tuple(pin for pin in self.pins if pin.direction == "input")

    @property
    def outputs(self) -> tuple[Pin, ...]:
        return tuple(pin for pin in self.pins if pin.direction == "output")

    def pin(self, name: str) -> Pin:
        for pin in self.pins:
            if pin.name == name:
                return pin
        raise KeyError(f"cell {self.name} has no pin {name}")

    def truth_table(self, output: str) -> int:
        """Of a combinational output over the inputs in their order."""
        function = self.pin(output).function
        if function is None:
            raise ValueError(f"output {output} of cell {self.name} has no function")
        return function.truth_table([pin.name for pin in self.inputs])

    @property
    def internal_energy_fj(self) -> float:
        """Mean over the outputs of the energy of one output transition."""
        energies = [pin.energy_fj for pin in self.outputs]
        return sum(energies) / len(energies) if energies else 0.0


@dataclass(frozen=True)
class FullAdder:
    """A cell that adds three bits, and which of its pins does what."""

    cell: Cell
    inputs: tuple[str, str, str]
    sum: str
    carry: str


@dataclass(frozen=True)
class Library:
    """The cells of one process corner, by name."""

    name: str
    cells: Mapping[str, Cell] = field(repr=False)
    voltage: float
    temperature: float = 25.0

    @cached_property
    def nand2(self) -> Cell:
        """The smallest two-input NAND: its area is one gate equivalent."""
        found = [cell for cell in self._simple(2) if _is(cell, "!(A&B)")]
        return _smallest(found, f"library {self.name} has no two-input NAND")

    @cached_property
    def inverter(self) -> Cell:
        found = [cell for cell in self._simple(1) if _is(cell, "!A")]
        return _smallest(found, f"library {self.name} has no inverter")

    @cached_property
    def buffers(self) -> list[Cell]:
        """All cells that only repeat their input."""
        return [cell for cell in self._simple(1) if _is(cell, "A")]

    @cached_property
    def full_adder(self) -> FullAdder | None:
        """The smallest cell with the sum and the carry of its three inputs, if there is one."""
        found: list[FullAdder] = []
        for cell in self.cells.values():
            if cell.register or len(cell.inputs) != 3 or len(cell.outputs) != 2:
                continue
            for total, carry in permutations(pin.name for pin in cell.outputs):
                if _computes(cell, total, "A^B^C") and _computes(cell, carry, "A&B|A&C|B&C"):
                    first, second, third = (pin.name for pin in cell.inputs)
                    found.append(FullAdder(cell, (first, second, third), total, carry))
        return min(found, key=lambda adder: _order(adder.cell), default=None)

    @cached_property
    def flip_flop(self) -> Cell:
        """The smallest flip-flop of the rising edge that stores one data pin."""
        found = [
            cell
            for cell in self.cells.values()
            if cell.register
            and cell.register.rising
            and cell.register.data
            and cell.register.output
            and {pin.name for pin in cell.inputs}
            == {cell.register.clock, cell.register.data, *cell.register.ties}
        ]
        return _smallest(found, f"library {self.name} has no plain rising-edge flip-flop")

    @cached_property
    def tie_high(self) -> tuple[Cell, str]:
        """The smallest cell with an output that is always 1, and that output."""
        return self._tie("1")

    @cached_property
    def tie_low(self) -> tuple[Cell, str]:
        """The smallest cell with an output that is always 0, and that output."""
        return self._tie("0")

    def _tie(self, value: str) -> tuple[Cell, str]:
        wanted = parse(value)
        outputs = {
            cell.name: pin.name
            for cell in self.cells.values()
            for pin in cell.outputs
            if pin.function == wanted
        }
        found = [self.cells[name] for name in outputs]
        cell = _smallest(found, f"library {self.name} has no cell that is always {value}")
        return cell, outputs[cell.name]

    def _simple(self, inputs: int) -> Iterator[Cell]:
        for cell in self.cells.values():
            if cell.register is None and len(cell.inputs) == inputs and len(cell.outputs) == 1:
                yield cell


def _order(cell: Cell) -> tuple[float, str]:
    return cell.area_um2, cell.name


def _smallest(cells: Iterable[Cell], otherwise: str) -> Cell:
    found = sorted(cells, key=_order)
    if not found:
        raise ValueError(otherwise)
    return found[0]


def _is(cell: Cell, text: str) -> bool:
    return _computes(cell, cell.outputs[0].name, text)


def _computes(cell: Cell, output: str, text: str) -> bool:
    """Whether an output is the function ``text`` of inputs called A, B and C in their order."""
    names = "ABC"[: len(cell.inputs)]
    return cell.pin(output).function is not None and cell.truth_table(output) == parse(
        text
    ).truth_table(names)
