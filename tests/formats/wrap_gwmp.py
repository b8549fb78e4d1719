"""A frame as GWMP (reference/lora.md 3.5), written from that page alone."""

from __future__ import annotations

import base64
import datetime
import json


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
) -> dict[str, object]:
    """One element of "rxpk"."""
    when = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=time_us)
    return {
        "time": when.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "tmst": counter_us,
        "freq": freq_hz / 1e6,
        "chan": channel,
        "rfch": chain,
        "stat": 1,
        "modu": "LORA",
        "datr": f"SF{sf}BW{bw_hz // 1000}",
        "codr": f"4/{coding_rate}",
        "rssi": rssi_qdbm // 4,
        "lsnr": snr_qdb / 4,
        "size": len(data),
        "data": base64.b64encode(data).decode("ascii"),
    }


def wrap(data: bytes, **radio: int) -> bytes:
    """A line with one "rxpk"."""
    return json.dumps({"rxpk": [heard(data, **radio)]}).encode() + b"\n"


def push_data(data: bytes, *, gateway: bytes, token: int = 0x1234, **radio: int) -> bytes:
    """A PUSH_DATA datagram: version 2, token, 00, EUI in bytes 4 to 11, JSON from 12 on."""
    body = json.dumps({"rxpk": [heard(data, **radio)]}).encode()
    return bytes((2, token >> 8, token & 255, 0)) + gateway + body


def pull_resp(data: bytes, *, freq_hz: int, sf: int, bw_hz: int, counter_us: int, token: int = 1) -> bytes:
    """A PULL_RESP datagram: JSON from byte 4 on, no EUI."""
    packet = {
        "imme": False,
        "tmst": counter_us,
        "freq": freq_hz / 1e6,
        "rfch": 0,
        "powe": 14,
        "modu": "LORA",
        "datr": f"SF{sf}BW{bw_hz // 1000}",
        "codr": "4/5",
        "ipol": True,
        "ncrc": True,
        "size": len(data),
        "data": base64.b64encode(data).decode("ascii"),
    }
    return bytes((2, token >> 8, token & 255, 3)) + json.dumps({"txpk": packet}).encode()
