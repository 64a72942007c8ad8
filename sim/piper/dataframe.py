"""The same work in polars, and rows of a pipeline as an Arrow table.

Needs the packages of the extra ``dataframes``.
"""

import io
from pathlib import Path

import numpy as np
import polars
import pyarrow
import pyarrow.parquet

from golden.piper import Table
from hdl.piper.logarithm import Logarithm
from hdl.piper.neg2zero import Neg2Zero
from hdl.piper.schema import Base, Column, Schema
from sim.piper.beats import Output


def arrow_table(schema: Schema, output: Output | Table) -> pyarrow.Table:
    """Rows as they came out, one Arrow column for each column of the schema.

    float32 behind a logarithm, uint32 for hexadecimal columns and whatever is numbered or put into
    buckets, int32 for the other decimal ones. A value without a number is null; ``causes`` is a
    column of its own, behind the others.
    """
    columns = {}
    for number, column in enumerate(schema.columns):
        words = np.ascontiguousarray(output.words[:, number])
        unseen = np.ascontiguousarray(output.unseen[:, number])
        columns[column.name] = pyarrow.array(words.view(_type(column)), mask=unseen)
    columns["causes"] = pyarrow.array(output.causes.astype(np.uint16))
    return pyarrow.table(columns)


def write_parquet(schema: Schema, output: Output | Table, file: Path) -> None:
    pyarrow.parquet.write_table(arrow_table(schema, output), file)


def _type(column: Column) -> type:
    if column.steps and isinstance(column.steps[-1], Logarithm):
        return np.float32
    keeps_sign = all(isinstance(step, Neg2Zero) for step in column.steps)
    return np.int32 if column.base is Base.DECIMAL and keeps_sign else np.uint32


def preprocess_click_log(data: bytes, schema: Schema, modulus: int) -> polars.DataFrame:
    """Good rows of a click log prepared by polars, on all cores, as it is done best there."""
    sparse = [column.name for column in schema.columns if column.has_vocabulary]
    label, *dense = [column.name for column in schema.columns if not column.has_vocabulary]
    types: dict[str, type[polars.DataType]] = dict.fromkeys((label, *dense), polars.Int32)
    types |= dict.fromkeys(sparse, polars.String)
    frame = polars.read_csv(
        io.BytesIO(data), separator="\t", has_header=False, schema=types, quote_char=None
    )
    frame = (
        frame.lazy()
        .with_columns(
            polars.col(label).fill_null(0),
            *(
                polars.col(name)
                .fill_null(0)
                .clip(lower_bound=0)
                .cast(polars.Float64)
                .log1p()
                .cast(polars.Float32)
                for name in dense
            ),
            *(
                polars.col(name)
                .fill_null("0")
                .str.to_integer(base=16, dtype=polars.Int64)
                .mod(modulus)
                .cast(polars.UInt32)
                for name in sparse
            ),
        )
        .collect()
    )
    return frame.with_columns(_numbered(frame.get_column(name)) for name in sparse)


def _numbered(values: polars.Series) -> polars.Series:
    """Numbers by first appearance."""
    distinct = values.unique(maintain_order=True)
    numbers = polars.Series(np.arange(len(distinct), dtype=np.uint32))
    return values.replace_strict(distinct, numbers)
