"""Protobuf's binary form (protobuf.dev, Encoding), as far as messages of network servers need it.

A message is described by a table: field number -> Field. Decoded values look as protobuf's JSON has them
(protojson.py), but bytes stay bytes and an instant or a duration is {"seconds", "nanos"}. A field that the
table does not know, or whose wire type is another one, is kept under "#<number>".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from host_tools.formats.jsontext import BadRecord

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MAX_VARINT = 10  # bytes, of 7 bits each
# Fields of one message. Each takes two bytes at least, and a Python object here.
MAX_FIELDS = 20000
_END_INT64 = 1 << 63


class Field(NamedTuple):
    """kind: "uint", "int32", "int64", "enum", "bool", "string", "bytes", "float", "double", "time" or "message".

    table: of a message. names: of an enumeration, by number. many: the field may come several times.
    """

    name: str
    kind: str
    table: Mapping[int, Field] = {}
    names: Mapping[int, str] = {}
    many: bool = False


Table = Mapping[int, Field]

_WIRE = {
    "float": FIXED32,
    "double": FIXED64,
    "string": LENGTH,
    "bytes": LENGTH,
    "time": LENGTH,
    "message": LENGTH,
}
_TIME: Table = {1: Field("seconds", "int64"), 2: Field("nanos", "int32")}


def varint(data: bytes, pos: int) -> tuple[int, int]:
    """(number, position behind it). BadRecord: truncated, or bad_record beyond ten bytes or 64 bits."""
    value = 0
    for i in range(MAX_VARINT):
        if pos + i >= len(data):
            raise BadRecord("truncated")
        byte = data[pos + i]
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            if value >= 1 << 64:
                raise BadRecord("bad_record")
            return value, pos + i + 1
    raise BadRecord("bad_record")


def put_varint(value: int) -> bytes:
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """(field number, wire type, value) of all fields; those of fixed size as their bytes.

    BadRecord: truncated, bad_record (number 0, a group, an unknown wire type), too_many.
    """
    pos = 0
    for _ in range(MAX_FIELDS):
        if pos == len(data):
            return
        key, pos = varint(data, pos)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise BadRecord("bad_record")
        if wire == VARINT:
            value, pos = varint(data, pos)
            yield number, wire, value
            continue
        if wire == LENGTH:
            size, pos = varint(data, pos)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:
            raise BadRecord("bad_record")
        if size > len(data) - pos:
            raise BadRecord("truncated")
        yield number, wire, data[pos : pos + size]
        pos += size
    if pos != len(data):
        raise BadRecord("too_many")


def decode(data: bytes, table: Table) -> dict[str, Any]:
    """A message as a dict; BadRecord. Of a field that comes twice the last counts, messages are joined."""
    out: dict[str, Any] = {}
    parts: dict[int, list[bytes]] = {}
    for number, wire, value in fields(data):
        field = table.get(number)
        if field is None or _WIRE.get(field.kind, VARINT) != wire:
            out[f"#{number}"] = value
        elif field.kind in ("message", "time") and not field.many:
            # The encoding's rule for a message that comes in pieces: their bytes, one after the other.
            assert isinstance(value, bytes)
            parts.setdefault(number, []).append(value)
        elif field.many:
            out.setdefault(field.name, []).append(_value(field, value))
        else:
            out[field.name] = _value(field, value)
    for number, pieces in parts.items():
        out[table[number].name] = _value(table[number], b"".join(pieces))
    return out


def _value(field: Field, value: int | bytes) -> Any:
    if isinstance(value, int):
        if field.kind == "bool":
            return value != 0
        if field.kind == "int32":
            # A negative one is sign extended to 64 bits.
            return ((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
        return value - (1 << 64) if field.kind == "int64" and value >= _END_INT64 else value
    if field.kind == "float":
        return struct.unpack("<f", value)[0]
    if field.kind == "double":
        return struct.unpack("<d", value)[0]
    if field.kind == "string":
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise BadRecord("bad_record") from None
    if field.kind == "bytes":
        return value
    return decode(value, _TIME if field.kind == "time" else field.table)


def encode(value: Mapping[str, Any], table: Table) -> bytes:
    """A dict as `decode` gives it, in the order of the numbers; zeros that it holds are written out."""
    out = []
    for number in sorted(table):
        field = table[number]
        if field.name not in value:
            continue
        found = value[field.name]
        wire = _WIRE.get(field.kind, VARINT)
        key = put_varint(number << 3 | wire)
        out += [key + _bytes(field, one) for one in (found if field.many else [found])]
    return b"".join(out)


def _bytes(field: Field, value: Any) -> bytes:
    if field.kind == "float":
        return struct.pack("<f", value)
    if field.kind == "double":
        return struct.pack("<d", value)
    if _WIRE.get(field.kind, VARINT) == VARINT:
        return put_varint(int(value))
    if field.kind == "string":
        value = value.encode()
    elif field.kind in ("message", "time"):
        value = encode(value, _TIME if field.kind == "time" else field.table)
    return delimited(value)


def delimited(data: bytes) -> bytes:
    """A message with its length ahead, as streams and files hold several."""
    return put_varint(len(data)) + data
