"""Lets the environment of a clone run the clone: `.venv/bin/lanterne`, without a build and without a network.

usage: python -m tools.link_clone
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    Path(sysconfig.get_paths()["purelib"], "lanterne-clone.pth").write_text(f"{ROOT}\n")
    script = Path(sys.executable).with_name("lanterne")
    script.write_text(f"#!{sys.executable}\nfrom host_tools.cli import main\n\nmain()\n")
    script.chmod(0o755)


if __name__ == "__main__":
    main()
