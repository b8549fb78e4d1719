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
    "settings": {"empty_mm": 1200, "full_mm": 200, "heartbeat_s": 60},
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

    port.set_pin = set_pin  # type: ignore[method-assign, assignment]
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
            # The gateway notices when it next looks, which is after ten minutes at the most.
            assert board.console.count("task radio") >= 5
            errors = {line for line in board.console if "Error" in line}
            assert errors == {"BusError: ('sx1262', 'busy')"}
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


def test_a_radio_that_a_dip_of_its_supply_has_reset(tmp_path: Path) -> None:
    """It stands idle with its settings gone. Gateway and lamp notice when they next look."""
    with (
        store(lambda n, record: answer(record)) as sink,
        Yard(tmp_path, LAMP, sink=f"tcp:127.0.0.1:{sink.port}") as yard,
    ):
        yard.run(900)
        heard = len(sink.records)
        for name in ("lamp", "gateway"):
            chip = yard.board(name).chips["radio"]
            assert isinstance(chip, SX1262)
            chip.reset()
        yard.run(1500)
        for name in ("lamp", "gateway"):
            chip = yard.board(name).chips["radio"]
            assert isinstance(chip, SX1262)
            assert chip.receptive and chip.modulation is not None
            assert chip.violations == []
            assert yard.board(name).console.count("task radio") == 1
            assert yard.lives.count(name) == 1
        assert len(sink.records) > heard + 8


def test_memory_does_not_grow_over_a_night(tmp_path: Path) -> None:
    """The live heap of each board after two hours and after twelve, by less than 1 KB. The gateway's over
    the first and the last hours: it collects when it sends, which is seldom."""
    seen: dict[str, list[int]] = {}

    def watch(world: Any) -> None:
        def forget(board: Board) -> None:
            board.heap_live = 0

        def look(board: Board) -> None:
            seen.setdefault(board.name, []).append(board.heap_live)

        for board in world.boards.values():
            for begin, end in ((0.5, 6), (8, 14)) if board.name == "gateway" else ((0.5, 2), (10.5, 12)):
                world.at(begin * 3600, lambda b=board: forget(b))
                world.at(end * 3600 - 1, lambda b=board: look(b))

    found = sim.run("demo", tmp_path / "out", sim.Options(seed=8, on_world=watch))
    assert found.failures == []
    assert set(seen) == {"gateway", "lamp-1", "bin-1", "leak-1"}
    for name, (early, late) in seen.items():
        assert early > 80_000, "a collection was seen"
        assert late - early < 1024, (name, early, late)


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
    assert 83 <= counts["lamp-1", "lamp"] <= 87
    assert 82 <= counts["bin-1", "bin"] <= 85
    assert 12 <= counts["leak-1", "leak"] <= 14
    assert {r.state for r in found.rows if r.name == "lamp-1"} == {"signed"}
    assert {r.state for r in found.rows} <= {"signed", "authenticated"}
    assert found.summary["gaps"] == []
    levels = {r.values["level_percent"] for r in found.rows if r.type == "lamp"}
    assert {100, 40} <= levels
    assert {r.name for r in found.rows if r.clock == "confirmed"} == {"lamp-1", "bin-1", "leak-1"}
