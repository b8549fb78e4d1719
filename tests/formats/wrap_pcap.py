"""Frames wrapped as LoRaTap in pcap and pcapng, written from the formats' own pages, with nothing of host_tools.

LoRaTap versions 0 and 1: eriknl/LoRaTap, README and loratap1.h. pcap: draft-ietf-opsawg-pcap, sections 4 and 5.
pcapng: draft-ietf-opsawg-pcapng, sections 3.1 (blocks), 3.5 (options), 4.1 (section), 4.2 (interface), 4.3
(enhanced packet), 4.4 (simple packet), appendix A (the obsolete packet block).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

LINKTYPE = 270


def loratap(
    frame: bytes,
    *,
    version: int = 0,
    freq_hz: int = 868100000,
    sf: int = 7,
    bw_hz: int = 125000,
    rssi_dbm: float = -100,
    snr_db: float = 5.0,
    sync: int = 0x34,
    gateway: str = "0000000000000000",
    tmst: int = 0,
    flags: int = 0x08,
    coding: int = 5,
    datarate: int = 0,
    channel: int = 0,
    chain: int = 0,
    tag: int = 0,
) -> bytes:
    """One record: the header of the wanted version and the frame as it was on the air."""
    above = rssi_dbm + 139
    header = b"".join(
        (
            bytes((version, 0)),
            (15 if version == 0 else 35).to_bytes(2, "big"),
            freq_hz.to_bytes(4, "big"),
            bytes((bw_hz // 125000, sf)),
            bytes((int(above) if snr_db >= 0 else int(above * 4),)),
            bytes((255, 255)),
            int(snr_db * 4).to_bytes(1, "big", signed=True),
            bytes((sync,)),
        )
    )
    if version == 1:
        header += bytes.fromhex(gateway) + tmst.to_bytes(4, "big") + bytes((flags, coding))
        header += datarate.to_bytes(2, "big") + bytes((channel, chain)) + tag.to_bytes(2, "big")
    return header + frame


def heard(
    data: bytes,
    *,
    time_us: int,
    freq_hz: int,
    sf: int,
    bw_hz: int,
    rssi_qdbm: int,
    snr_qdb: int,
    coding_rate: int = 5,
    counter_us: int = 0,
    channel: int = 0,
    chain: int = 0,
    gateway: bytes = bytes(8),
    version: int = 0,
) -> tuple[int, bytes]:
    """A record for `pcap` or `pcapng`, with the words that the other wrappers use."""
    record = loratap(
        data,
        version=version,
        freq_hz=freq_hz,
        sf=sf,
        bw_hz=bw_hz,
        rssi_dbm=rssi_qdbm / 4,
        snr_db=snr_qdb / 4,
        gateway=gateway.hex(),
        tmst=counter_us,
        coding=coding_rate,
        channel=channel,
        chain=chain,
    )
    return time_us * 1000, record


def pcap(
    records: Iterable[tuple[int, bytes]],
    *,
    big_endian: bool = False,
    nanoseconds: bool = False,
    linktype: int = LINKTYPE,
) -> bytes:
    """A file of records (nanoseconds of Unix time, bytes)."""
    order = ">" if big_endian else "<"
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, linktype)]
    for time_ns, data in records:
        seconds, rest = divmod(time_ns, 1_000_000_000)
        part = rest if nanoseconds else rest // 1000
        out += [struct.pack(order + "IIII", seconds, part, len(data), len(data)), data]
    return b"".join(out)


class Blocks:
    """The blocks of pcapng in one byte order."""

    def __init__(self, big_endian: bool = False) -> None:
        self.order = ">" if big_endian else "<"

    def number(self, form: str, *values: int) -> bytes:
        return struct.pack(self.order + form, *values)

    def block(self, kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        length = self.number("I", 12 + len(body))
        return self.number("I", kind) + length + body + length

    def options(self, pairs: Sequence[tuple[int, bytes]]) -> bytes:
        if not pairs:
            return b""
        out = b""
        for code, value in pairs:
            out += self.number("HH", code, len(value)) + value + bytes(-len(value) % 4)
        return out + self.number("HH", 0, 0)

    def section(self, *options: tuple[int, bytes], major: int = 1, length: int = -1) -> bytes:
        body = self.number("IHHq", 0x1A2B3C4D, major, 0, length)
        return self.block(0x0A0D0D0A, body + self.options(options))

    def interface(
        self,
        name: str = "",
        *,
        linktype: int = LINKTYPE,
        snaplen: int = 0,
        tsresol: int | None = None,
        tsoffset: int | None = None,
        more: Sequence[tuple[int, bytes]] = (),
    ) -> bytes:
        pairs = [(2, name.encode())] if name else []
        if tsresol is not None:
            pairs.append((9, bytes((tsresol,))))
        if tsoffset is not None:
            pairs.append((14, self.number("q", tsoffset)))
        pairs += more
        return self.block(1, self.number("HHI", linktype, 0, snaplen) + self.options(pairs))

    def packet(
        self,
        data: bytes,
        ticks: int,
        *,
        interface: int = 0,
        length: int | None = None,
        options: Sequence[tuple[int, bytes]] = (),
    ) -> bytes:
        whole = len(data) if length is None else length
        head = self.number("IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), whole)
        return self.block(6, head + data + bytes(-len(data) % 4) + self.options(options))

    def simple(self, data: bytes, length: int | None = None) -> bytes:
        return self.block(3, self.number("I", len(data) if length is None else length) + data)

    def old_packet(
        self, data: bytes, ticks: int, *, interface: int = 0, options: Sequence[tuple[int, bytes]] = ()
    ) -> bytes:
        head = self.number("HHIIII", interface, 0xFFFF, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        return self.block(2, head + data + bytes(-len(data) % 4) + self.options(options))


def pcapng(
    records: Iterable[tuple[int, bytes]],
    *,
    big_endian: bool = False,
    nanoseconds: bool = False,
    linktype: int = LINKTYPE,
    name: str = "",
) -> bytes:
    """A file of records (nanoseconds of Unix time, bytes), one section with one interface."""
    make = Blocks(big_endian)
    out = [make.section(), make.interface(name, linktype=linktype, tsresol=9 if nanoseconds else None)]
    out += [make.packet(data, ns if nanoseconds else ns // 1000) for ns, data in records]
    return b"".join(out)
