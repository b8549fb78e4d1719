"""Every sensor's model through its unmodified driver, over the whole range in SI units; bus faults and wrong use
are in the files that make the sensors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.host import (
    test_chips_ds18b20,
    test_chips_energy,
    test_chips_i2c,
    test_chips_inputs,
    test_chips_pcf8593,
    test_chips_ranging,
    test_chips_sensors,
)

#: Where sensors are made, and at how many places of their range they are read: a meter takes seconds for each.
MODULES = {
    test_chips_sensors: 17,
    test_chips_i2c: 17,
    test_chips_inputs: 17,
    test_chips_pcf8593: 6,
    test_chips_ds18b20: 17,
    test_chips_ranging: 17,
    test_chips_energy: 6,
}
SENSORS: dict[str, tuple[Callable[[], Any], int]] = {
    name: (make, places) for module, places in MODULES.items() for name, make in module.SENSORS.items()
}


def test_no_name_is_there_twice() -> None:
    assert len(SENSORS) == sum(len(module.SENSORS) for module in MODULES) >= 30


@pytest.mark.parametrize("name", SENSORS)
def test_sweep(name: str) -> None:
    make, places = SENSORS[name]
    sensor = make()
    low, high, step = sensor.model.range()
    assert low < high and step > 0
    # A sensor that stands still, or a driver that clips, would be near the truth somewhere.
    assert sensor.spread + step / 2 < (high - low) / 16
    found = []
    for i in range(places):
        wanted = low + (high - low) * i / (places - 1)
        sensor.model.set_physical(wanted)
        found.append(sensor.measure())
        assert found[-1] == pytest.approx(wanted, abs=sensor.spread + step / 2 + 1e-12), wanted
    assert all(a < b for a, b in itertools.pairwise(found))
    assert sensor.model.violations == []
