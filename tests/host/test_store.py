"""The store: verbatim frames, exact values, states as the receiver has them, and refusals in one line."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.errors import StoreError
from host_tools.frames import Frame
from host_tools.receiver import Receiver
from host_tools.store import Notes, Store
from provisioning.keyring import Keyring
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_receiver import framed, lines, ring
from tests.host.test_receiver_segments import branches

ROOT = Path(__file__).resolve().parents[2]


def stored(path: Path, keys: Keyring, frames: list[Frame]) -> tuple[Store, Receiver]:
    store = Store(path)
    store.know([keys])
    receiver = Receiver([keys], capped=True)
    for frame in frames:
        outcome = receiver.add(frame, frame.time_us)
        store.put(frame, outcome, receiver.accepted, Notes(frame.time_us))
        receiver.accepted.clear()
    return store, receiver


def states(receiver: Receiver) -> list[tuple[str, int, int, str, str]]:
    """One entry for each verified content, as the view has them."""
    found = set()
    for r in receiver.rows():
        if r.seq and r.epoch:
            kind = "checkpoint" if r.type == "fragment" else r.type
            found.add((r.device, r.epoch, r.seq, kind, r.state, r.frame if r.type != "fragment" else ""))
    return sorted(f[:5] for f in found)


@pytest.mark.parametrize("seed", range(4))
def test_the_view_and_the_receiver_agree(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    devices = [Device("sign1", 1, kind="lamp"), Device("mac0", 2), Device("encrypt0", 3, kind="leak")]
    frames = [f for d in devices for f in [d.hello(), *d.run(40, fragment=d.address == 3)]]
    frames += [
        devices[1].seal(0, 5, devices[1].reading(700)),
        devices[1].seal(0, 44, devices[1].reading(700)),
    ]
    frames.append(devices[1].send(synth.det([3, {4: 200}])))
    for _ in range(6):
        del frames[chance.randrange(len(frames))]
    received = framed(frames)
    chance.shuffle(received)
    keys = ring(tmp_path, *devices)
    store, receiver = stored(tmp_path / "s.db", keys, received)
    assert lines(store.rows([keys])) == lines(receiver.rows())
    assert store.states() == states(receiver)
    store.close()


def test_the_view_knows_forks_and_revoked_keys(tmp_path: Path) -> None:
    common, one, two = branches()
    keys = ring(tmp_path, Device("mac0", 2))
    store, receiver = stored(tmp_path / "s.db", keys, framed(common + one + two))
    assert store.states() == states(receiver)
    assert "contested" in store.counts()
    store.know([ring(tmp_path, Device("mac0", 2), status="revoked")])
    assert {s[-1] for s in store.states()} == {"contested"}
    # The verdict of the day it came is kept beside it.
    base = sqlite3.connect(tmp_path / "s.db")
    assert {v for (v,) in base.execute("SELECT DISTINCT verdict FROM reception")} >= {"authenticated"}
    base.close()
    store.close()


def test_every_frame_is_kept_verbatim(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = [*device.run(5), b"", b"junk", bytes(300), device.send()[:-1]]
    store, _ = stored(tmp_path / "s.db", ring(tmp_path, device), framed(frames + frames[:2]))
    assert [f.data for f in store.frames()] == frames + frames[:2]
    counts = store.counts()
    assert (counts["raw"], counts["reception"], counts["verified"]) == (len(frames), len(frames) + 2, 5)
    store.close()


def test_values_are_exact(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = [device.send(synth.det([3, {0: 60, 2: 3305, 8: -5, 10: [1000, -1]}]))]
    store, _ = stored(tmp_path / "s.db", ring(tmp_path, device), framed(frames))
    store.close()
    base = sqlite3.connect(tmp_path / "s.db")
    assert base.execute("SELECT name, scaled, decimals, text FROM value ORDER BY name").fetchall() == [
        ("distances_m", None, 3, "1.000 0.999"),
        ("supply_v", 3305, 3, "3.305"),
        ("temperature_degc", -5, 1, "-0.5"),
    ]
    base.close()


def test_the_set_of_accepted_contents_is_unique(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frame = device.send()
    store, _ = stored(tmp_path / "s.db", ring(tmp_path, device), framed([frame, frame]))
    store.close()
    base = sqlite3.connect(tmp_path / "s.db")
    [row] = base.execute("SELECT tenant, device, epoch, dir, seq, digest FROM verified").fetchall()
    with pytest.raises(sqlite3.IntegrityError):
        base.execute(
            "INSERT INTO verified (tenant, device, epoch, dir, seq, digest, purpose, structure, payload,"
            " leaf, type, refusal, raw_id, late, quarantine) VALUES (?,?,?,?,?,?,0,17,'','','','',1,0,0)",
            row,
        )
    base.close()


def test_what_the_cap_held_back_is_stored_later(tmp_path: Path) -> None:
    device, forger = Device("mac0", 2), Device("mac0", 2, tenant=bytes.fromhex("ff99999999999977"))
    keys = ring(tmp_path, device)
    store, receiver = stored(tmp_path / "s.db", keys, [Frame(forger.send(), 0) for _ in range(40)])
    frame = Frame(device.send(), 0)
    store.put(frame, receiver.add(frame, 0), receiver.accepted, Notes(0))
    assert store.counts()["verified"] == 0
    for second in (100, 200):
        receiver.tick(second * 10**6)
    store.accept(receiver.accepted, Notes(0))
    assert store.states() == [(device.device.hex(), 1, 1, "bin", "authenticated")]
    store.close()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"hello", "not a database"),
        (b"SQLite format 3\x00" + b"\xff" * 200, "not a database|cannot use|something"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=word) as e:
        Store(path)
    assert "\n" not in str(e.value)
    assert e.value.exit_code == 5
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "s.db")
    base.execute("CREATE TABLE mine (x)")
    base.commit()
    base.close()
    before = (tmp_path / "s.db").read_bytes()
    with pytest.raises(StoreError, match="something else"):
        Store(tmp_path / "s.db")
    assert (tmp_path / "s.db").read_bytes() == before


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "s.db").close()
    base = sqlite3.connect(tmp_path / "s.db")
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(tmp_path / "s.db")


def test_places_that_refuse(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="folder does not exist"):
        Store(tmp_path / "no" / "s.db")
    with pytest.raises(StoreError):
        Store(tmp_path)
    with pytest.raises(StoreError, match="no store"):
        Store(tmp_path / "none.db", readonly=True)
    device = Device("mac0", 2)
    keys = ring(tmp_path, device)
    Store(tmp_path / "s.db").close()
    store = Store(tmp_path / "s.db", readonly=True)
    receiver = Receiver([keys], capped=True)
    frame = Frame(device.send(), 0)
    with pytest.raises(StoreError, match="read-only"):
        store.put(frame, receiver.add(frame), receiver.accepted, Notes(0))
    store.close()


def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from host_tools.errors import StoreError\n"
        "from tests.host.test_store import stored\n"
        "from tests.host.test_receiver import framed, ring\n"
        "from tests.host.synth import Device\n"
        "folder, device = Path(sys.argv[1]), Device('mac0', 2)\n"
        "keys = ring(folder, device)\n"
        "stored(folder / 's.db', keys, framed(device.run(16)))[0].close()\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "limit = (folder / 's.db').stat().st_size + 20000\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
        "try: stored(folder / 's.db', keys, framed(device.run(2000)))\n"
        "except StoreError as e: print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    [line] = done.stdout.splitlines()
    assert line.startswith("cannot ")
    with Store(tmp_path / "s.db") as store:
        states_there = store.states()
        assert [s[-1] for s in states_there[:17]] == ["signed"] * 17
        assert len(lines(store.rows([ring(tmp_path, Device("mac0", 2))]))) == store.counts()["raw"]


def test_two_writers_wait_for_each_other(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    keys = ring(tmp_path, device)
    first, receiver = stored(tmp_path / "s.db", keys, framed(device.run(3)))
    second = Store(tmp_path / "s.db")
    frame = Frame(device.send(), 0)
    second.put(frame, receiver.add(frame), receiver.accepted, Notes(0))
    assert first.counts()["raw"] == second.counts()["raw"] == 4
    first.close()
    second.close()
