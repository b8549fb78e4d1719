"""The pages say what is true: their commands run as they stand there, their links lead somewhere, the files
and options that they name exist. Each rule is first shown to bite."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.__main__ import names as benchmarks
from host_tools import sim
from host_tools.commands import tree
from hw.virtual.world import STAND_IN_KB
from tests.conftest import ROOT, absent
from tests.host.page_bench import CODE, CUT, FENCE, blocks, commands, linked, prints, run

_OUTSIDE = {"build", "dist", "demo-out", "node_modules"}
PAGES = sorted(
    p.relative_to(ROOT)
    for p in ROOT.rglob("*.md")
    if not any(part in _OUTSIDE or part.startswith(".") for part in p.relative_to(ROOT).parts)
)
README = ROOT / "README.md"
#: Files of the reader's own, and files that a page says will be there; those must not be there yet.
_THEIRS = {"lanterne.toml"}
_PLANNED = {"host_tools/flash_worker.py"}

_LINK = re.compile(r"\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")
_PATH = re.compile(r"[\w.-]+(/[\w.<>*-]+)+/?|[\w-]+\.(py|md|csv|toml|cddl)")


def anchors(text: str) -> set[str]:
    """The names by which the headings of a page can be linked to."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", h.replace("`", "").lower()) for h in headings]
    return {h.strip().replace(" ", "-") for h in plain}


def dead_links(page: Path, text: str) -> list[str]:
    """Relative links of a page at `page` that lead nowhere."""
    dead = []
    for found in _LINK.findall(FENCE.sub("", text)):
        link = found[0] or found[1]
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        found_it = target.exists() and ROOT in (target, *target.parents)
        if not found_it or (anchor and anchor not in anchors(target.read_text() if path else text)):
            dead.append(link)
    return dead


def missing_files(page: Path, text: str) -> list[str]:
    """Paths between backquotes that are no file, folder or pattern, from the tree's root or the page on. What
    a run leaves or its reader writes is not looked for, nor is what is named by a placeholder."""
    missing = []
    for code in CODE.findall(FENCE.sub("", text)):
        path = code.partition(":")[0]
        if not _PATH.fullmatch(path) or path.startswith(("demo-out", "FOLDER")) or "<" in path:
            continue
        if path in _THEIRS | _PLANNED:
            continue
        if not any(list(folder.glob(path)) for folder in (ROOT, page.parent)):
            missing.append(path)
    return missing


def wrong_command(line: str, targets: set[str]) -> str:
    """What a command line names that is not there; empty when all is."""
    words = shlex.split(line)
    program = words.pop(0).rpartition("/")[2]
    if program == "make":
        return ", ".join(w for w in words if "=" not in w and w not in targets)
    if program == "python":
        module = words[1]
        if find_spec(module) is None:
            return module
        named = [w for w in words[2:] if not w.startswith("-")]
        return ", ".join(set(named) - set(benchmarks())) if module == "bench" else ""
    path: list[str] = []
    while words and tree.find(*path, words[0]):
        path.append(words.pop(0))
    return _unknown_options(path, [w for w in words if w.startswith("-") and w != "-"])


def _unknown_options(path: list[str], options: list[str]) -> str:
    if not path and not options:
        return "no such command"
    done = subprocess.run(
        [sys.executable, "-m", "host_tools.cli", *path, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return " ".join(path)
    said = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", done.stdout))
    return ", ".join(o for o in options if o.partition("=")[0] not in said)


TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_rules_bite(tmp_path: Path) -> None:
    page = ROOT / "docs/architecture.md"
    assert dead_links(page, "[a](nowhere.md) [b](../README.md) [c](#no-such-part)") == [
        "nowhere.md",
        "#no-such-part",
    ]
    assert dead_links(page, '<img src="pictures/none.svg">') == ["pictures/none.svg"]
    assert missing_files(
        page, "`firmware/app.py` `firmware/none.py` `nothing.toml` `a / b` `docs/*.csv` `docs/*.no`"
    ) == [
        "firmware/none.py",
        "nothing.toml",
        "docs/*.no",
    ]
    assert blocks("```sh run\n# no\na b\n\nc\n```\n```sh\nd\n```\n", "sh run") == [["a b", "c"]]
    assert commands("```sh\nmake x  # y\nls\n```\n`lanterne decode -` `lanterne` `python -m bench`") == [
        "make x",
        "lanterne decode -",
        "python -m bench",
    ]
    assert prints(["a", CUT, f"b={CUT} c"], "a\nx\ny\nb=1 c\n") and prints(["a", CUT, "b"], "a\nb\n")
    for printed in ("a\n", "a\nb=1 d\n", "a\nb=1 c\nd\n", "b=1 c\na\n"):
        assert not prints(["a", CUT, f"b={CUT} c"], printed)
    assert wrong_command("make demo", TARGETS) == ""
    assert wrong_command("make dmeo", TARGETS) == "dmeo"
    assert wrong_command("python -m bench nite", TARGETS) == "nite"
    assert wrong_command("python -m tools.none", TARGETS) == "tools.none"
    assert wrong_command("lanterne decode x.pcap --keys k --format csv", TARGETS) == ""
    assert wrong_command("lanterne decode x.pcap --kees k", TARGETS) == "--kees"
    assert wrong_command("lanterne nothing", TARGETS) == "no such command"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    assert dead_links(ROOT / page, (ROOT / page).read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_name_what_is_there(page: Path) -> None:
    wrong = {line: wrong_command(line, TARGETS) for line in commands((ROOT / page).read_text())}
    assert {line: what for line, what in wrong.items() if what} == {}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_files_that_are_named_exist(page: Path) -> None:
    assert missing_files(ROOT / page, (ROOT / page).read_text()) == []


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with links to everything here, so that what a command leaves is left there."""
    linked(tmp_path)
    ready = subprocess.run(["make", "-q", ".venv/.run"], cwd=tmp_path, capture_output=True, check=False)
    if ready.returncode:
        absent("the environment of `make setup`", "not there")
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_readme_run_as_they_stand_there(clone: Path) -> None:
    lines = [line for block in blocks(README.read_text(), "sh run") for line in block]
    assert lines[0] == "make demo" and len(lines) > 2
    said = run(README.read_text(), clone)
    assert all(text.strip() for text in said.values())
    assert "Clean replay: the same" in said["make demo"]
    rows = said[lines[1]].splitlines()
    assert len(rows) > 100
    assert {"lamp-1", "bin-1", "leak-1"} <= {word for row in rows for word in row.split()}
    assert not any("unverified" in row or "rejected" in row for row in rows)


def test_what_is_planned_is_not_there() -> None:
    assert [path for path in _PLANNED if (ROOT / path).exists()] == []


def test_figures_that_are_constants_of_the_code_agree_with_it() -> None:
    page = (ROOT / "docs/decisions/0008-heap-allowance-for-the-stand-ins.md").read_text()
    assert f"what the stand-ins hold: {STAND_IN_KB} KB" in page
    assert f"a heap of {sim.NODE_HEAP_KB} KB" in page


def test_no_page_has_a_gap_left_to_be_filled() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("hw/**/*.md")]
    gaps = [
        (p.name, g) for p in pages for g in re.findall(r"@[A-Z_]+@|\bTODO\b|\bTBD\b|\bXXX\b", p.read_text())
    ]
    assert gaps == []


def test_the_pictures_are_there_and_fetch_nothing() -> None:
    for name in ("night.svg", "result.svg"):
        text = (ROOT / "docs/pictures" / name).read_text()
        assert not re.search(r"url\(h|href|@import|<script", text)
        assert "lamp-1" in text
