"""The command as a process: closed, full and broken standard streams, signals, and what is left afterwards."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

from host_tools import output
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_cli_capture import Listening, record

pytestmark = pytest.mark.usefixtures("quiet_place")
COMMAND = f"{sys.executable} -m host_tools.cli"


@pytest.fixture
def files(sample: Path) -> str:
    return f"{sample}/capture.pcap --keys {sample}/reader.json"


def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **env},
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("streams", "code", "said"),
    [
        ("> /dev/full", output.STORE_REFUSED, "lanterne: standard output: the disk is full\n"),
        ("> /dev/full 2> /dev/full", output.STORE_REFUSED, ""),
        (">&-", output.STORE_REFUSED, "lanterne: standard output is closed\n"),
        (">&- 2>&-", output.STORE_REFUSED, ""),
        ("2>&-", output.DONE, ""),
        ("2> /dev/full", output.DONE, ""),
        ("| true; exit ${PIPESTATUS[0]}", output.DONE, None),
        ("< /dev/null", output.DONE, None),
        ("<&-", output.DONE, None),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_streams_that_refuse(
    files: str, streams: str, code: int, said: str | None, unbuffered: str
) -> None:
    done = shell(f"{COMMAND} decode {files} {streams}", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == code, done.stderr
    assert said is None or done.stderr == said
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("streams", "code", "said"),
    [
        ("> /dev/full", output.STORE_REFUSED, "lanterne: standard output: the disk is full\n"),
        (">&-", output.STORE_REFUSED, "lanterne: standard output is closed\n"),
        ("| true; exit ${PIPESTATUS[0]}", output.DONE, ""),
    ],
)
def test_the_demonstration_ends_like_every_command(streams: str, code: int, said: str) -> None:
    program = (
        "import sys; from host_tools import cli, demo; demo.main = lambda a: print('x' * 99_999) or 0;"
        "cli.ready_streams(); sys.exit(demo.run([]))"
    )
    done = shell(f'{sys.executable} -c "{program}" {streams}')
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("streams", ["2>&-", "2> /dev/full", "2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}"])
def test_the_exit_code_tells_where_nobody_can_be_told(streams: str) -> None:
    done = shell(f"{COMMAND} decode none.pcap {streams}")
    assert (done.returncode, done.stdout, done.stderr) == (output.UNREADABLE, "", "")


def test_a_letter_that_the_terminal_lacks(tmp_path: Path) -> None:
    device = Device("sign1", 1, name="été-7", kind="lamp")
    synth.capture(tmp_path / "c.pcap", device.run(1))
    synth.keyring(tmp_path / "k.json", device)
    for form in ("table", "csv", "jsonl"):
        line = f"{COMMAND} decode c.pcap -k k.json --format {form}"
        done = shell(line, PYTHONIOENCODING="ascii")
        assert done.returncode == 0, done.stderr
        assert "\\xe9t\\xe9-7" in done.stdout
    assert shell(f"{COMMAND} --lang fr --help", PYTHONIOENCODING="ascii").returncode == 0


def test_no_child_writes_into_a_file_of_ours(tmp_path: Path) -> None:
    """With standard output closed, the next file that is opened would take its number."""
    code = (
        "import os, subprocess, sys; from host_tools.cli import ready_streams; ready_streams();"
        "f = open('x', 'w'); subprocess.run(['echo', 'child']); f.close(); sys.exit(os.path.getsize('x'))"
    )
    assert shell(f'{sys.executable} -c "{code}" >&-').returncode == 0


def test_an_interrupt_in_the_middle_of_a_long_decode(tmp_path: Path) -> None:
    frames = [os.urandom(40) for _ in range(20_000)]
    synth.capture(tmp_path / "c.pcap", frames)
    (tmp_path / "o.csv").write_text("of before")
    os.mkfifo(tmp_path / "pipe")
    with (
        subprocess.Popen(
            [*COMMAND.split(), "decode", "c.pcap", "pipe", "-o", "o.csv"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        (tmp_path / "pipe").open("wb"),  # which opens when the other end does, with the first file read
    ):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (output.INTERRUPTED, "", "lanterne: interrupted\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.pcap", "o.csv", "pipe"]
    assert (tmp_path / "o.csv").read_text() == "of before"


def test_a_closed_terminal_ends_a_capture_like_an_interrupt() -> None:
    device = Device("sign1", 1, name="lamp-1", kind="lamp")
    listening = Listening("-o", "c.pcap")
    listening.send(record(1, device.send()))
    code, _, err = listening.end(signal.SIGHUP)
    assert (code, err) == (output.INTERRUPTED, "lanterne: interrupted: 1 frames kept in c.pcap\n")


def test_a_reader_that_has_seen_enough_ends_a_capture(tmp_path: Path) -> None:
    """`lanterne capture ... --json | head -1`: what was received is kept, and it is no error."""
    device = Device("sign1", 1, name="lamp-1", kind="lamp")
    synth.keyring(tmp_path / "k.json", device)
    read, write = os.pipe()
    process = subprocess.Popen(
        [*COMMAND.split(), "capture", "tcp:127.0.0.1:0", "-o", "c.pcap", "-k", "k.json", "--json"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert process.stderr is not None
    port = int(process.stderr.readline().rpartition(":")[2])
    answered = 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        stream = s.makefile("rb")
        for number in range(1, 4):
            s.sendall(record(number, device.send()))
            answered += cbor2.loads(stream.read(int.from_bytes(stream.read(2), "big")))[1] == number
            if number == 1:
                assert os.read(read, 10).startswith(b"{")
                os.close(read)
            if process.poll() is not None:
                break
    assert process.wait(timeout=20) == output.DONE
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert (tmp_path / "c.pcap").read_bytes().count(b"\xe0\x0a\x77") == answered >= 2


def test_a_table_is_cut_at_the_edge_of_a_terminal_and_nowhere_else(files: str) -> None:
    """On a terminal a row is a line; a pipe and a file get all of it."""

    def lines(width: int) -> list[str]:
        parent, child = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-c", f"stty cols {width}; {COMMAND} decode {files} -q"],
            stdin=child,
            stdout=child,
            stderr=child,
            env={k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")},
        )
        os.close(child)
        data = b""
        try:
            while more := os.read(parent, 65536):
                data += more
        except OSError:
            pass  # the other side is closed
        os.close(parent)
        assert process.wait(timeout=30) == 0
        return data.decode().replace("\r\n", "\n").splitlines()

    whole = shell(f"{COMMAND} decode {files} -q").stdout.splitlines()
    assert max(map(len, whole)) > 80
    for width in (60, 80):
        shown = lines(width)
        assert len(shown) == len(whole)
        assert max(map(len, shown)) == width
        for line, full in zip(shown, whole, strict=True):
            assert line == full or (line.endswith("…") and full.startswith(line[:-1]))
    assert lines(300) == whole
