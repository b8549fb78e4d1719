"""Every refusal and outcome that the trust core names has a number, and one that may travel where it does."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from firmware.protocols import reasons

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
PROTOCOLS = "keys chain seal opener seqspace fragment link gwrecord airtime".split()
FILES = [f"protocols/{name}.py" for name in PROTOCOLS] + ["storage.py", "counters.py", "clock.py"]
ROLES = ["roles/uplink.py", "roles/commands.py"]


def texts(tree: ast.AST) -> set[str]:
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def raised(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "WireError":
            found |= texts(node)
    return found


def compared(tree: ast.AST) -> set[str]:
    """Names that the code returns, assigns to `outcome`, or looks up."""
    found: set[str] = set()
    for node in ast.walk(tree):
        returned = isinstance(node, ast.Return) and isinstance(node.value, ast.Constant)
        assigned = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "outcome"
        looked_up = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "number"
        if returned or assigned or looked_up:
            found |= texts(node)
    return found - {""}


@pytest.mark.parametrize("path", FILES + ROLES)
def test_every_refusal_has_a_number(path: str) -> None:
    tree = ast.parse((FIRMWARE / path).read_text())
    for name in raised(tree):
        assert 0 < reasons.number(name) < 96, name


def test_every_outcome_has_a_number_of_the_air() -> None:
    found: set[str] = set()
    for path in ROLES:
        found |= compared(ast.parse((FIRMWARE / path).read_text()))
    found |= raised(ast.parse((FIRMWARE / "roles/commands.py").read_text()))
    assert {"done", "leaf", "forgotten", "busy", "stale", "op_args"} <= found
    local = {"wrong_port", "rate", "bad_tag"}
    # The board's own state is named on its console, too, so its number is one of those of the board.
    board = {"no_memory"}
    for name in found - local:
        assert reasons.number(name) < (96 if name in board else 32), name
