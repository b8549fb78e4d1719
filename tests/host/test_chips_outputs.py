"""Relay with a lamp, and outputs that move something, through their drivers: what they do, faults, wrong use."""

from typing import Any

import pytest

from firmware.drivers import output as output_driver
from firmware.drivers.errors import ConfigError, NotReady
from firmware.drivers.output import Output
from firmware.drivers.relay import Relay
from hw.virtual.chips.actuator import Actuator
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.relay_lamp import RelayLamp
from hw.virtual.chips.shim import InPin, Time
from tests.host.sensor_bench import SECOND, attach, leg

HOUR = 3_600 * SECOND


# Relay


def lamp(**options: Any) -> tuple[Any, ManualPort, Any]:
    model = RelayLamp(warm_s=240, cool_s=120)
    port = attach(model)
    return model, port, Relay(leg(model, "relay"), clock=Time(port.clock), **options)


def test_relay_is_on_without_a_program() -> None:
    model = RelayLamp()
    port = attach(model)
    assert model.closed
    port.advance(240 * SECOND)
    assert (model.level, model.power_w) == (100.0, 150.0)
    model.pin_changed("relay", 1)
    assert model.level == 0
    port.advance(HOUR)
    model.floating("relay")  # reset
    assert model.closed


def test_relay_warms_up_and_cools_down() -> None:
    model, port, driver = lamp(cool_ms=120_000, warm_ms=240_000)
    assert driver.on and driver.left_ms() == pytest.approx(240_000, abs=2)
    port.advance(HOUR)
    assert driver.left_ms() == 0
    driver.set(False)
    assert not model.closed and model.level == 0
    port.advance(50 * SECOND)
    with pytest.raises(NotReady) as e:
        driver.set(True)
    assert e.value.args[0] == "relay" and e.value.args[1] == pytest.approx(70_000, abs=5)
    assert not model.closed and not driver.on
    port.advance(e.value.args[1] * 1000)
    driver.set(True)
    assert model.closed and driver.switched == 2
    assert driver.left_ms() == pytest.approx(240_000, abs=5)
    port.advance(120 * SECOND)
    assert model.level == pytest.approx(50, abs=0.1)
    assert (model.strikes, model.failed_strikes, model.violations) == (2, 0, [])


def test_relay_off_is_always_done_and_twice_is_once() -> None:
    model, _, driver = lamp(warm_ms=240_000)
    driver.set(False)
    driver.set(False)
    assert driver.switched == 1 and not model.closed


def test_relay_local_input_wins() -> None:
    model, port, driver = lamp(cool_ms=120_000)
    port.advance(60 * SECOND)
    driver.set(False)
    port.advance(10 * SECOND)
    driver.release()
    assert model.closed and driver.on
    assert model.failed_strikes == 1  # the lamp says so; it comes when it has cooled
    port.advance(121 * SECOND)
    assert model.level > 0


def test_relay_after_a_long_day_without_a_call() -> None:
    """The ticks wrap after 12 days, and half of that looks like the past."""
    for days in (5, 7, 11, 13, 20):
        _, port, driver = lamp(cool_ms=120_000)
        driver.set(False)
        port.advance(days * 24 * HOUR)
        driver.set(True)


def test_relay_min_off_and_limits() -> None:
    model, port, driver = lamp(min_off_ms=1000)
    driver.set(False)
    port.advance(500_000)
    with pytest.raises(NotReady):
        driver.set(True)
    port.advance(500_000)
    driver.set(True)
    assert model.violations == []
    for name in ("min_off_ms", "cool_ms", "warm_ms"):
        for bad in (-1, 1 << 28):
            with pytest.raises(ConfigError) as e:
                lamp(**{name: bad})
            assert e.value.args == (name,)


def test_relay_lamp_wrong_use_and_faults() -> None:
    model = RelayLamp(cool_s=120, min_off_s=1.0)
    port = attach(model)
    port.advance(60 * SECOND)
    assert port.pins["feedback"] == 0
    model.pin_changed("relay", 1)
    port.advance(500_000)
    model.pin_changed("relay", 0)
    assert "shortest pause" in model.violations[0] and "before it has cooled" in model.violations[1]
    port.advance(200 * SECOND)
    assert model.level > 0
    model.welded = True
    model.pin_changed("relay", 1)
    port.advance(SECOND)
    assert model.level > 0 and port.pins["feedback"] == 0
    model.welded = False
    model.supply(False)
    assert model.level == 0
    model.supply(True)
    port.advance(SECOND)
    assert port.pins["feedback"] == 1
    model.dead = True
    model.pin_changed("relay", 0)
    assert model.level == 0


# Output


def motor(**options: Any) -> tuple[Any, ManualPort, Any, InPin, Any]:
    model = Actuator(limit_s=2.0)
    port = attach(model)
    pin = InPin(port, "interlock", 0)
    time = Time(port.clock)
    driver = Output(leg(model, "drive"), pin, clock=time, **{"limit_ms": 2000, **options})
    return model, port, driver, pin, time.ticks_ms


def test_output_pulse() -> None:
    model, port, driver, _, now = motor()
    assert driver.poll(now()) == 0
    driver.pulse(500, now())
    assert model.moving and driver.active
    while left := driver.poll(now()):
        port.advance(left * 1000)
    assert not model.driven and driver.why == output_driver.DONE
    assert model.moved_us == pytest.approx(500_000, abs=2000)
    assert model.violations == []


def test_output_hold_ends_by_itself() -> None:
    model, port, driver, _, now = motor()
    driver.hold(now())
    port.advance(300_000)
    driver.release(now())
    assert not model.driven and driver.why == output_driver.DONE
    driver.hold(now())
    port.advance(1_900_000)
    assert 0 < driver.poll(now()) <= 100
    port.advance(110_000)
    assert driver.poll(now()) == 0
    assert not model.driven and driver.why == output_driver.LIMIT
    assert model.violations == []


@pytest.mark.parametrize("irq", [True, False])
def test_output_interlock(irq: bool) -> None:
    model, port, driver, pin, now = motor()
    if not irq:
        pin.lose_edges = 100
    model.interlock(False)
    with pytest.raises(NotReady) as e:
        driver.hold(now())
    assert e.value.args == ("output", "interlock")
    assert not model.driven
    model.interlock(True)
    driver.hold(now())
    port.advance(100_000)
    model.interlock(False)
    assert not model.moving  # by its wires, at once
    assert model.driven != irq
    port.advance(100_000)
    assert driver.poll(now()) == 0
    assert not model.driven and driver.why == output_driver.INTERLOCK
    model.interlock(True)
    assert driver.poll(now()) == 0 and not model.driven  # it does not start again by itself
    assert model.violations == []


def test_output_rest_and_refusals() -> None:
    model, port, driver, _, now = motor(rest_ms=5000)
    driver.pulse(100, now())
    with pytest.raises(NotReady) as e:
        driver.pulse(100, now())
    assert e.value.args == ("output", "active")
    port.advance(100_000)
    driver.poll(now())
    with pytest.raises(NotReady) as e:
        driver.hold(now())
    assert e.value.args[1] == pytest.approx(5000, abs=2)
    port.advance(5_001_000)
    driver.hold(now())
    driver.release(now())
    port.advance(24 * 9 * HOUR)  # beyond half of the ticks' period
    driver.hold(now())
    assert model.runs == 3
    for bad in (0, -1, 2001):
        with pytest.raises(ConfigError) as c:
            driver.pulse(bad, now())
        assert c.value.args == ("ms",)
    with pytest.raises(ConfigError):
        motor(limit_ms=0)


def test_actuator_wrong_use() -> None:
    model = Actuator(limit_s=1.0)
    port = attach(model)
    model.pin_changed("drive", 1)
    port.advance(1_300_000)
    assert "more than 1 s" in model.violations[0]
    model.interlock(False)
    port.advance(300_000)
    assert "200 ms after" in model.violations[1]
    model.floating("drive")
    assert not model.driven
    model.pin_changed("drive", 1)
    assert "only the hardware" in model.violations[2]
    assert model.moved_us == 1_300_000
