"""Adds up pytest's result files and prints one closing line; needs nothing but the standard library.

usage: python3 tools/junit.py FOLDER

Tests that were skipped because no test data is set up are listed by name before it. Exit 1 when anything
failed, or when there is nothing to add up.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path


def cases(folder: str) -> Iterator[tuple[str, str, str, str]]:
    """(suite, test name, outcome, message) of every test in the result files of a folder."""
    for path in sorted(Path(folder).glob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):
            name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
            outcome, message = "passed", ""
            for child in case:
                if child.tag in ("failure", "error"):
                    outcome = "failed"
                elif child.tag == "skipped" and child.get("type") != "pytest.xfail":
                    outcome, message = "skipped", child.get("message") or ""
            yield path.stem, name, outcome, message
            # Tests inside one interpreter run of their own: the runner's lines ride as properties.
            for prop in case.iter("property"):
                if prop.get("name") == "skipped":
                    yield path.stem, name, "skipped", prop.get("value") or ""


def main(folder: str) -> int:
    found = list(cases(folder))
    for suite, name, outcome, message in found:
        if outcome == "skipped" and "LANTERNE_DATA" in message:
            print(f"without data, skipped: {suite}: {name}: {message}")
    for suite, name, outcome, _ in found:
        if outcome == "failed":
            print(f"failed: {suite}: {name}")
    count = {o: sum(1 for case in found if case[2] == o) for o in ("passed", "failed", "skipped")}
    print(f"lanterne: {count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
