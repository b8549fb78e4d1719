"""pcapng captures of LoRaTap frames (draft-ietf-opsawg-pcapng): both byte orders read, little endian written.

Read: any number of sections; enhanced, simple and the obsolete packet blocks; interfaces with their own link type,
time unit and time offset. Other blocks are stepped over.

Written: one interface for each gateway, named by its EUI, in microseconds. What a LoRaTap header has no room for
(in version 0 the concentrator's values, in both what a network server says) stands in a comment of the packet,
host_tools/formats/told.py, so that a frame read back is the frame that was written.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from host_tools.errors import InputError, StoreError, unreadable, unwritable
from host_tools.formats import loratap, pcap, told
from host_tools.formats.blocks import (
    INTERFACE,
    MAGIC,
    OLD_PACKET,
    PACKET,
    SECTION,
    SECTION_BYTES,
    SIMPLE,
    Block,
    blocks,
    number,
    options,
    packet_fields,
)
from host_tools.frames import Frame, Record

NAME = "pcapng"
SUFFIXES = (".pcapng", ".ntar")
TITLE = "pcapng capture of LoRaTap frames"
HOLDS = (
    loratap.HOLDS[1]
    | {"time_us", "reason"}
    | frozenset("network." + n for n in ("dev_eui", "dev_addr", "fcnt", "fport", "confirmed"))
)
MAX_INTERFACES = 1 << 16
ORIGIN_PREFIX = "lanterne-origin/1 "

_OTHER_BLOCKS = {
    4: "names",
    9: "journal",
    10: "secrets",
    0xBAD: "custom",
    0x40000BAD: "custom",
    5: "statistics",
}
_PACKET_OPTIONS = {3: "hash", 4: "dropcount", 5: "packetid", 6: "queue", 7: "verdict"}
_CRC_ERROR = 1 << 24
_APPLICATION = b"lanterne"
_LONGEST_OPTION = 65532
_END_US = 253402300800 * 1_000_000  # the year 10000
_EUI = re.compile(r"(?:[0-9a-fA-F]{2}[:-]?){7}[0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class Interface:
    linktype: int
    snaplen: int
    multiply: int
    divide: int
    offset_us: int
    gateway: bytes

    def time_us(self, ticks: int) -> tuple[int, bool]:
        """Microseconds of Unix UTC, and whether that is the whole of it."""
        whole, rest = divmod(ticks * self.multiply, self.divide)
        return whole + self.offset_us, not rest


def sniff(head: bytes) -> bool:
    return head.startswith(SECTION_BYTES)


# Reading ----------------------------------------------------------------------------------------------------


def read(stream: BinaryIO, name: str, notes: list[str] | None = None) -> Iterator[Record]:
    """The records of a file, one for each block. notes: gets a line for each damage.

    A packet of a link type other than LoRaTap gives no frame but the reason "foreign_link".
    """
    interfaces: list[Interface] = []
    known = True
    for block in blocks(stream, name, notes):
        if block.kind < 0:
            yield Record(block.raw, reason=block.reason)
        elif block.kind == SECTION:
            interfaces = []
            # Minor versions only add (section 4.1); of another major version only the next section is known.
            known = number(block.order, block.raw[12:14]) == 1
            yield Record(block.raw, (), _section_others(block), "" if known else "bad_record")
        elif not known:
            yield Record(block.raw)
        elif block.kind == INTERFACE:
            if len(block.raw) < 20 or len(interfaces) >= MAX_INTERFACES:
                yield Record(block.raw, reason="bad_record" if len(block.raw) < 20 else "too_many")
                continue
            described, others = _interface(block)
            interfaces.append(described)
            yield Record(block.raw, (), others)
        elif block.kind in (PACKET, OLD_PACKET, SIMPLE):
            yield _packet(block, interfaces)
        else:
            yield Record(block.raw, (), ("block." + _OTHER_BLOCKS.get(block.kind, "unknown"),))


def _section_others(block: Block) -> tuple[str, ...]:
    names = {1: "opt_comment", 2: "shb_hardware", 3: "shb_os", 4: "shb_userappl"}
    found = (
        names.get(code, "shb_option")
        for code, value in options(block.raw[24:-4], block.order)
        if not (code == 1 and value.startswith(ORIGIN_PREFIX.encode())) and (code, value) != (4, _APPLICATION)
    )
    return tuple(dict.fromkeys(found))


def _interface(block: Block) -> tuple[Interface, tuple[str, ...]]:
    order = block.order
    linktype, _, snaplen = struct.unpack_from(order + "HHI", block.raw, 8)
    multiply, divide, offset, eui, name = 1, 1, 0, b"", ""
    others: dict[str, None] = {}
    for code, value in options(block.raw[16:-4], order):
        if code == 9 and len(value) == 1:
            power = value[0] & 127
            if value[0] & 128:
                multiply, divide = 1_000_000, 1 << power
            else:
                multiply, divide = 10 ** max(6 - power, 0), 10 ** max(power - 6, 0)
        elif code == 14 and len(value) == 8:
            (offset,) = struct.unpack(order + "q", value)
        elif code == 2:
            name = value.decode("utf-8", "replace").rstrip("\0")
        elif code == 7 and len(value) == 8:
            eui = value
        elif code != 1 or not value.startswith(ORIGIN_PREFIX.encode()):
            others["opt_comment" if code == 1 else "if_option"] = None
    if not any(eui):
        eui = bytes.fromhex(re.sub("[:-]", "", name)) if _EUI.fullmatch(name) else b""
        if name and not eui:
            others["if_name"] = None
    return Interface(linktype, snaplen, multiply, divide, offset * 1_000_000, eui), tuple(others)


def _packet(block: Block, interfaces: list[Interface]) -> Record:
    raw = block.raw
    if block.kind == SIMPLE:
        if not interfaces or len(raw) < 16:
            return Record(raw, reason="bad_record")
        length = number(block.order, raw[8:12])
        captured = min(length, interfaces[0].snaplen or length)
        if captured > len(raw) - 16:
            return Record(raw, reason="bad_record")
        heard, ticks, data, tail = interfaces[0], None, raw[12 : 12 + captured], b""
    else:
        found = packet_fields(block)
        if found is None or found[0] >= len(interfaces):
            return Record(raw, reason="bad_record")
        which, ticks, data, length, tail = found
        heard = interfaces[which]
    if heard.linktype != pcap.LINKTYPE_LORATAP:
        return Record(raw, reason="foreign_link")
    others: dict[str, None] = {}
    time_us = 0
    if ticks is not None:
        time_us, exact = heard.time_us(ticks)
        if not exact:
            others["time_ns"] = None
        if not 0 <= time_us < _END_US:
            time_us = 0
            others["time"] = None
    extra: dict[str, dict[str, object]] = {}
    crc_bad = False
    for code, value in options(tail, block.order):
        if code == 1 and value.startswith(told.PREFIX.encode()):
            try:
                extra = told.parse(value[len(told.PREFIX) :])
            except ValueError:
                others["lanterne_frame"] = None
        elif code == 2 and len(value) == 4 and block.kind == PACKET:
            flags = number(block.order, value)
            crc_bad = bool(flags & _CRC_ERROR)
            if flags & ~_CRC_ERROR:
                others["epb_flags"] = None
        elif code != 1:
            others["epb_" + _PACKET_OPTIONS.get(code, "option")] = None
        elif not value.startswith(ORIGIN_PREFIX.encode()):
            others["opt_comment"] = None
    if "reason" in extra.get("plain", {}):
        frame = Frame(data, time_us, gateway=heard.gateway)
    else:
        frame, more = loratap.frame_of(data, time_us, length > len(data), heard.gateway)
        others |= dict.fromkeys(more)
        if crc_bad and not frame.radio.crc and not frame.reason:
            frame = replace(frame, radio=replace(frame.radio, crc="bad"))
    return Record(raw, (told.apply(extra, frame) if extra else frame,), tuple(others))


# Writing ----------------------------------------------------------------------------------------------------


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _options(pairs: Iterable[tuple[int, bytes]]) -> bytes:
    parts = []
    for code, value in pairs:
        parts.append(struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4))
    return b"".join(parts) + bytes(4) if parts else b""


def _comments(texts: Iterable[str]) -> Iterator[tuple[int, bytes]]:
    """Comments as options; a long one goes on in the next."""
    for text in texts:
        data = text.encode("utf-8", "replace")
        while len(data) > _LONGEST_OPTION:
            end = _LONGEST_OPTION
            while data[end] & 0xC0 == 0x80:  # not in the middle of a character
                end -= 1
            yield 1, data[:end]
            data = data[end:]
        yield 1, data


def section() -> bytes:
    """What a file begins with."""
    return _block(SECTION, struct.pack("<IHHq", MAGIC, 1, 0, -1) + _options([(4, _APPLICATION)]))


def interface(gateway: bytes = b"", comments: Iterable[str] = ()) -> bytes:
    """The description of a gateway; packets name it by its place in the section, counted from 0."""
    pairs = [(2, gateway.hex().encode()), (7, gateway)] if len(gateway) == 8 else []
    pairs += [(9, b"\x06"), *_comments(comments)]
    return _block(INTERFACE, struct.pack("<HHI", pcap.LINKTYPE_LORATAP, 0, pcap.SNAPLEN) + _options(pairs))


def packet(
    frame: Frame, which: int = 0, gateway: bytes = b"", version: int = 0, comments: Iterable[str] = ()
) -> bytes:
    """The block of a frame, heard by interface `which`, which is that of `gateway`."""
    if frame.reason:
        # A record that came without a readable header is kept as it came.
        data, plain = frame.data, Frame(frame.data, frame.time_us, gateway=gateway)
    else:
        # What a network server says is no LoRaWAN frame, and no other program shall take it for one.
        radio = replace(frame.radio, sync_word=0) if frame.network else frame.radio
        data = loratap.pack(radio, frame.data, version, frame.gateway)
        plain, _ = loratap.frame_of(data, frame.time_us, gateway=gateway)
    pairs = [(2, struct.pack("<I", _CRC_ERROR))] if frame.radio.crc == "bad" and not frame.reason else []
    if pairs and not plain.radio.crc:
        plain = replace(plain, radio=replace(plain.radio, crc="bad"))
    extra = told.tell(frame, plain)
    pairs += _comments([extra, *comments] if extra else comments)
    return _packet_block(which, frame.time_us, data, pairs)


def _packet_block(which: int, time_us: int, data: bytes, pairs: Iterable[tuple[int, bytes]]) -> bytes:
    kept = data[: pcap.SNAPLEN]
    ticks = min(max(time_us, 0), (1 << 64) - 1)
    head = struct.pack("<IIIII", which, ticks >> 32, ticks & 0xFFFFFFFF, len(kept), len(data))
    return _block(PACKET, head + kept + bytes(-len(kept) % 4) + _options(pairs))


def head() -> bytes:
    """What blocks of `pack` stand behind."""
    return section() + interface()


def pack(frame: Frame) -> bytes:
    """The frame as a block behind `head()`."""
    return packet(frame)


class PcapngWriter(pcap.PcapWriter):
    """Writes a capture frame by frame; each block reaches the operating system before the call returns.

    append: go on with a capture that is there, in a section of its own; what an interrupted write left at its
    end goes to a file of its own beside it. StoreError when the place refuses; the file then still ends after
    the last whole block.
    """

    def __init__(self, path: Path | str, version: int = 0, append: bool = False) -> None:
        self._version = version
        self._interfaces: dict[bytes | None, int] = {}
        self._count = 0
        super().__init__(path, append=append)

    def _begin(self, linktype: int, append: bool) -> None:
        try:
            if not self._special:
                if not pcap.lock(self._stream.fileno()):
                    raise StoreError(
                        f"{self.path} is in use by another program", "another name for this capture"
                    )
                if append and os.fstat(self._stream.fileno()).st_size:
                    self._end = _whole_length(self.path)
                self._stream.truncate(self._end)
                self._stream.seek(self._end)
            self._put(section())
        except OSError as e:
            raise unwritable(self.path, e) from None

    def __enter__(self) -> PcapngWriter:
        return self

    def add(self, frame: Frame, comments: Iterable[str] = ()) -> None:
        """Append a frame."""
        gateway = frame.gateway if len(frame.gateway) == 8 else b""
        which, head = self._interface(gateway)
        self._write(head + packet(frame, which, gateway, self._version, comments), gateway)

    def write(self, time_us: int, data: bytes) -> None:
        """Append a record with its LoRaTap header, as it is."""
        which, head = self._interface(b"")
        self._write(head + _packet_block(which, time_us, data, ()), b"")

    def remark(self, comments: Iterable[str]) -> None:
        """Append comments that belong to no frame, with an interface of their own."""
        self._write(interface(b"", comments), None)

    def _interface(self, gateway: bytes) -> tuple[int, bytes]:
        """The number of a gateway's interface, and its block where it was not written yet."""
        which = self._interfaces.get(gateway)
        return (self._count, interface(gateway)) if which is None else (which, b"")

    def _write(self, data: bytes, gateway: bytes | None) -> None:
        try:
            self._put(data)
        except OSError as e:
            raise unwritable(self.path, e) from None
        if gateway not in self._interfaces:
            if gateway is not None:
                self._interfaces[gateway] = self._count
            self._count += 1


def _whole_length(path: Path) -> int:
    """Length of the part of a capture that ends after its last whole block; the rest is put beside it."""
    end, position, lost = 0, 0, False
    rest: list[bytes] = []
    try:
        with path.open("rb") as f:
            for block in blocks(f, str(path)):
                position += len(block.raw)
                if block.kind >= 0:
                    end, rest, lost = position, [], False
                elif len(rest) < 64:
                    rest.append(block.raw)
                else:
                    lost = lost or bool(block.raw.strip(b"\0"))
            if lost:
                raise InputError(
                    f"{path} is damaged in its last {position - end} bytes",
                    "another name for this capture; decode reads both",
                )
    except OSError as e:
        raise unreadable(path, e) from None
    torn = b"".join(rest)
    if torn.strip(b"\0"):
        side = path.with_name(path.name + ".cut")
        try:
            with side.open("ab") as f:
                f.write(torn)
        except OSError as e:
            raise unwritable(side, e) from None
    return end
