"""`lanterne capture` of a live source in a process of its own, and a sink whose disk may be full."""

from __future__ import annotations

import atexit
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from host_tools.errors import StoreError
from host_tools.formats import origin, pcap, pcapng
from host_tools.frames import Frame, Record
from host_tools.sources.taker import Counted, Taker

RADIO = {
    "time_us": 1_790_000_000_000_000,
    "freq_hz": 868_100_000,
    "sf": 9,
    "bw_hz": 125_000,
    "rssi_qdbm": -400,
    "snr_qdb": 22,
    "counter_us": 3512348611,
}


def frames(path: Path | str) -> list[Frame]:
    """What a capture holds; nothing in it may be damaged."""
    path = Path(path)
    module = pcapng if path.suffix == ".pcapng" else pcap
    notes: list[str] = []
    with path.open("rb") as f:
        found = [frame for r in module.read(f, path.name, notes) for frame in r.frames]
    assert notes == []
    return found


def messages(path: Path | str) -> tuple[str, bytes]:
    """Format and bytes of the messages that a capture was made of."""
    with Path(path).open("rb") as f:
        found = origin.restore(f, str(path))
        return found.fmt, b"".join(found)


def until(true: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


class Disk(Counted):
    """Files on a disk that is full while `full`."""

    full = False
    syncs = 0

    def add(self, record: Record, fmt: str = "") -> None:
        if self.full:
            error = StoreError(f"cannot write {self.path}: the disk is full")
            self.tally.refuse(sha256(record.raw).digest(), len(record.frames), error)
            raise error
        super().add(record, fmt)

    def sync(self) -> None:
        self.syncs += 1
        super().sync()


def sink(path: Path) -> tuple[Disk, Taker]:
    disk = Disk(path)
    return disk, Taker(disk)


class Capturing:
    """The command; `port` is known once it listens."""

    def __init__(
        self, source: str, *arguments: str, mark: str = "capturing from", **environment: str
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "host_tools.cli", "capture", source, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        # A test that fails before its end leaves no program behind.
        atexit.register(self.process.kill)
        self._lines: queue.Queue[str] = queue.Queue()
        self.err = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        found = re.search(r":(\d+)", self.line(mark))
        self.port = int(found[1]) if found else 0

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.err += line
            self._lines.put(line)

    def line(self, mark: str) -> str:
        """The next line on standard error that holds `mark`."""
        while True:
            try:
                line = self._lines.get(timeout=10)
            except queue.Empty:
                raise AssertionError(f"no {mark!r} in {self.err!r}") from None
            if mark in line:
                return line

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        assert self.process.stdout
        out = self.process.stdout.read()
        code = self.process.wait(20)
        self._thread.join(10)
        self.process.stdout.close()
        return code, out, self.err
