"""Every file of tests/mpy under the real MicroPython: 64-bit, and 32-bit where LANTERNE_MPY32 names one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "tests/mpy").glob("test_*.py"))
INTERPRETERS = {"64": str(Path(sys.executable).with_name("micropython"))}
if os.environ.get("LANTERNE_MPY32"):
    INTERPRETERS["32"] = str(ROOT / os.environ["LANTERNE_MPY32"])


@pytest.mark.parametrize("width", INTERPRETERS)
@pytest.mark.parametrize(
    "path",
    # A cut at every write takes seconds in an interpreter; CPython runs the same file in test-fast.
    [pytest.param(f, marks=pytest.mark.slow) if f.endswith("_cuts.py") else f for f in FILES],
)
def test_file(path: str, width: str, record_property: Callable[[str, object], None]) -> None:
    run = subprocess.run(
        [INTERPRETERS[width], "-X", "heapsize=4m", "tests/mpy_runner.py", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    lines = run.stdout.splitlines()
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    passed = [line for line in lines if line.startswith("PASS")]
    skipped = [line for line in lines if line.startswith("SKIP")]
    assert passed or skipped, f"{path} holds no test"
    for line in skipped:
        # What was skipped inside the interpreter is counted in the closing line, too.
        record_property("skipped", line)
    if skipped and not passed:
        pytest.skip("; ".join(skipped))
