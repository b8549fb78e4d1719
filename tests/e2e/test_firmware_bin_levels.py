"""What a bin's readings say under the real interpreter: volume, class, quality, speed, forecast and fire; expected
values from solid geometry and from what the sensors were given."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_tools import sim
from hw.virtual.chips.ds18b20 import DS18B20
from tests.e2e.firmware_world import BIN, Yard
from tests.e2e.test_firmware_bin_leak import HOUR, alarms, assert_sound, rows

pytestmark = pytest.mark.slow


def frustum(h: float) -> float:
    """Below `h` m of one of 1 m, 0.4 m by 0.3 m at the bottom and 0.6 m by 0.5 m at the full mark."""

    def area(z: float) -> float:
        return (0.4 + 0.2 * z) * (0.3 + 0.2 * z)

    return h / 6 * (area(0) + 4 * area(h / 2) + area(h))


def lying(h: float) -> float:
    """Below `h` m of a cylinder of 1 m on its side."""
    return 0.25 * math.acos(1 - 2 * h) - (0.5 - h) * math.sqrt(h - h * h)


SHAPES: dict[str, tuple[dict[str, int], Callable[[float], float]]] = {
    "prism": ({}, lambda h: h),
    "frustum": (
        {"bottom_width_mm": 400, "bottom_depth_mm": 300, "top_width_mm": 600, "top_depth_mm": 500},
        frustum,
    ),
    "cylinder": ({"diameter_mm": 1000}, lying),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_volume_class_speed_and_forecast(tmp_path: Path, shape: str) -> None:
    """Filled from a twentieth to nine tenths of its height within 17 h."""
    more, volume = SHAPES[shape]
    settings = {**BIN["settings"], **more, "heartbeat_s": 1800}
    board = {**BIN, "settings": settings, "interval_s": 1800, "distance_m": [[0, 1.15], [17, 0.3]]}
    with Yard(tmp_path, board) as yard:
        yard.run(16 * HOUR)
        seen = [r.values for r in rows(yard, "bin") if "fill_percent" in r.values]
        assert len(seen) >= 25
        fills = [int(str(v["fill_percent"])) for v in seen]
        for v, fill in zip(seen, fills, strict=True):
            h = min(max(1.2 - float(str(v["distance_m"])), 0.001), 0.999)
            assert abs(fill - 100 * volume(h) / volume(1.0)) <= 1
            assert v["quality_percent"] == 100
        names = ["empty", "quarter", "half", "three_quarters", "full"]
        classes = [names.index(str(v["fill_class"])) for v in seen]
        assert [c for c, _ in itertools.groupby(classes)] == sorted(set(classes)) and len(set(classes)) >= 4
        # It keeps its class up to 3 points beyond the border.
        assert all(abs(fill - 25 * c) <= 16 for fill, c in zip(fills, classes, strict=True))
        assert any(abs(fill - 25 * c) > 12 for fill, c in zip(fills, classes, strict=True))
        assert "fill_speed" not in str(seen[0]) and "full_in_h" not in seen[0], "not within half a day"
        last = seen[-1]
        speed = float(str(last["fill_speed_percent_per_d"]))
        assert speed == pytest.approx((fills[-1] - fills[0]) / 15.5 * 24, rel=0.06)
        assert float(str(last["full_in_h"])) == pytest.approx(max(0, 90 - fills[-1]) / speed * 24, abs=1)
        assert_sound(yard, "bin")


def test_fire_by_its_rise_and_by_its_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """6 K a minute is one from the second on, 2 K a minute from 70 degC on; the sun on the lid is none."""
    furnish = sim.Run._furnish
    celsius = 20.0
    chip = DS18B20(celsius)

    def both(self: sim.Run, b: dict[str, Any], hw: Any, chips: dict[str, Any], settings: Any) -> None:
        furnish(self, b, hw, chips, settings)
        chips["ds18b20"] = chip

    monkeypatch.setattr(sim.Run, "_furnish", both)
    with Yard(tmp_path, {**BIN, "parts": {"temperature": "ds18b20"}}) as yard:

        def warm(degrees: float, minutes: int) -> list[str]:
            nonlocal celsius
            for _ in range(minutes):
                chip.celsius = celsius = celsius + degrees
                yard.run(60)
            return alarms(yard, "bin")[-1]

        yard.run(1800)
        assert warm(1.2, 25) == [], "50 degC"
        assert warm(-1.2, 20) == []
        assert warm(6, 5) == ["fire"]
        assert float(str(rows(yard, "bin")[-1].values["temperature_degc"])) < 70
        assert warm(-4, 20) == [], "below 50 degC and falling"
        chip.celsius = celsius = 20.0
        yard.run(120)
        assert warm(2, 22) == ["temperature_high"], "64 degC"
        assert set(warm(2, 6)) == {"fire", "temperature_high"}
        assert_sound(yard, "bin")
