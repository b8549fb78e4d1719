"""From JSON objects to records: what a mapper is, and how a stream of objects is given to mappers.

A mapper is a module (or what its `start` gives, for formats whose messages explain each other). It serves
files and live sources alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Protocol

from host_tools.errors import unreadable
from host_tools.formats.jsontext import BadRecord, loads, values
from host_tools.frames import Frame, Record

Frames = tuple[tuple[Frame, ...], tuple[str, ...]]


class Mapper(Protocol):
    """Makes frames of the objects that it claims."""

    def claims(self, value: dict[str, Any], /) -> bool: ...

    def frames(self, value: dict[str, Any], /) -> Frames:
        """The frames in an object and the names of what no frame can hold; BadRecord with the reason."""


def started(mappers: Sequence[Any]) -> tuple[Mapper, ...]:
    """The mappers as one stream needs them: those that remember what a stream said begin anew."""
    return tuple(m.start() if hasattr(m, "start") else m for m in mappers)


def record_of(raw: bytes, value: dict[str, Any], mappers: Sequence[Mapper]) -> Record:
    """The record that an object makes; an object that nobody claims is a bad one."""
    for mapper in mappers:
        if mapper.claims(value):
            try:
                frames, others = mapper.frames(value)
            except BadRecord as e:
                return Record(raw, reason=e.reason)
            return Record(raw, tuple(frames), tuple(others))
    return Record(raw, reason="bad_record")


def message(raw: bytes, mappers: Sequence[Mapper]) -> Record:
    """The record of one message of a live source, which is one JSON object."""
    try:
        value = loads(raw)
    except BadRecord as e:
        return Record(raw, reason=e.reason)
    return record_of(raw, value, mappers) if isinstance(value, dict) else Record(raw, reason="bad_record")


def records(stream: BinaryIO, name: str, mappers: Sequence[Any]) -> Iterator[Record]:
    """The records of a stream of JSON objects. Only what the stream itself refuses is an InputError."""
    ready = started(mappers)
    try:
        for raw, value, reason in values(stream):
            yield Record(raw, reason=reason) if value is None else record_of(raw, value, ready)
    except OSError as e:
        raise unreadable(name, e) from None
