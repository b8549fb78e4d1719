"""Unpacks the MicroPython stubs into build/typings, laid out so that pyright takes them for its own library.

They are installed side by side with CPython packages; pointed at that folder, pyright would find
`asyncio.TaskGroup` and miss `asyncio.sleep_ms`. A folder of their own, given as typeshedPath, turns that
round.

usage: python -m tools.typings
"""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "typings"
PACKAGES = ("micropython-stdlib-stubs", "micropython-esp32-stubs")


def main() -> None:
    versions = "\n".join(f"{name} {distribution(name).version}" for name in PACKAGES) + "\n"
    mark = OUT / "versions.txt"
    if mark.is_file() and mark.read_text() == versions:
        return
    shutil.rmtree(OUT, ignore_errors=True)
    for name in PACKAGES:
        for file in distribution(name).files or ():
            if file.suffix != ".pyi" and file.name != "VERSIONS":
                continue
            target = OUT / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)
    # pyright wants the folder of third-party stubs of a typeshed to exist.
    (OUT / "stubs").mkdir(exist_ok=True)
    mark.write_text(versions)


if __name__ == "__main__":
    main()
