"""Rope, contacts, relay, outputs and photocell: models through their unmodified drivers."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers import output as output_driver
from firmware.drivers import rope as rope_driver
from firmware.drivers.contact import Contact
from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.drivers.output import Output
from firmware.drivers.photocell import Photocell
from firmware.drivers.relay import Relay
from firmware.drivers.rope import Rope
from hw.virtual.chips import contact as contact_model
from hw.virtual.chips import photocell as cell_model
from hw.virtual.chips.actuator import Actuator
from hw.virtual.chips.base import Chip, ManualPort
from hw.virtual.chips.leak_rope import LeakRope, Puddle
from hw.virtual.chips.relay_lamp import RelayLamp
from hw.virtual.chips.shim import Adc, InPin, OutPin, Time
from tests.host.test_chips_sensors import Sensor

SECOND = 1_000_000
HOUR = 3_600 * SECOND


def attach(model: Chip) -> ManualPort:
    port = ManualPort(7)
    model.attach(port)
    return port


def leg(model: Chip, name: str) -> OutPin:
    return OutPin(lambda level: model.pin_changed(name, level))


def wired_rope(**options: Any) -> tuple[Any, ManualPort, Any, Adc]:
    model = LeakRope(**options)
    port = attach(model)
    adc = Adc(model, "sense")
    driver = Rope(adc, leg(model, "a"), leg(model, "b"), 220_000, 220_000, 100_000, clock=Time(port.clock))
    return model, port, driver, adc


def rope() -> Sensor:
    model, port, driver, _ = wired_rope()
    # Two millivolts of 3300 at a megohm over 220 kOhm.
    return Sensor(model, port, lambda: float(driver.read_ohm()), 8_000.0)


LUX = (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 55, 80, 110, 150, 200)


def lit_cell(**options: Any) -> tuple[Any, ManualPort, Any, Adc]:
    model = cell_model.Photocell(**options)
    port = attach(model)
    adc = Adc(model, "sense")
    points = sorted((round(model.volt(lux) * 1e6), lux) for lux in LUX)
    table = tuple(itertools.chain(*points))
    dark = not model.to_ground
    limits = (200_000, 3_250_000) if dark else (30_000, 3_050_000)
    return model, port, Photocell(adc, table, *limits, dark_high=dark, clock=Time(port.clock)), adc


def photocell() -> Sensor:
    model, port, driver, _ = lit_cell()
    # Straight lines between the table's points.
    return Sensor(model, port, lambda: float(driver.read_lux()), 3.0)


SENSORS: dict[str, Callable[[], Sensor]] = {"leak_rope": rope, "photocell": photocell}


# Rope


def test_rope_states() -> None:
    model, _, driver, _ = wired_rope()
    assert driver.read() == rope_driver.DRY
    model.puddles = [Puddle(3.0, 3.02)]
    assert driver.read() == rope_driver.DRY  # 2 cm: 1 MOhm, beyond the threshold
    model.puddles = [Puddle(3.0, 3.3)]
    assert driver.read() == rope_driver.WET
    model.puddles = []
    model.break_m = 6.0
    assert driver.read() == rope_driver.BROKEN
    assert driver.read_ohm() == rope_driver.OPEN
    model.puddles = [Puddle(3.0, 4.0)]
    assert driver.read() == rope_driver.WET  # before the break
    model.puddles = [Puddle(7.0, 8.0)]
    assert driver.read() == rope_driver.BROKEN  # behind it
    model.break_m = None
    model.crushed_m = 2.0
    assert driver.read() == rope_driver.SHORT
    model.crushed_m = None
    model.puddles = []
    assert driver.read() == rope_driver.DRY
    assert model.violations == []


def test_rope_no_charge_is_left() -> None:
    """A year of readings in water, every ten minutes: less than a microcoulomb."""
    model, port, driver, _ = wired_rope()
    model.puddles = [Puddle(0.0, 5.0)]
    for _ in range(2000):
        assert driver.read() == rope_driver.WET
        port.advance(600 * SECOND)
    assert abs(model.charge_c) < 1e-6
    assert model._levels == {"a": 0, "b": 0}
    assert model.violations == []


def test_rope_galvanic_cell_does_not_count() -> None:
    readings = []
    for cell_v in (0.0, 0.1, -0.1):
        model, _, driver, _ = wired_rope(cell_v=cell_v)
        model.puddles = [Puddle(1.0, 1.25)]
        readings.append(driver.read_ohm())
    assert max(readings) - min(readings) < 2000
    assert readings[0] == pytest.approx(1 / (0.25 / 20_000 + 1 / 220_000), rel=0.02)


@pytest.mark.parametrize("stuck", [{"a": 0}, {"b": 0}, {"a": 1}, {"b": 1}])
def test_rope_dead_pin(stuck: dict[str, int]) -> None:
    model, _, driver, _ = wired_rope()
    model.stuck = stuck
    with pytest.raises(BusError):
        driver.read()
    model.stuck = {}
    assert driver.read() == rope_driver.DRY


@pytest.mark.parametrize("uv", [0, 800_000, 3_100_000])
def test_rope_frozen_adc(uv: int) -> None:
    _, _, driver, adc = wired_rope()
    adc.fault = lambda _: uv
    with pytest.raises(BusError):
        driver.read()
    adc.fault = None
    assert driver.read() == rope_driver.DRY


def test_rope_pins_are_low_after_a_fault() -> None:
    model, _, driver, adc = wired_rope()

    def fail(_: int) -> int:
        raise OSError(116)

    adc.fault = fail
    with pytest.raises(OSError, match="116"):
        driver.read()
    assert model._levels == {"a": 0, "b": 0}


def test_rope_wrong_use() -> None:
    model, port, _, _ = wired_rope()
    model.puddles = [Puddle(0.0, 10.0)]
    model.pin_changed("a", 1)
    port.advance(300_000)
    model.pin_changed("a", 0)
    assert "one polarity for 300 ms" in model.violations[0]
    for _ in range(800):
        model.pin_changed("a", 1)
        port.advance(100_000)
        model.pin_changed("a", 0)
    assert "in one direction" in model.violations[1]


def test_rope_refuses_resistors_that_cannot_work() -> None:
    for wet, short in ((165_000, 500), (400, 500), (100_000, 0)):
        with pytest.raises(ConfigError):
            Rope(None, lambda _: None, lambda _: None, 220_000, 220_000, wet, short)


# Contact


def door(irq: bool, **options: Any) -> tuple[Any, ManualPort, Any, InPin, list[int]]:
    model = contact_model.Contact(**options)
    port = attach(model)
    pin = InPin(port, "contact", 1)
    told: list[int] = []
    driver = Contact(pin, irq=(lambda: told.append(port.now_us)) if irq else None, clock=Time(port.clock))
    return model, port, driver, pin, told


@pytest.mark.parametrize("irq", [False, True])
@pytest.mark.parametrize("bounces", [0, 3, 8])
def test_contact_counts_movements(irq: bool, bounces: int) -> None:
    model, port, driver, _, told = door(irq, bounces=bounces)
    for n in range(1, 21):
        (model.close if n & 1 else model.open)()
        for _ in range(10):
            port.advance(10_000)
            driver.update()
        assert (driver.state, driver.changes) == (bool(n & 1), n)
    assert bool(told) == irq


def test_contact_between_two_looks() -> None:
    """Opened and closed again: seen by the interrupt, not by looking every ten seconds."""
    for irq, changes in ((True, 2), (False, 0)):
        model, port, driver, _, _ = door(irq, closed=True)
        assert driver.state is True
        port.advance(SECOND)
        model.open()
        port.advance(2 * SECOND)
        model.close()
        port.advance(7 * SECOND)
        driver.update()
        driver.update()
        assert (driver.state, driver.changes) == (True, changes)


@pytest.mark.parametrize("irq", [False, True])
def test_contact_a_spike_is_none(irq: bool) -> None:
    model, port, driver, _, _ = door(irq, bounces=0)
    model.close()
    port.advance(5_000)
    driver.update()
    model.open()
    port.advance(10 * SECOND)
    assert driver.update() is False
    assert driver.changes == 0


def test_contact_lost_edges() -> None:
    model, port, driver, pin, _ = door(True, bounces=0)
    pin.lose_edges = 1
    model.close()
    port.advance(SECOND)
    assert driver.state is False
    driver.update()
    port.advance(40_000)
    assert driver.update() is True
    assert driver.changes == 1
    model.open()
    port.advance(40_000)
    assert driver.update() is False
    driver.stop()
    assert pin._handler is None


def test_contact_welded() -> None:
    """A contactor whose feedback stays closed: the driver says what the contact says."""
    model, port, driver, _, _ = door(False, closed=True)
    model.stuck = True
    model.open()
    for _ in range(5):
        port.advance(SECOND)
        assert driver.update() is True
    model.stuck = None
    for _ in range(5):
        port.advance(SECOND)
        driver.update()
    assert driver.state is False and driver.changes == 1


def test_contact_other_level() -> None:
    model, port, _, _, _ = door(False, closed=True, closed_level=1)
    driver = Contact(InPin(port, "contact"), active=1, clock=Time(port.clock))
    assert driver.state is True
    model.open()
    port.advance(SECOND)
    driver.update()
    port.advance(SECOND)
    assert driver.update() is False


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


# Photocell


@pytest.mark.parametrize("to_ground", [True, False])
def test_photocell_faults(to_ground: bool) -> None:
    model, _, driver, adc = lit_cell(to_ground=to_ground, supply_v=3.3 if to_ground else 3.0)
    driver._high = 3_050_000 if to_ground else 2_970_000
    assert driver.read_lux() == pytest.approx(10, abs=1)
    model.broken = True
    with pytest.raises(ChipError) as e:
        driver.read_lux()
    assert e.value.args == ("photocell", "open")
    model.broken = False
    model.shorted = True
    with pytest.raises(ChipError) as e:
        driver.read_lux()
    assert e.value.args == ("photocell", "short")
    model.shorted = False
    model.set_physical(0.0)
    assert driver.read_lux() == 1  # darkness is none of them
    model.set_physical(500.0)
    assert driver.read_lux() == 200
    adc.fault = lambda uv: 0
    with pytest.raises(ChipError):
        driver.read_lux()


def test_photocell_sees_no_flicker() -> None:
    model, _, driver, _ = lit_cell(ripple=0.3)
    readings = [driver.read_lux() for _ in range(40)]
    assert max(readings) - min(readings) <= 1
    assert readings[0] == pytest.approx(10, abs=1)
    assert model.adc_uv("other") == 0


def test_photocell_refuses_tables() -> None:
    for table in ((), (1, 2), (1, 2, 3), (5, 1, 5, 2), (6, 1, 5, 2)):
        with pytest.raises(ConfigError):
            Photocell(None, table, 0, 10)
    with pytest.raises(ConfigError):
        Photocell(None, (1, 1, 2, 2), 10, 10)
