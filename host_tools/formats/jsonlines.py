"""JSON of every kind, also mixed in one file: each object goes to the mapper that claims it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from host_tools.formats import chirpstack, gwmp, lns, mapping, tts
from host_tools.formats.jsontext import looks_like_json
from host_tools.frames import Record

NAME = "json"
SUFFIXES = (".json", ".jsonl", ".ndjson")
TITLE = "JSON lines of GWMP, LNS, ChirpStack and The Things Stack"

# The first that claims an object has it. `formats` that write JSON are these, each under its own name.
MAPPERS = (gwmp, lns, tts, chirpstack)


def sniff(head: bytes) -> bool:
    """True where a file begins with an object, or with an array of them."""
    return looks_like_json(head)


def read(stream: BinaryIO, name: str) -> Iterator[Record]:
    """The records of a file; see jsontext for how one value is told from the next."""
    return mapping.records(stream, name, MAPPERS)


def message(raw: bytes) -> Record:
    """The record of one JSON message of a live source."""
    return mapping.message(raw, mapping.started(MAPPERS))
