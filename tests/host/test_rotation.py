"""Capture files that follow each other: names, borders, what is deleted, full disks, what kills leave."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host_tools.errors import StoreError, UsageError
from host_tools.formats import jsonlines, origin, pcap, pcapng
from host_tools.frames import Frame, Record
from host_tools.rotation import CaptureFiles, Rule, rule
from tests.conftest import ROOT

T0 = 1_790_000_000_000_000
GATEWAY = bytes.fromhex("0016c001ff10a235")


def message(n: int, size: int = 20) -> Record:
    raw = json.dumps({"n": n, "pad": "x" * size}).encode() + b"\n"
    return Record(raw, (Frame(n.to_bytes(4, "big") * 4, T0 + n * 1_000_000, gateway=GATEWAY),))


def frames(path: Path) -> list[Frame]:
    module = pcapng if path.suffix == ".pcapng" else pcap
    notes: list[str] = []
    with path.open("rb") as f:
        found = [frame for r in module.read(f, path.name, notes) for frame in r.frames]
    assert notes == []
    return found


def numbers(paths: list[Path]) -> list[int]:
    return [int.from_bytes(f.data[:4], "big") for p in paths for f in frames(p)]


class Clock:
    def __init__(self) -> None:
        self.us = T0

    def __call__(self) -> int:
        return self.us


@pytest.mark.parametrize(
    ("rotate", "keep", "found"),
    [
        ("100MB", None, Rule(100_000_000)),
        ("1MiB", None, Rule(1 << 20)),
        ("1h", None, Rule(0, 3600)),
        ("15min", "3", Rule(0, 900, 3)),
        ("15m", None, Rule(0, 900)),
        ("100MB,1d", "1GB", Rule(100_000_000, 86400, 0, 1_000_000_000)),
        ("30s", "8kB", Rule(2000, 30, 0, 8000)),
        (None, None, None),
    ],
)
def test_rules_in_words(rotate: str | None, keep: str | None, found: Rule | None) -> None:
    assert rule(rotate, keep) == found


@pytest.mark.parametrize(
    ("rotate", "keep"),
    [
        ("", None), ("0s", None), ("0MB", None), ("1", None), ("1h,2h", None), ("1MB,2MB", None), ("10", None),
        ("1h", "0"), ("1h", "-1"), ("1h", "1h"), ("1h", "٣"), ("100MB", "150MB"), (None, "5"), ("-1MB", None),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_named(rotate: str | None, keep: str | None) -> None:
    with pytest.raises(UsageError):
        rule(rotate, keep)


@pytest.mark.parametrize("suffix", [".pcap", ".pcapng"])
def test_by_size_nothing_is_lost_at_the_borders(tmp_path: Path, suffix: str) -> None:
    clock = Clock()
    files = CaptureFiles(tmp_path / f"c{suffix}", Rule(1500), clock_us=clock)
    for n in range(100):
        files.add(message(n), "json")
        clock.us += 1_000_000
    files.close()
    paths = [e.path for e in files.entries]
    assert len(paths) > 3 and sorted(tmp_path.iterdir()) == paths
    assert numbers(paths) == list(range(100))
    assert paths[0].name == f"c-000001-20260921T141320Z{suffix}"
    # The index tells what is in the files.
    for entry in files.entries:
        inside = frames(entry.path)
        assert (entry.frames, entry.size) == (len(inside), entry.path.stat().st_size)
        assert (entry.begin_us, entry.end_us) == (inside[0].time_us, inside[-1].time_us)
        assert entry.size < 1500 + 2000


def test_each_file_gives_its_messages_back(tmp_path: Path) -> None:
    with CaptureFiles(tmp_path / "c.pcapng", Rule(4000)) as files:
        for n in range(60):
            files.add(message(n), "json")
            files.add(Record(b'{"stat":%d}\n' % n), "json")
    found = b""
    for entry in files.entries:
        with entry.path.open("rb") as f:
            original = origin.restore(f, str(entry.path))
            assert original.fmt == jsonlines.NAME
            found += b"".join(original)
    assert found == b"".join(message(n).raw + b'{"stat":%d}\n' % n for n in range(60))
    assert frames(files.entries[0].path)[0].gateway == GATEWAY


def test_many_messages_without_frames_stay_in_bounds(tmp_path: Path) -> None:
    """What waits for a frame is written aside, and none of it needs a second file."""
    with CaptureFiles(tmp_path / "c.pcapng") as files:
        wanted = b""
        for n in range(5):
            raw = b"%d" % n * 400_000 + b"\n"
            wanted += raw
            files.add(Record(raw), "json")
        files.add(message(7), "json")
    assert [p.name for p in tmp_path.iterdir()] == ["c.pcapng"]
    with (tmp_path / "c.pcapng").open("rb") as f:
        assert b"".join(origin.restore(f, str(tmp_path / "c.pcapng"))) == wanted + message(7).raw


def test_by_time_at_full_periods(tmp_path: Path) -> None:
    clock = Clock()
    clock.us = 1_789_999_200_000_000 + 3_500_000_000  # 100 s ahead of a full hour
    with CaptureFiles(str(tmp_path) + "/", Rule(0, 3600), clock_us=clock) as files:
        for n in range(4):
            files.add(message(n))
            clock.us += 60_000_000
        # Nothing comes for hours: the file ends all the same, and no empty ones are made meanwhile.
        clock.us += 7_200_000_000
        files.tick()
        files.tick()
        ended = files.entries[-1].path
        assert numbers([ended]) == [2, 3]
        clock.us += 60_000_000
        files.add(message(4))
    assert [e.frames for e in files.entries] == [2, 2, 1]
    assert [e.path.name[:14] for e in files.entries] == [f"capture-00000{n}" for n in (1, 2, 3)]


def test_a_clock_that_jumps_back_loses_nothing(tmp_path: Path) -> None:
    clock = Clock()
    with CaptureFiles(tmp_path / "c.pcap", Rule(0, 60), clock_us=clock) as files:
        for n in range(20):
            files.add(message(n))
            clock.us += (-1) ** n * n * 100_000_000
    assert sorted(numbers([e.path for e in files.entries])) == list(range(20))


def test_another_run_goes_on_with_the_numbers(tmp_path: Path) -> None:
    for run in range(3):
        with CaptureFiles(tmp_path / "c.pcap", Rule(200)) as files:
            for n in range(10):
                files.add(message(run * 10 + n))
    assert numbers(sorted(tmp_path.glob("*.pcap"))) == list(range(30))
    # Two at once take no file from each other.
    with (
        CaptureFiles(tmp_path / "c.pcap", Rule(200)) as one,
        CaptureFiles(tmp_path / "c.pcap", Rule(200)) as two,
    ):
        for n in range(30, 50):
            (one if n % 2 else two).add(message(n))
    assert sorted(numbers(list(tmp_path.glob("*.pcap")))) == list(range(50))


@pytest.mark.parametrize(("keep", "most"), [({"keep_files": 3}, 3), ({"keep_bytes": 3000}, 5)])
def test_the_oldest_files_go(tmp_path: Path, keep: dict[str, int], most: int) -> None:
    others = [tmp_path / n for n in ("c.pcap", "c-1.pcap", "cc-000001-20260921T141320Z.pcap", "keys.json")]
    others.append(tmp_path / "c-000001-20260921T141320Z.pcapng")
    for path in others:
        path.write_bytes(b"of somebody else")
    with CaptureFiles(tmp_path / "c.pcap", Rule(1000, **keep)) as files:
        for n in range(300):
            files.add(message(n))
            if "keep_bytes" in keep:
                ours = [e.path for e in files.entries if not e.deleted]
                assert sum(p.stat().st_size for p in ours) <= 3000
    left = [e.path for e in files.entries if not e.deleted]
    assert 2 <= len(left) <= most and len(files.entries) > 10
    assert files.frames == len(numbers(left)) and str(files) == str(tmp_path / "c-*.pcap")
    assert sorted(set(tmp_path.iterdir()) - set(others)) == left
    assert all(path.read_bytes() == b"of somebody else" for path in others)
    assert numbers(left) == list(range(300))[-len(numbers(left)) :]


def test_one_file_goes_on_and_is_never_deleted(tmp_path: Path) -> None:
    path = tmp_path / "c.pcapng"
    for n in range(3):
        with CaptureFiles(path, append=bool(n)) as files:
            files.add(message(n), "json")
    assert numbers([path]) == [0, 1, 2]
    with pytest.raises(UsageError, match="--append"):
        CaptureFiles(path, Rule(1000), append=True)
    with pytest.raises(UsageError, match="needs a file"):
        CaptureFiles("-")


def test_a_place_that_refuses_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="its folder does not exist"):
        CaptureFiles(tmp_path / "no" / "c.pcap", Rule(1000))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        CaptureFiles(str(tmp_path / "file") + "/")


@pytest.mark.parametrize("rotating", [None, Rule(1000)])
def test_nothing_is_written_after_the_end(tmp_path: Path, rotating: Rule | None) -> None:
    files = CaptureFiles(tmp_path / "c.pcap", rotating)
    files.add(message(1))
    files.close()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match="has ended"):
        files.add(message(2))
    files.tick()
    files.sync()
    files.close()
    assert sorted(tmp_path.iterdir()) == before and numbers(before) == [1]


class Full(io.RawIOBase):
    """A disk that takes `left` bytes, half a record included, and more after `free`."""

    def __init__(self, inner: io.FileIO, disk: Disk) -> None:
        self._inner, self._disk = inner, disk

    def write(self, data: bytes) -> int:  # type: ignore[override]
        taken = data[: max(self._disk.left, 0)]
        if not taken:
            raise OSError(28, "No space left on device")
        self._disk.left -= len(taken)
        return self._inner.write(taken)

    def truncate(self, size: int | None = None) -> int:
        before = os.fstat(self._inner.fileno()).st_size
        done = self._inner.truncate(size)
        self._disk.left += before - os.fstat(self._inner.fileno()).st_size
        return done

    def seek(self, *args: int) -> int:
        return self._inner.seek(*args)

    def fileno(self) -> int:
        return self._inner.fileno()

    def close(self) -> None:
        self._inner.close()


class Disk:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        opened = os.fdopen

        def wrapped(*args: object, **kw: object) -> object:
            return Full(opened(*args, **kw), self)  # type: ignore[call-overload]

        monkeypatch.setattr("host_tools.formats.pcap.os.fdopen", wrapped)


@pytest.mark.parametrize("suffix", [".pcap", ".pcapng"])
@pytest.mark.parametrize("limit", [900, 100_000])
def test_a_full_disk_costs_only_what_it_refuses(
    tmp_path: Path, suffix: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is a new file that finds no room: the old one goes on. With room again all goes on."""
    told: list[str] = []
    disk = Disk(monkeypatch, 3000 if suffix == ".pcapng" else 1500)
    files = CaptureFiles(tmp_path / f"c{suffix}", Rule(limit), tell=told.append)
    refused = []
    for n in range(80):
        if n == 60:
            disk.left += 100_000
        try:
            files.add(message(n), "json")
        except StoreError as e:
            assert "the disk is full" in str(e)
            refused.append(n)
    files.close()
    assert refused and refused[-1] == 59 and 0 not in refused
    paths = [e.path for e in files.entries]
    assert sorted(tmp_path.iterdir()) == paths
    assert numbers(paths) == [n for n in range(80) if n not in refused]
    assert files.frames == 80 - len(refused)
    if suffix == ".pcapng":
        got = b""
        for path in paths:
            with path.open("rb") as f:
                got += b"".join(origin.restore(f, str(path)))
        assert got == b"".join(message(n).raw for n in range(80) if n not in refused)


def test_no_room_for_the_end_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    disk = Disk(monkeypatch, 100_000)
    files = CaptureFiles(tmp_path / "c.pcapng", tell=told.append)
    files.add(message(1), "json")
    disk.left = 10
    files.close()
    assert numbers([tmp_path / "c.pcapng"]) == [1]
    assert len(told) == 1 and "the disk is full" in told[0]


WRITER = """
import sys
from tests.host.test_rotation import CaptureFiles, Rule, message
files = CaptureFiles(sys.argv[1], Rule(3000))
n = 0
try:
    while True:
        files.add(message(n), "json")
        files.sync()
        print(n, flush=True)
        n += 1
finally:
    files.close()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_was_written_survives_the_end_of_the_program(tmp_path: Path, number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "c.pcapng")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    last = -1
    while last < 40:
        last = int(process.stdout.readline())
    process.send_signal(number)
    for line in process.stdout:
        last = int(line) if line.strip().isdigit() else last
    process.wait(10)
    found: list[int] = []
    for path in sorted(tmp_path.iterdir()):
        with path.open("rb") as f:
            records = pcapng.read(f, path.name, [])
            found += [int.from_bytes(x.data[:4], "big") for r in records for x in r.frames]
    # The one under way may be there, too; nothing that was answered is missing.
    assert found[: last + 1] == list(range(last + 1)) and len(found) <= last + 2
    # A later run takes other files.
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    with CaptureFiles(tmp_path / "c.pcapng", Rule(3000)) as files:
        files.add(message(0), "json")
    assert all(p.read_bytes() == data for p, data in before.items())


def test_it_keeps_up(tmp_path: Path) -> None:
    """Rotation, counting and names cost little beside the writing itself."""
    began = time.perf_counter()
    with CaptureFiles(tmp_path / "c.pcap", Rule(100_000, 0, 5)) as files:
        for n in range(5000):
            files.add(message(n))
    assert time.perf_counter() - began < 5
