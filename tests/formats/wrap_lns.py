"""A frame as a Basics Station message (reference/lora.md 3.6 and 3.7), written from those pages alone."""

from __future__ import annotations

import json

# reference/lora.md 3.1
EU868 = {(12, 125000): 0, (11, 125000): 1, (10, 125000): 2, (9, 125000): 3, (8, 125000): 4, (7, 125000): 5}
EU868[7, 250000] = 6


def signed(little_endian: bytes) -> int:
    return int.from_bytes(little_endian, "little", signed=True)


def id6(little_endian: bytes) -> str:
    """An EUI as "a:b:c:d", four groups of 16 bits."""
    text = little_endian[::-1].hex()
    return ":".join(f"{int(text[i : i + 4], 16):x}" for i in range(0, 16, 4))


def parts(data: bytes) -> dict[str, object]:
    mtype = data[0] >> 5
    if mtype == 0:
        return {
            "msgtype": "jreq",
            "MHdr": data[0],
            "JoinEui": id6(data[1:9]),
            "DevEui": id6(data[9:17]),
            "DevNonce": data[17] + 256 * data[18],
            "MIC": signed(data[19:23]),
        }
    if mtype in (2, 4):
        options = data[5] % 16
        rest = data[8 + options : -4]
        return {
            "msgtype": "updf",
            "MHdr": data[0],
            "DevAddr": signed(data[1:5]),
            "FCtrl": data[5],
            "FCnt": data[6] + 256 * data[7],
            "FOpts": data[8 : 8 + options].hex(),
            "FPort": rest[0] if rest else -1,
            "FRMPayload": rest[1:].hex(),
            "MIC": signed(data[-4:]),
        }
    return {"msgtype": "propdf", "FRMPayload": data.hex()}


def wrap(
    data: bytes,
    *,
    time_us: int,
    freq_hz: int,
    sf: int,
    bw_hz: int,
    rssi_qdbm: int,
    snr_qdb: int,
    counter_us: int = 0,
    **_: int,
) -> bytes:
    """A line with one message. A station does not tell coding rate, channel and chain."""
    message = parts(data)
    message |= {
        "RefTime": 0.0,
        "DR": EU868[sf, bw_hz],
        "Freq": freq_hz,
        "upinfo": {
            "rctx": 0,
            "xtime": counter_us,
            "gpstime": 0,
            "fts": -1,
            "rssi": rssi_qdbm / 4,
            "snr": snr_qdb / 4,
            "rxtime": time_us / 1e6,
        },
    }
    return json.dumps(message).encode() + b"\n"
