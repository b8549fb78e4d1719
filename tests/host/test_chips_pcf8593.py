"""The external pulse counter through its unmodified driver: counting, lives, bus faults, wrong use.

No driver of it that somebody else wrote was found on PyPI; how published ones use it is tried below.
"""

import errno
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers.errors import BusError, ChipError
from firmware.drivers.pcf8593 import PCF8593
from hw.virtual.chips import pcf8593 as model_of
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.pulse_meter import PulseMeter
from tests.host.adafruit_shim import MachineI2C
from tests.host.sensor_bench import Sensor

HOUR_US = 3_600_000_000
LIFE = 0x2468ACE


def counter(
    begun: bool = True, bounces: int = 2, **options: Any
) -> tuple[Any, PulseMeter, ManualPort, MachineI2C, Any]:
    meter = PulseMeter(bounces=bounces)
    model = model_of.PCF8593(meter, **options)
    port = ManualPort(7)
    model.attach(port)
    bus = MachineI2C([model], port.clock, 100_000)
    driver = PCF8593(bus)
    if begun:
        driver.begin(LIFE)
    return model, meter, port, bus, driver


def flow() -> Sensor:
    model, _, port, _, driver = counter()

    def measure() -> float:
        """Flow in m3/s over an hour."""
        before = driver.update()
        port.advance(HOUR_US)
        return float(driver.update() - before) / 1000 / 3600

    return Sensor(model, port, measure, 0.001 / 3600)


SENSORS: dict[str, Callable[[], Sensor]] = {"pcf8593": flow}


def litres(model: Any, port: ManualPort, n: int) -> None:
    """So many pulses, one a second."""
    model.set_physical(0.001)
    port.advance(n * 1_000_000 + 500_000)
    model.set_physical(0.0)


def test_it_counts_closures_and_not_their_bounces() -> None:
    model, meter, port, _, driver = counter()
    litres(model, port, 137)
    assert meter.count == model.edges == driver.update() == driver.read() == 137
    # Without the filter of the wiring page each bounce is a pulse.
    model, meter, port, _, driver = counter(filter_us=0)
    litres(model, port, 137)
    assert meter.count == 137 and driver.read() == 137 * 5
    assert model.violations == []


def test_the_reading_turns_over_and_the_count_goes_on() -> None:
    model, _, port, _, driver = counter()
    model._put_count(999_990)
    driver.go_on(999_990, LIFE)
    litres(model, port, 25)
    assert driver.read() == 15
    assert driver.update() == 25 and driver.reading() == 15
    driver.count = 0x3FFFFFFF
    litres(model, port, 2)
    assert driver.update() == 1


def test_a_board_that_starts_anew_finds_the_count() -> None:
    model, _, port, bus, driver = counter()
    litres(model, port, 40)
    assert driver.update() == 40
    litres(model, port, 60)
    again = PCF8593(bus)
    again.go_on(40, LIFE)
    assert again.update() == 60 and again.life == LIFE


def test_a_counter_that_was_without_supply_is_no_decrease() -> None:
    for flaw in ("dip", "never", "stopped", "clock", "cookie"):
        model, _, port, _, driver = counter(flaw != "never")
        if flaw == "dip":
            litres(model, port, 40)
            model.dip()
        elif flaw == "stopped":
            model._registers[0] |= 0x80
        elif flaw == "clock":
            model._registers[0] = 0
        elif flaw == "cookie":
            model._registers[11] ^= 1
        for call in (driver.read, driver.update):
            with pytest.raises(ChipError) as e:
                call()
            assert e.value.args == ("pcf8593", "lost"), flaw
        assert driver.life == 0
        driver.begin(LIFE + 1)
        litres(model, port, 3)
        assert driver.update() == 3 and driver.life == LIFE + 1
        assert model.violations == []


def test_another_life_is_told_and_a_decrease_is_another_thing() -> None:
    model, _, port, bus, driver = counter()
    litres(model, port, 500)
    other = PCF8593(bus)
    other.go_on(100, LIFE + 5)
    with pytest.raises(ChipError) as e:
        other.update()
    assert e.value.args == ("pcf8593", "lost") and other.life == LIFE
    driver.go_on(600, LIFE)
    with pytest.raises(ChipError) as e:
        driver.update()
    assert e.value.args == ("pcf8593", "back")
    litres(model, port, 4)
    assert driver.update() == 4, "from there it goes on"


def test_bus_faults_are_named_and_the_next_reading_works() -> None:
    model, _, port, bus, driver = counter()
    litres(model, port, 321)

    def nack() -> None:
        bus.nack = 1

    def stuck() -> None:
        bus.stuck = 1

    def short() -> None:
        bus.fault = lambda got: got[:2]

    def low() -> None:
        # A line that is held low acknowledges everything.
        bus.fault = lambda got: bytes(len(got))

    def noisy() -> None:
        bus.fault = lambda got: bytes(b ^ port.random.randrange(256) for b in got)

    for fault, why in (
        (nack, errno.ENODEV),
        (stuck, errno.ETIMEDOUT),
        (short, "data"),
        (low, "data"),
        (noisy, "data"),
    ):
        fault()
        with pytest.raises(BusError) as e:
            driver.update()
        assert e.value.args == ("pcf8593", why)
        bus.fault = None
        assert driver.update() == 321
    # What does not take is not called begun.
    low()
    with pytest.raises(BusError):
        driver.begin(9)
    bus.fault = None
    driver.begin(10)
    assert driver.read() == 0 and driver.life == 10
    model.frozen = True
    litres(model, port, 5)
    assert driver.read() == 0


def test_pulses_while_it_is_read_are_neither_lost_nor_doubled() -> None:
    model, meter, port, _, driver = counter(bounces=0, filter_us=0)
    model.set_physical(0.05)  # 50 a second
    seen = []
    for _ in range(400):
        seen.append(driver.update())
        port.advance(3_000)
    assert seen == sorted(seen) and max(b - a for a, b in itertools.pairwise(seen)) <= 2
    assert abs(driver.update() - meter.count) <= 1


def test_what_the_part_does_not_allow() -> None:
    model, _, _, bus, _ = counter()
    for register, data, words in (
        (1, b"\x05", "stop first"),
        (0, b"\x30", "test mode"),
        (0, b"\x24", "alarms"),
    ):
        bus.writeto_mem(0x51, register, data)
        assert words in model.violations.pop()
        bus.writeto_mem(0x51, 0, b"\xa0")
    bus.writeto_mem(0x51, 1, b"\x0a")
    assert "BCD" in model.violations.pop()
    with pytest.raises(OSError):
        bus.writeto_mem(0x51, 16, b"\x00")
    assert "does not exist" in model.violations.pop()
    assert model.violations == []


def test_the_larger_part_at_either_address() -> None:
    for address in (0x50, 0x51):
        model = model_of.PCF8593(PulseMeter(), address, size=256)
        port = ManualPort(3)
        model.attach(port)
        driver = PCF8593(MachineI2C([model], port.clock, 100_000), address)
        driver.begin(7)
        litres(model, port, 12)
        assert driver.update() == 12 and model.violations == []


def test_what_others_do_with_it() -> None:
    """As the published Arduino and Lua drivers use it: control 80, digits 0, control 20; counters read as 1 to 3,
    two digits each, the low ones first."""
    model, _, port, bus, _ = counter(begun=False)
    for register, data in ((0, b"\x80"), (1, bytes(3)), (0, b"\x20")):
        bus.writeto_mem(0x51, register, data)
    litres(model, port, 1234)
    got = bytearray(3)
    bus.readfrom_mem_into(0x51, 1, got)
    assert got == b"\x34\x12\x00"
    assert model.violations == []


def test_what_it_draws() -> None:
    model, _, port, _, _ = counter(bounces=0)
    assert port.current_ua == 12
    model.set_physical(0.001)
    port.advance(1_050_000)
    assert port.current_ua == 15, "3.3 V over 1 MOhm while the contact is closed"
    port.advance(200_000)
    assert port.current_ua == 12
