"""Legs and modes that programs of others use: ALERT/RDY of an ADS1115, INT1 of an LIS3DH, the serial JSN-SR04T."""

import itertools
import math
from typing import Any

import pytest

from hw.virtual.chips.ads1115 import ADS1115
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.lis3dh import LIS3DH, G, Vector
from hw.virtual.chips.ultrasonic_serial import UltrasonicSerial
from hw.virtual.testing import run_script
from tests.host.sensor_bench import attach

# ADS1115


def alert(port: ManualPort) -> bool:
    return port.pins["alert"] == 1


def adc(volts: Any = 1.0) -> tuple[ADS1115, ManualPort]:
    model = ADS1115(volts=(volts, 0.0, 0.0, 0.0))
    return model, attach(model)


def put(model: Any, register: int, value: int) -> None:
    assert model.write(bytes([register, value >> 8, value & 0xFF]))


def get(model: Any, register: int) -> int:
    model.write(bytes([register]))
    return int.from_bytes(model.read(2), "big")


def pulses(port: ManualPort, leg: str, level: int) -> list[int]:
    """How long each of them lasted."""
    log = [(t, lv) for t, name, lv in port.pin_log if name == leg]
    return [b[0] - a[0] for a, b in itertools.pairwise(log) if a[1] == level]


def test_ads1115_ready_pulse_on_the_board() -> None:
    """As the IRQ example of a widely used MicroPython driver: ready by the thresholds, continuous at 128/s."""
    board = run_script(
        """
from machine import I2C, Pin
import time
i2c = I2C(0, scl=Pin(22), sda=Pin(21))
count = [0]
def irq(pin):
    count[0] += 1
Pin(4, Pin.IN, Pin.PULL_UP).irq(irq, Pin.IRQ_FALLING)
i2c.writeto(0x48, b"\\x02\\x00\\x00")
i2c.writeto(0x48, b"\\x03\\x80\\x00")
i2c.writeto(0x48, b"\\x01\\x42\\x80")
time.sleep(1)
i2c.writeto(0x48, b"\\x00")
print(int.from_bytes(i2c.readfrom(0x48, 2), "big"), count[0])
i2c.writeto(0x48, b"\\x01\\x43\\x83")
count[0] = 0
time.sleep(1)
print(count[0])
""",
        10,
        chips={"adc": ADS1115(volts=(1.0, 0.0, 0.0, 0.0))},
        wiring={"adc": {"i2c": 0, "alert": 4}},
    )
    assert board.failures == []
    value, count = (int(x) for x in board.console[0].split())
    assert value == 8000 and 128 * 0.9 - 1 <= count <= 128 * 1.1 + 1
    assert board.console[1] == "0"


def test_ads1115_ready_of_one_conversion_and_of_many() -> None:
    """Low for 8 us after each conversion; after a single one until the next; COMP_POL: high."""
    model, port = adc()
    assert port.pins["alert"] == 1
    put(model, 2, 0x0000)
    put(model, 3, 0x8000)
    put(model, 1, 0x42E0)
    port.advance(100_000)
    assert set(pulses(port, "alert", 0)) == {8}
    assert len(pulses(port, "alert", 0)) == model.conversions == pytest.approx(86, abs=9)
    put(model, 1, 0xC3E8)  # single, active high
    assert port.pins["alert"] == 0
    port.advance(2000)
    assert port.pins["alert"] == 1
    port.advance(100_000)
    assert port.pins["alert"] == 1 and get(model, 0) == 8000
    put(model, 1, 0xC3E8)
    assert port.pins["alert"] == 0
    put(model, 1, 0x43EB)  # nobody drives it
    assert port.pins["alert"] == 1
    assert model.violations == []


@pytest.mark.parametrize(("queue", "samples"), [(0, 1), (1, 2), (2, 4)])
def test_ads1115_comparator_with_hysteresis(queue: int, samples: int) -> None:
    """Above the high threshold for so many conversions; until below the low one."""
    model, port = adc()
    put(model, 2, 8000)
    put(model, 3, 16000)
    put(model, 1, 0x42E0 | queue)
    model.set_physical(1.5)
    port.advance(50_000)
    assert alert(port)
    before = model.conversions
    model.set_physical(2.1)
    for _ in range(100):
        port.advance(100)
        if not alert(port):
            break
    assert model.conversions - before == samples
    model.set_physical(1.5)
    port.advance(50_000)
    assert not alert(port)
    model.set_physical(0.9)
    port.advance(2000)
    assert alert(port)


def test_ads1115_window_and_latch() -> None:
    model, port = adc(1.5)
    put(model, 2, 8000)
    put(model, 3, 16000)
    put(model, 1, 0x42F0)
    for volts, level in ((1.5, 1), (2.1, 0), (1.5, 1), (0.9, 0), (-0.2, 0), (1.5, 1)):
        model.set_physical(volts)
        port.advance(5000)
        assert port.pins["alert"] == level, volts
    put(model, 1, 0x42F4)
    model.set_physical(2.1)
    port.advance(5000)
    model.set_physical(1.5)
    port.advance(50_000)
    assert port.pins["alert"] == 0  # until the conversion is read
    assert get(model, 1) and port.pins["alert"] == 0
    assert get(model, 0) == 12000 and port.pins["alert"] == 1
    port.advance(50_000)
    assert port.pins["alert"] == 1 and model.violations == []


# LIS3DH


def tilt(acceleration: Any = (0.0, 0.0, G), **setting: int) -> tuple[LIS3DH, ManualPort]:
    """100 Hz, normal mode, and what the names say."""
    model = LIS3DH(acceleration=acceleration)
    port = attach(model)
    port.advance(6000)
    names = {
        "ctrl2": 0x21,
        "ctrl3": 0x22,
        "ctrl5": 0x24,
        "ctrl6": 0x25,
        "ths": 0x32,
        "dur": 0x33,
        "cfg": 0x30,
    }
    model.write(bytes([0x20, setting.pop("ctrl1", 0x57)]))
    for name, value in sorted(setting.items(), key=lambda x: x[0] == "cfg"):
        model.write(bytes([names[name], value]))
    return model, port


def read(model: LIS3DH, register: int) -> int:
    model.write(bytes([register]))
    return model.read(1)[0]


def g(x: float, y: float, z: float) -> Vector:
    return x * G, y * G, z * G


def test_lis3dh_wake_up_latched() -> None:
    """AN3308, wake-up: more than 250 mg across for more than the duration; until INT1_SRC is read."""
    model, port = tilt(ctrl3=0x40, ctrl5=0x08, ths=0x10, dur=0, cfg=0x0A)
    port.advance(500_000)
    assert port.pins["int1"] == 0 and read(model, 0x31) & 0x40 == 0
    model.acceleration = g(0.25, 0.0, 1.0)
    port.advance(100_000)
    assert port.pins["int1"] == 0  # 256 mg are the limit
    model.acceleration = g(-0.3, 0.0, 1.0)
    port.advance(20_000)
    assert port.pins["int1"] == 1
    model.acceleration = g(0.0, 0.0, 1.0)
    port.advance(500_000)
    assert port.pins["int1"] == 1
    assert read(model, 0x31) == 0x42  # IA, X high
    assert port.pins["int1"] == 0
    port.advance(100_000)
    assert port.pins["int1"] == 0 and read(model, 0x31) & 0x40 == 0
    assert model.violations == []


def test_lis3dh_duration_polarity_and_range() -> None:
    """Without latch the leg follows; 5 more samples at 100 Hz; a digit is 32 mg at +-4 g; active low."""
    model, port = tilt(ctrl3=0x40, ctrl6=0x02, ths=0x10, dur=5, cfg=0x0A)
    model.write(b"\x23\x10")
    assert port.pins["int1"] == 1
    model.acceleration = g(0.4, 0.0, 1.0)
    port.advance(500_000)
    assert port.pins["int1"] == 1
    model.acceleration = g(0.6, 0.0, 1.0)
    port.advance(45_000)
    assert port.pins["int1"] == 1
    port.advance(30_000)
    assert port.pins["int1"] == 0
    model.acceleration = g(0.0, 0.0, 1.0)
    port.advance(15_000)
    assert port.pins["int1"] == 1


def test_lis3dh_high_pass_forgets_how_it_hangs() -> None:
    """With HP_IA1 gravity is no event and a knock is, in any position."""
    for lean in (0.0, 1.0, 2.5):
        hangs = 0.0, math.sin(lean), math.cos(lean)
        model, port = tilt(g(*hangs), ctrl2=0x01, ctrl3=0x40, ths=0x08, cfg=0x2A)
        read(model, 0x26)
        port.advance(1_000_000)
        assert 1 not in [lv for _, leg, lv in port.pin_log if leg == "int1"]
        model.acceleration = g(hangs[0] + 0.3, hangs[1], hangs[2])
        port.advance(20_000)
        assert port.pins["int1"] == 1
        # It gets used to the new one: 2 Hz at 100 Hz, of 300 mg 128 are left after 70 ms or so.
        port.advance(40_000)
        assert port.pins["int1"] == 1
        port.advance(80_000)
        assert port.pins["int1"] == 0


def test_lis3dh_free_fall_is_an_and() -> None:
    """All three below 350 mg at once, for 30 ms."""
    model, port = tilt(ctrl3=0x40, ths=0x16, dur=3, cfg=0x95)
    port.advance(200_000)
    assert port.pins["int1"] == 0
    model.acceleration = g(0.1, 0.0, 0.5)
    port.advance(200_000)
    assert port.pins["int1"] == 0
    model.acceleration = g(0.05, 0.0, 0.1)
    port.advance(25_000)
    assert port.pins["int1"] == 0
    port.advance(30_000)
    assert port.pins["int1"] == 1
    assert read(model, 0x31) & 0x55 == 0x55


def test_lis3dh_six_directions() -> None:
    """Position holds while one face is up; movement tells once when it becomes another."""
    model, port = tilt(ctrl3=0x40, ths=0x20, cfg=0xFF)
    port.advance(50_000)
    assert port.pins["int1"] == 1 and read(model, 0x31) & 0x3F == 0x20  # Z up
    model.acceleration = g(0.3, 0.3, 0.3)
    port.advance(50_000)
    assert port.pins["int1"] == 0
    model, port = tilt(ctrl3=0x40, ctrl5=0x08, ths=0x20, cfg=0x7F)
    port.advance(50_000)
    read(model, 0x31)
    port.advance(500_000)
    assert port.pins["int1"] == 0
    model.acceleration = g(0.0, 0.0, -1.0)
    port.advance(20_000)
    assert port.pins["int1"] == 1 and read(model, 0x31) == 0x50  # Z down


def test_lis3dh_data_ready_leg_and_sleep() -> None:
    model, port = tilt(ctrl3=0x10)
    for _ in range(3):
        port.advance(10_000)
        assert port.pins["int1"] == 1
        model.write(b"\xa8")
        model.read(6)
        assert port.pins["int1"] == 0
    model.write(b"\x20\x07")  # power-down: no more samples
    port.advance(1_000_000)
    assert port.pins["int1"] == 0 and port.clock.next_us() is None
    # Nor does a part without interrupts look at every sample.
    _, port = tilt()
    port.advance(100_000)
    assert port.clock.next_us() is None


def test_lis3dh_wakes_a_board_from_deep_sleep() -> None:
    model = LIS3DH(acceleration=lambda us: g(0.6 if us > 5_000_000 else 0.0, 0.0, 1.0))
    board = run_script(
        """
from machine import I2C, Pin, deepsleep, wake_reason, EXT0_WAKE
import esp32, time
i2c = I2C(0, scl=Pin(22), sda=Pin(21))
if wake_reason() == EXT0_WAKE:
    print("knocked", time.ticks_ms() < 1000, hex(i2c.readfrom_mem(0x18, 0x31, 1)[0]))
else:
    time.sleep_ms(10)
    for reg, value in ((0x20, 0x2F), (0x22, 0x40), (0x24, 8), (0x32, 0x10), (0x33, 0), (0x30, 0x0A)):
        i2c.writeto_mem(0x18, reg, bytes([value]))
    esp32.wake_on_ext0(Pin(4, Pin.IN), esp32.WAKEUP_ANY_HIGH)
    print("sleeps")
    deepsleep()
""",
        10,
        chips={"tilt": model},
        wiring={"tilt": {"i2c": 0, "int1": 4}},
    )
    assert board.failures == []
    assert board.console == ["sleeps", "knocked True 0x42"]


# JSN-SR04T, serial


def heard(port: ManualPort) -> list[int]:
    """Distances of whole frames with their sum, as ESPHome takes them."""
    data = bytes(port.uart_out.pop(1, b""))
    assert len(data) % 4 == 0
    out = []
    for i in range(0, len(data), 4):
        assert data[i] == 0xFF and sum(data[i : i + 3]) & 0xFF == data[i + 3]
        out.append(data[i + 1] << 8 | data[i + 2])
    return out


def test_jsnsr04t_answers_a_request() -> None:
    """340 m/s is what sound does at 14.5 degC."""
    model = UltrasonicSerial()
    port = attach(model)
    port.advance(300_000)
    assert heard(port) == []
    for metres, wanted in ((1.0, 1000), (0.3, 300), (4.4, 4400), (0.1, 0), (5.0, 0)):
        model.set_physical(metres)
        model.receive(b"\x55")
        port.advance(80_000)
        (mm,) = heard(port)
        assert mm == pytest.approx(wanted, abs=2)
    model.temperature_c = 40.0
    model.set_physical(1.0)
    model.receive(b"\x55")
    port.advance(5000)
    model.receive(b"\x55")  # it is at work
    model.receive(b"\x01")
    port.advance(80_000)
    assert heard(port) == [pytest.approx(959, abs=2)]
    model.faults.append(lambda f: f[:3] + bytes([f[3] ^ 1]))
    model.receive(b"\x55")
    port.advance(80_000)
    with pytest.raises(AssertionError):
        heard(port)
    assert model.violations == []


def test_jsnsr04t_by_itself_every_100_ms() -> None:
    model = UltrasonicSerial(distance_m=lambda us: 0.5 + us / 1e6, auto=True)
    port = attach(model)
    port.advance(1_240_000)
    found = heard(port)
    assert len(found) == 10 and found[0] == pytest.approx(750, abs=2)
    assert [b - a for a, b in itertools.pairwise(found)] == [pytest.approx(100, abs=1)] * 9
    model.receive(b"\x55")
    port.advance(1_000_000)
    assert len(heard(port)) == 10


def test_jsnsr04t_before_it_is_ready_and_at_another_rate() -> None:
    model = UltrasonicSerial()
    port = attach(model)
    port.advance(100_000)
    model.receive(b"\x55")
    port.advance(1_000_000)
    model.configure(115_200, 8, None, 1)
    model.receive(b"\x55")
    port.advance(1_000_000)
    assert port.uart_out == {} and model.garbled == 1
    model.configure(9600, 8, None, 1)
    model.receive(b"\x55")
    port.advance(100_000)
    assert heard(port) == [pytest.approx(1000, abs=2)]
