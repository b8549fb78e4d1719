"""Files of gateway records: two length bytes and a record (firmware/protocols/gwrecord.py), again and again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from firmware.protocols import gwrecord
from firmware.protocols.cbor import WireError
from host_tools.errors import unreadable
from host_tools.formats.pcap import END_US
from host_tools.frames import Frame, Radio, Record
from host_tools.rows import unix_us_to_wire_ms, wire_to_unix_us

NAME = "gwrecord"
SUFFIXES = (".rec",)
TITLE = "records of our gateway"
_RADIO = "freq_hz sf bw_hz rssi_qdbm snr_qdb counter_us"
HOLDS = frozenset(("data", "time_us", "gateway", *(f"radio.{name}" for name in _RADIO.split())))


@dataclass(frozen=True)
class Heard:
    """One frame as a gateway heard it; (gateway, boot, number) names it as long as its memory lasts."""

    gateway: bytes
    boot: int
    number: int
    time_ms: int  # wire time, 0 where the gateway had no clock
    quality: int
    rx_us: int
    radio: Radio
    data: bytes

    @property
    def key(self) -> tuple[bytes, int, int]:
        return self.gateway, self.boot, self.number

    def frame(self, fallback_us: int) -> Frame:
        """The frame; `fallback_us` is its time where the gateway had none that a capture can hold."""
        time_us = wire_to_unix_us(self.time_ms) if self.time_ms else fallback_us
        gateway = self.gateway if any(self.gateway) else b""
        return Frame(self.data, time_us if time_us < END_US else fallback_us, self.radio, gateway=gateway)


def parse(data: bytes) -> Heard:
    """WireError for anything that is no record."""
    found = gwrecord.parse(data)
    eui, boot, number, time_ms, quality, rx_us, freq_hz, sf, bw_hz, rssi_dbm, snr_qdb, frame = found
    radio = Radio(freq_hz, sf, bw_hz, rssi_dbm * 4, snr_qdb, counter_us=rx_us)
    return Heard(eui, boot, number, time_ms, quality, rx_us, radio, frame)


def sniff(head: bytes) -> bool:
    """True when a file that begins so holds gateway records: an array of 13 with a 1 and 8 bytes ahead."""
    return head[2:5] == b"\x8d\x01\x48"


def read(stream: BinaryIO, name: str, notes: list[str] | None = None) -> Iterator[Record]:
    """The records of a file; one that was there before gives no frame again.

    Without a clock the gateway's own microseconds since its start stand for the time, counted from 1970, so
    that the same records always give the same frames. notes: gets a line for a record cut at the end.
    """
    seen = set()
    count = 0
    try:
        while head := stream.read(2):
            size = head[0] << 8 | head[-1] if len(head) == 2 else 0
            data = stream.read(size)
            raw = head + data
            if len(raw) < 2 + size or len(head) < 2:
                if notes is not None:
                    notes.append(f"{name} is cut in the middle of record {count + 1}")
                yield Record(raw, reason="truncated")
                return
            count += 1
            try:
                record = parse(data)
            except WireError:
                yield Record(raw, reason="bad_record")
                continue
            # A gateway that lost its memory counts from the start again, so the name alone does not tell.
            if (record.key, record.data) in seen:
                yield Record(raw)
                continue
            seen.add((record.key, record.data))
            yield Record(
                raw, (record.frame(record.rx_us),), ("gwrecord.boot", "gwrecord.number", "gwrecord.quality")
            )
    except OSError as e:
        raise unreadable(name, e) from None


def pack(frame: Frame, number: int = 0) -> bytes:
    """The frame as a record of a gateway that never stopped; b"" for what such a record cannot be."""
    radio = frame.radio
    wire_ms = max(unix_us_to_wire_ms(frame.time_us), 0)
    ahead = (frame.gateway or bytes(8), 1, number, wire_ms, 2 if wire_ms else 0, radio.counter_us or 0)
    heard = (radio.freq_hz, radio.sf, radio.bw_hz, radio.rssi_qdbm // 4, radio.snr_qdb)
    if frame.reason or frame.network is not None:
        return b""
    try:
        body = bytes(gwrecord.pack(*ahead, *heard, frame.data))
    except WireError:
        return b""
    return struct.pack(">H", len(body)) + body
