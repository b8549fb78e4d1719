"""Frames with the time and the radio values of their reception, to and from files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from host_tools import formats
from host_tools.errors import UsageError
from host_tools.formats import loratap
from host_tools.formats.pcap import PcapWriter
from host_tools.frames import Frame

__all__ = ["CaptureWriter", "Frame", "read", "refuse_same"]


def read(source: Path | str, notes: list[str] | None = None) -> Iterator[Frame]:
    """The frames of a capture in any of the formats, or of standard input for "-", in their order.

    notes: gets a line for a file that ends in the middle of a record. InputError when it is no capture.
    """
    return formats.frames(source, notes)


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
