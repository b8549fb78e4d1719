"""The row that a frame becomes, and its exact text forms. No float anywhere: 412 of a field with one decimal
is 41.2 in every output.

One row stands for one distinct frame, however often it was received; refused frames have rows, too. Canonical
order is device, epoch, seq, then frame hash, with what is unknown first.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import IO, Any

from firmware.protocols import reasons, schema
from host_tools.errors import UsageError
from host_tools.output import printable, safe_json
from provisioning.record import KeyRecord

COLUMNS = (
    "device",
    "name",
    "kind",
    "epoch",
    "seq",
    "purpose",
    "type",
    "state",
    "reason",
    "received_at",
    "time",
    "clock",
    "values",
    "receptions",
    "key",
    "frame",
    "lorawan",
    "decoder",
)
# What `as_dict` nests, and a table has a column each for.
NESTED = ("values", "lorawan")
STATES = ("signed", "authenticated", "unverified", "contested", "rejected")
FORMATS = ("json", "csv", "verify")

# Wire time counts GPS seconds from 2026-01-01T00:00:00 UTC. UTC has had 18 leap seconds against GPS since
# 2017, and none has been announced.
WIRE_EPOCH_UNIX = 1767225600
LEAP_AT_EPOCH = 18
LEAP_SECONDS = 18
WIRE_VERSION = 1

_SLUGS = {
    "%": "percent",
    "m3": "m3",
    "l/h": "l_per_h",
    "degC": "degc",
    "deg": "deg",
    "%/d": "percent_per_d",
}
_GEN = ("key known to provisioner", "key made on the device", "key made in a secure element")
_PROTECTION = ("key readable by whoever holds the board", "key in encrypted flash", "key in a secure element")
# Refusals of shape beside those of CBOR and schema, whose numbers are 32 to 63.
_SHAPE = frozenset(
    "not_cose bad_header explicit_alg tag_length not_link bad_fragment lorawan_major lorawan_length fopts_length "
    "fopts_port0 rejoin_type".split()
)

Value = Decimal | int | str | list[Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A frame in words. received_at: microseconds of Unix UTC, earliest reception. time: UTC as ISO 8601.

    device, name, kind: of a refused frame they are what its link header claims, if that names one device.
    clock: "confirmed" (quality 2 and 3), "unconfirmed" (1) or "". values: by unit-bearing name. fields: the
    same as (name, scaled integer, decimals) in key order. frame: first 16 hex digits of the frame's SHA-256.
    lorawan: of a LoRaWAN frame, `carried.words`; its device may be another's, then named by its DevEUI.
    """

    device: str
    name: str
    kind: str
    epoch: int | None
    seq: int | None
    purpose: int | None
    type: str
    state: str
    reason: str
    received_at: int
    time: str
    clock: str
    values: Mapping[str, Value]
    receptions: int
    key: str
    frame: str
    fields: tuple[tuple[str, Any, int], ...] = field(default=(), repr=False)
    lorawan: Mapping[str, Any] = field(default_factory=dict)

    def order(self) -> tuple[str, int, int, str]:
        return self.device, self.epoch or 0, self.seq or 0, self.frame


def key_words(record: KeyRecord) -> str:
    """Who else may know the signing key, and what guards it: printed beside `signed` (TRUST 6)."""
    return f"{_GEN[record.gen]}; {_PROTECTION[record.protection]}"


@cache
def decoder() -> str:
    """What made the values: the version of this package and that of the wire format (TRUST 0: the first number
    that every tag and signature covers)."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("lanterne")
    except PackageNotFoundError:
        # A clone that was never installed: the version stands in its own pyproject.toml.
        import tomllib
        from pathlib import Path

        with Path(__file__).parents[1].joinpath("pyproject.toml").open("rb") as f:
            found = tomllib.load(f)["project"]["version"] + "+clone"
    return f"lanterne {found} wire {WIRE_VERSION}"


def utc(time_us: int) -> str:
    """Unix microseconds as ISO 8601 in UTC."""
    at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=time_us)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def wire_to_unix_us(wire_ms: int) -> int:
    """Milliseconds of wire time as Unix microseconds."""
    return wire_ms * 1000 + (WIRE_EPOCH_UNIX - (LEAP_SECONDS - LEAP_AT_EPOCH)) * 1_000_000


def unix_us_to_wire_ms(time_us: int) -> int:
    return (time_us - (WIRE_EPOCH_UNIX - (LEAP_SECONDS - LEAP_AT_EPOCH)) * 1_000_000) // 1000


def wire_utc(wire_s: int) -> str:
    """Wire time in seconds as ISO 8601 in UTC."""
    return utc(wire_to_unix_us(wire_s * 1000))[:19] + "Z"


@dataclass(frozen=True)
class Field:
    """A row of the field table, and its column here. lo, hi: scaled integers, or of bytes the length."""

    key: int
    name: str
    column: str
    decimals: int
    states: tuple[str, ...]
    shape: str
    unit: str
    lo: int
    hi: int


@cache
def table(number: int) -> dict[str, Field]:
    """The fields of a message type by name."""
    module = __import__("firmware.protocols.schema." + schema.TYPES[number][1], fromlist=["ROWS"])
    states = dict(module.STATES)
    found = {}
    for key, name, shape, unit, decimals, lo, hi, *_ in schema.rows(number):
        column = name + ("_" + _SLUGS.get(unit, unit.lower()) if unit else "")
        found[name] = Field(key, name, column, decimals, tuple(states.get(name, ())), shape, unit, lo, hi)
    return found


@cache
def alarms(number: int) -> dict[int, str]:
    module = __import__("firmware.protocols.schema." + schema.TYPES[number][1], fromlist=["ALARMS"])
    return {row[0]: row[1] for row in module.ALARMS}


def exact(value: int, decimals: int) -> Decimal | int:
    """A scaled integer as the number it means."""
    return Decimal(value).scaleb(-decimals) if decimals else value


def in_words(
    number: int, fields: Mapping[str, Any]
) -> tuple[dict[str, Value], tuple[tuple[str, Any, int], ...]]:
    """The values of a reading by column name, and its raw fields; both in the order of the keys.

    Times are left out: they have their own columns.
    """
    values: dict[str, Value] = {}
    raw = []
    known = table(number)
    for name, value in sorted(fields.items(), key=lambda f: known[f[0]].key):
        row = known[name]
        if name in ("time", "time_unconfirmed"):
            continue
        raw.append((name, value, row.decimals))
        if isinstance(value, bytes):
            values[row.column] = value.hex()
        elif isinstance(value, list):
            values[row.column] = [exact(v, row.decimals) for v in value]
        elif name == "alarms":
            words = alarms(number)
            values[row.column] = [words.get(b, f"bit_{b}") for b in range(16) if value >> b & 1]
        elif row.states:
            values[row.column] = row.states[value]
        else:
            values[row.column] = exact(value, row.decimals)
    return values, tuple(raw)


def plain(fields: Mapping[str, Any]) -> tuple[dict[str, Value], tuple[tuple[str, Any, int], ...]]:
    """The same for what has no schema: checkpoints, results, fragments."""
    values = {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()}
    if "outcome" in values:
        values["outcome"] = str(reasons.name(fields["outcome"]))
    return values, tuple((k, v, 0) for k, v in fields.items())


def as_dict(row: Row) -> dict[str, Any]:
    """The row by column, times as text, numbers exact (int or Decimal)."""
    found = {name: getattr(row, name) for name in COLUMNS[:-1]}
    found["decoder"] = decoder()
    found["received_at"] = utc(row.received_at)
    found["values"] = dict(row.values)
    found["lorawan"] = dict(row.lorawan)
    return found


def value_column(name: str) -> str:
    """The column of a value, of which a column that every row has may bear the name."""
    return "value_" + name if name in COLUMNS else name


def flat(row: Row) -> dict[str, Any]:
    """The row as cells of a table: one column for each value, lists as text."""
    found = as_dict(row)
    del found["values"], found["lorawan"]
    for name, value in row.values.items():
        found[value_column(name)] = " ".join(str(v) for v in value) if isinstance(value, list) else value
    for name, value in row.lorawan.items():
        if name == "flags":
            value = " ".join(value)
        found["lorawan_" + name] = value if isinstance(value, (int, str)) else json_text(value)
    return found


def json_text(value: Any) -> str:
    if isinstance(value, Decimal):
        # Digits as they are: a reader that knows decimals gets exactly what the device sent.
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)}: {json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(json_text(v) for v in value) + "]"
    return safe_json(json.dumps(value, ensure_ascii=False))


def to_json(row: Row) -> str:
    """One line of JSON with the columns in their order."""
    return json_text(as_dict(row))


def reason_class(reason: str) -> str:
    """A reason as the verify format has it: every refusal of shape is `malformed`.

    Which of several defects is named first depends on the order of checks, which is each program's own.
    """
    try:
        shape = reason in _SHAPE or 32 <= reasons.number(reason) < 64
    except KeyError:
        shape = False
    return "malformed" if shape else reason


def verify_line(row: Row) -> str:
    """The row as an independent program prints it: ten columns, then the fields by name.

        device epoch seq type state reason time receptions frame name=value ...

    "-" is empty, as the device of a refused frame always is; a time that the device had not confirmed ends in
    "?"; values are decimals, vectors are joined by commas, byte strings are hex, states and alarms stay
    numbers; reasons as in `reason_class`. LoRaWAN frames have no line.
    """
    cells = [
        row.device if row.epoch else "-",
        str(row.epoch) if row.epoch else "-",
        str(row.seq) if row.seq else "-",
        row.type or "-",
        row.state,
        reason_class(row.reason) or "-",
        (row.time or "-") + ("?" if row.clock == "unconfirmed" else ""),
        str(row.receptions),
        row.frame,
    ]
    for name, value, decimals in row.fields:
        if isinstance(value, bytes):
            text = value.hex()
        elif isinstance(value, list):
            text = ",".join(format(exact(v, decimals), "f" if decimals else "d") for v in value)
        elif isinstance(value, int):
            text = format(exact(value, decimals), "f" if decimals else "d")
        else:
            text = str(value)
        cells.append(f"{name}={text}")
    return " ".join(cells)


# A spreadsheet takes text that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    text = str(value)
    if isinstance(value, str):
        if text.lstrip().startswith(_FORMULA):
            text = "'" + text
        text = printable(text)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def _csv(rows: list[Row], stream: IO[str]) -> None:
    names = [c for c in COLUMNS if c not in NESTED]
    values = {value_column(name) for row in rows for name in row.values}
    names += sorted(values | {"lorawan_" + name for row in rows for name in row.lorawan})
    print(",".join(names), file=stream)
    for row in rows:
        cells = flat(row)
        print(",".join(_cell(cells.get(name)) for name in names), file=stream)


def write(rows: Iterable[Row], stream: IO[str], form: str = "json") -> None:
    """Write rows in canonical order: JSON lines, CSV, or the format of `verify_line`."""
    ordered = sorted(rows, key=Row.order)
    if form == "verify":
        # What a refused frame claims to be is not printed, so it has no say in the order.
        ordered.sort(key=lambda r: r.order() if r.epoch else ("", 0, 0, r.frame))
    if form == "csv":
        _csv(ordered, stream)
        return
    if form not in FORMATS:
        raise UsageError(f"no format {form!r}: known are {', '.join(FORMATS)}")
    line = to_json if form == "json" else verify_line
    if form == "verify":
        # A program with our keys alone cannot open them.
        ordered = [r for r in ordered if not r.lorawan]
    for row in ordered:
        print(line(row), file=stream)
