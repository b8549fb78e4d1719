"""The Things Stack v3 in JSON: what its integrations send, and the events of its gateway and network servers.

Names: TheThingsNetwork/lorawan-stack, api/ttn/lorawan/v3: messages.proto at commit 4589469f163f (ApplicationUp,
UplinkMessage, GatewayUplinkMessage, DownlinkMessage), metadata.proto at 8d403e92b853 (RxMetadata), lorawan.proto
at 11483ce076f8 (TxSettings). ApplicationUp holds FRMPayload in clear, UplinkMessage the PHYPayload. Streams and
the storage integration put "result" around each object; an event has "name" and "data" (the stack's own page on
working with events). Zeros and empty fields are left out by its servers.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from host_tools.formats import protojson as pj
from host_tools.formats.jsontext import BadRecord, looks_like_json
from host_tools.formats.mapping import Frames, records
from host_tools.formats.protojson import Reader
from host_tools.frames import UNKNOWN, Frame, Network, Radio, Record

NAME = "tts"
SUFFIXES: tuple[str, ...] = ()
TITLE = "The Things Stack v3 (JSON)"
HOLDS = frozenset(
    "data time_us gateway network.dev_eui network.dev_addr network.fcnt network.fport network.confirmed "
    "radio.freq_hz radio.sf radio.bw_hz radio.rssi_qdbm radio.snr_qdb radio.coding_rate radio.counter_us "
    "radio.channel".split()
)

_U32 = 0xFFFFFFFF
_TYPE = "type.googleapis.com/ttn.lorawan.v3."
# An event is named by the component, then by what happened: gs.up.receive, ns.up.data.process.
_EVENT = re.compile(r"[a-z]{2,24}(\.[a-z0-9_]{1,40}){1,6}")
_NAMES = re.compile(rb'"end_device_ids"\s*:|"type\.googleapis\.com/ttn\.lorawan\.v3\.')
_CODING = {"4/5": 5, "4/6": 6, "4/7": 7, "4/8": 8}
_CRC = {None: "", True: "ok", False: "bad"}
_UPLINKS = ("uplink_message", "uplink_normalized")


def sniff(head: bytes) -> bool:
    """True where a file begins with JSON and soon names what only The Things Stack has."""
    return looks_like_json(head) and _NAMES.search(head[:4096]) is not None


def read(stream: BinaryIO, name: str) -> Iterator[Record]:
    """The records of a file of The Things Stack's JSON."""
    return records(stream, name, (sys.modules[__name__],))


def claims(value: Mapping[str, object]) -> bool:
    """True for a JSON object of The Things Stack, with or without a frame."""
    if not isinstance(value, Mapping):
        return False
    inner = value.get("result")
    if isinstance(inner, Mapping) and not value.keys() - {"result", "error"}:
        return _is_message(inner)
    return _is_message(value)


def _is_message(value: Mapping[str, object]) -> bool:
    if "end_device_ids" in value or ("raw_payload" in value and value.keys() & {"settings", "rx_metadata"}):
        return True
    name = value.get("name")
    event = isinstance(name, str) and _EVENT.fullmatch(name) is not None
    return event and bool(value.keys() & {"identifiers", "unique_id", "correlation_ids"})


def frames(value: Mapping[str, object]) -> Frames:
    """The receptions in one JSON object, and the names of what no frame holds; BadRecord."""
    names: dict[str, None] = {}
    top = Reader(value, "", names)
    if top.has("result") and not top.has("end_device_ids"):
        outer, top = top, top.sub("result")
        outer.rest()
    if top.has("end_device_ids"):
        found = _application_up(top, [])
    elif top.has("raw_payload"):
        found = _uplink_message(top, [])
    elif isinstance(top.get("data"), Mapping):
        found = _event(top)
    else:
        top.rest()
        found = ()
    return found, tuple(names)


# A time that stands beside a message, and that its receptions fall back to.
_Clocks = list[tuple[Reader, str]]


def _event(top: Reader) -> tuple[Frame, ...]:
    data = top.sub("data")
    kind = pj.text(data.get("@type")).removeprefix(_TYPE)
    clocks = [(top, "time")]
    found: tuple[Frame, ...] = ()
    top.get("name")
    if kind == "ApplicationUp":
        found = _application_up(data, clocks)
    elif kind == "GatewayUplinkMessage":
        found = _uplink_message(data.sub("message"), clocks)
        data.rest()
    elif kind == "UplinkMessage":
        found = _uplink_message(data, clocks)
    elif kind == "DownlinkMessage" and data.has("scheduled"):
        # Other servers' downlinks are requests; what the gateway server schedules goes on the air.
        found = _downlink_message(data, top)
    else:
        top.lose("name")
        data.rest()
    if found:
        found = _from_gateways(found, top)
    top.rest()
    return found


def _from_gateways(found: tuple[Frame, ...], event: Reader) -> tuple[Frame, ...]:
    """A reception that does not tell its gateway is of the one that the event is about."""
    for item in event.items("identifiers"):
        ids = item.sub("gateway_ids")
        eui = pj.hexadecimal(ids.get("eui"), 8)
        found = tuple(replace(f, gateway=f.gateway or eui) for f in found)
        if all(f.gateway != eui for f in found):
            ids.lose("eui")
        for part in (ids, item):
            part.rest()
    return found


def _application_up(up: Reader, clocks: _Clocks) -> tuple[Frame, ...]:
    name = next((name for name in _UPLINKS if up.get(name) is not None), "")
    if not name:
        up.rest()
        return ()
    message, ids = up.sub(name), up.sub("end_device_ids")
    if message.get("app_s_key"):
        # The application alone can decrypt: the payload is as it was on the air, without its header.
        raise BadRecord("no_key")
    address = pj.hexadecimal(ids.get("dev_addr"), 4)
    network = Network(
        dev_eui=pj.hexadecimal(ids.get("dev_eui"), 8),
        dev_addr=int.from_bytes(address, "big") if address else None,
        fcnt=pj.integer(message.get("f_cnt"), 0, _U32) or 0,
        fport=pj.integer(message.get("f_port"), 0, 255) or 0,
        confirmed=pj.boolean(message.get("confirmed")) or False,
    )
    data = pj.frame_data(message.get("frm_payload"))
    found = _receptions(message, data, network, [(up, "received_at"), *clocks])
    for part in (ids, message, up):
        part.rest()
    return found


def _uplink_message(message: Reader, clocks: _Clocks) -> tuple[Frame, ...]:
    data = pj.frame_data(message.get("raw_payload"))
    if not data:
        raise BadRecord("bad_record")
    # The same bytes once more, taken apart.
    message.get("payload")
    found = _receptions(message, data, None, clocks)
    message.rest()
    return found


def _receptions(message: Reader, data: bytes, network: Network | None, clocks: _Clocks) -> tuple[Frame, ...]:
    settings = message.sub("settings")
    sent = _modulation(settings)
    sent = replace(sent, crc=_CRC[pj.boolean(message.get("crc_status"))])
    receptions = message.items("rx_metadata")
    # The settings repeat counter and time of one reception; whose it is, only one alone tells.
    alone = settings if len(receptions) <= 1 else None
    out = []
    for rx in receptions or [Reader({}, "", {})]:
        own = [(rx, "gps_time"), (rx, "time"), *([(alone, "time")] if alone else []), (rx, "received_at")]
        time_us = _first_time([*own, (message, "received_at"), *clocks])
        out.append(Frame(data, time_us, _radio(rx, sent, alone), gateway=_gateway(rx), network=network))
        rx.rest()
    settings.rest()
    return tuple(out)


def _first_time(clocks: _Clocks) -> int:
    """The time of the first clock that tells one; those behind it are left unread."""
    for clock, name in clocks:
        time_us, told = pj.instant(clock, name)
        if told:
            return time_us
    return 0


def _modulation(settings: Reader) -> Radio:
    """Frequency and modulation. The coding rate stood beside the data rate once and stands in it now."""
    rate = settings.sub("data_rate")
    lora = rate.sub("lora")
    freq_hz = pj.integer(settings.get("frequency"), 0, _U32) or 0
    sf = pj.integer(lora.get("spreading_factor"), 0, 12) or 0
    bw_hz = pj.integer(lora.get("bandwidth"), 0, 1 << 24) or UNKNOWN.bw_hz
    place = lora if lora.get("coding_rate") else settings
    coding = pj.text(place.get("coding_rate"))
    if coding not in _CODING:
        place.lose("coding_rate")
    for part in (lora, rate):
        part.rest()
    return Radio(freq_hz, sf, bw_hz, coding_rate=_CODING.get(coding, 0))


def _radio(rx: Reader, sent: Radio, settings: Reader | None) -> Radio:
    # The two are the same by definition; one of them may be left out.
    level = pj.quarters(rx, "channel_rssi" if rx.get("rssi") is None else "rssi")
    if rx.get("channel_rssi") != rx.get("rssi") is not None:
        rx.lose("channel_rssi")
    counter = pj.integer(rx.get("timestamp"), 0, _U32)
    if settings is not None:
        other = pj.integer(settings.get("timestamp"), 0, _U32)
        if counter is None:
            counter = other
        elif counter != other:
            settings.lose("timestamp")
    return replace(
        sent,
        rssi_qdbm=UNKNOWN.rssi_qdbm if level is None else level,
        snr_qdb=pj.quarters(rx, "snr") or 0,
        counter_us=counter,
        channel=pj.integer(rx.get("channel_index"), 0, 255),
    )


def _gateway(rx: Reader) -> bytes:
    """The gateway's EUI, also of one that belongs to another network and came by way of the packet broker."""
    ids = rx.sub("gateway_ids")
    eui = pj.hexadecimal(ids.get("eui"), 8)
    ids.rest()
    if not eui and isinstance(rx.get("packet_broker"), Mapping):
        broker = rx.sub("packet_broker")
        eui = pj.hexadecimal(broker.get("forwarder_gateway_eui"), 8)
        broker.rest()
    else:
        rx.lose("packet_broker")
    return eui


def _downlink_message(message: Reader, event: Reader) -> tuple[Frame, ...]:
    data = pj.frame_data(message.get("raw_payload"))
    if not data:
        raise BadRecord("bad_record")
    message.get("payload")
    scheduled = message.sub("scheduled")
    sent = _modulation(scheduled)
    time_us = _first_time([(scheduled, "time"), (event, "time")])
    counter = pj.integer(scheduled.get("timestamp"), 0, _U32)
    for part in (scheduled, message):
        part.rest()
    return (Frame(data, time_us, replace(sent, counter_us=counter)),)


def pack(frame: Frame) -> bytes:
    """A frame as one line: an ApplicationUp where a network server told it, else an event of the gateway server.

    Nothing for a record that holds no frame.
    """
    if frame.reason:
        return b""
    message: dict[str, Any] = {}
    network = frame.network
    data = base64.b64encode(frame.data).decode()
    if network is None:
        message["raw_payload"] = data
        if frame.radio.crc in ("ok", "bad"):
            message["crc_status"] = frame.radio.crc == "ok"
    else:
        message |= {"f_port": network.fport, "f_cnt": network.fcnt or 0, "frm_payload": data}
        message["confirmed"] = network.confirmed
    message |= {"settings": _settings_json(frame.radio), "rx_metadata": [_rx_json(frame)]}
    value: dict[str, Any]
    if network is None:
        ids = {"gateway_ids": {"eui": frame.gateway.hex().upper()}}
        value = {"name": "gs.up.receive", "identifiers": [ids] if frame.gateway else []}
        value["data"] = {"@type": _TYPE + "GatewayUplinkMessage", "message": message}
    else:
        device = {"dev_eui": network.dev_eui.hex().upper()} if network.dev_eui else {}
        if network.dev_addr is not None:
            device["dev_addr"] = f"{network.dev_addr:08X}"
        value = {"end_device_ids": device, "uplink_message": message}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _settings_json(radio: Radio) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if radio.sf or radio.coding_rate or radio.bw_hz != UNKNOWN.bw_hz:
        lora: dict[str, Any] = {"bandwidth": radio.bw_hz, "spreading_factor": radio.sf}
        if 5 <= radio.coding_rate <= 8:
            lora["coding_rate"] = f"4/{radio.coding_rate}"
        out["data_rate"] = {"lora": lora}
    if radio.freq_hz:
        out["frequency"] = str(radio.freq_hz)
    return out


def _rx_json(frame: Frame) -> dict[str, Any]:
    radio = frame.radio
    out: dict[str, Any] = {"gateway_ids": {"eui": frame.gateway.hex().upper()}} if frame.gateway else {}
    if pj.utc_text(frame.time_us):
        out["time"] = pj.utc_text(frame.time_us)
    if radio.counter_us is not None:
        out["timestamp"] = radio.counter_us & _U32
    if radio.rssi_qdbm != UNKNOWN.rssi_qdbm:
        out["rssi"] = out["channel_rssi"] = radio.rssi_qdbm / 4
    if radio.snr_qdb:
        out["snr"] = radio.snr_qdb / 4
    if radio.channel is not None:
        out["channel_index"] = radio.channel
    return out
