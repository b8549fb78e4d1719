"""The closing line of .ci/run counts what pytest wrote, and names what was skipped for want of data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
XML = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="tests.host.test_a" name="test_one" time="0.1" />
<testcase classname="tests.host.test_a" name="test_two[x]"><failure message="no">trace</failure></testcase>
<testcase classname="tests.host.test_a" name="test_three"><error message="broke">trace</error></testcase>
<testcase classname="tests.host.test_b" name="test_data">
  <skipped type="pytest.skip" message="LANTERNE_DATA is not set" /></testcase>
<testcase classname="tests.host.test_b" name="test_peer">
  <skipped type="pytest.skip" message="peer program tshark is not installed" /></testcase>
<testcase classname="tests.host.test_b" name="test_inner"><properties>
  <property name="skipped" value="test_v: no LANTERNE_DATA" /></properties></testcase>
</testsuite></testsuites>
"""


def closing(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", "tools/junit.py", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_counts_and_names(tmp_path: Path) -> None:
    (tmp_path / "test.xml").write_text(XML)
    done = closing(tmp_path)
    assert done.stdout.splitlines() == [
        "without data, skipped: test: tests/host/test_b.py::test_data: LANTERNE_DATA is not set",
        "without data, skipped: test: tests/host/test_b.py::test_inner: test_v: no LANTERNE_DATA",
        "failed: test: tests/host/test_a.py::test_two[x]",
        "failed: test: tests/host/test_a.py::test_three",
        "lanterne: 2 passed, 2 failed, 3 skipped",
    ]
    assert done.returncode == 1


def test_nothing_failed_is_success(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<testsuites><testcase classname="a" name="b"/></testsuites>')
    done = closing(tmp_path)
    assert (done.stdout, done.returncode) == ("lanterne: 1 passed, 0 failed, 0 skipped\n", 0)


@pytest.mark.parametrize("text", [None, "<testsuites/>"])
def test_nothing_at_all_is_a_failure(text: str | None, tmp_path: Path) -> None:
    """A run in which pytest never started must not look green."""
    if text:
        (tmp_path / "a.xml").write_text(text)
    assert closing(tmp_path).returncode == 1
