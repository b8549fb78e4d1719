"""Range sensors through their drivers: what is no distance, noise, and all of them on a board."""

from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers import maxbotix, tfluna
from hw.virtual import World
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.maxbotix import MaxBotix
from hw.virtual.chips.shim import Uart
from hw.virtual.chips.tfluna import TFLuna
from hw.virtual.chips.ultrasonic_pulse import HC_SR04, JSN_SR04T, UltrasonicPulse
from hw.virtual.chips.vl53l1x import (
    VL53L1X,
)
from tests.host.ranging_bench import echo_driver, laser_driver, measuring, once
from tests.host.sensor_bench import Sensor, attach
from tests.host.virtual_bench import program


def pulse(variant: Any) -> Sensor:
    model = UltrasonicPulse(variant=variant)
    port = attach(model)
    # The driver's straight line for the speed of sound is 0.06 % off the square root at 20 degC.
    return Sensor(model, port, measuring(port, echo_driver(model, port)), 0.0005 + 0.0006 * model.range()[1])


def rounds() -> Sensor:
    model = MaxBotix(stray=0.2)
    port = attach(model)
    port.advance(1_000_000)
    return Sensor(model, port, measuring(port, maxbotix.MaxBotix(Uart(port))), 0.0005)


def luna(mm: bool) -> Sensor:
    model = TFLuna(mm=mm)
    port = attach(model)
    port.advance(1_000_000)
    return Sensor(model, port, measuring(port, tfluna.TFLuna(Uart(port), unit_mm=1 if mm else 10)), 0.0005)


def laser(long: bool) -> Sensor:
    model = VL53L1X()
    port = attach(model)
    port.advance(2_000)
    driver, _ = laser_driver(model, port, long=long)
    once(port, driver)
    return Sensor(model, port, measuring(port, driver), 0.0005)


SENSORS: dict[str, Callable[[], Sensor]] = {
    "hcsr04": lambda: pulse(HC_SR04),
    "jsnsr04t": lambda: pulse(JSN_SR04T),
    "maxbotix": rounds,
    "tfluna": lambda: luna(False),
    "tfluna_mm": lambda: luna(True),
    "vl53l1x": lambda: laser(False),
    "vl53l1x_long": lambda: laser(True),
}


OUTSIDE: dict[str, tuple[Callable[[], Any], Callable[[Any, ManualPort], Any], tuple[float, ...]]] = {
    "hcsr04": (UltrasonicPulse, echo_driver, (0.0, 0.019, 4.2, 9.0)),
    "jsnsr04t": (lambda: UltrasonicPulse(variant=JSN_SR04T), echo_driver, (0.1, 0.24, 4.7)),
    "maxbotix": (MaxBotix, lambda m, p: maxbotix.MaxBotix(Uart(p)), (5.0, 9.0)),
    "tfluna": (TFLuna, lambda m, p: tfluna.TFLuna(Uart(p)), (0.0, 0.19, 8.1, 20.0)),
    "vl53l1x": (VL53L1X, lambda m, p: laser_driver(m, p)[0], (0.0, 0.03, 1.37, 4.0)),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside_is_no_distance(name: str) -> None:
    build, drive, places = OUTSIDE[name]
    for metres in places:
        model = build()
        port = attach(model)
        model.set_physical(metres)
        port.advance(1_000_000)
        assert once(port, drive(model, port)) is None, metres
        model.set_physical(0.5)
        port.advance(200_000)
        assert once(port, drive(model, port)) == pytest.approx(500, abs=1)
        assert model.violations == []


@pytest.mark.parametrize("name", OUTSIDE)
def test_noise_comes_from_the_seed_and_distance_from_time(name: str) -> None:
    build, drive, _ = OUTSIDE[name]

    def run(seed: int) -> list[int | None]:
        model, port = build(), ManualPort(seed)
        model.noise_m = 0.02
        model.distance_m = lambda us: 0.5 if us < 4_000_000 else 1.0
        model.attach(port)
        port.advance(1_000_000)
        driver = drive(model, port)
        found = []
        for _ in range(24):
            found.append(once(port, driver))
            port.advance(200_000)
        assert model.violations == []
        return found

    a = run(1)
    assert a == run(1) != run(2)
    assert all(mm is not None and 400 <= mm <= 600 for mm in a[:5])
    assert all(mm is not None and 900 <= mm <= 1100 for mm in a[-5:])


def test_on_a_board() -> None:
    """Light and sound under the real interpreter: I2C transfer by transfer, and machine.time_pulse_us."""
    chips: dict[str, Any] = {"laser": VL53L1X(0.777), "sound": UltrasonicPulse(1.5, temperature_c=0.0)}
    text = """
    from machine import I2C, Pin, time_pulse_us
    import time
    from firmware.drivers.errors import DriverError
    from firmware.drivers.hcsr04 import HCSR04
    from firmware.drivers.vl53l1x import VL53L1X
    sound = HCSR04(Pin(4, Pin.OUT), Pin(5, Pin.IN), time_pulse_us)
    sound.temp_ddegc = 0
    laser = VL53L1X(I2C(0, scl=Pin(6), sda=Pin(7)), Pin(15, Pin.OUT))
    for sensor in (laser, sound):
        for i in range(3):
            time.sleep_ms(sensor.start())
            try:
                print(sensor.read_mm())
            except DriverError as e:
                print(e.args)
            sensor.stop()
    """
    with World(2) as world:
        board = world.add_board(
            "bin",
            mpy_dir=program(text, "hcsr04", "vl53l1x"),
            chips=chips,
            wiring={"laser": {"i2c": 0, "xshut": 15}, "sound": {"trigger": 4, "echo": 5}},
            mcu="esp32s3",
            on_exit="end",
            heap="200k",
        )
        world.run(4)
    assert board.failures == [], board.console
    assert board.console[:3] == ["777"] * 3
    assert [abs(int(line) - 1500) <= 2 for line in board.console[3:]] == [True] * 3
    assert all(c.violations == [] for c in chips.values())
