"""The gateway's peer: what it keeps, stores and answers; nothing malformed stops it, no kill loses a row."""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cbor2
import pytest

from firmware.protocols.opener import Opener
from host_tools import decode, rows
from host_tools.commander import Commander
from host_tools.errors import PeerError, StoreError
from host_tools.intake import Intake, IntakeServer, LiveNotes
from host_tools.store import Store
from host_tools.verdict import Content, Verified
from provisioning.keyring import Keyring
from provisioning.tenant import Tenant
from tests.host import synth
from tests.host.synth import Device

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = b"gateway1"
WIRE_START_MS = synth.START_US // 1000 - 1767225600000


def record(
    number: int, frame: bytes, boot: int = 1, time_ms: int | None = None, gateway: bytes = GATEWAY
) -> bytes:
    """A gateway record, made without the code under test; one second after another."""
    at = WIRE_START_MS + 1000 * number if time_ms is None else time_ms
    fields = [1, gateway, boot, number, at, 1, 1000 * number, 869525000, 9, 125000, -80, 20, frame]
    return cbor2.dumps(fields)


def answer(data: bytes) -> tuple[int, list[Any]]:
    kind, number, downlinks = cbor2.loads(data)
    assert kind == 2
    return number, downlinks


@pytest.fixture
def site(tmp_path: Path) -> tuple[Keyring, list[Device]]:
    devices = [Device("sign1", 1, kind="lamp"), Device("mac0", 2), Device("encrypt0", 3, kind="leak")]
    return Keyring.load(synth.keyring(tmp_path / "keys.json", *devices)), devices


def lines(found: list[rows.Row]) -> list[str]:
    return [rows.to_json(r) for r in found]


def test_capture_store_and_receiver_agree(tmp_path: Path, site: tuple[Keyring, list[Device]]) -> None:
    ring, devices = site
    seen: list[str] = []
    intake = Intake([ring], tmp_path / "c.pcap", tmp_path / "s.db", on_row=lambda r: seen.append(r.frame))
    frames = [f for d in devices for f in [d.hello(), *d.run(20)]]
    for n, frame in enumerate(frames, 1):
        assert answer(intake.handle(record(n, frame))) == (n, [])
    live = intake.rows()
    intake.close()
    assert len(seen) == len(frames) == len(live)
    offline = decode.decode([tmp_path / "c.pcap"], [tmp_path / "keys.json"])
    assert lines(live) == lines(offline.rows)
    with Store(tmp_path / "s.db") as store:
        assert lines(store.rows([ring])) == lines(live)
        assert [s[-1] for s in store.states()] == [r.state for r in live]


def test_a_record_counts_once(tmp_path: Path, site: tuple[Keyring, list[Device]]) -> None:
    ring, devices = site
    frame = devices[1].send()
    intake = Intake([ring], tmp_path / "c.pcap", tmp_path / "s.db")
    for _ in range(3):
        intake.handle(record(1, frame))
    intake.close()
    assert intake.repeated == 2
    # Nor after a restart; and another gateway's reception of the same frame is one more reception of one row.
    again = Intake([ring], tmp_path / "c.pcap", tmp_path / "s.db", append=True)
    again.handle(record(1, frame))
    again.handle(record(1, frame, gateway=b"gateway2"))
    [row] = again.rows()
    again.close()
    assert (again.repeated, row.receptions) == (1, 2)
    assert len(decode.decode([tmp_path / "c.pcap"], [tmp_path / "keys.json"]).rows) == 1


def test_a_record_counts_once_without_a_store(tmp_path: Path, site: tuple[Keyring, list[Device]]) -> None:
    ring, devices = site
    frame = devices[1].send()
    intake = Intake([ring], tmp_path / "c.pcap")
    for _ in range(3):
        intake.handle(record(1, frame))
    assert [r.receptions for r in intake.rows()] == [1]
    intake.close()


def test_what_the_cap_held_back_comes_later(tmp_path: Path, site: tuple[Keyring, list[Device]]) -> None:
    ring, devices = site
    forger = Device("mac0", 2, tenant=bytes.fromhex("ff99999999999977"))
    now = [synth.START_US]
    intake = Intake([ring], tmp_path / "c.pcap", tmp_path / "s.db", clock_us=lambda: now[0])
    for n in range(1, 32):
        intake.handle(record(n, forger.send()))
    true = devices[1].send()
    intake.handle(record(32, true))
    assert sum(r.reason == "rate" for r in intake.rows()) == 2
    now[0] += 600 * 10**6
    intake.handle(record(33, devices[2].send()))
    with Store(tmp_path / "s.db", readonly=True) as store:
        assert [s[2:] for s in store.states()] == [(1, "bin", "authenticated"), (1, "leak", "authenticated")]
    intake.close()


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xff",
        b"\x8d\x01",
        cbor2.dumps([1, GATEWAY, 1, 7]),
        cbor2.dumps([1, GATEWAY, 1, 7, 0, 1, 0, 869525000, 9, 125000, -80, 20, b""]),
        cbor2.dumps([1, GATEWAY, 1, 7, 0, 1, 0, 869525000, 99, 125000, -80, 20, b"x"]),
        cbor2.dumps([2, GATEWAY, 1, 7, 0, 1, 0, 869525000, 9, 125000, -80, 20, b"x"]),
        cbor2.dumps([1, GATEWAY, 1, 7, 0, 1, 0, 869525000, 9, 125000, -80, 2.5, b"x"]),
        b"\x9b" + b"\xff" * 8,
        b"\x81" * 60000,
    ],
)
def test_a_malformed_record_is_set_aside(
    tmp_path: Path, site: tuple[Keyring, list[Device]], bad: bytes
) -> None:
    ring, devices = site
    intake = Intake([ring], tmp_path / "c.pcap", tmp_path / "s.db")
    number, downlinks = answer(intake.handle(bad))
    assert number in (0, 7)
    assert downlinks == []
    assert answer(intake.handle(record(1, devices[1].send())))[0] == 1
    assert (intake.unreadable, len(intake.rows())) == (1, 1)
    intake.close()
    assert (tmp_path / "unreadable.bin").read_bytes() == struct.pack(">H", len(bad)) + bad


def test_time_falls_back_to_the_hosts_clock(tmp_path: Path, site: tuple[Keyring, list[Device]]) -> None:
    ring, devices = site
    intake = Intake([ring], tmp_path / "c.pcap", clock_us=lambda: 1_800_000_000_000_000)
    intake.handle(record(1, devices[1].send(), time_ms=0))
    [row] = intake.rows()
    intake.close()
    assert row.received_at == 1_800_000_000_000_000


# Answers


class Site:
    """A tenant, its intake with a commander, and devices that hold the tenant's keys."""

    def __init__(self, folder: Path, profiles: tuple[str, ...] = ("mac0", "encrypt0", "sign1")) -> None:
        self.tenant = Tenant.create(folder / "tenant", lab=True, seed=3, clear_link=True)
        self.devices = []
        for n, profile in enumerate(profiles, 1):
            r = self.tenant.with_keys(self.tenant.add_device(f"d{n}", "bin", profile))
            s = self.tenant.secrets(r)
            device = Device(
                profile,
                n,
                tenant=self.tenant.id,
                tag=self.tenant.tag,
                device=r.device,
                secret=s.k_dev,
                seed=s.seed,
            )
            device.all_keys = r  # type: ignore[attr-defined]
            self.devices.append(device)
        self.ring = self.tenant.export("reader", folder / "keys.json")
        self.commander = Commander(self.tenant.export("commander", folder / "c.json"), folder / "state.json")
        self.intake = Intake([self.ring], folder / "c.pcap", folder / "s.db", self.commander)
        self.number = 0

    def up(self, frame: bytes) -> list[Any]:
        self.number += 1
        return answer(self.intake.handle(record(self.number, frame)))[1]

    def opened(self, device: Device, downlinks: list[Any]) -> list[Any]:
        """The one command in an answer, opened with the device's own key."""
        [[tag, address, port, body, window]] = downlinks
        assert (tag, address, port, window) == (device.tag, device.address, 12, 1)
        keys = device.all_keys.for_protocols()  # type: ignore[attr-defined]
        start = 1 << 28
        for cseq in range(start, start + 50):
            try:
                return [cseq, *cbor2.loads(Opener(keys).open(2, 1, cseq, body))]
            except Exception:
                continue
        raise AssertionError("no number of commander 1 opens this")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_time_answers_an_uplink_that_has_none(tmp_path: Path, which: int) -> None:
    site = Site(tmp_path)
    device = site.devices[which]
    cseq, ref, ttl, op, gps, ms = site.opened(device, site.up(device.hello()))
    assert (cseq, ref, ttl, op) == (1 << 28 | 1, device.seq, 120, 1)
    assert (gps, ms) == (1451260818 + WIRE_START_MS // 1000 + 1, 0)
    # A reading with quality-2 time asks for nothing; the same frame again is no reason to answer twice.
    timed = device.send()
    assert site.up(timed) == []
    untimed = device.send(synth.det([3, {4: 5}]))
    assert site.opened(device, site.up(untimed))[3] == 1
    assert site.up(untimed) == []
    unconfirmed = device.send(synth.det([3, {1: 2_400_000, 4: 5}]))
    assert site.opened(device, site.up(unconfirmed))[3] == 1


def test_a_signed_segment_is_acknowledged_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    device = site.devices[0]
    for frame in device.run(15):
        assert site.up(frame) == []
    site.up(device.send())
    checkpoint = device.checkpoint()
    _, ref, ttl, op, k = site.opened(device, site.up(checkpoint))
    assert (op, k, ref) == (7, device.seq, device.seq)
    assert 1 <= ttl <= 3600
    assert site.up(device.send()) == []


def test_a_missing_frame_is_asked_for_and_heals(tmp_path: Path) -> None:
    site = Site(tmp_path)
    device = site.devices[0]
    frames = device.run(16)
    lost = frames.pop(4)
    answers = [site.up(f) for f in frames]
    assert answers[:-1] == [[]] * 15
    _, _, _, op, k, seqs = site.opened(device, answers[-1])
    assert (op, k, seqs) == (6, 17, [5])
    assert {r.state for r in site.intake.rows()} == {"authenticated", "signed"}
    # It is not asked for with every uplink.
    assert site.up(device.send()) == []
    _, _, _, op, k = site.opened(device, site.up(lost))
    assert (op, k) == (7, 17)
    assert all(r.state == "signed" for r in site.intake.rows() if (r.seq or 99) <= 17)


def test_a_forgotten_frame_is_not_asked_for_for_ever(tmp_path: Path) -> None:
    site = Site(tmp_path)
    device = site.devices[0]
    frames = device.run(16)
    del frames[4]
    cseq = site.opened(device, [site.up(f) for f in frames][-1])[0]
    site.up(device.send(synth.det([cseq, 14, cseq]), purpose=3))
    site.number += 10_000
    for _ in range(5):
        assert site.up(device.send()) == []


def test_a_resent_leaf_heals_too(tmp_path: Path) -> None:
    site = Site(tmp_path)
    device = site.devices[0]
    leaves = {}
    frames = []
    for _ in range(16):
        frames.append(device.send())
        leaves[device.seq] = device.leaf(0, device.seq, device.reading(device.seq))
    frames.append(device.checkpoint())
    del frames[4]
    cseq = site.opened(device, [site.up(f) for f in frames][-1])[0]
    site.up(device.send(synth.det([cseq, 13, 5, leaves[5]]), purpose=3))
    assert [r.state for r in site.intake.rows()][:16] == ["signed"] * 16


def test_commands_wait_for_the_next_uplink(tmp_path: Path) -> None:
    site = Site(tmp_path)
    device = site.devices[1]
    assert site.intake.answers is not None
    site.intake.answers.queue("d2", "light", [40, 3600, 10], ttl_s=30)
    cseq, *rest = site.opened(device, site.up(device.send()))
    assert rest == [1, 30, 2, 40, 3600, 10]
    assert site.commander.result(cseq) is None
    site.up(device.send(synth.det([cseq, 0, cseq]), purpose=3))
    assert site.commander.result(cseq) == "done"


def test_one_downlink_after_one_uplink(tmp_path: Path) -> None:
    site = Site(tmp_path)
    device = site.devices[0]
    assert site.intake.answers is not None
    for seconds in (10, 20):
        site.intake.answers.queue("d1", "identify", [seconds])
    frame = device.send()
    assert site.opened(device, site.up(frame))[4:] == [10]
    # A second gateway's copy opens no second window.
    assert site.up(frame) == []
    assert site.opened(device, site.up(device.send()))[4:] == [20]


def test_nobody_is_answered_without_a_verified_frame(tmp_path: Path) -> None:
    site = Site(tmp_path)
    device = site.devices[0]
    forged = bytearray(device.hello())
    forged[-1] ^= 1
    assert site.up(bytes(forged)) == []
    stranger = Device("mac0", 1, tenant=bytes.fromhex("ff99999999999977"), tag=device.tag)
    assert site.up(stranger.hello()) == []


# Live notes


def test_lateness_and_far_jumps_are_notes(tmp_path: Path, site: tuple[Keyring, list[Device]]) -> None:
    record_ = site[0].records[1]
    notes = LiveNotes()
    now = synth.START_US

    def note(seq: int, received: int = now, told: int | None = None) -> tuple[bool, bool]:
        fields = {} if told is None else {"time": told}
        v = Verified(record_, seq, 0, 17, b"", bytes(32), b"", Content("bin", fields, 3))
        found = notes.note(v, received, now)
        return found.late, found.quarantine

    assert note(10) == (False, False)
    assert note(9) == (True, False)
    assert note(11, now - 601_000_000) == (True, False)
    assert note(12, told=WIRE_START_MS // 1000 - 601) == (True, False)
    assert note(13, told=WIRE_START_MS // 1000 - 599) == (False, False)
    assert note(13 + 65536) == (False, False)
    far = 13 + 65536 + 65537
    assert note(far) == (False, True)
    assert note(far) == (False, True)
    assert [note(far + n) for n in (1, 2, 3)] == [(False, True), (False, True), (False, False)]
    assert note(far + 4) == (False, False)


# The server


def call(port: int, records: list[bytes]) -> list[tuple[int, list[Any]]]:
    found = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        for r in records:
            s.sendall(struct.pack(">H", len(r)) + r)
            found.append(answer(read_answer(s)))
    return found


def read_answer(s: socket.socket) -> bytes:
    def exactly(n: int) -> bytes:
        data = b""
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    return exactly(int.from_bytes(exactly(2), "big"))


def test_several_gateways_over_sockets(tmp_path: Path, site: tuple[Keyring, list[Device]]) -> None:
    ring, devices = site
    frames = [f for d in devices for f in d.run(16)]
    intake = Intake([ring], tmp_path / "c.pcap", tmp_path / "s.db")
    with IntakeServer(intake) as server:
        assert str(server) == str(server.port)
        one = call(server.port, [record(n, f) for n, f in enumerate(frames, 1)])
        two = call(
            server.port, [b"junk", *(record(n, f, gateway=b"g2-other") for n, f in enumerate(frames, 1))]
        )
        # A peer that goes away in the middle of a record disturbs nobody.
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.sendall(b"\x00\x50half")
        assert call(server.port, [record(len(frames) + 1, devices[0].send())]) == [(len(frames) + 1, [])]
    assert [n for n, _ in one] == list(range(1, len(frames) + 1))
    assert [n for n, _ in two] == [0, *range(1, len(frames) + 1)]
    assert {r.receptions for r in intake.rows()} == {1, 2}
    intake.close()


def test_a_taken_port_is_one_line(tmp_path: Path, site: tuple[Keyring, list[Device]]) -> None:
    intake = Intake([site[0]], tmp_path / "c.pcap")
    with IntakeServer(intake) as server, pytest.raises(PeerError, match="cannot listen"):
        IntakeServer(intake, port=server.port)
    intake.close()


def test_a_store_that_refuses_is_told_and_tried_again(
    tmp_path: Path, site: tuple[Keyring, list[Device]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, devices = site
    frames = devices[1].run(16)
    intake = Intake([ring], tmp_path / "c.pcap", tmp_path / "s.db")
    put = Store.put
    full = True

    def refuse(*args: Any) -> list[Any]:
        if full:
            raise StoreError("cannot write it: the disk is full")
        return put(*args)

    monkeypatch.setattr(Store, "put", refuse)
    told: list[str] = []
    with IntakeServer(intake, on_error=lambda e: told.append(str(e))) as server:
        for _ in range(2):
            with pytest.raises((EOFError, ConnectionError)):
                call(server.port, [record(1, frames[0])])
        full = False
        call(server.port, [record(n, f) for n, f in enumerate(frames, 1)])
    assert told == ["cannot write it: the disk is full"]
    live = lines(intake.rows())
    intake.close()
    with Store(tmp_path / "s.db") as store:
        assert lines(store.rows([ring])) == live
    assert lines(decode.decode([tmp_path / "c.pcap"], [tmp_path / "keys.json"]).rows) == live


SERVER = """
import sys
from pathlib import Path
from host_tools.intake import Intake, IntakeServer
from provisioning.keyring import Keyring
folder = Path(sys.argv[1])
ring = Keyring.load(folder / "keys.json")
server = IntakeServer(Intake([ring], folder / "c.pcap", folder / "s.db", append=True))
print(server.port, flush=True)
server.serve_forever()
"""


@pytest.mark.slow
def test_a_killed_intake_loses_no_answered_row(tmp_path: Path, site: tuple[Keyring, list[Device]]) -> None:
    """kill -9 at chance instants of the work; the gateway sends again what was not answered."""
    ring, devices = site
    frames = [f for d in devices for f in d.run(48)]
    chance = random.Random(5)
    sent = 0
    answered = 0
    while sent < len(frames):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        port = int(process.stdout.readline())
        kill_at = time.monotonic() + chance.uniform(0.005, 0.12)
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
                while sent < len(frames):
                    data = record(sent + 1, frames[sent])
                    s.sendall(struct.pack(">H", len(data)) + data)
                    if time.monotonic() >= kill_at:
                        os.kill(process.pid, signal.SIGKILL)
                    answer(read_answer(s))
                    sent += 1
                    answered += 1
        except (OSError, EOFError):
            pass
        process.kill()
        process.wait()
        process.stdout.close()
        with Store(tmp_path / "s.db", readonly=True) as store:
            assert store.counts()["reception"] >= answered
    with Store(tmp_path / "s.db") as store:
        assert store.counts()["reception"] == len(frames)
        stored = store.rows([ring])
        assert [s[-1] for s in store.states()] == [r.state for r in stored]
    straight = synth.capture(tmp_path / "straight.pcap", frames, start_us=synth.START_US + 1_000_000)
    assert lines(stored) == lines(decode.decode([straight], [tmp_path / "keys.json"]).rows)
