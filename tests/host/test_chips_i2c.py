"""Tilt sensor, ADC and what hangs on it through the unmodified drivers: bus faults, wrong use."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers.ads1115 import ADS1115, Channel
from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.drivers.lis3dh import LIS3DH, angle
from firmware.drivers.pressure import Pressure
from hw.virtual.chips import ads1115 as ads_model
from hw.virtual.chips import lis3dh as lis_model
from hw.virtual.chips.base import Chip, ManualPort
from hw.virtual.chips.shim import Time
from tests.host.adafruit_shim import MachineI2C
from tests.host.sensor_bench import Sensor

G = 9.80665


def attach(model: Chip) -> ManualPort:
    port = ManualPort(7)
    model.attach(port)
    port.advance(10_000)
    return port


def leaning(**options: Any) -> tuple[Any, ManualPort, MachineI2C, Any]:
    model = lis_model.LIS3DH(**options)
    port = attach(model)
    bus = MachineI2C([model], port.clock)
    return model, port, bus, LIS3DH(bus, clock=Time(port.clock))


def converting(**options: Any) -> tuple[Any, ManualPort, MachineI2C, Any]:
    model = ads_model.ADS1115(**options)
    port = attach(model)
    bus = MachineI2C([model], port.clock)
    return model, port, bus, ADS1115(bus, clock=Time(port.clock))


def tilt() -> Sensor:
    model, port, _, driver = leaning()
    port.advance(driver.start() * 1000)

    def measure() -> float:
        port.advance(110_000)
        return math.radians(driver.tilt((0, 0, 1000)))

    # Whole degrees.
    return Sensor(model, port, measure, math.radians(0.5))


def adc() -> Sensor:
    model, port, _, driver = converting()
    return Sensor(model, port, lambda: driver.read_uv(0) / 1e6, 2e-6)


def pressure() -> Sensor:
    """A 4-20 mA sender of 1 MPa over 100 ohms, whose range in volts is the span: the model is the ADC."""
    model, port, _, driver = converting()
    sender = Pressure(Channel(driver, 0, 2048), 400_000, 2_000_000, 1_000_000)
    low_v, span_v, full_pa = 0.4, 1.6, 1e6

    class Sender:
        violations = model.violations

        def range(self) -> tuple[float, float, float]:
            return 0.0, full_pa, full_pa * 62.5e-6 / span_v

        def set_physical(self, pascal: float) -> None:
            model.set_physical(low_v + span_v * pascal / full_pa)

    return Sensor(Sender(), port, lambda: float(sender.read_pa()), 2.0)


SENSORS: dict[str, Callable[[], Sensor]] = {"lis3dh": tilt, "ads1115": adc, "pressure": pressure}


# Bus faults: the same five for each part on I2C

PARTS: dict[str, Callable[[], tuple[Any, ManualPort, MachineI2C, Callable[[], Any], Any]]] = {}


def _tilt_part() -> tuple[Any, ManualPort, MachineI2C, Callable[[], Any], Any]:
    model, port, bus, driver = leaning()
    port.advance(driver.start() * 1000)

    def read() -> Any:
        port.advance(110_000)
        return driver.read()

    return model, port, bus, read, [0, 0, 1000]


def _adc_part() -> tuple[Any, ManualPort, MachineI2C, Callable[[], Any], Any]:
    model, port, bus, driver = converting(volts=(1.0, 0, 0, 0))
    return model, port, bus, lambda: driver.read_uv(0), 1_000_000


PARTS = {"lis3dh": _tilt_part, "ads1115": _adc_part}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("transaction", range(4))
@pytest.mark.parametrize("kind", ["nack", "stuck", "short", "nothing", "one bit"])
def test_bus_faults(part: str, kind: str, transaction: int) -> None:
    """In whichever transaction of a reading: a named error, never a wrong value, and the next one is good."""
    model, _, bus, read, good = PARTS[part]()
    assert read() == good
    count = 0
    go = bus._go

    def faulty(*args: Any, **options: Any) -> bytes:
        nonlocal count
        count += 1
        if count != transaction + 1:
            return go(*args, **options)
        if kind in ("nack", "stuck"):
            setattr(bus, kind, 1)
        elif kind == "short":
            bus.fault = lambda data: data[:-1]
        elif kind == "nothing":
            bus.fault = lambda data: b""
        else:
            bus.fault = lambda data: bytes([*data[:-1], data[-1] ^ 1])
        try:
            return go(*args, **options)
        finally:
            bus.fault = None

    bus._go = faulty  # type: ignore[method-assign]
    try:
        got = read()
        # The tilt sensor's data carry nothing to check one bit by.
        assert got == good or (part, kind, transaction) == ("lis3dh", "one bit", 1), got
    except BusError as e:
        assert e.args[0] == part and len(e.args) == 2
    bus._go = go  # type: ignore[method-assign]
    assert read() == good
    assert model.violations == []


# Tilt


def test_tilt_application_note_values() -> None:
    """ST AN3308, 4.2.3, +-2 g: 0 g, 350 mg and 1 g are 0000, 15E0 and (1 mg per digit) 3E80; 1.024 g is 4000."""
    for metres, raw in (
        (0.0, 0),
        (0.35 * G, 0x15E0),
        (1.0 * G, 0x3E80),
        (1.024 * G, 0x4000),
        (-0.35 * G, 0xEA20),
    ):
        model, port, bus, driver = leaning(acceleration=(metres, 0.0, G))
        port.advance(driver.start() * 1000)
        assert bus.readfrom_mem(0x18, 0xA8, 2) == raw.to_bytes(2, "little")
        assert model.violations == []


def test_tilt_settings_and_current() -> None:
    _, port, _, driver = leaning()
    assert port.current_ua == 1
    assert driver.start() == 800
    assert port.current_ua == 4  # 10 Hz (DS table 12)
    port.advance(800_000)
    driver.read()
    # A battery node that wakes finds it measuring.
    again = driver.start()
    assert again == 0
    driver.stop()
    assert port.current_ua == 1


def test_tilt_not_before_it_is_settled() -> None:
    model, port, _, driver = leaning()
    driver.start()
    port.advance(300_000)
    with pytest.raises(NotReady):
        driver.read()
    port.advance(600_000)
    assert driver.read() == [0, 0, 1000]
    with pytest.raises(NotReady) as e:
        driver.read()
    assert e.value.args == ("lis3dh", "sample")
    model.frozen = True
    port.advance(5_000_000)
    with pytest.raises(NotReady):
        driver.read()


def test_tilt_saturates() -> None:
    model, port, _, driver = leaning(acceleration=(3 * G, -3 * G, 0.0))
    port.advance(driver.start() * 1000)
    assert driver.read() == [2047, -2048, 0]
    with pytest.raises(NotReady) as e:
        port.advance(110_000)
        driver.tilt((0, 0, 1000))
    assert e.value.args == ("lis3dh", "moving")
    assert model.violations == []


def test_tilt_just_below_zero() -> None:
    """FF in the last byte is a value, too."""
    model, port, _, driver = leaning(acceleration=(0.0, G, -0.008 * G))
    port.advance(driver.start() * 1000)
    assert driver.read() == [0, 1000, -8]
    assert model.violations == []


def test_tilt_against_any_reference() -> None:
    model, port, _, driver = leaning(acceleration=(G * 0.6, 0.0, G * 0.8))
    port.advance(driver.start() * 1000)
    upright = list(driver.read())
    model.acceleration = (G, 0.0, 0.0)
    port.advance(110_000)
    assert driver.tilt(upright) == 53  # acos 0.6 = 53.13


def test_angles() -> None:
    for degrees in (0, 1, 2, 5, 45, 89, 90, 91, 135, 178, 179, 180):
        r = math.radians(degrees)
        for reference in ((0, 0, 1000), (0, 0, 37)):
            assert angle((0, round(1000 * math.sin(r)), round(1000 * math.cos(r))), reference) == degrees


def test_tilt_another_part_or_none() -> None:
    model, _, bus, driver = leaning()
    model._registers[0x0F] = 0x44
    with pytest.raises(ChipError) as e:
        driver.start()
    assert e.value.args == ("lis3dh", 0x44)
    bus.models.clear()
    with pytest.raises(BusError):
        driver.start()


def test_tilt_supply_dip() -> None:
    """Its settings are gone: said once, and `start` brings them back."""
    model, port, _, driver = leaning()
    port.advance(driver.start() * 1000)
    assert driver.read() == [0, 0, 1000]
    model.reset()
    port.advance(100_000)
    with pytest.raises(BusError) as e:
        driver.read()
    assert e.value.args == ("lis3dh", "setup")
    port.advance(driver.start() * 1000)
    assert driver.read() == [0, 0, 1000]
    assert model.violations == []


def test_tilt_wrong_use() -> None:
    model, port, _, _ = leaning()
    for data, rule in (
        (b"\x0f\x00", "read-only"),
        (b"\x05\x00", "reserved"),
        (b"\x20\x2f", ""),
        (b"\x23\x08", "not allowed"),
        (b"\x23\x00", ""),
        (b"\x20\x87", "does not exist"),
        (b"\x20\x27", ""),
        (b"\x24\x40", "FIFO"),
    ):
        before = len(model.violations)
        model.write(data)
        assert len(model.violations) == before + bool(rule) and (not rule or rule in model.violations[-1])
    model.write(b"\x24\x80")
    assert model.write(b"\x20\x27") is False
    assert "boot" in model.violations[-1]
    port.advance(5000)
    assert model.write(b"\x20\x27") is True


def test_tilt_follows_time_with_noise() -> None:
    model, port, _, driver = leaning(
        acceleration=lambda us: (0.0, 0.0, G if us < 10_000_000 else -G), noise_mg=3
    )
    port.advance(driver.start() * 1000)
    assert driver.tilt((0, 0, 1000)) == 0
    port.run_until(10_200_000)
    assert driver.tilt((0, 0, 1000)) >= 179
    assert driver.mg[2] != 1000 or driver.mg[0] != 0
    assert model.violations == []


# ADC


@pytest.mark.parametrize("range_mv", [6144, 4096, 2048, 1024, 512, 256])
def test_adc_ranges(range_mv: int) -> None:
    model, _, _, driver = converting(supply_v=6.0)
    for part in (0.0, 0.25, 0.5, 0.9):
        uv = round(range_mv * 1000 * part)
        model.volts[2] = uv / 1e6
        lsb = range_mv * 1000 / 32768
        assert abs(driver.read_uv(2, range_mv) - min(uv, 6_300_000)) <= lsb / 2 + 1
    # The datasheet's ends: 7FFF.
    model.volts[2] = 6.2
    assert driver.read_uv(2, range_mv) == range_mv * 1000 * 32767 // 32768
    model.volts[2] = -0.01
    assert driver.read_uv(2, range_mv) == pytest.approx(-10_000, abs=range_mv * 1000 / 32768 / 2 + 1)
    assert model.violations == []


def test_adc_channels_and_sleep() -> None:
    model, port, _, driver = converting(volts=(0.1, 0.2, 0.3, lambda us: 0.4))
    assert [driver.read_uv(i) for i in range(4)] == [100_000, 200_000, 300_000, 400_000]
    assert Channel(driver, 2, 512).read_uv() == pytest.approx(300_000, abs=16)
    assert port.current_ua == 1 and model.conversions == 5


@pytest.mark.parametrize(("args", "name"), [((4,), "channel"), ((-1,), "channel"), ((0, 4000), "range_mv")])
def test_adc_refuses(args: tuple[int, ...], name: str) -> None:
    _, _, _, driver = converting()
    with pytest.raises(ConfigError) as e:
        driver.read_uv(*args)
    assert e.value.args == (name,)


def test_adc_stuck_conversion() -> None:
    model, port, _, driver = converting(volts=(1.0, 0, 0, 0))
    model.stuck = True
    start = port.now_us
    with pytest.raises(BusError) as e:
        driver.read_uv(0)
    assert e.value.args == ("ads1115", "busy")
    assert port.now_us - start < 20_000
    model.stuck = False
    port.advance(10_000)
    assert driver.read_uv(0) == 1_000_000


def test_adc_every_seed_is_in_time() -> None:
    """The rate varies by 10 per cent from part to part; the result is waited for."""
    for seed in range(30):
        model = ads_model.ADS1115(volts=(2.0, 0, 0, 0))
        port = ManualPort(seed)
        model.attach(port)
        driver = ADS1115(MachineI2C([model], port.clock), clock=Time(port.clock))
        model.set_physical(1.0)
        assert driver.read_uv(0) == 1_000_000


def test_adc_wrong_use() -> None:
    model, port, _, _ = converting()
    assert model.read(2) == b"\0\0"
    for data in (b"\x04", b"\x01\x85", b"\x00\x12\x34"):
        before = len(model.violations)
        model.write(data)
        assert len(model.violations) == before + 1
    model.write(b"\x01\xc1\x83")
    model.write(b"\x01\xd1\x83")  # OS has no effect now
    port.advance(20_000)
    assert model.read(2) == b"\xd1\x83" and model.conversions == 1
    assert model.read(3) == b"\xd1\x83"  # two bytes only
    # Continuous.
    model.write(b"\x01\x42\x83")
    port.advance(50_000)
    model.write(b"\x00")
    assert model.conversions > 1


# Pressure


def sender(volts: float, **options: Any) -> Any:
    _, _, _, driver = converting(volts=(volts, 0, 0, 0), supply_v=5.0)
    return Pressure(Channel(driver, 0, 6144), 500_000, 4_500_000, 1_600_000, **options)


def test_pressure_of_a_voltage_sender() -> None:
    assert sender(0.5).read_pa() == pytest.approx(0, abs=50)
    assert sender(2.5).read_pa() == pytest.approx(800_000, abs=50)
    assert sender(4.5).read_pa() == pytest.approx(1_600_000, abs=50)
    assert sender(0.45).read_pa() == pytest.approx(-20_000, abs=50)


@pytest.mark.parametrize(("volts", "word"), [(0.0, "open"), (0.39, "open"), (4.76, "short"), (5.0, "short")])
def test_pressure_wiring(volts: float, word: str) -> None:
    with pytest.raises(ChipError) as e:
        sender(volts).read_pa()
    assert e.value.args == ("pressure", word)
    with pytest.raises(ChipError) as e:
        sender(volts, pull_up=True).read_pa()
    assert e.value.args == ("pressure", "short" if word == "open" else "open")


LOOP = [
    (3.6, "open"),
    (3.61, -24_375),
    (4, 0),
    (12, 500_000),
    (20.9, 1_056_250),
    (21.1, "short"),
    (0, "open"),
]


@pytest.mark.parametrize(("ma", "pascal"), LOOP)
def test_pressure_of_a_current_loop(ma: float, pascal: Any) -> None:
    """NAMUR NE 43: below 3.6 mA and above 21 mA is a fault."""
    _, _, _, driver = converting(volts=(ma * 0.1 - (1e-4 if ma == 3.6 else 0), 0, 0, 0))
    loop = Pressure(Channel(driver, 0, 4096), 400_000, 2_000_000, 1_000_000)
    if isinstance(pascal, str):
        with pytest.raises(ChipError) as e:
            loop.read_pa()
        assert e.value.args == ("pressure", pascal)
    else:
        assert loop.read_pa() == pytest.approx(pascal, abs=80)


def test_pressure_lets_the_bus_fault_through() -> None:
    _, _, bus, driver = converting(volts=(1.2, 0, 0, 0))
    loop = Pressure(Channel(driver, 0), 400_000, 2_000_000, 1_000_000)
    bus.nack = 1
    with pytest.raises(BusError):
        loop.read_pa()
    assert loop.read_pa() == pytest.approx(500_000, abs=80)
