"""provisioning/parts.py against the kinds themselves: a kind opens every role that it is offered, no other, and
takes the first of the table where its settings name none."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from firmware.clock import Clock
from provisioning import parts

KINDS = [kind for kind in parts.PARTS if kind != "gateway"]


class Bench:
    """Board and configuration of a kind in one; notes which roles are asked for, and has only the output that no
    lamp can be without."""

    plan = b""
    interval_s = 900

    def __init__(self) -> None:
        self.extra: dict[int, int] = {}
        self.asked: dict[str, str] = {}

    def part(self, role: str, usual: str = "") -> Any:
        assert role not in self.asked, "opened twice"
        self.asked[role] = usual
        return SimpleNamespace(set=lambda permille: None) if role == "light" else None

    def copies(self, name: str, size: int = 96) -> Any:
        return SimpleNamespace(read=lambda: None)

    def phase_ms(self, interval_ms: int) -> int:
        return 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_opens_what_it_is_offered(kind: str) -> None:
    bench = Bench()
    clock = Clock(lambda: 0, lambda a, b: a - b)
    module = importlib.import_module(f"firmware.kinds.{kind}")
    module.Kind(bench, bench, clock, SimpleNamespace(values=[None] * 32))
    offered = {role: "" if names[0] == "none" else names[0] for role, names in parts.PARTS[kind].items()}
    assert bench.asked == offered


def test_no_part_is_offered_to_a_gateway() -> None:
    assert parts.PARTS["gateway"] == {}
