"""Rows as an SQLite file. SQLite has no decimals, so that the table is exact and the view convenient.

Table `rows`: a value with decimals is the scaled integer that the device sent, in a column that says so: 40.1 W
is 401 in `power_w_x10`. Lists are JSON text, times are ISO 8601 in UTC and sort as they pass.
View `readings`: the same rows with `power_w` as the floating-point number next to 40.1, for looking at; sums that
must be right are made from `rows`. Table `columns`: name, column of `rows`, unit and decimals of each value;
`about`: format and decoder.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from host_tools import rows as rows_of
from host_tools.outputs import APPLICATION
from host_tools.outputs.columns import FORMAT, Column, chunks, columns, getters, present
from host_tools.rows import Row

_TYPES = {"integer": "INTEGER", "decimal": "INTEGER", "wide": ""}
_BIGGEST = (1 << 63) - 1


def errors() -> tuple[type[Exception], ...]:
    return (sqlite3.Error,)


def stored(column: Column) -> str:
    """Name of a column in the table `rows`."""
    return f"{column.name}_x{10**column.decimals}" if column.form == "decimal" else column.name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _cell(column: Column) -> Callable[[Row], Any]:
    get = getters()[column.name]
    form = column.form
    if column.name == "received_at":
        return lambda row: rows_of.utc(row.received_at)
    if form == "time":
        return lambda row: row.time or None
    if form == "decimal":
        places = column.decimals
        return lambda row: None if (v := get(row)) is None else int(v.scaleb(places))
    if form == "wide":
        # Above 64 bits with a sign the digits as text, which an untyped column keeps as they are.
        return lambda row: None if (v := get(row)) is None else int(v) if v <= _BIGGEST else str(int(v))
    if form.endswith("s"):
        return lambda row: None if (v := get(row)) is None else rows_of.json_text(v)
    return get


def _tables(base: sqlite3.Connection) -> None:
    all_of = columns()
    table = ", ".join(f"{_quoted(stored(c))} {_TYPES.get(c.form, 'TEXT')}".rstrip() for c in all_of)
    base.execute(f"CREATE TABLE rows ({table})")
    view = ", ".join(
        f"{_quoted(stored(c))} / {10**c.decimals}.0 AS {_quoted(c.name)}"
        if c.form == "decimal"
        else _quoted(c.name)
        for c in all_of
    )
    base.execute(f"CREATE VIEW readings AS SELECT {view} FROM rows")
    base.execute("CREATE TABLE columns (name TEXT, stored TEXT, unit TEXT, decimals INTEGER)")
    base.executemany(
        "INSERT INTO columns VALUES (?, ?, ?, ?)", [(c.name, stored(c), c.unit, c.decimals) for c in all_of]
    )
    base.execute("CREATE TABLE about (name TEXT, value TEXT)")
    base.executemany("INSERT INTO about VALUES (?, ?)", [("format", FORMAT), ("decoder", rows_of.decoder())])


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the file; its pages pass through a bounded cache."""
    base = sqlite3.connect(path, isolation_level=None)
    try:
        # The file is nobody's before it takes its place, so that a crash may leave anything in it.
        base.execute("PRAGMA journal_mode = OFF")
        base.execute("PRAGMA synchronous = OFF")
        base.execute(f"PRAGMA application_id = {APPLICATION}")
        base.execute("BEGIN")
        _tables(base)
        for part in chunks(rows):
            names = present(part)
            there = [c for c in columns() if c.name in names]
            cells = [_cell(c) for c in there]
            into = ", ".join(_quoted(stored(c)) for c in there)
            insert = f"INSERT INTO rows ({into}) VALUES ({', '.join('?' * len(cells))})"
            base.executemany(insert, ([cell(row) for cell in cells] for row in part))
        base.execute("CREATE INDEX rows_device ON rows (device, epoch, seq)")
        base.execute("CREATE INDEX rows_received ON rows (received_at)")
        base.execute("COMMIT")
    finally:
        base.close()
