"""Frames wrapped as The Things Stack v3 writes them in JSON; nothing of host_tools is used.

Names: TheThingsNetwork/lorawan-stack, api/ttn/lorawan/v3/messages.proto (ApplicationUp, ApplicationUplink,
UplinkMessage, GatewayUplinkMessage), metadata.proto (RxMetadata), lorawan.proto (TxSettings: frequency is a 64-bit
number, so text). The shape of events: the stack's page on working with events.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any


def rfc3339(time_ns: int) -> str:
    seconds, ns = divmod(time_ns, 1_000_000_000)
    part = f".{ns:09d}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{part}Z"


def settings(freq_hz: int = 868100000, sf: int = 7, bw_hz: int = 125000) -> dict[str, Any]:
    lora = {"bandwidth": bw_hz, "spreading_factor": sf, "coding_rate": "4/5"}
    return {"data_rate": {"lora": lora}, "frequency": str(freq_hz)}


def rx_metadata(
    *,
    gateway: str = "0102030405060708",
    time_ns: int | None = 1662813015_000000000,
    rssi_dbm: float = -35,
    snr_db: float = 5.25,
    tmst: int = 1234,
    channel: int = 2,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "gateway_ids": {"gateway_id": f"eui-{gateway.lower()}", "eui": gateway.upper()},
        "timestamp": tmst,
        "rssi": rssi_dbm,
        "channel_rssi": rssi_dbm,
        "snr": snr_db,
        "uplink_token": "CiIKIAoUZXVpLTAw",
        "received_at": "2022-09-10T12:30:15.311Z",
    }
    if time_ns is not None:
        found["time"] = rfc3339(time_ns)
    if channel:
        found["channel_index"] = channel
    return found


def application_up(
    payload: bytes,
    *,
    dev_eui: str = "0011223344556677",
    dev_addr: str = "49be7df1",
    fcnt: int = 2,
    fport: int = 1,
    confirmed: bool = False,
    name: str = "lamp-7",
    rx: list[dict[str, Any]] | None = None,
    sent: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """ApplicationUp with an uplink_message, as MQTT and webhooks have it."""
    uplink: dict[str, Any] = {"session_key_id": "AXBSH1Pk6Z0G166RlH16CQ=="}
    if fport:
        uplink["f_port"] = fport
    if fcnt:
        uplink["f_cnt"] = fcnt
    if payload:
        uplink["frm_payload"] = base64.b64encode(payload).decode()
    uplink["rx_metadata"] = [rx_metadata()] if rx is None else rx
    uplink["settings"] = settings() if sent is None else sent
    uplink["received_at"] = "2022-09-10T12:30:15.420Z"
    if confirmed:
        uplink["confirmed"] = True
    uplink["consumed_airtime"] = "0.046336s"
    return {
        "end_device_ids": {
            "device_id": name,
            "application_ids": {"application_id": "ville"},
            "dev_eui": dev_eui.upper(),
            "join_eui": "800000000000000C",
            "dev_addr": dev_addr.upper(),
        },
        "correlation_ids": ["as:up:01E0WZGT6Y7657CPFPE5WEYDSQ"],
        "received_at": "2022-09-10T12:30:15.622Z",
        "uplink_message": uplink,
    }


def uplink_message(
    frame: bytes, *, rx: list[dict[str, Any]] | None = None, sent: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "raw_payload": base64.b64encode(frame).decode(),
        "payload": {"m_hdr": {"m_type": "UNCONFIRMED_UP"}, "mic": "AYTeSg=="},
        "settings": settings() if sent is None else sent,
        "rx_metadata": [rx_metadata()] if rx is None else rx,
        "received_at": "2022-09-10T12:30:15.320Z",
        "correlation_ids": ["gs:uplink:01HSGFBEJS7Y7GFKMRF62GT3ZR"],
    }


def event(
    frame: bytes,
    *,
    name: str = "gs.up.receive",
    gateway: str = "0102030405060708",
    rx: list[dict[str, Any]] | None = None,
    sent: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An event of the gateway server (gs.up.receive) or network server (ns.up.data.receive)."""
    message = uplink_message(frame, rx=rx, sent=sent)
    kind = "type.googleapis.com/ttn.lorawan.v3."
    data: dict[str, Any] = {"@type": kind + "UplinkMessage", **message}
    if name.startswith("gs."):
        data = {"@type": kind + "GatewayUplinkMessage", "message": message, "band_id": "EU_863_870"}
    ids = {"gateway_id": f"eui-{gateway.lower()}", "eui": gateway.upper()}
    return {
        "name": name,
        "time": "2022-09-10T12:30:15.400Z",
        "identifiers": [{"gateway_ids": ids}],
        "data": data,
        "correlation_ids": ["gs:uplink:01HSGFBEJS7Y7GFKMRF62GT3ZR"],
        "origin": "gs-1",
        "unique_id": "01HSGFBEZJEC0YJ2JD8N9WK3ED",
    }


def line(value: dict[str, Any], *, result: bool = False) -> str:
    """One line; `result`: as streams and the storage integration wrap it."""
    return json.dumps({"result": value} if result else value) + "\n"
