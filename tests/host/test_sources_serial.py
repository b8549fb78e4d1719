"""A serial port, played by a pty: gateway records, hex lines, a log between them, a plug that is pulled."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest

from host_tools import cli, output, sources
from host_tools.sources.serial import pieces
from tests.conftest import package
from tests.host.live_bench import Capturing, frames, messages, sink, until
from tests.host.test_cli_capture import record

pytestmark = pytest.mark.usefixtures("quiet_place")
FRAME = bytes.fromhex("e00a770001") + bytes(range(15))


class Port:
    """A pty under a name that a test may take away and give back, as udev does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plug()

    def plug(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path.symlink_to(os.ttyname(slave))
        self._slave = slave

    def pull(self) -> None:
        self.path.unlink()
        os.close(self._slave)
        os.close(self.master)

    def send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.master, data[:2000]) :]

    def answers(self, count: int) -> list[object]:
        found = b""
        while True:
            done, at = [], 0
            while at + 2 <= len(found) and at + 2 + int.from_bytes(found[at : at + 2], "big") <= len(found):
                size = int.from_bytes(found[at : at + 2], "big")
                done.append(cbor2.loads(found[at + 2 : at + 2 + size]))
                at += 2 + size
            if len(done) >= count:
                return done
            assert select.select([self.master], [], [], 10)[0], "no answer"
            found += os.read(self.master, 4096)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    package("serial")
    found = Port(tmp_path / "ttyX")
    yield found
    found.pull()


def test_records_are_answered_and_lines_are_kept(port: Port, tmp_path: Path) -> None:
    disk, taker = sink(tmp_path / "c.pcapng")
    with sources.start(f"serial:{port.path}", taker, lambda text: None):
        port.send(record(1, FRAME) + record(2, FRAME))
        assert port.answers(2) == [[2, 1, []], [2, 2, []]]
        # A board's log goes on between them, and a line is cut by a record.
        port.send(
            b"boot: gateway 1.0\r\n" + b"E00A7700010203\r\n# a remark\n" + b"I (42) ra" + record(3, FRAME)
        )
        assert port.answers(1) == [[2, 3, []]]
        port.send(b"1769612400.25 40:F1:7D:BE:49:00:02:00:01:95:43:78:76:2B:11:FF:0D\n")
        until(lambda: taker.tally.frames == 5)
    disk.close()
    found = frames(disk.path)
    assert [f.data[:1].hex() for f in found] == ["e0", "e0", "e0", "e0", "40"]
    assert [f.data for f in found[:2]] == [FRAME, FRAME] and found[4].time_us == 1_769_612_400_250_000
    assert found[0].radio.freq_hz == 869_525_000
    assert dict(taker.tally.unreadable) == {"bad_record": 2}


def test_records_alone_come_out_again(port: Port, tmp_path: Path) -> None:
    disk, taker = sink(tmp_path / "c.pcapng")
    sent = b"".join(record(n, FRAME) for n in range(1, 6))
    with sources.start(f"serial:{port.path}", taker, lambda text: None):
        port.send(sent)
        port.answers(5)
    disk.close()
    assert messages(disk.path) == ("gwrecord", sent)


def test_a_full_disk_leaves_records_unanswered(port: Port, tmp_path: Path) -> None:
    disk, taker = sink(tmp_path / "c.pcapng")
    with sources.start(f"serial:{port.path}", taker, lambda text: None):
        disk.full = True
        port.send(record(1, FRAME))
        until(lambda: taker.tally.refused == 1)
        disk.full = False
        port.send(record(2, FRAME))
        assert port.answers(1) == [[2, 2, []]]
        # The gateway has kept the first one.
        port.send(record(1, FRAME))
        assert port.answers(1) == [[2, 1, []]]
    assert taker.tally.refused == 0
    disk.close()
    assert len(frames(disk.path)) == 2


def test_a_port_that_goes_and_comes_back(tmp_path: Path) -> None:
    package("serial")
    port = Port(tmp_path / "ttyX")
    disk, taker = sink(tmp_path / "c.pcap")
    told: list[str] = []
    gone = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        gone.set()

    with sources.start(f"serial:{port.path}@9600", taker, tell):
        port.send(record(1, FRAME)[:20])
        port.pull()
        assert gone.wait(10)
        port.plug()
        until(lambda: len(told) == 2)
        port.send(record(1, FRAME))
        assert port.answers(1) == [[2, 1, []]]
    port.pull()
    disk.close()
    assert told == [f"{port.path} is gone", f"{port.path} is here"]
    assert len(frames(disk.path)) == 1


def test_the_command(port: Port) -> None:
    capturing = Capturing(f"serial:{port.path}", "-o", "c.pcap")
    port.send(record(1, FRAME) + FRAME.hex().encode() + b"\n")
    port.answers(1)
    until(lambda: len(frames("c.pcap")) == 2)
    code, _, err = capturing.end()
    assert code == output.INTERRUPTED and "2 frames kept in c.pcap" in err


def test_a_port_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    package("serial")
    assert cli.run(["capture", "serial:/dev/nothing", "-o", "c.pcap"]) == output.SILENT
    assert "cannot open /dev/nothing: there is no such port" in capsys.readouterr().err
    assert not Path("c.pcap").exists()


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_pieces_in_any_portions(step: int) -> None:
    """However the bytes are cut up, records are found whole, also behind junk that looks like a length."""
    one, two = record(1, FRAME), record(2, FRAME)
    stream = (
        b"\x00\x10junk\x01\n" + one + b"log\n" + b"half" + two + one[:10] + b"\n" + two + b"\x8d\x01\x48\n"
    )
    buffer = bytearray()
    found = []
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        found += list(pieces(buffer))
    assert b"".join(raw for _, raw in found) + bytes(buffer) == stream
    assert [raw for is_record, raw in found if is_record][:2] == [one, two]


def test_a_line_without_end_takes_no_memory() -> None:
    buffer = bytearray()
    total = 0
    for _ in range(100):
        buffer += b"x" * 1000
        total += sum(len(raw) for _, raw in pieces(buffer))
        assert len(buffer) <= 5096
    assert total + len(buffer) == 100_000
