"""Makes a compact cell table from a full Liberty file: ``python -m synth.extract_cells LIB NAME``.

Areas, capacitances, functions, leakage and energies are copied. Delays and slews are fitted, each
edge of each arc on its own, over the slews and loads that mapped circuits really have.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from synth.cell_table import (
    SENSES,
    CellTable,
    Linear,
    LinearArc,
    LinearEdge,
    LinearSetup,
    RegisterRow,
    Row,
    write_table,
)
from synth.liberty import read_liberty
from synth.library import Arc, Cell, Library, Table

SLEW_FACTORS = (0.5, 1.0, 1.5, 2.5, 4.0)
"""Input slews of the fit, in slews of an inverter that drives four like itself."""

LOAD_FACTORS = (0.05, 0.15, 0.3, 0.5, 1.0)
"""Loads of the fit, in loads at which the output is as slow as the slowest of these slews."""


@dataclass(frozen=True)
class Process:
    """A library that has a built-in table: where it is from, and the cells worth a row."""

    prefix: str
    origin: str
    cells: str

    @property
    def names(self) -> list[str]:
        return [f"{self.prefix}{cell}" for cell in self.cells.split()]


PROCESSES = {
    "sky130hd": Process(
        "sky130_fd_sc_hd__",
        "sky130_fd_sc_hd of the open SKY130 PDK (Apache-2.0)",
        "inv_1 clkinv_1 inv_2 inv_4 inv_6 inv_8 buf_1 buf_2 buf_4 buf_6 "
        "nand2_1 nand2_2 nand2_4 nand2_8 nand3_1 nand3_2 nand3_4 nand4_1 nand4_2 nand4_4 "
        "nand2b_1 nand2b_2 nand3b_1 nand3b_2 nor2_1 nor2_2 nor2_4 nor3_1 nor2b_1 nor2b_2 "
        "and2_0 and3_1 or2_0 or2_1 or2_2 or3_1 xor2_1 xnor2_1 "
        "a21oi_1 a21oi_2 a22oi_1 a31oi_1 a211oi_1 a222oi_1 a21boi_0 a21boi_1 a21o_1 a31o_1 "
        "o21ai_0 o21ai_1 o21ai_2 o22ai_1 o31ai_1 o32ai_1 o211ai_1 o221ai_1 o21a_1 "
        "mux2_1 mux4_1 maj3_1 ha_1 fa_1 dfxtp_1 conb_1",
    ),
    "sg13g2": Process(
        "sg13g2_",
        "sg13g2_stdcell of the open SG13G2 PDK (Apache-2.0)",
        "inv_1 inv_2 inv_4 inv_8 buf_1 buf_2 buf_4 buf_8 "
        "nand2_1 nand2_2 nand3_1 nand4_1 nand2b_1 nand2b_2 nand3b_1 "
        "nor2_1 nor2_2 nor3_1 nor3_2 nor4_1 nor2b_1 nor2b_2 "
        "and2_1 and2_2 and3_1 and4_1 or2_1 or2_2 or3_1 or4_1 xor2_1 xnor2_1 "
        "a21oi_1 a21oi_2 a22oi_1 a221oi_1 a21o_1 a21o_2 o21ai_1 "
        "mux2_1 mux2_2 mux4_1 dfrbp_1 tiehi tielo",
    ),
}


def extract(library: Library, name: str) -> CellTable:
    """The table of a process of ``PROCESSES`` from its full library.

    Raises:
        ValueError: The library lacks a cell of the process.
    """
    process = PROCESSES[name]
    missing = [cell for cell in process.names if cell not in library.cells]
    if missing:
        raise ValueError(f"library {library.name} has no usable cell {', '.join(missing)}")
    slew = _typical_slew(library)
    return CellTable(
        remarks={
            "library": library.name,
            "origin": process.origin,
            "made by": f"python -m synth.extract_cells {library.name}.lib {name}",
            "voltage": f"{library.voltage:g}",
            "temperature": f"{library.temperature:g}",
        },
        rows=tuple(_row(library.cells[cell], slew) for cell in process.names),
    )


def _typical_slew(library: Library) -> float:
    """Slew of an inverter that drives four like itself and is driven by another such one."""
    inverter = library.inverter
    load = 4 * inverter.inputs[0].capacitance_ff
    slew = 0.0
    for _ in range(20):
        tables = (inverter.arcs[0].rise_transition, inverter.arcs[0].fall_transition)
        slew = sum(table.at(slew, load) for table in tables if table) / 2
    return slew


def _row(cell: Cell, slew: float) -> Row:
    functions = {
        pin.name: _state(cell, pin.name) if cell.register else str(pin.function)
        for pin in cell.outputs
    }
    return Row(
        cell=cell.name,
        area_um2=cell.area_um2,
        leakage_nw=cell.leakage_nw,
        capacitance_ff={pin.name: pin.capacitance_ff for pin in cell.inputs},
        functions=functions,
        energy_fj={pin.name: pin.energy_fj for pin in cell.pins if abs(pin.energy_fj) >= 0.01},
        register=_register(cell, slew),
        arcs=tuple(_arcs(cell, slew)),
    )


def _state(cell: Cell, output: str) -> str:
    register = cell.register
    return "IQ" if register and output == register.output else "IQ_N"


def _register(cell: Cell, slew: float) -> RegisterRow | None:
    register = cell.register
    if register is None:
        return None
    slews = [factor * slew for factor in SLEW_FACTORS]
    setups = []
    for setup in register.setups:
        if setup.pin in register.next_state.variables and setup.rise and setup.fall:
            rise, fall = (
                np.polyfit(slews, [table.at(slew, data) for data in slews], 1)[::-1]
                for table in (setup.rise, setup.fall)
            )
            setups.append(LinearSetup(setup.pin, (rise[0], rise[1]), (fall[0], fall[1])))
    return RegisterRow(
        clock=register.clock if register.rising else f"!{register.clock}",
        next_state=str(register.next_state),
        clear=str(register.clear or ""),
        preset=str(register.preset or ""),
        setups=tuple(setups),
    )


def _arcs(cell: Cell, slew: float) -> Iterator[LinearArc]:
    """One formula for each pair of pins and sense: the slowest of the arcs the library has."""
    together: dict[tuple[str, str, str], list[Arc]] = {}
    for arc in cell.arcs:
        if cell.register is None or arc.input == cell.register.clock:
            together.setdefault((arc.input, arc.output, arc.sense), []).append(arc)
    signs = {sense: sign for sign, sense in SENSES.items()}
    for (source, target, sense), arcs in together.items():
        rise = _edge([arc.cell_rise for arc in arcs], [arc.rise_transition for arc in arcs], slew)
        fall = _edge([arc.cell_fall for arc in arcs], [arc.fall_transition for arc in arcs], slew)
        yield LinearArc(source, target, signs[sense], rise, fall)


def _edge(delays: Sequence[Table | None], slews: Sequence[Table | None], slew: float) -> LinearEdge:
    delay_tables = [table for table in delays if table]
    slew_tables = [table for table in slews if table]
    largest = _load(slew_tables, slew, SLEW_FACTORS[-1] * slew)
    points = [(factor * slew, part * largest) for factor in SLEW_FACTORS for part in LOAD_FACTORS]
    return LinearEdge(_fit(delay_tables, points, slew), _fit(slew_tables, points, slew))


def _load(tables: Sequence[Table], slew: float, limit: float) -> float:
    """The load at which the output is as slow as ``limit``, on the tables' own points."""
    columns = tables[0].columns
    slows = [max(table.at(slew, load) for table in tables) for load in columns]
    for (low, first), (high, second) in pairwise(zip(columns, slows, strict=True)):
        if second >= limit:
            return low + (limit - first) / (second - first) * (high - low)
    return columns[-1]


def _fit(tables: Sequence[Table], points: Sequence[tuple[float, float]], slew: float) -> Linear:
    """Least squares of the relative error, of the slowest table at each point."""
    values = np.array([max(table.at(*point) for table in tables) for point in points])
    weights = 1 / (np.abs(values) + slew / 2)
    terms = np.array([(1.0, load, before) for before, load in points])
    solution = np.linalg.lstsq(terms * weights[:, None], values * weights, rcond=None)[0]
    return Linear(*(float(value) for value in solution))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a compact cell table from a Liberty file.")
    parser.add_argument("liberty", type=Path, help="full library, .lib or .lib.gz")
    parser.add_argument("name", choices=sorted(PROCESSES), help="process to make the table of")
    arguments = parser.parse_args()
    names = set(PROCESSES[arguments.name].names)
    try:
        table = extract(read_liberty(arguments.liberty, names.__contains__), arguments.name)
    except (OSError, ValueError) as error:
        sys.exit(f"extract_cells: {error}")
    file = Path(__file__).parent / "cells" / f"{arguments.name}.csv"
    file.write_text(write_table(table))
    print(f"{file.name}: {len(table.rows)} cells")


if __name__ == "__main__":
    main()
