"""Leak rope, photocell and contact through their drivers: what they say, faults, wrong use."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers import rope as rope_driver
from firmware.drivers.contact import Contact
from firmware.drivers.errors import BusError, ChipError, ConfigError
from firmware.drivers.photocell import Photocell
from firmware.drivers.rope import Rope
from hw.virtual.chips import contact as contact_model
from hw.virtual.chips import photocell as cell_model
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.leak_rope import LeakRope, Puddle
from hw.virtual.chips.shim import Adc, InPin, Time
from tests.host.sensor_bench import SECOND, Sensor, attach, leg


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
