"""Frames wrapped as ChirpStack v4's messages, in JSON and protobuf; nothing of host_tools is used.

Field numbers and names: chirpstack/chirpstack, api/proto/gw/gw.proto (UplinkFrame 1 4 5, UplinkTxInfo 1 2,
Modulation 3, LoraModulationInfo 1 2 5, UplinkRxInfo 1 3 6 7 8 9 13 16) and api/proto/integration/integration.proto
(UplinkEvent 2 3 4 7 8 9 10 12 13, DeviceInfo 8). Wire form: protobuf.dev, Encoding; JSON: ProtoJSON format.
"""

from __future__ import annotations

import base64
import json
import struct
from datetime import UTC, datetime
from typing import Any


def rfc3339(time_ns: int) -> str:
    seconds, ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}+00:00"


def tx_info(freq_hz: int = 868100000, sf: int = 7, bw_hz: int = 125000) -> dict[str, Any]:
    lora = {"bandwidth": bw_hz, "spreadingFactor": sf, "codeRate": "CR_4_5"}
    return {"frequency": freq_hz, "modulation": {"lora": lora}}


def rx_info(
    *,
    gateway: str = "0102030405060708",
    time_ns: int | None = 1662813015_000000000,
    rssi_dbm: int = -35,
    snr_db: float = 5.25,
    tmst: int = 1234,
    channel: int = 2,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "gatewayId": gateway,
        "uplinkId": 45825,
        "rssi": rssi_dbm,
        "snr": snr_db,
        "channel": channel,
        "context": base64.b64encode(tmst.to_bytes(4, "big")).decode(),
        "metadata": {"region_config_id": "eu868"},
        "crcStatus": "CRC_OK",
    }
    if time_ns is not None:
        found["gwTime"] = rfc3339(time_ns)
    return found


def uplink_frame(frame: bytes, *, tx: dict[str, Any] | None = None, rx: dict[str, Any] | None = None) -> str:
    """gw.UplinkFrame as a gateway sends it over MQTT."""
    message = {
        "phyPayload": base64.b64encode(frame).decode(),
        "txInfo": tx_info() if tx is None else tx,
        "rxInfo": rx_info() if rx is None else rx,
    }
    return json.dumps(message)


def uplink_event(
    payload: bytes,
    *,
    dev_eui: str = "0011223344556677",
    dev_addr: str = "49be7df1",
    fcnt: int = 2,
    fport: int = 1,
    confirmed: bool = False,
    name: str = "lamp 7",
    time_ns: int = 1662813016_000000000,
    tx: dict[str, Any] | None = None,
    rx: list[dict[str, Any]] | None = None,
) -> str:
    """integration.UplinkEvent as applications get it."""
    message = {
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
        "time": rfc3339(time_ns),
        "deviceInfo": {
            "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
            "tenantName": "Ville",
            "deviceName": name,
            "devEui": dev_eui,
            "tags": {"street": "rue des Lilas"},
        },
        "devAddr": dev_addr,
        "adr": True,
        "dr": 5,
        "fCnt": fcnt,
        "fPort": fport,
        "confirmed": confirmed,
        "data": base64.b64encode(payload).decode(),
        "rxInfo": [rx_info()] if rx is None else rx,
        "txInfo": tx_info() if tx is None else tx,
    }
    return json.dumps(message)


def varint(value: int) -> bytes:
    if value < 0:
        value += 1 << 64
    out: list[int] = []
    while True:
        value, low = value >> 7, value & 0x7F
        if not value:
            return bytes([*out, low])
        out.append(low | 0x80)


def number(field: int, value: int) -> bytes:
    return varint(field * 8) + varint(value)


def block(field: int, value: bytes) -> bytes:
    return varint(field * 8 + 2) + varint(len(value)) + value


def timestamp(time_ns: int) -> bytes:
    seconds, ns = divmod(time_ns, 1_000_000_000)
    return number(1, seconds) + (number(2, ns) if ns else b"")


def tx_info_pb(freq_hz: int = 868100000, sf: int = 7, bw_hz: int = 125000) -> bytes:
    lora = number(1, bw_hz) + number(2, sf) + number(5, 1)
    return number(1, freq_hz) + block(2, block(3, lora))


def rx_info_pb(
    *,
    gateway: str = "0102030405060708",
    time_ns: int | None = 1662813015_000000000,
    rssi_dbm: int = -35,
    snr_db: float = 5.25,
    tmst: int = 1234,
    channel: int = 2,
) -> bytes:
    found = block(1, gateway.encode()) + number(2, 45825)
    if time_ns is not None:
        found += block(3, timestamp(time_ns))
    found += number(6, rssi_dbm) + b"\x3d" + struct.pack("<f", snr_db)
    if channel:
        found += number(8, channel)
    found += block(13, tmst.to_bytes(4, "big"))
    return found + block(15, block(1, b"region_config_id") + block(2, b"eu868")) + number(16, 2)


def uplink_frame_pb(frame: bytes, *, tx: bytes | None = None, rx: bytes | None = None) -> bytes:
    tx = tx_info_pb() if tx is None else tx
    rx = rx_info_pb() if rx is None else rx
    return block(1, frame) + block(4, tx) + block(5, rx)


def uplink_event_pb(
    payload: bytes,
    *,
    dev_eui: str = "0011223344556677",
    dev_addr: str = "49be7df1",
    fcnt: int = 2,
    fport: int = 1,
    confirmed: bool = False,
    name: str = "lamp 7",
    time_ns: int = 1662813016_000000000,
    tx: bytes | None = None,
    rx: list[bytes] | None = None,
) -> bytes:
    device = block(2, b"Ville") + block(7, name.encode()) + block(8, dev_eui.encode())
    out = block(1, b"3ac7e3c4-4401-4b8d-9386-a5c902f9202d") + block(2, timestamp(time_ns)) + block(3, device)
    out += block(4, dev_addr.encode()) + number(5, 1) + number(6, 5) + number(7, fcnt) + number(8, fport)
    out += number(9, 1) if confirmed else b""
    out += block(10, payload) if payload else b""
    out += b"".join(block(12, one) for one in ([rx_info_pb()] if rx is None else rx))
    return out + block(13, tx_info_pb() if tx is None else tx)


def delimited(message: bytes) -> bytes:
    return varint(len(message)) + message
