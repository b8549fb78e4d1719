"""LNS, the WebSocket protocol of Basics Station: its JSON messages, in which a PHYPayload travels in parts.

Fields as lorabasics/basicstation sends them (src/lora.c s2e_parse_lora_frame, commit 77dfd228; src/s2e.c):
`jreq` and `rejoin` of 23 bytes, `updf` and `dndf` of data frames, `propdf` and `jacc` with the whole frame.
DevAddr and MIC are signed 32-bit numbers. Servers and simulators that write "Fcnt" and "rtcx"
(TheThingsNetwork/lorawan-stack, lbslns/upstream.go), "Mhdr" (chirpstack-gateway-bridge) or "AppEui" are read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from host_tools.formats import fields
from host_tools.formats.jsontext import BadRecord, dumps, looks_like_json
from host_tools.formats.mapping import Frames, records
from host_tools.frames import UNKNOWN, Frame, Radio, Record

NAME = "lns"
SUFFIXES = (".lns",)
TITLE = "Basics Station LNS JSON"
HOLDS = frozenset(
    "data time_us radio.freq_hz radio.sf radio.bw_hz radio.rssi_qdbm radio.snr_qdb radio.counter_us".split()
)

_JOIN = ("jreq", "rejoin")
_DATA = ("updf", "dndf")
_WHOLE = ("propdf", "jacc")
_ALIASES = {"Mhdr": "MHdr", "MHDR": "MHdr", "Fcnt": "FCnt", "AppEui": "JoinEui", "rtcx": "rctx"}
_HELD = {"msgtype", "DR", "Freq", "upinfo"}
_HELD_JOIN = _HELD | {"MHdr", "JoinEui", "DevEui", "DevNonce", "MIC"}
_HELD_DATA = _HELD | {"MHdr", "DevAddr", "FCtrl", "FCnt", "FOpts", "FPort", "FRMPayload", "MIC"}
_HELD_WHOLE = _HELD | {"FRMPayload"}
_ROUTER = {"router", "muxs", "uri", "error"}

Rates = dict[int, tuple[int, int]]


def _rates(first: int, sfs: range, bw_khz: int) -> Rates:
    return {first + n: (sf, bw_khz * 1000) for n, sf in enumerate(sfs)}


# Uplink data rates (LoRaWAN Regional Parameters); FSK and LR-FHSS have no spreading factor.
_EU: Rates = {**_rates(0, range(12, 6, -1), 125), 6: (7, 250000)}
_US: Rates = {**_rates(0, range(10, 6, -1), 125), 4: (8, 500000), **_rates(8, range(12, 6, -1), 500)}
_AU: Rates = {**_rates(0, range(12, 6, -1), 125), 6: (8, 500000), **_rates(8, range(12, 6, -1), 500)}


def region_rates(region: str) -> Rates:
    """Data rates of a region by the name that a router_config gives it ("EU863", "US902", "AU915")."""
    return {"US": _US, "AU": _AU}.get(region[:2].upper(), _EU)


def sniff(head: bytes) -> bool:
    """True where a file begins with JSON and soon has a message type or a station's first question."""
    found = re.search(rb'"(?:msgtype|router)"\s*:', head[:4096])
    return looks_like_json(head) and found is not None


def read(stream: BinaryIO, name: str) -> Iterator[Record]:
    """The records of a file of LNS messages; a router_config among them names the data rates after it."""
    return records(stream, name, (Reader(),))


def claims(value: dict[str, Any]) -> bool:
    return isinstance(value.get("msgtype"), str) or ("router" in value and not value.keys() - _ROUTER)


def frames(value: dict[str, Any]) -> Frames:
    """As `Reader.frames` of a stream whose region is EU868."""
    return Reader().frames(value)


def start() -> Reader:
    """What reads one stream."""
    return Reader()


class Reader:
    """Messages of one station. gateway: its EUI, which the messages do not repeat; b"" unknown.

    sent: what a server told the station to send (`dnmsg`) is a frame, too.
    """

    def __init__(self, region: str = "EU863", gateway: bytes = b"", sent: bool = False) -> None:
        self.rates = region_rates(region)
        self.gateway = gateway
        self.sent = sent

    def claims(self, value: dict[str, Any]) -> bool:
        return claims(value)

    def frames(self, value: dict[str, Any]) -> Frames:
        """The frame of an uplink message; others hold none. BadRecord where it cannot be put together."""
        kind = value.get("msgtype", "router")
        if kind == "router_config":
            self._configure(value)
        if kind == "dnmsg" and self.sent:
            data = _hex(value, "pdu")
            others = fields.names("dnmsg.", value.keys() - {"msgtype", "pdu"})
            return (Frame(data, 0, gateway=self.gateway),), tuple(sorted(others))
        if kind not in _JOIN + _DATA + _WHOLE:
            return (), tuple(fields.names("", [kind]))
        message = _renamed(value)
        lost: set[str] = set()
        if kind in _JOIN:
            data = _join(message)
            lost.update(message.keys() - _HELD_JOIN)
        elif kind in _DATA:
            data = _data(message, lost)
            lost.update(message.keys() - _HELD_DATA)
        else:
            data = _hex(message, "FRMPayload")
            lost.update(message.keys() - _HELD_WHOLE)
        info = message.get("upinfo", {})
        info = _renamed(info) if isinstance(info, dict) else {}
        heard = set(info)
        time_us = _time(info, heard)
        radio = self._radio(message, info, lost, heard)
        others = fields.names(f"{kind}.", lost) | fields.names("upinfo.", heard)
        return (Frame(data, time_us, radio, gateway=self.gateway),), tuple(sorted(others))

    def _configure(self, value: dict[str, Any]) -> None:
        region = value.get("region")
        if isinstance(region, str):
            self.rates = region_rates(region)
        rates = value.get("DRs")
        if not isinstance(rates, list):
            return
        found = {}
        for number, rate in enumerate(rates[:16]):
            if not isinstance(rate, list) or len(rate) < 2:
                continue
            sf, bw_khz = fields.integer(rate[0], 5, 12), fields.integer(rate[1], 1, 4000)
            # [-1, 0, 0] is a rate that does not exist, 0 is FSK.
            if sf and bw_khz:
                found[number] = (sf, bw_khz * 1000)
        self.rates = found

    def _radio(self, message: dict[str, Any], info: dict[str, Any], lost: set[str], heard: set[str]) -> Radio:
        freq_hz = fields.hertz(message.get("Freq"))
        if freq_hz is None and "Freq" in message:
            lost.add("Freq")
        rate = fields.integer(message.get("DR"), 0, 15)
        sf, bw_hz = self.rates.get(-1 if rate is None else rate, (0, UNKNOWN.bw_hz))
        if not sf and "DR" in message:
            lost.add("DR")
        levels = []
        for name, unknown in (("rssi", UNKNOWN.rssi_qdbm), ("snr", 0)):
            level = fields.quarters(info.get(name))
            levels.append(unknown if level is None else level[0])
            if level is not None and level[1]:
                heard.discard(name)
        counter = fields.integer(info.get("xtime"), -(1 << 63), (1 << 63) - 1)
        # Above bit 47 the station's session; a concentrator's own counter is the low half.
        if counter is not None and counter >> 32 == 0:
            heard.discard("xtime")
        return Radio(
            freq_hz or 0,
            sf,
            bw_hz,
            levels[0],
            levels[1],
            counter_us=None if counter is None else counter & 0xFFFFFFFF,
        )


def _renamed(value: dict[str, Any]) -> dict[str, Any]:
    found = {_ALIASES.get(name, name): content for name, content in value.items()}
    if len(found) != len(value):
        raise BadRecord("duplicate_key")
    return found


def _time(info: dict[str, Any], heard: set[str]) -> int:
    """UTC of `gpstime`, microseconds of the GPS epoch, 0 without GPS; else of `rxtime`, seconds of Unix UTC."""
    gps = info.get("gpstime")
    if gps is not None and fields.number(gps) != 0:
        found = fields.gps_us(gps, 1_000_000)
        if found is not None:
            heard.discard("gpstime")
            return found
    else:
        heard.discard("gpstime")
    found = fields.unix_us(info.get("rxtime"))
    if found is not None:
        heard.discard("rxtime")
    return found or 0


def _number(message: dict[str, Any], name: str, bits: int) -> int:
    found = fields.integer(message.get(name), 0, (1 << bits) - 1)
    if found is None:
        raise BadRecord
    return found


def _signed(message: dict[str, Any], name: str) -> int:
    """32 bits; a station signs them, some simulators do not."""
    found = fields.integer(message.get(name), -(1 << 31), (1 << 32) - 1)
    if found is None:
        raise BadRecord
    return found & 0xFFFFFFFF


def _hex(message: dict[str, Any], name: str) -> bytes:
    found = fields.hex_bytes(message.get(name) or "")
    if found is None:
        raise BadRecord
    return found


def eui(value: Any) -> int:
    """An EUI in any of the texts of it: ID6 "a:b:c:d" with "::" for zeros, bytes with "-" or ":", 16 digits, a
    number. BadRecord for anything else.
    """
    if type(value) is int and 0 <= value < 1 << 64:
        return value
    if not isinstance(value, str) or not value.isascii():
        raise BadRecord
    if re.fullmatch(r"[0-9A-Fa-f]{16}|[0-9A-Fa-f]{2}(?:[-:][0-9A-Fa-f]{2}){7}", value):
        return int(re.sub("[-:]", "", value), 16)
    left, gap, right = value.partition("::")
    before, after = (part.split(":") if part else [] for part in (left, right))
    groups = before + ["0"] * (4 - len(before) - len(after) if gap else 0) + after
    if len(groups) != 4 or not all(re.fullmatch("[0-9A-Fa-f]{1,4}", group) for group in groups):
        raise BadRecord
    return int("".join(group.zfill(4) for group in groups), 16)


def _join(message: dict[str, Any]) -> bytes:
    return struct.pack(
        "<BQQHI",
        _number(message, "MHdr", 8),
        eui(message.get("JoinEui")),
        eui(message.get("DevEui")),
        _number(message, "DevNonce", 16),
        _signed(message, "MIC"),
    )


def _data(message: dict[str, Any], lost: set[str]) -> bytes:
    options, payload = _hex(message, "FOpts"), _hex(message, "FRMPayload")
    control = _number(message, "FCtrl", 8)
    if len(options) != control & 15:
        # A station tells FCtrl as it was on the air. Simulators leave its length out; the options tell it.
        if control & 15 or len(options) > 15:
            raise BadRecord
        control |= len(options)
        lost.add("FCtrl")
    port = fields.integer(message.get("FPort", -1), -1, 255)
    if port is None or (port < 0 and payload):
        raise BadRecord
    head = struct.pack(
        "<BIBH",
        _number(message, "MHdr", 8),
        _signed(message, "DevAddr"),
        control,
        _number(message, "FCnt", 16),
    )
    body = payload if port < 0 else bytes((port,)) + payload
    return head + options + body + struct.pack("<I", _signed(message, "MIC"))


def message(frame: Frame, rates: Rates = _EU) -> dict[str, Any]:
    """The message that a station would send for a frame; what is unknown is left out."""
    data, radio = frame.data, frame.radio
    found = _parts(data)
    rate = next((n for n, r in rates.items() if r == (radio.sf, radio.bw_hz)), None)
    if rate is not None:
        found["DR"] = rate
    if radio.freq_hz:
        found["Freq"] = radio.freq_hz
    info: dict[str, Any] = {"rctx": 0, "gpstime": 0}
    if radio.counter_us is not None:
        info["xtime"] = radio.counter_us
    if radio.rssi_qdbm != UNKNOWN.rssi_qdbm:
        info["rssi"] = fields.scaled(radio.rssi_qdbm * 25, 2)
        info["snr"] = fields.scaled(radio.snr_qdb * 25, 2)
    if 0 < frame.time_us < fields.TIME_END_US:
        info["rxtime"] = fields.scaled(frame.time_us, 6)
    return {**found, "upinfo": info}


def _parts(data: bytes) -> dict[str, Any]:
    """A PHYPayload in the parts of its message. What a station would not send (too short, another major version)
    goes whole, as a proprietary frame does, so that every frame has a message.
    """
    kind = data[0] >> 5 if data else 7
    plain = len(data) >= 12 and not data[0] & 0x1F
    if plain and kind in (0, 6) and len(data) == 23:
        join, device, nonce, mic = struct.unpack_from("<QQHi", data, 1)
        euis = [f"{number:016X}" for number in (join, device)]
        texts = ["-".join(text[i : i + 2] for i in range(0, 16, 2)) for text in euis]
        return {
            "msgtype": "rejoin" if kind else "jreq",
            "MHdr": data[0],
            "JoinEui": texts[0],
            "DevEui": texts[1],
            "DevNonce": nonce,
            "MIC": mic,
        }
    if plain and kind in (2, 3, 4, 5) and 8 + (data[5] & 15) <= len(data) - 4:
        address, control, count = struct.unpack_from("<iBH", data, 1)
        body = data[8 + (control & 15) : -4]
        return {
            "msgtype": "dndf" if kind in (3, 5) else "updf",
            "MHdr": data[0],
            "DevAddr": address,
            "FCtrl": control,
            "FCnt": count,
            "FOpts": data[8 : 8 + (control & 15)].hex().upper(),
            "FPort": body[0] if body else -1,
            "FRMPayload": body[1:].hex().upper(),
            "MIC": struct.unpack("<i", data[-4:])[0],
        }
    return {"msgtype": "jacc" if plain and kind == 1 else "propdf", "FRMPayload": data.hex().upper()}


def pack(frame: Frame) -> bytes:
    """A line with the message of a frame; nothing for a frame whose bytes on the air are not known."""
    if frame.reason or frame.network is not None:
        return b""
    return dumps(message(frame)).encode() + b"\n"
