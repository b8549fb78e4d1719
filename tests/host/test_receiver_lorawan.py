"""Our messages inside LoRaWAN: the session opens the frame, the device's own keys decide, in whatever order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from host_tools.frames import Frame, Network
from host_tools.lorawan.keysfile import Device as Joining
from host_tools.lorawan.keysfile import Keys, Session
from host_tools.receiver import Receiver
from host_tools.rows import Row, to_json
from provisioning.keyring import Keyring
from tests.host.lorawan_bench import Node, frame
from tests.host.synth import Device, keyring


class Carried(Device):
    """A device whose frames travel in a LoRaWAN session of its own."""

    def __init__(self, profile: str, number: int, kind: str = "bin") -> None:
        super().__init__(profile, number, kind=kind)
        self.node = Node(number).personal(0x26000000 + number)
        self.node.dev_eui = self.device

    def link(self, port: int, number: int, body: bytes) -> bytes:
        return self.node.send(body, port)

    def session(self) -> Session:
        return Session(self.node.addr, self.node.nwk, self.node.app, self.device)

    def joining(self) -> Joining:
        return Joining("", self.device, self.node.join_eui, self.node.app_key)


def ring(folder: Path, *devices: Device) -> Keyring:
    (folder / "k.json").unlink(missing_ok=True)
    keyring(folder / "k.json", *devices)
    return Keyring.load(folder / "k.json")


def rows(frames: list[Frame], keys: Keyring, lorawan: Keys) -> list[Row]:
    receiver = Receiver([keys], lorawan=lorawan)
    receiver.add_all(frames)
    return receiver.rows()


@pytest.mark.parametrize("profile", ["mac0", "encrypt0", "sign1"])
def test_readings_and_checkpoints(tmp_path: Path, profile: str) -> None:
    device = Carried(profile, 5, "leak" if profile == "encrypt0" else "bin")
    sent = device.run(6, every=3)
    found = rows(
        [frame(d, n) for n, d in enumerate(sent)], ring(tmp_path, device), Keys([], [device.session()])
    )
    checkpoints = () if profile == "sign1" else (3, 7)
    assert [r.state for r in found] == ["signed"] * (6 + len(checkpoints))
    assert [(r.lorawan["fcnt"], r.lorawan["fport"], r.lorawan["mic"]) for r in found] == [
        (n, 11 if n in checkpoints else 10, "good") for n in range(len(found))
    ]
    assert {r.device for r in found} == {device.device.hex()}
    assert '"lorawan": {"mtype": "unconfirmed_up", "mic": "good", "dev_addr": "26000005"' in to_json(found[0])


def test_a_checkpoint_in_fragments(tmp_path: Path) -> None:
    device = Carried("mac0", 5)
    sent = [device.send() for _ in range(3)] + device.fragments()
    found = rows(
        [frame(d, n) for n, d in enumerate(sent)], ring(tmp_path, device), Keys([], [device.session()])
    )
    assert [r.type for r in found].count("fragment") >= 2 and {r.state for r in found} == {"signed"}


def test_any_order_says_the_same(tmp_path: Path) -> None:
    """A join that comes after its frames, counters beyond 16 bits, a checkpoint before what it covers."""
    device, other = Carried("mac0", 5), Carried("encrypt0", 6, "leak")
    request = device.node.ask()
    frames = [frame(request, 0), frame(device.node.answer(0x26011111), 6)]
    frames += [frame(d, 10 + n) for n, d in enumerate(device.run(4, every=2))]
    device.node.up = 70_000
    frames += [frame(d, 5000 + n) for n, d in enumerate([device.send(), device.checkpoint()])]
    frames += [frame(d, 100 + n) for n, d in enumerate(other.run(3, every=3))]
    frames += [frame(frames[4].data, 9000), frame(frames[3].data[:-1] + b"\0", 20)]
    keys, lorawan = ring(tmp_path, device, other), Keys([device.joining()], [other.session()])
    wanted = rows(frames, keys, lorawan)
    assert [r.state for r in wanted].count("signed") == 12 and wanted[0].reason == "bad_mic"
    assert [r.reason for r in wanted if r.lorawan["mtype"].startswith("join")] == ["network_only"] * 2
    assert max(r.lorawan.get("fcnt") or 0 for r in wanted) == 70_001
    chance = random.Random(1)
    for _ in range(12):
        chance.shuffle(frames)
        assert rows(frames, keys, lorawan) == wanted


def test_live_is_what_a_capture_says(tmp_path: Path) -> None:
    device = Carried("mac0", 5)
    frames = [frame(device.node.ask(), 0), frame(device.node.answer(0x26011111), 6)]
    frames += [frame(d, 10 + n) for n, d in enumerate(device.run(4, every=2))]
    keys, lorawan = ring(tmp_path, device), Keys([device.joining()])
    live = Receiver([keys], capped=True, lorawan=lorawan)
    states = [live.add(f).state for f in frames[::-1]]
    assert "unverified" in states, "before the join nobody can open them"
    assert live.rows() == rows(frames, keys, lorawan)
    assert [r.state for r in live.rows()].count("signed") == 6


def test_the_network_is_not_believed(tmp_path: Path) -> None:
    """What a network server opened is judged by the device's key; a wrong DevEUI fails there (TRUST 13)."""
    device, other = Device("mac0", 5), Device("mac0", 6)
    body = device.send()[7:]
    keys = ring(tmp_path, device, other)

    def told(eui: bytes, port: int = 10, payload: bytes = body) -> Row:
        [row] = rows([Frame(payload, 10, network=Network(eui, 1, 2, port))], keys, Keys())
        return row

    assert (told(device.device).state, told(device.device).seq) == ("authenticated", 1)
    assert told(device.device).lorawan["mic"] == "network"
    assert (told(other.device).state, told(other.device).reason) == ("rejected", "bad_tag")
    assert told(b"").reason == told(bytes(8)).reason == "unknown_device"
    assert told(device.device, 11).reason == "wrong_structure"
    assert told(device.device, 3).reason == "wrong_port"
    assert told(bytes(8), 3).reason == "network_only", "anybody's port"
    assert told(bytes(8), 10, b"theirs").reason == "network_only"
    assert told(device.device, 10, b"theirs").reason != "network_only", "ours says nothing else there"


def test_one_message_over_two_carriers_is_one_row(tmp_path: Path) -> None:
    device = Carried("mac0", 5)
    carried = device.send()
    body = device.cose(0, 1, device.reading(1))
    link = Device.link(device, 10, 1, body)
    told = Frame(body, 30, network=Network(device.device, device.node.addr, 0, 10))
    [row] = rows(
        [frame(carried, 1), frame(link, 2), told], ring(tmp_path, device), Keys([], [device.session()])
    )
    assert row.receptions == 3 and row.state == "authenticated"


def test_without_keys_of_the_session(tmp_path: Path) -> None:
    device = Carried("mac0", 5)
    sent = device.send()
    [row] = rows([frame(sent)], ring(tmp_path, device), Keys())
    assert (row.state, row.reason, row.lorawan["dev_addr"]) == ("unverified", "no_session", "26000005")
    half = Session(device.node.addr, device.node.nwk, b"", device.device)
    [row] = rows([frame(sent)], ring(tmp_path, device), Keys([], [half]))
    assert (row.reason, row.lorawan["mic"]) == ("no_session", "good"), "the payload has a key of its own"
    nobody = Session(device.node.addr, device.node.nwk, device.node.app)
    [row] = rows([frame(sent)], ring(tmp_path, device), Keys([], [nobody]))
    assert row.reason == "unknown_device", "no DevEUI, no candidate"


def test_frames_of_the_network_itself(tmp_path: Path) -> None:
    device = Carried("mac0", 5)
    keys, lorawan = ring(tmp_path, device), Keys([], [device.session()])
    commands, port0 = device.node.send(b"", None, fopts=b"\x02"), device.node.send(b"\x02", 0)
    for data in (commands, port0):
        [row] = rows([frame(data)], keys, lorawan)
        assert (row.state, row.reason) == ("unverified", "network_only")
        assert row.lorawan["mac"] == [{"command": "LinkCheckReq"}] and row.device == device.device.hex()
