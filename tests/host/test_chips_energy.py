"""Every energy meter's model through its unmodified driver: energy, calibration; BL0942 and
the pulse meters. The other parts are in test_chips_energy_parts.py and test_chips_energy_modbus.py."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers.bl0942 import BL0942
from firmware.drivers.cse7766 import CSE7766
from firmware.drivers.errors import BusError, ConfigError, NotReady
from firmware.drivers.hlw8012 import BL0937_SCALE, HLW8012, HLW8012_SCALE
from firmware.drivers.ina219 import INA219
from firmware.drivers.modbus_meter import ModbusMeter
from hw.virtual.chips import pulse_energy
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.lamp_0_10v import Lamp010V
from hw.virtual.chips.shim import InPin, OutPin, Time
from tests.host.energy_bench import (
    HOUR_US,
    SECOND_US,
    WITH_BL0937,
    WITH_EM340,
    Bench,
    bench_bl0942,
    bench_cse7766,
    bench_ina219,
    bench_modbus,
    bench_pulses,
    meter_phase,
    result,
    sensor,
)
from tests.host.sensor_bench import Sensor, attach

#: The pulse parts: after a change one old reading of each quantity goes by. Ticks of 1 ms over 12 s.
_TURNS = (1,) * 9
SENSORS: dict[str, Callable[[], Sensor]] = {
    "bl0942": sensor(bench_bl0942, "watts", 0.001),
    "bl0942 volts": sensor(bench_bl0942, "volts", 0.001),
    "bl0942 amps": sensor(bench_bl0942, "amps", 0.001),
    "hlw8012": sensor(bench_pulses, "watts", 0.4, (11, 12)),
    "hlw8012 volts": sensor(bench_pulses, "volts", 0.02, _TURNS),
    "hlw8012 amps": sensor(bench_pulses, "amps", 0.002, _TURNS),
    "bl0937": sensor(bench_pulses, "watts", 0.5, (2, 6), **WITH_BL0937),
    "bl0937 volts": sensor(bench_pulses, "volts", 0.03, _TURNS, **WITH_BL0937),
    "cse7766": sensor(bench_cse7766, "watts", 0.001),
    "cse7766 volts": sensor(bench_cse7766, "volts", 0.001),
    "cse7766 amps": sensor(bench_cse7766, "amps", 0.001),
    "ina219": sensor(bench_ina219, "amps", 0.001),
    "ina219 volts": sensor(bench_ina219, "volts", 0.001),
    "sdm630": meter_phase("watts", 0, 0.001),
    "sdm630 volts": meter_phase("volts", 1, 0.001),
    "sdm630 amps": meter_phase("amps", 2, 0.001),
    "em340": meter_phase("watts", 2, 0.001, **WITH_EM340),
    "em340 volts": meter_phase("volts", 0, 0.001, **WITH_EM340),
    "em340 amps": meter_phase("amps", 1, 0.001, **WITH_EM340),
}


@pytest.mark.parametrize("make", [bench_bl0942, bench_pulses, bench_cse7766, bench_ina219, bench_modbus])
def test_common_result(make: Callable[..., Bench]) -> None:
    """Nothing but None (or the energy of before) ahead of a reading; integers or None after it."""
    b = make()
    assert all(x in (None, 0) for x in result(b.driver))
    for _ in range(12):
        b.port.advance(SECOND_US)
        b.driver.read()
    volts, amps, watts, energy, hz = result(b.driver)
    assert all(type(x) is int for x in (volts, amps, watts))
    assert energy is None or (type(energy) is int and energy >= 0)
    assert hz is None or hz == 50_000
    assert volts * amps // 1000 == pytest.approx(watts, rel=0.01 if make is not bench_modbus else 0.001)
    assert b.model.violations == []


ENERGY: dict[str, tuple[Any, int, float]] = {
    "bl0942": (bench_bl0942, 60, 0.2),
    "hlw8012": (bench_pulses, 10, 2.9e-3),
    "bl0937": (lambda **o: bench_pulses(**WITH_BL0937, **o), 5, 6e-4),
    "cse7766": (bench_cse7766, 60, 1.5e-3),
    "sdm630": (bench_modbus, 600, 1.0),
    "em340": (lambda **o: bench_modbus(**WITH_EM340, **o), 600, 100.0),
}


@pytest.mark.parametrize("name", ENERGY)
def test_energy(name: str) -> None:
    """115 W for as long as it takes: watts times time, within one count (Wh)."""
    make, every_s, count_wh = ENERGY[name]
    b = make()
    model = b.model
    if hasattr(model, "phases"):
        model.set_physical(0.0, phase=1)
        model.set_physical(0.0, phase=2)
        model.set_physical(115.0)
    b.port.advance(20 * SECOND_US)
    b.driver.read()
    start, before = b.port.now_us, b.driver.energy_mwh
    for _ in range(10):
        b.port.advance(every_s * SECOND_US)
        last = b.driver.energy_mwh
        b.driver.read()
        assert b.driver.energy_mwh >= last
    wanted = 115 * (b.port.now_us - start) / HOUR_US
    assert (b.driver.energy_mwh - before) / 1000 == pytest.approx(wanted, abs=count_wh + 0.01)
    assert model.violations == []


def test_a_lamp_drives_the_meter() -> None:
    """The lamp's model says its power; the meter's energy is the lamp's own, within a second at each change."""
    lamp = Lamp010V()
    b = bench_bl0942(load=lambda us: (230.0, lamp.power_w / 230 / 0.95, 0.95))
    lamp.attach(b.port)
    b.driver.read()
    for duty, hours in ((0, 2), (32768, 3), (65535, 1)):
        lamp.pwm_changed("dim", 1000, duty)
        for _ in range(hours):
            b.port.advance(HOUR_US)
            b.driver.read()
        assert b.driver.power_mw / 1000 == pytest.approx(lamp.power_w, abs=0.01)
    assert b.driver.energy_mwh / 1000 == pytest.approx(lamp.energy_wh, abs=0.3)


@pytest.mark.parametrize("make", [bench_bl0942, bench_pulses, bench_cse7766])
def test_calibration(make: Callable[..., Bench]) -> None:
    """A board 2 % high in volts, 1 % low in amps, 3 % high in watts, put right by ppm."""
    wrong = {"volt_error": 0.02, "amp_error": -0.01, "watt_error": 0.03}
    right = {"v_ppm": -19_608, "i_ppm": 10_101, "p_ppm": -29_126}
    raw, good = make(**wrong), make(driver=right, **wrong)
    for b in (raw, good):
        for _ in range(14):
            b.port.advance(SECOND_US)
            b.driver.read()
        b.port.advance(20 * SECOND_US)
        b.driver.read()
    assert raw.driver.power_mw == pytest.approx(115_000 * 1.03, rel=0.001)
    assert raw.driver.voltage_mv == pytest.approx(234_600, rel=0.001)
    assert good.driver.voltage_mv == pytest.approx(230_000, rel=0.001)
    assert good.driver.current_ma == pytest.approx(500, abs=1)
    assert good.driver.power_mw == pytest.approx(115_000, rel=0.001)
    assert raw.driver.energy_mwh / good.driver.energy_mwh == pytest.approx(1.03, rel=0.003)


def test_impossible_calibration_is_refused() -> None:
    class Pin:
        IRQ_RISING = 2

    clock: Any = Time(ManualPort().clock)
    makes: list[Any] = [
        lambda: BL0942(None, v_ppm=300_001),
        lambda: BL0942(None, address=4),
        lambda: CSE7766(None, p_ppm=-300_001),
        lambda: HLW8012(Pin(), Pin(), None, i_ppm=1_000_000, clock=clock),
        lambda: HLW8012(Pin(), Pin(), None, scale=(0, 1, 1), clock=clock),
        lambda: INA219(None, address=0x50),
        lambda: INA219(None, shunt_uohm=0),
        lambda: INA219(None, average=8),
        lambda: INA219(None, i_ppm=400_000),
        lambda: ModbusMeter(None, unit=0),
        lambda: ModbusMeter(None, meter=(6, ((0, 2),), b"")),
        lambda: ModbusMeter(None, meter=(4, ((0, 126),), b"")),
        lambda: ModbusMeter(None, meter=(4, ((0, 2),), b"1234")),
    ]
    for make in makes:
        with pytest.raises(ConfigError):
            make()


# BL0942


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (lambda f: f[:-1] + bytes([f[-1] ^ 1]), "sum"),
        (lambda f: b"\x54" + f[1:-1] + bytes([f[-1] + 1 & 0xFF]), "sum"),
        (lambda f: f[:22], "short"),
        (lambda f: f[:1], "short"),
        (lambda f: b"", "timeout"),
        (lambda f: b"\0" + f, "sum"),
    ],
    ids=["sum", "header", "a byte lost", "one byte", "no answer", "a byte too many"],
)
def test_bl0942_faults(fault: Callable[[bytes], bytes], word: str) -> None:
    b = bench_bl0942(load=(230.0, 1.0, 0.9))
    b.driver.read()
    good = result(b.driver)
    b.model.faults.append(fault)
    start = b.port.now_us
    with pytest.raises(BusError) as error:
        b.driver.read()
    assert error.value.args == ("bl0942", word)
    assert b.port.now_us - start < 130_000
    assert result(b.driver) == good
    b.driver.read()
    assert result(b.driver) == good


def test_bl0942_every_bit_flip_is_seen() -> None:
    b = bench_bl0942(load=(231.0, 1.234, 0.87))
    for bit in range(23 * 8):
        b.model.faults.append(lambda f, bit=bit: (int.from_bytes(f, "big") ^ 1 << bit).to_bytes(23, "big"))
        with pytest.raises(BusError):
            b.driver.read()
    b.driver.read()
    assert b.driver.power_mw == pytest.approx(231 * 1.234 * 0.87 * 1000, abs=1)


def test_bl0942_counter_wraps() -> None:
    b = bench_bl0942(load=(230.0, 8.0, 1.0), count0=0xFFFFF0)
    b.driver.read()
    last = 0
    for _ in range(6):
        b.port.advance(10 * SECOND_US)
        b.driver.read()
        assert b.driver.energy_mwh > last
        last = b.driver.energy_mwh
    assert b.driver.count < 0xFFFFF0
    assert last == pytest.approx(1840 * b.port.now_us / 3.6e6, abs=200)


def test_bl0942_that_lost_power_is_no_wrap() -> None:
    b = bench_bl0942(load=(230.0, 8.0, 1.0), count0=5_000_000)
    b.driver.read()
    b.port.advance(60 * SECOND_US)
    b.driver.read()
    before = b.driver.energy_mwh
    b.model.count0 = 0
    b.model.reset()
    b.port.advance(60 * SECOND_US)
    b.driver.read()
    assert b.driver.energy_mwh - before == pytest.approx(1840 / 60 * 1000, abs=200)


def test_bl0942_energy_goes_on_after_a_reboot() -> None:
    b = bench_bl0942(load=(230.0, 8.0, 1.0))
    b.driver.read()
    b.port.advance(60 * SECOND_US)
    b.driver.read()
    kept = b.driver.energy_mwh, b.driver.count
    b.port.advance(60 * SECOND_US)
    again = BL0942(b.bus, energy_mwh=kept[0], count=kept[1], clock=Time(b.port.clock))
    assert again.energy_mwh == kept[0]
    again.read()
    assert again.energy_mwh == pytest.approx(2 * 1840 / 60 * 1000, abs=400)


def test_bl0942_feeds_back_and_line_off() -> None:
    b = bench_bl0942(load=(230.0, 2.0, -0.5), line_hz=0.0)
    b.driver.read()
    assert b.driver.power_mw == pytest.approx(-230_000, abs=1)
    assert b.driver.frequency_mhz is None


def test_bl0942_addresses_share_a_line() -> None:
    b = bench_bl0942(address=2)
    with pytest.raises(BusError):
        b.driver.read()
    driver = BL0942(b.bus, 2, clock=Time(b.port.clock))
    driver.read()
    assert driver.voltage_mv == pytest.approx(230_000, abs=1)


def test_bl0942_model_registers_and_wrong_use() -> None:
    """As other drivers use it: unlock, mode, lock; then the read of one register."""

    def write(reg: int, value: int) -> bytes:
        body = bytes([0xA8, reg]) + value.to_bytes(3, "little")
        return body + bytes([sum(body) & 0xFF ^ 0xFF])

    b = bench_bl0942()
    for frame in (write(0x1D, 0x55), write(0x19, 0x8F), write(0x1D, 0)):
        b.model.receive(frame)
    b.model.receive(b"\x58\x19")
    b.port.advance(100_000)
    got = b.bus.read()
    assert got[:3] == b"\x8f\0\0" and (0x58 + 0x19 + sum(got)) & 0xFF == 0xFF
    assert b.model.violations == []
    b.model.receive(write(0x19, 0x87))
    b.model.receive(write(0x1D, 0x55)[:-1] + b"\0")
    assert len(b.model.violations) == 2


# Pulses


def test_pulse_scales_are_the_data_sheets() -> None:
    """domain: 10.3436 W/Hz, 0.014484 A/Hz, 0.40864 V/Hz with 1 mOhm and 2351."""
    model = pulse_energy.PulseEnergy()
    for got, wanted in zip(
        (model.watts_per_hz, model.amps_per_hz, model.volts_per_hz), (10.3436, 0.014484, 0.40864), strict=True
    ):
        assert got == pytest.approx(wanted, rel=5e-5)
    for scale, part in ((HLW8012_SCALE, "hlw8012"), (BL0937_SCALE, "bl0937")):
        model = pulse_energy.PulseEnergy(part=part)
        per_hz = (model.watts_per_hz, model.amps_per_hz, model.volts_per_hz)
        assert [s / 1e6 for s in scale] == pytest.approx(per_hz, rel=5e-5)


def test_pulses_after_sel_are_discarded() -> None:
    """The model's CF1 is wrong for 500 ms after SEL; no reading of the driver shows any of it."""
    b = bench_pulses(load=(230.0, 4.0, 1.0))
    volts, amps = set(), set()
    for _ in range(40):
        b.port.advance(700_000)
        b.driver.read()
        volts.add(b.driver.voltage_mv)
        amps.add(b.driver.current_ma)
    for seen, wanted in ((volts - {None}, 230_000), (amps - {None}, 4000)):
        assert seen and all(v == pytest.approx(wanted, rel=2e-4, abs=1) for v in seen)
    rises = [t for t, leg, level in b.port.pin_log if leg == "cf1" and level]
    assert len({t - s for s, t in itertools.pairwise(rises) if t - s > 2200}) > 1  # the mixed ones


def test_pulses_lost_edge() -> None:
    b = bench_pulses(load=(230.0, 1.0, 1.0))
    b.port.advance(10 * SECOND_US)
    b.driver.read()
    b.port.advance(10 * SECOND_US)
    b.driver.read()
    assert b.driver.power_mw == pytest.approx(230_000, rel=1e-3)
    b.bus.lose_edges = 1
    before = b.driver.energy_mwh
    b.port.advance(10 * SECOND_US)
    b.driver.read()
    pulses = 222
    assert b.driver.power_mw == pytest.approx(230_000 * (pulses - 1) / pulses, rel=1e-3)
    assert b.driver.energy_mwh - before == pytest.approx(230_000 / 360 - 2.87, abs=3)
    b.port.advance(10 * SECOND_US)
    b.driver.read()
    assert b.driver.power_mw == pytest.approx(230_000, rel=1e-3)


def test_pulses_that_stop_are_zero_and_come_back() -> None:
    b = bench_pulses(load=(230.0, 0.0, 1.0))
    b.port.advance(9 * SECOND_US)
    with pytest.raises(NotReady):
        b.driver.read()
    b.port.advance(2 * SECOND_US)
    b.driver.read()
    assert b.driver.power_mw == 0
    b.model.set_physical(500.0)
    b.port.advance(2 * SECOND_US)
    b.driver.read()
    # Not averaged over the dark time.
    assert b.driver.power_mw == pytest.approx(500_000, rel=0.01)
    b.model.set_physical(2.0)
    b.port.advance(4 * SECOND_US)
    b.driver.read()
    b.port.advance(SECOND_US)
    b.driver.read()
    assert b.driver.power_mw < 4_000  # one pulse in the time since the last is at most this
    b.model.dead = True
    b.model.touch()
    for _ in range(40):
        b.port.advance(SECOND_US)
        b.driver.read()
    assert (b.driver.power_mw, b.driver.voltage_mv, b.driver.current_ma) == (0, 0, 0)


def test_pulses_read_every_quarter_hour() -> None:
    """Beyond the range of 32-bit microsecond ticks (18 minutes)."""
    b = bench_pulses(load=(230.0, 0.2, 1.0))
    b.port.advance(20 * SECOND_US)
    b.driver.read()
    assert b.driver.voltage_mv == pytest.approx(230_000, rel=1e-3)
    b.port.advance(HOUR_US // 3)
    b.driver.read()
    assert b.driver.power_mw == pytest.approx(46_000, rel=1e-3)
    assert b.driver.current_ma == pytest.approx(200, abs=1)


def test_pulses_sel_of_a_board_that_inverts() -> None:
    model = pulse_energy.PulseEnergy((230.0, 1.0, 1.0))
    port = attach(model)
    sel = OutPin(lambda level: model.pin_changed("sel", 1 - level))
    driver = HLW8012(InPin(port, "cf"), InPin(port, "cf1"), sel, sel_volts=0, clock=Time(port.clock))
    for _ in range(12):
        port.advance(SECOND_US)
        driver.read()
    assert driver.voltage_mv == pytest.approx(230_000, rel=1e-3)
    assert driver.current_ma == pytest.approx(1000, abs=1)


def test_pulses_wrong_use() -> None:
    b = bench_pulses()
    b.model.pin_changed("cf", 1)
    b.model.pin_changed("sel", 0)
    b.model.pin_changed("sel", 1)
    assert len(b.model.violations) == 3  # an output driven; two changes within the settling of the one before
