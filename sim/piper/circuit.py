"""A pipeline in C++: the circuit itself, at hundreds of thousands of cycles a second."""

from collections.abc import Sequence

import numpy as np

from golden.piper import Settings, Table
from hdl.datapath import find_datapath
from hdl.piper.configurations import PiperConfiguration
from hdl.piper.counters import SIZES
from hdl.piper.parameters import Parameters
from hdl.piper.schemas import CRITEO
from sim.piper.beats import FULL, BeatReader, Output, bus_beats
from sim.piper.counters import COUNTERS
from sim.piper.reference import Mismatch, Reference
from sim.stream_runner import StreamRun, build_stream_runner

#: Cycles that a run may take for each beat in and out, besides those of clearing.
PATIENCE = 40


class Circuit:
    """One pipeline with on-chip vocabularies, and its golden model beside it."""

    def __init__(self, parameters: Parameters) -> None:
        if parameters.off_chip:
            raise ValueError(f"{parameters.name}: its memory outside is not modelled in C++")
        self.parameters = parameters
        self.reference = Reference(parameters)
        self._reader = BeatReader(parameters)
        self._runner = build_stream_runner(PiperConfiguration(parameters).build())
        self._runner.reset()
        self._runner.set(clear=0, counter=0)

    def set(self, settings: Settings) -> None:
        self.settings = settings
        self._runner.set(
            modulus=settings.modulus, mode=settings.mode, unseen_index=settings.unseen_index
        )

    def clear(self) -> None:
        """Forget everything, by the port."""
        self._runner.set(clear=1)
        self._runner.tick()
        self._runner.set(clear=0)
        self.reference.model.clear()

    def send(
        self,
        data_sets: Sequence[bytes],
        *,
        pause: str = "flowing",
        stall: str = "flowing",
        seed: int = 1,
        layout: str = FULL,
        shifts: Sequence[int] = (),
    ) -> tuple[list[Output], list[Table], StreamRun]:
        """What comes out of data sets, one behind the other, and what should."""
        p, rng = self.parameters, np.random.default_rng(seed)
        tables = [self.reference.expect(data, self.settings) for data in data_sets]
        beats = np.concatenate(
            [
                bus_beats(data, p.bus_bytes, rng, layout, shifts[number] if shifts else 0)
                for number, data in enumerate(data_sets)
            ]
        )
        rows = sum(len(table.all_causes) for table in tables)
        run = self._runner.run(
            {"i": beats},
            {"o": sum(len(table.words) * p.beats + 1 for table in tables)},
            pause=pause,
            stall=stall,
            seed=seed,
            limit=PATIENCE * (len(beats) + rows * p.beats) + 4 * p.entries + 1000,
            until_idle=True,
        )
        return self._reader.read(run.received["o"]), tables, run

    def compare(
        self, outputs: Sequence[Output], tables: Sequence[Table]
    ) -> tuple[int, Mismatch | None]:
        """How many values, counters and sizes were compared, and the first that differs."""
        if len(outputs) != len(tables):
            return 1, Mismatch(0, "number of data sets", len(outputs), len(tables))
        compared = 0
        for output, table in zip(outputs, tables, strict=True):
            count, mismatch = self.reference.compare(output, table)
            compared += count
            if mismatch:
                return compared, mismatch
        expected = {**self.reference.counters(), **self._expected_sizes()}
        for name, value in expected.items():
            compared += 1
            if (found := self.counter(name)) != value:
                return compared, Mismatch(0, f"counter {name}", found, value)
        return compared, None

    def counter(self, name: str) -> int:
        """One of ``COUNTERS``, or ``size of`` a column."""
        addresses = COUNTERS | {
            f"size of {column.name}": SIZES + number
            for number, column in enumerate(self.parameters.schema.columns)
        }
        self._runner.set(counter=addresses[name])
        self._runner.tick(2)
        return self._runner.get("counter_value")

    def _expected_sizes(self) -> dict[str, int]:
        columns = self.parameters.schema.columns
        sizes = self.reference.model.vocabulary_sizes
        return {f"size of {column.name}": size for column, size in zip(columns, sizes, strict=True)}


def click_log_pipelines() -> list[Parameters]:
    """Those of the named configurations that read click logs, and differ only in their width."""
    found = []
    for each in find_datapath("piper").configurations:
        assert isinstance(each, PiperConfiguration)
        p = each.parameters
        if p == Parameters(CRITEO, p.bus_bytes, p.lanes):
            found.append(p)
    return found


def cycles_per_row(parameters: Parameters, run: StreamRun) -> float:
    """Between the ends of the first and the last row that came out of one data set."""
    ends = run.received_at["o"][:-1][parameters.beats - 1 :: parameters.beats]
    return float(ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else float("nan")
