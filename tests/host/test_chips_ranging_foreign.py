"""The models of distance sensors under drivers that we did not write: Adafruit's for VL53L1X and HC-SR04,
unmodified, over stand-ins for their interpreter. Skipped by name where they are not installed."""

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.ultrasonic_pulse import UltrasonicPulse
from hw.virtual.chips.vl53l1x import NO_SIGNAL, OUT_OF_BOUNDS, SIGMA, VL53L1X, WRAPPED
from tests.host.adafruit_shim import I2CBus, load


class Laser:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model = VL53L1X()
        self.port = ManualPort(5)
        self.model.attach(self.port)
        self.port.advance(2_000)
        self.bus = I2CBus([self.model], self.port.clock)
        self.source = load("adafruit_vl53l1x", monkeypatch, self.port.clock)
        self.driver = self.source.VL53L1X(self.bus)

    def distance(self) -> float | None:
        """In millimetres, the way the driver's own example reads it."""
        for _ in range(1000):
            if self.driver.data_ready:
                break
            self.port.advance(1_000)
        else:
            raise AssertionError("never ready")
        cm: float | None = self.driver.distance
        self.driver.clear_interrupt()
        return None if cm is None else cm * 10


@pytest.fixture
def laser(monkeypatch: pytest.MonkeyPatch) -> Laser:
    return Laser(monkeypatch)


def test_vl53l1x_identity_and_default(laser: Laser) -> None:
    assert laser.driver.model_info == (0xEA, 0xCC, 0x10)
    assert (laser.driver.distance_mode, laser.driver.timing_budget) == (2, 50)
    # Its own first range, with the budget of the configuration as it is.
    assert (laser.model.mode, laser.model.budget_ms, laser.model.ranges) == ("long", 100, 1)
    laser.model.model_id = b"\xee\xaa\x10"
    laser.model.reset()
    laser.port.advance(2_000)
    with pytest.raises(RuntimeError, match="Wrong sensor ID"):
        laser.source.VL53L1X(laser.bus)
    assert laser.model.violations == []


@pytest.mark.parametrize("mode", [1, 2])
def test_vl53l1x_ranges_in_every_mode_and_budget(laser: Laser, mode: int) -> None:
    laser.driver.distance_mode = mode
    for ms in (15, 20, 33, 50, 100, 200, 500)[mode - 1 :]:
        laser.driver.timing_budget = ms
        laser.driver.start_ranging()
        for metres in (0.04, 0.555, 1.36, 3.6)[: 2 + mode]:
            laser.model.set_physical(metres)
            laser.driver.clear_interrupt()
            # What was under way may be of the place before.
            laser.distance()
            assert laser.distance() == pytest.approx(metres * 1000)
        assert (laser.model.mode, laser.model.budget_ms) == ("short" if mode == 1 else "long", ms)
        laser.driver.stop_ranging()
        laser.driver.clear_interrupt()
    with pytest.raises(ValueError, match="timing budget"):
        laser.driver.timing_budget = 15 if mode == 2 else 30
    assert laser.model.violations == []


def test_vl53l1x_status(laser: Laser) -> None:
    laser.driver.start_ranging()
    for status in (NO_SIGNAL, OUT_OF_BOUNDS, SIGMA, WRAPPED):
        laser.model.status = status
        laser.distance()
        assert laser.distance() is None
    laser.model.status = None
    laser.distance()
    assert laser.distance() == 1000
    assert laser.model.violations == []


def test_vl53l1x_interrupt_stands_until_it_is_cleared(laser: Laser) -> None:
    laser.driver.start_ranging()
    assert laser.distance() == 1000
    laser.port.advance(200_000)
    laser.model.set_physical(2.0)
    laser.port.advance(2_000_000)
    assert laser.driver.data_ready and laser.driver.distance == 200
    laser.driver.clear_interrupt()
    assert not laser.driver.data_ready
    assert laser.distance() == 2000


def test_vl53l1x_two_addresses(laser: Laser) -> None:
    laser.driver.set_address(0x2A)
    assert laser.model.address == 0x2A
    laser.driver.start_ranging()
    assert laser.distance() == 1000
    with pytest.raises(ValueError, match="No I2C device at address: 0x29"):
        laser.source.VL53L1X(laser.bus)


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> tuple[UltrasonicPulse, ManualPort, Callable[[], Any]]:
    model = UltrasonicPulse(temperature_c=14.53)  # 340 m/s, which is what this driver counts with
    port = ManualPort(5)
    model.attach(port)
    names: Any = types.ModuleType("microcontroller")
    names.Pin = object
    monkeypatch.setitem(sys.modules, "microcontroller", names)
    source = load("adafruit_hcsr04", monkeypatch, port.clock)

    class Pin:
        """digitalio.DigitalInOut on the model's leg."""

        direction = None

        def __init__(self, leg: str) -> None:
            self.leg = leg

        @property
        def value(self) -> int:
            return port.pins.get(self.leg, 0)

        @value.setter
        def value(self, level: bool) -> None:
            model.pin_changed(self.leg, int(level))

    monkeypatch.setattr(source, "DigitalInOut", Pin)
    monkeypatch.setattr(source, "Direction", type("Direction", (), {"OUTPUT": 1, "INPUT": 0}))
    return model, port, lambda: source.HCSR04("trigger", "echo")


def test_hcsr04(sound: tuple[UltrasonicPulse, ManualPort, Callable[[], Any]]) -> None:
    model, port, build = sound
    driver = build()
    for metres in (0.02, 0.5, 1.0, 2.5, 4.0):
        model.set_physical(metres)
        # It looks every microsecond here.
        assert driver.distance == pytest.approx(metres * 100, abs=0.1)
        port.advance(100_000)
    # No echo: it takes the 38 ms of the sensor for 6.46 m.
    model.set_physical(9.0)
    assert driver.distance == pytest.approx(646, abs=1)
    port.advance(100_000)
    model.faults.append(lambda us: 0)
    with pytest.raises(RuntimeError, match="Timed out"):
        _ = driver.distance
    model.set_physical(1.0)
    port.advance(100_000)
    assert driver.distance == pytest.approx(100, abs=0.1)
    assert model.violations == []
