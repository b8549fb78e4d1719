"""Range sensors with their drivers: one reading as a kind takes it, and what MicroPython gives the drivers."""

from collections.abc import Callable
from typing import Any

from firmware.drivers import hcsr04, vl53l1x
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.shim import InPin, OutPin, Time
from hw.virtual.chips.ultrasonic_pulse import JSN_SR04T, UltrasonicPulse
from hw.virtual.chips.vl53l1x import (
    VL53L1X,
)
from tests.host.adafruit_shim import MachineI2C


def once(port: ManualPort, driver: Any) -> int | None:
    """One reading as a kind takes it: start, wait, read, stop."""
    try:
        port.advance(driver.start() * 1000)
        mm: int | None = driver.read_mm()
        return mm
    finally:
        driver.stop()


def measuring(port: ManualPort, driver: Any) -> Callable[[], float]:
    def measure() -> float:
        mm = once(port, driver)
        assert mm is not None
        return mm / 1000

    return measure


def time_pulse_us(port: ManualPort) -> Callable[[InPin, int, int], int]:
    """MicroPython's: -2 when the level does not come in time, -1 when it does not go in time."""

    def wait(pin: InPin, level: int, us: int) -> bool:
        end = port.now_us + us
        while pin() != level:
            if port.now_us >= end:
                return False
            due = port.clock.next_us()
            port.run_until(end if due is None else min(due, end))
        return True

    def pulse(pin: InPin, level: int, timeout: int) -> int:
        if not wait(pin, level, timeout):
            return -2
        start = port.now_us
        return port.now_us - start if wait(pin, 1 - level, timeout) else -1

    return pulse


def echo_driver(model: UltrasonicPulse, port: ManualPort, power: bool = False) -> Any:
    part: Any = hcsr04.JSNSR04T if model.variant is JSN_SR04T else hcsr04.HCSR04
    return part(
        OutPin(lambda level: model.pin_changed("trigger", level)),
        InPin(port, "echo"),
        time_pulse_us(port),
        OutPin(lambda level: model.pin_changed("power", level)) if power else None,
        clock=Time(port.clock),
    )


def laser_driver(model: VL53L1X, port: ManualPort, **options: Any) -> tuple[Any, MachineI2C]:
    bus = MachineI2C([model], port.clock)
    return vl53l1x.VL53L1X(bus, clock=Time(port.clock), **options), bus
