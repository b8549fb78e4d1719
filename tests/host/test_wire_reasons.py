"""The one list of reasons: unique, complete in two languages, and holding every name that the code gives."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from firmware.protocols import reasons, reasons_text, reasons_text_host

ROOT = Path(__file__).resolve().parents[2]
ROWS = reasons_text.REASONS
#: Numbers go into frames and files: these stay, whatever is added.
FROZEN = {
    "done": 0,
    "stale": 5,
    "cseq": 8,
    "leaf": 13,
    "forgotten": 14,
    "interlock": 19,
    "truncated": 32,
    "time_twice": 54,
    "not_cose": 64,
    "no_memory": 92,
    "duplicate": 96,
    "registry_chain": 128,
    "unknown_format": 160,
    "unknown_route": 192,
    "bundle_signature": 224,
}


def test_numbers_and_names_are_unique() -> None:
    assert len({row[0] for row in ROWS}) == len({row[1] for row in ROWS}) == len(ROWS) > 130
    for number, name, *_ in ROWS:
        assert reasons.number(name) == number
        assert reasons.name(number) == name
        assert 0 <= number < 256
        assert re.fullmatch(r"[a-z][a-z0-9_]+", name)


def test_each_group_has_its_range() -> None:
    device = [row[0] for row in ROWS if row[1] not in reasons_text.HOST]
    assert {n // 32 for n in device} == {0, 1, 2}
    assert {n // 32 for n in reasons_text.HOST.values()} == {3, 4, 5, 6, 7}
    # An outcome takes one byte of a result up to 23: above it are those that come seldom.
    seldom = {reasons.name(n) for n in device if 24 <= n < 32}
    assert all(name.startswith("plan_") or name == "shedding" for name in seldom)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_sentences_in_two_languages(row: tuple[int, str, str, str, str, str]) -> None:
    _, _, english, french, do, faire = row
    for text in (english, french, do, faire):
        assert text[0].isupper() and text.endswith(".") and text == text.strip()
        assert "  " not in text
    assert english != french
    assert do != faire
    # French sets a narrow space before these; ours is a plain one.
    assert not re.search(r"[^ ][;:?!]", french + faire)
    assert not re.search(r"[^\x00-\x7f]", english + do)


def test_nothing_is_listed_twice_or_cut() -> None:
    for text in (reasons_text._TEXT, reasons_text_host.TEXT):
        lines = text.splitlines()
        assert len(lines) % 5 == 0 and all(lines)
    assert len(reasons_text.TEXTS) == len(ROWS)


def test_frozen_numbers() -> None:
    for name, number in FROZEN.items():
        assert reasons.number(name) == number


def test_unknown() -> None:
    assert reasons.name(31) == "reason_31"
    assert reasons.name(255) == "reason_255"
    assert reasons.name(-1) == "reason_-1"
    with pytest.raises(KeyError):
        reasons.number("no_such_reason")


def raised() -> dict[str, str]:
    """Names given to WireError as a literal, and where."""
    found: dict[str, str] = {}
    for top in ("firmware", "host_tools", "provisioning", "hw"):
        for path in sorted((ROOT / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "WireError" and node.args:
                    for leaf in ast.walk(node.args[0]):
                        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                            found.setdefault(leaf.value, str(path.relative_to(ROOT)))
    return found


def test_every_wire_error_is_a_listed_reason() -> None:
    found = raised()
    assert len(found) > 30
    unknown = {name: where for name, where in found.items() if name not in reasons_text.TEXTS}
    assert unknown == {}
