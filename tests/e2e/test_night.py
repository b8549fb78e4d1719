"""The whole way, from sensors to rows: what one night must show, what faults change, and nothing else."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host_tools import decode, sim
from host_tools.capture import CaptureWriter, read
from host_tools.frames import Frame
from host_tools.rows import Row, verify_line
from hw.virtual import ipc
from tests.conftest import ROOT, peer

pytestmark = pytest.mark.slow


def capture(path: Path, frames: Iterable[Frame]) -> Path:
    with CaptureWriter(path) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def rows(path: Path, keys: Path) -> list[Row]:
    return decode.decode([path], [keys]).rows


def assert_same(one: list[Row], other: list[Row]) -> None:
    """Equal, or the first differences, short enough to read."""
    different = [(verify_line(a), verify_line(b)) for a, b in zip(one, other, strict=False) if a != b]
    assert different[:3] == [], f"{len(different)} rows differ"
    assert len(one) == len(other)


def by_seq(found: Iterable[Row], name: str) -> dict[int, Row]:
    return {r.seq: r for r in found if r.name == name and r.seq is not None and r.state != "rejected"}


def test_no_board_failed_and_everything_is_accounted_for(night: sim.Result) -> None:
    assert night.failures == []
    counts = Counter((r.name, r.type) for r in night.rows)
    # 14 hours: a lamp and a bin every ten minutes, a meter every hour; what collided is asked for again.
    # The lamp tells each of two changes of its plan as well.
    assert 83 <= counts["lamp-1", "lamp"] <= 87
    assert 82 <= counts["bin-1", "bin"] <= 85
    assert 12 <= counts["leak-1", "leak"] <= 14
    for name in ("lamp-1", "bin-1", "leak-1"):
        assert counts[name, "hello"] == 1
    assert {r.state for r in night.rows if r.name == "lamp-1"} == {"signed"}
    assert counts["bin-1", "checkpoint"] >= 4
    assert counts["leak-1", "checkpoint"] >= 1
    assert night.summary["gaps"] == []


def test_the_readings_are_what_the_sensors_were_given(night: sim.Result) -> None:
    """Against the scenario's own numbers, not against anything the firmware computed."""
    readings = {(r.name, r.seq): r.values for r in night.rows}
    fills = [
        float(str(v["distance_m"])) for (n, _), v in readings.items() if n == "bin-1" and "distance_m" in v
    ]
    assert min(fills) == pytest.approx(0.44, abs=0.02)
    assert max(fills) == pytest.approx(1.19, abs=0.03)
    levels = [v["level_percent"] for (n, _), v in readings.items() if n == "lamp-1" and "level_percent" in v]
    assert set(levels) >= {100, 40}
    wanted = sim.load("demo")["board"][3]["water"]
    series, _ = sim.water_series(wanted, 14)
    last = [v for (n, _), v in sorted(readings.items()) if n == "leak-1" and "index_m3" in v][-1]
    # The last full hour of the night ends at five, an hour before the run.
    before, after = [max(r for r in series if r[0] <= 46.8e9), min(r for r in series if r[0] > 46.8e9)]
    expected = before[1] + (after[1] - before[1]) * (46.8e9 - before[0]) / (after[0] - before[0])
    assert float(str(last["index_m3"])) * 1000 == pytest.approx(expected, abs=2)


def test_commands_came_down_through_the_gateway(night: sim.Result) -> None:
    """TIME was accepted: later readings carry a time of quality 2 that agrees with the reception."""
    confirmed = Counter(r.name for r in night.rows if r.clock == "confirmed")
    assert set(confirmed) == {"lamp-1", "bin-1", "leak-1"}
    import datetime as dt

    for r in night.rows:
        if r.clock == "confirmed" and r.name == "lamp-1" and r.receptions == 1:
            told = dt.datetime.fromisoformat(r.time).timestamp()
            assert abs(told - r.received_at / 1e6) < 90, r


def test_the_store_holds_the_same(night: sim.Result) -> None:
    with sqlite3.connect(night.folder / "readings.db") as db:
        states = Counter(s for (s,) in db.execute("select state from reading_state"))
    assert states == Counter(r.state for r in night.rows)


def test_tshark_reads_the_capture(night: sim.Result) -> None:
    run = subprocess.run(
        [
            peer("tshark"),
            "-r",
            str(night.folder / "capture.pcap"),
            "-T",
            "fields",
            "-e",
            "loratap.rssi.packet",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(run.stdout.split("\n")) - 1 == len(list(read(night.folder / "capture.pcap")))
    assert "Malformed" not in run.stderr


def test_the_independent_verifier_prints_the_same_rows(night: sim.Result, keys: Path) -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-I",
            str(ROOT / "tests/verifier.py"),
            str(night.folder / "capture.pcap"),
            str(keys),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [verify_line(r) for r in night.rows]


def test_twenty_orders_of_the_same_frames_give_the_same_rows(
    night: sim.Result, keys: Path, tmp_path: Path
) -> None:
    frames = list(read(night.folder / "capture.pcap"))
    for seed in range(20):
        shuffled = random.Random(seed).sample(frames, len(frames))
        assert rows(capture(tmp_path / "x.pcap", shuffled), keys) == night.rows


def _flipped(
    night: sim.Result, keys: Path, folder: Path, name: str, type_: str, place: int
) -> tuple[int, list[Row]]:
    """Flip one byte in the middle of the `place`th frame of a kind; (its seq, the rows then)."""
    target = [r for r in night.rows if r.name == name and r.type == type_][place]
    frames = list(read(night.folder / "capture.pcap"))
    for i, frame in enumerate(frames):
        if frame_hash(frame) == target.frame:
            at = 7 + random.Random(place).randrange(len(frame.data) - 7)
            changed = frame.data[:at] + bytes((frame.data[at] ^ 0x20,)) + frame.data[at + 1 :]
            frames[i] = replace(frame, data=changed)
    assert target.seq is not None
    return target.seq, rows(capture(folder / "flip.pcap", frames), keys)


def frame_hash(frame: Frame) -> str:
    import hashlib

    return hashlib.sha256(frame.data).hexdigest()[:16]


@pytest.mark.parametrize("place", [5, 40])
def test_a_byte_in_a_sign1_frame_changes_that_row_only(
    night: sim.Result, keys: Path, tmp_path: Path, place: int
) -> None:
    seq, found = _flipped(night, keys, tmp_path, "lamp-1", "lamp", place)
    before, after = by_seq(night.rows, "lamp-1"), by_seq(found, "lamp-1")
    assert set(before) - set(after) == {seq}
    assert all(after[s] == before[s] for s in after)
    assert sum(r.state == "rejected" for r in found) == 1
    others = [r for r in night.rows if r.name != "lamp-1"]
    assert [r for r in found if r.name != "lamp-1" and r.state != "rejected"] == others


@pytest.mark.parametrize(("name", "type_", "place"), [("bin-1", "bin", 20), ("leak-1", "leak", 3)])
def test_a_byte_in_a_chained_frame_costs_its_segment_the_signature(
    night: sim.Result, keys: Path, tmp_path: Path, name: str, type_: str, place: int
) -> None:
    seq, found = _flipped(night, keys, tmp_path, name, type_, place)
    before, after = by_seq(night.rows, name), by_seq(found, name)
    checkpoints = sorted(s for s, r in before.items() if r.type == "checkpoint")
    end = min(c for c in checkpoints if c > seq)
    start = max([c for c in checkpoints if c < seq], default=0)
    assert set(before) - set(after) == {seq}
    for s, row in after.items():
        expected = before[s].state
        if start < s < end:
            expected = "authenticated"
        assert row.state == expected, (s, row.state, expected)
    assert sum(r.state == "rejected" for r in found) == 1


def test_a_byte_in_a_checkpoint_costs_only_its_segment(night: sim.Result, keys: Path, tmp_path: Path) -> None:
    seq, found = _flipped(night, keys, tmp_path, "bin-1", "checkpoint", 1)
    before, after = by_seq(night.rows, "bin-1"), by_seq(found, "bin-1")
    checkpoints = sorted(s for s, r in before.items() if r.type == "checkpoint")
    start = max([c for c in checkpoints if c < seq], default=0)
    assert set(before) - set(after) == {seq}
    for s, row in after.items():
        assert row.state == ("authenticated" if start < s < seq else before[s].state), s


def test_nothing_delivered_leaves_the_table_empty(tmp_path: Path) -> None:
    found = sim.run("demo", tmp_path / "out", sim.Options(seed=1, hours=3, deliver=False))
    assert found.rows == []
    assert found.failures == []


def test_the_same_seed_gives_the_same_bytes_and_another_others(tmp_path: Path) -> None:
    captures = []
    for number, seed in enumerate((5, 5, 6)):
        folder = tmp_path / str(number)
        found = sim.run("demo", folder, sim.Options(seed=seed, sink="file", hours=6))
        assert found.rows
        captures.append((folder / "capture.pcap").read_bytes())
    assert captures[0] == captures[1]
    assert captures[0] != captures[2]


def test_how_busy_the_machine_is_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captures = []
    answer = ipc.Process.answer
    dice = random.Random(1)

    def late(process: ipc.Process, *given: Any) -> None:
        if dice.random() < 0.05:
            time.sleep(dice.random() / 30)
        answer(process, *given)

    for name in ("quiet", "busy"):
        found = sim.run("demo", tmp_path / name, sim.Options(seed=5, sink="file", hours=4))
        assert found.rows
        captures.append((tmp_path / name / "capture.pcap").read_bytes())
        monkeypatch.setattr(ipc.Process, "answer", late)
    assert captures[0] == captures[1]


def test_the_socket_gives_the_same_rows_again(night: sim.Result, tmp_path: Path) -> None:
    again = sim.run("demo", tmp_path / "again", sim.Options(seed=1))
    assert_same(again.rows, night.rows)


def test_without_answers_socket_and_file_give_the_same_rows(tmp_path: Path) -> None:
    mute = sim.run("demo", tmp_path / "socket", sim.Options(seed=4, hours=6, answers=False))
    file = sim.run("demo", tmp_path / "file", sim.Options(seed=4, hours=6, sink="file"))
    assert mute.rows

    # Writing to flash holds the gateway up, so the millisecond of a reception may differ.
    def timeless(found: list[Row]) -> list[Row]:
        return [replace(r, received_at=0) for r in found]

    assert_same(timeless(mute.rows), timeless(file.rows))


def test_a_killed_board_loses_no_stored_reading(tmp_path: Path) -> None:
    """The bin's process is killed in mid-run; what it had committed is heard, and others go on."""
    import os
    import signal

    killed: list[str] = []

    def kill_later(world: object) -> None:
        from hw.virtual.world import World

        assert isinstance(world, World)
        board = world.boards["bin-1"]
        board.options = board.options._replace(on_kill="restart")

        def kill() -> None:
            assert board.process is not None
            os.kill(board.process.pid, signal.SIGKILL)
            killed.append(board.name)

        world.at(3 * 3600 + 1234, kill)

    found = sim.run("demo", tmp_path / "out", sim.Options(seed=2, hours=6, on_world=kill_later))
    assert killed == ["bin-1"]
    hellos = [r for r in found.rows if r.name == "bin-1" and r.type == "hello"]
    assert [r.values["boot_count"] for r in hellos] == [1, 2]
    seqs = sorted(r.seq for r in found.rows if r.name == "bin-1" and r.seq is not None)
    assert len(seqs) == len(set(seqs))
    last = hellos[1].values["last_seq"]
    assert isinstance(last, int)
    # Every number of the first life is there: the frame under way was committed and came after the restart.
    assert [s for s in seqs if s <= last] == list(range(1, last + 1))
    assert found.summary["gaps"] == []
    assert {r.name for r in found.rows} == {"lamp-1", "bin-1", "leak-1"}


def test_losses_on_the_air_are_asked_for_and_made_good(tmp_path: Path) -> None:
    found = sim.run("demo", tmp_path / "out", sim.Options(seed=3, hours=10, loss=0.15))
    assert found.failures == []
    early = [r for r in found.rows if r.name == "bin-1" and r.seq is not None and r.seq <= 40]
    assert len(early) == 40
    assert {r.state for r in early} == {"signed"}
