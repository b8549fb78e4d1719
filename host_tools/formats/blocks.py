"""The blocks of a pcapng file (draft-ietf-opsawg-pcapng, section 3), in both byte orders, of one section after the
other. A damaged block costs itself: what follows is looked for by its type, its length, and the same length at its
end. No block above 16 MiB is read (Wireshark's own limit).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from host_tools.errors import InputError, unreadable
from host_tools.formats.window import Window

MAX_BLOCK = 16 << 20
SECTION, INTERFACE, OLD_PACKET, SIMPLE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 2, 3, 5, 6
SECTION_BYTES = b"\x0a\x0d\x0d\x0a"
MAGIC = 0x1A2B3C4D
_MOST_NOTES = 16
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a file, or (kind -1) bytes that are none; order: "<" or ">"."""

    kind: int
    raw: bytes
    order: str
    reason: str = ""


def blocks(stream: BinaryIO, name: str, notes: list[str] | None = None) -> Iterator[Block]:
    """The blocks of a file; `raw` of all, one after the other, are the file. InputError when it is no pcapng."""
    window = Window(stream)
    try:
        if not window.have(1):
            raise InputError(f"{name} is empty")
        if window.peek(0, 4) != SECTION_BYTES:
            raise InputError(f"{name} is not a capture file (pcapng)")
        if window.have(12) < 12 or not _order(window.peek(8, 4)):
            raise InputError(f"{name} is a damaged pcapng file: its first block has no byte order")
        yield from _blocks(window, name, notes)
    except OSError as e:
        raise unreadable(name, e) from None


def _blocks(window: Window, name: str, notes: list[str] | None) -> Iterator[Block]:
    order = "<"
    damages = 0
    while window.have(12) >= 12:
        head = window.peek(0, 4)
        if head == SECTION_BYTES:
            order = _order(window.peek(8, 4)) or order
        size, problem = _size(window, 0, order)
        if problem == "end" and size and _follows(window, size, order):
            damages += 1
            if notes is not None and damages <= _MOST_NOTES:
                notes.append(f"{name}: the block at byte {window.position} ends with another length; kept")
            problem = ""
        if not problem:
            yield Block(number(order, head), window.take(size), order)
            continue
        reason = {"cut": "truncated", "long": "too_long"}.get(problem, "bad_record")
        at = window.position
        for chunk in _hunt(window, order):
            yield Block(-1, chunk, order, reason)
            reason = ""
        damages += 1
        if notes is None:
            continue
        if problem == "cut" and not window.have(1):
            notes.append(f"{name} is cut in the middle of a block, at byte {at}")
        elif damages <= _MOST_NOTES:
            notes.append(f"{name}: bytes {at} to {window.position} are damaged; not read")
    if window.have(1):
        if notes is not None:
            notes.append(f"{name} is cut in the middle of a block, at byte {window.position}")
        yield Block(-1, window.take(12), order, "truncated")
    if notes is not None and damages > _MOST_NOTES:
        notes.append(f"{name} is damaged in {damages} places")


def _order(magic: bytes) -> str:
    return {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(magic, "")


def number(order: str, data: bytes) -> int:
    return int.from_bytes(data, "little" if order == "<" else "big")


def _size(window: Window, at: int, order: str) -> tuple[int, str]:
    """Length of the block at `at`, and what is wrong with it: cut, short, long, end; "" nothing."""
    if window.have(at + 12) < at + 12:
        return 0, "cut"
    least = 12
    if window.peek(at, 4) == SECTION_BYTES:
        order = _order(window.peek(at + 8, 4))
        least = 28
        if not order:
            return 0, "short"
    size = number(order, window.peek(at + 4, 4))
    if size > MAX_BLOCK:
        return 0, "long"
    if size < least or size % 4:
        return 0, "short"
    if window.have(at + size) < at + size:
        return 0, "cut"
    return size, "" if window.peek(at + size - 4, 4) == window.peek(at + 4, 4) else "end"


def _follows(window: Window, at: int, order: str) -> bool:
    """Whether the file ends at `at`, or a whole block begins there."""
    return window.have(at + 1) <= at or not _size(window, at, order)[1]


def _hunt(window: Window, order: str) -> Iterator[bytes]:
    """Step over bytes that are no block, in pieces, up to where one begins that looks whole."""
    kinds = [struct.pack(order + "I", k) for k in (INTERFACE, OLD_PACKET, SIMPLE, STATISTICS, PACKET)]
    pattern = re.compile(b"|".join(map(re.escape, [SECTION_BYTES, *kinds])))
    skip = 1
    while True:
        there = window.have(skip + _CHUNK)
        end = min(there, skip + _CHUNK)
        found = window.find(pattern, skip, end)
        if found >= 0 and not _size(window, found, order)[1]:
            if found:
                yield window.take(found)
            return
        if found >= 0:
            skip = found + 1
        elif there < skip + _CHUNK:
            if there:
                yield window.take(there)
            return
        else:
            skip = end - 3  # the beginning of one may lie across
        if skip > _CHUNK:
            yield window.take(skip)
            skip = 0


def options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The options of a block up to their end; (-1, b"") where they are damaged."""
    at = 0
    head = struct.Struct(order + "HH")
    while at + 4 <= len(data):
        code, size = head.unpack_from(data, at)
        if code == 0:
            return
        at += 4
        if at + size > len(data):
            yield -1, b""
            return
        yield code, data[at : at + size]
        at += -(-size // 4) * 4


def comments(block: Block) -> Iterator[bytes]:
    """The comments of a section, interface, statistics or packet block."""
    if block.kind in (PACKET, OLD_PACKET):
        found = packet_fields(block)
        tail = found[4] if found else b""
    else:
        skip = {SECTION: 24, INTERFACE: 16, STATISTICS: 20}.get(block.kind)
        tail = block.raw[skip:-4] if skip else b""
    for code, value in options(tail, block.order):
        if code == 1:
            yield value


def packet_fields(block: Block) -> tuple[int, int, bytes, int, bytes] | None:
    """Interface, ticks, what was captured, its length on the air, options; None where they do not fit."""
    raw = block.raw
    if block.kind == PACKET and len(raw) >= 32:
        interface, high, low, captured, length = struct.unpack_from(block.order + "IIIII", raw, 8)
    elif block.kind == OLD_PACKET and len(raw) >= 32:
        interface, _, high, low, captured, length = struct.unpack_from(block.order + "HHIIII", raw, 8)
    else:
        return None
    end = 28 + captured
    if end > len(raw) - 4:
        return None
    return interface, high << 32 | low, raw[28:end], length, raw[28 + -(-captured // 4) * 4 : -4]
