"""Rows as Arrow batches: what Parquet is written from, and what DuckDB reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from host_tools import rows as rows_of
from host_tools.outputs import extra
from host_tools.outputs.columns import FORMAT, Column, columns, getters, present
from host_tools.rows import Row


def _type(column: Column) -> Any:
    pa = extra("pyarrow")

    if column.form == "time":
        return pa.timestamp("us", tz="UTC")
    form, many = column.form.removesuffix("s"), column.form.endswith("s")
    if form in ("decimal", "wide"):
        found = pa.decimal128(column.digits, column.decimals)
    else:
        found = pa.int64() if form == "integer" else pa.string()
    return pa.list_(found) if many else found


@cache
def schema() -> Any:
    """The schema of all columns; its metadata say what made the values and, for each, the unit."""
    pa = extra("pyarrow")

    fields = [pa.field(c.name, _type(c), metadata={"unit": c.unit} if c.unit else None) for c in columns()]
    return pa.schema(fields, metadata={"lanterne.format": FORMAT, "lanterne.decoder": rows_of.decoder()})


def batch(rows: Sequence[Row]) -> Any:
    """Rows as one batch with every column."""
    pa = extra("pyarrow")

    whole, there = schema(), present(rows)
    made = [
        pa.array([get(row) for row in rows], type=whole.field(name).type)
        if name in there
        else pa.nulls(len(rows), whole.field(name).type)
        for name, get in getters().items()
    ]
    return pa.RecordBatch.from_arrays(made, schema=whole)
