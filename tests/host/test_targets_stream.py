"""A replay into our own intake: over TCP, also one that breaks, and over a serial line."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from firmware.protocols import gwrecord
from host_tools import capture, decode, replay, targets
from host_tools.errors import PeerError
from host_tools.frames import Frame
from host_tools.intake import Intake, IntakeServer
from provisioning.keyring import load_keyrings
from tests.conftest import package
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_decode import printed


@pytest.fixture
def night(tmp_path: Path) -> tuple[Path, Path]:
    devices = [Device("sign1", 1, kind="lamp"), Device("mac0", 2)]
    frames = [f for d in devices for f in d.run(30)]
    return synth.capture(tmp_path / "in.pcap", frames), synth.keyring(tmp_path / "keys.json", *devices)


def test_the_intake_has_the_same_rows(night: tuple[Path, Path], tmp_path: Path) -> None:
    source, keys = night
    intake = Intake(load_keyrings([keys]), tmp_path / "out.pcap")
    try:
        with IntakeServer(intake) as server:
            for _ in range(2):
                target = targets.make(f"tcp:127.0.0.1:{server.port}", targets.Options())
                report = replay.play(source, target, speed=0)
                assert report.error is None and report.receiver is not None
                assert report.receiver["acknowledged"] == 61
        # The same seed names the same records, which are taken once.
        assert intake.summary()["repeated_records"] == 61
    finally:
        intake.close()
    before, after = decode.decode([source], [keys]).rows, decode.decode([tmp_path / "out.pcap"], [keys]).rows
    # A record has whole milliseconds and whole dB.
    drop = ("received_at", "rssi_dbm", "snr_db")
    assert [{k: v for k, v in r.items() if k not in drop} for r in rows(before)] == [
        {k: v for k, v in r.items() if k not in drop} for r in rows(after)
    ]
    times = [f.time_us // 1000 for f in capture.read(source)]
    assert [f.time_us // 1000 for f in capture.read(tmp_path / "out.pcap")] == times


def rows(found: Any) -> list[dict[str, Any]]:
    import json

    return [json.loads(line) for line in printed(found, "json").splitlines()]


class Flaky:
    """Takes gateway records and answers; after `breaks` records it hangs up, so often."""

    def __init__(self, breaks: int, times: int) -> None:
        self.breaks, self.times = breaks, times
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.records: list[Any] = []
        self.connections = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self.talk(connection)

    def talk(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        for n in range(1 << 30):
            head = stream.read(2)
            if len(head) < 2:
                return
            record = gwrecord.parse(stream.read(head[0] << 8 | head[1]))
            if n == self.breaks and self.connections <= self.times:
                # Taken and not answered: it must come again.
                return
            self.records.append(record)
            connection.sendall(gwrecord.prefixed(gwrecord.pack_answer(record[2], [])))


def test_a_line_that_breaks_loses_nothing(night: tuple[Path, Path]) -> None:
    source, _ = night
    flaky = Flaky(breaks=9, times=3)
    told: list[str] = []
    target = targets.make(f"tcp:127.0.0.1:{flaky.port}", targets.Options(tell=told.append))
    report = replay.play(source, target, speed=0)
    flaky.listener.close()
    assert report.error is None and report.receiver is not None
    assert report.receiver["acknowledged"] == 61 and report.receiver["unacknowledged"] == 0
    # A connection that breaks while it is being caught up on is not one that was made.
    assert flaky.connections == 4 and 1 <= report.receiver["reconnections"] <= 3
    assert report.receiver["resent"] >= 3
    data = [f.data for f in capture.read(source)]
    # In their order, each at least once.
    assert list(dict.fromkeys(r[-1] for r in flaky.records)) == data
    assert any("is gone" in line for line in told) and any("connected to" in line for line in told)


def test_a_receiver_that_takes_little_is_not_given_up(night: tuple[Path, Path]) -> None:
    flaky = Flaky(breaks=3, times=99)
    target = targets.make(f"tcp:127.0.0.1:{flaky.port}", targets.Options(patience_s=0.3))
    report = replay.play(night[0], target, speed=0)
    flaky.listener.close()
    assert report.error is None and report.receiver is not None
    assert report.receiver["acknowledged"] == 61


def test_a_receiver_that_takes_nothing_ends_it(night: tuple[Path, Path]) -> None:
    dead = Flaky(breaks=0, times=1 << 30)
    target = targets.make(f"tcp:127.0.0.1:{dead.port}", targets.Options(patience_s=0.3))
    report = replay.play(night[0], target, speed=0)
    dead.listener.close()
    assert isinstance(report.error, PeerError) and "did not come back" in str(report.error)
    assert report.receiver is not None and report.receiver["unacknowledged"] > 0
    # What was never sent is missing from the sum.
    assert report.records < 61


def test_nobody_there(night: tuple[Path, Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    report = replay.play(night[0], targets.make(f"tcp:127.0.0.1:{port}", targets.Options()), speed=0)
    assert isinstance(report.error, PeerError) and f"127.0.0.1:{port}" in str(report.error)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals here")
@pytest.mark.parametrize("answers", [True, False])
def test_a_serial_line(night: tuple[Path, Path], answers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    package("serial")
    import tty

    from host_tools.targets import stream

    monkeypatch.setattr(stream, "DEAF_S", 0.2)
    master, slave = os.openpty()
    tty.setraw(slave)
    data = bytearray()

    def serve() -> None:
        taken = 0
        while True:
            try:
                data.extend(os.read(master, 65536))
            except OSError:
                return
            while len(data) >= taken + 2 and len(data) >= taken + 2 + (data[taken] << 8 | data[taken + 1]):
                size = data[taken] << 8 | data[taken + 1]
                record = gwrecord.parse(bytes(data[taken + 2 : taken + 2 + size]))
                taken += size + 2
                if answers:
                    os.write(master, gwrecord.prefixed(gwrecord.pack_answer(record[2], [])))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    told: list[str] = []
    target = targets.make(f"serial:{os.ttyname(slave)}@115200", targets.Options(tell=told.append))
    report = replay.play(night[0], target, speed=0, settle_s=2)
    end = time.monotonic() + 2
    frames = [f.data for f in capture.read(night[0])]
    while frames[-1] not in data and time.monotonic() < end:
        time.sleep(0.01)
    os.close(slave)
    os.close(master)
    assert report.error is None and report.receiver is not None
    assert all(f in data for f in frames)
    assert report.receiver["acknowledged"] == (61 if answers else 0)
    assert report.receiver.get("one_way", False) is not answers
    assert any("answers no record" in line for line in told) is not answers


def test_what_a_record_cannot_say() -> None:
    from host_tools.targets.base import Unfit
    from host_tools.targets.stream import record

    made = gwrecord.parse(record(7, Frame(b"x", 0), bytes(8), 1)[2:])
    assert made == (bytes(8), 1, 7, 0, 0, 0, 1, 5, 125000, -139, 0, b"x")
    for data in (b"", bytes(256)):
        with pytest.raises(Unfit):
            record(1, Frame(data, 1), bytes(8), 1)


def test_a_receiver_that_answers_nothing_is_told_and_given_up(
    night: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from host_tools.targets import stream

    monkeypatch.setattr(stream, "DEAF_S", 0.1)
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = targets.Options(patience_s=0.2, tell=told.append)
        target = targets.make(f"tcp:127.0.0.1:{silent.getsockname()[1]}", options)
        report = replay.play(night[0], target, speed=0)
    assert isinstance(report.error, PeerError) and "answers none" in str(report.error)
    assert told == [f"{target.name} is slow; waiting for its answers"]  # type: ignore[attr-defined]
    assert report.records == stream.WINDOW
