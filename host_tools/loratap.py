"""LoRaTap headers (pcap link type 270): version 0 written, versions 0 and 1 read. All fields big endian.

Version 0, 15 bytes: version, padding, length 2, frequency Hz 4, bandwidth in 125 kHz, spreading factor,
packet RSSI, maximal RSSI, current RSSI, SNR (signed, quarter dB), sync word. tshark 4.0 takes every header
for 15 bytes long, so version 1 would come out as junk there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_V0 = struct.Struct(">BBHIBBBBBbB")
_LENGTHS = {0: 15, 1: 35}
# LoRaWAN's public sync word, which the link uses too, so that one radio hears both.
SYNC_PUBLIC = 0x34


@dataclass(frozen=True, slots=True)
class Radio:
    """How a frame was received. RSSI and SNR in quarters of a dB, so that no value needs a float."""

    freq_hz: int = 0
    sf: int = 0
    bw_hz: int = 125000
    rssi_qdbm: int = -139 * 4
    snr_qdb: int = 0
    sync_word: int = SYNC_PUBLIC


UNKNOWN = Radio()


class BadHeader(Exception):  # noqa: N818 - caught in one place and turned into a frame's reason
    """A record whose LoRaTap header is cut or of an unknown version."""


def pack(radio: Radio, frame: bytes) -> bytes:
    """Header version 0 and frame. RSSI is held to -139 dBm and above, in steps of the format."""
    above = radio.rssi_qdbm + 139 * 4
    # At a negative SNR the field counts quarters of a dB (the packet is below the noise), else whole ones.
    rssi = above if radio.snr_qdb < 0 else above // 4
    return (
        _V0.pack(
            0,
            0,
            _V0.size,
            min(max(radio.freq_hz, 0), 0xFFFFFFFF),
            min(max(radio.bw_hz // 125000, 0), 255),
            min(max(radio.sf, 0), 255),
            min(max(rssi, 0), 254),
            0,
            0,
            min(max(radio.snr_qdb, -128), 127),
            radio.sync_word & 255,
        )
        + frame
    )


def unpack(record: bytes) -> tuple[Radio, bytes]:
    """Radio values and the frame of a record; BadHeader when the header is cut or of an unknown version."""
    if len(record) < _V0.size:
        raise BadHeader
    version, _, length, freq, bw, sf, rssi, _, _, snr, sync = _V0.unpack_from(record)
    if _LENGTHS.get(version) != length or len(record) < length:
        raise BadHeader
    rssi_qdbm = -139 * 4 + (rssi if snr < 0 else rssi * 4)
    return Radio(freq, sf, bw * 125000, rssi_qdbm, snr, sync), record[length:]
