"""Frames with the time and the radio values of their reception, to and from files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from host_tools import gwfile, loratap
from host_tools.errors import UsageError, unreadable
from host_tools.frames import Frame
from host_tools.pcap import PcapReader, PcapWriter

__all__ = ["CaptureWriter", "Frame", "convert_records", "read", "refuse_same"]


def read(source: Path | str, notes: list[str] | None = None) -> Iterator[Frame]:
    """The frames of a capture or of a file of gateway records, or of standard input for "-", in their order.

    notes: gets a line for a file that ends in the middle of a record. InputError when it is neither.
    """
    if str(source) == "-":
        yield from _read(sys.stdin.buffer, "standard input", notes)
        return
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 - closed below, opened apart for its own error
    except OSError as e:
        raise unreadable(source, e) from None
    with stream:
        yield from _read(stream, str(source), notes)


def _read(stream: BinaryIO, name: str, notes: list[str] | None) -> Iterator[Frame]:
    try:
        # Both kinds of stream are buffered; a pipe cannot go back.
        head = stream.peek(5) if isinstance(stream, BufferedReader) else b""
        if gwfile.is_record_file(head):
            yield from gwfile.read_frames(stream, name, notes)
            return
        reader = PcapReader(stream, name)
    except OSError as e:
        raise unreadable(name, e) from None
    for packet in reader:
        if packet.length > len(packet.data):
            yield Frame(packet.data, packet.time_us, reason="truncated")
            continue
        try:
            radio, frame = loratap.unpack(packet.data)
        except loratap.BadHeader:
            yield Frame(packet.data, packet.time_us, reason="truncated")
            continue
        yield Frame(frame, packet.time_us, radio)
    if reader.cut and notes is not None:
        notes.append(reader.cut)


def convert_records(source: Path | str, out: Path | str) -> dict[str, int]:
    """Make a capture of a file of gateway records, or of a capture; the same input gives the same bytes.

    Returns counts. InputError when the source is neither, StoreError when the place refuses.
    """
    refuse_same(source, out)
    notes: list[str] = []
    frames = read(source, notes)
    first = next(frames, None)  # refuse a foreign file before a capture is begun
    count = 0
    with CaptureWriter(out) as writer:
        while first is not None:
            writer.write(first)
            count += 1
            first = next(frames, None)
    return {"frames": count, "damaged": len(notes)}


def refuse_same(source: Path | str, out: Path | str) -> None:
    """UsageError where writing `out` would destroy `source`."""
    if str(source) != "-" and Path(out).exists() and Path(source).exists() and Path(out).samefile(source):
        raise UsageError(f"{out} is the input itself")


class CaptureWriter:
    """A capture file that is written frame by frame and loses nothing when the program is interrupted."""

    def __init__(self, path: Path | str, append: bool = False) -> None:
        if str(path) == "-":
            raise UsageError("a capture needs a file")
        self._pcap = PcapWriter(path, append=append)
        self.path = self._pcap.path

    def write(self, frame: Frame) -> None:
        """Append a frame; StoreError when the disk refuses, with all frames before it intact."""
        # A record that came without a readable header is kept as it came.
        whole = frame.data if frame.reason else loratap.pack(frame.radio, frame.data)
        self._pcap.write(frame.time_us, whole)

    def sync(self) -> None:
        self._pcap.sync()

    def close(self) -> None:
        self._pcap.close()

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
