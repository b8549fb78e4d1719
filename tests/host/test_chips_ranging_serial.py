"""MaxBotix and TF-Luna: frames on a UART."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers import maxbotix, tfluna
from firmware.drivers.errors import BusError, NotReady
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.maxbotix import MB7386, MB7388, MaxBotix
from hw.virtual.chips.shim import OutPin, Uart
from hw.virtual.chips.tfluna import TFLuna
from hw.virtual.chips.tfluna_i2c import TFLunaI2C
from tests.host.adafruit_shim import MachineI2C
from tests.host.ranging_bench import once
from tests.host.sensor_bench import attach


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
def test_serial_at_another_speed(name: str) -> None:
    """Set up in two steps is no wrong use; read at another speed its frames are rubbish."""
    model = SERIAL[name][0]()
    port = attach(model)
    model.configure(19200, 8, None, 1)
    model.receive(b"x")
    port.advance(1_000_000)
    garbled = model.garbled
    assert model.frames > 0 and garbled > 1 and model.violations == []
    assert (
        model.frame() not in bytes(port.uart_out[1]) if name == "tfluna" else b"R1000" not in port.uart_out[1]
    )
    model.configure(model.BAUD, 8, None, 1)
    port.advance(1_000_000)
    assert b"\x59\x59" in port.uart_out[1] if name == "tfluna" else b"R1000\r" in port.uart_out[1]
    assert model.garbled == garbled
    model.receive(b"x")
    assert len(model.violations) == (name == "maxbotix")


def answer(model: TFLuna, port: ManualPort, command: str) -> bytes:
    """What comes within 2 ms, the shortest time between frames being 4."""
    port.uart_out.clear()
    model.receive(bytes.fromhex(command))
    port.advance(2000)
    return bytes(port.uart_out.get(1, b""))


def tfluna_silent() -> tuple[TFLuna, ManualPort]:
    model = TFLuna()
    port = attach(model)
    port.advance(500_000)
    assert answer(model, port, "5a05070066").endswith(bytes.fromhex("5a05070066"))
    port.advance(20_000)
    return model, port


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("5a04015f", "5a0701010303" + "69"),  # version
        ("5a0603fa005d", "5a0603fa005d"),  # 250 a second
        ("5a0505066a", "5a0505066a"),  # mm
        ("5a0806804b000033", "5a0806804b000033"),  # 19200 baud
        ("5a04116f", "5a05110070"),  # save
        ("5a04106e", "5a0510006f"),  # factory settings
        ("5a040260", "5a05020061"),  # reset
        ("5a04015e", ""),  # wrong sum
        ("5a047fdd", ""),  # no such command
        ("00005a04015f", "5a0701010303" + "69"),
        ("5a5a04015f", "5a0701010303" + "69"),
    ],
)
def test_tfluna_answers_commands(command: str, says: str) -> None:
    model, port = tfluna_silent()
    assert answer(model, port, command).hex() == says and model.violations == []


def test_tfluna_commands_in_pieces_and_what_they_do() -> None:
    model, port = tfluna_silent()
    for byte in bytes.fromhex("5a04015f"):
        model.receive(bytes([byte]))
    port.uart_out.clear()
    port.advance(2000)
    assert port.uart_out[1] == bytes.fromhex("5a070101030369")
    assert answer(model, port, "5a040462")[:4] == bytes.fromhex("59596400")  # one range
    answer(model, port, "5a0505066a")
    assert answer(model, port, "5a040462")[2:4] == (1000).to_bytes(2, "little")
    answer(model, port, "5a0603fa005d")
    answer(model, port, "5a05070167")
    before = model.frames
    port.advance(1_000_000)
    assert model.frames - before in (249, 250, 251)
    answer(model, port, "5a040260")  # nothing was saved
    port.advance(1_300_000)
    assert not model.mm and model.settings.rate == 100
    answer(model, port, "5a0505066a"), answer(model, port, "5a04116f"), answer(model, port, "5a040260")
    assert model.mm
    assert answer(model, port, "5a05050266") == b"" and "not modelled" in model.violations[-1]


def laser_on_i2c(**options: Any) -> tuple[TFLunaI2C, ManualPort, MachineI2C]:
    model = TFLunaI2C(**options)
    port = attach(model)
    return model, port, MachineI2C([model], port.clock)


def test_tfluna_i2c_registers() -> None:
    """As published libraries read them: words of two registers, the low one first."""
    model, port, bus = laser_on_i2c(distance_m=2.345, temperature_c=31.25)
    port.advance(10_000)
    with pytest.raises(OSError):  # it starts
        bus.readfrom_mem(0x10, 0, 1)
    port.advance(400_000)
    got = bus.readfrom_mem(0x10, 0, 6)
    assert int.from_bytes(got[:2], "little") in (234, 235)
    assert int.from_bytes(got[2:4], "little") == round(30_000 / 3.345**2)
    assert int.from_bytes(got[4:6], "little") == 3125
    bus.writeto(0x10, b"\x0a")
    assert bus.readfrom(0x10, 3) == b"\x01\x03\x03"
    assert bus.readfrom_mem(0x10, 0x3C, 4) == b"LUNA"
    assert bus.readfrom_mem(0x10, 0x23, 6) == b"\0\0\x01\x64\0\0"
    assert bus.readfrom_mem(0x10, 0x2E, 4) == bytes.fromhex("00002823")
    model.set_physical(9.0)
    port.advance(10_000)
    assert bus.readfrom_mem(0x10, 0, 4) == b"\0\0\x14\0"
    model.set_physical(3.0)
    bus.writeto_mem(0x10, 0x30, (2500).to_bytes(2, "little"))
    port.advance(10_000)
    assert bus.readfrom_mem(0x10, 0, 2) == b"\0\0"
    assert model.violations == []
    bus.writeto_mem(0x10, 0x05, b"\0")
    assert "read only" in model.violations[-1]


def test_tfluna_i2c_on_request_and_rate() -> None:
    model, port, bus = laser_on_i2c(distance_m=lambda us: us / 1e6)
    port.advance(1_000_000)
    bus.writeto_mem(0x10, 0x23, b"\x01")
    before = bus.readfrom_mem(0x10, 0, 2)
    port.advance(500_000)
    assert bus.readfrom_mem(0x10, 0, 2) == before
    bus.writeto_mem(0x10, 0x24, b"\x01")
    port.advance(9_000)
    assert bus.readfrom_mem(0x10, 0, 2) == before
    port.advance(2_000)
    assert bus.readfrom_mem(0x10, 0, 2)[0] in (150, 151, 152)
    bus.writeto_mem(0x10, 0x23, b"\0")
    bus.writeto_mem(0x10, 0x26, b"\x01\0")
    port.advance(200_000)
    counted = model.ranges
    for _ in range(100):
        port.advance(50_000)
        bus.readfrom_mem(0x10, 0, 2)
    assert model.ranges - counted == 5
    # Another address: saved, it counts from the next start on.
    bus.writeto_mem(0x10, 0x22, b"\x29")
    bus.writeto_mem(0x10, 0x20, b"\x01")
    bus.writeto_mem(0x10, 0x21, b"\x02")
    port.advance(400_000)
    assert bus.scan() == [0x29] and bus.readfrom_mem(0x29, 0x3C, 4) == b"LUNA"
    assert model.violations == []
    model.nack = 1
    with pytest.raises(OSError):
        bus.readfrom_mem(0x29, 0, 2)
    assert len(bus.readfrom_mem(0x29, 0, 2)) == 2


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
