"""Faults of the radio's bus, and whole nights: what must not grow, and the other interpreter."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_tools import sim
from hw.virtual.board import Board
from hw.virtual.chips.sx1262 import SX1262
from tests.conftest import ROOT
from tests.e2e.firmware_world import Yard, answer, store

pytestmark = pytest.mark.slow

LAMP: dict[str, Any] = {"name": "lamp", "kind": "lamp", "profile": "mac0", "interval_s": 60}
BIN: dict[str, Any] = {
    "name": "bin",
    "kind": "bin",
    "profile": "mac0",
    "interval_s": 60,
    "distance_m": [[0, 0.7]],
    "settings": {"empty_mm": 1200, "full_mm": 200},
}


def busy_sticks(board: Board) -> Callable[[bool], None]:
    """A switch that holds the radio's BUSY line high, whatever the chip does."""
    chip = board.chips["radio"]
    assert isinstance(chip, SX1262)
    port = chip.port
    real = port.set_pin
    state = {"busy": 0, "stuck": 0}

    def set_pin(name: int | str, level: int) -> None:
        if name == "busy":
            state["busy"] = level
            level |= state["stuck"]
        real(name, level)

    def switch(on: bool) -> None:
        state["stuck"] = int(on)
        real("busy", state["busy"] | int(on))

    port.set_pin = set_pin  # type: ignore[method-assign]
    return switch


def test_a_radio_whose_busy_line_sticks_for_a_while(tmp_path: Path) -> None:
    """Lamp, bin and gateway each lose their radio for some minutes and take it up again by themselves."""
    with (
        store(lambda n, record: answer(record)) as sink,
        Yard(tmp_path, LAMP, BIN, sink=f"tcp:127.0.0.1:{sink.port}") as yard,
    ):
        yard.run(900)
        names = ["lamp", "bin", "gateway"]
        switches = [busy_sticks(yard.board(name)) for name in names]
        for switch in switches:
            switch(True)
        yard.run(400)
        stuck = len(yard.air.sent), len(sink.records)
        yard.run(1000)
        assert (len(yard.air.sent), len(sink.records)) == stuck, "nothing can be sent or heard"
        for switch in switches:
            switch(False)
        yard.run(2000)
        for name in names:
            board = yard.board(name)
            assert yard.lives.count(name) == 1, "the radio was reset, not the board"
            assert board.failures == []
            text = "\n".join(board.console)
            assert text.count("task radio") == text.count("BusError: ('sx1262', 'busy')") >= 5
        assert len(sink.records) > stuck[1] + 30
        for name in ("lamp", "bin"):
            yard.air.assert_no_number_twice(name)
            numbers = sorted(set(yard.air.numbers(name)))
            # What was measured meanwhile waited for its turn.
            assert numbers == list(range(1, max(numbers) + 1))
            rows = yard.decoded(name).rows
            last = max(r.seq or 0 for r in rows if r.type == "checkpoint" and r.name == name)
            mine = [r for r in rows if r.name == name and (r.seq or 0) <= last]
            assert {r.state for r in mine} == {"signed"}
        levels = [r.values["level_percent"] for r in yard.decoded("lamp").rows if r.type == "lamp"]
        assert set(levels) == {100}


def test_memory_does_not_grow_over_a_night(tmp_path: Path) -> None:
    """The live heap of each board after two hours and after twelve, by less than 1 KB."""
    seen: dict[int, dict[str, int]] = {}

    def watch(world: Any) -> None:
        def forget() -> None:
            for board in world.boards.values():
                board.heap_live = 0

        def look(hour: int) -> None:
            seen[hour] = {name: board.heap_live for name, board in world.boards.items()}

        for hour in (2, 12):
            world.at(hour * 3600 - 3500, forget)
            world.at(hour * 3600, lambda hour=hour: look(hour))

    found = sim.run("demo", tmp_path / "out", sim.Options(seed=8, on_world=watch))
    assert found.failures == []
    assert set(seen[2]) == {"gateway", "lamp-1", "bin-1", "leak-1"}
    for name, early in seen[2].items():
        assert early > 80_000, "a collection was seen"
        assert seen[12][name] - early < 1024, (name, early, seen[12][name])


@pytest.fixture
def mpy32() -> str:
    named = os.environ.get("LANTERNE_MPY32")
    if not named:
        pytest.skip("LANTERNE_MPY32 is not set: no 32-bit MicroPython")
    return str(ROOT / named)


def test_the_night_under_a_32_bit_micropython_1_25(tmp_path: Path, mpy32: str) -> None:
    found = sim.run("demo", tmp_path / "out", sim.Options(seed=1, interpreter=mpy32))
    assert found.failures == []
    counts = Counter((r.name, r.type) for r in found.rows)
    assert 82 <= counts["lamp-1", "lamp"] <= 85
    assert 82 <= counts["bin-1", "bin"] <= 85
    assert 12 <= counts["leak-1", "leak"] <= 14
    assert {r.state for r in found.rows if r.name == "lamp-1"} == {"signed"}
    assert {r.state for r in found.rows} <= {"signed", "authenticated"}
    assert found.summary["gaps"] == []
    levels = {r.values["level_percent"] for r in found.rows if r.type == "lamp"}
    assert {100, 40} <= levels
    assert {r.name for r in found.rows if r.clock == "confirmed"} == {"lamp-1", "bin-1", "leak-1"}
