"""`make demo` as somebody sees it who has no test data and no terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host_tools import decode
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def demo(folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "LANTERNE_DATA"} | {"COLUMNS": "100", **changes}
    return subprocess.run(
        [sys.executable, "-m", "host_tools.demo", str(folder)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demonstration_ends_well_and_says_what_to_look_at(tmp_path: Path) -> None:
    out = tmp_path / "demo-out"
    run = demo(out)
    assert run.returncode == 0, run.stderr
    # Wherever the line was broken.
    assert "Water: synthetic series, water-synthetic.csv" in " ".join(run.stdout.split())
    assert "Clean replay: the same" in run.stdout
    for reason in ("bad_signature", "bad_tag", "unknown_device"):
        assert reason in run.stdout
    for fault in ("bit_flip", "wrong_key", "foreign_device"):
        assert fault in run.stdout
    last = run.stdout.splitlines()[-5:]
    for line, name in zip(
        last, ("capture.pcap", "readings.db", "keys.json", "replay-faults.json"), strict=False
    ):
        assert line.startswith(f"{out}/{name}")
        assert (out / name).stat().st_size > 0
    assert "decode" in last[4]
    assert run.stderr == ""


def test_real_water_is_named(data: Path, tmp_path: Path) -> None:
    """On a narrow terminal, where only values and frame numbers may be cut."""
    run = demo(tmp_path / "out", LANTERNE_DATA=str(data), COLUMNS="60")
    assert run.returncode == 0, run.stderr
    assert "real meter series (DAIAD trial A, CC-BY-SA 4.0)" in " ".join(run.stdout.split())
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in run.stdout.splitlines() if "│" in line]
    readings = [c for c in cells if len(c) == 5]
    assert {c[1] for c in readings} == {"lamp-1", "bin-1", "leak-1"}
    assert all(c[2].isdigit() and c[3] in ("signed", "authenticated") for c in readings)
    refused = [c for c in cells if len(c) == 4]
    assert {c[1] for c in refused} == {"bit_flip", "wrong_key", "foreign_device"}
    assert {"bad_signature", "bad_tag", "unknown_device"} <= {c[2] for c in refused}


def test_a_run_that_is_stopped_says_what_it_leaves(tmp_path: Path) -> None:
    """Ctrl-C goes to the boards as well, as it does at a terminal; nobody leaves a trace of it."""
    out = tmp_path / "demo-out"
    process = subprocess.Popen(
        [sys.executable, "-m", "host_tools.demo", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 60
        while not (out / "capture.pcap").exists() or (out / "capture.pcap").stat().st_size < 1000:
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 130, said
    assert said == ("", f"demo: stopped; what was heard before is in {out}/capture.pcap\n")
    heard = decode.decode([out / "capture.pcap"], [out / "keys.json"])
    assert heard.summary["notes"] == [] and len(heard.rows) > 5
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    run = demo(tmp_path)
    assert run.returncode == 2
    assert "holds something that no run made" in run.stderr
    assert "Traceback" not in run.stderr
    assert (tmp_path / "precious").read_text() == "mine"
