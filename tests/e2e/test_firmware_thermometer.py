"""A bin with a DS18B20 on its 1-Wire, under the real interpreter: the sensor's dialogue goes over the wire to the
chip's model, and the bin goes on without it.

The heap is a node's, though onewire, ds18x20 and the module under them hold 4 KB of it that lie in a chip's flash.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from host_tools import sim
from hw.virtual import hwboard
from hw.virtual.chips.ds18b20 import DS18B20
from hw.virtual.world import STAND_IN_KB
from tests.e2e.firmware_world import BIN, HELTEC, Yard

pytestmark = pytest.mark.slow

HOUR = 3600
WIRE = hwboard.load(HELTEC).pins["ONEWIRE"]
#: Looks, one a minute, that have to fail (firmware/kinds/bin_extras.py).
LOOKS = 6
WARM = {
    **BIN,
    "settings": {**BIN["settings"], "heartbeat_s": 900},
    "parts": {"temperature": "ds18b20"},
}


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> DS18B20:
    """Soldered to the board that is made from then on."""
    furnish = sim.Run._furnish
    made = DS18B20(-5.5)

    def both(self: sim.Run, b: dict[str, Any], hw: Any, chips: dict[str, Any], settings: Any) -> None:
        furnish(self, b, hw, chips, settings)
        chips["ds18b20"] = made

    monkeypatch.setattr(sim.Run, "_furnish", both)
    return made


def seen(yard: Yard) -> list[dict[str, Any]]:
    found = sorted((r for r in yard.decoded("bin").rows if r.type == "bin"), key=lambda r: r.seq or 0)
    assert not [r for r in found if r.state == "rejected"]
    return [dict(r.values) for r in found]


def alarms(values: dict[str, Any]) -> list[str]:
    return [str(word) for word in values.get("alarms", [])]


def assert_sound(yard: Yard, chip: DS18B20) -> None:
    board = yard.board("bin")
    assert yard.lives == ["bin"] and board.failures == [] and chip.violations == []
    assert not [line for line in board.console if "task" in line or "emory" in line], board.console
    assert board.heap_peak <= (sim.NODE_HEAP_KB + STAND_IN_KB) * 1024


PULLED: dict[str, Callable[[Yard, DS18B20, bool], None]] = {
    "off": lambda yard, chip, on: setattr(chip, "present", on),
    "to ground": lambda yard, chip, on: yard.world.set_input("bin", WIRE, int(on)),
}


@pytest.mark.parametrize("how", PULLED)
def test_a_sensor_pulled_off_and_put_back(tmp_path: Path, chip: DS18B20, how: str) -> None:
    with Yard(tmp_path, WARM) as yard:
        yard.run(HOUR)
        assert len(seen(yard)) >= 3 and {v["temperature_degc"] for v in seen(yard)} == {Decimal("-5.5")}
        PULLED[how](yard, chip, False)
        yard.run((LOOKS - 1) * 60)
        assert not any(map(alarms, seen(yard))), "a few looks may fail"
        yard.run(120)
        assert alarms(seen(yard)[-1]) == ["sensor_failure"]
        before = len(seen(yard))
        yard.run(HOUR)
        told = seen(yard)[before:]
        assert len(told) >= 3 and all(alarms(v) == ["sensor_failure"] for v in told)
        assert all(v["fill_percent"] == 50 and "temperature_degc" not in v for v in told)
        PULLED[how](yard, chip, True)
        chip.celsius = 31.0
        yard.run(HOUR // 2)
        assert alarms(seen(yard)[-1]) == [] and seen(yard)[-1]["temperature_degc"] == 31
        assert_sound(yard, chip)
