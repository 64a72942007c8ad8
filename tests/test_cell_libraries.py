"""Cell libraries and timing: what is read, what is built in, and what is computed from it.

With ``ASSAY_FULL_LIBERTY`` naming a folder that holds the full public libraries, the built-in
tables are also compared with those, cell by cell.
"""

import gzip
import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from full_libraries import NAMES, full_libraries

from synth import extract_cells, libraries
from synth.cell_table import LOADS_FF, SENSES, SLEWS_PS, liberty_text, read_table, write_table
from synth.function import parse
from synth.liberty import parse_liberty, read_liberty
from synth.library import EITHER, NEGATIVE, Arc, Cell, Library, Pin, Register, Setup, Table
from synth.timing import critical_path, net_loads

AREAS = {
    "sky130hd": {
        "sky130_fd_sc_hd__inv_1": (3.7536, "!A"),
        "sky130_fd_sc_hd__buf_2": (5.0048, "A"),
        "sky130_fd_sc_hd__nand2_1": (3.7536, "!(A&B)"),
        "sky130_fd_sc_hd__nor2_1": (3.7536, "!(A|B)"),
        "sky130_fd_sc_hd__xor2_1": (8.7584, "A^B"),
        "sky130_fd_sc_hd__a21oi_1": (5.0048, "!((A1&A2)|B1)"),
        "sky130_fd_sc_hd__o21ai_0": (5.0048, "!((A1|A2)&B1)"),
        "sky130_fd_sc_hd__mux2_1": (11.2608, "(A0&!S)|(A1&S)"),
        "sky130_fd_sc_hd__maj3_1": (10.0096, "(A&B)|(A&C)|(B&C)"),
        "sky130_fd_sc_hd__dfxtp_1": (20.0192, "IQ"),
    },
    "sg13g2": {
        "sg13g2_inv_1": (5.4432, "!A"),
        "sg13g2_buf_2": (9.072, "A"),
        "sg13g2_nand2_1": (7.2576, "!(A&B)"),
        "sg13g2_nor2_1": (7.2576, "!(A|B)"),
        "sg13g2_xor2_1": (14.5152, "A^B"),
        "sg13g2_a21oi_1": (9.072, "!((A1&A2)|B1)"),
        "sg13g2_a22oi_1": (10.8486, "!((A1&A2)|(B1&B2))"),
        "sg13g2_o21ai_1": (9.072, "!((A1|A2)&B1)"),
        "sg13g2_mux2_1": (18.144, "(A0&!S)|(A1&S)"),
        "sg13g2_dfrbp_1": (47.1744, "IQ"),
    },
}
"""Facts copied by hand from the public libraries: area in µm², function of the first output."""


FULL = full_libraries()


def table_text(name: str) -> str:
    return (libraries.TABLES / f"{name}.csv").read_text()


@pytest.fixture(scope="module", params=NAMES)
def builtin(request: pytest.FixtureRequest) -> tuple[str, Library]:
    text = liberty_text(read_table(table_text(request.param), request.param))
    return request.param, parse_liberty(text)


# Functions


def random_function(rng: random.Random, depth: int) -> tuple[str, str]:
    """A function in Liberty's notation and the same one in Python's."""
    if depth == 0 or rng.random() < 0.15:
        name = rng.choice(["A", "B1", "C", "D_N", "0", "1"])
        return name, name
    left, python_left = random_function(rng, depth - 1)
    if rng.random() < 0.3:
        text = rng.choice([f"!({left})", f"({left})'", f"! ( {left} )"])
        return text, f"(1 ^ ({python_left}))"
    right, python_right = random_function(rng, depth - 1)
    sign, python = rng.choice(
        [("&", "&"), ("*", "&"), (" ", "&"), ("|", "|"), (" + ", "|"), ("^", "^")]
    )
    return f"({left}){sign}({right})", f"(({python_left}) {python} ({python_right}))"


@pytest.mark.parametrize("seed", range(200))
def test_functions_agree_with_brute_force(seed: int) -> None:
    text, python = random_function(random.Random(seed), 4)
    function = parse(text)
    names = ("A", "B1", "C", "D_N")
    expected = 0
    for case, bits in enumerate(itertools.product((0, 1), repeat=4)):
        values = dict(zip(names, bits[::-1], strict=True))
        result = eval(python, {}, values)
        assert function.evaluate(values) == result, (text, values)
        in_verilog = function.verilog.replace("1'b", "")
        assert eval(in_verilog, {}, values) & 1 == result, (text, in_verilog, values)
        expected |= result << case
    assert function.truth_table(names) == expected
    assert parse(str(function)).truth_table(names) == expected, str(function)


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("A|B&C", "A|(B&C)"),
        ("A B+C", "(A&B)|C"),
        ("A+B C'", "A|(B&(!C))"),
        ("!A^B", "(!A)^B"),
        ("A^B&C", "(A^B)&C"),
        ("!A'", "A"),
        ("!(A B)'", "A B"),
        ("(A)(B)", "A&B"),
        ("!A!B", "(!A)&(!B)"),
    ],
)
def test_operators_bind_as_the_format_says(text: str, clear: str) -> None:
    names = ("A", "B", "C")
    assert parse(text).truth_table(names) == parse(clear).truth_table(names)


@pytest.mark.parametrize("text", ["", "A&", "(A", "A)", "&A", "A $ B", "!", "A|'", "()"])
def test_malformed_functions_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="function"):
        parse(text)


def test_variables_and_verilog() -> None:
    assert parse("!((B & A) | B | 1)").variables == ("B", "A")
    assert parse("!(A*B)").verilog == "~(A & B)"
    assert parse("0").verilog == "1'b0"
    assert parse("A&!B").truth_table(("A", "B")) == 0b0010


# Reading Liberty

SMALL = """
/* a comment with { braces } */
library (small) {
  time_unit : "10ps";
  capacitive_load_unit (2, ff);
  leakage_power_unit : "1uW";
  nom_voltage : 1.5;
  lu_table_template (load_first) {
    variable_1 : total_output_net_capacitance;
    variable_2 : input_net_transition;
    index_1 ("1, 3");
    index_2 ("1, 2, 4");
  }
  lu_table_template (data_first) {
    variable_1 : constrained_pin_transition;
    variable_2 : related_pin_transition;
    index_1 ("1, 2");
    index_2 ("10, 20");
  }
  cell (gate) {
    area : 2.5;
    leakage_power () { value : 3; when : "A"; }
    leakage_power () { value : 5; when : "!A"; }
    pin (A) { direction : input; capacitance : 1.5; }
    pin (Y) {
      direction : output;
      function : "A'";
      timing () {
        related_pin : "A";
        timing_sense : negative_unate;
        cell_rise (load_first) { values ("1, 2, 3", \\
          "5, 6, 8"); }
        rise_transition (scalar) { values ("7"); }
        cell_fall (load_first) { index_1 ("1, 2"); values ("1, 2, 3", "5, 6, 8"); }
      }
    }
  }
  cell (flip) {
    area : 9
    ff (IQ, IQN) {
      clocked_on : "!CK"; next_state : "D"; clear : "!R"; preset : "S";
    }
    pin (CK) { direction : input; capacitance : 1; clock : true; }
    pin (D) { direction : input; capacitance : 1;
      timing () { related_pin : "CK"; timing_type : setup_falling;
        rise_constraint (data_first) { values ("1, 2", "3, 4"); }
        fall_constraint (data_first) { values ("5, 6", "7, 8"); } }
    }
    pin (R) { direction : input; capacitance : 1; }
    pin (S) { direction : input; capacitance : 1; }
    pin (Q) { direction : output; function : "IQ";
      timing () { related_pin : "CK"; timing_type : falling_edge; timing_sense : non_unate;
        cell_rise (scalar) { values ("4"); } cell_fall (scalar) { values ("5"); } }
      timing () { related_pin : "R"; timing_type : clear; timing_sense : positive_unate;
        cell_fall (scalar) { values ("9"); } }
    }
    pin (QN) { direction : output; function : "IQN"; }
  }
  cell (keeper) { area : 1; latch (IQ, IQN) { enable : "G"; data_in : "D"; }
    pin (G) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
  cell (filler) { area : 1; }
}
"""


def test_units_and_axes_are_converted() -> None:
    library = parse_liberty(SMALL)
    assert set(library.cells) == {"gate", "flip"}
    gate = library.cells["gate"]
    assert gate.area_um2 == 2.5
    assert gate.leakage_nw == pytest.approx(4000)
    assert gate.pin("A").capacitance_ff == pytest.approx(3)
    assert library.voltage == 1.5
    rise = gate.arcs[0].cell_rise
    assert rise is not None
    assert rise.rows == pytest.approx((10, 20, 40))
    assert rise.columns == pytest.approx((2, 6))
    assert rise.at(20, 2) == pytest.approx(20)
    assert rise.at(40, 6) == pytest.approx(80)
    assert rise.at(30, 4) == pytest.approx((25 + 70 - 0) / 2)  # between 2, 6, 3 and 8, times 10
    fall = gate.arcs[0].cell_fall
    assert fall is not None
    assert fall.columns == pytest.approx((2, 4))
    slew = gate.arcs[0].rise_transition
    assert slew is not None
    assert slew.at(123, 456) == pytest.approx(70)


def test_flip_flops_are_described() -> None:
    flip = parse_liberty(SMALL).cells["flip"]
    register = flip.register
    assert register is not None
    assert (register.clock, register.rising, register.data) == ("CK", False, "D")
    assert (register.output, register.inverted_output) == ("Q", "QN")
    assert register.ties == {"R": 1, "S": 0}
    assert [arc.input for arc in flip.arcs] == ["CK"]
    (setup,) = register.setups
    assert setup.rise is not None
    assert setup.rise.rows == pytest.approx((100, 200))  # the clock
    assert setup.rise.at(100, 20) == pytest.approx(30)
    assert setup.rise.at(200, 10) == pytest.approx(20)


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ("area : 2.5;", "area ; 2.5;", 21, "expected"),
        ("area : 2.5;", "area : large;", 20, "expected a number, found 'large'"),
        ("area : 2.5;", "", 20, "expected an 'area'"),
        ('values ("1, 2, 3"', 'values ("1, 2"', 31, r"expected 3 × 2|expected 2 × 3"),
        ('"A\'"', '"A|"', 25, "expected a pin"),
        ('"10ps"', '"10 hours"', 1, "expected a unit"),
        ("negative_unate", "sideways", 28, "timing_sense 'sideways'"),
        ("direction : output;", "direction : up;", 25, "found 'up'"),
    ],
)
def test_malformed_liberty_is_located(before: str, after: str, line: int, message: str) -> None:
    assert before in SMALL
    with pytest.raises(ValueError, match=message) as error:
        parse_liberty(SMALL.replace(before, after, 1), "some.lib")
    assert str(error.value).startswith(f"some.lib, line {line}:"), error.value


def test_braces_must_match() -> None:
    with pytest.raises(ValueError, match="'}' closes nothing"):
        parse_liberty(SMALL + "}\n", "some.lib")
    with pytest.raises(ValueError, match=r"line 3: 'library \(small\)' is never closed"):
        parse_liberty(SMALL.rstrip()[:-1], "some.lib")
    with pytest.raises(ValueError, match="library"):
        parse_liberty("/* nothing */", "some.lib")


def test_cells_can_be_filtered() -> None:
    assert set(parse_liberty(SMALL, wanted=lambda name: name != "gate").cells) == {"flip"}


def test_tables_extend_in_a_straight_line() -> None:
    table = Table((0.0, 10.0), (0.0, 1.0), ((0.0, 2.0), (5.0, 9.0)))
    assert table.at(5, 0.5) == pytest.approx(4.0)
    assert table.at(20, 0) == pytest.approx(10.0)
    assert table.at(0, 3) == pytest.approx(6.0)
    assert table.at(-10, 0) == pytest.approx(-5.0)
    curve = Table((0.0, 1.0, 2.0), (0.0, 1.0, 2.0), ((0, 2, 8), (1, 3, 9), (4, 6, 12)))
    assert curve.at(0, -1) == pytest.approx(-2.0)
    assert curve.at(-1, 0) == pytest.approx(-1.0)
    assert curve.at(2, 2) == pytest.approx(12.0)
    assert curve.at(3, 3) == pytest.approx(12 + 3 + 6)


# Built-in tables


@pytest.mark.parametrize("name", NAMES)
def test_tables_survive_writing_and_reading(name: str) -> None:
    text = table_text(name)
    cells = read_table(text, name)
    assert write_table(cells) == text
    library = parse_liberty(liberty_text(cells), name)
    assert list(library.cells) == [row.cell for row in cells.rows]
    for row in cells.rows:
        cell = library.cells[row.cell]
        assert cell.area_um2 == pytest.approx(row.area_um2, rel=1e-9)
        assert cell.leakage_nw == pytest.approx(row.leakage_nw, rel=1e-5)
        assert {pin.name: pin.capacitance_ff for pin in cell.inputs} == pytest.approx(
            row.capacitance_ff
        )
        assert {pin.name: str(pin.function) for pin in cell.outputs} == row.functions
        assert {pin.name: pin.energy_fj for pin in cell.pins if pin.energy_fj} == pytest.approx(
            row.energy_fj
        )
        assert len(cell.arcs) == len(row.arcs)
        if row.register and cell.register:
            (linear_setup,), (setup,) = row.register.setups, cell.register.setups
            for (constant, factor), table in (
                (linear_setup.rise, setup.rise),
                (linear_setup.fall, setup.fall),
            ):
                assert table is not None
                for slew in (10.0, 70.0, 500.0):
                    assert table.at(30, slew) == pytest.approx(constant + factor * slew, rel=1e-3)
        arcs = {(arc.input, arc.output, arc.sense): arc for arc in cell.arcs}
        for linear in row.arcs:
            arc = arcs[linear.input, linear.output, SENSES[linear.sense]]
            for edge, delay in ((linear.rise, arc.cell_rise), (linear.fall, arc.cell_fall)):
                assert delay is not None
                for slew, load in ((SLEWS_PS[0], LOADS_FF[0]), (60.0, 7.0), (2000.0, 300.0)):
                    expected = edge.delay.at(slew, load)
                    assert delay.at(slew, load) == pytest.approx(expected, rel=1e-3, abs=0.05)


def test_builtin_tables_have_what_a_flow_needs(builtin: tuple[str, Library]) -> None:
    name, library = builtin
    assert library.nand2.name.endswith("nand2_1")
    assert library.inverter.truth_table(library.inverter.outputs[0].name) == 0b01
    flip_flop = library.flip_flop
    assert flip_flop.register is not None
    assert flip_flop.register.setups
    high, low = library.tie_high, library.tie_low
    assert high[0].truth_table(high[1]) == 1
    assert low[0].truth_table(low[1]) == 0
    adder = library.full_adder
    if name == "sky130hd":
        assert flip_flop.register.ties == {}
        assert adder is not None
        assert (adder.inputs, adder.sum, adder.carry) == (("A", "B", "CIN"), "SUM", "COUT")
    else:
        assert flip_flop.register.ties == {"RESET_B": 1}
        assert adder is None  # the process has none
    for cell in library.cells.values():
        assert cell.area_um2 > 0
        assert all(pin.capacitance_ff > 0 for pin in cell.inputs)
        related = {(arc.input, arc.output) for arc in cell.arcs}
        for pin in cell.outputs:
            needed = (
                (cell.register.clock,) if cell.register else (pin.function or parse("0")).variables
            )
            assert {(source, pin.name) for source in needed} <= related, cell.name


def test_sizes_and_functions_are_the_public_ones(builtin: tuple[str, Library]) -> None:
    name, library = builtin
    for cell_name, (area, function) in AREAS[name].items():
        cell = library.cells[cell_name]
        assert cell.area_um2 == pytest.approx(area, abs=1e-9), cell_name
        found = cell.outputs[0].function
        assert found is not None
        names = sorted(found.variables)
        assert found.truth_table(names) == parse(function).truth_table(names), cell_name


def test_delays_grow_with_load_and_shrink_with_drive(builtin: tuple[str, Library]) -> None:
    _, library = builtin
    for arc in (arc for cell in library.cells.values() for arc in cell.arcs):
        for table in (arc.cell_rise, arc.cell_fall, arc.rise_transition, arc.fall_transition):
            assert table is not None
            assert 0 < table.at(50, 5) < table.at(50, 50), arc
    strong = library.cells[library.nand2.name.replace("_1", "_2")]
    for weak, other in zip(library.nand2.arcs, strong.arcs, strict=True):
        assert weak.cell_rise is not None
        assert other.cell_rise is not None
        assert other.cell_rise.at(50, 50) < weak.cell_rise.at(50, 50)


REFERENCES = [
    *((f"typed facts of {name}", name, None) for name in NAMES),
    *((f"full library of {name}", name, file) for name, file in FULL.items()),
]


@pytest.mark.parametrize(("title", "name", "file"), REFERENCES, ids=[ref[0] for ref in REFERENCES])
def test_tables_agree_with_reference(title: str, name: str, file: Path | None) -> None:
    rows = {row.cell: row for row in read_table(table_text(name), name).rows}
    if file is None:
        areas = {cell: area for cell, (area, _) in AREAS[name].items()}
        assert {cell: rows[cell].area_um2 for cell in areas} == areas, title
        return
    full = read_liberty(file, rows.__contains__)
    assert write_table(extract_cells.extract(full, name)) == table_text(name)
    table = parse_liberty(liberty_text(read_table(table_text(name), name)))
    assert set(full.cells) == set(rows)
    for cell_name, cell in table.cells.items():
        other = full.cells[cell_name]
        assert cell.area_um2 == pytest.approx(other.area_um2, abs=1e-9)
        assert {pin.name for pin in cell.pins} == {pin.name for pin in other.pins}
        for pin in cell.outputs:
            original = other.pin(pin.name).function
            assert pin.function is not None
            assert original is not None
            if cell.register is None:
                names = [source.name for source in cell.inputs]
                assert pin.function.truth_table(names) == original.truth_table(names), cell_name
        for pin in cell.inputs:
            assert pin.capacitance_ff == pytest.approx(other.pin(pin.name).capacitance_ff, rel=1e-3)


def test_malformed_tables_are_located() -> None:
    lines = table_text("sky130hd").splitlines()
    first = next(number for number, line in enumerate(lines) if "inv_1," in line)
    for spoiled in (
        lines[first].replace("3.7536", "big"),
        lines[first] + ",",
        lines[first].replace("A>Y-", "A>Y"),
        lines[first].replace("A=", "A:"),
    ):
        assert spoiled != lines[first]
        text = "\n".join([*lines[:first], spoiled, *lines[first + 1 :]])
        with pytest.raises(ValueError, match=rf"some\.csv, line {first + 1}: "):
            read_table(text, "some.csv")
    with pytest.raises(ValueError, match="'# voltage: …'"):
        read_table("\n".join(line for line in lines if "voltage" not in line), "some.csv")


# Timing


def straight(constant: float, per_load: float, per_slew: float) -> Table:
    slews, loads = (0.0, 100.0), (0.0, 10.0)
    return Table(
        slews,
        loads,
        tuple(tuple(constant + per_load * b + per_slew * a for b in loads) for a in slews),
    )


def toy_library() -> Library:
    """Delays and slews with numbers that a person can follow."""
    inverter = Cell(
        "INV",
        1.0,
        0.0,
        (Pin("A", "input", 2.0), Pin("Y", "output", function=parse("!A"))),
        (
            Arc(
                "A",
                "Y",
                NEGATIVE,
                cell_rise=straight(10, 1, 0.1),
                cell_fall=straight(5, 1, 0),
                rise_transition=straight(20, 2, 0),
                fall_transition=straight(10, 1, 0),
            ),
        ),
    )
    flip = Cell(
        "FLIP",
        5.0,
        0.0,
        (
            Pin("CK", "input", 1.0, is_clock=True),
            Pin("D", "input", 3.0),
            Pin("Q", "output", function=parse("IQ")),
        ),
        (
            Arc(
                "CK",
                "Q",
                EITHER,
                cell_rise=straight(100, 1, 0),
                cell_fall=straight(90, 1, 0),
                rise_transition=straight(40, 0, 0),
                fall_transition=straight(40, 0, 0),
            ),
        ),
        Register(
            "CK",
            True,
            parse("D"),
            "Q",
            setups=(Setup("D", straight(30, 0, 0), straight(60, 0.5, 0)),),
        ),
    )
    both = Cell(
        "NAND",
        1.5,
        0.0,
        (
            Pin("A", "input", 2.5),
            Pin("B", "input", 2.5),
            Pin("Y", "output", function=parse("!(A&B)")),
        ),
        tuple(
            Arc(
                pin,
                "Y",
                NEGATIVE,
                straight(10 + late, 1, 0),
                straight(10 + late, 1, 0),
                straight(10, 0, 0),
                straight(30, 0, 0),
            )
            for pin, late in (("A", 0), ("B", 7))
        ),
    )
    return Library("toy", {cell.name: cell for cell in (inverter, flip, both)}, 1.0)


def cell(kind: str, **pins: Any) -> dict[str, Any]:
    return {"type": kind, "connections": {pin: [net] for pin, net in pins.items()}}


def port(direction: str, *bits: Any) -> dict[str, Any]:
    return {"direction": direction, "bits": list(bits)}


def test_chain_of_three_gates_by_hand() -> None:
    module = {
        "ports": {"i": port("input", 2), "o": port("output", 5)},
        "cells": {
            "first": cell("INV", A=2, Y=3),
            "second": cell("INV", A=3, Y=4),
            "third": cell("INV", A=4, Y=5),
        },
    }
    timing = critical_path(module, toy_library(), input_slew_ps=50, output_load_ff=10)
    # Input falls:  first rises in 10 + 2 + 5 = 17 with slew 24; second falls in 5 + 2 = 7 with
    # slew 12; third rises in 10 + 10 + 1.2 = 21.2: 45.2 in all.
    # Input rises:  first falls in 7 with slew 12; second rises in 10 + 2 + 1.2 = 13.2;
    # third falls in 15: 35.2 in all.
    assert timing.period_ps == pytest.approx(45.2)
    assert timing.input_to_output_ps == pytest.approx(45.2)
    assert timing.register_to_register_ps == 0
    assert timing.unknown_types == ()
    assert [(step.cell, step.cell_type, step.pin, step.edge) for step in timing.path] == [
        ("", "", "i", "fall"),
        ("first", "INV", "Y", "rise"),
        ("second", "INV", "Y", "fall"),
        ("third", "INV", "Y", "rise"),
        ("", "", "o", "rise"),
    ]
    assert [step.arrival_ps for step in timing.path] == pytest.approx([0, 17, 24, 45.2, 45.2])
    assert net_loads(module, toy_library()) == {2: 2.0, 3: 2.0, 4: 2.0, 5: 10.0}


def registers() -> dict[str, Any]:
    """From an input and a register through a NAND to a register; from a register to an output."""
    return {
        "ports": {"clk": port("input", 2), "i": port("input", 3), "o": port("output", 4)},
        "cells": {
            "remark": {"type": "$scopeinfo", "connections": {}},
            "source": cell("FLIP", CK=2, D=6, Q=4),
            "nand": cell("NAND", A=3, B=4, Y=6),
            "sink": cell("FLIP", CK=2, D=6, Q=9),
        },
    }


def test_paths_between_registers_by_hand() -> None:
    timing = critical_path(registers(), toy_library(), input_slew_ps=20, output_load_ff=10)
    # The source sees the port and pin B: 12.5, so Q rises at 112.5; the NAND sees two D pins: 6,
    # so its output falls at 112.5 + 17 + 6 = 135.5; setup of falling data 60 + 0.5 × slew 30 = 75.
    assert timing.register_to_register_ps == pytest.approx(112.5 + 23 + 75)
    assert timing.register_to_output_ps == pytest.approx(112.5)
    assert timing.input_to_register_ps == pytest.approx(16 + 75)
    assert timing.input_to_output_ps == 0
    assert timing.period_ps == pytest.approx(210.5)
    assert timing.unknown_types == ()
    first, *_, last = timing.path
    assert (first.cell, first.pin, first.edge) == ("source", "CK", "rise")
    assert (last.pin, last.edge) == ("D", "fall")
    assert last.arrival_ps == pytest.approx(210.5)


def test_constants_never_arrive() -> None:
    module = registers()
    module["cells"]["nand"]["connections"]["B"] = ["1"]
    timing = critical_path(module, toy_library(), input_slew_ps=20)
    assert timing.register_to_register_ps == 0
    assert timing.input_to_register_ps == pytest.approx(16 + 75)


@pytest.mark.parametrize("directions", [{}, {"address": "input", "data": "output"}])
def test_unknown_cells_start_and_end_paths(directions: dict[str, str]) -> None:
    memory = {
        "type": "$mem_v2",
        "connections": {"address": [6], "data": [7]},
        "port_directions": directions,
    }
    module = {
        "ports": {"i": port("input", 2), "o": port("output", 8)},
        "cells": {
            "before": cell("INV", A=2, Y=6),
            "memory": memory,
            "after": cell("INV", A=7, Y=8),
        },
    }
    timing = critical_path(module, toy_library(), input_slew_ps=50, output_load_ff=10)
    assert timing.unknown_types == ("$mem_v2",)
    assert timing.input_to_register_ps == pytest.approx(10 + 5)
    assert timing.register_to_output_ps == pytest.approx(10 + 10 + 5)
    assert timing.input_to_output_ps == 0


def test_loops_are_errors() -> None:
    module = {
        "ports": {"i": port("input", 2), "o": port("output", 4)},
        "cells": {
            "gate": cell("NAND", A=2, B=4, Y=3),
            "back": cell("INV", A=3, Y=4),
            "beyond": cell("INV", A=4, Y=5),
        },
    }
    with pytest.raises(ValueError, match="combinational loop through 2 cells") as error:
        critical_path(module, toy_library())
    assert "gate (NAND)" in str(error.value)
    assert "beyond" not in str(error.value)
    module["cells"]["back"] = cell("INV", A=2, Y=3)
    with pytest.raises(ValueError, match="two drivers"):
        critical_path(module, toy_library())


def test_latest_pin_counts() -> None:
    module = {
        "ports": {"i": port("input", 2, 3), "o": port("output", 5)},
        "cells": {"late": cell("INV", A=2, Y=4), "nand": cell("NAND", A=4, B=3, Y=5)},
    }
    timing = critical_path(module, toy_library(), input_slew_ps=0, output_load_ff=0)
    assert timing.period_ps == pytest.approx(10 + 2.5 + 10)
    module["cells"]["nand"] = cell("NAND", A=3, B=4, Y=5)
    timing = critical_path(module, toy_library(), input_slew_ps=0, output_load_ff=0)
    assert timing.period_ps == pytest.approx(10 + 2.5 + 17)


@pytest.mark.parametrize("slow", ["A", "B"])
def test_slowest_slew_goes_on(slow: str) -> None:
    """The slew of the early pin counts, whichever of the two is looked at first."""
    library = toy_library()
    gate = library.cells["NAND"]
    arcs = tuple(
        Arc(
            arc.input,
            "Y",
            NEGATIVE,
            straight(10 if arc.input == slow else 20, 0, 0),
            straight(10 if arc.input == slow else 20, 0, 0),
            straight(50 if arc.input == slow else 30, 0, 0),
            straight(50 if arc.input == slow else 30, 0, 0),
        )
        for arc in gate.arcs
    )
    cells = {**library.cells, "NAND": replace(gate, arcs=arcs)}
    module = {
        "ports": {"i": port("input", 2, 3), "o": port("output", 5)},
        "cells": {"nand": cell("NAND", A=2, B=3, Y=4), "last": cell("INV", A=4, Y=5)},
    }
    timing = critical_path(module, replace(library, cells=cells), output_load_ff=0)
    assert timing.period_ps == pytest.approx(20 + 10 + 0.1 * 50)


def test_either_edge_may_cause_either_edge() -> None:
    library = toy_library()
    gate = library.cells["INV"]
    arcs = tuple(replace(arc, sense=EITHER) for arc in gate.arcs)
    library = replace(library, cells={**library.cells, "XOR": replace(gate, name="XOR", arcs=arcs)})
    module = {
        "ports": {"i": port("input", 2), "o": port("output", 4)},
        "cells": {"first": cell("INV", A=2, Y=3), "xor": cell("XOR", A=3, Y=4)},
    }
    timing = critical_path(module, library, input_slew_ps=0, output_load_ff=0)
    # The first output rises at 12 with slew 24, or falls at 7 with slew 12.
    assert timing.period_ps == pytest.approx(12 + 10 + 2.4)
    assert [step.edge for step in timing.path] == ["fall", "rise", "rise", "rise"]
    late_fall = replace(arcs[0], cell_rise=straight(0, 0, 0), cell_fall=straight(1, 0, 0))
    slow_fall = replace(gate, arcs=(replace(gate.arcs[0], cell_fall=straight(50, 0, 0)),))
    cells = {"INV": slow_fall, "XOR": replace(gate, name="XOR", arcs=(late_fall,))}
    timing = critical_path(module, replace(library, cells=cells), 0, 0)
    assert timing.period_ps == pytest.approx(51)
    assert [step.edge for step in timing.path] == ["rise", "fall", "fall", "fall"]


def test_path_keeps_to_the_edge_of_its_end() -> None:
    """Falling data comes earlier here, and yet counts, for its longer setup time."""
    module = {
        "ports": {"clk": port("input", 2), "i": port("input", 3)},
        "cells": {"inverter": cell("INV", A=3, Y=4), "sink": cell("FLIP", CK=2, D=4)},
    }
    timing = critical_path(module, toy_library(), input_slew_ps=20)
    assert timing.period_ps == pytest.approx(8 + 60 + 0.5 * 13)
    assert [step.edge for step in timing.path] == ["rise", "fall", "fall"]
    assert [step.arrival_ps for step in timing.path] == pytest.approx([0, 8, 74.5])


def test_forty_thousand_cells_take_under_three_seconds() -> None:
    library = parse_liberty(liberty_text(read_table(table_text("sky130hd"))))
    rng = random.Random(1)
    kind = library.nand2.name
    cells = {
        f"g{net}": cell(kind, A=rng.randrange(max(2, net - 300), net), B=net - 1, Y=net)
        for net in range(4, 40_004)
    }
    module = {"ports": {"i": port("input", 2, 3), "o": port("output", 40_003)}, "cells": cells}
    start = time.process_time()
    timing = critical_path(module, library)
    assert time.process_time() - start < 3
    assert len(timing.path) == 40_002


# Choosing a library


def test_builtin_library_is_written_once(tmp_path: Path) -> None:
    library, path = libraries.load_library("sky130hd", tmp_path)
    written = path.stat().st_mtime_ns
    again, same = libraries.load_library("sky130hd", tmp_path)
    assert same == path
    assert path.stat().st_mtime_ns == written
    assert again == library
    assert read_liberty(path) == library
    assert libraries.builtin_names() == sorted(NAMES)


def test_library_of_a_user(tmp_path: Path) -> None:
    packed = tmp_path / "mine.lib.gz"
    packed.write_bytes(gzip.compress(SMALL.replace("(gate)", "(my_dlygate)").encode()))
    library, path = libraries.load_library(packed, tmp_path / "build")
    assert set(library.cells) == {"flip"}  # a delay cell is none to map to
    assert path.parent == tmp_path / "build"
    assert "my_dlygate" in path.read_text()
    plain = tmp_path / "plain.lib"
    plain.write_text(SMALL)
    library, path = libraries.load_library(str(plain), tmp_path / "build")
    assert path == plain
    assert set(library.cells) == {"gate", "flip"}


def test_wrong_choices_say_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'sky131' is neither .* sg13g2, sky130hd, or a \.lib"):
        libraries.load_library("sky131", tmp_path)
    with pytest.raises(ValueError, match="is a folder"):
        libraries.load_library(tmp_path, tmp_path)
    cut = tmp_path / "cut.lib.gz"
    cut.write_bytes(gzip.compress(SMALL.encode())[:-20])
    with pytest.raises(ValueError, match="not a complete gzip file"):
        libraries.load_library(cut, tmp_path)
    empty = tmp_path / "empty.lib"
    empty.write_text("library (empty) { cell (filler) { area : 1; } }")
    with pytest.raises(ValueError, match="no cell"):
        libraries.load_library(empty, tmp_path)


def test_libraries_of_a_pdk(tmp_path: Path) -> None:
    for name, places in libraries.IN_PDK.items():
        with pytest.raises(ValueError, match=f"has no library {name}: expected .*{tmp_path}"):
            libraries.find_in_pdk(tmp_path, name)
        file = tmp_path / places[0]
        file.parent.mkdir(parents=True)
        file.write_text(SMALL)
        assert libraries.find_in_pdk(tmp_path, name) == file
    with pytest.raises(ValueError, match="use one of sg13g2, sky130hd"):
        libraries.find_in_pdk(tmp_path, "gf180")


MAPPING: Callable[..., str] = """
import sys
from pyosys import libyosys
source, liberty, netlist, options = sys.argv[1:]
design = libyosys.Design()
for command in (
    f"read_verilog {{source}}", "hierarchy -top top", "proc", "flatten", "opt", "techmap", "opt",
    f"dfflibmap {{options}} -liberty {{liberty}}",
    f"abc {{options}} -liberty {{liberty}} -script +strash;dch,-f;amap;topo;stime,-p",
    "hilomap -hicell {high} -locell {low}", "opt_clean", f"read_liberty -lib {{liberty}}",
    "check -assert -mapped", f"write_json {{netlist}}",
):
    libyosys.run_pass("tee -q " + command, design)
""".format

MULTIPLIER = """
module top(input clk, input [3:0] a, b, output reg [7:0] o, output one);
  always @(posedge clk) o <= a * b + o;
  assign one = 1;
endmodule
"""


def test_yosys_and_abc_accept_the_tables(builtin: tuple[str, Library], tmp_path: Path) -> None:
    name, library = builtin
    _, liberty = libraries.load_library(name, tmp_path)
    source, netlist = tmp_path / "top.v", tmp_path / "top.json"
    source.write_text(MULTIPLIER)
    high, low = (" ".join((cell.name, pin)) for cell, pin in (library.tie_high, library.tie_low))
    program = MAPPING(high=high, low=low)
    options = libraries.dont_use_options()
    command = [sys.executable, "-c", program, str(source), str(liberty), str(netlist), options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    module = json.loads(netlist.read_text())["modules"]["top"]
    kinds = [cell["type"] for cell in module["cells"].values()]
    assert set(kinds) <= set(library.cells)
    assert kinds.count(library.flip_flop.name) == 8
    timing = critical_path(module, library)
    assert timing.unknown_types == ()
    assert 500 < timing.register_to_register_ps < 6000
    assert timing.period_ps == pytest.approx(timing.path[-1].arrival_ps)
