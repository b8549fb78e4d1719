"""The view of a live capture: through a pty of 80 by 24 as people see it, and as plain lines elsewhere."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import socket
import struct
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.console import Console

from host_tools import output
from host_tools.capture_view import CaptureView, amount
from host_tools.errors import StoreError
from host_tools.frames import Frame, Record
from host_tools.receiver import Receiver
from host_tools.rotation import Rule
from host_tools.sources import Message
from host_tools.sources.taker import MAX_KNOWN, Counted, Taker, Tally, address
from provisioning.keyring import Keyring
from tests.formats import wrap_gwmp
from tests.host import lorawan_bench, synth
from tests.host.live_bench import RADIO, frames, until

pytestmark = pytest.mark.usefixtures("quiet_place")
EUI = bytes.fromhex("0016c001ff10a235")


class Screen:
    """As much of a terminal as the view needs: text, line ends, cursor up, erase; colours are dropped."""

    _TOKEN = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b.|[\r\n]|[^\x1b\r\n]+")

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.width, self.height = width, height
        self.lines = [""] * height
        self.row = self.column = self.scrolled = self.widest = 0

    def feed(self, text: str) -> None:
        for match in self._TOKEN.finditer(text):
            token, number, kind = match[0], match[1], match[2]
            if kind == "A":
                self.row = max(self.row - int(number or 1), 0)
            elif kind == "K":
                self.lines[self.row] = "" if number == "2" else self.lines[self.row][: self.column]
            elif token == "\r":
                self.column = 0
            elif token == "\n":
                self.row += 1
                if self.row == self.height:
                    self.lines = [*self.lines[1:], ""]
                    self.row -= 1
                    self.scrolled += 1
            elif token[0] != "\x1b":
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + token + line[self.column + len(token) :]
                self.column += len(token)
                self.widest = max(self.widest, self.column)

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)


def city(tmp_path: Path, devices: int = 30, rule: Rule | None = None) -> tuple[Taker, Counted]:
    """A capture in which much has happened, good and bad."""
    lamps = [synth.Device("sign1", n, name=f"lamp-{n}", kind="lamp") for n in range(1, devices + 1)]
    ring = Keyring.load(synth.keyring(tmp_path / "k.json", *lamps))
    files = Counted(tmp_path / "city.pcapng", rule)
    taker = Taker(files, Receiver([ring], capped=True))
    for n, lamp in enumerate(lamps):
        data = lamp.send()
        if n % 7 == 0:
            data = data[:-1] + bytes((data[-1] ^ 1,))
        gateway = EUI[:-1] + bytes((n % 6,))
        frame = Frame(data, synth.START_US + n, gateway=gateway)
        taker.take(Message(Record(data, (frame,)), ""))
    for reason in ("bad_json", "bad_record", "bad_record", "truncated"):
        taker.take(Message(Record(b"junk", reason=reason), ""))
    taker.lost(17, "datagrams came faster than written")
    files.tally.refuse(b"x", 3, StoreError("cannot write city.pcapng: the disk is full"))
    return taker, files


def drawn(view: CaptureView, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    view._console = console
    with console.capture() as captured:
        console.print(view.draw())
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 10), (200, 60), (40, 12), (20, 5)])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_it_fits_any_terminal(tmp_path: Path, width: int, height: int, language: str) -> None:
    _, files = city(tmp_path)
    output.set_language(language)
    view = CaptureView("udp 0.0.0.0:1700", files.tally, files)
    view.note("station 0016c001ff10a235 is here")
    lines = drawn(view, width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "lanterne capture" in text
    if width >= 80 and height >= 24:
        for words in (
            "25 signed",
            "5 rejected",
            "lamp-30",
            "17  datagrams came faster",
            "3  cannot write",
            "lamp",
        ):
            assert words in text, words
        assert ("disk: " if language == "en" else "disque : ") in text
        assert "city.pcapng" in text and "0016c001ff10a205" in text


def test_names_from_outside_move_no_cursor(tmp_path: Path) -> None:
    files = Counted(tmp_path / "c.pcap")
    files.tally.device("\x1b[2J[red]x\n", Frame(b"\xe0", 1), None, 1)
    view = CaptureView("mqtt \x1b]0;x\x07", files.tally, files)
    view.note("[/]\x1b[A")
    text = "\n".join(drawn(view))
    assert "\x1b" not in text and "\x07" not in text and "[red]x" in text
    files.close()


def test_without_a_terminal_lines_come_now_and_then(tmp_path: Path) -> None:
    taker, files = city(tmp_path, 5, Rule(100_000))
    stream = io.StringIO()
    with CaptureView("x", files.tally, files, Console(file=stream, width=80), line_every_s=0.02):
        until(lambda: stream.getvalue().count("\n") >= 2)
    files.close()
    line = stream.getvalue().splitlines()[0]
    assert line.startswith("5 frames  ") and "4 signed  1 rejected" in line and "2 bad_record" in line
    assert "\x1b" not in stream.getvalue() and line.endswith(files.path.name)
    assert taker.tally is files.tally


def test_rates() -> None:
    now = 100.0
    tally = Tally(lambda: now)
    frame = (Frame(b"\xe0", 1),)
    for n in range(300):
        now = 100.0 + n
        tally.kept(b"", frame * 3, 1)
    assert tally.rates() == (3.0, 180) and tally.frames == 900
    now += 20
    assert tally.rates()[0] == 0 and tally.rates()[1] == 3 * 40
    now += 100
    assert tally.rates() == (0, 0)


def test_what_is_known_is_bounded() -> None:
    tally = Tally()
    for n in range(MAX_KNOWN + 50):
        tally.device(str(n), None, None, n)
        tally.kept(b"", (Frame(b"", 1, gateway=n.to_bytes(8, "big")),), n)
        tally.refuse(n.to_bytes(4, "big"), 2, StoreError("full"))
    assert len(tally.devices) == len(tally.gateways) == MAX_KNOWN
    assert tally.refused == 2 * (MAX_KNOWN + 50)
    # The newest are those that are known.
    assert [name for name, _ in tally.newest(tally.devices, 2)] == [str(MAX_KNOWN + 49), str(MAX_KNOWN + 48)]
    tally.kept((5).to_bytes(4, "big"), (), 1)
    assert tally.refused == 2 * (MAX_KNOWN + 49)


def test_who_a_frame_claims_to_be_from() -> None:
    key = bytes(16)
    assert address(Frame(lorawan_bench.data_frame(0x49BE7DF1, 2, key, key, 1, b"x"), 1)) == "49be7df1"
    assert address(Frame(lorawan_bench.request(key, bytes(8), bytes(range(8)), 7), 1)) == "0001020304050607"
    assert address(Frame(synth.Device("mac0", 258).send(), 1)) == "link 77:0102"
    for data in (b"", b"\xe0", b"\x40" * 5, b"\x60" * 30):
        assert address(Frame(data, 1)) == ""


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_949, "9.9 kB"), (12_345, "12 kB"), (999_999, "1.0 MB"),
     (5 * 10**13, "50 TB")],
)  # fmt: skip
def test_amounts(size: int, words: str) -> None:
    assert amount(size) == words


def test_the_command_in_a_terminal(tmp_path: Path) -> None:
    """Through a pty: it is drawn in place, never scrolls, and leaves the index behind."""
    lamp = synth.Device("sign1", 1, name="lamp-1", kind="lamp")
    synth.keyring(tmp_path / "k.json", lamp)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "host_tools.cli", "capture", f"udp://127.0.0.1:{port}", "-o", "out/"]
    command += ["--rotate", "100MB", "--view", "--keys", "k.json"]
    pid, master = pty.fork()
    if not pid:
        os.execve(command[0], command, {**os.environ, "TERM": "xterm-256color"})
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    screen = Screen()

    def read(seconds: float = 0.05) -> bool:
        if not select.select([master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(master, 65536)
        except OSError:
            return False
        screen.feed(data.decode("utf-8", "replace"))
        return bool(data)

    def see(words: str) -> None:
        end = time.monotonic() + 15
        while words not in screen.text():
            assert time.monotonic() < end, screen.text()
            read()

    see("lanterne capture")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(10)
        for n in range(1, 31):
            s.send(wrap_gwmp.push_data(lamp.send(), gateway=EUI, token=n, **RADIO))
            s.recv(10)
        s.send(b"junk")
    see("30 signed")
    see("1  bad_record")
    seen = screen.text()
    for words in ("30 frames", "lamp-1", "868.100 MHz  SF9", EUI.hex(), "capture-000001-", "disk: "):
        assert words in seen, seen
    assert screen.widest <= 80 and screen.scrolled == 0
    os.kill(pid, signal.SIGINT)
    while read(10):
        pass
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert os.waitstatus_to_exitcode(status) == output.INTERRUPTED
    left = screen.text()
    # What was drawn in place is gone; the index and the last word are there.
    assert "868.100 MHz" not in left and "interrupted: 30 frames kept in out" in left
    assert re.search(r"capture-000001-\S+\s+30 +\d+", left), left
    [path] = Path("out").glob("*.pcapng")
    assert len(frames(path)) == 30
