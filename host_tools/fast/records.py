"""Classic pcap files of LoRaTap records, a chunk at a time, as arrays of places. What formats/pcap.py and
formats/loratap.py would not read as one whole frame is told apart, and left to them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from host_tools.errors import unreadable
from host_tools.formats import loratap
from host_tools.formats.pcap import LINKTYPE_LORATAP, MAX_RECORD, PcapReader
from host_tools.frames import Frame

Array = np.ndarray[Any, Any]

# Above 125 000 frames at once an allocation no longer stays in the caches (measured: half the speed).
MAX_FRAMES = 125_000
_BLOCK = 8 << 20
# Bytes behind the last record, so that a window that begins in it ends in the array.
_ROOM = 512
_HEAD = 24
_RECORD = 16
# Length of a LoRaTap header: of version 0 exactly, of version 1 at least.
_TAP = (15, 35)


@dataclass(frozen=True)
class Head:
    """The head of a file: byte order, and whether its times count nanoseconds."""

    order: str
    nano: bool


@dataclass
class Chunk:
    """Some records of a file. `data` begins at byte `base` of it; `places`: where records begin in `data`."""

    number: int
    base: int
    data: bytes
    places: Array
    head: Head

    def __post_init__(self) -> None:
        self.array = np.frombuffer(self.data, np.uint8)

    def windows(self, places: Array, width: int) -> Array:
        """`width` bytes from each place on, as rows."""
        return np.lib.stride_tricks.sliding_window_view(self.array, width)[places]


def head_of(stream: BinaryIO) -> Head | None:
    """The head of a classic pcap of LoRaTap records; None for any other file, which is not read on."""
    head = stream.read(_HEAD)
    for order in "<>":
        if len(head) == _HEAD:
            magic, major, _, _, _, _, network = struct.unpack(order + "IHHiIII", head)
            if magic in (0xA1B2C3D4, 0xA1B23C4D) and major == 2 and network & 0x03FFFFFF == LINKTYPE_LORATAP:
                return Head(order, magic == 0xA1B23C4D)
    return None


def chunks(
    path: Path | str, head: Head, notes: list[str], part: int = 0, parts: int = 1, size: int = 0
) -> Iterator[Chunk]:
    """Every `parts`-th chunk of a file from number `part` on. size: bytes of a chunk, about; where it begins
    depends on that and the file alone.

    notes: gets the line of a damaged end from whoever reads part 0.
    """
    number = count = 0
    size = size or _BLOCK
    stuck = True
    base, rest, more = _HEAD, b"", True
    try:
        with Path(path).open("rb") as stream:
            stream.seek(_HEAD)
            while more or rest:
                block = b""
                if more and (stuck or len(rest) < size):
                    block = stream.read(size)
                    more = bool(block)
                data = rest + block if rest else block
                places, end, sound = _walk(data, head.order)
                if more:
                    # What begins near the end waits, so that a window from there on ends in the data.
                    kept = int(np.searchsorted(places, len(data) - _ROOM))
                    if kept < len(places):
                        places, end, sound = places[:kept], int(places[kept]), True
                else:
                    data += bytes(_ROOM)
                if number % parts == part and len(places):
                    yield Chunk(number, base, data, places, head)
                number += bool(len(places))
                count += len(places)
                stuck = not len(places)
                base += end
                rest = data[end:] if more else data[end:-_ROOM]
                if sound and (len(places) or more):
                    continue
                if rest and not part:
                    notes.append(_cut(stream, str(path), base, count))
                return
    except OSError as e:
        raise unreadable(path, e) from None


def _walk(data: bytes, order: str) -> tuple[Array, int, bool]:
    """Where whole records begin, where the last of them ends, and whether a further one may come."""
    length = struct.Struct(order + "I").unpack_from
    places: list[int] = []
    append = places.append
    at, size = 0, len(data)
    last = size - _RECORD
    sound = True
    # All that is done for each record; what is seldom is looked for afterwards.
    for _ in repeat(None, MAX_FRAMES):
        if at > last:
            break
        (held,) = length(data, at + 8)
        end = at + _RECORD + held
        if end > size:
            sound = held <= MAX_RECORD
            break
        append(at)
        at = end
    starts = np.array([*places, at], np.int64)
    sizes = np.diff(starts) - _RECORD
    for n in np.flatnonzero((sizes == 0) | (sizes > MAX_RECORD)).tolist():
        begin = int(starts[n])
        if sizes[n] or not any(data[begin : begin + _RECORD]):
            return starts[:n], begin, False
    return starts[:-1], at, sound


def _cut(stream: BinaryIO, name: str, at: int, count: int) -> str:
    """What the careful reader says of the record at byte `at`, which is damaged."""
    stream.seek(0)
    reader = PcapReader(stream, name)
    stream.seek(at)
    reader.count = count
    for _ in reader:  # pragma: no cover - nothing whole is here
        break
    return reader.cut


@dataclass
class Places:
    """The frames of a chunk: where each begins, its length, its time; `whole`: it is one by its headers."""

    start: Array
    size: Array
    time_us: Array
    whole: Array


def frames_of(chunk: Chunk) -> Places:
    """Look at the headers of all records at once."""
    heads = chunk.windows(chunk.places, _RECORD + 4)
    words = heads[:, :_RECORD].copy().view(chunk.head.order + "u4").astype(np.int64)
    captured, length = words[:, 2], words[:, 3]
    part = words[:, 1] // 1000 if chunk.head.nano else words[:, 1]
    version = heads[:, _RECORD]
    tap = heads[:, _RECORD + 2].astype(np.int64) << 8 | heads[:, _RECORD + 3]
    known = np.where(version == 0, tap == _TAP[0], tap >= _TAP[1])
    # A record whose length says that it was cut, or that holds no whole header, is no whole frame.
    whole = (length <= captured) & (captured >= _TAP[0]) & known & (captured >= tap)
    return Places(chunk.places + _RECORD + tap, captured - tap, words[:, 0] * 1_000_000 + part, whole)


def frame_at(chunk: Chunk, index: int, time_us: int) -> Frame:
    """One record as the careful reader gives it."""
    at = int(chunk.places[index])
    captured, length = struct.unpack_from(chunk.head.order + "II", chunk.data, at + 8)
    at += _RECORD
    return loratap.frame_of(chunk.data[at : at + captured], time_us, length > captured)[0]


def frame_in(stream: BinaryIO, head: Head, at: int) -> Frame:
    """The frame of the record at byte `at` of a file."""
    stream.seek(at)
    seconds, part, captured, length = struct.unpack(head.order + "IIII", stream.read(_RECORD))
    time_us = seconds * 1_000_000 + (part // 1000 if head.nano else part)
    return loratap.frame_of(stream.read(captured), time_us, length > captured)[0]
