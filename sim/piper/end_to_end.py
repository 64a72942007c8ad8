"""``make end-to-end``: rows a second of the pipeline, of NumPy and polars here, and as published.

NumPy and polars get the same text, circuits its first rows, and every value that they give is
compared. Each line says whether it was measured here and now, simulated, or published by others.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from golden.piper import Mode, Preprocessor, Settings, Table
from hdl.export import export
from hdl.piper.configurations import PiperConfiguration
from hdl.piper.parameters import Parameters
from hdl.piper.schemas import CRITEO
from sim import results
from sim.cache import fingerprint
from sim.console import Column, LiveTable, run_command
from sim.piper.circuit import Circuit, click_log_pipelines, cycles_per_row
from sim.piper.dataframe import polars, preprocess_click_log
from sim.piper.reference import LOGARITHM_ULP, golden_columns
from sim.piper.rows import criteo_rows
from sim.selection import SettingsParser, positive

ROWS = 200_000
MODULUS = 5000
ENTRIES = 8192
T = TypeVar("T")
#: Each software is timed so often; the best counts.
REPEATS = 3
CLOCK_MHZ = 250
#: Rows that the circuits are given at most.
SIMULATED_ROWS = 20_000
#: Rows of the data set that the published runs prepared.
PUBLISHED_ROWS = 45_840_617
#: Seconds from the authors' logs, in their public repository.
PUBLISHED = (
    ("CPU, text, M = 10^6, 16 processes", 474.4, "their Python; CPU not named in the log"),
    ("CPU, binary, M = 5000, 1 process", 1173.7, "their Python; CPU not named in the log"),
    ("GPU, Parquet, 8K vocabulary", 12.3, "NVTabular, best run; GPU not named in the log"),
    ("GPU, Parquet, 512K vocabulary", 69.0, "NVTabular, best run; GPU not named in the log"),
)


@dataclass(frozen=True)
class Line:
    """One line of the table. kind: "measured", "simulated" or "published"."""

    what: str
    kind: str
    rows_per_second: float
    note: str


def main() -> int:
    options = _parse()
    text = criteo_rows(np.random.default_rng(1), options.rows)
    print(
        f"{options.rows:,} rows, {len(text) / options.rows:.1f} bytes a row, M = {MODULUS}; "
        "text in, columns out, numbers by first appearance, one pass\n"
        "Assay: W bytes and F columns a cycle"
    )
    columns = [
        Column("what", 33, right=False),
        Column("kind", 9, right=False),
        Column("rows/s", 12),
        Column("note", 0, right=False),
    ]
    shown = []
    with LiveTable(columns, len(PUBLISHED) + 2, "comparing") as table:
        for line in _lines(text, options.rows):
            shown.append(line)
            table.add([line.what, line.kind, f"{line.rows_per_second:,.0f}", line.note])
    made = datetime.now(UTC).isoformat(timespec="seconds")
    results.update(
        "end_to_end", ({"datapath": "piper", "made": made, **asdict(line)} for line in shown)
    )
    return 0


def _parse() -> argparse.Namespace:
    parser = SettingsParser(prog="make end-to-end", description=__doc__)
    parser.add_argument("--rows", type=positive("ROWS"), default=ROWS)
    return parser.parse_args()


def _lines(text: bytes, rows: int) -> Iterator[Line]:
    settings = Settings(Mode.FUSED, MODULUS)
    seconds, table = _time(lambda: _golden().text(text, settings))
    yield Line("NumPy, one process", "measured", rows / seconds, "this project's golden model")
    seconds, frame = _time(lambda: preprocess_click_log(text, CRITEO, MODULUS))
    compared = _compare(frame, table)
    threads = polars.thread_pool_size()
    note = f"{threads} threads of {os.cpu_count()} cores; {compared:,} values equal NumPy's"
    yield Line("polars", "measured", rows / seconds, note)
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
    first_rows = text[: int(ends[min(rows, SIMULATED_ROWS) - 1]) + 1]
    for parameters in click_log_pipelines():
        yield from _of_circuit(parameters, first_rows, settings)
    for what, total, note in PUBLISHED:
        yield Line(what, "published", PUBLISHED_ROWS / total, note)


def _golden() -> Preprocessor:
    return Preprocessor(golden_columns(CRITEO), ENTRIES)


def _time(work: Callable[[], T]) -> tuple[float, T]:
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        outcome = work()
        best = min(best, time.perf_counter() - started)
    return best, outcome


def _compare(frame: "polars.DataFrame", table: Table) -> int:
    """How many values were compared. Ends the program if one differs."""
    compared = 0
    for number, column in enumerate(CRITEO.columns):
        values = frame.get_column(column.name).to_numpy()
        got = values.view(np.uint32).astype(np.int64)
        allowed = LOGARITHM_ULP if values.dtype == np.float32 else 0
        wrong = np.abs(got - table.words[:, number].astype(np.int64)) > allowed
        if wrong.any():
            row = int(wrong.argmax())
            sys.exit(f"assay: polars differs from the golden model in row {row}, {column.name}")
        compared += len(values)
    return compared


def _of_circuit(p: Parameters, text: bytes, settings: Settings) -> Iterator[Line]:
    """At a clock of all and, if it was mapped, at its own."""
    circuit = Circuit(p)
    circuit.set(settings)
    outputs, tables, run = circuit.send([text])
    compared, mismatch = circuit.compare(outputs, tables)
    if mismatch:
        sys.exit(f"assay: {p.name} differs from the golden model: {mismatch}")
    cycles = cycles_per_row(p, run)
    name = f"Assay, W = {p.bus_bytes}, F = {p.lanes}"
    note = f"{cycles:.2f} cycles a row, {compared:,} values equal"
    yield Line(f"{name}, {CLOCK_MHZ} MHz", "simulated", CLOCK_MHZ * 1e6 / cycles, note)
    made_of = fingerprint(export(PiperConfiguration(p).build()))
    for cost in results.read()["synth"]:
        if (cost["circuit"], cost["target"]) == (made_of, "clock"):
            clock_ps = max(cost["critical_path_ps"], cost["target_ps"])
            note = f"mapped to {cost['library']}: {1e6 / clock_ps:.0f} MHz, without layout"
            yield Line(f"{name}, mapped", "simulated", 1e12 / clock_ps / cycles, note)


if __name__ == "__main__":
    run_command(main)
