"""Values as protobuf's own JSON writes them, which the servers of ChirpStack and The Things Stack speak.

protobuf.dev, ProtoJSON format: names in camelCase or as in the .proto file, 64-bit numbers as text, bytes in
base64 of either alphabet with or without padding, instants as RFC 3339 and durations as "1.5s", enumerations
by name or number, null for what is absent. Values decoded from the binary form pass through here too.

What a message does not say is unknown here: a zero that its writer left out cannot be told from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from host_tools.formats import fields
from host_tools.formats.jsontext import BadRecord

# A radio frame's length is told in one byte.
MAX_FRAME = 255
# Gateways that one message may name: a megabyte of empty entries would otherwise come out as 350,000 frames.
MAX_RECEPTIONS = 1024

_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_REAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)s", re.ASCII)


class Reader:
    """The fields of one object, by name; `rest` names those that were never asked for and say something.

    path: where the object stands, with a dot at its end, "" for the whole. names: shared by all of a message.
    """

    def __init__(self, value: object, path: str, names: dict[str, None]) -> None:
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise BadRecord("bad_record")
        self._value: Mapping[str, object] = value
        self._path = path
        self._names = names
        self._asked: set[str] = set()

    def get(self, name: str) -> object:
        """A field by its JSON name or the name in the .proto file; BadRecord where it is there under both."""
        found: object = None
        for key in {name, snake(name)}:
            self._asked.add(key)
            value = self._value.get(key)
            if value is not None and found is not None:
                raise BadRecord("bad_record")
            found = value if found is None else found
        return found

    def has(self, name: str) -> bool:
        return name in self._value or snake(name) in self._value

    def sub(self, name: str) -> Reader:
        """An object within this one; absent is empty."""
        return Reader(self.get(name), f"{self._path}{name}.", self._names)

    def items(self, name: str) -> list[Reader]:
        """The objects of a list; one that stands alone is a list of one."""
        found = self.get(name)
        if found is None:
            return []
        if isinstance(found, Mapping):
            found = [found]
        if isinstance(found, str | bytes) or not isinstance(found, Sequence):
            raise BadRecord("bad_record")
        if len(found) > MAX_RECEPTIONS:
            raise BadRecord("too_many")
        return [Reader(one, f"{self._path}{name}.", self._names) for one in found]

    def lose(self, name: str) -> None:
        """Tell of a field that was read and that no frame can hold, unless it says nothing."""
        if self.get(name):
            self.tell(self._path + name)

    def tell(self, name: str) -> None:
        """Of all a message's names the first some count, so that nobody's record grows by names alone."""
        if len(self._names) < fields.MAX_NAMES or name in self._names:
            self._names[name] = None

    def rest(self) -> None:
        """Tell of all fields that were not asked for; a zero or an empty text says nothing."""
        unread = (key for key, value in self._value.items() if value and key not in self._asked)
        for name in sorted(fields.names(self._path, unread)):
            self.tell(name)


def snake(name: str) -> str:
    """fCnt -> f_cnt."""
    return "".join("_" + c.lower() if c.isupper() else c for c in name)


def _given(value: object) -> bool:
    return value is not None and value != ""


def integer(value: object, low: int, high: int) -> int | None:
    """A whole number, also as text; None where it is absent."""
    if value is None:
        return None
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    found = fields.integer(value, low, high)
    if found is None:
        raise BadRecord("bad_record")
    return found


def boolean(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise BadRecord("bad_record")
    return value


def text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRecord("bad_record")
    return value


def quarters(reader: Reader, name: str) -> int | None:
    """Decibels as quarters of a dB, the nearest one, which is told where it is not the value itself."""
    value = reader.get(name)
    if value is None:
        return None
    if isinstance(value, str) and _REAL.fullmatch(value):
        value = Decimal(value)
    found = fields.quarters(value)
    if found is None:
        raise BadRecord("bad_record")
    if not found[1]:
        reader.lose(name)
    return found[0]


def data(value: object) -> bytes:
    """Bytes in base64; b"" where they are absent."""
    if value is None:
        return b""
    found = value if isinstance(value, bytes) else fields.base64_bytes(value)
    if found is None:
        raise BadRecord("bad_record")
    return found


def frame_data(value: object) -> bytes:
    """Bytes that were on the air, or part of them."""
    found = data(value)
    if len(found) > MAX_FRAME:
        raise BadRecord("too_long")
    return found


def hexadecimal(value: object, size: int) -> bytes:
    """An EUI or address of `size` bytes in hexadecimal digits; b"" where it is absent or empty."""
    if not _given(value):
        return b""
    found = fields.hex_bytes(value)
    if found is None or len(found) != size:
        raise BadRecord("bad_record")
    return found


def instant(reader: Reader, name: str) -> tuple[int, bool]:
    """(Unix microseconds, whether the field is there); what a frame cannot have as its time is told and 0."""
    value = reader.get(name)
    if not _given(value):
        return 0, False
    count = _count(value) if isinstance(value, Mapping) else None
    found = fields.iso_us(value) if count is None else fields.in_time(count // 1000)
    if found is None:
        reader.tell("time")
    return found or 0, True


def gps_instant(reader: Reader, name: str) -> tuple[int, bool]:
    """The same of a duration since the GPS epoch."""
    value = reader.get(name)
    if not _given(value):
        return 0, False
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, Mapping):
        found = fields.gps_us(_count(value) // 1000, 1_000_000)
    else:
        found = fields.gps_us(int(Decimal(match[1]) * 1_000_000), 1_000_000) if match else None
    if found is None:
        reader.tell("time")
    return found or 0, True


def _count(value: Mapping[str, object]) -> int:
    """Nanoseconds of protobuf's seconds and nanoseconds."""
    far = 1 << 63
    seconds = integer(value.get("seconds"), -far, far) or 0
    return seconds * 1_000_000_000 + (integer(value.get("nanos"), -999_999_999, 999_999_999) or 0)


def utc_text(time_us: int) -> str:
    """Unix microseconds as RFC 3339; "" for no time (0) and for what that form cannot hold."""
    return fields.iso_text(time_us) if time_us and fields.in_time(time_us) is not None else ""
