"""Gateway records (firmware/protocols/gwrecord.py) in a file or on a stream: two length bytes and
the record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from firmware.protocols import gwrecord
from firmware.protocols.cbor import WireError
from host_tools.frames import Frame
from host_tools.loratap import Radio
from host_tools.pcap import END_US
from host_tools.rows import wire_to_unix_us


@dataclass(frozen=True)
class Record:
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
        return Frame(self.data, time_us if time_us < END_US else fallback_us, self.radio)


def parse(data: bytes) -> Record:
    """WireError for anything that is no record."""
    found = gwrecord.parse(data)
    eui, boot, number, time_ms, quality, rx_us, freq_hz, sf, bw_hz, rssi_dbm, snr_qdb, frame = found
    radio = Radio(freq_hz, sf, bw_hz, rssi_dbm * 4, snr_qdb)
    return Record(eui, boot, number, time_ms, quality, rx_us, radio, frame)


def is_record_file(head: bytes) -> bool:
    """True when a file that begins so holds gateway records: an array of 13 with a 1 and 8 bytes ahead."""
    return head[2:5] == b"\x8d\x01\x48"


def read_raw(stream: BinaryIO, name: str, notes: list[str] | None) -> Iterator[bytes]:
    """The records of a file, not looked into. A record cut at the end is told in `notes`."""
    count = 0
    while True:
        head = stream.read(2)
        if not head:
            return
        size = head[0] << 8 | head[-1] if len(head) == 2 else 0
        data = stream.read(size)
        if len(head) < 2 or len(data) < size:
            if notes is not None:
                notes.append(f"{name} is cut in the middle of record {count + 1}")
            return
        count += 1
        yield data


def read_frames(stream: BinaryIO, name: str, notes: list[str] | None) -> Iterator[Frame]:
    """The frames of a file of records, each record once; unreadable ones are counted in `notes`.

    Without a clock the gateway's own microseconds since its start stand for the time, counted from 1970, so
    that the same records always give the same frames.
    """
    seen = set()
    unreadable = 0
    for data in read_raw(stream, name, notes):
        try:
            record = parse(data)
        except WireError:
            unreadable += 1
            continue
        # A gateway that lost its memory counts from the start again, so the name alone does not tell.
        if (record.key, record.data) in seen:
            continue
        seen.add((record.key, record.data))
        yield record.frame(record.rx_us)
    if unreadable and notes is not None:
        notes.append(f"{name} holds {unreadable} unreadable records")
