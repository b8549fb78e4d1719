"""Captures that are written while they grow: one file, or files that follow each other by size and by time.

Files that follow each other are named by their number and by when they were begun, as in
c-000001-20260128T200000Z.pcapng (UTC); no file that is there is ever written over. A message goes whole into one
file, and its frames have reached the operating system when `add` returns. The next file is begun before the last
one ends: where that is refused, the last one goes on. In pcapng the messages travel in comments
(host_tools/formats/origin.py).
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from host_tools.errors import StoreError, UsageError, unwritable
from host_tools.formats import PACKED, SUFFIXES, loratap
from host_tools.formats.origin import LONG, Keeper
from host_tools.formats.pcap import END_US, PcapWriter
from host_tools.formats.pcap import SUFFIXES as PCAP
from host_tools.formats.pcapng import SUFFIXES as PCAPNG
from host_tools.formats.pcapng import PcapngWriter
from host_tools.frames import Frame, Record

__all__ = ["MAX_MESSAGE", "CaptureFiles", "Entry", "Rule", "rule"]

# Longer messages are refused by their sources: what they say has to fit into one place of a capture.
MAX_MESSAGE = LONG - 16
NAME = "capture"  # of files in a folder
SUFFIX = ".pcapng"
_SIZE = re.compile(r"(\d{1,9})(k|M|G|T)?(i)?B", re.IGNORECASE)
_TIME = re.compile(r"(\d{1,6})(s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_LEAST = 1024
_MOST_NUMBER = 999_999


@dataclass(frozen=True)
class Rule:
    """When a file ends and which ones stay; 0 for no such bound. seconds: at multiples of it since 1970, UTC."""

    max_bytes: int = 0
    seconds: int = 0
    keep_files: int = 0
    keep_bytes: int = 0


def _bytes(text: str) -> int:
    """100MB as a number of bytes (kB, MB, GB of 1000, KiB, MiB, GiB of 1024), 0 for no such text."""
    found = _SIZE.fullmatch(text)
    if not found:
        return 0
    power = " kmgt".index(found[2].lower()) if found[2] else 0
    return int(found[1]) * int((1024 if found[3] else 1000) ** power)


def rule(rotate: str | None, keep: str | None) -> Rule | None:
    """What --rotate ("100MB", "1h", "100MB,1h") and --keep ("24" files, or "2GB") ask for; None for neither.

    Where files are kept below a size and no size ends them, a quarter of it does.
    """
    max_bytes = seconds = keep_files = keep_bytes = 0
    for part in rotate.split(",") if rotate is not None else ():
        timed = _TIME.fullmatch(part.strip())
        if timed and not seconds and int(timed[1]):
            seconds = int(timed[1]) * _SECONDS[timed[2]]
        elif not max_bytes and _bytes(part.strip()) >= _LEAST:
            max_bytes = _bytes(part.strip())
        else:
            raise UsageError(f"{rotate!r} is no size and no time to rotate at", "100MB, 1h, or 100MB,1h")
    if keep is not None:
        keep_bytes = _bytes(keep)
        keep_files = int(keep) if keep.isascii() and keep.isdigit() and len(keep) < 10 else 0
        if not keep_files and keep_bytes < 4 * _LEAST:
            raise UsageError(f"{keep!r} is no number of files and no size to keep", "24, or 2GB")
        if rotate is None:
            raise UsageError("--keep goes with --rotate: one file alone is never deleted", "--rotate 100MB")
        if keep_bytes and not max_bytes:
            max_bytes = keep_bytes // 4
        if keep_bytes and keep_bytes < 2 * max_bytes:
            raise UsageError(f"--keep {keep} has no room for two files of --rotate {rotate}", "--keep 10")
    return Rule(max_bytes, seconds, keep_files, keep_bytes) if rotate is not None else None


@dataclass
class Entry:
    """A file of the index. begin_us, end_us: times of the earliest and the latest frame, 0 without any."""

    path: Path
    frames: int = 0
    size: int = 0
    begin_us: int = 0
    end_us: int = 0
    deleted: bool = False

    def count(self, frame: Frame) -> None:
        self.begin_us = min(self.begin_us or frame.time_us, frame.time_us)
        self.end_us = max(self.end_us, frame.time_us)
        self.frames += 1

    def as_dict(self) -> dict[str, Any]:
        from host_tools.rows import utc

        return {
            "file": str(self.path),
            "frames": self.frames,
            "bytes": self.size,
            "first": utc(self.begin_us) if self.frames else "",
            "last": utc(self.end_us) if self.frames else "",
            "deleted": self.deleted,
        }


class _Messages(Keeper):
    """Messages beside their frames, each written at once."""

    def take(self, record: Record, written: Callable[[Frame], None]) -> None:
        """Write the frames of a message; those without a frame wait for the next one that has some."""
        if self._size + len(record.raw) > LONG:
            self._put_aside()
        if not record.frames:
            self._waiting.append(record.raw)
            self._size += len(record.raw)
            return
        before = self._offset, self._hash.copy(), self._waiting, self._size
        self._waiting = [*self._waiting, record.raw]
        self._pack()
        comments, self._comments = self._comments, []
        for n, frame in enumerate(record.frames):
            try:
                self._writer.add(frame, () if n else comments)
            except StoreError:
                if not n:
                    # The message is not in the file, so it is no part of what the file was made of.
                    self._offset, self._hash, self._waiting, self._size = before
                raise
            written(frame)

    def _put_aside(self) -> None:
        before = self._offset, self._hash.copy(), self._waiting, self._size
        self._pack()
        comments, self._comments = self._comments, []
        try:
            self._writer.remark(comments)
        except StoreError:
            self._offset, self._hash, self._waiting, self._size = before
            raise


class _File:
    """One capture file. original: messages go into comments where the format has some."""

    def __init__(self, path: Path, append: bool, original: bool, suffix: str = "") -> None:
        self.entry = Entry(path)
        self._messages: dict[str, _Messages] = {}
        self._comments = original and not append
        pcapng = (suffix or path.suffix).lower() in PCAPNG
        self._pcapng = PcapngWriter(path, append=append) if pcapng else None
        self.writer: PcapWriter = self._pcapng or PcapWriter(path, append=append)
        self.measure()

    def move(self, path: Path) -> bool:
        """Give the file its name; False where that is taken."""
        old = self.entry.path
        try:
            try:
                os.link(old, path)
            except FileExistsError:
                return False
            except OSError:  # a file system without hard links
                old.rename(path)
            else:
                old.unlink()
        except OSError as e:
            raise unwritable(path, e) from None
        self.entry.path = self.writer.path = path
        return True

    def measure(self) -> None:
        with contextlib.suppress(OSError):
            self.entry.size = self.entry.path.stat().st_size if self.entry.path.is_file() else 0

    def add(self, record: Record, fmt: str) -> None:
        try:
            if self._pcapng is not None and self._comments and fmt:
                if fmt not in self._messages:
                    self._messages[fmt] = _Messages(self._pcapng, fmt)
                self._messages[fmt].take(record, self.entry.count)
                return
            for frame in record.frames:
                self._write(frame)
                self.entry.count(frame)
        finally:
            self.measure()

    def _write(self, frame: Frame) -> None:
        if self._pcapng is not None:
            self._pcapng.add(frame)
            return
        if frame.reason:
            # A record that came without a readable header is kept as it came.
            self.writer.write(frame.time_us, frame.data)
            return
        # What a network server says is no LoRaWAN frame, and no other program shall take it for one.
        radio = replace(frame.radio, sync_word=0) if frame.network else frame.radio
        self.writer.write(frame.time_us, loratap.pack(radio, frame.data))

    def close(self) -> None:
        """StoreError where the disk has no room for the end; every frame is in the file all the same."""
        with contextlib.closing(self.writer):
            try:
                for messages in self._messages.values():
                    messages.close()
            finally:
                self.measure()
                self.writer.sync()


class CaptureFiles:
    """Where the frames of a live capture go. target: a file, or a folder (one that is there, or "name/").

    rule: None for one file. append: go on with that file; messages then leave no comments, for those that are
    there have come to their end. tell: told once what goes wrong beside the frames themselves.
    """

    def __init__(
        self,
        target: Path | str,
        rule: Rule | None = None,
        append: bool = False,
        original: bool = True,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        if str(target) == "-":
            raise UsageError("a capture needs a file")
        folder = str(target).endswith(("/", os.sep)) or Path(target).is_dir()
        suffix = Path(target).suffix.lower()
        if (
            not folder
            and suffix in (*SUFFIXES, ".json", ".jsonl", ".ndjson", *PACKED)
            and suffix not in (*PCAP, *PCAPNG)
        ):
            raise UsageError(
                f"{target}: a capture that grows is a .pcap or .pcapng", "such a file converts later"
            )
        if append and (folder or rule):
            raise UsageError("--append goes on with one file; files that rotate never write over another")
        self.rule = rule or Rule()
        self._original = original
        self._clock_us = clock_us
        self._tell = tell
        self._told: set[str] = set()
        self.single = not folder and rule is None
        self.folder = Path(target) if folder else Path(target).parent
        self.stem = NAME if folder else Path(target).stem
        self.suffix = SUFFIX if folder else Path(target).suffix or SUFFIX
        self.entries: list[Entry] = []
        self._file: _File | None = None
        self._ended = False
        # A period may end in one thread while a frame comes in another.
        self._lock = threading.RLock()
        self._period = 0
        self._number = 0
        # Closed files of this name with their sizes, oldest first; those of earlier captures are among them.
        self._closed: list[tuple[Path, int]] = []
        if self.single:
            self._file = _File(Path(target), append, original)
            self.entries.append(self._file.entry)
            return
        try:
            if folder:
                self.folder.mkdir(exist_ok=True)
            self._look_around()
        except OSError as e:
            raise unwritable(self.folder, e) from None
        self._begin()

    def _look_around(self) -> None:
        pattern = re.compile(
            re.escape(self.stem) + r"-(\d{6})-\d{8}T\d{6}Z" + re.escape(self.suffix), re.ASCII
        )
        found = []
        for path in self.folder.iterdir():
            match = pattern.fullmatch(path.name)
            if match and path.is_file():
                found.append((int(match[1]), path, path.stat().st_size))
        self._closed = [(path, size) for _, path, size in sorted(found)]
        self._number = max((number for number, _, _ in found), default=0)

    # Files

    @property
    def path(self) -> Path:
        """The file at work, or the last one."""
        return self.entries[-1].path

    @property
    def frames(self) -> int:
        """Frames in the files that are still there."""
        return sum(entry.frames for entry in self.entries if not entry.deleted)

    def __str__(self) -> str:
        """The files in one word."""
        if self.single:
            return str(self.path)
        return str(self.folder / f"{self.stem}-*{self.suffix}")

    def _begin(self) -> None:
        """Begin the next file. StoreError where the place refuses; everything is then as before."""
        now_us = self._clock_us()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_us // 1_000_000))
        number = self._number
        while True:
            number += 1
            if number > _MOST_NUMBER:
                raise StoreError(
                    f"{self.folder} holds file number {_MOST_NUMBER} of {self.stem}", "another name"
                )
            path = self.folder / f"{self.stem}-{number:06}-{stamp}{self.suffix}"
            if not path.exists():
                file = self._made(path)
                if file is not None:
                    break  # else another capture has begun this one just now
        self._file = file
        self._number = number
        self._period = self._now_period(now_us)
        self.entries.append(self._file.entry)
        self._thin()

    def _made(self, path: Path) -> _File | None:
        """A file that has its name only once it has its head: nobody finds an empty one. None for a taken name."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{id(self):x}")
        file = None
        try:
            file = _File(temporary, False, self._original, self.suffix)
            if file.move(path):
                return file
        finally:
            if file is None or file.entry.path == temporary:
                with contextlib.suppress(OSError):
                    if file is not None:
                        file.writer.close()
                    temporary.unlink()
        return None

    def _now_period(self, now_us: int) -> int:
        return now_us // (self.rule.seconds * 1_000_000) if self.rule.seconds else 0

    def _due(self) -> bool:
        if self.single or self._file is None or not self._file.entry.frames:
            return False
        full = self.rule.max_bytes and self._file.entry.size >= self.rule.max_bytes
        return bool(full) or self._now_period(self._clock_us()) != self._period

    def _next(self) -> None:
        """A file to write to; the old one ends only where there is a new one."""
        if self._ended:
            raise StoreError("the capture has ended")
        if self._file is None:
            self._begin()
        elif self._due():
            old = self._file
            try:
                self._begin()
            except StoreError as e:
                self._once(e)
                return
            self._end(old)

    def _end(self, file: _File) -> None:
        try:
            file.close()
        except StoreError as e:
            self._once(e)
        if not self.single:
            self._closed.append((file.entry.path, file.entry.size))
            self._thin()

    def _thin(self) -> None:
        """Delete the oldest files as far as the rule asks for it; the one at work always stays."""
        size = self._file.entry.size if self._file else 0
        while self._closed and (
            (self.rule.keep_files and len(self._closed) + bool(self._file) > self.rule.keep_files)
            or (self.rule.keep_bytes and sum(s for _, s in self._closed) + size > self.rule.keep_bytes)
        ):
            path, _ = self._closed[0]
            try:
                path.unlink(missing_ok=True)
            except OSError as e:
                self._once(unwritable(path, e))
                return
            del self._closed[0]
            for entry in self.entries:
                entry.deleted |= entry.path == path

    def _once(self, error: StoreError) -> None:
        if str(error) not in self._told:
            self._told.add(str(error))
            self._tell(str(error))

    # Frames

    def add(self, record: Record, fmt: str = "") -> None:
        """Append the frames of a message. fmt: the format whose file the `raw` of all messages make, "" for none.

        StoreError when the disk refuses: the capture then ends after the last whole frame, and may go on.
        """
        with self._lock:
            self._next()
            assert self._file is not None
            self._file.add(record, fmt)
            if self.rule.keep_bytes:
                self._thin()

    def write(self, frame: Frame) -> None:
        """Append a frame; StoreError when the disk refuses, with all frames before it intact."""
        time_us = frame.time_us if 0 <= frame.time_us < END_US else self._clock_us()
        self.add(Record(b"", (replace(frame, time_us=time_us),)))

    def sync(self) -> None:
        """Have all frames survive a power cut, too."""
        with self._lock:
            if self._file is not None:
                self._file.writer.sync()

    def tick(self) -> None:
        """End a file whose time is over, also where no frame comes; the next frame begins another."""
        with self._lock:
            if self._due() and self._file and self._now_period(self._clock_us()) != self._period:
                file, self._file = self._file, None
                self._end(file)

    def close(self) -> None:
        """End the file at work. One without any frame is taken away where files follow each other."""
        with self._lock:
            self._ended = True
            file, self._file = self._file, None
            if file is not None:
                self._finish(file)

    def _finish(self, file: _File) -> None:
        self._end(file)
        if not self.single and not file.entry.frames and len(self.entries) > 1:
            with contextlib.suppress(OSError):
                file.entry.path.unlink()
                self.entries.remove(file.entry)

    def __enter__(self) -> CaptureFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
