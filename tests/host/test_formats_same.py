"""The same traffic in every format gives the same rows, and what was published decodes as published in each.

The renderings are those of tests/formats, which share nothing with the readers.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_tools import decode
from host_tools.lorawan.keysfile import Device, Keys, Session
from tests.formats import wrap_chirpstack, wrap_gwmp, wrap_hex, wrap_lns, wrap_pcap, wrap_tts
from tests.host import lorawan_bench, synth

Traffic = list[tuple[bytes, dict[str, Any]]]


def _pcap(traffic: Traffic, version: int = 0, **how: bool) -> bytes:
    return wrap_pcap.pcap([wrap_pcap.heard(data, version=version, **radio) for data, radio in traffic], **how)


def _chirpstack(data: bytes, radio: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    tx = wrap_chirpstack.tx_info(radio["freq_hz"], radio["sf"], radio["bw_hz"])
    return tx, wrap_chirpstack.rx_info(time_ns=radio["time_us"] * 1000)


def _tts(data: bytes, radio: dict[str, Any]) -> str:
    rx = wrap_tts.rx_metadata(time_ns=radio["time_us"] * 1000)
    sent = wrap_tts.settings(radio["freq_hz"], radio["sf"], radio["bw_hz"])
    return wrap_tts.line(wrap_tts.event(data, rx=[rx], sent=sent))


def _chirpstack_json(traffic: Traffic) -> bytes:
    lines = []
    for data, radio in traffic:
        tx, rx = _chirpstack(data, radio)
        lines.append(wrap_chirpstack.uplink_frame(data, tx=tx, rx=rx) + "\n")
    return "".join(lines).encode()


def _chirpstack_pb(traffic: Traffic) -> bytes:
    out = []
    for data, radio in traffic:
        tx = wrap_chirpstack.tx_info_pb(radio["freq_hz"], radio["sf"], radio["bw_hz"])
        rx = wrap_chirpstack.rx_info_pb(time_ns=radio["time_us"] * 1000)
        out.append(wrap_chirpstack.delimited(wrap_chirpstack.uplink_frame_pb(data, tx=tx, rx=rx)))
    return b"".join(out)


def _record(data: bytes, number: int, radio: dict[str, Any]) -> bytes:
    """docs/wire-format.md, gateway record."""
    wire_ms = (radio["time_us"] - 1767225600 * 10**6) // 1000
    fields = [1, bytes(8), 1, number, wire_ms, 2, radio["counter_us"], radio["freq_hz"], radio["sf"]]
    body = synth.det([*fields, radio["bw_hz"], radio["rssi_qdbm"] // 4, radio["snr_qdb"], data])
    return len(body).to_bytes(2, "big") + body


FORMATS: dict[str, Callable[[Traffic], bytes]] = {
    "pcap, LoRaTap 0": lambda traffic: _pcap(traffic),
    "pcap, LoRaTap 1, big endian, nanoseconds": lambda traffic: _pcap(
        traffic, 1, big_endian=True, nanoseconds=True
    ),
    "pcapng": lambda traffic: wrap_pcap.pcapng([wrap_pcap.heard(d, version=1, **r) for d, r in traffic]),
    "GWMP": lambda traffic: b"".join(wrap_gwmp.wrap(d, **r) for d, r in traffic),
    "Basics Station": lambda traffic: b"".join(wrap_lns.wrap(d, **r) for d, r in traffic),
    "ChirpStack JSON": _chirpstack_json,
    "ChirpStack protobuf": _chirpstack_pb,
    "The Things Stack": lambda traffic: "".join(_tts(d, r) for d, r in traffic).encode(),
    "gateway records": lambda traffic: b"".join(_record(d, n, r) for n, (d, r) in enumerate(traffic)),
    "hex lines": lambda traffic: b"".join(wrap_hex.wrap(d, **r) for d, r in traffic),
}


def heard(n: int) -> dict[str, Any]:
    """When and how frame `n` was received, in steps that each of the formats can tell."""
    return {
        "time_us": synth.START_US + n * 1_000_000,
        "freq_hz": 868100000 + n % 3 * 200000,
        "sf": 7 + n % 6,
        "bw_hz": 125000,
        "rssi_qdbm": -4 * (60 + n % 50),
        "snr_qdb": 4 * (n % 10),
        "counter_us": 1000 + n * 1_000_000,
    }


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> tuple[Traffic, list[Path]]:
    """Our frames over the link and inside LoRaWAN, a join, strangers, frames gone bad; and the keys for them."""
    folder = tmp_path_factory.mktemp("keys")
    chance = random.Random(4)
    lamp = synth.Device("sign1", 1, name="lamp-1", kind="lamp")
    bin_ = synth.Device("mac0", 2, name="bin-2", kind="bin")
    leak = synth.Device("encrypt0", 3, name="leak-3", kind="leak")
    frames = lamp.run(4) + bin_.run(5, every=5)
    nwk, app, app_key = chance.randbytes(16), chance.randbytes(16), chance.randbytes(16)
    addr = 0x260B1234
    for n, link in enumerate(leak.run(6, every=3)):
        frames.append(
            lorawan_bench.data_frame(addr, 65530 + 3 * n, nwk, app, link[1], link[7:], fopts=b"\x02")
        )
    frames.append(lorawan_bench.request(app_key, bytes(range(8)), leak.device, 7))
    frames.append(lorawan_bench.data_frame(0x01020304, 5, nwk, app, 3, b"stranger"))
    frames += [frames[n][:-1] + bytes((frames[n][-1] ^ 1,)) for n in (1, 5, 12)]
    synth.keyring(folder / "reader.json", lamp, bin_, leak)
    keys = Keys([Device("", leak.device, bytes(range(8)), app_key)], [Session(addr, nwk, app, leak.device)])
    keys.dump(folder / "lorawan.json")
    return [(data, heard(n)) for n, data in enumerate(frames)], [
        folder / "reader.json",
        folder / "lorawan.json",
    ]


def rows(path: Path, content: bytes, keys: list[Path]) -> tuple[list[Any], list[str]]:
    path.write_bytes(content)
    found = decode.decode([path], keys)
    return found.rows, found.summary["notes"]


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_rows(tmp_path: Path, city: tuple[Traffic, list[Path]], name: str) -> None:
    traffic, keys = city
    wanted, _ = rows(tmp_path / "wanted.pcap", _pcap(traffic), keys)
    # A station has no message for a frame of another major version; there is none here.
    found, notes = rows(tmp_path / "found", FORMATS[name](traffic), keys)
    assert notes == []
    assert found == wanted and len(found) == len(traffic)
    states = [r.state for r in found]
    assert states.count("signed") >= 15 and states.count("rejected") == 3 and states.count("unverified") == 2


NWK, APP = "44024241ed4ce9a68c6a8bc055233fd3", "ec925802ae430ca77fd3dd73cb2cc588"
TWO, ONE = "02" * 16, "01" * 16
# Frame, keys, what was published of it (reference/lora.md 3.9).
PUBLISHED: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    (
        "40F17DBE4900020001954378762B11FF0D",
        {"dev_addr": "49be7df1", "nwk": NWK, "app": APP},
        {"mic": "good", "fcnt": 2, "fport": 1, "payload": b"test".hex(), "mtype": "unconfirmed_up"},
    ),
    (
        "40F17DBE49000300012A3518AF",
        {"dev_addr": "49be7df1", "nwk": NWK, "app": APP},
        {"mic": "good", "fcnt": 3, "fport": 1},
    ),
    (
        "400403020180010001a694642615d6c3b582",
        {"dev_addr": "01020304", "nwk": TWO, "app": ONE},
        {"mic": "good", "fcnt": 1, "fport": 1, "payload": b"hello".hex(), "flags": ["adr"]},
    ),
    (
        "4004030201030000020305016a3798f5b64dc039",
        {"dev_addr": "01020304", "nwk": ONE, "app": ONE},
        {
            "mic": "good",
            "mac": [
                {"command": "LinkCheckReq"},
                {
                    "command": "LinkADRAns",
                    "channel_mask_ack": True,
                    "data_rate_ack": False,
                    "power_ack": True,
                },
            ],
        },
    ),
    (
        "40040302010000000069369eee6aa508",
        {"dev_addr": "01020304", "nwk": ONE, "app": ONE},
        {"mic": "good", "fport": 0, "payload": "020305"},
    ),
    (
        "00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913",
        {"app_key": "B6B53F4A168A7A88BDF7EA135CE9CFCA", "dev_eui": "00afee7cf5ed6f1e"},
        {"mic": "good", "mtype": "join_request", "dev_eui": "00afee7cf5ed6f1e"},
    ),
]


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_published(tmp_path: Path, name: str) -> None:
    for n, (text, key, told) in enumerate(PUBLISHED):
        devices, sessions = [], []
        if "app_key" in key:
            devices = [Device("", bytes.fromhex(key["dev_eui"]), b"", bytes.fromhex(key["app_key"]))]
        else:
            addr, nwk, app = int(key["dev_addr"], 16), bytes.fromhex(key["nwk"]), bytes.fromhex(key["app"])
            sessions = [Session(addr, nwk, app)]
        (tmp_path / f"{n}.json").unlink(missing_ok=True)
        Keys(devices, sessions).dump(tmp_path / f"{n}.json")
        frame = bytes.fromhex(text)
        [row], notes = rows(tmp_path / "x", FORMATS[name]([(frame, heard(n))]), [tmp_path / f"{n}.json"])
        assert notes == [] and row.received_at == heard(n)["time_us"]
        assert {k: row.lorawan.get(k) for k in told} == told, (name, text)
        assert (row.state, row.reason) == ("unverified", "network_only")
        assert json.dumps(dict(row.lorawan))
