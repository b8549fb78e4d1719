"""LoRaTap headers (pcap link type 270), versions 0 and 1, written and read. All fields big endian.

Both versions (eriknl/LoRaTap, README and loratap1.h), 15 bytes: version, padding, length 2, frequency Hz 4,
bandwidth in 125 kHz, spreading factor, packet RSSI, maximal RSSI, current RSSI, SNR (signed, quarter dB), sync
word. Version 1 goes on to 35: source gateway 8, the concentrator's microseconds 4, flags, coding rate, FSK rate 2,
IF channel, RF chain, tag 2. A header that is longer than its version's is skipped to its length, as the page says.

tshark 4.0 takes every header for 15 bytes long, so version 1 comes out as junk there; version 0 is the default.

What the format has no word for: an unknown gateway is 0, unknown microseconds 0, an unknown channel or chain 255,
and in version 1 an RSSI that is not known 255 (that one is the page's own). All of these are read back as unknown.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields

from host_tools.frames import UNKNOWN, Frame, Radio

__all__ = [
    "HOLDS",
    "UNKNOWN",
    "VERSIONS",
    "BadHeader",
    "Header",
    "Radio",
    "frame_of",
    "pack",
    "parse",
    "radio_lost",
    "unpack",
]

VERSIONS = (0, 1)
_V0 = struct.Struct(">BBHIBBBBBbB")
_V1 = struct.Struct(">8sIBBHBBH")
_LENGTH_V1 = _V0.size + _V1.size
_FLOOR = -139 * 4
_NONE = 255

# Flags of version 1.
FSK, IQ_INVERTED, IMPLICIT, CRC_OK, CRC_BAD, CRC_NONE = 1, 2, 4, 8, 16, 32
_CRC = {"ok": CRC_OK, "bad": CRC_BAD, "none": CRC_NONE}
_CRC_NAMES = {flag: name for name, flag in _CRC.items()} | {0: ""}

_HOLDS_V0 = frozenset(
    "data radio.freq_hz radio.sf radio.bw_hz radio.rssi_qdbm radio.snr_qdb radio.sync_word".split()
)
# What each version can hold, as names of a Frame's attributes.
HOLDS = {
    0: _HOLDS_V0,
    1: _HOLDS_V0
    | frozenset("gateway radio.coding_rate radio.counter_us radio.channel radio.chain radio.crc".split()),
}


class BadHeader(Exception):  # noqa: N818 - caught in one place and turned into a frame's reason
    """A record whose LoRaTap header is cut or of an unknown version."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a record says. gateway: b"" unknown. others: names of what neither Radio nor Frame can hold."""

    radio: Radio
    gateway: bytes
    others: tuple[str, ...]
    frame: bytes


def pack(radio: Radio, frame: bytes, version: int = 0, gateway: bytes = b"") -> bytes:
    """Header and frame. RSSI is held to -139 dBm and above, to the nearest step of the format.

    gateway: its EUI of 8 bytes; only version 1 holds it.
    """
    above = radio.rssi_qdbm - _FLOOR
    # At a negative SNR the field counts quarters of a dB (the packet is below the noise), else whole ones.
    rssi = min(max(above if radio.snr_qdb < 0 else (above + 2) // 4, 0), _NONE - 1)
    if version and radio.rssi_qdbm == UNKNOWN.rssi_qdbm:
        rssi = _NONE
    head = _V0.pack(
        version,
        0,
        _LENGTH_V1 if version else _V0.size,
        min(max(radio.freq_hz, 0), 0xFFFFFFFF),
        min(max(radio.bw_hz // 125000, 0), 255),
        min(max(radio.sf, 0), 255),
        rssi,
        _NONE if version else 0,
        _NONE if version else 0,
        min(max(radio.snr_qdb, -128), 127),
        radio.sync_word & 255,
    )
    if version:
        head += _V1.pack(
            gateway[:8].rjust(8, b"\0"),
            (radio.counter_us or 0) & 0xFFFFFFFF,
            _CRC.get(radio.crc, 0),
            min(max(radio.coding_rate, 0), 255),
            0,
            _NONE if radio.channel is None else min(max(radio.channel, 0), _NONE - 1),
            _NONE if radio.chain is None else min(max(radio.chain, 0), _NONE - 1),
            0,
        )
    return head + frame


def unpack(record: bytes) -> tuple[Radio, bytes]:
    """Radio values and the frame of a record; BadHeader when the header is cut or of an unknown version."""
    found = parse(record)
    return found.radio, found.frame


def parse(record: bytes) -> Header:
    """All that a record says; BadHeader when the header is cut or of an unknown version."""
    if len(record) < _V0.size:
        raise BadHeader
    version, _, length, freq, bw, sf, rssi, top, current, snr, sync = _V0.unpack_from(record)
    if len(record) < length or (length < _LENGTH_V1 if version else length != _V0.size):
        raise BadHeader
    others = []
    for name, value in (("max_rssi", top), ("current_rssi", current)):
        if value not in (0, _NONE):
            others.append("loratap." + name)
    rssi_qdbm = _FLOOR + (rssi if snr < 0 else rssi * 4)
    if version and rssi == _NONE:
        rssi_qdbm = UNKNOWN.rssi_qdbm
    if not version:
        return Header(Radio(freq, sf, bw * 125000, rssi_qdbm, snr, sync), b"", tuple(others), record[length:])
    gateway, counter, flags, coding, rate, channel, chain, tag = _V1.unpack_from(record, _V0.size)
    crc = _CRC_NAMES.get(flags & (CRC_OK | CRC_BAD | CRC_NONE))
    if (
        crc is None
        or flags & ~(CRC_OK | CRC_BAD | CRC_NONE)
        or rate
        or tag
        or version > 1
        or length > _LENGTH_V1
    ):
        for name, there in (
            ("flags.mod_fsk", flags & FSK),
            ("flags.iq_inverted", flags & IQ_INVERTED),
            ("flags.implicit_hdr", flags & IMPLICIT),
            ("flags.crc", crc is None),  # several at once: none of them is believed
            ("flags.padding", flags >> 6),
            ("datarate", rate),
            ("tag", tag),
            ("version", version > 1),
            ("length", length > _LENGTH_V1),
        ):
            if there:
                others.append("loratap." + name)
    radio = Radio(
        freq,
        sf,
        bw * 125000,
        rssi_qdbm,
        snr,
        sync,
        coding,
        counter or None,
        None if channel == _NONE else channel,
        None if chain == _NONE else chain,
        crc or "",
    )
    return Header(radio, gateway if any(gateway) else b"", tuple(others), record[length:])


def frame_of(
    record: bytes, time_us: int, cut: bool = False, gateway: bytes = b""
) -> tuple[Frame, tuple[str, ...]]:
    """The frame of a record of a capture and what it cannot hold. cut: the capture kept only its beginning.

    gateway: as the capture names it, where the header does not. A record without a whole header is kept as it
    came, with the reason.
    """
    if not cut:
        try:
            head = parse(record)
        except BadHeader:
            pass
        else:
            return Frame(head.frame, time_us, head.radio, "", head.gateway or gateway), head.others
    return Frame(record, time_us, reason="truncated", gateway=gateway), ()


def radio_lost(radio: Radio, version: int = 0) -> tuple[str, ...]:
    """Names of the values of `radio` that a header of this version does not give back as they are."""
    back = parse(pack(radio, b"", version)).radio
    if back == radio:
        return ()
    return tuple(f.name for f in fields(Radio) if getattr(back, f.name) != getattr(radio, f.name))
