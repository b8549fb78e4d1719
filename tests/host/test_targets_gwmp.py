"""A replay into GWMP, against a server that is made here from the protocol's text (PROTOCOL.TXT v1.4)."""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tools import capture, replay, targets
from host_tools.errors import PeerError
from host_tools.faults import Fault, Faults, Item
from host_tools.faults.line import Answers
from host_tools.formats.pcapng import PcapngWriter
from host_tools.frames import Frame, Network, Radio
from tests.host import synth
from tests.host.synth import Device

RADIO = Radio(868_300_000, 9, 125_000, -90 * 4, 5 * 4)


class Server:
    """Acknowledges; `mute` names pushes, counted from 1, that are not; `downlinks` those that get a PULL_RESP."""

    def __init__(self, mute: frozenset[int] = frozenset(), downlinks: frozenset[int] = frozenset()) -> None:
        self.mute, self.downlinks = mute, downlinks
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.pushed: list[tuple[bytes, dict[str, Any]]] = []
        self.raw: list[bytes] = []
        self.tx_acks: list[tuple[int, bytes, Any]] = []
        self.pulls: dict[bytes, Any] = {}
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            data, peer = self.socket.recvfrom(65536)
            if data == b"stop":
                return
            version, token, kind = struct.unpack(">BHB", data[:4])
            assert version == 2
            if kind == 0:
                self.raw.append(data)
                self.pushed.append((data[4:12], json.loads(data[12:])))
                count = len(self.pushed)
                if count not in self.mute:
                    self.socket.sendto(struct.pack(">BHB", 2, token, 1), peer)
                if count in self.downlinks:
                    body = {"txpk": {"imme": False, "tmst": 1, "freq": 868.1, "size": 1, "data": "AA"}}
                    pull = struct.pack(">BHB", 2, 0x4000 + count, 3) + json.dumps(body).encode()
                    self.socket.sendto(b"\x02", self.pulls[data[4:12]])
                    self.socket.sendto(pull, self.pulls[data[4:12]])
            elif kind == 2:
                assert len(data) == 12
                self.pulls[data[4:12]] = peer
                self.socket.sendto(struct.pack(">BHB", 2, token, 4), peer)
            elif kind == 5:
                self.tx_acks.append((token, data[4:12], json.loads(data[12:])))

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"stop", ("127.0.0.1", self.port))
        self.thread.join(2)
        self.socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return synth.capture(tmp_path / "in.pcap", Device("mac0", 2).run(30))


def play(
    source: Path, server: Server, faults: Faults | None = None, **more: Any
) -> tuple[replay.Report, targets.Target]:
    options = targets.Options(answers=Answers(faults, 1), **more)
    target = targets.make(f"udp://127.0.0.1:{server.port}", options)
    return replay.play(source, target, faults, speed=0, settle_s=0.3), target


def sent(server: Server) -> list[bytes]:
    return [base64.b64decode(p["rxpk"][0]["data"]) for _, p in server.pushed]


def test_every_frame_arrives_and_is_acknowledged(server: Server, night: Path) -> None:
    report, _ = play(night, server, gateway=bytes.fromhex("0102030405060708"))
    assert report.error is None and report.receiver is not None
    assert sent(server) == [f.data for f in capture.read(night)]
    assert {eui for eui, _ in server.pushed} == {bytes.fromhex("0102030405060708")}
    assert report.receiver["acknowledged"] == report.records == len(server.pushed)
    assert report.receiver["unacknowledged"] == 0 and report.receiver["pull_ack"] >= 1
    first = server.pushed[0][1]["rxpk"][0]
    assert first["stat"] == 1 and first["modu"] == "LORA" and first["size"] == len(sent(server)[0])
    # A server answers by this counter, so it is never missing.
    assert all(type(p["rxpk"][0]["tmst"]) is int for _, p in server.pushed)


def test_the_same_seed_sends_the_same_bytes(night: Path) -> None:
    wanted = Faults((Fault("bit_flip", rate=0.2), Fault("duplicate", rate=0.2, gateway=bytes(range(8)))))
    runs = []
    for _ in range(2):
        server = Server()
        play(night, server, wanted)
        server.stop()
        runs.append(server.raw)
    assert runs[0] == runs[1]
    assert {raw[4:12] for raw in runs[0]} == {bytes(range(8)), targets.DEFAULT_GATEWAY}


def test_what_is_not_acknowledged_is_told_by_number(night: Path) -> None:
    server = Server(mute=frozenset((3, 8)))
    report, target = play(night, server)
    server.stop()
    assert report.error is None and report.receiver is not None
    assert report.receiver["unacknowledged"] == 2
    states = {number: state for number, state, _ in target.ledger.frames()}
    assert [n for n, s in states.items() if s != "acknowledged"] == [3, 8]


def test_acknowledgements_that_stop_are_told(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from host_tools.targets import gwmp

    monkeypatch.setattr(gwmp, "OLD_S", 0.0)
    server = Server(mute=frozenset(range(3, 99)))
    told: list[str] = []
    report, _ = play(night, server, tell=told.append)
    server.stop()
    assert report.error is None
    assert len(told) in (1, 2) and all("did not acknowledge" in line for line in told)


def test_a_port_where_nobody_listens(night: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        told: list[str] = []
        target = targets.make(f"udp://127.0.0.1:{s.getsockname()[1]}", targets.Options(tell=told.append))
        target.ledger.wait = lambda done, seconds: bool(done())  # type: ignore[method-assign]
        report = replay.play(night, target, speed=0, settle_s=0.1)
    assert isinstance(report.error, PeerError) and "acknowledged none" in str(report.error)
    assert any("PULL_DATA" in line for line in told)
    # A long source is not read to its end for nobody.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        target = targets.make(f"udp://127.0.0.1:{s.getsockname()[1]}", targets.Options(patience_s=0.1))
        target.ledger.wait = lambda done, seconds: bool(done())  # type: ignore[method-assign]
        report = replay.play(night, target, speed=3600, settle_s=0.1, loops=0)
    assert isinstance(report.error, PeerError) and "acknowledged none" in str(report.error)


def test_each_gateway_has_its_own_line(server: Server, tmp_path: Path) -> None:
    frames = [Frame(bytes((0xE0, n)), 10**15 + n, RADIO, gateway=bytes((n % 3,)) * 8) for n in range(9)]
    write(tmp_path / "in.pcapng", frames)
    target = targets.make(f"udp://127.0.0.1:{server.port}", targets.Options())
    target.open()
    for number, frame in enumerate(frames, 1):
        target.send(number, frame)
    target.settle(1)
    target.close()
    assert [eui for eui, _ in server.pushed] == [f.gateway for f in frames]
    assert len(set(server.pulls.values())) == 4
    assert server.pushed[0][1]["rxpk"][0] | {"data": ""} == {
        "time": "2001-09-09T01:46:40.000000Z",
        "tmst": 10**15 & 0xFFFFFFFF,
        "freq": 868.3,
        "stat": 1,
        "modu": "LORA",
        "datr": "SF9BW125",
        "codr": "4/5",
        "rssi": -90,
        "lsnr": 5,
        "size": 2,
        "data": "",
    }


def write(path: Path, frames: list[Frame]) -> Path:
    with PcapngWriter(path) as writer:
        for frame in frames:
            writer.add(frame)
    return path


def test_downlinks_are_answered_as_the_faults_say(night: Path) -> None:
    server = Server(downlinks=frozenset((2, 4, 6, 8)))
    wanted = Faults(
        (
            Fault("tx_ack", at=frozenset((2,)), error="TOO_LATE"),
            Fault("tx_ack", at=frozenset((3,)), error="COLLISION_PACKET"),
            Fault("late_rx1", at=frozenset((1,)), ms=150),
        )
    )
    report, _ = play(night, server, wanted)
    server.stop()
    assert report.receiver is not None
    words = {token - 0x4000: body["txpk_ack"]["error"] for token, _, body in server.tx_acks}
    assert words == {2: "NONE", 4: "TOO_LATE", 6: "COLLISION_PACKET", 8: "NONE"}
    # The first downlink's answer came after the others'.
    assert [token - 0x4000 for token, _, _ in server.tx_acks][-1] == 2
    assert report.receiver["downlinks"] == {"COLLISION_PACKET": 1, "NONE": 2, "TOO_LATE": 1, "late": 1}
    assert report.receiver["unreadable"] == 4


def test_what_was_never_on_the_air_is_told_and_not_sent(server: Server) -> None:
    target = targets.make(f"udp://127.0.0.1:{server.port}", targets.Options())
    frames = [
        Frame(b"", 1),
        Frame(b"\xe0", 1, reason="truncated"),
        Frame(b"x", 1, network=Network()),
        Frame(b"\xe0", 1),
    ]
    target.open()
    report = replay.Report()
    items = [Item(f, n, f.time_us) for n, f in enumerate(frames, 1)]
    replay._send_all(items, target, report, replay._Pace(0, print), lambda n: None)
    target.settle(1)
    target.close()
    found = target.ledger.as_dict()
    assert found["unsent"] == {"broken_record": 1, "empty": 1, "no_phy_payload": 1}
    assert (found["sent"], report.records, len(server.pushed)) == (1, 1, 1)
