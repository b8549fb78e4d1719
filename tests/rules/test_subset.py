"""The firmware stays inside stock MicroPython: its compiler takes each file, its library has each import."""

from __future__ import annotations

import ast
import re

import pytest

from host_tools.bundle import compile_module, imports_of
from tests.rules.project import read, sources

FIRMWARE = sources("firmware")
# Modules that CPython has and stock MicroPython lacks (measured on 1.25 and 1.29, unix and ESP32 builds).
MISSING = {
    *("abc", "collections.abc", "contextlib", "copy", "dataclasses", "datetime", "enum", "functools", "hmac"),
    *("itertools", "logging", "math.prod", "pathlib", "secrets", "string", "subprocess", "threading"),
    *("traceback", "types", "typing", "unittest", "warnings", "zlib", "__future__"),
}


def guarded(tree: ast.AST) -> set[int]:
    """Lines inside a `try` that catches ImportError, and inside its handlers: fallbacks for CPython."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(
            "ImportError" in ast.dump(h.type) for h in node.handlers if h.type
        ):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def offences(path: str, text: str) -> list[str]:
    """What MicroPython would take without a word and do otherwise, or lacks."""
    tree = ast.parse(text)
    fallback = guarded(tree)
    found = []
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and line not in fallback:
            found += [f"{path}:{line} imports {n}" for n in imports_of(node, "") & MISSING]
        if isinstance(node, ast.Raise) and node.cause is not None:
            found.append(f"{path}:{line} raise .. from: the cause is dropped")
        if isinstance(node, ast.keyword) and node.arg in ("signed", "strict"):
            found.append(f"{path}:{node.value.lineno} {node.arg}= is not known there")
        if isinstance(node, ast.Attribute) and node.attr in (
            "bit_length",
            "removeprefix",
            "removesuffix",
            "cast",
        ):
            found.append(f"{path}:{line} .{node.attr} is not known there")
        if isinstance(node, ast.ClassDef) and node.keywords:
            found.append(f"{path}:{line} metaclass or class keyword")
    return found


@pytest.mark.parametrize(
    "text",
    [
        "import typing",
        "from dataclasses import dataclass",
        "def f():\n    import functools",
        "try:\n    pass\nexcept ValueError as e:\n    raise KeyError from e",
        "int.from_bytes(b'', 'big', signed=True)",
        "(3).bit_length()",
        "class A(metaclass=B):\n    pass",
    ],
)
def test_the_rule_bites(text: str) -> None:
    assert offences("x.py", text)


def test_a_fallback_for_cpython_is_allowed() -> None:
    assert offences("x.py", "try:\n    import cryptolib\nexcept ImportError:\n    import hmac") == []


@pytest.mark.parametrize("path", FIRMWARE)
def test_subset(path: str) -> None:
    assert offences(path, read(path)) == []


@pytest.mark.parametrize("path", FIRMWARE + sources("hw/virtual/port"))
@pytest.mark.parametrize("arch", ["x64", "xtensawin"])
def test_the_compiler_takes_it(path: str, arch: str) -> None:
    """For a virtual board and for an ESP32."""
    assert compile_module(read(path), path, arch)[:1] == b"M"


SIMULATION = re.compile(r"simulat|emulat|virtual", re.IGNORECASE)


def simulation(text: str) -> list[str]:
    """Names and strings by which firmware would know a virtual board; docstrings may speak of it."""
    tree = ast.parse(text)
    docstrings = {
        id(n.body[0].value)
        for n in ast.walk(tree)
        if isinstance(n, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and n.body
        and isinstance(n.body[0], ast.Expr)
    }
    found = []
    for node in ast.walk(tree):
        words = [getattr(node, f, None) for f in ("id", "attr", "arg", "name", "module")]
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            words.append(node.value)
        found += [w for w in words if isinstance(w, str) and SIMULATION.search(w)]
        if isinstance(node, ast.Attribute) and node.attr == "platform":
            found.append("sys.platform")
    return found


@pytest.mark.parametrize(
    "text", ["if simulated: pass", "import hw.virtual", "if sys.platform == 'linux': pass", "x = 'VIRTUAL'"]
)
def test_the_simulation_rule_bites(text: str) -> None:
    assert simulation(text)


@pytest.mark.parametrize("path", FIRMWARE)
def test_no_firmware_knows_where_it_runs(path: str) -> None:
    assert simulation(read(path)) == []


def floats(text: str) -> list[int]:
    """Lines with a float constant, a true division or the type itself."""
    return sorted(
        node.lineno
        for node in ast.walk(ast.parse(text))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
        or (isinstance(node, ast.Name) and node.id == "float")
    )


def test_the_float_rule_bites() -> None:
    assert floats("x = 0.1\ny = 1 / 3\nz = float(2)") == [1, 2, 3]


@pytest.mark.parametrize(
    "path", [f for f in FIRMWARE if f.startswith(("firmware/protocols/schema", "firmware/protocols/codec"))]
)
def test_no_float_in_the_wire_format(path: str) -> None:
    assert floats(read(path)) == []
