"""What must not be in the repository: registry addresses, local paths, unpinned packages, stale files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.project import ROOT, read, tracked

# Put together here, so that this file does not trip over itself.
_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "proxy.golang" + ".org",
]
PATTERNS = {
    "registry host": re.compile("|".join(re.escape(h) for h in _HOSTS), re.IGNORECASE),
    "index address": re.compile(
        r"--(extra-)?" + r"index-url\s+\S*:|^registry" + r"\s*=|^index-url", re.MULTILINE
    ),
    "absolute path": re.compile(r"(?<![\w.~$}])/(?:home|root|Users|work)" + r"/[\w.-]+|/tmp" + r"/[a-z]+/"),
}
LOCKS = [f for f in tracked() if f.startswith("requirements/") and f.endswith(".txt")]
BINARY = {".png", ".jpg", ".pcap", ".bin", ".mpy", ".db"}


def offences(text: str) -> list[str]:
    machine = [str(ROOT), str(Path.home()) + "/"]
    found = [name for name, pattern in PATTERNS.items() if pattern.search(text)]
    return found + [f"path of this machine: {p}" for p in machine if len(p) > 5 and p in text]


@pytest.mark.parametrize(
    "text",
    [
        "https://files.python" + "hosted.org/packages/x.whl",
        "pip install --index-" + "url https://mirror/simple",
        "registry" + "=https://mirror",
        "cd /home" + "/someone/lanterne",
        "open('/tmp" + "/abc/x')",
        f"# {ROOT}/x",
    ],
)
def test_the_rule_bites(text: str) -> None:
    assert offences(text)


@pytest.mark.parametrize("path", [f for f in tracked() if Path(f).suffix not in BINARY])
def test_no_address_and_no_local_path(path: str) -> None:
    assert offences(read(path)) == []


_PINNED = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z0-9,-]+\])?==[^\s;]+( ; .+)?$")
_HASH = re.compile(r"^--hash=sha256:[0-9a-f]{64}$")


def unlocked(text: str) -> list[str]:
    """Requirements of a lock file that are not one pinned version with at least one hash, and stray lines."""
    bad = []
    for line in re.sub(r"\\\n\s*", "\x00", text).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        head, *hashes = [part.strip() for part in line.split("\x00")]
        if not _PINNED.match(head) or not hashes or not all(_HASH.match(h) for h in hashes):
            bad.append(head)
    return bad


@pytest.mark.parametrize(
    "text",
    [
        "click==8.1\n",
        "click>=8.1 \\\n    --hash=sha256:" + "0" * 64,
        "click==8.1 \\\n    --hash=md5:00",
        "-e .\n",
        "--find-links wheels\n",
        "click @ https://mirror/click.whl \\\n    --hash=sha256:" + "0" * 64,
    ],
)
def test_the_lock_rule_bites(text: str) -> None:
    assert unlocked(text)


@pytest.mark.parametrize("path", LOCKS)
def test_every_locked_package_is_pinned_and_hashed(path: str) -> None:
    text = read(path)
    assert "==" in text
    assert unlocked(text) == []
    assert "://" not in text


def test_ci_can_be_run() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert read(".ci/run").startswith("#!/usr/bin/env bash\n")


def test_there_are_lock_files() -> None:
    assert {"requirements/run.txt", "requirements/dev.txt"} <= set(LOCKS)


GENERATORS = [f for f in tracked() if re.fullmatch(r"tools/gen_\w+\.py", f)]


@pytest.mark.parametrize("path", GENERATORS)
def test_generated_files_are_fresh(path: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", path.removesuffix(".py").replace("/", "."), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"make gen: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("path", [f for f in tracked() if f.endswith((".py", ".sh")) or f == ".ci/run"])
def test_no_line_ends_in_blanks_or_tabs(path: str) -> None:
    text = read(path)
    assert not re.search(r"[ \t]+$", text, re.MULTILINE)
    assert not text or text.endswith("\n")
