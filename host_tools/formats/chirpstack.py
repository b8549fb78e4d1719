"""ChirpStack v4: events of its integrations and of its gateways, in JSON and protobuf.

integration.UplinkEvent holds FRMPayload in clear, gw.UplinkFrame the PHYPayload. A gateway's counter travels in
`context`, four bytes big endian (chirpstack-mqtt-forwarder, tests/semtech_udp_test.rs at commit 08ece1cd0532);
other contexts belong to their gateway alone.

A file of protobuf is one message, or messages each with its length ahead. protobuf does not say what a message is;
a device's or gateway's EUI in its place does.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

from host_tools.errors import InputError, unreadable
from host_tools.formats import chirpstack_tables as tables
from host_tools.formats import mapping
from host_tools.formats import protojson as pj
from host_tools.formats.jsontext import BadRecord, looks_like_json
from host_tools.formats.mapping import Frames
from host_tools.formats.protobuf import LENGTH, MAX_VARINT, VARINT, Table, decode, encode, fields, varint
from host_tools.formats.protojson import Reader
from host_tools.formats.window import Window
from host_tools.frames import UNKNOWN, Frame, Network, Radio, Record

NAME = "chirpstack"
SUFFIXES = (".pb",)
TITLE = "ChirpStack v4 events (JSON, protobuf)"
HOLDS = frozenset(
    "data time_us gateway network.dev_eui network.dev_addr network.fcnt network.fport network.confirmed "
    "radio.freq_hz radio.sf radio.bw_hz radio.rssi_qdbm radio.snr_qdb radio.coding_rate radio.counter_us "
    "radio.channel radio.chain radio.crc".split()
)

_CHUNK = 65536
MAX_MESSAGE = 1 << 20
_U32 = 0xFFFFFFFF
_I31 = 0x7FFFFFFF
_CRC_WORDS = {"NO_CRC": "none", "BAD_CRC": "bad", "CRC_OK": "ok"}

# What gateways and devices tell that holds no frame: a field of it that no other format here has beside the EUI.
_TELLS = ("state", "stats", "rxPacketsReceived", "downlinkId", "gatewayIdLegacy", "configVersion", "time")


def claims(value: Mapping[str, object]) -> bool:
    """True for a JSON object that is a ChirpStack event, with or without a frame."""
    if not isinstance(value, Mapping) or "msgtype" in value:
        return False
    found = Reader(value, "", {})
    if any(found.has(name) for name in ("phyPayload", "deviceInfo", "deduplicationId", "uplinkFrame")):
        return True
    return found.has("gatewayId") and any(found.has(name) for name in _TELLS)


def frames(value: Mapping[str, object]) -> Frames:
    """The receptions in one JSON object, and the names of what no frame holds; BadRecord."""
    names: dict[str, None] = {}
    top = Reader(value, "", names)
    if top.has("uplinkFrame"):
        top, outer = top.sub("uplinkFrame"), top
        outer.rest()
        return _uplink_frame(top, names)
    if top.has("phyPayload"):
        return _uplink_frame(top, names)
    # Looked at apart: acknowledgements have items too, and those are then told as unread.
    if any(item.has("phyPayload") for item in Reader(value, "", {}).items("items")):
        return _downlink_frame(top, names)
    uplink = any(top.has(name) for name in ("rxInfo", "fCnt", "fPort", "data", "dr"))
    if top.has("deviceInfo") and uplink:
        return _uplink_event(top, names)
    top.rest()
    return (), tuple(names)


def _uplink_frame(top: Reader, names: dict[str, None]) -> Frames:
    data = pj.frame_data(top.get("phyPayload"))
    if not data:
        raise BadRecord("bad_record")
    return _receptions(top, names, data, None, None)


def _uplink_event(top: Reader, names: dict[str, None]) -> Frames:
    if top.get("joinServerContext"):
        # Its application alone has the key: the payload is as it was on the air, without its header.
        raise BadRecord("no_key")
    device = top.sub("deviceInfo")
    address = pj.hexadecimal(top.get("devAddr"), 4)
    network = Network(
        dev_eui=pj.hexadecimal(device.get("devEui"), 8),
        dev_addr=int.from_bytes(address, "big") if address else None,
        # A frame has a counter always; writers leave out its zero.
        fcnt=pj.integer(top.get("fCnt"), 0, _U32) or 0,
        fport=pj.integer(top.get("fPort"), 0, 255) or 0,
        confirmed=pj.boolean(top.get("confirmed")) or False,
    )
    data = pj.frame_data(top.get("data"))
    device.rest()
    return _receptions(top, names, data, network, "time")


def _receptions(
    top: Reader, names: dict[str, None], data: bytes, network: Network | None, time_name: str | None
) -> Frames:
    found = _modulation(top.sub("txInfo"))
    out = []
    for rx in top.items("rxInfo") or [Reader({}, "", names)]:
        time_us, told = _time(rx)
        if not told and time_name:
            time_us, _ = pj.instant(top, time_name)
        radio = _radio(rx, found)
        out.append(
            Frame(data, time_us, radio, gateway=pj.hexadecimal(rx.get("gatewayId"), 8), network=network)
        )
        rx.rest()
    top.rest()
    return tuple(out), tuple(names)


def _time(rx: Reader) -> tuple[int, bool]:
    """(time, whether one is told): of the gateway, else of the server, else of GPS."""
    for name in ("gwTime", "nsTime"):
        time_us, told = pj.instant(rx, name)
        if told:
            return time_us, True
    return pj.gps_instant(rx, "timeSinceGpsEpoch")


def _modulation(tx: Reader) -> Radio:
    """Frequency and modulation."""
    freq_hz = pj.integer(tx.get("frequency"), 0, _U32) or 0
    modulation = tx.sub("modulation")
    lora = modulation.sub("lora")
    sf = pj.integer(lora.get("spreadingFactor"), 0, 12) or 0
    bw_hz = pj.integer(lora.get("bandwidth"), 0, 1 << 24)
    rate = _enum(lora.get("codeRate"), tables.CODE_RATES)
    coding = {"CR_4_5": 5, "CR_4_6": 6, "CR_4_7": 7, "CR_4_8": 8}.get(rate, 0)
    if rate not in ("", "CR_UNDEFINED") and not coding:
        lora.lose("codeRate")
    for part in (lora, modulation, tx):
        part.rest()
    return Radio(freq_hz, sf, bw_hz or UNKNOWN.bw_hz, coding_rate=coding)


def _radio(rx: Reader, sent: Radio) -> Radio:
    rssi = pj.quarters(rx, "rssi")
    context = pj.data(rx.get("context"))
    if len(context) != 4:
        rx.lose("context")
    crc = _enum(rx.get("crcStatus"), tables.CRC)
    if crc and crc not in _CRC_WORDS:
        rx.lose("crcStatus")
    return Radio(
        sent.freq_hz,
        sent.sf,
        sent.bw_hz,
        UNKNOWN.rssi_qdbm if rssi is None else rssi,
        pj.quarters(rx, "snr") or 0,
        coding_rate=sent.coding_rate,
        counter_us=int.from_bytes(context, "big") if len(context) == 4 else None,
        channel=pj.integer(rx.get("channel"), 0, _I31),
        chain=pj.integer(rx.get("rfChain"), 0, _I31),
        crc=_CRC_WORDS.get(crc, ""),
    )


def _enum(value: object, names: Mapping[int, str]) -> str:
    """The name of an enumeration's value, "" where it is absent; a number without a name as its digits."""
    if isinstance(value, str) and not value.isdecimal():
        return value
    number = pj.integer(value, 0, _U32)
    return "" if number is None else names.get(number, str(number) if number else "")


def _downlink_frame(top: Reader, names: dict[str, None]) -> Frames:
    """One frame for each payload that a gateway is to send; its windows are choices of the same frame."""
    gateway = pj.hexadecimal(top.get("gatewayId"), 8)
    out: dict[bytes, Frame] = {}
    for item in top.items("items"):
        data = pj.frame_data(item.get("phyPayload"))
        if not data:
            raise BadRecord("bad_record")
        sent = _modulation(item.sub("txInfo"))
        out.setdefault(data, Frame(data, 0, sent, gateway=gateway))
        item.rest()
    top.rest()
    return tuple(out.values()), tuple(names)


def pack(frame: Frame) -> bytes:
    """A frame as one line of JSON: an UplinkEvent where a network server told it, else an UplinkFrame.

    Nothing for a record that holds no frame. RSSI in whole dB, as the message has it.
    """
    message, table = _message(frame)
    return json.dumps(_as_json(message, table), separators=(",", ":")).encode() + b"\n" if message else b""


def pack_protobuf(frame: Frame) -> bytes:
    """The same message in protobuf, as it is sent over MQTT; put its length ahead for a file of several."""
    message, table = _message(frame)
    return encode(message, table)


def _message(frame: Frame) -> tuple[dict[str, Any], Table]:
    if frame.reason:
        return {}, {}
    radio = frame.radio
    out: dict[str, Any] = {}
    network = frame.network
    if network is not None:
        if network.dev_eui:
            out["deviceInfo"] = {"devEui": network.dev_eui.hex()}
        else:
            out["deviceInfo"] = {}
        if network.dev_addr is not None:
            out["devAddr"] = f"{network.dev_addr:08x}"
        if network.fcnt is not None:
            out["fCnt"] = network.fcnt
        out["fPort"], out["confirmed"], out["data"] = network.fport, network.confirmed, frame.data
    else:
        out["phyPayload"] = frame.data
    tx: dict[str, Any] = {"frequency": radio.freq_hz} if radio.freq_hz else {}
    if radio.sf or radio.coding_rate or radio.bw_hz != UNKNOWN.bw_hz:
        lora = {"bandwidth": radio.bw_hz, "spreadingFactor": radio.sf}
        if 5 <= radio.coding_rate <= 8:
            lora["codeRate"] = radio.coding_rate - 4
        tx["modulation"] = {"lora": lora}
    if tx:
        out["txInfo"] = tx
    rx = _rx_message(frame)
    if rx:
        out["rxInfo"] = rx if network is None else [rx]
    return out, tables.UPLINK_FRAME if network is None else tables.UPLINK_EVENT


def _rx_message(frame: Frame) -> dict[str, Any]:
    radio = frame.radio
    rx: dict[str, Any] = {"gatewayId": frame.gateway.hex()} if frame.gateway else {}
    if pj.utc_text(frame.time_us):
        seconds, rest = divmod(frame.time_us, 1_000_000)
        rx["gwTime"] = {"seconds": seconds, "nanos": rest * 1000}
    if radio.rssi_qdbm != UNKNOWN.rssi_qdbm:
        rx["rssi"] = round(radio.rssi_qdbm / 4)
    if radio.snr_qdb:
        rx["snr"] = radio.snr_qdb / 4
    if radio.channel is not None:
        rx["channel"] = radio.channel
    if radio.chain is not None:
        rx["rfChain"] = radio.chain
    if radio.counter_us is not None:
        rx["context"] = (radio.counter_us & _U32).to_bytes(4, "big")
    if radio.crc:
        rx["crcStatus"] = {"none": 0, "bad": 1, "ok": 2}[radio.crc]
    return rx


def _as_json(message: Mapping[str, Any], table: Table) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in table.values():
        if field.name not in message:
            continue
        value = message[field.name]
        if field.kind == "message":
            found = [_as_json(v, field.table) for v in (value if field.many else [value])]
            out[field.name] = found if field.many else found[0]
        elif field.kind == "bytes":
            out[field.name] = base64.b64encode(value).decode()
        elif field.kind == "time":
            out[field.name] = pj.utc_text(value["seconds"] * 1_000_000 + value["nanos"] // 1000)
        elif field.kind == "enum":
            out[field.name] = field.names[value]
        else:
            out[field.name] = value
    return out


def frames_protobuf(data: bytes) -> Frames:
    """`frames` of one message in protobuf; BadRecord, also for what cannot be told to be ChirpStack's."""
    kind = _kind(data)
    if kind is None:
        raise BadRecord("bad_record")
    name, table = kind
    value = decode(data, table)
    if name == "other":
        return (), tuple(value)
    names: dict[str, None] = {}
    top = Reader(value, "", names)
    if name == "DownlinkFrame":
        return _downlink_frame(top, names)
    if name == "UplinkEvent":
        return _uplink_event(top, names)
    return frames(value)


_Found = Mapping[tuple[int, int], int | bytes]


def _kind(data: bytes, cut: bool = False) -> tuple[str, Table] | None:
    """(name, table) of a message, told by the EUIs in it; "other" holds no frame. BadRecord where it is none.

    cut: it may end too early.
    """
    found: dict[tuple[int, int], int | bytes] = {}
    try:
        for number, wire, value in fields(data):
            found.setdefault((number, wire), value)
    except BadRecord as e:
        if not cut or e.reason != "truncated":
            raise
    if _eui(_part(found, 3, tables.DEVICE).get("devEui")):
        # Of the others only a StatusEvent has a number in 7, and no address in 4.
        told = any((n, LENGTH) in found for n in (10, 12, 13))
        address = re.fullmatch(rb"[0-9A-Fa-f]{8}", _bytes(found, 4)) is not None
        uplink = told or (address and any((n, VARINT) in found for n in (7, 8)))
        return ("UplinkEvent", tables.UPLINK_EVENT) if uplink else ("other", {})
    if _eui(_part(found, 2, tables.DEVICE).get("devEui")):
        return "other", {}
    if (1, LENGTH) in found:
        if _eui(_part(found, 5, tables.RX).get("gatewayId")) or _part(found, 4, tables.TX).get("frequency"):
            return "UplinkFrame", tables.UPLINK_FRAME
        if _eui(_part(found, 3, tables.RX).get("gatewayId")):
            return "UplinkFrameSet", tables.UPLINK_FRAME_SET
        if len(found) == 1 and _is_uplink_frame(_bytes(found, 1)):
            return "Event", tables.GATEWAY_EVENT
    if (5, LENGTH) in found and _eui(found.get((7, LENGTH))):
        return "DownlinkFrame", tables.DOWNLINK_FRAME
    # GatewayStats; DownlinkTxAck.
    if _eui(found.get((17, LENGTH))) or ((5, LENGTH) in found and _eui(found.get((6, LENGTH)))):
        return "other", {}
    return None


def _is_uplink_frame(data: bytes) -> bool:
    found = _quietly(data, {1: tables.UPLINK_FRAME[1], 4: tables.UPLINK_FRAME[4], 5: tables.UPLINK_FRAME[5]})
    return bool(found.get("rxInfo", {}).get("gatewayId") or found.get("txInfo", {}).get("frequency"))


def _bytes(found: _Found, number: int) -> bytes:
    value = found.get((number, LENGTH), b"")
    return value if isinstance(value, bytes) else b""


def _part(found: _Found, number: int, table: Table) -> dict[str, Any]:
    return _quietly(_bytes(found, number), table)


def _quietly(data: bytes, table: Table) -> dict[str, Any]:
    try:
        return decode(data, table)
    except BadRecord:
        return {}


def _eui(value: object) -> bool:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f]{16}", value) is not None


def sniff(head: bytes) -> bool:
    """True for protobuf of ChirpStack: one message, or messages with their lengths ahead.

    To be asked ahead of whoever looks for JSON: the lengths 123, 10 and 34 read as the beginning of an object.
    """
    return _is_message(head) or _is_stream(head) or (len(head) < _CHUNK and _is_message(head, True))


def _is_message(data: bytes, cut: bool = False) -> bool:
    try:
        return _kind(data, cut) is not None
    except BadRecord:
        return False


def _is_stream(head: bytes) -> bool:
    """True where one of the messages is ChirpStack's; a damaged first one does not hide the others."""
    pos = 0
    try:
        while pos < len(head):
            size, start = varint(head, pos)
            pos = start + size
            if size and pos <= len(head) and _is_message(head[start:pos]):
                return True
    except BadRecord:
        pass
    return False


def read(stream: BinaryIO, name: str) -> Iterator[Record]:
    """The messages of a file in JSON or protobuf; InputError where it begins with neither."""
    try:
        yield from _messages(Window(stream), name)
    except OSError as e:
        raise unreadable(name, e) from None


def _messages(window: Window, name: str) -> Iterator[Record]:
    there = window.have(_CHUNK + 1)
    head = window.peek(0, there)
    stream = _is_stream(head)
    # A message that is cut is one as well; it gets its reason where it is read.
    if there <= _CHUNK and (_is_message(head) or (not stream and _is_message(head, True))):
        yield _record(window.take(there), head)
        return
    if not stream:
        if not looks_like_json(head):
            raise InputError(f"{name} {'holds no messages of ChirpStack' if there else 'is empty'}")
        rest = cast(BinaryIO, _Rest(window))
        yield from mapping.records(rest, name, (sys.modules[__name__],))
        return
    while window.have(MAX_VARINT):
        try:
            size, start = varint(window.peek(0, MAX_VARINT), 0)
        except BadRecord as e:
            # Where a length cannot be read nobody knows where the next message begins.
            yield from _unread(window, None, e.reason)
            return
        if not size:
            # An empty message says nothing; a megabyte of them would come out as a million records.
            ahead = window.peek(0, min(window.have(1), _CHUNK))
            zeros = len(ahead) - len(ahead.lstrip(b"\0"))
            # A zero may also be written in several bytes, of which the last one only is 0.
            yield Record(window.take(max(start, zeros)), reason="bad_record")
        elif size > MAX_MESSAGE:
            yield from _unread(window, start + size, "too_long")
        elif window.have(start + size) < start + size:
            yield from _unread(window, None, "truncated")
        else:
            raw = window.take(start + size)
            yield _record(raw, raw[start:])


def message(raw: bytes) -> Record:
    """The record of one message of a live source, in JSON or protobuf."""
    if looks_like_json(raw) and not _is_message(raw):
        return mapping.message(raw, (sys.modules[__name__],))
    return _record(raw, raw)


class _Rest(io.RawIOBase):
    """A window as the stream that it was."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def read(self, size: int = -1) -> bytes:
        return self._window.take(min(self._window.have(1), size if size >= 0 else sys.maxsize))


def _record(raw: bytes, message: bytes) -> Record:
    try:
        return Record(raw, *frames_protobuf(message))
    except BadRecord as e:
        return Record(raw, reason=e.reason)


def _unread(window: Window, size: int | None, reason: str) -> Iterator[Record]:
    """Bytes that are passed on as they are, the reason told once; to the end where `size` is None."""
    left = sys.maxsize if size is None else size
    while left and (there := window.have(min(left, _CHUNK))):
        raw = window.take(min(left, there, _CHUNK))
        left -= len(raw)
        yield Record(raw, reason=reason)
        reason = ""
