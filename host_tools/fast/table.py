"""Columns of Arrow for what was verified in batches: those of host_tools/outputs/columns.py, without LoRaWAN's and
with the decoder's version in the file's metadata alone. Texts that repeat are dictionaries.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from host_tools import rows as rows_of
from host_tools.fast import lockstep
from host_tools.fast.ring import Ring
from host_tools.fast.sets import Part
from host_tools.outputs import arrow, extra
from host_tools.outputs.columns import Column, columns
from host_tools.rows import Row
from host_tools.verdict import codec_name

Array = np.ndarray[Any, Any]

_HEX = np.array([int.from_bytes(b"%02x" % n, "little") for n in range(256)], np.uint16)
_TIMES = ("time", "time_unconfirmed")
# Texts that hardly repeat.
_UNIQUE = ("frame", "head", "leaf", "bundle", "plan")
_NARROW = {"epoch": "uint32", "seq": "uint32", "purpose": "uint8", "receptions": "uint32"}


class Form:
    """The columns of one file: those that every row has, and the values of the message types that are in it.

    types: numbers of message types; others: names of values beside those (of checkpoints, results, fragments);
    hashes: with the column `frame`.
    """

    def __init__(self, types: Iterable[int], others: Iterable[str], hashes: bool = True) -> None:
        pa = extra("pyarrow")

        whole = arrow.schema()
        left_out = ("decoder",) if hashes else ("decoder", "frame")
        names = {rows_of.value_column(n) for n in others}
        spans: dict[str, list[int]] = {}
        for number in types:
            for field in rows_of.table(number).values():
                spans.setdefault(rows_of.value_column(field.column), []).extend((field.lo, field.hi))
        self.columns = [
            c
            for c in columns()
            if (not c.part and c.name not in left_out)
            or (c.part == "values" and (c.name in names or c.name in spans))
        ]
        fields = []
        for column in self.columns:
            found = whole.field(column.name)
            kind = found.type
            if column.form == "text" and column.name not in _UNIQUE:
                kind = pa.dictionary(pa.int32(), pa.string())
            elif column.form == "decimal" and kind.precision <= 18:
                kind = (pa.decimal32 if kind.precision <= 9 else pa.decimal64)(kind.precision, kind.scale)
            elif column.name in _NARROW:
                kind = getattr(pa, _NARROW[column.name])()
            elif column.form == "integer" and column.name in spans and column.name not in names:
                span = spans[column.name]
                kind = pa.int32() if max(span) < 1 << 31 and min(span) >= -1 << 31 else kind
            fields.append(pa.field(column.name, kind, metadata=found.metadata))
        self.schema = pa.schema(fields, metadata=whole.metadata)


def batch(form: Form, ring: Ring, part: Part) -> tuple[Any, Array]:
    """The rows that were read in lockstep as a batch, and their places among all devices' (see `places`)."""
    pa = extra("pyarrow")

    count = len(part.epoch)
    made = _base(ring, part, "frame" in form.schema.names)
    values: dict[str, Any] = {}
    for name, pieces in _by_column(part).items():
        column = next(c for c in form.columns if c.name == name)
        values[name] = _value(column, form.schema.field(name).type, pieces, count)
    arrays = [
        made[f.name] if f.name in made else values[f.name] if f.name in values else pa.nulls(count, f.type)
        for f in form.schema
    ]
    found = pa.RecordBatch.from_arrays(arrays, schema=form.schema)
    key = part.epoch.astype(np.int64) << 32 | part.seq
    if part.odd:
        keep = np.ones(count, bool)
        keep[list(part.odd)] = False
        found = found.filter(pa.array(keep))
        key = key[keep]
    return found, key


def _base(ring: Ring, part: Part, hashes: bool) -> dict[str, Any]:
    pa = extra("pyarrow")

    count = len(part.epoch)
    change = np.ones(count, bool)
    np.not_equal(part.epoch[1:], part.epoch[:-1], out=change[1:])
    own = (np.cumsum(change) - 1).astype(np.int32)
    records = [ring.epochs[e].record for e in part.epoch[change].tolist()]
    texts = {
        "device": [r.device.hex() for r in records],
        "name": [r.name for r in records],
        "kind": [r.kind for r in records],
        "key": [rows_of.key_words(r) for r in records],
    }
    made = {name: _dictionary(own, words) for name, words in texts.items()}
    made["epoch"] = pa.array(
        np.array([r.epoch for r in records], np.uint32)[own] if count else [], pa.uint32()
    )
    made["seq"] = pa.array(part.seq.astype(np.uint32))
    made["purpose"] = pa.array(part.purpose.astype(np.uint8))
    made["receptions"] = pa.array(part.count.astype(np.uint32))
    verdict = part.verdict.astype(np.int32)
    made["state"] = _dictionary(verdict, [s for s, _ in part.verdicts])
    made["reason"] = _dictionary(verdict, [r for _, r in part.verdicts])
    made["received_at"] = pa.array(part.time).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    names = sorted({some.number for some in part.columns})
    kinds = np.zeros(count, np.int32)
    clock, time = np.zeros(count, np.int32), np.zeros(count, np.int64)
    for some in part.columns:
        kinds[some.rows] = names.index(some.number)
        table = rows_of.table(some.number)
        for n, name in enumerate(_TIMES, 1):
            key = table[name].key
            if key in some.values:
                rows, values = _rows(some, key)
                clock[rows] = n
                time[rows] = values
    made["type"] = _dictionary(kinds, [codec_name(n) for n in names] or [""])
    made["clock"] = _dictionary(clock, ["", "confirmed", "unconfirmed"])
    zero = rows_of.wire_to_unix_us(0)
    made["time"] = pa.array(time * 1_000_000 + zero, mask=clock == 0).cast(pa.timestamp("us", tz="UTC"))
    if not hashes:
        return made
    sha = np.ascontiguousarray(part.sha).view(np.uint8).reshape(-1)
    made["frame"] = _texts(_HEX[sha].view(np.uint8), 16)
    return made


def _rows(some: lockstep.Columns, key: int) -> tuple[Array, Array]:
    there = some.there[key]
    return (some.rows, some.values[key]) if there is None else (some.rows[there], some.values[key][there])


def _dictionary(indices: Array, words: Sequence[str]) -> Any:
    """Texts by index; the same word twice becomes one."""
    pa = extra("pyarrow")

    known = list(dict.fromkeys(words)) or [""]
    if len(known) != len(words):
        indices = np.array([known.index(w) for w in words] or [0], np.int32)[indices]
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(known))


def _texts(data: Array, width: int) -> Any:
    """Texts of one width that lie one after the other."""
    pa = extra("pyarrow")

    offsets = np.arange(0, len(data) + 1, width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


# Values


def _by_column(part: Part) -> dict[str, list[tuple[rows_of.Field, lockstep.Columns]]]:
    found: dict[str, list[tuple[rows_of.Field, lockstep.Columns]]] = {}
    for some in part.columns:
        for field in rows_of.table(some.number).values():
            if field.name not in _TIMES and field.key in some.values:
                found.setdefault(rows_of.value_column(field.column), []).append((field, some))
    return found


def _value(
    column: Column, kind: Any, pieces: list[tuple[rows_of.Field, lockstep.Columns]], count: int
) -> Any:
    """One column of values from all message types that have it."""
    pa = extra("pyarrow")

    values, missing = np.zeros(count, np.int64), np.ones(count, bool)
    words: list[Any] = []
    for field, some in pieces:
        rows, raw = _rows(some, field.key)
        missing[rows] = False
        if field.name == "alarms":
            known = rows_of.alarms(some.number)
            flags, raw = np.unique(raw, return_inverse=True)
            raw = raw + len(words)
            words += [[known.get(b, f"bit_{b}") for b in range(16) if v >> b & 1] for v in flags.tolist()]
        elif field.states:
            raw = raw + len(words)
            words += field.states
        elif field.shape == "bytes":
            texts, raw = np.unique(raw, return_inverse=True)
            raw = raw + len(words)
            words += [(v & (1 << 64) - 1).to_bytes(8, "big").hex() for v in texts.tolist()]
        elif column.decimals != field.decimals:
            raw = raw * 10 ** (column.decimals - field.decimals)
        values[rows] = raw
    if words:
        # `take` gives nothing where there is no index.
        if column.form == "text" and pa.types.is_dictionary(kind):
            found = _dictionary(values.astype(np.int32), words)
            at = pa.array(found.indices.to_numpy(), mask=missing)
            return pa.DictionaryArray.from_arrays(at, found.dictionary)
        return pa.array(words, kind).take(pa.array(values, mask=missing))
    if not pa.types.is_decimal(kind):
        return pa.array(values.astype(np.int32) if kind == pa.int32() else values, mask=missing)
    bits: Array | None = np.packbits(~missing, bitorder="little") if missing.any() else None
    narrow = values.astype(np.int32) if kind.bit_width == 32 else values
    return pa.Array.from_buffers(
        kind,
        count,
        [None if bits is None else pa.py_buffer(bits), pa.py_buffer(np.ascontiguousarray(narrow))],
    )


# Rows among them


def with_rows(form: Form, ring: Ring, found: Any, key: Array, rows: list[Row]) -> Any:
    """A batch and some rows as one table in the order of rows."""
    pa = extra("pyarrow")

    if not rows:
        return pa.Table.from_batches([found])
    rows = sorted(rows, key=Row.order)
    known = {(e.record.device.hex(), e.record.epoch): n for n, e in enumerate(ring.epochs)}
    devices = [e.record.device.hex() for e in ring.epochs]
    wanted_key = [
        known[row.device, row.epoch] << 32 | (row.seq or 0)
        if row.epoch is not None and (row.device, row.epoch) in known
        else bisect_left(devices, row.device) << 32
        for row in rows
    ]
    at = np.searchsorted(key, np.array(wanted_key, np.int64))
    order = np.insert(np.arange(len(key)), at, np.arange(len(rows)) + len(key))
    whole = arrow.batch(rows).select(form.schema.names)
    more = pa.RecordBatch.from_arrays(
        [a.cast(f.type) for a, f in zip(whole.columns, form.schema, strict=True)], schema=form.schema
    )
    table = pa.Table.from_batches([found, more]).unify_dictionaries().combine_chunks()
    return table.take(pa.array(order))


class Writer:
    """A Parquet file, a table at a time."""

    def __init__(self, path: Any, form: Form) -> None:
        pq = extra("pyarrow.parquet")

        few = ("purpose", "epoch", "receptions")
        # LZ4 takes half the time of zstd here and makes the file a half larger.
        self._writer = pq.ParquetWriter(
            path,
            form.schema,
            compression="lz4",
            use_dictionary=[f.name for f in form.schema if "dictionary" in str(f.type) or f.name in few],
            store_decimal_as_integer=True,
            write_statistics=["device", "seq", "received_at", "time"],
            version="2.6",
        )

    def write(self, table: Any) -> None:
        self._writer.write_table(table, row_group_size=1 << 17)

    def close(self) -> None:
        self._writer.close()
