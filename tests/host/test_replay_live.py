"""`lanterne replay` into live receivers: pace, loops, backpressure, Ctrl-C, reports, addresses that are none."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from host_tools import capture, cli, output, replay, targets
from host_tools.errors import UsageError
from host_tools.faults import Fault, Faults
from host_tools.frames import Frame
from host_tools.targets.base import Ledger
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_targets_gwmp import Server


class Taker:
    """A live target that takes each frame at once, or slowly, and notes when."""

    live = True

    def __init__(self, slow_s: float = 0.0, stop_at: int = 0) -> None:
        self.ledger = Ledger()
        self.slow_s, self.stop_at = slow_s, stop_at
        self.at: list[float] = []
        self.frames: list[Frame] = []
        self.closed = 0

    def open(self) -> None: ...

    def send(self, number: int, frame: Frame) -> None:
        if number == self.stop_at:
            raise KeyboardInterrupt
        self.at.append(time.monotonic())
        self.frames.append(frame)
        self.ledger.sent(number)
        self.ledger.acked(number)
        time.sleep(self.slow_s)

    def settle(self, seconds: float) -> None: ...

    def close(self) -> None:
        self.closed += 1

    def told(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Ten frames and a checkpoint."""
    return synth.capture(tmp_path / "in.pcap", Device("mac0", 2).run(10))


def times(path: Path) -> list[int]:
    return [f.time_us for f in capture.read(path)]


def test_frames_go_out_in_their_own_time(night: Path) -> None:
    planned = [(t - times(night)[0]) / 1e6 for t in times(night)]
    speed = planned[-1] / 0.3
    taker = Taker()
    report = replay.play(night, taker, speed=speed)
    taken = [t - taker.at[0] for t in taker.at]
    for wanted, found in zip(planned, taken, strict=True):
        # The upper bound is for machines that are busy.
        assert wanted / speed - 0.001 <= found <= wanted / speed + 1
    assert report.behind_s < 1
    began = time.monotonic()
    replay.play(night, Taker(), speed=0)
    assert time.monotonic() - began < planned[-1] / 2


def test_a_slow_receiver_is_told(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_BEHIND_S", 0.05)
    told: list[str] = []
    report = replay.play(night, Taker(slow_s=0.03), speed=1e6, tell=told.append)
    assert len([line for line in told if "slower than the source" in line]) == 1
    assert report.behind_s > 0.1 and report.records == len(times(night))


def test_loops_go_on_in_time(night: Path) -> None:
    taker = Taker()
    report = replay.play(night, taker, Faults((Fault("bit_flip", at=frozenset((1, 12))),)), speed=0, loops=3)
    once = times(night)
    assert report.records == 3 * len(once) and report.loops == 3
    span = once[-1] - once[0]
    step = span + span // (len(once) - 1)
    assert [f.time_us for f in taker.frames] == [t + n * step for n in range(3) for t in once]
    assert [e["input"] for e in report.entries] == [1, 12]
    data = [f.data for f in capture.read(night)]
    assert [f.data for f in taker.frames][2 * len(once) :] == data


def test_a_cut_comes_in_one_burst(night: Path) -> None:
    once = times(night)
    taker = Taker()
    begin, end = ((once[n] - once[0]) / 1e6 for n in (2, 7))
    cut = Faults((Fault("backhaul_cut", start_s=begin, end_s=end),))
    speed = (once[-1] - once[0]) / 1e6 / 0.8
    replay.play(night, taker, cut, speed=speed)
    at = [taker.at[n] - taker.at[0] for n in range(2, 7)]
    # Without the fault they would take 0.3 s.
    assert max(at) - min(at) < 0.15
    assert end / speed - 0.001 <= min(at)
    assert [f.time_us for f in taker.frames] == once


def test_an_interrupt_ends_with_a_report(night: Path) -> None:
    taker = Taker(stop_at=4)
    report = replay.play(night, taker, speed=0)
    assert report.interrupted and report.records == 3 and taker.closed == 1
    assert report.as_dict()["interrupted"] is True and report.as_dict()["receiver"]["acknowledged"] == 3


def test_a_long_wait_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    pace = replay._Pace(1.0, told.append)
    pace.wait(1_000_000)
    # Time that runs backwards waits for nothing.
    pace.wait(1)

    def stop() -> None:
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.05, stop)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        pace.wait(3_600_000_000)
    assert len(told) == 1 and "--speed" in told[0]


def test_the_same_seed_gives_the_same_pcapng(night: Path, tmp_path: Path) -> None:
    wanted = Faults((Fault("duplicate", rate=0.4, gateway=bytes(range(8))), Fault("clock_drift", ppm=30.0)))
    made = []
    for n, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{n}.pcapng"
        replay.replay(night, path, wanted, seed)
        made.append(path.read_bytes())
    assert made[0] == made[1] != made[2]
    # What pcap has no place for.
    assert bytes(range(8)) in {f.gateway for f in capture.read(tmp_path / "0.pcapng")}


def test_faults_without_effect_are_told(night: Path, tmp_path: Path) -> None:
    told: list[str] = []
    wanted = Faults((Fault("counter_jump", nth=1), Fault("drop", nth=3), Fault("tx_ack", nth=1)))
    replay.play(night, targets.make(str(tmp_path / "x.pcap"), targets.Options()), wanted, tell=told.append)
    assert [line.split()[0] for line in told] == ["late_rx1", "counter_jump"]
    told.clear()
    replay.play(night, Taker(), Faults((Fault("tx_ack", nth=1),)), speed=0, tell=told.append)
    assert told == []


# The command


@pytest.fixture
def here(night: Path, quiet_place: None) -> Path:
    Path("c.pcap").write_bytes(night.read_bytes())
    return night


def test_the_command_tells_each_frames_fate(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "SETTLE_S", 0.3)
    server = Server(mute=frozenset((2,)), downlinks=frozenset((1,)))
    Path("f.toml").write_text('[[fault]]\nkind = "drop"\nat = [5]\n[[fault]]\nkind = "tx_ack"\nnth = 1\n')
    url = f"udp://127.0.0.1:{server.port}"
    arguments = ["replay", "c.pcap", url, "--speed", "0", "--faults", "f.toml", "--report", "r.jsonl"]
    assert cli.run([*arguments, "--json"]) == 0
    count = len(times(here))
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [total] = [f for f in found if f["kind"] == "sum"]
    receiver = total["receiver"]
    assert (receiver["sent"], receiver["acknowledged"]) == (count - 1, count - 2)
    assert receiver["downlinks"] == {"TOO_LATE": 1}
    states = {f["output"]: f["state"] for f in found if f["kind"] == "frame"}
    assert len(states) == count - 1 and [n for n, s in states.items() if s == "unacknowledged"] == [2]
    lines = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [k["kind"] for k in lines[:3]] == ["sum", "fault", "downlink"]
    assert len(lines) == count + 2
    assert cli.run([*arguments, "--yes", "--lang", "fr"]) == 0
    server.stop()
    assert f"{count - 1} trames envoyées" in capsys.readouterr().out


def test_an_interrupted_command_says_what_it_sent(here: Path) -> None:
    server = Server()
    arguments = ["replay", "c.pcap", f"udp://127.0.0.1:{server.port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "host_tools.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    end = time.monotonic() + 10
    while not server.pushed and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)  # until the answer is there, too
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    server.stop()
    assert process.returncode == output.INTERRUPTED, err
    assert b"1 frames sent, 1 acknowledged" in out and b"interrupted: 1 frames went to" in err


@pytest.mark.parametrize(
    "text",
    [
        "udp:localhost:1700",
        "udp://",
        "udp://h:99999",
        "udp://h:1700/x",
        "ws://h/?x=1",
        "ws://u@h",
        "mqtt://h",
        "mqtt://h/a/+",
        "mqtt://h/a?encoding=xml",
        "mqtt://h/a?user=x",
        "tcp:h",
        "tcp:h:0",
        "serial:",
    ],
)
def test_a_target_that_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        targets.make(text, targets.Options())


def test_a_password_in_an_address_is_refused_and_not_repeated(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for scheme in ("mqtt", "ws", "udp"):
        for more in ([], ["--keys", "k.json"]):
            assert cli.run(["replay", "c.pcap", f"{scheme}://lab:hush@h/p", *more]) == output.USAGE
            said = capsys.readouterr()
            assert "hush" not in said.err + said.out and "--secret-file" in said.err
    for secretive in ("x.pcap", "udp://h:1", "mqtt://h/p"):
        with pytest.raises(UsageError):
            targets.make(secretive, targets.Options(secret="hush"))


def test_what_does_not_go_together(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, word in (
        (["c.pcap", "udp://127.0.0.1:9", "--keys", "k.json"], "--keys compares"),
        (["c.pcap", "x.pcap", "--loop", "0"], "fills the disk"),
        (["-", "udp://127.0.0.1:9", "--loop", "2"], "read once"),
        (["c.pcap", "udp://127.0.0.1:9", "--gateway", "12"], "EUI"),
        (["c.pcap", "x.pcap", "--report", "x.pcap"], "two outputs"),
        (["c.pcap", "air:c.pcap"], "the input itself"),
    ):
        assert cli.run(["replay", *arguments]) == output.USAGE
        assert word in capsys.readouterr().err
    assert cli.run(["replay", "c.pcap", "udp://127.0.0.1:9", "--dry-run"]) == 0
    assert not Path("x.pcap").exists()
