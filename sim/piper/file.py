"""``make sim DATAPATH=piper INPUT=file``: a user's own rows through the circuit.

Every word that comes out is compared with the golden model. Prints rows, flags, cycles a row and
the sizes of the vocabularies; a mismatch names line and column.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from golden.piper import Cause, Mode, Settings, Table
from hdl.datapath import find_datapath
from hdl.piper.configurations import PiperConfiguration
from hdl.piper.parameters import BadRows, Source
from sim.console import Column, LiveTable, run_command
from sim.piper.beats import Output
from sim.piper.circuit import Circuit, cycles_per_row
from sim.piper.reference import Mismatch
from sim.selection import SettingsParser

DEFAULT = "criteo-text-8B-2lanes-8192"
DEFAULT_MODULUS = 5000
#: How many columns of the vocabulary sizes go on one line.
SIZES_A_LINE = 8


def main() -> int:
    options = _parse()
    try:
        configuration = find_datapath("piper").configuration(options.config or DEFAULT)
        assert isinstance(configuration, PiperConfiguration)
        data = Path(options.input).read_bytes()
        circuit = Circuit(configuration.parameters)
        circuit.set(Settings(Mode.FUSED, options.modulus, unseen_index=0xFFFF_FFFF))
    except ValueError as error:
        print(f"assay: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"assay: cannot read {options.input}: {error.strerror}", file=sys.stderr)
        return 2
    outputs, tables, run = circuit.send([data])
    compared, mismatch = circuit.compare(outputs, tables)
    _show(circuit, tables[0], cycles_per_row(circuit.parameters, run), run.cycles)
    if mismatch:
        print(f"differs from the golden model: {_place(circuit, tables[0], mismatch)}")
        return 1
    print(f"{compared:,} values equal those of the golden model")
    if options.output:
        _write(circuit, outputs[0], Path(options.output))
    return 0


def _parse() -> argparse.Namespace:
    parser = SettingsParser(prog="make sim DATAPATH=piper INPUT=", description=__doc__)
    parser.add_argument("--datapath", type=_datapath, default="")
    parser.add_argument("--input", required=True)
    parser.add_argument("--config", default="")
    parser.add_argument("--modulus", type=_modulus, default=DEFAULT_MODULUS)
    parser.add_argument("--output", default="")
    return parser.parse_args()


def _datapath(text: str) -> str:
    if text not in ("", "piper"):
        raise argparse.ArgumentTypeError(f"DATAPATH is {text!r}: INPUT is for piper alone")
    return text


def _modulus(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"MODULUS is {text!r}; allowed are 0 to {(1 << 32) - 1}")
    return int(text)


def _show(circuit: Circuit, table: Table, row_cycles: float, cycles: int) -> None:
    totals = table.totals
    columns = [Column("configuration", len(circuit.parameters.name), right=False)]
    columns += [Column(title, 12) for title in ("rows", "bad rows", "rows out", "cycles")]
    columns += [Column("cycles/row", 12)]
    with LiveTable(columns, 1, "simulating") as shown:
        shown.add(
            [
                circuit.parameters.name,
                f"{totals.rows:,}",
                f"{totals.flagged:,}",
                f"{len(table.words):,}",
                f"{cycles:,}",
                f"{row_cycles:.2f}",
            ]
        )
    found = [
        f"{cause.name.lower().replace('_', ' ')} {totals.causes[cause]:,}"
        for cause in Cause
        if totals.causes[cause]
    ]
    if found:
        print(f"  rows flagged: {', '.join(found)}")
    if totals.unseen:
        print(f"  values without a number: {totals.unseen:,}, too large {totals.overflowed:,}")
    sizes = [
        f"{column.name} {circuit.counter(f'size of {column.name}'):,}"
        for column in circuit.parameters.schema.columns
        if column.has_vocabulary
    ]
    for at in range(0, len(sizes), SIZES_A_LINE):
        title = "vocabulary sizes:" if at == 0 else " " * len("vocabulary sizes:")
        print(f"  {title} {', '.join(sizes[at : at + SIZES_A_LINE])}")


def _place(circuit: Circuit, table: Table, mismatch: Mismatch) -> str:
    """The mismatch, with the line of the file that its row was read from."""
    bad = table.all_causes & (1 << Cause.NO_FINAL_NEWLINE) - 1 != 0
    drops = circuit.parameters.bad_rows is BadRows.DROP
    lines = np.flatnonzero(~bad) if drops else np.arange(len(bad))
    if circuit.parameters.source is Source.BINARY or mismatch.row >= len(lines):
        return str(mismatch)
    return f"line {lines[mismatch.row] + 1}, {mismatch}"


def _write(circuit: Circuit, output: Output, file: Path) -> None:
    from sim.piper.dataframe import write_parquet  # its packages are large, and not always there

    write_parquet(circuit.parameters.schema, output, file)
    print(f"written: {file}")


if __name__ == "__main__":
    run_command(main)
