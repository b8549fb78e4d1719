"""Frames as hexadecimal digits, one on each line, with or without a time ahead of it.

    # what follows a number sign is a comment
    40F17DBE4900020001954378762B11FF0D
    2026-01-28T15:00:00.250Z 0x40 0xF1 0x7D 0xBE 0x49 0x00 0x02 0x00 0x01 0x95 0x43 0x78 0x76 0x2B 0x11 0xFF 0x0D
    1769612400.25 40:F1:7D:BE:49:00:02:00:01:95:43:78:76:2B:11:FF:0D

A time is ISO 8601 (UTC without a zone), or seconds of Unix UTC: with a decimal point, or of 9 to 11 digits with
the frame behind them. "0x" alone is a frame without bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import BinaryIO

from host_tools.errors import unreadable
from host_tools.formats import fields
from host_tools.frames import Frame, Record

NAME = "hex"
SUFFIXES = (".hex", ".hexlines")
TITLE = "hex lines"
HOLDS = frozenset(("data", "time_us"))
LIMIT = 1 << 20

_CHUNK = 1 << 16
_BOM = b"\xef\xbb\xbf"
_END = re.compile(rb"\r\n|\n|\r")
_TIME = re.compile(
    rb"(?:(?P<iso>(?:\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d[0-9:.]{0,16}|\d{8}T\d{4,6})"
    rb" ?(?:Z|z|UTC|GMT|[+-]\d\d:?\d\d)?)"
    rb"|(?P<unix>[+-]?\d{1,20}\.\d{0,20}|\d{9,11}))(?:[ \t]*[,;][ \t]*|[ \t]+)(?=[0-9A-Fa-f])"
)
_DIGITS = re.compile(rb"(?:0[xX])?+[0-9A-Fa-f]*+(?:[ \t:,;-]++(?:0[xX])?+[0-9A-Fa-f]++)*+")
_SEPARATORS = re.compile(rb"0[xX]|[ \t:,;-]")


def sniff(head: bytes) -> bool:
    """True where the first line with more than a comment is a frame."""
    whole = len(head) < _CHUNK
    lines = _END.split(head.removeprefix(_BOM))
    for line in lines if whole else lines[:-1]:
        record = parse(line)
        if record.frames:
            return True
        if record.reason:
            return False
    return False


def read(stream: BinaryIO, name: str) -> Iterator[Record]:
    """The records of a file, one for each line. Only what the stream itself refuses is an InputError."""
    try:
        for raw, whole in _lines(stream):
            yield parse(raw) if whole else Record(raw, reason="too_long" if whole is False else "")
    except OSError as e:
        raise unreadable(name, e) from None


def _lines(stream: BinaryIO) -> Iterator[tuple[bytes, bool | None]]:
    """(raw, True) of each line with its end; of one beyond the limit pieces, False first and None after it."""
    fetch = getattr(stream, "read1", stream.read)
    buf = b""
    start = searched = 0
    long = False
    while True:
        more = fetch(_CHUNK)
        buf = buf[start:] + more
        searched -= start
        start = 0
        for match in _END.finditer(buf, searched):
            # A CR that ends what is there may have its LF still to come.
            if match.end() == len(buf) and match.group() == b"\r" and more:
                break
            yield buf[start : match.end()], None if long else match.end() - start <= LIMIT
            start, long = match.end(), False
        if not more:
            if start < len(buf):
                yield buf[start:], None if long else len(buf) - start <= LIMIT
            return
        if len(buf) - start > (_CHUNK if long else LIMIT):
            # Not the last byte, which may be that CR.
            yield buf[start:-1], None if long else False
            start, long = len(buf) - 1, True
        searched = max(len(buf) - 1, start)


def parse(raw: bytes) -> Record:
    """The record of one line, with or without its end."""
    text, mark, _ = raw.removeprefix(_BOM).partition(b"#")
    others = ("comment",) if mark else ()
    text = text.strip(b" \t\r\n")
    if not text:
        return Record(raw, others=others)
    match = _TIME.match(text)
    time_us: int | None = 0
    if match:
        text = text[match.end() :]
        iso = match["iso"]
        time_us = (
            fields.unix_us(Decimal(match["unix"].decode())) if iso is None else fields.iso_us(iso.decode())
        )
        if time_us is None:
            others = (*others, "time")
    if not _DIGITS.fullmatch(text):
        return Record(raw, reason="bad_record")
    digits = _SEPARATORS.sub(b"", text)
    if len(digits) % 2:
        return Record(raw, reason="bad_record")
    return Record(raw, (Frame(bytes.fromhex(digits.decode()), time_us or 0),), others)


def pack(frame: Frame) -> bytes:
    """A line with time and frame; nothing for a frame whose bytes on the air are not known."""
    if frame.reason or frame.network is not None:
        return b""
    told = f"{frame.time_us // 1_000_000}.{frame.time_us % 1_000_000:06} " if frame.time_us > 0 else ""
    return f"{told}{frame.data.hex().upper() or '0x'}\n".encode()
