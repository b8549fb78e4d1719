"""The fast path decides nothing: rows, columns and summary are the receiver's, whatever the frames (TRUST 2)."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from host_tools import fast
from host_tools.fast import records, spool
from host_tools.lorawan.keysfile import Keys, Session
from provisioning.keyring import Keyring, load_keyrings
from tests.host import synth
from tests.host.fast_bench import PROFILES, Field, mixed, same
from tests.host.synth import Device, det


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("seed", range(4))
def test_mixed_and_damaged_traffic(tmp_path: Path, seed: int) -> None:
    made = mixed(tmp_path, seed)
    rows, summary = same([made.capture()], made.rings(), made.keys())
    assert {r.state for r in rows} >= {"signed", "authenticated", "rejected"}
    assert summary.fast > summary.frames * 3 // 4


@pytest.mark.long
def test_a_million_mutated_frames(tmp_path: Path) -> None:
    total = 0
    seed = 100
    while total < 1_000_000:
        made = mixed(tmp_path, seed, each=1000, flips=1.5)
        _, summary = same([made.capture()], made.rings(), made.keys())
        total += summary.frames
        seed += 1


def test_every_bit_of_a_frame_inside_a_batch(tmp_path: Path, profile: str) -> None:
    """Of each structure one frame with each of its bits turned over, among whole ones of the same key."""
    device = Device(profile, 7)
    made = Field(tmp_path, [device])
    sent = [device.send() for _ in range(60)]
    for carrier in ("link", "lorawan"):
        good = sent if carrier == "link" else made.over(device, sent)
        frames = list(good)
        victim = good[30]
        step = 1 if len(victim) < 80 else 5
        for bit in range(0, len(victim) * 8, step):
            bad = bytearray(victim)
            bad[bit >> 3] ^= 1 << (bit & 7)
            frames.insert(random.Random(bit).randrange(len(frames)), bytes(bad))
        path = made.capture(frames, f"{carrier}.pcap")
        rows, summary = same([path], made.rings(), made.keys())
        accepted = [r for r in rows if r.state in ("signed", "authenticated")]
        assert len(accepted) == 60
        assert summary.fast >= 60


def test_payloads_that_are_not_canonical(tmp_path: Path, profile: str) -> None:
    device = Device(profile, 3)
    time = 0x0024A4CC
    odd = [
        "8203a200" + f"1a{time:08x}" + "0405",
        "8203a200" + f"1b{time:016x}" + "0405",  # eight bytes for a number of four
        "8203a2000504" + "1805",  # two bytes for 5
        "8203a20005041900ff",
        "8203a204050005",  # unsorted
        "8203a204050405",  # twice
        "8203a100f6",
        "8203a10061" + "41",
        "8203a104" + "20",  # below the range
        "8203a1041864",
        "8203a1041865",  # above it
        "8203a108" + "39018f",  # -400
        "8203a108390190",  # -401
        "8203a20005010a",  # both times
        "8203a11505",  # no such key
        "8203a1181805",
        "8203a00005",  # more than the map says
        "8203a2000504",  # less
        "8203bf000504" + "05ff",
        "8209a0",
        "1903a0",
        "8303a000",
        "8203a0",
        "82",
        "",
        "8203b8010405",
        "8203a10a8205" + "05",  # a vector
        "8203a10a80",
        "8203a103190bff",  # alarms
        "8203a4000503010706" + "0701",
    ]
    frames = [device.seal(0, 10 + n, bytes.fromhex(text)) for n, text in enumerate(odd)]
    frames += made if (made := [device.send() for _ in range(3)]) else []
    rows, summary = same([synth.capture(tmp_path / "a.pcap", frames)], _rings(tmp_path, device))
    assert summary.fast == len(frames)
    assert sum(r.state != "rejected" for r in rows) >= 8


def test_padded_and_long_readings(tmp_path: Path, profile: str) -> None:
    device = Device(profile, 3, kind="leak")
    frames: list[bytes] = []
    for n in range(4, 70):
        for tail in (bytes(n), bytes(n - 1) + b"\1", b"\1" + bytes(n - 1)):
            frames.append(device.seal(0, len(frames) + 1, det([4, {0: 5, 4: 1000, 23: tail}])))
    frames.append(device.seal(0, 500, det([4, {0: 5, 4: 1000, 6: [5, 1, -1] * 8, 23: bytes(20)}])))
    frames.append(device.seal(0, 501, det([4, {0: 5, 23: [bytes(23)]}])))
    frames.append(device.seal(0, 502, det([3, {0: 5, 10: list(range(24)), 23: b""}])))
    frames.append(device.seal(0, 503, b"\x82\x03\xa1" + det({4: bytes(150)})[1:]))
    same([synth.capture(tmp_path / "a.pcap", frames)], _rings(tmp_path, device))


def test_numbers_of_every_length(tmp_path: Path, profile: str) -> None:
    device = Device(profile, 9)
    frames = [
        device.seal(0, seq, device.reading(n))
        for n, seq in enumerate(
            (1, 23, 24, 255, 256, 65535, 65536, 2**24 - 1, 2**24, 2**24 + 5, 2**25 - 1, 2**25, 0)
        )
    ]
    _, summary = same([synth.capture(tmp_path / "a.pcap", frames)], _rings(tmp_path, device))
    assert summary.fast == 8


def test_ports_addresses_and_structures_that_are_not_the_devices_own(tmp_path: Path) -> None:
    devices = [Device(p, n) for n, p in enumerate(PROFILES, 1)]
    made = Field(tmp_path, devices)
    frames: list[bytes] = []
    for device in devices:
        for n in range(20):
            frame = device.send()
            frames += [frame, *made.over(device, [frame], n)]
            for port in (0, 1, 9, 10, 11, 12, 13, 14, 15, 16, 42, 43, 0x8A):
                frames.append(bytes((frame[0], port)) + frame[2:])
                if n < 4:
                    frames += made.over(device, [bytes((frame[0], port)) + frame[2:]], 100 + port + 300 * n)
            frames.append(frame[:3] + b"\0\x99" + frame[5:])
            frames.append(frame[:2] + b"\x01" + frame[3:])
            frames.append(frame[:3] + b"\0" + bytes((device.address % 3 + 1,)) + frame[5:])
            for other in PROFILES:
                frames.append(device.link(10, device.seq, device.cose(0, device.seq, b"\x82\x03\xa0", other)))
    same([made.capture(frames)], made.rings(), made.keys())


def test_copies_conflicts_and_repeats(tmp_path: Path, profile: str) -> None:
    """One number: the same bytes, the same content in other bytes, two contents, with and without checkpoints."""
    devices = [Device(profile, n) for n in range(1, 7)]
    made = Field(tmp_path, devices)
    frames: list[bytes] = []
    for device in devices:
        sent = device.run(20, every=8)
        frames += sent
        if device.address % 2:
            frames += sent[5:9] * 2
        if device.address in (2, 3):
            frames.append(device.seal(0, 4, device.reading(99)))
        if device.address in (3, 4):
            frames += made.over(device, sent[:3])
        if device.address == 5:
            frames.append(device.seal(1, device.seq, det([3, bytes(16)])))
    rows, _ = same([made.capture(frames)], made.rings(), made.keys())
    assert any(r.receptions == 3 for r in rows)
    assert {"conflict", "equivocation"} & {r.reason for r in rows}


def test_epochs_statuses_and_late_frames(tmp_path: Path, profile: str) -> None:
    old = Device(profile, 1)
    new = Device(profile, 1, epoch=2)
    spare = Device(profile, 2)
    frames = [old.send() for _ in range(20)] + new.run(20) + [old.send() for _ in range(20)]
    frames += [spare.send() for _ in range(5)]
    path = synth.capture(tmp_path / "a.pcap", frames, step_us=86400 * 500_000)
    early = synth.capture(tmp_path / "b.pcap", [new.send(), old.send()], start_us=1_000_000)
    for changes in (
        {},
        {"status": "revoked"},
        {"disclosed_from": "2026-01-01T00:00:00Z"},
        {"status": "superseded"},
    ):
        rings = load_keyrings([synth.keyring(tmp_path / "ring.json", old, new, spare, **changes)])
        rows, _ = same([path, early], rings)
        assert any(r.reason == "closed_epoch" for r in rows)


def test_keys_that_leave_doubt(tmp_path: Path) -> None:
    """Two tenants with one device, a link address of five devices, a DevAddr with two sessions."""
    twins = [Device("mac0", 1), Device("mac0", 1, tenant=bytes.fromhex("ff99223344556677"))]
    crowd = [Device("mac0", 50, device=bytes((n,)) * 8, name=f"c{n}") for n in range(1, 6)]
    plain = Device("encrypt0", 60)
    made = Field(tmp_path, [twins[0], *crowd, plain])
    frames = [f for d in (*twins, *crowd, plain) for f in d.run(18)]
    frames += made.over(twins[0], frames[:18]) + made.over(plain, [plain.send() for _ in range(15)])
    second = synth.keyring(tmp_path / "second.json", twins[1])
    rings = [*made.rings(), *load_keyrings([second])]
    path = made.capture(frames)
    same([path], rings, made.keys())
    given = made.sessions[-1]
    for changes in (
        [Session(given.dev_addr, bytes(16), bytes(16), given.dev_eui)],
        [Session(0x26000099, given.nwk_s_key, b"", given.dev_eui)],
    ):
        same([path], rings, Keys((), [*made.sessions, *changes]))
    same([path], rings, Keys((), [Session(given.dev_addr, given.nwk_s_key, given.app_s_key)]))
    same([path], [], made.keys())
    same([path], [Keyring("reader", synth.TENANT, [])], None)


def test_counters_of_lorawan(tmp_path: Path) -> None:
    device = Device("mac0", 4)
    made = Field(tmp_path, [device])
    frames: list[bytes] = []
    for first in (0, 65530, 65536 * 3 - 5, 65536 * 14 - 4, 65536 * 16 - 4, 65536 * 40):
        frames += made.over(device, [device.send() for _ in range(15)], first)
    random.Random(2).shuffle(frames)
    _, summary = same([made.capture(frames)], made.rings(), made.keys())
    assert 60 <= summary.fast < len(frames)


def test_forms_of_captures(tmp_path: Path) -> None:
    """Both byte orders and precisions, LoRaTap v1, cut records, and ends in the middle."""
    made = mixed(tmp_path, 9, each=8)
    plain = made.capture().read_bytes()
    forms = {}
    for name, order, magic in (
        ("big", ">", 0xA1B2C3D4),
        ("nano", "<", 0xA1B23C4D),
        ("both", ">", 0xA1B23C4D),
    ):
        out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 270)
        for n, frame in enumerate(made.frames):
            tap = struct.pack(">BBHIBBBBBbB", 0, 0, 15, 869525000, 1, 9, 69, 0, 0, 20, 0x34)
            if n % 3 == 0:
                tap = b"\1\0\0\x23" + tap[4:] + bytes(20)
            if n % 31 == 5:
                tap = b"\0\0\0\x10" + tap[4:]
            part = 123456 if magic & 0xFF == 0xD4 else 123456789
            cut = n % 29 == 3
            data = (tap + frame)[: len(tap) + len(frame) - cut]
            out += struct.pack(order + "IIII", 1_790_000_000 + n, part, len(data), len(data) + cut) + data
        forms[name] = out
    forms |= {"cut": plain[:-7], "head": plain[:30], "zeros": plain + bytes(40), "none": plain[:24]}
    forms["long"] = plain + struct.pack("<IIII", 1, 2, 1 << 30, 1 << 30) + plain
    for name, data in forms.items():
        path = tmp_path / f"{name}.pcap"
        path.write_bytes(data)
        same([path], made.rings(), made.keys())
        assert (name in ("cut", "head", "zeros", "long")) == bool(fast.decode([path], made.rings()).notes)


def test_groups_of_devices_through_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "_GROUP", 4000)
    monkeypatch.setattr(spool, "_MOST", 5000)
    made = mixed(tmp_path, 5)
    half = len(made.frames) // 2
    paths = [made.capture(made.frames[:half], "a.pcap"), made.capture(made.frames[half:], "b.pcap")]
    same(paths, made.rings(), made.keys())


@pytest.mark.parametrize("size", [40, 300, 700, 5000])
def test_chunks_of_every_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Also of less than a record."""
    monkeypatch.setattr(records, "_BLOCK", size)
    monkeypatch.setattr(records, "MAX_FRAMES", 7)
    made = mixed(tmp_path, 8, each=10)
    same([made.capture()], made.rings(), made.keys())


def test_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_BLOCK", 6000)
    made = mixed(tmp_path, 6)
    path = made.capture()
    path.write_bytes(path.read_bytes()[:-5])
    same([path], made.rings(), made.keys(), workers=2)


def _rings(folder: Path, *devices: Device) -> list[Keyring]:
    return load_keyrings([synth.keyring(folder / "ring.json", *devices)])
