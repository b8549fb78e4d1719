"""Offsets and values of an explained frame against tshark's own dissectors of LoRaTap and LoRaWAN."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from host_tools.explain import explain, receptions
from host_tools.explain.tree import Node
from host_tools.formats import Source
from host_tools.lorawan.keysfile import Device as LorawanDevice
from host_tools.lorawan.keysfile import Keys
from host_tools.receiver import Receiver
from tests.conftest import peer
from tests.host import lorawan_bench as bench
from tests.host.synth import capture

# Our name, tshark's field, and how its text becomes our value.
FIELDS = {
    "length": ("loratap.header_length", int),
    "frequency": ("loratap.channel.frequency", int),
    "spreading factor": ("loratap.channel.sf", None),
    "packet RSSI": ("loratap.rssi.packet", None),
    "SNR": ("loratap.rssi.snr", lambda text: int(text) / 4),
    "sync word": ("loratap.syncword", lambda text: int(text, 16)),
    "MHDR": ("lorawan.mhdr", None),
    "FHDR": ("lorawan.fhdr", None),
    "DevAddr": ("lorawan.fhdr.devaddr", lambda text: f"{int(text, 16):08x}"),
    "FCtrl": ("lorawan.fhdr.fctrl", lambda text: int(text, 16)),
    "FCnt": ("lorawan.fhdr.fcnt", int),
    "FPort": ("lorawan.fport", lambda text: int(text, 16)),
    "FRMPayload": ("lorawan.frmpayload", None),
    "FOpts": ("lorawan.mac_commands", None),
    "MIC": ("lorawan.mic", None),
    "JoinEUI": ("lorawan.join_request.appeui", lambda text: text.replace(":", "")),
    "DevEUI": ("lorawan.join_request.deveui", lambda text: text.replace(":", "")),
    "DevNonce": ("lorawan.join_request.devnonce", None),
}


def fields(pairs: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """tshark's nested JSON, flat; a name may come twice, which a dict would hide."""
    for name, value in pairs:
        yield name, value
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            yield from fields(value)


def dissected(path: Path) -> list[dict[str, Any]]:
    command = [peer("tshark"), "-r", str(path), "-T", "json", "-x"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    packets = json.loads(done.stdout, object_pairs_hook=lambda pairs: pairs)
    return [dict(fields(dict(dict(packet)["_source"])["layers"])) for packet in packets]


def test_offsets_and_values_are_those_of_tshark(tmp_path: Path) -> None:
    node = bench.Node(7)
    sent = [
        node.ask(),
        node.answer(0x26011234),
        node.send(bytes(20), 10, b"\x03\x07\x02"),
        node.send(b"\x02", 0),
    ]
    sent += [node.order(b"abc", 12, b"\x06"), node.send(b"", None, bits=15)]
    path = capture(tmp_path / "l.pcap", sent)
    keys = Keys(devices=(LorawanDevice("x", node.dev_eui, node.join_eui, node.app_key),))
    receiver = Receiver([], lorawan=keys)
    receiver.add_all(frame for record in Source(path) for frame in record.frames)
    rows = sorted(receiver.rows(), key=lambda row: row.received_at)
    compared = set()
    for row, theirs in zip(rows, dissected(path), strict=True):
        found = explain(receiver, row, receptions(Source(path), row))
        assert found.parts[0].data.hex() == theirs["frame_raw"][0]
        ours: dict[str, Node] = {}
        for top in found.parts[0].nodes:
            for one in top.walk():
                ours.setdefault(one.name, one)
        for name, (field, convert) in FIELDS.items():
            if name not in ours or field + "_raw" not in theirs:
                # tshark 4.0 knows a payload of port 0 by another name, and no MIC where there is no port.
                assert name not in ours or name == "FRMPayload" or (name == "MIC" and "FPort" not in ours), (
                    name
                )
                continue
            raw, at, size = theirs[field + "_raw"][:3]
            assert (ours[name].at, ours[name].size) == (at, size), name
            assert found.parts[0].data[at : at + size].hex() == raw
            if convert is not None:
                assert ours[name].value == convert(theirs[field]), name
            compared.add(name)
    assert compared == set(FIELDS)
