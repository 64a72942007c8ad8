"""Compact cell tables: one row a cell, delays as linear formulas, and Liberty text made from them.

The text is what every tool reads, this project's own reader included, so that there is one way
from any library to any figure. ``docs/cell-tables.md`` explains the columns.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from synth.library import EITHER, NEGATIVE, POSITIVE

COLUMNS = (
    "cell", "area_um2", "leakage_nw", "capacitance_ff", "functions", "energy_fj", "register", "arcs"
)  # fmt: skip

SENSES = {"+": POSITIVE, "-": NEGATIVE, "?": EITHER}

SLEWS_PS = (5.0, 25.0, 1000.0)
LOADS_FF = (0.5, 20.0, 200.0)
"""The points at which the formulas are written down; between and beyond they are straight.

ABC compares cells at an inner point of these axes, so they decide what it thinks of a cell; these
brought its choices nearest to those from the full libraries.
"""

LEAST_PS = 1.0
"""No slew is written shorter than this."""


@dataclass(frozen=True)
class Linear:
    """``constant + per_load * load + per_slew * slew``, in ps, fF and ps."""

    constant: float
    per_load: float
    per_slew: float

    def at(self, slew: float, load: float) -> float:
        return self.constant + self.per_load * load + self.per_slew * slew


@dataclass(frozen=True)
class LinearEdge:
    """Delay and slew of one edge of an output."""

    delay: Linear
    slew: Linear


@dataclass(frozen=True)
class LinearArc:
    """From an input to an output; ``sense`` is a key of ``SENSES``."""

    input: str
    output: str
    sense: str
    rise: LinearEdge
    fall: LinearEdge


@dataclass(frozen=True)
class LinearSetup:
    """Setup time of rising and falling data: a constant and a factor of the slew of the data."""

    pin: str
    rise: tuple[float, float]
    fall: tuple[float, float]


@dataclass(frozen=True)
class RegisterRow:
    """Functions of input pins, as text; empty where there is none. ``!`` marks a falling clock."""

    clock: str
    next_state: str
    clear: str = ""
    preset: str = ""
    setups: tuple[LinearSetup, ...] = ()


@dataclass(frozen=True)
class Row:
    """One cell. ``capacitance_ff`` names the inputs, ``functions`` the outputs.

    Outputs of a register have the function ``IQ`` or its inverse ``IQ_N``.
    """

    cell: str
    area_um2: float
    leakage_nw: float
    capacitance_ff: dict[str, float]
    functions: dict[str, str]
    energy_fj: dict[str, float]
    register: RegisterRow | None
    arcs: tuple[LinearArc, ...]


@dataclass(frozen=True)
class CellTable:
    """A whole table. ``remarks`` are the ``key: value`` comments at its top.

    The remarks ``library``, ``voltage`` and ``temperature`` must be there.
    """

    remarks: dict[str, str]
    rows: tuple[Row, ...]


def read_table(text: str, source: str = "cell table") -> CellTable:
    """Read the CSV form.

    Raises:
        ValueError: A line is malformed; the message names it.
    """
    remarks: dict[str, str] = {}
    rows: list[Row] = []
    header = True
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.startswith("#"):
                key, separator, value = line[1:].partition(":")
                if separator:
                    remarks[key.strip()] = value.strip()
            elif header:
                if tuple(line.split(",")) != COLUMNS:
                    raise ValueError(f"expected the columns {','.join(COLUMNS)}")
                header = False
            elif line.strip():
                rows.append(_row(next(csv.reader([line]))))
        except (ValueError, KeyError) as error:
            raise ValueError(f"{source}, line {number}: {error}") from error
    missing = {"library", "voltage", "temperature"} - set(remarks)
    if missing or header:
        wanted = ", ".join(f"'# {key}: …'" for key in sorted(missing)) or "a line of column names"
        raise ValueError(f"{source}: expected {wanted}")
    return CellTable(remarks, tuple(rows))


def write_table(table: CellTable) -> str:
    """The CSV form, which ``read_table`` reads back."""
    lines = [f"# {key}: {value}" for key, value in table.remarks.items()]
    lines.append(",".join(COLUMNS))
    lines.extend(",".join(_fields(row)) for row in table.rows)
    return "\n".join(lines) + "\n"


def _row(fields: list[str]) -> Row:
    if len(fields) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} fields, found {len(fields)}")
    cell, area, leakage, capacitances, functions, energies, register, arcs = fields
    return Row(
        cell=cell,
        area_um2=float(area),
        leakage_nw=float(leakage),
        capacitance_ff=_numbers(capacitances),
        functions=_pairs(functions),
        energy_fj=_numbers(energies),
        register=_register(register) if register else None,
        arcs=tuple(_arc(arc) for arc in arcs.split("; ") if arc),
    )


def _pairs(text: str) -> dict[str, str]:
    """Of ``A=1; B=2``."""
    pairs: dict[str, str] = {}
    for item in filter(None, text.split("; ")):
        key, separator, value = item.partition("=")
        if not separator:
            raise ValueError(f"expected 'name=value', found {item!r}")
        pairs[key] = value
    return pairs


def _numbers(text: str) -> dict[str, float]:
    return {key: float(value) for key, value in _pairs(text).items()}


def _register(text: str) -> RegisterRow:
    pairs = _pairs(text)
    setups = []
    for key, value in pairs.items():
        kind, _, pin = key.partition(" ")
        if kind == "setup":
            first, second, third, fourth = map(float, value.split())
            setups.append(LinearSetup(pin, (first, second), (third, fourth)))
    return RegisterRow(
        clock=pairs["clock"],
        next_state=pairs["next_state"],
        clear=pairs.get("clear", ""),
        preset=pairs.get("preset", ""),
        setups=tuple(setups),
    )


def _arc(text: str) -> LinearArc:
    path, *words = text.split()
    source, separator, target = path.partition(">")
    if not separator or target[-1:] not in SENSES or len(words) != 12:
        raise ValueError(f"expected 'A>Y+' (or - or ?) and twelve numbers, found {text!r}")
    n = [float(word) for word in words]
    lines = [Linear(*n[start : start + 3]) for start in range(0, 12, 3)]
    rise, fall = LinearEdge(*lines[:2]), LinearEdge(*lines[2:])
    return LinearArc(source, target[:-1], target[-1], rise, fall)


def _fields(row: Row) -> Iterator[str]:
    yield row.cell
    yield f"{row.area_um2:.8g}"
    yield f"{row.leakage_nw:.4g}"
    yield _joined(row.capacitance_ff)
    yield "; ".join(f"{pin}={function}" for pin, function in row.functions.items())
    yield _joined(row.energy_fj)
    yield "; ".join(_register_items(row.register)) if row.register else ""
    yield "; ".join(map(_arc_text, row.arcs))


def _joined(numbers: dict[str, float]) -> str:
    return "; ".join(f"{pin}={value:.4g}" for pin, value in numbers.items())


def _register_items(row: RegisterRow) -> Iterator[str]:
    yield f"clock={row.clock}"
    yield f"next_state={row.next_state}"
    if row.clear:
        yield f"clear={row.clear}"
    if row.preset:
        yield f"preset={row.preset}"
    for setup in row.setups:
        yield f"setup {setup.pin}=" + " ".join(f"{n:.3g}" for n in setup.rise + setup.fall)


def _arc_text(arc: LinearArc) -> str:
    lines = (arc.rise.delay, arc.rise.slew, arc.fall.delay, arc.fall.slew)
    numbers = [n for line in lines for n in (line.constant, line.per_load, line.per_slew)]
    return f"{arc.input}>{arc.output}{arc.sense} " + " ".join(f"{n:.3g}" for n in numbers)


def liberty_text(table: CellTable) -> str:
    """The table as a Liberty file for Yosys, ABC and ``liberty.py``."""
    return "\n".join(_library(table)) + "\n"


def _library(table: CellTable) -> Iterator[str]:
    remarks = table.remarks
    name = f"{remarks['library']}_table"
    slews, loads = _list(SLEWS_PS), _list(LOADS_FF)
    yield from (f"/* {key}: {value.replace('*/', '')} */" for key, value in remarks.items())
    yield f'''library ("{name}") {{
  delay_model : table_lookup;
  time_unit : "1ps";
  voltage_unit : "1V";
  current_unit : "1uA";
  pulling_resistance_unit : "1kohm";
  leakage_power_unit : "1nW";
  capacitive_load_unit (1, ff);
  nom_process : 1;
  nom_voltage : {remarks["voltage"]};
  nom_temperature : {remarks["temperature"]};
  input_threshold_pct_rise : 50;
  input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50;
  output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20;
  slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80;
  slew_upper_threshold_pct_fall : 80;
  slew_derate_from_library : 1;
  default_cell_leakage_power : 0;
  default_fanout_load : 1;
  default_inout_pin_cap : 0;
  default_input_pin_cap : 0;
  default_output_pin_cap : 0;
  default_max_transition : {SLEWS_PS[-1]:g};
  operating_conditions ("typical") {{
    process : 1;
    voltage : {remarks["voltage"]};
    temperature : {remarks["temperature"]};
  }}
  default_operating_conditions : "typical";
  lu_table_template ("delay") {{
    variable_1 : input_net_transition;
    variable_2 : total_output_net_capacitance;
    index_1 ("{slews}");
    index_2 ("{loads}");
  }}
  lu_table_template ("constraint") {{
    variable_1 : related_pin_transition;
    variable_2 : constrained_pin_transition;
    index_1 ("{slews}");
    index_2 ("{slews}");
  }}'''
    for row in table.rows:
        yield from _cell(row)
    yield "}"


def _cell(row: Row) -> Iterator[str]:
    yield f'  cell ("{row.cell}") {{'
    yield f"    area : {row.area_um2:.8g};"
    yield f"    cell_leakage_power : {row.leakage_nw:.6g};"
    if row.register:
        yield '    ff ("IQ", "IQ_N") {'
        yield f'      clocked_on : "{row.register.clock}";'
        yield f'      next_state : "{row.register.next_state}";'
        for name, function in (("clear", row.register.clear), ("preset", row.register.preset)):
            if function:
                yield f'      {name} : "{function}";'
        yield "    }"
    for pin, capacitance in row.capacitance_ff.items():
        yield from _input(row, pin, capacitance)
    for pin, function in row.functions.items():
        yield f'    pin ("{pin}") {{'
        yield "      direction : output;"
        yield f'      function : "{function}";'
        yield f"      max_capacitance : {LOADS_FF[-1]:g};"
        for arc in row.arcs:
            if arc.output == pin:
                yield from _timing(arc, row.register)
        yield from _power(row.energy_fj.get(pin, 0.0))
        yield "    }"
    yield "  }"


def _input(row: Row, pin: str, capacitance: float) -> Iterator[str]:
    yield f'    pin ("{pin}") {{'
    yield "      direction : input;"
    yield f"      capacitance : {capacitance:.6g};"
    if row.register:
        clock = row.register.clock
        if clock.lstrip("!") == pin:
            yield "      clock : true;"
        for setup in row.register.setups:
            if setup.pin == pin:
                yield "      timing () {"
                yield f'        related_pin : "{clock.lstrip("!")}";'
                edge = "falling" if clock.startswith("!") else "rising"
                yield f"        timing_type : setup_{edge};"
                for name, (constant, factor) in (("rise", setup.rise), ("fall", setup.fall)):
                    line = [constant + factor * slew for slew in SLEWS_PS]
                    yield from _values(f"{name}_constraint", "constraint", [line] * len(SLEWS_PS))
                yield "      }"
    yield from _power(row.energy_fj.get(pin, 0.0))
    yield "    }"


def _timing(arc: LinearArc, register: RegisterRow | None) -> Iterator[str]:
    yield "      timing () {"
    yield f'        related_pin : "{arc.input}";'
    yield f"        timing_sense : {SENSES[arc.sense]};"
    if register:
        edge = "falling" if register.clock.startswith("!") else "rising"
        yield f"        timing_type : {edge}_edge;"
    else:
        yield "        timing_type : combinational;"
    for name, edges in (("rise", arc.rise), ("fall", arc.fall)):
        delays = [[edges.delay.at(slew, load) for load in LOADS_FF] for slew in SLEWS_PS]
        slews = [
            [max(edges.slew.at(slew, load), LEAST_PS) for load in LOADS_FF] for slew in SLEWS_PS
        ]
        yield from _values(f"cell_{name}", "delay", delays)
        yield from _values(f"{name}_transition", "delay", slews)
    yield "      }"


def _values(kind: str, template: str, lines: list[list[float]]) -> Iterator[str]:
    yield f'        {kind} ("{template}") {{'
    yield "          values (" + ", ".join(f'"{_list(line)}"' for line in lines) + ");"
    yield "        }"


def _power(energy: float) -> Iterator[str]:
    if energy:
        yield "      internal_power () {"
        for edge in ("rise", "fall"):
            yield f'        {edge}_power (scalar) {{ values ("{energy:.6g}"); }}'
        yield "      }"


def _list(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:.6g}" for number in numbers)
