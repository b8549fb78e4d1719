"""`lanterne capture` and `replay` as a user runs them: a process, a socket, an interrupt, a full disk."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest

from host_tools import cli, output
from host_tools.commands.capture import address
from host_tools.errors import UsageError
from host_tools.store import Store
from tests.host.synth import Device, capture, det, keyring

pytestmark = pytest.mark.usefixtures("quiet_place")
EUI = bytes.fromhex("0200000000000001")


def record(number: int, frame: bytes) -> bytes:
    """A gateway record: [1, EUI, boot, number, time, quality, rx, Hz, SF, bandwidth, RSSI, SNR, frame]."""
    body = det([1, EUI, 1, number, 2_400_000_000 + number * 1000, 2, 0, 869525000, 9, 125000, -70, 20, frame])
    return len(body).to_bytes(2, "big") + body


class Listening:
    """`lanterne capture` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "host_tools.cli", "capture", "tcp:127.0.0.1:0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        assert self.process.stderr
        line = self.process.stderr.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, line
        self.port = int(found[1])

    def send(self, *records: bytes) -> list[object]:
        """Send records and return the decoded answers."""
        answers = []
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            stream = s.makefile("rb")
            for item in records:
                s.sendall(item)
                size = int.from_bytes(stream.read(2), "big")
                answers.append(cbor2.loads(stream.read(size)))
        return answers

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def lamp(tmp_path: Path) -> Device:
    device = Device("sign1", 1, name="lamp-1", kind="lamp")
    keyring(tmp_path / "k.json", device)
    return device


def rows(capsys: pytest.CaptureFixture[str], path: str) -> list[dict[str, object]]:
    assert cli.run(["decode", path, "--keys", "k.json", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_capture_and_loses_nothing(
    lamp: Device, end: int, capsys: pytest.CaptureFixture[str]
) -> None:
    listening = Listening("-o", "c.pcap", "--keys", "k.json", "--store", "s.db", "--json")
    answers = listening.send(*(record(n, lamp.send()) for n in range(1, 6)))
    # [2, number, downlinks]: each record is answered under its number.
    assert [a[:2] for a in answers] == [[2, n] for n in range(1, 6)]  # type: ignore[index]
    code, out, err = listening.end(end)
    assert code == output.INTERRUPTED
    assert json.loads(err) == {"error": "interrupted: 5 frames kept in c.pcap", "hint": "", "exit": 130}
    assert [json.loads(line)["state"] for line in out.splitlines()] == ["signed"] * 5
    assert [r["seq"] for r in rows(capsys, "c.pcap")] == [1, 2, 3, 4, 5]
    assert Path("s.db").stat().st_size > 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("more", [[], ["--keys", "k.json", "--store", "s.db"]], ids=["plain", "with a store"])
def test_a_killed_capture_has_kept_what_was_answered(
    lamp: Device, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    listening = Listening("-o", "c.pcap", *more)
    listening.send(*(record(n, lamp.send()) for n in range(1, 4)))
    # Nobody else writes there meanwhile, and it is no obstacle once the program is gone.
    assert cli.run(["capture", "tcp:127.0.0.1:0", "-o", "c.pcap", "--append", "--seconds", "0.1"]) == 5
    assert capsys.readouterr().err.startswith("lanterne: c.pcap is in use by another program")
    listening.end(signal.SIGKILL)
    assert len(rows(capsys, "c.pcap")) == 3
    again = Listening("-o", "c.pcap", "--append", *more)
    again.send(record(4, lamp.send()))
    again.end()
    assert [r["seq"] for r in rows(capsys, "c.pcap")] == [1, 2, 3, 4]
    if more:
        with Store("s.db", readonly=True) as store:
            assert [s[2:] for s in store.states()] == [(n, "lamp", "signed") for n in (1, 2, 3, 4)]


def test_a_capture_is_not_overwritten(lamp: Device, capsys: pytest.CaptureFixture[str]) -> None:
    capture(Path("c.pcap"), [lamp.send()])
    before = Path("c.pcap").read_bytes()
    assert cli.run(["capture", "tcp:127.0.0.1:0", "-o", "c.pcap", "--seconds", "0.1"]) == output.STORE_REFUSED
    assert "exists already" in capsys.readouterr().err
    assert Path("c.pcap").read_bytes() == before


def test_it_stops_after_the_time_that_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert cli.run(["capture", "tcp:127.0.0.1:0", "-o", "c.pcap", "--seconds", "0.2"]) == 0
    assert 0.2 <= time.monotonic() - began < 10
    assert "0 frames kept in c.pcap" in capsys.readouterr().err


def test_an_address_that_is_taken_is_exit_4(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = cli.run(["capture", f"tcp:127.0.0.1:{port}", "-o", "c.pcap", "--seconds", "0.1"])
    assert code == output.SILENT
    assert str(port) in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["tcp:", "tcp:7700", "tcp:localhost", "tcp:h:99999", "tcp:h:-1", "tcp::7700"]
)
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(UsageError):
        address(text)


def test_addresses() -> None:
    assert address("tcp:127.0.0.1:0") == ("127.0.0.1", 0)
    assert address("tcp:[::1]:7700") == ("::1", 7700)


def test_a_file_of_records_is_converted(lamp: Device, capsys: pytest.CaptureFixture[str]) -> None:
    whole = b"".join(record(n, lamp.send()) for n in range(1, 4))
    Path("g.rec").write_bytes(whole)
    assert cli.run(["capture", "g.rec", "-o", "c.pcap", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 3
    assert [r["seq"] for r in rows(capsys, "c.pcap")] == [1, 2, 3]
    first = Path("c.pcap").read_bytes()
    assert cli.run(["capture", "g.rec", "-o", "d.pcap"]) == 0
    assert Path("d.pcap").read_bytes() == first
    assert cli.run(["capture", "g.rec", "-o", "e.pcap", "--seconds", "1"]) == output.USAGE
    assert cli.run(["capture", "nothing.rec", "-o", "f.pcap"]) == output.UNREADABLE
    assert not Path("f.pcap").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(lamp: Device, capsys: pytest.CaptureFixture[str]) -> None:
    Path("g.rec").write_bytes(record(1, lamp.send()))
    assert cli.run(["capture", "g.rec", "-o", "/dev/full", "--yes"]) == output.STORE_REFUSED
    assert capsys.readouterr().err == "lanterne: cannot write /dev/full: the disk is full\n"


# Replay


@pytest.fixture
def source(lamp: Device, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    capture(Path("c.pcap"), lamp.run(40))
    yield "c.pcap"


def test_a_clean_replay_gives_the_same_rows(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["replay", source, "again.pcap", "--keys", "k.json"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "40 rows, all the same" in captured.err


FAULTS = """
[[fault]]
kind = "bit_flip"
at = [3, 7]

[[fault]]
kind = "duplicate"
at = [5]

[[fault]]
kind = "wrong_key"
at = [9]
"""


def test_each_refused_frame_is_listed_with_its_reason(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("f.toml").write_text(FAULTS)
    arguments = ["replay", source, "faulty.pcap", "--faults", "f.toml", "--seed", "3", "--keys", "k.json"]
    assert cli.run([*arguments, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    faults = [(f["fault"], f["input"]) for f in found if f["kind"] == "fault"]
    assert sorted(faults) == [("bit_flip", 3), ("bit_flip", 7), ("duplicate", 5), ("wrong_key", 9)]
    refused = [r for r in found if r["kind"] == "row"]
    assert len(refused) == 3
    assert all(r["state"] in ("rejected", "unverified") and r["reason"] for r in refused)


def test_the_same_seed_makes_the_same_faults(source: str) -> None:
    Path("f.toml").write_text('[[fault]]\nkind = "bit_flip"\nrate = 0.3\n')
    made = []
    for name, seed in (("a.pcap", "5"), ("b.pcap", "5"), ("c2.pcap", "6")):
        assert cli.run(["replay", source, name, "--faults", "f.toml", "--seed", seed]) == 0
        made.append(Path(name).read_bytes())
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["c.pcap", "c.pcap"], output.USAGE),
        (["c.pcap", "c.pcap", "--yes"], output.USAGE),
        (["gone.pcap", "x.pcap"], output.UNREADABLE),
        (["c.pcap", "x.pcap", "--faults", "gone.toml"], output.UNREADABLE),
        (["c.pcap", "udp:localhost:1700"], output.USAGE),
        (["c.pcap", "x.pcap", "--seed", "-1"], output.USAGE),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, list) else "",
)
def test_what_cannot_be_replayed(
    source: str, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("c.pcap").read_bytes()
    assert cli.run(["replay", *arguments]) == code
    assert "Traceback" not in capsys.readouterr().err
    assert Path("c.pcap").read_bytes() == before
