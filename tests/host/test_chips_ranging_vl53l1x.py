"""VL53L1X: time of flight on I2C."""

import contextlib
from typing import Any

import pytest

from firmware.drivers.errors import BusError, ChipError, NotReady
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.shim import OutPin
from hw.virtual.chips.vl53l1x import (
    CLIPPED,
    HARDWARE,
    NO_SIGNAL,
    OUT_OF_BOUNDS,
    SIGMA,
    VALID,
    VL53L1X,
    WRAPPED,
)
from tests.host.adafruit_shim import MachineI2C
from tests.host.ranging_bench import laser_driver, once
from tests.host.sensor_bench import attach


def ranging(**options: Any) -> tuple[VL53L1X, ManualPort, Any, MachineI2C]:
    model = VL53L1X()
    port = attach(model)
    port.advance(2_000)
    driver, bus = laser_driver(model, port, **options)
    return model, port, driver, bus


def test_vl53l1x_identity_and_boot() -> None:
    model = VL53L1X()
    port = attach(model)
    driver, bus = laser_driver(model, port)
    with pytest.raises(BusError):
        driver.start()
    port.advance(1_200)
    assert bus.readfrom_mem(0x29, 0x010F, 3, addrsize=16) == b"\xea\xcc\x10"
    driver.start()
    with pytest.raises(OSError, match="no answer"):
        bus.readfrom_mem(0x28, 0x010F, 1, addrsize=16)
    model.model_id = b"\xeb\xaa\x10"
    model.reset()
    port.advance(2_000)
    with pytest.raises(ChipError, match=str(0xEBAA)):
        driver.start()


@pytest.mark.parametrize("long", [False, True])
def test_vl53l1x_budgets(long: bool) -> None:
    """A reading takes two ranges, and the start waits for the first of them only."""
    for ms in (15, 20, 33, 50, 100, 200, 500):
        if long and ms == 15:
            continue
        model, port, driver, _ = ranging(long=long, budget_ms=ms)
        begin = port.now_us
        wait = driver.start()
        assert ms <= (port.now_us - begin) / 1000 <= ms + 20
        assert model.mode == ("long" if long else "short") and model.budget_ms == ms
        assert port.current_ua == 16_000
        with pytest.raises(NotReady):
            driver.read_mm()
        port.advance(wait * 1000)
        assert driver.read_mm() == 1000
        driver.stop()
        assert port.current_ua < 10
        ranges = model.ranges
        port.advance(2_000_000)
        assert (model.ranges, model.violations) == (ranges, [])


def test_vl53l1x_goes_on_as_a_kind_reads_it() -> None:
    """Five readings 310 ms apart: each is of after the one before, what ends in between nobody reads."""
    model, port, driver, _ = ranging()
    model.distance_m = lambda us: 0.5 + us / 1e7
    port.advance(driver.start() * 1000)
    found, times = [], []
    for _ in range(5):
        found.append(driver.read_mm())
        times.append(port.now_us / 1e4 + 500)
        with pytest.raises(NotReady):
            driver.read_mm()
        port.advance(310_000)
    assert all(mm >= round(before) for before, mm in zip(times, found[1:], strict=False))
    assert model.lost >= 20 and model.ranges >= model.lost + 6
    assert model.violations == []


def test_vl53l1x_status_codes() -> None:
    for status in (NO_SIGNAL, OUT_OF_BOUNDS, SIGMA, WRAPPED, CLIPPED, 12, 13):
        model, port, driver, bus = ranging()
        model.status = status
        port.advance(driver.start() * 1000)
        # The number beside a failed status looks like a distance or is 8190 or 8191.
        value = int.from_bytes(bus.readfrom_mem(0x29, 0x96, 2, addrsize=16), "big")
        assert value in {NO_SIGNAL: (8191,), OUT_OF_BOUNDS: (8190,)}.get(status, range(1, 4000))
        assert driver.read_mm() is None
        assert driver.status == status
        model.status = None
        port.advance(100_000)
        assert driver.read_mm() == 1000 and driver.status == VALID
    for status in HARDWARE:
        model, port, driver, _ = ranging()
        model.faults += [lambda s, mm: (s, mm), lambda s, mm, status=status: (status, mm)]  # type: ignore[misc]
        port.advance(driver.start() * 1000)
        with pytest.raises(ChipError, match=str(status)):
            driver.read_mm()
        port.advance(100_000)
        assert driver.read_mm() == 1000


def test_vl53l1x_bus_faults() -> None:
    """Each transfer refused once: the right exception, and the next reading works."""
    _, port, driver, bus = ranging()
    once(port, driver)
    transfers = len(bus.log)
    assert 9 <= transfers <= 40
    for n in range(transfers):
        model, port, driver, bus = ranging()
        left = [n]

        def write(data: bytes, left: list[int] = left, through: Any = model.write) -> bool:
            left[0] -= 1
            return left[0] != -1 and bool(through(data))

        model.write = write  # type: ignore[method-assign]
        with contextlib.suppress(BusError):
            assert once(port, driver) == 1000
        assert once(port, driver) == 1000
        assert model.violations == []
    for fault in ("nack", "stuck"):
        model, port, driver, bus = ranging()
        setattr(bus, fault, 1)
        with pytest.raises(BusError):
            driver.start()
        assert once(port, driver) == 1000
    model, port, driver, bus = ranging()
    model.refuse = 1
    with pytest.raises(BusError):
        driver.start()
    port.advance(driver.start() * 1000)
    bus.fault = lambda data: data[:1]
    with pytest.raises(BusError):
        driver.read_mm()  # a short read of the result
    bus.fault = None
    port.advance(100_000)
    assert driver.read_mm() == 1000


def test_vl53l1x_never_ready() -> None:
    model, port, driver, _ = ranging()
    model.mute = True
    begin = port.now_us
    with pytest.raises(BusError, match=str(0x31)):
        driver.start()
    assert port.now_us - begin < 150_000
    model.mute = False
    assert once(port, driver) == 1000


def test_vl53l1x_shutdown() -> None:
    model = VL53L1X(shut=True)
    port = attach(model)
    driver, bus = laser_driver(model, port, xshut=OutPin(lambda level: model.pin_changed("xshut", level)))
    port.advance(10_000)
    with pytest.raises(OSError):
        bus.readfrom_mem(0x29, 0x010F, 1, addrsize=16)
    for _ in range(3):
        assert once(port, driver) == 1000
        assert port.current_ua == 5
    # An MCU that lets go of the pin: the module's pull-up wins.
    model.floating("xshut")
    port.advance(2_000)
    assert bus.readfrom_mem(0x29, 0x010F, 1, addrsize=16) == b"\xea"
    assert model.violations == []


def put(bus: MachineI2C, reg: int, *values: int) -> None:
    bus.writeto_mem(0x29, reg, bytes(values), addrsize=16)


def test_vl53l1x_wrong_use() -> None:
    model, port, driver, bus = ranging()
    driver.start()
    assert model.violations == []
    put(bus, 0x5E, 7)
    assert "while ranging" in model.violations[-1]
    put(bus, 0x87, 0)
    put(bus, 0x60, 0x08)  # the period of the laser of no distance mode
    put(bus, 0x87, 0x40)
    assert "does not give" in model.violations[-1]
    ranges = model.ranges
    port.advance(1_000_000)
    assert model.ranges == ranges
    put(bus, 0x87, 0x21)
    assert "mode 0x21" in model.violations[-1]
    put(bus, 0x96, 1)
    assert "read only" in model.violations[-1]
    bus.writeto(0x29, b"\1")
    assert "two bytes" in model.violations[-1]
    put(bus, 0x46, 1)
    assert "new samples" in model.violations[-1]
    assert len(model.violations) == 6
    assert once(port, driver) == 1000


def test_vl53l1x_interrupt_leg() -> None:
    model, port, driver, bus = ranging()
    model.distance_m = lambda us: us / 1e6
    driver.start()
    assert port.pins["gpio1"] == 0
    port.advance(50_000)
    assert port.pins["gpio1"] == 1
    before = bus.readfrom_mem(0x29, 0x89, 15, addrsize=16)
    changes = len(port.pin_log)
    port.advance(300_000)
    # Not cleared: new data all the same, and no edge.
    assert bus.readfrom_mem(0x29, 0x89, 15, addrsize=16) != before
    assert port.pins["gpio1"] == 1 and len(port.pin_log) == changes
    put(bus, 0x86, 1)
    assert port.pins["gpio1"] == 0
    port.advance(50_000)
    assert port.pins["gpio1"] == 1
    driver.stop()
    put(bus, 0x86, 1)
    put(bus, 0x30, 0x11)  # active low
    assert port.pins["gpio1"] == 1
    driver.start()
    port.advance(50_000)
    put(bus, 0x30, 0x11)
    assert port.pins["gpio1"] == 0
    assert model.violations == []
