"""Reads Liberty files, the format in which cell libraries are published."""

import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synth.function import Function, parse
from synth.library import (
    EITHER,
    NEGATIVE,
    POSITIVE,
    Arc,
    Cell,
    Library,
    Pin,
    Register,
    Setup,
    Table,
)

TYPICAL_SLEW_PS = 100.0
TYPICAL_LOAD_FF = 10.0
"""Where the energy tables are read: one figure per pin is kept of them."""

_SPACE = r"(?:[\s\\]+|/\*.*?\*/|//[^\n]*)*"
_STATEMENT = re.compile(
    _SPACE + r"(?:(?P<end>\})"
    r"|(?P<name>[A-Za-z_][\w.]*)\s*(?:"
    r"\((?P<arguments>[^()\"]*(?:\"[^\"]*\"[^()\"]*)*)\)\s*(?:(?P<open>\{)|;?)"
    r"|:\s*(?P<value>\"[^\"]*\"|[^;{}\n\"]+?)\s*(?:;|(?=[\n}]))"
    r")|(?P<nothing>;))",
    re.DOTALL,
)
_REST = re.compile(_SPACE, re.DOTALL)
_BRACES = re.compile(r"[{}]|\"[^\"]*\"|/\*.*?\*/", re.DOTALL)
_ARGUMENT = re.compile(r"\"[^\"]*\"|[^\s,\\\"]+")
_UNIT = re.compile(r"\s*([\d.eE+-]+)\s*([a-zA-Z]+)\s*")
_PREFIX = {"": 1.0, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}


@dataclass
class Group:
    """One ``kind (arguments) { … }`` of the file."""

    kind: str
    arguments: list[str]
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.arguments[0] if self.arguments else ""

    def all(self, *kinds: str) -> Iterator["Group"]:
        return (group for group in self.groups if group.kind in kinds)

    def first(self, *kinds: str) -> "Group | None":
        return next(self.all(*kinds), None)


class _Text:
    """The text of a file, and how errors in it are reported."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self._counted, self._line = 0, 1

    def line(self, place: int) -> int:
        self._line += self.text.count("\n", self._counted, place)
        self._counted = place
        return self._line

    def error(self, line: int, message: str) -> ValueError:
        return ValueError(f"{self.source}, line {line}: {message}")

    def read(self, wanted: Callable[[str], bool]) -> Group:
        """The outermost group, without the cells that are not wanted."""
        root = Group("file", [], 1)
        path = [root]
        place = 0
        while True:
            match = _STATEMENT.match(self.text, place)
            if match is None:
                break
            place = match.end()
            if name := match["name"]:
                if match["value"] is not None:
                    path[-1].attributes[name] = match["value"].strip('"')
                    continue
                arguments = [word.strip('"') for word in _ARGUMENT.findall(match["arguments"])]
                if match["open"] is None:
                    path[-1].lists[name] = arguments
                    continue
                group = Group(name, arguments, self.line(match.start("name")))
                if name == "cell" and not wanted(group.name):
                    place = self._skip(group, place)
                    continue
                path[-1].groups.append(group)
                path.append(group)
            elif match["end"]:
                if len(path) == 1:
                    raise self.error(self.line(match.start("end")), "'}' closes nothing")
                path.pop()
        rest = _REST.match(self.text, place)
        place = rest.end() if rest else place
        if place < len(self.text):
            found = self.text[place : place + 40].split("\n")[0]
            expected = "expected 'name : value;', 'name (…);', 'name (…) {' or '}'"
            raise self.error(self.line(place), f"{expected}, found {found!r}")
        if len(path) > 1:
            group = path[-1]
            message = f"'{group.kind} ({group.name})' is never closed: expected '}}' before the end"
            raise self.error(group.line, message)
        library = root.first("library")
        if library is None:
            raise self.error(1, "expected a 'library (name) {' group")
        return library

    def _skip(self, group: Group, place: int) -> int:
        """The place after the brace that closes the group just opened."""
        depth = 1
        for match in _BRACES.finditer(self.text, place):
            depth += {"{": 1, "}": -1}.get(match[0], 0)
            if depth == 0:
                return match.end()
        raise self.error(group.line, f"'cell ({group.name})' is never closed")


def read_liberty(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> Library:
    """The wanted cells of a ``.lib`` or ``.lib.gz`` file that this project can use.

    Those are combinational cells and edge-triggered flip-flops. Latches, clock gates, three-state
    drivers and cells without logic are left out.

    Raises:
        ValueError: The text is not Liberty; the message names the file, the line and what was
            expected.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return parse_liberty(data.decode("utf-8", "replace"), path.name, wanted)


def parse_liberty(
    text: str, source: str = "Liberty text", wanted: Callable[[str], bool] = lambda name: True
) -> Library:
    """Like ``read_liberty``, of text. ``source`` names it in errors."""
    reader = _Text(text, source)
    return _Builder(reader.read(wanted), reader).library()


class _Builder:
    """From the groups of one file to a library."""

    def __init__(self, root: Group, text: _Text) -> None:
        self._root = root
        self._text = text
        self._time = self._unit(root.attributes.get("time_unit", "1ns"), "s") * 1e12
        volt = self._unit(root.attributes.get("voltage_unit", "1V"), "V")
        watt = self._unit(root.attributes.get("leakage_power_unit", "1nW"), "W")
        load = root.lists.get("capacitive_load_unit", ["1", "pf"])
        farad = self._unit("".join(load), "F")
        self._capacitance = farad * 1e15
        self._leakage = watt * 1e9
        self._energy = farad * volt**2 * 1e15
        self._templates = {
            group.name: group for group in root.all("lu_table_template", "power_lut_template")
        }

    def _unit(self, text: str, symbol: str) -> float:
        match = _UNIT.fullmatch(text)
        name = match[2].lower() if match else ""
        if not match or not name.endswith(symbol.lower()) or name[:-1] not in _PREFIX:
            raise self._text.error(1, f"expected a unit such as '1n{symbol}', found {text!r}")
        return float(match[1]) * _PREFIX[name[:-1]]

    def _number(self, text: str, group: Group) -> float:
        try:
            return float(text)
        except ValueError:
            raise self._error(group, f"expected a number, found {text!r}") from None

    def _attribute(self, group: Group, name: str, default: str = "0") -> float:
        return self._number(group.attributes.get(name, default), group)

    def _error(self, group: Group, message: str) -> ValueError:
        return self._text.error(group.line, f"{group.kind} ({group.name}): {message}")

    def _function(self, text: str, group: Group) -> Function:
        try:
            return parse(text)
        except ValueError as error:
            raise self._error(group, str(error)) from None

    def _optional(self, group: Group, name: str) -> Function | None:
        text = group.attributes.get(name)
        return None if text is None else self._function(text, group)

    def library(self) -> Library:
        conditions = [*self._root.all("operating_conditions")]
        default = self._root.attributes.get("default_operating_conditions")
        chosen = next((group for group in conditions if group.name == default), None)
        chosen = chosen or (conditions[0] if conditions else None)
        values = {**self._root.attributes, **(chosen.attributes if chosen else {})}
        cells = (self._cell(group) for group in self._root.all("cell"))
        return Library(
            name=self._root.name,
            cells={cell.name: cell for cell in cells if cell},
            voltage=self._number(values.get("voltage", values.get("nom_voltage", "1")), self._root),
            temperature=self._number(
                values.get("temperature", values.get("nom_temperature", "25")), self._root
            ),
        )

    def _cell(self, group: Group) -> Cell | None:
        """The cell, or nothing if it is of a kind this project does not use."""
        if group.first("latch", "statetable", "ff_bank", "latch_bank", "bus", "bundle"):
            return None
        pins = [*group.all("pin")]
        directions = {self._direction(pin) for pin in pins}
        if not directions <= {"input", "output"}:
            return None
        outputs = [pin for pin in pins if pin.attributes.get("direction") == "output"]
        plain = all(
            "function" in pin.attributes and "three_state" not in pin.attributes for pin in outputs
        )
        if not outputs or not plain:
            return None
        states = [*group.all("ff")]
        if len(states) > 1:
            return None
        register = self._register(states[0], group) if states else None
        if states and register is None:
            return None
        if "area" not in group.attributes:
            raise self._error(group, "expected an 'area'")
        return Cell(
            name=group.name,
            area_um2=self._attribute(group, "area"),
            leakage_nw=self._leakage_of(group),
            pins=tuple(self._pin(pin, register) for pin in pins),
            arcs=tuple(self._arcs(outputs, register)),
            register=register,
        )

    def _leakage_of(self, group: Group) -> float:
        if "cell_leakage_power" in group.attributes:
            return self._attribute(group, "cell_leakage_power") * self._leakage
        cases = [self._attribute(case, "value") for case in group.all("leakage_power")]
        if cases:
            return sum(cases) / len(cases) * self._leakage
        return self._attribute(self._root, "default_cell_leakage_power") * self._leakage

    def _direction(self, group: Group) -> str:
        direction = group.attributes.get("direction", "")
        if direction not in ("input", "output", "inout", "internal"):
            raise self._error(group, f"expected direction input or output, found {direction!r}")
        return direction

    def _pin(self, group: Group, register: Register | None) -> Pin:
        direction = self._direction(group)
        default = self._root.attributes.get(f"default_{direction}_pin_cap", "0")
        return Pin(
            name=group.name,
            direction=direction,
            capacitance_ff=self._attribute(group, "capacitance", default) * self._capacitance,
            function=self._optional(group, "function"),
            is_clock=group.attributes.get("clock") == "true"
            or bool(register and register.clock == group.name),
            energy_fj=self._energy_of(group),
        )

    def _energy_of(self, group: Group) -> float:
        """Mean over the arcs of a pin, and over rise and fall, at the typical point."""
        points = [
            table.at(TYPICAL_SLEW_PS, TYPICAL_LOAD_FF)
            for power in group.all("internal_power")
            for values in power.all("rise_power", "fall_power", "power")
            if (table := self._table(values, self._energy))
        ]
        return sum(points) / len(points) if points else 0.0

    def _register(self, group: Group, cell: Group) -> Register | None:
        attributes = group.attributes
        for name in ("clocked_on", "next_state"):
            if name not in attributes:
                raise self._error(group, f"expected {name!r}")
        clock = self._function(attributes["clocked_on"], group)
        if len(clock.variables) != 1:
            return None
        state, inverted = (*group.arguments, "", "")[:2]
        outputs = {
            str(self._function(pin.attributes["function"], pin)): pin.name
            for pin in cell.all("pin")
            if "function" in pin.attributes
        }
        return Register(
            clock=clock.variables[0],
            rising=clock.truth_table(clock.variables) == 0b10,
            next_state=self._function(attributes["next_state"], group),
            output=outputs.get(state),
            inverted_output=outputs.get(inverted, outputs.get(f"!{state}")),
            setups=tuple(self._setups(cell)),
            clear=self._optional(group, "clear"),
            preset=self._optional(group, "preset"),
        )

    def _setups(self, cell: Group) -> Iterator[Setup]:
        for pin in cell.all("pin"):
            for timing in pin.all("timing"):
                if timing.attributes.get("timing_type") in ("setup_rising", "setup_falling"):
                    rise, fall = timing.first("rise_constraint"), timing.first("fall_constraint")
                    yield Setup(
                        pin.name,
                        self._table(rise, self._time) if rise else None,
                        self._table(fall, self._time) if fall else None,
                    )

    def _arcs(self, outputs: list[Group], register: Register | None) -> Iterator[Arc]:
        kinds = ("combinational", "combinational_rise", "combinational_fall")
        edges = ("rising_edge", "falling_edge")
        for pin in outputs:
            for timing in pin.all("timing"):
                kind = timing.attributes.get("timing_type", "combinational")
                if kind not in (edges if register else kinds):
                    continue
                for related in timing.attributes.get("related_pin", "").split():
                    yield self._arc(timing, related, pin.name)

    def _arc(self, timing: Group, related: str, output: str) -> Arc:
        sense = timing.attributes.get("timing_sense", EITHER)
        if sense not in (POSITIVE, NEGATIVE, EITHER):
            raise self._error(timing, f"timing_sense {sense!r} is unknown")
        tables = {
            group.kind: self._table(group, self._time)
            for group in timing.all("cell_rise", "cell_fall", "rise_transition", "fall_transition")
        }
        return Arc(
            related,
            output,
            sense,
            tables.get("cell_rise"),
            tables.get("cell_fall"),
            tables.get("rise_transition"),
            tables.get("fall_transition"),
        )

    def _table(self, group: Group, scale: float) -> Table | None:
        """A table with slews (of the clock, in constraints) as rows; none if it has no values."""
        if "values" not in group.lists:
            return None
        template = self._templates.get(group.name)
        kinds = []
        axes: list[tuple[float, ...]] = []
        for number in ("1", "2"):
            kind = template.attributes.get(f"variable_{number}", "") if template else ""
            index = group.lists.get(f"index_{number}")
            if index is None and template:
                index = template.lists.get(f"index_{number}")
            if index is not None:
                load = "capacitance" in kind
                factor = self._capacitance if load else self._time
                axes.append(tuple(value * factor for value in self._numbers(index, group)))
                kinds.append(kind)
        numbers = [value * scale for value in self._numbers(group.lists["values"], group)]
        while len(axes) < 2:
            axes.append((0.0,))
            kinds.append("")
        rows, columns = axes
        if len(numbers) != len(rows) * len(columns):
            expected = f"{len(rows)} × {len(columns)}"
            raise self._error(group, f"expected {expected} values, found {len(numbers)}")
        width = len(columns)
        values = tuple(
            tuple(numbers[start : start + width]) for start in range(0, len(numbers), width)
        )
        if "capacitance" in kinds[0] or kinds[1].startswith("related_pin"):
            rows, columns = columns, rows
            values = tuple(zip(*values, strict=True))
        return Table(rows, columns, values)

    def _numbers(self, words: list[str], group: Group) -> list[float]:
        return [
            self._number(number, group)
            for word in words
            for number in word.replace(",", " ").split()
        ]
