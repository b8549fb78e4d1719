"""Peers that a gateway's line must survive: they flood, stay silent, send halves and junk, read no answer, come in
crowds. An honest gateway beside them is always answered, and what is answered is on the disk."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tools import decode, intake, listener
from host_tools.errors import StoreError
from host_tools.intake import Intake, IntakeServer
from host_tools.store import Store
from provisioning.keyring import Keyring
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_intake import call, record
from tests.host.test_receiver import lines


@pytest.fixture
def site(tmp_path: Path) -> tuple[Keyring, Device]:
    device = Device("mac0", 2)
    return Keyring.load(synth.keyring(tmp_path / "keys.json", device)), device


@pytest.fixture
def running(tmp_path: Path, site: tuple[Keyring, Device]) -> Iterator[tuple[Intake, IntakeServer]]:
    taker = Intake([site[0]], tmp_path / "c.pcap", tmp_path / "s.db")
    with IntakeServer(taker) as server:
        yield taker, server
    taker.close()


def connect(server: IntakeServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def honest(server: IntakeServer, device: Device, start: int, count: int = 3) -> None:
    """A gateway with some records, each of which must be answered under its number."""
    found = call(server.port, [record(start + n, device.send(), gateway=b"honest!!") for n in range(count)])
    assert [number for number, _ in found] == list(range(start, start + count))


def test_half_records_and_silence_hold_nobody_up(
    running: tuple[Intake, IntakeServer], site: tuple[Keyring, Device]
) -> None:
    taker, server = running
    with contextlib.ExitStack() as held:
        for head in (b"", b"\x00", b"\x00\x50", b"\x00\x50half", b"\xff\xff" + bytes(60_000)):
            held.enter_context(connect(server)).sendall(head)
        honest(server, site[1], 1)
    assert taker.unreadable == 0


def test_a_crowd_of_silent_peers_makes_room(
    running: tuple[Intake, IntakeServer], site: tuple[Keyring, Device]
) -> None:
    """More than there are places: the one silent the longest goes, and a gateway that talks stays."""
    _, server = running
    talking = connect(server)
    number = 0

    def say() -> None:
        nonlocal number
        number += 1
        data = record(number, site[1].send())
        talking.sendall(struct.pack(">H", len(data)) + data)
        size = int.from_bytes(talking.recv(2), "big")
        assert len(talking.recv(size)) == size

    with contextlib.ExitStack() as held:
        for n in range(3 * listener.MAX_CONNECTIONS):
            held.enter_context(connect(server)).sendall(b"\x00")
            if n % 4 == 0:
                say()
        honest(server, site[1], 100)
        say()
    talking.close()


@pytest.mark.parametrize("size", [0, 1, 65535])
def test_junk_is_answered_and_set_aside(
    running: tuple[Intake, IntakeServer], site: tuple[Keyring, Device], size: int, tmp_path: Path
) -> None:
    taker, server = running
    junk = random.Random(size).randbytes(size)
    assert [n for n, _ in call(server.port, [junk] * 5)] == [0] * 5
    honest(server, site[1], 1)
    assert taker.unreadable == 5
    assert (tmp_path / "unreadable.bin").read_bytes() == (struct.pack(">H", size) + junk) * 5


def test_a_stream_that_is_out_of_step(
    running: tuple[Intake, IntakeServer], site: tuple[Keyring, Device]
) -> None:
    """70,000 bytes do not fit a length of 16 bits: what comes of it is junk, and no more than that."""
    _, server = running
    with connect(server) as s:
        s.sendall(struct.pack(">H", 70_000 & 0xFFFF) + os.urandom(70_000))
        honest(server, site[1], 1)


def test_a_peer_that_reads_no_answer_stops_itself_only(
    running: tuple[Intake, IntakeServer], site: tuple[Keyring, Device]
) -> None:
    _, server = running
    deaf = connect(server)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    stop = threading.Event()

    def flood() -> None:
        data = b"\x00\x01x" * 2000
        while not stop.is_set():
            try:
                deaf.send(data)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                return

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for round_ in range(5):
            began = time.monotonic()
            honest(server, site[1], 10 * round_ + 1)
            assert time.monotonic() - began < 20
    finally:
        stop.set()
        thread.join()
        deaf.close()


def test_what_nobody_can_read_fills_no_disk(
    tmp_path: Path, site: tuple[Keyring, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_SIDE", 1000)
    taker = Intake([site[0]], tmp_path / "c.pcap")
    for n in range(50):
        taker.handle(b"junk %d" % n * 20)
    taker.close()
    assert taker.unreadable == 50
    assert 500 < (tmp_path / "unreadable.bin").stat().st_size <= 1000


def test_a_record_of_another_frame_is_another_record(tmp_path: Path, site: tuple[Keyring, Device]) -> None:
    """A gateway that lost its memory, or one that only claims its name, counts from the start again."""
    ring, device = site
    first, second = device.run(2)
    for store in (None, tmp_path / "s.db"):
        folder = tmp_path / ("stored" if store else "plain")
        folder.mkdir()
        taker = Intake([ring], folder / "c.pcap", store)
        for frame in (b"\xe0forged", first, second, first):
            taker.handle(record(1, frame))
        assert taker.repeated == 1
        assert [r.state for r in taker.rows()] == ["rejected", "authenticated", "authenticated"]
        live = lines(taker.rows())
        taker.close()
        assert lines(decode.decode([folder / "c.pcap"], [tmp_path / "keys.json"]).rows) == live
    with Store(tmp_path / "s.db") as kept:
        assert kept.counts()["reception"] == 3
    # So it is in a file of records.
    data = [record(1, f) for f in (b"\xe0forged", first, second, first)]
    (tmp_path / "g.rec").write_bytes(b"".join(struct.pack(">H", len(d)) + d for d in data))
    assert len(decode.decode([tmp_path / "g.rec"], [tmp_path / "keys.json"]).rows) == 3


@pytest.mark.parametrize("time_ms", [1 << 48, (1 << 47) + 1, 2_527_741_696_000])
def test_a_time_that_no_capture_can_hold(tmp_path: Path, site: tuple[Keyring, Device], time_ms: int) -> None:
    """A gateway's clock may say the year 10951; the frame counts, with the time of its arrival."""
    shown: list[str] = []
    taker = Intake(
        [site[0]],
        tmp_path / "c.pcap",
        tmp_path / "s.db",
        on_row=lambda row: shown.append(str(row.received_at)),
        clock_us=lambda: synth.START_US,
    )
    taker.handle(record(1, site[1].send(), time_ms=time_ms))
    assert taker.row_error is None and shown == [str(synth.START_US)]
    live = lines(taker.rows())
    taker.close()
    assert lines(decode.decode([tmp_path / "c.pcap"], [tmp_path / "keys.json"]).rows) == live


def test_who_looks_on_stops_no_intake(tmp_path: Path, site: tuple[Keyring, Device]) -> None:
    def look(row: Any) -> None:
        raise ValueError("no terminal")

    taker = Intake([site[0]], tmp_path / "c.pcap", tmp_path / "s.db", on_row=look)
    with IntakeServer(taker) as server:
        honest(server, site[1], 1, 5)
    assert str(taker.row_error) == "no terminal"
    assert len(taker.rows()) == 5
    taker.close()


def test_two_intakes_share_no_store_and_no_capture(tmp_path: Path, site: tuple[Keyring, Device]) -> None:
    """Each would work out segments from the half that it saw; one would write over the other's frames."""
    ring, device = site
    first = Intake([ring], tmp_path / "c.pcap", tmp_path / "s.db")
    with pytest.raises(StoreError, match=r"s\.db is in use by another program") as refused:
        Intake([ring], tmp_path / "d.pcap", tmp_path / "s.db")
    assert refused.value.exit_code == 5
    assert not (tmp_path / "d.pcap").exists()
    for append in (True, False):
        with pytest.raises(StoreError, match=r"c\.pcap is in use by another program"):
            Intake([ring], tmp_path / "c.pcap", append=append)
    first.handle(record(1, device.send()))
    first.close()
    # What was refused harmed nothing, and the next one may go on.
    second = Intake([ring], tmp_path / "c.pcap", tmp_path / "s.db", append=True)
    second.handle(record(2, device.send()))
    assert [r.seq for r in second.rows()] == [1, 2]
    second.close()
    assert len(decode.decode([tmp_path / "c.pcap"], [tmp_path / "keys.json"]).rows) == 2


def test_a_refusal_that_was_made_good_is_none(
    tmp_path: Path, site: tuple[Keyring, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    taker = Intake([site[0]], tmp_path / "c.pcap", tmp_path / "s.db")
    put = Store.put

    def refuse(*args: Any) -> None:
        raise StoreError("cannot write it: the disk is full")

    data = [record(n, site[1].send()) for n in (1, 2)]
    monkeypatch.setattr(Store, "put", refuse)
    for item in data:
        with pytest.raises(StoreError):
            taker.handle(item)
    assert taker.refused == 2
    monkeypatch.setattr(Store, "put", put)
    # In the other order: what the first one says has no frame in the store yet.
    taker.handle(data[1])
    assert taker.refused == 1
    taker.handle(data[0])
    assert taker.refused == 0
    live = lines(taker.rows())
    taker.close()
    with Store(tmp_path / "s.db") as store:
        assert [row[2:] for row in store.states()] == [(n, "bin", "authenticated") for n in (1, 2)]
        assert lines(store.rows([site[0]])) == live


def test_what_a_restarted_intake_knows_of_before(tmp_path: Path, site: tuple[Keyring, Device]) -> None:
    """A device at number 70,000 is no far jump for a store that has seen it before, and 69,000 is late."""
    ring, device = site
    clock = synth.START_US
    notes = []
    for seqs in ((1, 65_000, 70_000), (70_001, 69_000)):
        taker = Intake([ring], tmp_path / f"{seqs[0]}.pcap", tmp_path / "s.db", clock_us=lambda: clock)
        for seq in seqs:
            taker.handle(record(seq, device.seal(0, seq, synth.det([3, {4: 5}])), time_ms=0))
        taker.close()
    with Store(tmp_path / "s.db") as store:
        notes = store._base.execute("SELECT seq, late, quarantine FROM verified ORDER BY seq").fetchall()
    assert notes == [(1, 0, 0), (65_000, 0, 0), (69_000, 1, 0), (70_000, 0, 0), (70_001, 0, 0)]
