"""What a bundle leaves out and what it renames: the program does the same, lines stay, cautious where in doubt."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import bundle
from host_tools.shake import letters, shake, shorten

A = """\
from micropython import const

SHOWN = const(3)
HIDDEN = const(4)
_gone = {"a": 1}


class Part:
    LIMIT = 5

    def __init__(self):
        self._x = HIDDEN
        self.open = SHOWN

    def used(self):
        return self._x

    def unused(self):
        return helper()


def helper():
    return 1


@property
def never():
    return 2


def by_word():
    return 3
"""
B = """\
from a import SHOWN, Part


class More(Part):
    def run(self):
        self._y = getattr(self, "by_word", None)
        return self._x + SHOWN, self.used()


def main():
    return More().run()
"""


def test_what_nobody_mentions_goes_and_lines_stay() -> None:
    found = shake({"a": A, "b": B}, frozenset({"main"}))
    names = {
        n.name for n in ast.walk(ast.parse(found["a"])) if isinstance(n, (ast.FunctionDef, ast.ClassDef))
    }
    assert names == {"Part", "__init__", "used", "by_word"}, (
        "a word in a string keeps, what only the dead call goes"
    )
    assert (
        "_gone" not in found["a"]
        and "_HIDDEN = const(4)" in found["a"]
        and "\n_SHOWN = const(3)" in found["a"]
    )
    assert "from a import Part" in found["b"] and "self._x + (3)," in found["b"], "the number itself"
    assert found["a"].count("\n") == A.count("\n")
    for text, kept in ((found["a"], "return self._x"), (found["b"], "return More().run()")):
        before = A if text is found["a"] else B
        line = next(n for n, row in enumerate(before.splitlines()) if kept in row)
        assert kept in text.splitlines()[line]


def test_constants_of_others_become_numbers_and_const_goes() -> None:
    a = "from firmware.protocols.compat import const, forget\n"
    a += "LOW = const(-3)\nBITS = const(1 << 4)\nMADE = const(LOW)\n"
    b = "from a import (\n    LOW,\n    BITS,\n    MADE,\n)\n\ndef f(x):\n    return x - LOW * BITS + MADE\n"
    c = "from a import LOW\ndef g(LOW):\n    return LOW\nprint(LOW)\n"
    found = shake({"a": a, "b": b, "c": c}, frozenset({"f", "g", "forget"}))
    assert found["a"].splitlines()[0] == "from firmware.protocols.compat import forget"
    assert "return x - (-3) * (1 << 4) + MADE" in found["b"].splitlines()[7]
    assert found["b"].splitlines()[0] == "from a import MADE" and "(-3)" not in found["c"]
    used = "from firmware.protocols.compat import const\nX = [const]\n"
    assert shake({"a": used}, frozenset({"X"}))["a"] == used


def test_private_names_become_few_and_a_family_shares_them() -> None:
    c = "class C:\n    def __init__(self, _arg=1):\n        self._own = self._other = _arg\n        self._theirs\n"
    d = "def f(x):\n    return x._theirs, '_spoken'\n_spoken = 1\n"
    found = shorten({"a": A, "b": B, "c": c, "d": d})
    heir = [
        n.attr for n in ast.walk(ast.parse(found["b"])) if isinstance(n, ast.Attribute) and n.attr[0] == "_"
    ]
    base = [
        n.attr for n in ast.walk(ast.parse(found["a"])) if isinstance(n, ast.Attribute) and n.attr[0] == "_"
    ]
    assert set(base) < set(heir) and len(set(heir)) == 2, "an heir sees what its parent stored"
    assert "_own" not in found["c"] and "_theirs" in found["c"] and "_arg" in found["c"]
    assert "_spoken = 1" in found["d"]


def test_a_family_by_way_of_the_module_is_one_too() -> None:
    base = "class P:\n    def __init__(self):\n        self._mine = 1\n"
    heir = "from p import a as b\nclass H(b.P):\n    def go(self):\n        self._own = 2\n"
    found = shorten({"p.a": base, "h": heir})
    names = [
        _words({n: text}) - {"P", "H", "b", "a", "p", "self", "go", "__init__"} for n, text in found.items()
    ]
    assert len(names[0]) == len(names[1]) == 1 and names[0] != names[1]


def test_arguments_become_letters_unless_somebody_says_them() -> None:
    text = (
        "limit = 3\n"
        "def f(first, second, limit, max=9):\n"
        "    return [first + x for x in second if x < limit], (lambda inner: inner * first)(max)\n"
        "print(f(1, second=[1, 2, 3], limit=3))\n"
    )
    found = letters({"a": text})["a"]
    assert "first" not in found and "inner" not in found
    assert "second" in found and "limit" in found and "max=9" in found
    assert found.count("\n") == text.count("\n")
    outs = [
        subprocess.run([sys.executable, "-c", t], capture_output=True, text=True, check=True).stdout
        for t in (text, found)
    ]
    assert outs[0] == outs[1] != ""


@pytest.mark.parametrize("step", ["shake", "shorten", "letters", "all"])
def test_the_program_does_the_same(step: str, tmp_path: Path) -> None:
    texts = {"a": A, "b": B + "print(main())\n"}
    if step in ("shake", "all"):
        texts = shake(texts, frozenset({"main"}))
    if step in ("shorten", "all"):
        texts = shorten(texts)
    if step in ("letters", "all"):
        texts = letters(texts)
    (tmp_path / "micropython.py").write_text("def const(x):\n    return x\n")
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    done = subprocess.run([sys.executable, "b.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "(7, 4)\n", done.stderr


@pytest.mark.parametrize("kind", bundle.kinds())
def test_bundles_keep_what_is_called_by_name(kind: str) -> None:
    texts = bundle.sources("gateway" if kind == "gateway" else "node", kind)
    app = ast.parse(texts["firmware.app"])
    assert "main" in {n.name for n in app.body if isinstance(n, ast.FunctionDef)}
    for name, text in texts.items():
        tree = ast.parse(text)
        if name.startswith("firmware.parts.") and name != "firmware.parts.i2c":
            assert any(isinstance(n, ast.FunctionDef) and n.name == "part" for n in tree.body), name
        if name == f"firmware.kinds.{kind}":
            (found,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Kind"]
            methods = {n.name for n in found.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
            assert {"__init__", "execute", "run"} <= methods


@pytest.mark.parametrize("kind", ["bin", "leak"])
def test_a_module_of_constants_alone_is_not_aboard(kind: str) -> None:
    record = f"firmware.wake.{kind}_record"
    assert record in bundle.modules("node", kind)
    texts = bundle.sources("node", kind)
    assert set(bundle.modules("node", kind)) - set(texts) == {record}
    wake = {n: text for n, text in texts.items() if n.startswith("firmware.wake.")}
    assert not _words(wake) & {"TOLD", "MASK", "FIT", "STATE", "WHEN", "OWNER", "INTERVAL"}


def test_a_node_carries_nothing_that_only_a_store_needs() -> None:
    lamp = bundle.sources("node", "lamp")
    whole = {n: bundle.transformed(n, p, "node") for n in lamp if (p := bundle.module_file(n)) is not None}
    assert "class Joiner" in whole["firmware.protocols.fragment"]
    assert "class Joiner" not in lamp["firmware.protocols.fragment"]
    assert "def pack_down" not in lamp["firmware.protocols.link"]
    names = [_words(t) for t in (whole, lamp)]
    assert len(names[1]) < 0.75 * len(names[0]), "private names are what most of the names were"


def _words(texts: dict[str, str]) -> set[str]:
    found: set[str] = set()
    for text in texts.values():
        for n in ast.walk(ast.parse(text)):
            found.update(
                w for w in (getattr(n, "id", None), getattr(n, "attr", None), getattr(n, "name", None)) if w
            )
    return found
