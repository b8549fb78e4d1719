"""Captures from one format into another: what the target can hold is kept, what it cannot is counted by name, and
the original travels along, so that it comes out again byte for byte.

In a pcapng capture the original is in its comments (formats/origin.py). Any other target that cannot hold
everything gets OUT.origin.pcapng beside it, which holds the original.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from host_tools import formats
from host_tools.capture import refuse_same
from host_tools.errors import InputError, UsageError, unreadable, unwritable
from host_tools.formats import origin
from host_tools.formats.pcap import PcapWriter
from host_tools.formats.pcapng import PcapngWriter
from host_tools.frames import UNKNOWN, Frame, Network, Radio

# Formats that can be written, with the ends of names that ask for them.
TARGETS = {
    "pcap": (".pcap", ".cap"),
    "pcapng": (".pcapng", ".ntar"),
    "gwrecord": (".rec",),
    "gwmp": (".gwmp",),
    "lns": (".lns",),
    "chirpstack": (".chirpstack",),
    "protobuf": (".pb",),
    "tts": (".tts",),
    "hex": (".hex",),
}
# JSON of several kinds at once is read and given back, never made.
_ORIGINALS = {"json": (".json", ".jsonl", ".ndjson")}
_MODULES = {"hex": "hexlines", "protobuf": "chirpstack"}


@dataclass(frozen=True)
class Converted:
    """lost: how often the target could not hold something, by its name. original: the file that holds the
    original, "" where the target itself says everything. restored: the target is the original of the source.
    """

    frames: int
    records: int
    unreadable: int
    lost: dict[str, int]
    original: str
    restored: bool
    notes: list[str]


def target_of(out: Path | str, fmt: str = "") -> str:
    """The format to write: `fmt`, else what the name ends in, pcap without an ending. UsageError for another."""
    if fmt:
        if fmt not in TARGETS:
            raise UsageError(f"no format {fmt!r}: known are {', '.join(TARGETS)}")
        return fmt
    suffix = Path(out).suffix.lower() or ".pcap"
    for name, suffixes in (TARGETS | _ORIGINALS).items():
        if suffix in suffixes:
            return name
    raise UsageError(f"{out} does not tell which format to write", "--format " + ", ".join(TARGETS))


def convert(
    source: Path | str,
    out: Path | str,
    fmt: str = "",
    loratap: int = 0,
    on_frame: Callable[[int], None] | None = None,
) -> Converted:
    """Write `source` as another format; the same source gives the same bytes.

    loratap: version of the header in pcap and pcapng. InputError, StoreError; nothing is written of a source that
    is no capture.
    """
    refuse_same(source, out)
    target = target_of(out, fmt)
    if target != "pcapng" and _restorable(source, target):
        return _restore(source, out)
    if target in _ORIGINALS:
        raise UsageError(
            f"{out} does not tell which JSON to write", "--format " + ", ".join(formats.JSON_NAMES)
        )
    notes: list[str] = []
    opened = formats.Source(source, notes)
    pieces = iter(opened)
    first = next(pieces, None)  # refuse a foreign file before anything is begun
    count = records = bad = 0
    lost: Counter[str] = Counter()
    side = Path(f"{out}.origin.pcapng")
    once = str(source) == "-"  # what cannot be read again has its original kept at once
    with ExitStack() as stack:
        keeper = None
        if target == "pcapng" or once:
            keeper = _keeper(
                stack, side if once and target != "pcapng" else Path(out), loratap, opened.format.NAME
            )
        write = None if target == "pcapng" else _writer(stack, target, out, loratap)
        while first is not None:
            records += 1
            bad += bool(first.reason and not first.frames)
            lost.update(first.others)
            if keeper:
                keeper.write(first)
            for frame in first.frames if write else ():
                lost.update(write(frame))  # type: ignore[misc]
            count += len(first.frames)
            if on_frame is not None and count % 256 == 0:
                on_frame(count)
            first = next(pieces, None)
    if bad == records:
        Path(out).unlink(missing_ok=True)
        side.unlink(missing_ok=True)
        raise InputError(f"{opened.name} is not a capture that is known here")
    original = str(out) if target == "pcapng" else str(side) if lost or bad else ""
    if not original:
        side.unlink(missing_ok=True)
        origin.side_file(side).unlink(missing_ok=True)
    elif keeper is None:
        with ExitStack() as stack:
            keeper = _keeper(stack, side, loratap, opened.format.NAME)
            for piece in formats.Source(source):
                keeper.write(piece)
    return Converted(count, records, bad, dict(sorted(lost.items())), original, False, notes)


def _keeper(stack: ExitStack, path: Path, loratap: int, fmt: str) -> origin.Keeper:
    writer = stack.enter_context(PcapngWriter(path, version=loratap))
    return stack.enter_context(origin.Keeper(writer, fmt))


def _writer(stack: ExitStack, target: str, out: Path | str, loratap: int) -> Callable[[Frame], Iterator[str]]:
    """What takes each frame into the file and gives the names of what that cannot hold."""
    module = formats.module(_MODULES.get(target, target))
    pack = _packer(target, module, loratap)
    if target == "pcap":
        writer = stack.enter_context(PcapWriter(out))

        def put(frame: Frame, data: bytes) -> None:
            writer.write(frame.time_us, data[16:])
    else:
        stream = stack.enter_context(_File(out))
        stream.write(_head(module))

        def put(frame: Frame, data: bytes) -> None:
            stream.write(data)

    def write(frame: Frame) -> Iterator[str]:
        data = pack(frame)
        put(frame, data)
        return _lost(frame, module, data)

    return write


class _File:
    """A file whose every refusal is a StoreError."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        try:
            self._stream = Path(path).open("wb")  # noqa: SIM115 - closed by __exit__
        except OSError as e:
            raise unwritable(path, e) from None

    def write(self, data: bytes) -> None:
        try:
            self._stream.write(data)
        except OSError as e:
            raise unwritable(self._path, e) from None

    def __enter__(self) -> _File:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stream.close()
        except OSError as e:
            if error is None:
                raise unwritable(self._path, e) from None


def _head(module: Any) -> bytes:
    return bytes(module.head()) if hasattr(module, "head") else b""


def _packer(target: str, module: Any, loratap: int) -> Callable[[Frame], bytes]:
    if target == "pcap":
        return lambda frame: bytes(module.pack(frame, loratap))
    if target == "gwrecord":
        numbers = iter(range(1 << 32))
        return lambda frame: bytes(module.pack(frame, next(numbers)))
    if target == "protobuf":
        from host_tools.formats.protobuf import delimited

        return lambda frame: delimited(module.pack_protobuf(frame))
    return lambda frame: bytes(module.pack(frame))


def _lost(frame: Frame, module: Any, data: bytes) -> Iterator[str]:
    """Names of what a frame says and the format does not give back."""
    if not data:
        yield "frame"
        return
    back: Frame | None = None
    try:
        for record in module.read(io.BytesIO(_head(module) + data), "it"):
            back = record.frames[0] if record.frames else back
    except InputError:  # without a gateway and a frequency no message of ChirpStack is known as one
        pass
    if back is None:
        yield "frame"
        return
    for field in fields(Frame):
        mine, theirs = getattr(frame, field.name), getattr(back, field.name)
        if mine == theirs:
            continue
        if field.name in ("radio", "network") and mine is not None:
            usual: Radio | Network = UNKNOWN if field.name == "radio" else Network()
            for part in fields(type(usual)):
                said = getattr(mine, part.name)
                if said != getattr(theirs or usual, part.name):
                    yield f"{field.name}.{part.name}"
        elif mine not in ("", b"", None):
            yield field.name


def _restorable(source: Path | str, target: str) -> bool:
    """True where `source` is a pcapng capture of a file of the target's format."""
    if str(source) == "-" or not Path(source).is_file():
        return False
    try:
        with Path(source).open("rb") as stream:
            if formats.detect(stream.read(4096)) != "pcapng":
                return False
            stream.seek(0)
            fmt = origin.restore(stream, str(source)).fmt
    except InputError:
        return False
    except OSError as e:
        raise unreadable(source, e) from None
    family = {"protobuf": "chirpstack"}.get(target, target)
    return fmt in (target, family) or (fmt == "json" and family in (*formats.JSON_NAMES, "json"))


def _restore(source: Path | str, out: Path | str) -> Converted:
    """The original that a pcapng capture holds, whole or not at all."""
    part = Path(f"{out}.part")
    size = 0
    try:
        with Path(source).open("rb") as stream, part.open("wb") as f:
            for piece in origin.restore(stream, str(source)):
                size += f.write(piece)
        part.replace(out)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise unwritable(out, e) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    frames = sum(1 for _ in formats.frames(source))
    return Converted(frames, frames, 0, {}, str(out), True, [])
