"""HC-SR04 and JSN-SR04T: trigger and echo on pins."""

from collections.abc import Callable

import pytest

from firmware.drivers.errors import BusError, DriverError
from hw.virtual.chips.ultrasonic_pulse import HC_SR04, JSN_SR04T, UltrasonicPulse
from tests.host.ranging_bench import echo_driver, once
from tests.host.sensor_bench import attach


@pytest.mark.parametrize(("celsius", "untold"), [(-10.0, 1056), (0.0, 1036), (20.0, 1000), (40.0, 966)])
def test_speed_of_sound(celsius: float, untold: int) -> None:
    model = UltrasonicPulse(1.0, temperature_c=celsius)
    port = attach(model)
    driver = echo_driver(model, port)
    assert once(port, driver) == pytest.approx(untold, abs=3)
    driver.temp_ddegc = round(celsius * 10)
    port.advance(60_000)
    assert once(port, driver) == pytest.approx(1000, abs=3)
    assert model.violations == []


def test_echo_on_the_wire() -> None:
    """HC-SR04: us / 58 is the distance in cm; 38 ms without an echo, 60 ms of the JSN-SR04T."""
    for variant, metres, us in ((HC_SR04, 1.0, 5800), (HC_SR04, 4.5, 38_000), (JSN_SR04T, 5.0, 60_000)):
        model = UltrasonicPulse(metres, variant=variant)
        port = attach(model)
        model.pin_changed("trigger", 1)
        port.advance(20)
        model.pin_changed("trigger", 0)
        assert port.current_ua == variant.active_ua
        port.advance(100_000)
        (_, _, _), (rise, _, up), (fall, _, down) = port.pin_log
        assert (up, down) == (1, 0) and fall - rise == pytest.approx(us, rel=0.01)
        assert port.current_ua == variant.idle_ua


def test_echo_reading_does_not_wait_for_the_end_of_no_echo() -> None:
    for variant, most_us in ((HC_SR04, 25_000), (JSN_SR04T, 28_000)):
        model = UltrasonicPulse(9.0, variant=variant)
        port = attach(model)
        driver = echo_driver(model, port)
        for _ in range(5):
            port.advance(driver.start() * 1000)
            begin = port.now_us
            assert driver.read_mm() is None
            assert port.now_us - begin < most_us
        assert model.violations == [] and model.pings == 5


def test_echo_faults() -> None:
    model = UltrasonicPulse(1.0)
    port = attach(model)
    driver = echo_driver(model, port)
    cases: list[tuple[Callable[[int], int], type[DriverError] | int | None]] = [
        (lambda us: 0, BusError),
        (lambda us: 38_000, None),
        (lambda us: 90, None),  # a spike
        (lambda us: us // 2, 500),
        (lambda us: 200_000, None),  # clones hold it for as long
    ]
    for fault, want in cases:
        model.faults.append(fault)
        if isinstance(want, type):
            with pytest.raises(want, match="silent"):
                once(port, driver)
        else:
            assert once(port, driver) == (want and pytest.approx(want, abs=1))
        port.advance(250_000)
        assert once(port, driver) == pytest.approx(1000, abs=1)
    for level, word in ((1, "stuck"), (0, "silent")):
        model.stick(level)
        port.advance(100_000)
        with pytest.raises(BusError, match=word):
            once(port, driver)
        model.stick(None)
        port.advance(100_000)
        assert once(port, driver) == pytest.approx(1000, abs=1)
    assert model.violations == []


def test_echo_held_up_interpreter() -> None:
    """A pause behind the trigger, within which the echo rose, gives no distance."""
    model = UltrasonicPulse(1.0)
    port = attach(model)
    driver = echo_driver(model, port)
    hold = [2000]

    def trigger(level: int) -> None:
        model.pin_changed("trigger", level)
        if not level and hold:
            port.advance(hold.pop())

    driver._trigger = trigger
    with pytest.raises(BusError, match="late"):
        driver.read_mm()
    port.advance(60_000)
    assert driver.read_mm() == pytest.approx(1000, abs=1)


def test_echo_power_switch() -> None:
    model = UltrasonicPulse(1.0, switched=True)
    port = attach(model)
    driver = echo_driver(model, port, power=True)
    assert port.current_ua == 0
    for _ in range(3):
        assert once(port, driver) == pytest.approx(1000, abs=1)
        assert port.current_ua == 0 and port.pins["echo"] == 0
        with pytest.raises(BusError, match="silent"):
            port.advance(60_000)
            driver.read_mm()
    assert model.violations == [] and model.pings == 3


def test_echo_wrong_use() -> None:
    model = UltrasonicPulse(1.0)
    port = attach(model)

    def ping(us: int) -> None:
        model.pin_changed("trigger", 1)
        port.advance(us)
        model.pin_changed("trigger", 0)

    ping(9)
    assert "trigger of 9 us" in model.violations[-1]
    ping(10)
    port.advance(40_000)
    assert len(model.violations) == 1 and model.pings == 1
    ping(10)
    assert "after the last time" in model.violations[-1] and model.pings == 1
    port.advance(60_000)
    ping(10)
    assert len(model.violations) == 2 and model.pings == 2
