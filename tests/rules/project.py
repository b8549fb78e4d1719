"""The project's files as the rules see them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def tracked() -> list[str]:
    """Files that are, or would be, in the repository: tracked and new ones, without what is ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).is_file())


def sources(*tops: str) -> list[str]:
    """Python files below the given folders."""
    return [f for f in tracked() if f.endswith(".py") and f.startswith(tuple(t + "/" for t in tops))]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
