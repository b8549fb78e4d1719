"""`make demo` as somebody sees it who has no test data and no terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    run = demo(tmp_path / "out", LANTERNE_DATA=str(data))
    assert run.returncode == 0, run.stderr
    assert "real meter series (DAIAD trial A, CC-BY-SA 4.0)" in " ".join(run.stdout.split())


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    run = demo(tmp_path)
    assert run.returncode == 2
    assert "holds something that no run made" in run.stderr
    assert "Traceback" not in run.stderr
    assert (tmp_path / "precious").read_text() == "mine"
