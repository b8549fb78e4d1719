"""A cabinet under the real interpreter, within a node's heap: contactor, alarms, and what a broken part costs."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from host_tools import intake
from host_tools.rows import Row
from hw.virtual.chips.contact import Contact
from hw.virtual.chips.modbus_meter import ModbusMeter
from hw.virtual.chips.relay_lamp import RelayLamp
from hw.virtual.world import STAND_IN_KB
from tests.e2e.firmware_world import START_UTC, Yard, answering, write_plan

pytestmark = pytest.mark.slow

# With all its parts a cabinet is over the rule; docs/guides/cabinet.md says so.
HEAP_KB = 154
CABINET: dict[str, Any] = {
    "name": "box",
    "kind": "cabinet",
    "profile": "mac0",
    "interval_s": 900,
    "heap_kb": HEAP_KB,
}
HOUR = 3600


def plan(folder: Path, *periods: tuple[str, str]) -> str:
    """A plan in UTC that is on in these periods of each day."""
    on = [{"name": "AbsoluteActivePeriod", "startTime": a, "endTime": b} for a, b in periods]
    return write_plan(folder, "plan", [("12:00:00", 100)], activePeriods=on)


class Box:
    """The cabinet of a yard and what its models saw."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        chips = yard.board("box").chips
        relay, self.meter = chips["relay"], chips.get("modbus_meter")
        self.door, self.breaker = chips.get("contact1"), chips.get("contact2")
        assert isinstance(relay, RelayLamp)
        self.relay: RelayLamp = relay
        self.changes: list[tuple[float, bool]] = []
        yard.world.observe("actuate", self._changed)

    def _changed(self, entry: Any) -> None:
        on = entry.what["power_w"] > 0
        if not self.changes or self.changes[-1][1] != on:
            self.changes.append((entry.t_us / 1e6, on))

    def weld(self, stuck: bool) -> None:
        self.relay.welded = stuck
        self.relay.supply(True)

    def jam(self, stuck: bool) -> None:
        """The coil does not move it any more; it stays open."""
        self.relay.dead = stuck
        self.relay.supply(True)

    def rows(self) -> list[Row]:
        """Its readings in the order of their numbers."""
        found = [r for r in self.yard.decoded("box").rows if r.type == "cabinet"]
        assert not [r for r in found if r.state == "rejected"]
        return sorted(found, key=lambda r: r.seq or 0)

    @staticmethod
    def _alarms(row: Row) -> list[Any]:
        found = row.values.get("alarms", [])
        assert isinstance(found, list)
        return found

    def last(self) -> dict[str, Any]:
        return dict(self.rows()[-1].values)

    def episodes(self, alarm: str) -> tuple[int, int]:
        """How often readings say that an alarm began, and that it ended."""
        seen = [False, *(alarm in self._alarms(r) for r in self.rows())]
        steps = list(itertools.pairwise(seen))
        return steps.count((False, True)), steps.count((True, False))

    def told_within(self, seconds: float, alarm: str, stands: bool = True) -> bool:
        """Let time pass until a reading on the air says so."""
        for _ in range(int(seconds // 10)):
            self.yard.run(10)
            if (alarm in self.last()["alarms"]) is stands:
                return True
        return False

    def assert_sound(self) -> None:
        board = self.yard.board("box")
        assert self.yard.lives.count("box") == 1 and board.failures == []
        assert not [line for line in board.console if "task" in line or "memory" in line], board.console
        assert board.heap_peak <= (HEAP_KB + STAND_IN_KB) * 1024
        for name, chip in board.chips.items():
            assert chip.violations == [], name


@contextmanager
def alone(folder: Path, **more: Any) -> Iterator[Box]:
    """Without a gateway, and so without time: on, by default."""
    with Yard(folder, {**CABINET, **more}) as yard:
        box = Box(yard)
        yard.run(700)  # until hello is out
        yield box
        box.assert_sound()


@contextmanager
def commanded(folder: Path, **more: Any) -> Iterator[tuple[Box, intake.Intake]]:
    """With a gateway, a store that answers and a commander."""
    row = {**CABINET, **more}
    with answering(folder, row) as (taker, sink), Yard(folder, row, sink=sink) as yard:
        box = Box(yard)
        yield box, taker
        box.assert_sound()


def seconds(text: str) -> float:
    """Virtual seconds of an instant of the first day or the next."""
    start = dt.datetime.fromisoformat(START_UTC)
    return (dt.datetime.fromisoformat(text) - start).total_seconds()


def test_it_follows_its_plan_and_commands(tmp_path: Path) -> None:
    wanted = plan(tmp_path, ("17:00:00", "21:30:00"), ("05:00:00", "07:15:00"))
    with commanded(tmp_path, plan=wanted) as (box, taker):
        box.yard.run(HOUR - 60)
        assert box.changes[0][1] and box.changes[0][0] < 2, "on from power-up until it knows better"
        assert not box.relay.closed
        known = len(box.changes)
        box.yard.run(16 * HOUR)
        at = [seconds(f"2026-11-{t}Z") for t in ("20T17:00:00", "20T21:30:00", "21T05:00:00", "21T07:15:00")]
        assert [on for _, on in box.changes[known:]] == [True, False, True, False]
        for (t, _), due in zip(box.changes[known:], at, strict=True):
            assert abs(t - due) <= 5
        results: list[object] = []

        def command(op: str, *args: int) -> Any:
            """The outcome; it goes out with an answer to some uplink, and its result may be lost once."""
            assert taker.answers is not None
            taker.answers.queue("box", op, list(args))
            for _ in range(30):
                box.yard.run(300)
                told = [r.values["outcome"] for r in box.yard.decoded("box").rows if r.type == "result"]
                if len(told) > len(results):
                    results[:] = told
                    return told[-1]
            raise AssertionError(f"no result of {op}")

        assert command("light", 100, 14400, 0) == "done"
        box.yard.run(1000)
        assert box.relay.closed and box.last()["reason"] == "override"
        assert command("resume") == "done"
        box.yard.run(1000)
        assert not box.relay.closed and box.last()["reason"] == "program"
        assert command("light", 50, 60, 0) == "op_args"
        assert command("identify", 5) == "op_refused"
        assert command("light", 100, 0, 0) == "ttl"
        states = {r.state for r in box.rows()}
        assert "signed" in states, "there is memory to sign, with a plan in force"
        hello = next(r for r in box.yard.decoded("box").rows if r.type == "hello")
        assert hello.values["plan"]


def test_a_welded_contactor_is_told_once(tmp_path: Path) -> None:
    wanted = plan(tmp_path, ("17:00:00", "18:00:00"))
    with commanded(tmp_path, plan=wanted) as (box, _):
        box.yard.run(1.5 * HOUR)
        assert box.relay.closed and box.last()["alarms"] == []
        box.weld(True)
        box.yard.run(HOUR / 2 - 30)
        assert box.episodes("contactor_welded") == (0, 0), "nothing to see while it is on"
        assert box.told_within(90, "contactor_welded")
        box.yard.run(3 * HOUR)
        last = box.last()
        assert (last["contactor"], last["target"], last["power_w"]) == ("on", "off", 3008)
        box.weld(False)
        assert box.told_within(180, "contactor_welded", False)
        box.yard.run(HOUR)
        assert box.episodes("contactor_welded") == (1, 1)
        assert box.last()["alarms"] == [] and box.last()["power_w"] == 8


@pytest.mark.parametrize("hw", ["heltec_wifi_lora_32_v3", "lilygo_t3_s3"], ids=["feedback", "load"])
def test_a_contactor_that_does_not_close_is_told_once(tmp_path: Path, hw: str) -> None:
    with alone(tmp_path, hw=hw) as box:
        assert ("contactor" in box.last()) is (hw != "lilygo_t3_s3"), "that board has one contact only"
        box.jam(True)
        assert box.told_within(180, "contactor_open")
        box.yard.run(2 * HOUR)
        assert box.last()["power_w"] == 8
        box.jam(False)
        assert box.told_within(180, "contactor_open", False)
        box.yard.run(HOUR)
        assert box.episodes("contactor_open") == (1, 1)
        assert box.last()["power_w"] == 3008 and box.last()["alarms"] == []


def test_door_and_breaker_within_a_minute(tmp_path: Path) -> None:
    with alone(tmp_path) as box:
        assert isinstance(box.door, Contact) and isinstance(box.breaker, Contact)
        box.door.open()
        assert box.told_within(60, "door_open")
        box.door.close()
        assert box.told_within(60, "door_open", False)
        box.breaker.close()
        box.relay.supply(False)
        assert box.told_within(60, "breaker_tripped")
        box.yard.run(HOUR)
        assert box.last()["alarms"] == ["breaker_tripped"], "no power is the breaker's doing"
        box.breaker.open()
        box.relay.supply(True)
        assert box.told_within(60, "breaker_tripped", False)
        assert box.episodes("door_open") == box.episodes("breaker_tripped") == (1, 1)


def test_earth_leakage_and_the_switch_in_the_box(tmp_path: Path) -> None:
    inputs = {"door_input": 0, "breaker_input": 0, "leakage_input": 101, "switch_off_input": 2}
    with alone(tmp_path, settings=inputs) as box:
        assert isinstance(box.door, Contact) and isinstance(box.breaker, Contact)
        box.door.open()
        assert box.told_within(60, "earth_leakage")
        box.breaker.close()
        box.yard.run(120)
        last = box.last()
        assert not box.relay.closed
        assert (last["local"], last["reason"], last["target"]) == ("off", "local", "off")


def test_a_dead_meter_costs_its_own_fields(tmp_path: Path) -> None:
    with alone(tmp_path) as box:
        assert isinstance(box.meter, ModbusMeter) and isinstance(box.door, Contact)
        before = box.last()
        assert (before["power_w"], before["power_l1_w"], str(before["voltage_l3_v"])) == (3008, 1008, "230.0")
        box.meter.faults = [lambda _: b""] * 10_000
        box.yard.run(HOUR)
        last = box.last()
        gone = {
            "power_w",
            "energy_wh",
            *(f"{q}_l{n}_{u}" for n in "123" for q, u in (("power", "w"), ("voltage", "v"))),
        }
        assert set(before) - set(last) == gone
        assert box.relay.closed and last["alarms"] == []
        box.door.open()
        assert box.told_within(60, "door_open")
        box.meter.faults = []
        box.yard.run(HOUR)
        # What was drawn meanwhile is in the meter's own total.
        assert box.last()["energy_wh"] - before["energy_wh"] >= 2 * 2900


def test_phases(tmp_path: Path) -> None:
    with alone(tmp_path) as box:
        assert isinstance(box.meter, ModbusMeter)
        box.meter.phases[1].change((20.0, 0.1, 1.0))
        assert box.told_within(180, "phase_lost")
        box.meter.phases[1].change((262.0, 4.0, 1.0))
        assert box.told_within(180, "supply_high")
        assert box.last()["alarms"] == ["supply_high"]


def test_hours_and_switches_survive_a_power_cut(tmp_path: Path) -> None:
    with Yard(tmp_path, CABINET) as yard:
        box = Box(yard)
        yard.run(2 * HOUR + 700)
        yard.world.power_cut("box", back_s=10)
        yard.run(1800)
        last = box.last()
        assert last["switches"] == 2, "the first state after a start is a switching on"
        assert 2.0 <= float(last["burn_time_h"]) <= 2.7, "an hour is lost at the most"
