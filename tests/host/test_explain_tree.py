"""A frame taken apart: every byte once, at its offset; what is wrong is marked where it is; values as of cbor2."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import cbor2
import pytest

from firmware.protocols import cose, ports
from firmware.protocols.cbor import WireError
from host_tools import output, verdict
from host_tools.explain import envelope, explain, receptions
from host_tools.explain.cbor import Walk
from host_tools.explain.text import lines
from host_tools.explain.tree import Explained, Node, Part
from host_tools.formats import Source
from host_tools.frames import Frame, Network, Radio, Record
from host_tools.lorawan.keysfile import Device as LorawanDevice
from host_tools.lorawan.keysfile import Keys
from host_tools.receiver import Receiver
from host_tools.rows import Row
from provisioning.keyring import load_keyrings
from tests.formats import wrap_gwmp, wrap_pcap
from tests.host import lorawan_bench as bench
from tests.host.synth import Device, det, keyring


def told(
    tmp_path: Path, frames: Sequence[Frame], *devices: Device, keys: Keys | None = None
) -> list[tuple[Row, Explained]]:
    rings = load_keyrings([keyring(tmp_path / "k.json", *devices)]) if devices else []
    receiver = Receiver(rings, lorawan=keys)
    receiver.add_all(frames)
    made = [Record(b"", (frame,)) for frame in frames]
    return [(row, explain(receiver, row, receptions(made, row))) for row in receiver.rows()]


def nodes(part: Part) -> Iterator[Node]:
    for top in part.nodes:
        yield from top.walk()


def check(found: Explained) -> None:
    """Every byte of every part once, in the order of the tree; children inside their parents."""
    for part in found.parts:
        at = 0
        for node in nodes(part):
            assert node.at == at, (part.key, node.name)
            at += node.own
            for child in node.children:
                assert node.at <= child.at, (part.key, child.name)
                assert child.at + child.size <= node.at + node.size, (part.key, node.name, child.name)
        assert at == len(part.data), part.key


def named(found: Explained, part: str, name: str) -> Node:
    return next(n for p in found.parts if p.key == part for n in nodes(p) if n.name == name)


def frames_of(*raw: bytes) -> list[Frame]:
    return [Frame(data, 1_769_630_400_000_000 + n * 1_000_000) for n, data in enumerate(raw)]


@pytest.mark.parametrize("profile", ["mac0", "encrypt0", "sign1"])
@pytest.mark.parametrize("kind", ["lamp", "bin", "leak"])
def test_each_profile_byte_by_byte(profile: str, kind: str, tmp_path: Path) -> None:
    device = Device(profile, 3, kind=kind)
    sent = [device.hello(), *device.run(4, every=3), *device.fragments()]
    for row, found in told(tmp_path, frames_of(*sent), device):
        check(found)
        assert row.state == "signed"
        assert not any(n.error for p in found.parts for n in nodes(p))
        [covered] = [p for p in found.parts if p.key == "covered"]
        # What the tag covers, against the text of the specification as tests/host/synth.py has it.
        assert row.purpose is not None and row.seq is not None
        structure = {1: "sign1"}.get(row.purpose, profile)
        aad = device.aad(row.purpose, row.seq, structure)
        whole = cbor2.loads(covered.data)
        assert whole[0] == {"mac0": "MAC0", "encrypt0": "Encrypt0", "sign1": "Signature1"}[structure]
        assert whole[1:3] == [b"", aad]
        values = [n.value for n in named(found, "covered", "external_aad").children[0].children]
        assert values[0] == 1 and values[3] == row.purpose and values[-3:] == [1, 0, row.seq]
        if row.type == "fragment":
            assert sum(p.key == "joined" for p in found.parts) == 1


def test_values_units_and_ranges(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    payload = det([3, {0: 2_400_060, 2: 3301, 3: 3, 5: 1234, 8: -55, 10: [100, 5, -7]}])
    [(_, found)] = told(tmp_path, frames_of(device.send(payload)), device)
    check(found)
    assert named(found, "frame", "temperature_degc").value == "-5.5"
    assert named(found, "frame", "temperature_degc").text == "-5.5 degC  [-40.0..125.0]"
    assert named(found, "frame", "supply_v").value == "3.301"
    assert [c.text for c in named(found, "frame", "distances_m").children] == ["0.100", "0.105", "0.098"]
    # Bits 0 and 1 of a bin's alarms.
    assert len(named(found, "frame", "alarms").value) == 2
    at = len(device.link(10, 1, b""))
    body = found.parts[0].data[at:]
    time = named(found, "frame", "time_s")
    assert found.parts[0].data[time.at : time.at + time.size] == b"\x00" + det(2_400_060)
    assert cbor2.loads(body)[2] == payload


SMALL = [
    (b"\xe0", "truncated", 1),
    (b"\xe0\x0a\x77\x00\x01\x00", "truncated", 6),
    (b"\xe0\x09\x77\x00\x01\x00\x01abc", "wrong_port", 1),
    (b"\xe0\x0a\x77\x00\x01\x00\x01", "truncated", 7),
    (b"\xe0\x0a\x77\x00\x01\x00\x01\x83\x40\xa1\x06\x43abc\x41x", "tag_length", 15),
    (b"\xe0\x0a\x77\x00\x01\x00\x01\x84\x40\xa1\x06\x42ab\x41x\x48abcdefgh", "bad_header", 10),
    (b"\xe0\x0a\x77\x00\x01\x00\x01\x84\x40\xa2\x01\x04\x06\x43abc\x41x\x48abcdefgh", "explicit_alg", 10),
    (b"\xe0\x0a\x77\x00\x01\x00\x01\x84\x40\xa1\x06\x43\0\0\x02\x41x\x48abcdefgh", "link_number", 5),
    (b"\xe0\x0a\x77\x00\x01\x00\x01\x84\x40\xa1\x06\x43\0\0\x01\x05\x48abcdefgh", "not_cose", 15),
    (b"\xe0\x0a\x77\x00\x01\x00\x01\x84\x40\xa1\x06\x43\0\0\x01\x58\x01x\x48abcdefgh", "not_canonical", 15),
    (b"\xe0\x0a\x77\x00\x01\x00\x01\xc1\x40", "tag_not_allowed", 7),
    (b"\xe0\x0a\x77\x00\x01\x00\x01\x84\x40\xa1\x06\x43\0\0\x01\x41x\x48abcdefgh!", "trailing", 26),
    (b"", "not_link", 0),
    (b"\xff\x00", "not_link", 0),
    (b"\x40\x01\x02", "truncated", 3),
    (b"\x40" + bytes(4) + b"\x0f" + bytes(7), "fopts_length", 5),
    (b"\x40" + bytes(4) + b"\x01" + bytes(2) + b"\x02\x00" + bytes(4), "fopts_port0", 9),
    (b"\x00" + bytes(25), "lorawan_length", 23),
    (b"\x20" + bytes(17), "lorawan_length", 0),
    (b"\xc0\x07" + bytes(20), "rejoin_type", 1),
]


@pytest.mark.parametrize(
    ("data", "reason", "at"), SMALL, ids=lambda v: v.hex() if isinstance(v, bytes) else str(v)
)
def test_the_byte_that_fails_is_marked(data: bytes, reason: str, at: int, tmp_path: Path) -> None:
    [(row, found)] = told(tmp_path, frames_of(data))
    check(found)
    assert row.reason == reason
    marked = [n for p in found.parts for n in nodes(p) if n.error]
    assert [(n.error, n.at) for n in marked] == [(reason, at)]
    assert sum(line.startswith("!") for line in lines(found)) >= 1


WRONG = [
    (det([9, {}]), "unknown_type", "type"),
    (det([3, {19: 1}]), "unknown_key", "key 19"),
    (det([3, {4: 101}]), "out_of_range", "fill_percent"),
    (det([3, {0: 1, 1: 2}]), "time_twice", "time_unconfirmed_s"),
    (det([3, {4: b"x"}]), "wrong_shape", "fill_percent"),
    (det([3, {10: [1, -2]}]), "out_of_range", "distances_m"),
    (det([4, {4: 1, 23: b"\x01" * 16}]), "bad_pad", "pad"),
    (det([3, {4: True}]), "wrong_shape", "fill_percent"),
]


@pytest.mark.parametrize(("payload", "reason", "name"), WRONG)
def test_what_the_schema_refuses_is_marked(payload: bytes, reason: str, name: str, tmp_path: Path) -> None:
    device = Device("mac0", 2)
    [(row, found)] = told(tmp_path, frames_of(device.send(payload)), device)
    check(found)
    assert (row.state, row.reason) == ("rejected", reason)
    marked = [n for p in found.parts for n in nodes(p) if n.error and p.key == "frame"]
    assert [(n.error, n.name) for n in marked] == [(reason, name)]


def test_mutated_frames_fail_in_the_tree_as_in_the_parser(tmp_path: Path) -> None:
    """Another reader of the same bytes: the same reason for each, and a mark."""
    draw = random.Random(4)
    device = Device("mac0", 2)
    good = [device.cose(0, 1, device.reading(1)), device.cose(0, 2, device.reading(2), "sign1")]
    seen = set()
    for _ in range(2500):
        data = bytearray(draw.choice(good))
        for _ in range(draw.choice((1, 1, 1, 2, 5))):
            at = draw.randrange(min(len(data), draw.choice((8, 40))))
            match draw.randrange(3):
                case 0:
                    data[at] = draw.randrange(256)
                case 1:
                    del data[at:]
                    data += draw.randbytes(draw.randrange(4))
                case _:
                    data[at:at] = draw.randbytes(1)
            if not data:
                break
        raw = bytes(data)
        try:
            cose.parse(raw)
            expected = ""
        except WireError as e:
            expected = str(e.args[0])
        root = Node("body", 0, len(raw), own=0)
        assert envelope.envelope(root, raw, 0, len(raw), ports.READING) == expected
        part = Part("x", "x", raw, [root])
        check(Explained([part], []))
        errors = [n.error for n in nodes(part) if n.error]
        inner = verdict.read(ports.READING, cose.parse(raw)[3]).reason if not expected else ""
        assert (
            errors == [expected or inner]
            or (not errors and not expected and not inner)
            or (not expected and cose.parse(raw)[0] == cose.ENCRYPT0 and not errors)
        ), raw.hex()
        seen.add(expected)
    assert len(seen) > 12, seen


def test_random_bytes_fail_as_in_the_reader() -> None:
    from firmware.protocols.cbor import decode

    draw = random.Random(5)
    for _ in range(2500):
        raw = draw.randbytes(draw.randrange(1, 12))
        walk = Walk(raw, len(raw), 3, 20)
        root = Node("root", 0, len(raw), own=0)
        top = walk.run(root, 0)
        try:
            value = decode(raw, 0, None, 3, 20)
        except WireError as e:
            assert walk.reason == e.args[0], raw.hex()
            continue
        assert walk.reason == ""
        assert top is not None and walk.values[id(top)] == value == cbor2.loads(raw)


def keys_of(node: bench.Node) -> Keys:
    return Keys(devices=(LorawanDevice("bin-7", node.dev_eui, node.join_eui, node.app_key),))


def test_lorawan_layers(tmp_path: Path) -> None:
    node = bench.Node(7)
    device = Device("mac0", 2, device=node.dev_eui)
    sent = [node.ask(), node.answer(0x26011234)]
    body = device.cose(0, 1, device.reading(1))
    node.up = 0x1FFFE
    sent += [
        node.send(body, 10, b"\x03\x07\x02"),
        node.send(b"\x06\xff\x10", 0),
        node.order(b"abc", 12, b"\x06"),
    ]
    sent.append(sent[2][:-1] + bytes((sent[2][-1] ^ 1,)))
    found = told(tmp_path, frames_of(*sent), device, keys=keys_of(node))
    by: dict[tuple[str, Any], Explained] = {}
    for row, one in found:
        check(one)
        by[str(row.lorawan["mtype"]), row.lorawan.get("fcnt")] = one
    reading = by["unconfirmed_up", 0x1FFFE]
    assert "131070" in named(reading, "frame", "FCnt").text
    assert [n.name for n in named(reading, "frame", "FOpts").children] == ["LinkADRAns", "LinkCheckReq"]
    assert named(reading, "frm_payload", "fill_percent").value == 1
    assert cbor2.loads(next(p.data for p in reading.parts if p.key == "frm_payload")) == cbor2.loads(body)
    commands = by["unconfirmed_up", 0x1FFFF]
    assert named(commands, "frm_payload", "DevStatusAns").value == {"battery": None, "snr_db": 16}
    accept = by["join_accept", None]
    assert named(accept, "join_accept", "DevAddr").value == "26011234"
    assert named(by["join_request", None], "frame", "DevEUI").value == node.dev_eui.hex()
    forged = by["unconfirmed_up", None]
    assert named(forged, "frame", "MIC").error == "bad_mic"
    text = "\n".join(lines(reading))
    assert f"DevEUI {node.dev_eui.hex()} (bin-7), counter 131070, MIC good" in " ".join(text.split())
    # A key never shows.
    for key in (node.app_key, node.nwk, node.app, device.key("mac-up"), device.key("leaf")):
        assert key.hex() not in text and key.hex(" ") not in json.dumps(reading.as_dict())


def test_what_a_network_server_told_and_what_is_no_frame(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    body = device.cose(0, 1, device.reading(1))
    frames = [
        Frame(
            body,
            1_769_630_400_000_000,
            Radio(868100000, 7),
            network=Network(device.device, 0x01020304, 9, 10),
        ),
        Frame(b"\x00\x00\x00", 1_769_630_400_000_000, reason="truncated"),
    ]
    found = {row.reason: one for row, one in told(tmp_path, frames, device)}
    for one in found.values():
        check(one)
    server = found[""]
    assert [p.key for p in server.parts] == ["frm_payload", "covered"]
    assert named(server, "frm_payload", "distance_m").value == "0.001"
    assert "told by a network server" in "\n".join(lines(server, 120))
    cut = found["truncated"]
    assert [p.key for p in cut.parts] == ["record"]
    assert [(n.at, n.error) for n in nodes(cut.parts[0]) if n.error] == [(3, "truncated")]


def test_a_conflict_is_told_and_marked(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    sent = device.run(2, every=2)
    forged = device.seal(0, 1, device.reading(9))  # by somebody who holds the MAC key
    found = told(tmp_path, frames_of(*sent, forged), device)
    [other] = [one for row, one in found if row.reason == "conflict"]
    assert named(other, "frame", "Partial IV").error == "conflict"
    assert "number 1 also has 1 other content" in "\n".join(lines(other))


def test_tried_and_covered(tmp_path: Path) -> None:
    device = Device("mac0", 2, name="bin-2")
    other = Device("mac0", 2, name="twin", device=bytes(8))
    sent = device.run(2, every=2)
    late = device.send()
    forged = sent[0][:-1] + bytes((sent[0][-1] ^ 1,))
    rows = told(tmp_path, frames_of(*sent, late, forged), device, other)
    facts = {(row.seq, row.state): {f.key: f for f in one.facts} for row, one in rows}
    assert facts[1, "signed"]["covered_by"].value == 3
    assert "counts 2 frames since the head of 0; vouches for 1-2" in facts[3, "signed"]["segment"].text
    assert facts[4, "authenticated"]["covered_by"].text == "no checkpoint that was received"
    tried = facts[None, "rejected"]["tried"].value
    assert tried == [
        "twin epoch 1: mac0, key mac-up, numbers 1, 16777217: none fits",
        "bin-2 epoch 1: mac0, key mac-up, numbers 1, 16777217: none fits",
    ]


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("kind", ["pcap", "pcapng", "gwmp"])
def test_the_radio_header_of_each_capture_format(version: int, kind: str, tmp_path: Path) -> None:
    frame = Device("mac0", 2).send()
    record = (1_769_630_400_000_000_000, wrap_pcap.loratap(frame, version=version, freq_hz=868300000, sf=12))
    path = tmp_path / "c"
    if kind == "gwmp":
        path.write_bytes(
            wrap_gwmp.wrap(
                frame, time_us=0, freq_hz=868300000, sf=12, bw_hz=125000, rssi_qdbm=-280, snr_qdb=20
            )
        )
    else:
        path.write_bytes(getattr(wrap_pcap, kind)([record]))
    receiver = Receiver([])
    receiver.add_all(f for r in Source(path) for f in r.frames)
    [row] = receiver.rows()
    found = explain(receiver, row, receptions(Source(path), row))
    check(found)
    head = 0 if kind == "gwmp" else 35 if version else 15
    assert named(found, "frame", "link frame").at == head
    assert not head or named(found, "frame", "frequency").value == 868300000
    assert "868.300000 MHz  SF12/125" in "\n".join(lines(found))


def test_many_receptions_are_counted(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frame = device.send()
    [(row, found)] = told(tmp_path, [Frame(frame, n) for n in range(1, 100)], device)
    assert row.receptions == 99
    assert [f.text for f in found.facts if f.key == "received_more"] == ["and 79 times more"]


def test_every_refused_frame_has_one_mark(tmp_path: Path) -> None:
    draw = random.Random(6)
    node = bench.Node(7)
    one, two = Device("mac0", 2, device=node.dev_eui), Device("encrypt0", 3)
    sent = [node.ask(), node.answer(0x26011234)]
    sent += [node.send(one.cose(0, 1, one.reading(1)), 10, b"\x03\x07"), node.send(b"\x02\x06\xff", 0)]
    sent += [*one.run(3, every=3), *two.run(3), *two.fragments(), node.order(b"abc", 12)]
    mutated = []
    for _ in range(300):
        data = bytearray(draw.choice(sent))
        at = draw.randrange(len(data))
        match draw.randrange(4):
            case 0:
                del data[at:]
            case 1:
                data[at] ^= 1 << draw.randrange(8)
            case 2:
                data[draw.randrange(min(len(data), 26))] = draw.randrange(256)
            case _:
                data[at:at] = draw.randbytes(draw.choice((1, 3, 300)))
        mutated.append(bytes(data))
    told_frames = [Frame(data[7:], 1, network=Network(one.device, 1, 1, 10)) for data in mutated[:60]]
    frames = [*frames_of(*sent, *mutated), *told_frames]
    rows = told(tmp_path, frames, one, two, keys=keys_of(node))
    for row, found in rows:
        check(found)
        marks = [n.error for p in found.parts for n in nodes(p) if n.error]
        if row.state == "rejected":
            assert marks == [row.reason], (row.reason, row.frame)
        else:
            assert marks in ([], [row.reason])
    assert len({row.reason for row, _ in rows}) > 12


def test_french_and_narrow(tmp_path: Path) -> None:
    device = Device("encrypt0", 2)
    [(_, found)] = told(tmp_path, frames_of(device.send()), device)
    for width in (64, 80, 120, 200):
        assert all(len(line) <= width for line in lines(found, width)), width
    output.set_language("fr")
    try:
        [(_, found)] = told(tmp_path, frames_of(device.send()), device)
        text = "\n".join(lines(found))
    finally:
        output.set_language("en")
    assert "contenu, déchiffré" in text and "numéros" in text and "couvert par" in text
    assert "decrypted" not in text and "numbers" not in text


def test_as_data_decimals_stay_exact(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    [(row, found)] = told(tmp_path, frames_of(device.send()), device)
    data = json.loads(json.dumps(found.as_dict()))
    assert Decimal(data["facts"]["value distance_m"]) == row.values["distance_m"]
    assert bytes.fromhex(data["parts"][0]["hex"]) == found.parts[0].data
