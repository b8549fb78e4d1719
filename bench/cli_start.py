"""How long `lanterne --help` takes, against a bare interpreter and against the library it does not import."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = 15
LIMIT_MS = 150

CASES = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import click'": ["-c", "import click"],
    "lanterne --help": ["-m", "host_tools.cli", "--help"],
    "lanterne decode --help": ["-m", "host_tools.cli", "decode", "--help"],
    "import host_tools.decode": ["-c", "import host_tools.decode"],
}


def best_ms(arguments: list[str]) -> float:
    """The shortest of some runs: what else the machine does only ever adds."""
    found = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        found.append((time.perf_counter() - began) * 1000)
    return min(found)


def main() -> None:
    took = {name: best_ms(arguments) for name, arguments in CASES.items()}
    bare = took["python -c pass"]
    for name, ms in took.items():
        print(f"{name:26} {ms:7.1f} ms   {ms / bare:5.1f} x bare interpreter")
    for name in ("lanterne --help", "lanterne decode --help"):
        verdict = "within" if took[name] < LIMIT_MS else "OVER"
        print(f"{name}: {verdict} {LIMIT_MS} ms")


if __name__ == "__main__":
    main()
