"""Captures that were packed as a whole: gzip (RFC 1952, any number of members) and zstd (RFC 8878, any number of
frames, skippable ones stepped over) are opened as streams; xz, bzip2, zip and others are refused by name.

Bounded: no more is unpacked at once than is asked for, windows of zstd above 128 MiB are refused (its own program
wants an option for those), and a file that unpacks to more than a thousand times its size ends there (a capture
shrinks to a tenth). What was unpacked until an end of that kind, or until damage, is kept.

zstd needs Python 3.14 or the package zstandard.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, Protocol, cast

from host_tools.errors import InputError

RATIO = 1000
FREE = 64 << 20  # nothing is a bomb before it has unpacked to this
_WINDOW_LOG = 27
_STEP = 1 << 16
# A block of zstd, 128 KiB at most, takes 4 bytes at least: so much packed makes 16 MiB at most.
_ZSTD_STEP = 512

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_REFUSED = {
    b"PK\x03\x04": ("zip", "unzip unpacks it"),
    b"\xfd7zXZ": ("xz", "unxz -k unpacks it"),
    b"BZh": ("bzip2", "bunzip2 -k unpacks it"),
    b"\x04\x22\x4d\x18": ("lz4", "unlz4 unpacks it"),
    b"7z\xbc\xaf\x27\x1c": ("7z", "7z x unpacks it"),
    b"\x1f\x9d": ("compress", "uncompress -k unpacks it"),
}


class _Part(Protocol):
    """One member or frame. `ended`: it is whole; `unused`: what was fed behind its end."""

    ended: bool
    unused: bytes

    def unpack(self, data: bytes, most: int) -> bytes: ...

    def hungry(self) -> bool: ...


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.ended = False
        self.unused = b""

    def unpack(self, data: bytes, most: int) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, most)
        self.ended = self._inner.eof
        self.unused = self._inner.unused_data
        return out

    def hungry(self) -> bool:
        return not self._inner.unconsumed_tail


class _Zstd314:
    """compression.zstd of Python 3.14."""

    def __init__(self, module: Any) -> None:
        limit = {module.DecompressionParameter.window_log_max: _WINDOW_LOG}
        self._inner = module.ZstdDecompressor(options=limit)
        self.ended = False
        self.unused = b""

    def unpack(self, data: bytes, most: int) -> bytes:
        out = self._inner.decompress(data, most)
        self.ended = self._inner.eof
        self.unused = self._inner.unused_data
        return cast(bytes, out)

    def hungry(self) -> bool:
        return bool(self._inner.needs_input)


class _Zstandard:
    """The package zstandard, which gives all that its input makes: so it gets little at a time."""

    def __init__(self, module: Any) -> None:
        self._inner = module.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG).decompressobj()
        self._waiting = b""
        self._out = b""
        self.ended = False
        self.unused = b""

    def unpack(self, data: bytes, most: int) -> bytes:
        self._waiting += data
        if not self._out and self._waiting and not self._inner.eof:
            step, self._waiting = self._waiting[:_ZSTD_STEP], self._waiting[_ZSTD_STEP:]
            self._out = self._inner.decompress(step)
        out, self._out = self._out[:most], self._out[most:]
        if self._inner.eof and not self._out:
            self.ended = True
            self.unused = self._inner.unused_data + self._waiting
        return out

    def hungry(self) -> bool:
        return not self._out and not self._waiting


class _Unpacked(io.RawIOBase):
    def __init__(
        self,
        stream: BinaryIO,
        name: str,
        kind: str,
        part: Callable[[], _Part],
        notes: list[str] | None,
        limit: int | None,
    ) -> None:
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self._name = name
        self._kind = kind
        self._new = part
        self._part = part()
        self._notes = notes
        self._limit = limit
        self._taken = 0  # packed bytes that were read, and unpacked ones that were given
        self._given = 0
        self._between = False  # whole members lie behind, nothing of another one yet
        self._done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        most = len(buffer)
        while not self._done and most:
            try:
                out = self._next(most)
            except OSError:
                raise
            except Exception as e:
                # Each of the modules has an error of its own.
                self._end(f"is damaged after {self._given} bytes unpacked ({str(e)[:80]})")
                break
            if self._limit is not None and self._given + len(out) > self._limit:
                out = out[: self._limit - self._given]
                self._end(f"unpacks to more than {self._limit} bytes; not read on")
            elif self._given + len(out) > max(FREE, RATIO * self._taken):
                self._end(f"unpacks to more than {RATIO} times its size: a bomb; not read on")
            if out:
                self._given += len(out)
                buffer[: len(out)] = out
                return len(out)
        return 0

    def _next(self, most: int) -> bytes:
        """Some more, or nothing yet; sets `_done` at the end."""
        data = b""
        if self._part.ended:
            data = self._part.unused
            self._part = self._new()
            self._between = True
        if not data and self._part.hungry():
            data = self._read(_STEP)
            self._taken += len(data)
            if not data:
                self._done = True
                if not self._between:
                    self._end(f"is cut in the middle, after {self._given} bytes unpacked")
                return b""
        if self._between and data:
            # Padding of tapes and disks.
            data = data.lstrip(b"\0") if self._kind == "gzip" else data
            while 0 < len(data) < 4 and (more := self._read(_STEP)):
                self._taken += len(more)
                data += more
            if not data:
                return b""
            if _kind(data) != self._kind:
                self._end(f"holds something else than {self._kind} behind its end; not read on")
                return b""
            self._between = False
        return self._part.unpack(data, most)

    def _end(self, why: str) -> None:
        self._done = True
        if self._notes is not None:
            self._notes.append(f"{self._name} {why}")


class _Joined(io.RawIOBase):
    """Bytes that were read already, ahead of the rest of their stream."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or self._read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _kind(head: bytes) -> str:
    """gzip, zstd or ""."""
    if head.startswith(_GZIP):
        return "gzip"
    # A file may begin with a skippable frame (RFC 8878, section 3.1.2).
    if head.startswith(_ZSTD) or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50):
        return "zstd"
    return ""


def _zstd(name: str) -> Callable[[], _Part]:
    with contextlib.suppress(ImportError):
        return partial(_Zstd314, importlib.import_module("compression.zstd"))
    with contextlib.suppress(ImportError):
        return partial(_Zstandard, importlib.import_module("zstandard"))
    raise InputError(
        f"{name} is a zstd file, which Python reads from 3.14 on, or with the package zstandard",
        "unzstd unpacks it",
    )


def open_packed(
    stream: BinaryIO, name: str, notes: list[str] | None = None, limit: int | None = None
) -> BinaryIO:
    """A stream of what `stream` holds unpacked, or, where that is not packed, of what it holds.

    limit: unpacked bytes after which the stream ends. notes: gets a line where it ends too early. InputError for a
    packed file of a kind that is not opened here. Read nothing of `stream` any more; closing it is left to you.
    """
    head = stream.peek(6) if isinstance(stream, io.BufferedReader) else b""
    if len(head) < 6:
        # A pipe may have given its first bytes only.
        head = stream.read(6)
        stream = io.BufferedReader(_Joined(head, stream))
    for begin, (refused, hint) in _REFUSED.items():
        if head.startswith(begin):
            raise InputError(f"{name} is a {refused} file; captures are read unpacked", hint)
    kind = _kind(head)
    if not kind:
        return stream
    part = _Gzip if kind == "gzip" else _zstd(name)
    return io.BufferedReader(_Unpacked(stream, name, kind, part, notes, limit), _STEP)
