"""Rows as a DuckDB file: table `rows` with DECIMAL and TIMESTAMPTZ, `columns` with units, `about`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from host_tools import rows as rows_of
from host_tools.outputs import extra
from host_tools.outputs.columns import FORMAT, chunks, columns
from host_tools.rows import Row


def errors() -> tuple[type[Exception], ...]:
    return (extra("duckdb").Error,)


def write(rows: Sequence[Row], path: Path) -> None:
    duckdb = extra("duckdb")
    extra("pyarrow")
    from host_tools.outputs import arrow

    base = duckdb.connect(str(path))
    try:
        base.execute("SET memory_limit = '256MB'")
        base.execute("SET threads = 1")
        base.register("arrived", arrow.schema().empty_table())
        base.execute("CREATE TABLE rows AS SELECT * FROM arrived")
        for part in chunks(rows):
            base.unregister("arrived")
            base.register("arrived", arrow.batch(part))
            base.execute("INSERT INTO rows SELECT * FROM arrived")
        base.unregister("arrived")
        base.execute("CREATE TABLE columns (name VARCHAR, unit VARCHAR, decimals INTEGER)")
        base.executemany(
            "INSERT INTO columns VALUES (?, ?, ?)", [(c.name, c.unit, c.decimals) for c in columns()]
        )
        base.execute("CREATE TABLE about (name VARCHAR, value VARCHAR)")
        base.executemany(
            "INSERT INTO about VALUES (?, ?)", [("format", FORMAT), ("decoder", rows_of.decoder())]
        )
        base.execute("CHECKPOINT")
    finally:
        base.close()
