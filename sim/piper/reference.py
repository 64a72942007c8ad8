"""The golden model of a configuration, and the comparison of an output with it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from golden.piper import (
    LOGARITHM,
    MODULUS,
    NEG2ZERO,
    VOCABULARY,
    Cause,
    Column,
    Preprocessor,
    Settings,
    Step,
    Table,
    bucketise_by,
)
from hdl.piper.bucketise import Bucketise
from hdl.piper.logarithm import Logarithm
from hdl.piper.modulus import Modulus
from hdl.piper.neg2zero import Neg2Zero
from hdl.piper.parameters import Parameters, Source
from hdl.piper.schema import Schema, Vocabulary
from hdl.piper.schema import Step as CircuitStep
from sim.piper.beats import Output

#: Units in the last place that a logarithm may be off: its definition is not rational.
LOGARITHM_ULP = 1

_STEPS: dict[type, Callable[..., Step]] = {
    Neg2Zero: lambda step: NEG2ZERO,
    Logarithm: lambda step: LOGARITHM,
    Modulus: lambda step: MODULUS,
    Bucketise: lambda step: bucketise_by(*step.boundaries),
    Vocabulary: lambda step: VOCABULARY,
}


def golden_step(step: CircuitStep) -> Step:
    """What an operator does. Raises ValueError for one that has no golden model."""
    if type(step) not in _STEPS:
        known = ", ".join(each.__name__ for each in _STEPS)
        raise ValueError(f"{type(step).__name__} has no golden model; there are: {known}")
    return _STEPS[type(step)](step)


def golden_columns(schema: Schema) -> tuple[Column, ...]:
    """The columns of a schema as the golden model knows them."""
    return tuple(
        Column(each.name, int(each.base), tuple(map(golden_step, each.steps)), each.missing)
        for each in schema.columns
    )


@dataclass(frozen=True)
class Mismatch:
    """The first difference. row: of the output; column: its name, or a property of the row."""

    row: int
    column: str
    got: int
    expected: int

    def __str__(self) -> str:
        return f"row {self.row}, {self.column}: got {self.got:#x}, expected {self.expected:#x}"


class Reference:
    """What a pipeline must give, data set by data set; it remembers what it numbered."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.model = Preprocessor(
            golden_columns(parameters.schema), parameters.entries, parameters.bad_rows.value
        )
        self._tolerance = np.array(
            [
                LOGARITHM_ULP * any(isinstance(step, Logarithm) for step in column.steps)
                for column in parameters.schema.columns
            ]
        )

    def expect(self, data: bytes, settings: Settings) -> Table:
        if self.parameters.source is Source.TEXT:
            return self.model.text(data, settings)
        return self.model.binary(data, settings, self.parameters.places)

    def compare(self, output: Output, table: Table) -> tuple[int, Mismatch | None]:
        """How many values were compared, and the first that differs."""
        shape = output.words.shape
        if shape != table.words.shape:
            return 1, Mismatch(0, "number of rows", shape[0], table.words.shape[0])
        got, expected = output.words.astype(np.int64), table.words.astype(np.int64)
        names = [column.name for column in self.parameters.schema.columns]
        kinds = (
            (np.abs(got - expected) > self._tolerance, got, expected, names),
            (
                output.unseen != table.unseen,
                output.unseen,
                table.unseen,
                [f"{name} unseen" for name in names],
            ),
            (
                (output.causes != table.causes)[:, None],
                output.causes[:, None],
                table.causes[:, None],
                ["causes"],
            ),
        )
        count = 0
        for wrong, actual, wanted, labels in kinds:
            count += wrong.size
            if wrong.any():
                row, column = map(int, np.argwhere(wrong)[0])
                return count, Mismatch(
                    row, labels[column], int(actual[row, column]), int(wanted[row, column])
                )
        return count, None

    def counters(self) -> dict[str, int]:
        """What the counters show, by the names in ``sim.piper.counters``."""
        totals = self.model.totals
        return {
            "rows": totals.rows,
            "flagged": totals.flagged,
            **{cause.name.lower(): totals.causes[cause] for cause in Cause},
            "unseen": totals.unseen,
            "overflowed": totals.overflowed,
        }
