"""The models of distance sensors (beside A02YYUW) through their unmodified drivers: faults, wrong use."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from firmware.drivers import hcsr04, maxbotix, tfluna, vl53l1x
from firmware.drivers.errors import BusError, ChipError, DriverError, NotReady
from hw.virtual import World
from hw.virtual.chips.base import Chip, ManualPort
from hw.virtual.chips.maxbotix import MB7386, MB7388, MaxBotix
from hw.virtual.chips.shim import InPin, OutPin, Time, Uart
from hw.virtual.chips.tfluna import TFLuna
from hw.virtual.chips.ultrasonic_pulse import HC_SR04, JSN_SR04T, UltrasonicPulse
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
from hw.virtual.testing import folder
from tests.host.adafruit_shim import MachineI2C

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"


@dataclass
class Sensor:
    """A model with its driver: `measure` gives SI units, within `spread`, the driver's own unit."""

    model: Any
    port: ManualPort
    measure: Callable[[], float]
    spread: float


def attach(model: Chip) -> ManualPort:
    port = ManualPort(7)
    model.attach(port)
    return port


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


# Trigger and echo


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


# Serial


def serial(model: Any, part: Any, **options: Any) -> tuple[ManualPort, Any]:
    port = attach(model)
    return port, part(Uart(port), **options)


def test_maxbotix_on_the_wire() -> None:
    model = MaxBotix(distance_m=1.234)
    port = attach(model)
    uart = Uart(port)
    port.advance(260_000 + 123_000 + 6249)
    assert uart.read() == b"HRXL-MaxSonar-WR\r"
    port.advance(2)
    assert uart.read() == b"R1234\r"
    port.advance(10_000_000)
    assert 75 <= model.frames <= 76  # 7.5 a second
    model.pin_changed("range", 0)
    port.advance(200_000)
    frames = model.frames
    port.advance(1_000_000)
    assert model.frames == frames
    model.floating("range")
    port.advance(1_000_000)
    assert model.frames > frames + 5


def test_maxbotix_of_ten_metres() -> None:
    for variant in (MB7386, MB7388):
        model = MaxBotix(distance_m=9.5, variant=variant)
        port, driver = serial(model, maxbotix.MaxBotix, max_mm=9999)
        port.advance(1_000_000)
        assert once(port, driver) == 9500
        model.set_physical(12.0)
        assert once(port, driver) is None


def test_maxbotix_too_near_reads_full() -> None:
    port, driver = serial(MaxBotix(distance_m=0.05), maxbotix.MaxBotix)
    port.advance(1_000_000)
    assert once(port, driver) == 300


def test_tfluna_on_the_wire() -> None:
    """1.50 m, amplitude 1200, 32 degC; the sum by hand: 59+59+96+00+B0+04+00+09 = 205."""
    model = TFLuna(distance_m=1.5, amplitude=1200, temperature_c=32.0)
    port = attach(model)
    uart = Uart(port)
    port.advance(300_000 + 780)
    assert uart.any() == 0
    port.advance(2)
    assert uart.read() == bytes.fromhex("5959 9600 b004 0009 05")
    port.advance(10_000_000)
    assert 999 <= model.frames <= 1002


def test_tfluna_amplitude_and_temperature() -> None:
    model = TFLuna(distance_m=1.5, temperature_c=-12.5)
    port, driver = serial(model, tfluna.TFLuna)
    port.advance(1_000_000)
    for amplitude, mm in ((0, None), (99, None), (100, 1500), (40_000, 1500), (65_534, 1500), (65_535, None)):
        model.amplitude = amplitude
        assert once(port, driver) == mm, amplitude
        assert (driver.amp, driver.temp_ddegc) == (amplitude, -125)


SERIAL: dict[str, tuple[Any, Any]] = {
    "maxbotix": (MaxBotix, maxbotix.MaxBotix),
    "tfluna": (TFLuna, tfluna.TFLuna),
}


@pytest.mark.parametrize("name", SERIAL)
def test_serial_power_switch(name: str) -> None:
    model = SERIAL[name][0](switched=True)
    port = attach(model)
    driver = SERIAL[name][1](Uart(port), OutPin(lambda level: model.pin_changed("power", level)))
    port.advance(2_000_000)
    assert model.frames == 0 and port.current_ua == 0
    for _ in range(3):
        assert once(port, driver) == 1000
        frames = model.frames
        port.advance(3_000_000)
        assert model.frames == frames and port.current_ua == 0
    assert model.violations == []


@pytest.mark.parametrize("name", SERIAL)
def test_serial_wrong_use(name: str) -> None:
    model = SERIAL[name][0]()
    attach(model)
    model.configure(19200, 8, None, 1)
    model.receive(b"x")
    assert len(model.violations) == 2
    model.configure(9600 if name == "maxbotix" else 115200, 8, None, 1)
    assert len(model.violations) == 2


@pytest.mark.parametrize("name", SERIAL)
@pytest.mark.parametrize(
    "fault",
    [
        lambda f: f[:3],
        lambda f: b"",
        lambda f: f[1:],
        lambda f: bytes([f[0] ^ 0x20]) + f[1:],
        lambda f: f[:-1] + bytes([f[-1] ^ 0x40]),
        lambda f: f[:2] + b"\x80" + f[3:],
        lambda f: f[:1] + f,
        lambda f: b"\xff\xff" + f[:4] + f,
    ],
    ids=["short", "missing", "head lost", "bit in head", "bit in tail", "data", "head twice", "begun twice"],
)
def test_serial_damaged_frame(name: str, fault: Callable[[bytes], bytes]) -> None:
    """Never a wrong distance; the next frames are read."""
    model = SERIAL[name][0](distance_m=2.34)
    port, driver = serial(model, SERIAL[name][1])
    port.advance(1_000_000)
    driver.start()
    model.faults.append(fault)
    for _ in range(20):
        with contextlib.suppress(BusError, NotReady):
            assert driver.read_mm() == 2340
        port.advance(15_000)
    port.advance(200_000)
    assert driver.read_mm() == 2340
    assert model.faults == []


@pytest.mark.parametrize("name", SERIAL)
def test_serial_full_buffer_does_not_answer_old(name: str) -> None:
    model = SERIAL[name][0]()
    port, driver = serial(model, SERIAL[name][1])
    port.advance(60_000_000)
    model.set_physical(3.0)
    assert once(port, driver) == 3000


def test_tfluna_every_bit_flip() -> None:
    for bit in range(72):
        model = TFLuna(distance_m=2.34)
        port, driver = serial(model, tfluna.TFLuna)
        model.faults.append(lambda f, bit=bit: (int.from_bytes(f, "big") ^ 1 << bit).to_bytes(9, "big"))  # type: ignore[misc]
        port.advance(305_000)
        with pytest.raises((BusError, NotReady)):
            driver.read_mm()


# VL53L1X


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
    """Five readings 310 ms apart: each is of after the one before, what ends in between is lost."""
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
    assert model.ranges == 6 + 1 and model.lost >= 20
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
    put(bus, 0x87, 0x40)
    assert "before the configuration" in model.violations[-1]
    port.advance(1_000_000)
    assert model.ranges == 0 and bus.readfrom_mem(0x29, 0x89, 1, addrsize=16) == b"\0"
    driver.start()
    assert len(model.violations) == 1
    put(bus, 0x5E, 0)
    assert "while ranging" in model.violations[-1]
    put(bus, 0x87, 0)
    put(bus, 0x5E, 0x07, 0x77)
    put(bus, 0x87, 0x40)
    assert "does not give" in model.violations[-1]
    put(bus, 0x87, 0x20)
    assert "mode 0x20" in model.violations[-1]
    put(bus, 0x96, 1)
    assert "read only" in model.violations[-1]
    bus.writeto(0x29, b"\1")
    assert "two bytes" in model.violations[-1]
    put(bus, 0x46, 1)
    assert "new samples" in model.violations[-1]
    assert len(model.violations) == 7
    assert once(port, driver) == 1000


def test_vl53l1x_interrupt_leg() -> None:
    model, port, driver, bus = ranging()
    model.distance_m = lambda us: us / 1e6
    driver.start()
    assert port.pins["gpio1"] == 0
    port.advance(50_000)
    assert port.pins["gpio1"] == 1
    before = bus.readfrom_mem(0x29, 0x89, 15, addrsize=16)
    port.advance(300_000)
    # Not cleared: no new data.
    assert bus.readfrom_mem(0x29, 0x89, 15, addrsize=16) == before
    put(bus, 0x86, 1)
    assert port.pins["gpio1"] == 0
    port.advance(50_000)
    assert bus.readfrom_mem(0x29, 0x89, 15, addrsize=16) != before
    driver.stop()
    put(bus, 0x30, 0x11)  # active low
    assert port.pins["gpio1"] == 0
    put(bus, 0x86, 1)
    assert port.pins["gpio1"] == 1
    assert model.violations == []


# On a board


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
    names = [f"drivers/{n}.py" for n in ("__init__", "errors", "hcsr04", "vl53l1x")]
    names += ["__init__.py", "protocols/__init__.py", "protocols/compat.py"]
    files = {f"firmware/{n}": (FIRMWARE / n).read_text(encoding="utf-8") for n in names}
    with World(2) as world:
        board = world.add_board(
            "bin",
            mpy_dir=folder({"main.py": text, **files}),
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
