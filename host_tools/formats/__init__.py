"""Formats that frames are captured in, and the one reader for all of them.

Each format is one module: NAME, SUFFIXES, TITLE, HOLDS (what it can hold of a frame), `sniff(head)`,
`read(stream, name)` to records, `pack(frame)`. Files may be packed (`packed`); a folder is its captures in the
order of their names.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections import Counter
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

from host_tools.errors import InputError, unreadable
from host_tools.frames import Frame, Record

# The first that claims a file has it: those with a magic number, then those that are told by their shape.
NAMES = ("pcapng", "pcap", "chirpstack", "gwrecord", "jsonlines", "hexlines")
# JSON of one kind: written under its own name, read as `jsonlines`.
JSON_NAMES = ("gwmp", "lns", "chirpstack", "tts")
# Ends of names by which a folder is searched, each also packed; .json may be anything, keys among them.
SUFFIXES = ".pcap .cap .pcapng .ntar .pb .rec .gwmp .lns .chirpstack .tts .hex".split()
PACKED = (".gz", ".zst")
# What stands beside a conversion (host_tools/convert.py) holds its frames a second time.
_BESIDE = ".origin.pcapng"
_HEAD = 1 << 16


def module(name: str) -> Any:
    """The module of a format; only what is asked for is loaded."""
    return importlib.import_module(f"host_tools.formats.{name}")


def detect(head: bytes) -> str:
    """Name of the format of a file that begins so, "" for none."""
    return next((name for name in NAMES if module(name).sniff(head)), "")


def binary(head: bytes) -> str:
    """The same for the formats with a magic number, which no file of text can be taken for."""
    return next((name for name in ("pcapng", "pcap", "gwrecord") if module(name).sniff(head)), "")


def is_named(path: Path) -> bool:
    """Whether a file's name says that it is a capture."""
    name = path.name.lower()
    plain = Path(name.removesuffix(PACKED[0]).removesuffix(PACKED[1]))
    return plain.suffix in SUFFIXES and not plain.name.endswith(_BESIDE)


class Source:
    """The pieces of a file, or of standard input for "-", in their order, once. `fmt` spares the guess.

    `format`: its module, from the first piece on. notes: gets a line for a file that ends in the middle of a
    record. InputError, in the course of it, where it is no capture.
    """

    def __init__(self, source: Path | str, notes: list[str] | None = None, fmt: str = "") -> None:
        self._path = str(source)
        self.name = "standard input" if self._path == "-" else self._path
        self._notes: list[str] = [] if notes is None else notes
        self._fmt = fmt
        self.format: Any = None

    def __iter__(self) -> Iterator[Record]:
        if self._path == "-":
            yield from self._records(sys.stdin.buffer)
            return
        try:
            stream = Path(self._path).open("rb")  # noqa: SIM115 - closed below, opened apart for its own error
        except OSError as e:
            raise unreadable(self._path, e) from None
        with stream:
            yield from self._records(stream)

    def _records(self, stream: BinaryIO) -> Iterator[Record]:
        from host_tools.formats.packed import open_packed

        name, notes = self.name, self._notes
        try:
            plain = _peekable(open_packed(stream, name, notes))
            # A pipe cannot go back, so nothing is taken for the guess.
            head = plain.peek(_HEAD)[:_HEAD]
            if not head:
                raise InputError(notes[-1] if notes else f"{name} is empty")
            self.format = module(self._fmt or detect(head) or _foreign(name))
            more = {"notes": notes} if "notes" in inspect.signature(self.format.read).parameters else {}
            yield from self.format.read(plain, name, **more)
        except OSError as e:
            raise unreadable(name, e) from None


def _peekable(stream: BinaryIO) -> BufferedReader:
    """The stream with a buffer of 64 KiB to look into."""
    return BufferedReader(cast(Any, stream), _HEAD)


def _foreign(name: str) -> str:
    raise InputError(
        f"{name} is not a capture that is known here",
        "pcap, pcapng, GWMP, Basics Station, ChirpStack, The Things Stack, gateway records, hex; also .gz, .zst",
    )


def frames(source: Path | str, notes: list[str] | None = None, fmt: str = "") -> Iterator[Frame]:
    """The frames of a file in their order. notes: also gets a line for pieces that should hold one and do not.

    InputError where nothing in it is what its format says.
    """
    opened = Source(source, notes, fmt)
    name = opened.name
    refused: Counter[str] = Counter()
    sound = False
    for record in opened:
        if record.reason and not record.frames:
            refused[record.reason] += 1
        else:
            sound = sound or bool(record.raw.strip())
        yield from record.frames
    words = ", ".join(f"{count} x {reason}" for reason, count in sorted(refused.items()))
    if refused and not sound:
        raise InputError(f"{name} is not a capture that is known here: {words}")
    # Formats with a structure of their own tell where that is damaged.
    if notes is not None and refused.keys() - {"truncated", "too_long"}:
        notes.append(f"{name}: records left out: {words}")
