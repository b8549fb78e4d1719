"""What a page shows: its blocks of code, the commands in them, and what they print."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.conftest import ROOT

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
#: In a block of output: anything in a line, and alone in one any lines.
CUT = "…"


def blocks(text: str, mark: str) -> list[list[str]]:
    """The lines of each code block whose opening line ends in `mark`, comments and blank lines left out."""
    return [
        [line for line in body.splitlines() if line.strip() and not line.startswith("#")]
        for info, body in FENCE.findall(text)
        if info == mark
    ]


def shown(text: str) -> list[tuple[str, list[str]]]:
    """Each block of output with the command whose output it is: the last one above it that is to be run."""
    found = []
    command = ""
    for info, body in FENCE.findall(text):
        if info == "sh run":
            command = body.splitlines()[-1]
        elif info == "text":
            found.append((command, body.splitlines()))
    return found


def commands(text: str) -> list[str]:
    """Every command line that a page shows, in blocks for a shell and between backquotes."""
    shown = [
        line for info, body in FENCE.findall(text) if info.startswith("sh") for line in body.splitlines()
    ]
    shown += CODE.findall(FENCE.sub("", text))
    known = re.compile(r"(\.venv/bin/)?(lanterne|python -m|make) \S")
    return [line.split("  #")[0].strip() for line in shown if known.match(line)]


def section(text: str, heading: str) -> str:
    """What stands below a heading of the second order."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def prints(shown: list[str], printed: str) -> bool:
    """Whether a block of output is what was printed."""
    lines = [
        r"(?:.*\n)*?" if line == CUT else ".*".join(map(re.escape, line.split(CUT))) + r"\n" for line in shown
    ]
    return re.fullmatch("".join(lines), printed) is not None


def linked(folder: Path) -> Path:
    """The folder, with links to everything here, so that what a command leaves is left there."""
    for entry in ROOT.iterdir():
        if entry.name not in ("demo-out", ".git"):
            (folder / entry.name).symlink_to(entry)
    return folder


def run(text: str, folder: Path) -> dict[str, str]:
    """What each command of a page's blocks that are to be run prints, without real data; each has to succeed."""
    env = {k: v for k, v in os.environ.items() if k != "LANTERNE_DATA" and not k.startswith("PYTEST")}
    said = {}
    for line in (line for block in blocks(text, "sh run") for line in block):
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=folder,
            env={**env, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stdout[-500:]}{done.stderr[-500:]}"
        said[line] = done.stdout
    return said
