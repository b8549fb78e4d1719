"""How the source travels inside a pcapng capture made of it, so that the source comes out again byte for byte.

Each record of the source goes, verbatim, into comments of the packet made of it. Bytes of no packet (a head,
blank lines, statistics) go ahead of the next packet's own, the tail behind the last packet's; a source without
any packet goes into the comment of an interface. What is long (a record, or what lies between two packets, above
1 MiB) goes to a file beside the capture, OUT.origin. One comment is one line of words, numbers in decimal:

    lanterne-origin/1 FORMAT OFFSET PART/PARTS BASE64     a piece of the source and where it begins in it
    lanterne-origin/1 FORMAT OFFSET file AT LENGTH        the same, in OUT.origin
    lanterne-origin/1 FORMAT end LENGTH SHA256            the source ends here; once, in the last place used

Tried with the tools of Wireshark 4.0: editcap, mergecap, reordercap and `tshark -w` keep all comments of packets
and of interfaces, in their order; they drop those of statistics blocks, which therefore hold nothing here. Packets
in another order are put right again (reordercap); packets left out (`editcap -r`, `tshark -Y`) make the source
incomplete, two captures in one (mergecap) make two sources of it: both are said, not guessed at. A capture that
went through classic pcap (`-F pcap`) holds no comments.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from host_tools.errors import InputError, StoreError, unreadable, unwritable
from host_tools.formats.blocks import blocks, comments
from host_tools.formats.pcapng import ORIGIN_PREFIX, PcapngWriter
from host_tools.frames import Frame, Record

LONG = 1 << 20
_PART = 46_500  # 62,000 characters of base64; an option has room for 65,535
_HELD = 64 << 20
_NAME = re.compile(r"[a-z0-9_.-]{1,32}")
_COMMENT = re.compile(
    r"([a-z0-9_.-]{1,32}) (?:(\d{1,18}) (?:(\d{1,6})/(\d{1,6}) ([A-Za-z0-9+/=]*)|file (\d{1,18}) (\d{1,18}))"
    r"|end (\d{1,18}) ([0-9a-f]{64}))"
)


def side_file(path: Path | str) -> Path:
    """Where the long pieces of a capture's source are."""
    return Path(f"{path}.origin")


class Keeper:
    """Writes the records of one source into a capture, with the source itself; it ends before the writer does.

    fmt: the name of the source's format. `side` is the file for long pieces; it is made when there is one, in the
    place of one that is there. In a `with` that is left by an exception the source counts as incomplete.
    """

    def __init__(self, writer: PcapngWriter, fmt: str) -> None:
        if not _NAME.fullmatch(fmt):
            raise ValueError(f"{fmt!r} is no name of a format")
        self._writer = writer
        self._fmt = fmt
        self.side = side_file(writer.path)
        self._file: BinaryIO | None = None
        self._side_end = 0
        self._offset = 0
        self._hash = hashlib.sha256()
        self._waiting: list[bytes] = []  # bytes of no packet yet, and how many
        self._size = 0
        self._comments: list[str] = []
        self._held: tuple[Frame, list[str]] | None = None  # the last packet, which may have to take the tail

    def write(self, record: Record) -> None:
        """Append the frames of a record and its bytes; StoreError when the disk refuses."""
        if self._size + len(record.raw) > LONG:
            self._spill(record.raw)
        elif record.raw:
            self._waiting.append(record.raw)
            self._size += len(record.raw)
        for frame in record.frames:
            self._flush()
            self._pack()
            self._held = frame, self._comments
            self._comments = []

    def close(self, whole: bool = True) -> None:
        """Write what is left and, where it is `whole`, that the source ends here."""
        if self._file:
            self._file.close()
        self._pack()
        if whole:
            self._comments.append(f"{ORIGIN_PREFIX}{self._fmt} end {self._offset} {self._hash.hexdigest()}")
        if self._held:
            self._held[1].extend(self._comments)
            self._flush()
        elif self._comments:
            self._writer.remark(self._comments)
        self._comments = []

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(StoreError):  # the first error is the one to tell
            self.close(whole=False)

    def _flush(self) -> None:
        if self._held:
            self._writer.add(*self._held)
            self._held = None

    def _pack(self) -> None:
        """Make comments of what waits."""
        data = b"".join(self._waiting)
        self._waiting, self._size = [], 0
        if not data:
            return
        parts = range(0, len(data), _PART)
        for n, at in enumerate(parts, 1):
            text = base64.b64encode(data[at : at + _PART]).decode()
            self._comments.append(f"{ORIGIN_PREFIX}{self._fmt} {self._offset + at} {n}/{len(parts)} {text}")
        self._count(data)

    def _spill(self, raw: bytes) -> None:
        """What waits and `raw` to the file beside the capture; one comment for pieces that follow each other."""
        data = b"".join([*self._waiting, raw])
        self._waiting, self._size = [], 0
        try:
            if self._file is None:
                self._file = self.side.open("wb")
            self._file.write(data)
            self._file.flush()
        except OSError as e:
            raise unwritable(self.side, e) from None
        begin, at, length = self._offset, self._side_end, len(data)
        if self._comments:
            last = _parse(self._comments[-1].encode())
            if last and last.side and last.side[0] + last.side[1] == at:
                begin, at, length = last.offset, last.side[0], last.side[1] + length
                self._comments.pop()
        self._comments.append(f"{ORIGIN_PREFIX}{self._fmt} {begin} file {at} {length}")
        self._side_end += len(data)
        self._count(data)

    def _count(self, data: bytes) -> None:
        self._offset += len(data)
        self._hash.update(data)


@dataclass(frozen=True, slots=True)
class _Piece:
    fmt: str
    offset: int
    data: bytes = b""
    side: tuple[int, int] | None = None  # place and length in the file beside
    end: str = ""  # SHA-256 of the whole source, whose length is `offset`


def _parse(comment: bytes) -> _Piece | None:
    """What a comment holds; None for one of somebody else, InputError for a damaged one of ours."""
    if not comment.startswith(ORIGIN_PREFIX.encode()):
        return None
    found = _COMMENT.fullmatch(comment[len(ORIGIN_PREFIX) :].decode("ascii", "replace"))
    if not found:
        raise InputError("a piece of the original is damaged")
    fmt, offset, _, _, text, at, length, total, digest = found.groups()
    if digest:
        return _Piece(fmt, int(total), end=digest)
    if at:
        return _Piece(fmt, int(offset), side=(int(at), int(length)))
    try:
        return _Piece(fmt, int(offset), base64.b64decode(text, validate=True))
    except binascii.Error:
        raise InputError("a piece of the original is damaged") from None


class Original:
    """The source of a capture, piece by piece, once. `fmt`: its format.

    InputError at once when the capture holds none; in the course of the pieces, at the latest after the last, when
    some are missing or are not what was written: what came until then is not the whole source.
    """

    def __init__(self, stream: BinaryIO, name: str, side: Path | str = "") -> None:
        self.name = name
        self._side = Path(side or side_file(name))
        self._side_end = 0
        self._pieces = self._read(stream)
        self._first = next(self._pieces, None)
        if self._first is None:
            raise InputError(f"{name} holds no original", "only a capture made of another file holds one")
        self.fmt = self._first.fmt

    def _read(self, stream: BinaryIO) -> Iterator[_Piece]:
        for block in blocks(stream, self.name):
            for comment in comments(block):
                try:
                    piece = _parse(comment)
                except InputError as e:
                    raise InputError(f"{self.name}: {e}") from None
                if piece:
                    yield piece

    def __iter__(self) -> Iterator[bytes]:
        done, size = 0, 0
        digest = hashlib.sha256()
        early: dict[int, _Piece] = {}
        end: _Piece | None = None
        piece = self._first
        while piece:
            if piece.fmt != self.fmt or (end and piece.end):
                raise InputError(
                    f"{self.name} holds the originals of several files; they cannot be told apart"
                )
            if piece.end:
                end = piece
            elif piece.offset < done or piece.offset in early:
                raise InputError(
                    f"{self.name} holds byte {piece.offset} of an original twice; are these two captures in one?"
                )
            else:
                # Another order of packets: a piece waits for those ahead of it.
                early[piece.offset] = piece
                size += len(piece.data) + 200
            while done in early:
                ready = early.pop(done)
                size -= len(ready.data) + 200
                for data in self._bytes(ready):
                    digest.update(data)
                    done += len(data)
                    yield data
            if size > _HELD:
                raise InputError(
                    f"{self.name}: the original is missing from byte {done} on, or far out of order",
                    "reordercap puts packets into the order of their times",
                )
            piece = next(self._pieces, None)
        if end is None or early or done != end.offset:
            raise InputError(
                f"{self.name}: the original is incomplete; byte {done} and what follows is missing"
            )
        if digest.hexdigest() != end.end:
            raise InputError(f"{self.name}: the original was changed")

    def _bytes(self, piece: _Piece) -> Iterator[bytes]:
        if piece.side is None:
            yield piece.data
            return
        at, left = piece.side
        side = self._side
        if at < self._side_end:
            raise InputError(f"{self.name} names a part of {side} twice")
        self._side_end = at + left
        try:
            with side.open("rb") as f:
                f.seek(at)
                while left:
                    data = f.read(min(left, LONG))
                    if not data:
                        raise InputError(f"{side} is too short for the original of {self.name}")
                    left -= len(data)
                    yield data
        except OSError as e:
            raise unreadable(side, e) from None


def restore(stream: BinaryIO, name: str, side: Path | str = "") -> Original:
    """The source of a capture. name: its path; side: where its long pieces are, if not in OUT.origin beside it."""
    return Original(stream, name, side)
