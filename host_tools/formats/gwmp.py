"""GWMP, the UDP protocol of Semtech's packet forwarder: its JSON in text, and its datagrams.

"P" = Lora-net/packet_forwarder PROTOCOL.TXT v1.4 and Lora-net/sx1302_hal PROTOCOL.md v1.6, sections 3 to 6.
`rsig`, one entry for each antenna, is of gateways with several (TheThingsNetwork/lorawan-stack,
pkg/ttnpb/udp/packet_data.go). An rxpk is a frame as heard, a txpk one that a gateway is told to send.
"""

from __future__ import annotations

import base64
import re
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO

from host_tools.formats import fields
from host_tools.formats.jsontext import BadRecord, dumps, loads, looks_like_json
from host_tools.formats.mapping import Frames, records
from host_tools.frames import UNKNOWN, Frame, Radio, Record

NAME = "gwmp"
SUFFIXES = (".gwmp", ".rxpk")
TITLE = "GWMP (Semtech packet forwarder) JSON"
HOLDS = frozenset(
    "data time_us radio.freq_hz radio.sf radio.bw_hz radio.rssi_qdbm radio.snr_qdb radio.coding_rate "
    "radio.counter_us radio.channel radio.chain radio.crc".split()
)

PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(6)
KINDS = ("PUSH_DATA", "PUSH_ACK", "PULL_DATA", "PULL_RESP", "PULL_ACK", "TX_ACK")
# P 6; since v1.5 TX_POWER is a warning.
TX_ERRORS = "NONE TOO_LATE TOO_EARLY COLLISION_PACKET COLLISION_BEACON TX_FREQ TX_POWER GPS_UNLOCKED".split()
# A UDP datagram holds no more.
MAX_BODY = 65507

# Far more than fit into one datagram: each takes some 30 bytes at the very least.
MAX_PACKETS = 4096

_WITH_EUI = (PUSH_DATA, PULL_DATA, TX_ACK)
_WITH_BODY = (PUSH_DATA, PULL_RESP, TX_ACK)
_HEAD = struct.Struct(">BHB")
_OURS = ("rxpk", "txpk", "stat", "txpk_ack")
_LORA = re.compile(r"SF(\d{1,2})BW(\d{1,4}(?:\.\d{1,3})?)", re.ASCII)
_RATES = {"4/5": 5, "4/6": 6, "2/3": 6, "4/7": 7, "4/8": 8, "1/2": 8, "2/4": 8}
_CRC = {1: "ok", -1: "bad", 0: "none"}
_STAT = {word: number for number, word in _CRC.items()}
# What is looked at below and held, if its value is one that a frame can hold.
_HELD = {
    "data",
    "size",
    "modu",
    "datr",
    "codr",
    "freq",
    "tmst",
    "time",
    "chan",
    "rfch",
    "stat",
    "rssi",
    "lsnr",
}
_HELD_TX = _HELD - {"time", "rssi", "lsnr", "chan", "stat"} | {"ncrc"}
# Of an element that is no packet, this much is kept to be looked at.
_SHOWN = 4096


def sniff(head: bytes) -> bool:
    """True where a file begins with JSON and soon names what only GWMP has."""
    return looks_like_json(head) and re.search(rb'"(?:rxpk|txpk|txpk_ack|stat)"\s*:', head[:4096]) is not None


def read(stream: BinaryIO, name: str) -> Iterator[Record]:
    """The records of a file of GWMP JSON."""
    return records(stream, name, (sys.modules[__name__],))


def claims(value: dict[str, Any]) -> bool:
    return any(name in value for name in _OURS) and "msgtype" not in value


def frames(value: dict[str, Any]) -> Frames:
    """Of rxpk and txpk; `stat` and `txpk_ack` hold none. One bad packet of several is a frame with a reason."""
    others = fields.names("", value.keys() - {"rxpk", "txpk"})
    found: list[Frame] = []
    packets = value.get("rxpk", [])
    if not isinstance(packets, list):
        raise BadRecord
    if len(packets) > MAX_PACKETS:
        raise BadRecord("too_many")
    work = [(packet, False) for packet in packets]
    if "txpk" in value:
        work.append((value["txpk"], True))
    for packet, down in work:
        try:
            found.append(_frame(packet, down, others))
        except BadRecord as e:
            if len(work) == 1:
                raise
            found.append(Frame(dumps(packet).encode()[:_SHOWN], 0, reason=e.reason))
    return tuple(found), tuple(sorted(others))


def _frame(packet: Any, down: bool, others: set[str]) -> Frame:
    if not isinstance(packet, dict):
        raise BadRecord
    data = fields.base64_bytes(packet.get("data"))
    if data is None:
        raise BadRecord
    size = packet.get("size")
    if size is not None and fields.integer(size, 0, MAX_BODY) != len(data):
        raise BadRecord("truncated")
    # Names are collected without their prefix, and all at once at the end.
    lost = set(packet.keys() - (_HELD_TX if down else _HELD))
    time_us = 0 if down else _time(packet, lost)
    radio = _radio(packet, down, lost)
    others |= fields.names("txpk." if down else "rxpk.", lost)
    return Frame(data, time_us, radio)


def _time(packet: dict[str, Any], lost: set[str]) -> int:
    """UTC of `time`; without one, of `tmms`, which counts milliseconds of GPS (P 4)."""
    told = packet.get("time")
    found = fields.iso_us(told)
    if found is not None:
        return found
    if told is not None:
        lost.add("time")
    found = fields.gps_us(packet.get("tmms"), 1000)
    if found is not None:
        lost.discard("tmms")
    return found or 0


def _radio(packet: dict[str, Any], down: bool, lost: set[str]) -> Radio:
    sf, bw_hz, coding_rate = _modulation(packet, lost)
    freq_hz = fields.hertz(packet.get("freq"), 1_000_000)
    if freq_hz is None and "freq" in packet:
        lost.add("freq")
    counter_us = _whole(packet, "tmst", 0xFFFFFFFF, lost)
    chain = _whole(packet, "rfch", 0xFFFF, lost)
    if down:
        crc = "none" if packet.get("ncrc") is True else ""
        return Radio(
            freq_hz or 0, sf, bw_hz, coding_rate=coding_rate, counter_us=counter_us, chain=chain, crc=crc
        )
    status = fields.integer(packet.get("stat"), -1, 1)
    if status is None and "stat" in packet:
        lost.add("stat")
    antenna = _best(packet)
    heard = {**antenna, **packet} if antenna else packet
    return Radio(
        freq_hz or 0,
        sf,
        bw_hz,
        # Of the channel where told; v1.6 adds rssis, of the signal alone.
        _level(heard, "rssi" if "rssi" in heard else "rssis", UNKNOWN.rssi_qdbm, lost),
        _level(heard, "lsnr", 0, lost),
        coding_rate=coding_rate,
        counter_us=counter_us,
        channel=_whole(heard, "chan", 0xFFFF, lost),
        chain=chain,
        crc="" if status is None else _CRC[status],
    )


def _whole(packet: dict[str, Any], name: str, highest: int, lost: set[str]) -> int | None:
    found = fields.integer(packet.get(name), 0, highest)
    if found is None and name in packet:
        lost.add(name)
    return found


def _level(packet: dict[str, Any], name: str, unknown: int, lost: set[str]) -> int:
    """Quarters of a dB; a value between them is named as lost."""
    found = fields.quarters(packet.get(name))
    if found is not None and found[1]:
        lost.discard(name)
    elif name in packet:
        lost.add(name)
    return unknown if found is None else found[0]


def _modulation(packet: dict[str, Any], lost: set[str]) -> tuple[int, int, int]:
    """Spreading factor, bandwidth, coding rate; a frame holds none of FSK (datr is a number) and LR-FHSS."""
    rate = packet.get("datr")
    match = _LORA.fullmatch(rate) if isinstance(rate, str) else None
    if match is None or packet.get("modu", "LORA") != "LORA":
        lost.update(name for name in ("modu", "datr", "codr") if name in packet)
        return 0, UNKNOWN.bw_hz, 0
    bw_hz = int(Decimal(match[2]) * 1000)
    code = packet.get("codr")
    coding_rate = _RATES.get(code, 0) if isinstance(code, str) else 0
    if code is not None and not coding_rate:
        lost.add("codr")
    return int(match[1]), bw_hz, coding_rate


def _best(packet: dict[str, Any]) -> dict[str, Any]:
    """What the antenna that heard best says: most SNR, then most RSSI, then the first. A frame holds one."""
    entries = packet.get("rsig")
    entries = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []

    def rank(entry: dict[str, Any]) -> tuple[int, int]:
        snr, rssi = fields.quarters(entry.get("lsnr")), fields.quarters(entry.get("rssic"))
        return snr[0] if snr else -4001, rssi[0] if rssi else -4001

    best: dict[str, Any] = max(entries, key=rank, default={})
    # The channel's RSSI is what `rssi` is for gateways with one antenna (P 4).
    return {
        "rssi" if k == "rssic" else k: v for k, v in best.items() if k in ("rssic", "rssis", "lsnr", "chan")
    }


def rxpk(frame: Frame) -> dict[str, Any]:
    """The packet of a frame as P 4 has it; what is unknown is left out. RSSI in whole dB, as there."""
    radio = frame.radio
    packet: dict[str, Any] = {}
    if 0 < frame.time_us < fields.TIME_END_US:
        packet["time"] = fields.iso_text(frame.time_us)
    if radio.counter_us is not None:
        packet["tmst"] = radio.counter_us & 0xFFFFFFFF
    if radio.channel is not None:
        packet["chan"] = radio.channel
    if radio.chain is not None:
        packet["rfch"] = radio.chain
    if radio.freq_hz:
        packet["freq"] = fields.scaled(radio.freq_hz, 6)
    if radio.crc in _STAT:
        packet["stat"] = _STAT[radio.crc]
    if radio.sf:
        packet["modu"] = "LORA"
        packet["datr"] = f"SF{radio.sf}BW{fields.scaled(radio.bw_hz, 3):f}"
    if radio.coding_rate in (5, 6, 7, 8):
        packet["codr"] = f"4/{radio.coding_rate}"
    if radio.rssi_qdbm != UNKNOWN.rssi_qdbm:
        packet["rssi"] = round(radio.rssi_qdbm / 4)
        packet["lsnr"] = fields.scaled(radio.snr_qdb * 25, 2)
    packet["size"] = len(frame.data)
    packet["data"] = base64.b64encode(frame.data).decode()
    return packet


def pack(frame: Frame) -> bytes:
    """A line {"rxpk":[...]}; nothing for a frame whose bytes on the air are not known."""
    if frame.reason or frame.network is not None:
        return b""
    return body([frame]) + b"\n"


def body(heard: Sequence[Frame]) -> bytes:
    """The JSON of a PUSH_DATA that carries frames."""
    return dumps({"rxpk": [rxpk(frame) for frame in heard]}).encode()


@dataclass(frozen=True, slots=True)
class Datagram:
    """version: 1 or 2. token: 16 bits. kind: PUSH_DATA .. TX_ACK. gateway: EUI or b"". body: JSON or b""."""

    version: int
    token: int
    kind: int
    gateway: bytes = b""
    body: bytes = b""


def parse(data: bytes) -> Datagram:
    """A datagram (P 3, 5); BadRecord, "truncated" where it is too short for its kind."""
    if len(data) < _HEAD.size:
        raise BadRecord("truncated")
    version, token, kind = _HEAD.unpack_from(data)
    if version not in (1, 2) or kind > TX_ACK:
        raise BadRecord
    end = _HEAD.size + (8 if kind in _WITH_EUI else 0)
    if len(data) < end:
        raise BadRecord("truncated")
    rest = data[end:]
    if rest and kind not in _WITH_BODY:
        raise BadRecord
    if kind in (PUSH_DATA, PULL_RESP) and not rest:
        raise BadRecord("truncated")
    return Datagram(version, token, kind, data[_HEAD.size : end], rest)


def build(datagram: Datagram) -> bytes:
    """The bytes of a datagram; ValueError for what its kind cannot have."""
    wanted = 8 if datagram.kind in _WITH_EUI else 0
    if not 0 <= datagram.kind <= TX_ACK or len(datagram.gateway) != wanted:
        raise ValueError(f"{datagram.gateway.hex()} is no gateway for kind {datagram.kind}")
    if (datagram.body and datagram.kind not in _WITH_BODY) or len(datagram.body) > MAX_BODY - 12:
        raise ValueError(f"{len(datagram.body)} bytes are no body for kind {datagram.kind}")
    return _HEAD.pack(datagram.version, datagram.token, datagram.kind) + datagram.gateway + datagram.body


def answer(datagram: Datagram) -> Datagram | None:
    """The acknowledgement that a server owes (P 3.3, 5.3), None where it owes none."""
    kind = {PUSH_DATA: PUSH_ACK, PULL_DATA: PULL_ACK}.get(datagram.kind)
    return None if kind is None else Datagram(datagram.version, datagram.token, kind)


def tx_error(datagram: Datagram) -> str:
    """What a TX_ACK tells: "NONE", an error, or "WARN " and a warning; BadRecord for anything else."""
    if not datagram.body.strip():
        return "NONE"
    value = loads(datagram.body)
    told = value.get("txpk_ack") if isinstance(value, dict) else None
    if not isinstance(told, dict):
        raise BadRecord
    error, warning = told.get("error", "NONE"), told.get("warn")
    if error in TX_ERRORS and error != "NONE":
        return str(error)
    if error not in ("NONE", None):
        raise BadRecord
    return "NONE" if warning is None else "WARN " + next(iter(fields.names("", [warning])))


def record(data: bytes) -> Record:
    """The record of a datagram, its frames with the gateway that it names; kinds without frames have none."""
    try:
        datagram = parse(data)
        if datagram.kind not in (PUSH_DATA, PULL_RESP):
            return Record(data, others=(KINDS[datagram.kind].lower(),))
        value = loads(datagram.body)
        if not isinstance(value, dict) or not claims(value):
            raise BadRecord
        found, others = frames(value)
    except BadRecord as e:
        return Record(data, reason=e.reason)
    if datagram.gateway:
        found = tuple(Frame(f.data, f.time_us, f.radio, f.reason, datagram.gateway) for f in found)
    return Record(data, found, others)
