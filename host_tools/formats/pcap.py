"""Classic pcap captures (the libpcap "savefile" format) of LoRaTap frames: read in all four variants of byte order
and precision, written as microseconds in little endian.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from host_tools.errors import InputError, StoreError, unreadable, unwritable
from host_tools.formats import loratap
from host_tools.frames import Frame, Record

NAME = "pcap"
SUFFIXES = (".pcap", ".cap")
TITLE = "pcap capture of LoRaTap frames"
HOLDS = loratap.HOLDS[0] | {"time_us"}
_MAGIC = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
LINKTYPE_LORATAP = 270
SNAPLEN = 65535
# A record above this is a broken length, not a frame: no capture of this link type holds more.
MAX_RECORD = 1 << 20
# The format counts seconds in 32 bits: times end in 2106.
END_US = (1 << 32) * 1_000_000

_MICRO = 0xA1B2C3D4
_NANO = 0xA1B23C4D
_FILE = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Packet:
    """One record: bytes, time in microseconds of Unix UTC, length before the snap length cut it."""

    data: bytes
    time_us: int
    length: int


class PcapReader:
    """Iterates over the records of a capture. Afterwards `cut` tells a file that ends in the middle of one.

    InputError for anything that is no classic pcap of the wanted link type; a damaged record ends the file.
    """

    def __init__(self, stream: BinaryIO, name: str, linktype: int = LINKTYPE_LORATAP) -> None:
        self._stream = stream
        self.name = name
        self.count = 0
        self.cut = ""
        head = stream.read(24)
        if not head:
            raise InputError(f"{name} is empty")
        for order in "<>":
            (magic,) = struct.unpack(order + "I", head[:4].ljust(4, b"\0"))
            if magic in (_MICRO, _NANO):
                break
        else:
            raise InputError(f"{name} is not a capture file (pcap)")
        if len(head) < 24:
            raise InputError(f"{name} is cut in the middle of its header")
        self._record = struct.Struct(order + "IIII")
        self._nano = magic == _NANO
        _, major, _, _, _, _, network = struct.unpack(order + "IHHiIII", head)
        if major != 2:
            raise InputError(f"{name} is pcap version {major}, not 2")
        # The upper bits of the field say how long the frame check sequence is.
        self.linktype = network & 0x03FFFFFF
        if self.linktype != linktype:
            raise InputError(f"{name} holds link type {self.linktype}, not {linktype} (LoRaTap)")

    def __iter__(self) -> Iterator[Packet]:
        try:
            while True:
                head = self._stream.read(16)
                if not head:
                    return
                if len(head) < 16:
                    self.cut = f"{self.name} is cut in the middle of record {self.count + 1}"
                    return
                seconds, part, captured, length = self._record.unpack(head)
                if not any(head):
                    # What a file system leaves of a file that grew just before the power went.
                    self.cut = f"{self.name} holds zeros where record {self.count + 1} should be; not read on"
                    return
                if captured > MAX_RECORD:
                    self.cut = f"{self.name}: record {self.count + 1} claims {captured} bytes; not read on"
                    return
                data = self._stream.read(captured)
                if len(data) < captured:
                    self.cut = f"{self.name} is cut in the middle of record {self.count + 1}"
                    return
                self.count += 1
                yield Packet(data, seconds * 1_000_000 + (part // 1000 if self._nano else part), length)
        except OSError as e:
            raise unreadable(self.name, e) from None


class PcapWriter:
    """Writes a capture; each record reaches the operating system before `write` returns.

    append: go on with a capture that is there; what an interrupted write left at its end goes to a file of
    its own beside it. StoreError when the place refuses or another program writes there; the file then still
    ends after the last whole record.
    """

    def __init__(self, path: Path | str, linktype: int = LINKTYPE_LORATAP, append: bool = False) -> None:
        self.path = Path(path)
        self._head = _FILE.pack(_MICRO, 2, 4, 0, 0, SNAPLEN, linktype)
        self._end = 0
        try:
            # Nothing is cut off before it is sure that nobody else writes here.
            self._special = self.path.exists() and not self.path.is_file()
            flags = os.O_WRONLY if self._special else os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._stream = os.fdopen(
                os.open(self.path, flags, 0o666), "wb" if self._special else "r+b", buffering=0
            )
        except OSError as e:
            raise unwritable(self.path, e) from None
        try:
            self._begin(linktype, append)
        except BaseException:
            self._stream.close()
            raise

    def _begin(self, linktype: int, append: bool) -> None:
        try:
            if self._special:
                self._put(self._head)
                return
            if not lock(self._stream.fileno()):
                raise StoreError(f"{self.path} is in use by another program", "another name for this capture")
            if append and os.fstat(self._stream.fileno()).st_size:
                self._end = _whole_length(self.path, linktype, self._head)
            self._stream.truncate(self._end)
            self._stream.seek(self._end)
            if not self._end:
                self._put(self._head)
        except OSError as e:
            raise unwritable(self.path, e) from None

    def write(self, time_us: int, data: bytes) -> None:
        """Append one record. `time_us`: microseconds of Unix UTC, 0 to 2106."""
        seconds, part = divmod(min(max(time_us, 0), END_US - 1), 1_000_000)
        record = _RECORD.pack(seconds, part, min(len(data), SNAPLEN), len(data)) + data[:SNAPLEN]
        try:
            self._put(record)
        except OSError as e:
            raise unwritable(self.path, e) from None

    def _put(self, data: bytes) -> None:
        done = 0
        try:
            while done < len(data):
                done += self._stream.write(data[done:]) or 0
        except OSError:
            # A full disk may take half a record: take it back, so that the next reader finds none.
            try:
                self._stream.truncate(self._end)
                self._stream.seek(self._end)
            except OSError:
                pass  # a device such as /dev/full has no length
            raise
        self._end += len(data)

    def sync(self) -> None:
        """Have the records survive a power cut, too."""
        try:
            os.fsync(self._stream.fileno())
        except OSError as e:
            if e.errno not in (errno.EINVAL, errno.ENOTSUP):  # a pipe has nothing to wait for
                raise unwritable(self.path, e) from None

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> PcapWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _whole_length(path: Path, linktype: int, head: bytes) -> int:
    """Length of the part of a capture that ends after its last whole record; the rest is put beside it."""
    try:
        with path.open("rb") as f:
            if f.read(24) != head:
                raise InputError(f"{path} is not a capture that this program can go on with")
            f.seek(0)
            end = 24
            reader = PcapReader(f, str(path), linktype)
            for packet in reader:
                end += 16 + len(packet.data)
            f.seek(end)
            rest = f.read(_RECORD.size + SNAPLEN + 1)
            if len(rest) > _RECORD.size + SNAPLEN and rest.strip(b"\0"):
                raise InputError(
                    f"{path} is damaged in the middle: {reader.cut}",
                    "another name for this capture; decode reads both",
                )
    except OSError as e:
        raise unreadable(path, e) from None
    if rest.strip(b"\0"):
        side = path.with_name(path.name + ".cut")
        try:
            with side.open("ab") as f:
                f.write(rest)
        except OSError as e:
            raise unwritable(side, e) from None
    return end


if os.name == "posix":
    import fcntl

    def lock(handle: int) -> bool:
        """Keep other writers out until the file is closed or this program ends; False when one is there."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            # A file system without locks gives none to anybody.
            return e.errno not in (errno.EWOULDBLOCK, errno.EACCES)
        return True

else:  # pragma: no cover - Windows refuses a second writer by itself, or not at all

    def lock(handle: int) -> bool:
        return True


class _Keeping:
    """A stream that remembers what was read of it since the last `take`."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._parts: list[bytes] = []

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._parts.append(data)
        return data

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def sniff(head: bytes) -> bool:
    return head.startswith(_MAGIC)


def read(stream: BinaryIO, name: str, notes: list[str] | None = None) -> Iterator[Record]:
    """The head and each packet as a record. notes: gets a line for a file that ends in the middle of one.

    After damage nothing says where the next packet begins, so the rest of the file is no packet.
    """
    kept = _Keeping(stream)
    reader = PcapReader(cast(BinaryIO, kept), name)
    begin = kept.take()
    order = "<" if begin[0] in b"\xd4\x4d" else ">"
    nanoseconds = begin[:4] in _MAGIC[2:]
    yield Record(begin)
    for packet in reader:
        raw = kept.take()
        frame, others = loratap.frame_of(packet.data, packet.time_us, packet.length > len(packet.data))
        if nanoseconds and struct.unpack(order + "I", raw[4:8])[0] % 1000:
            others = ("time_ns", *others)
        yield Record(raw, (frame,), others)
    raw = kept.take()
    if reader.cut:
        if notes is not None:
            notes.append(reader.cut)
        if len(raw) == 16 and struct.unpack(order + "I", raw[8:12])[0] > MAX_RECORD:
            reason = "too_long"
        else:
            # Zeros are what a file system leaves of a file that grew just before the power went.
            reason = "truncated" if raw.strip(b"\0") else ""
        yield Record(raw, reason=reason)
        while raw := stream.read(_CHUNK):
            yield Record(raw)


def head() -> bytes:
    """What packets of `pack` stand behind (draft-ietf-opsawg-pcap, section 4)."""
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, LINKTYPE_LORATAP)


def pack(frame: Frame, version: int = 0) -> bytes:
    """The frame as a packet behind `head()`; what a LoRaTap header of that version cannot hold is left out."""
    data = frame.data
    if not frame.reason:
        data = loratap.pack(frame.radio, frame.data, version, frame.gateway if version else b"")
    seconds, part = divmod(min(max(frame.time_us, 0), END_US - 1), 1_000_000)
    kept = data[:SNAPLEN]
    return struct.pack("<IIII", seconds, part, len(kept), len(data)) + kept
