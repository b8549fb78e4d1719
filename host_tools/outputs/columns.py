"""The columns that rows have in files with types: one fixed list from the field table, whatever the rows hold.

So files of different days go together, and a condition may name a column that no row of a capture has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any

from firmware.protocols import schema
from host_tools import rows as rows_of
from host_tools.rows import Row

# Rows that become columns at one time: what bounds the memory of writing.
CHUNK = 16384
FORMAT = "lanterne-rows/1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNSIGNED64 = 20  # digits of 2^64


@dataclass(frozen=True, slots=True)
class Column:
    """form: text, integer, wide (an integer that 64 bits with a sign may not hold), decimal, time, or texts,
    integers, decimals for lists. digits, decimals: of a decimal, as SQL's DECIMAL(digits, decimals) has them.

    part: what of a row it is from: "" the row itself, "values" or "lorawan"; key: its name there.
    """

    name: str
    form: str
    part: str = ""
    key: str = ""
    unit: str = ""
    digits: int = 0
    decimals: int = 0


_BASE = {
    "epoch": "integer",
    "seq": "integer",
    "purpose": "integer",
    "received_at": "time",
    "time": "time",
    "receptions": "integer",
}
# Of checkpoints, results, resent leaves and fragments, which no field table describes (rows.plain).
_PLAIN = {
    "covers": "integer",
    "head": "text",
    "cseq": "wide",
    "outcome": "text",
    "last_cseq": "wide",
    "plan": "text",
    "of_seq": "integer",
    "leaf": "text",
    "part": "integer",
    "parts": "integer",
}
_LORAWAN = {
    "mtype": "text",
    "mic": "text",
    "dev_addr": "text",
    "dev_eui": "text",
    "fcnt": "integer",
    "fport": "integer",
    "flags": "texts",
    "join": "text",
    "mac": "text",
    "payload": "text",
}


@cache
def columns() -> tuple[Column, ...]:
    """All columns: those that every row has, the values by name, those of LoRaWAN."""
    base = [Column(n, _BASE.get(n, "text")) for n in rows_of.COLUMNS if n not in rows_of.NESTED]
    values: dict[str, Column] = {}
    for number in schema.TYPES:
        for field in rows_of.table(number).values():
            if field.name in ("time", "time_unconfirmed", "pad") or field.shape == "reserved":
                continue
            made = _of(field)
            values[made.name] = _wider(values.get(made.name, made), made)
    for name, form in _PLAIN.items():
        values.setdefault(rows_of.value_column(name), _plain(name, form))
    lorawan = [Column("lorawan_" + n, form, "lorawan", n) for n, form in _LORAWAN.items()]
    return (*base, *(values[n] for n in sorted(values)), *lorawan)


def _plain(name: str, form: str) -> Column:
    digits = _UNSIGNED64 if form == "wide" else 0
    return Column(rows_of.value_column(name), form, "values", name, digits=digits)


def _of(field: rows_of.Field) -> Column:
    if field.name == "alarms":
        form = "texts"
    elif field.states or field.shape == "bytes":
        form = "text"
    else:
        form = "decimal" if field.decimals else "integer"
        form += "s" if field.shape == "vector" else ""
    digits = max(len(str(abs(field.lo))), len(str(field.hi)), field.decimals + 1)
    name = rows_of.value_column(field.column)
    return Column(name, form, "values", field.column, field.unit, digits, field.decimals)


def _wider(a: Column, b: Column) -> Column:
    """One column for both: message types may give one name different decimals and ranges."""
    if a.form == b.form and a.decimals == b.decimals:
        return a if a.digits >= b.digits else b
    numbers = {"integer", "decimal"}
    assert {a.form, b.form} <= numbers and a.unit == b.unit, (a, b)
    decimals = max(a.decimals, b.decimals)
    digits = max(a.digits - a.decimals, b.digits - b.decimals) + decimals
    return Column(a.name, "decimal", a.part, a.key, a.unit, digits, decimals)


def moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def _get(column: Column) -> Callable[[Row], Any]:
    key = column.key
    if column.part == "values":
        if column.form in ("decimal", "wide"):
            return lambda row: None if (v := row.values.get(key)) is None else Decimal(v)  # type: ignore[arg-type]
        if column.form == "decimals":
            return lambda row: None if (v := row.values.get(key)) is None else [Decimal(x) for x in v]  # type: ignore[union-attr]
        return lambda row: row.values.get(key)
    if column.part == "lorawan":
        if key in ("join", "mac"):
            return lambda row: None if key not in row.lorawan else rows_of.json_text(row.lorawan[key])
        return lambda row: row.lorawan.get(key)
    if column.name == "received_at":
        return lambda row: moment(row.received_at)
    if column.name == "time":
        return lambda row: datetime.fromisoformat(row.time) if row.time else None
    if column.name == "decoder":
        return lambda row: rows_of.decoder()
    return lambda row: getattr(row, column.name)


@cache
def getters() -> dict[str, Callable[[Row], Any]]:
    """By the name of a column: what gives its value of a row, None where it has none."""
    return {c.name: _get(c) for c in columns()}


def present(rows: Sequence[Row]) -> set[str]:
    """Names of the columns in which some of the rows may have a value: few of all."""
    values = {name for row in rows for name in row.values}
    lorawan = {name for row in rows for name in row.lorawan}
    parts = {"": None, "values": values, "lorawan": lorawan}
    return {c.name for c in columns() if (there := parts[c.part]) is None or c.key in there}


def chunks(rows: Iterable[Row], size: int = CHUNK) -> Iterator[Sequence[Row]]:
    left = iter(rows)
    while some := list(islice(left, size)):
        yield some
