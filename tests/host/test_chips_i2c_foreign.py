"""The models of tilt sensor, ADC and thermometer under Adafruit's drivers, unmodified; each is skipped by name
where it is not installed. (The secure element's is in test_chips_atecc608.py.)"""

import importlib
import sys
import types
from typing import Any

import pytest

from hw.virtual.chips.ads1115 import ADS1115
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.ds18b20 import DS18B20
from hw.virtual.chips.lis3dh import LIS3DH
from hw.virtual.chips.onewire import Line
from tests.host.adafruit_shim import I2CBus, load

G = 9.80665


def test_tilt(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LIS3DH(acceleration=(0.0, 0.0, G))
    port = ManualPort(1)
    model.attach(port)
    port.advance(5000)
    source = load("adafruit_lis3dh", monkeypatch, port.clock)
    driver = source.LIS3DH_I2C(I2CBus([model], port.clock))
    assert driver.data_rate == source.DATARATE_400_HZ
    for range_g in (source.RANGE_2_G, source.RANGE_4_G, source.RANGE_8_G, source.RANGE_16_G):
        driver.range = range_g
        for felt in ((0.0, 0.0, G), (G * 0.6, 0.0, G * 0.8), (0.0, -G, 0.0)):
            model.acceleration = felt
            port.advance(30_000)
            # Its dividers take the range for full scale, the datasheet's digits are 1, 2, 4 and 12 mg: it reads
            # 2.3 per cent low. A digit of 12 mg is 0.12 m/s2.
            for got, wanted in zip(driver.acceleration, felt, strict=True):
                assert got == pytest.approx(wanted * 16000 / 16380, abs=0.07)
    assert driver.tapped is False
    assert model.violations == []


def test_tilt_other_part(monkeypatch: pytest.MonkeyPatch) -> None:
    source = load("adafruit_lis3dh", monkeypatch)
    with pytest.raises(ValueError, match="No I2C device"):
        source.LIS3DH_I2C(I2CBus([]))


def test_adc(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ADS1115(volts=(0.5, 1.25, 2.0, 3.0))
    port = ManualPort(1)
    model.attach(port)
    source = load("adafruit_ads1x15.ads1115", monkeypatch, port.clock)
    base: Any = sys.modules["adafruit_ads1x15.ads1x15"]
    driver = source.ADS1115(I2CBus([model], port.clock))
    for gain, full_v in ((2 / 3, 6.144), (1, 4.096), (2, 2.048), (4, 1.024)):
        driver.gain = gain
        for channel, volts in enumerate((0.5, 1.25, 2.0, 3.0)):
            code = driver.read(4 + channel)
            assert code == min(32767, round(volts / full_v * 32768)), (gain, channel)
    driver.gain = 1
    assert driver.read(0) == round(-0.75 * 8000)  # AIN0 - AIN1
    # In continuous mode version 3.0.5 keeps the channel of the last single conversion, whatever it is asked;
    # asked for that one it reads at once, from where its last write left the pointer: the configuration.
    driver.read(7)
    driver.mode = base.Mode.CONTINUOUS
    assert driver.read(7) == 0x7283
    assert driver.read(4) == 24000
    model.volts[3] = 1.0
    port.advance(50_000)
    assert driver.read(4) == 8000
    assert model.violations == []


def test_thermometer(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [DS18B20(21.5, serial=0x1122), DS18B20(-10.125, serial=0x5566_7788_99AA)]
    port = ManualPort(1)
    for model in models:
        model.attach(port)
    line = Line(*models)

    class OneWire:
        """onewireio.OneWire: its reset is False with a presence pulse; a slot takes 70 us."""

        def __init__(self, pin: Any) -> None: ...

        def reset(self) -> bool:
            port.advance(960)
            return not line.reset()

        def read_bit(self) -> int:
            port.advance(70)
            return line.read_bit()

        def write_bit(self, bit: int) -> None:
            port.advance(70)
            line.write_bit(bit)

    onewireio: Any = types.ModuleType("onewireio")
    onewireio.OneWire = OneWire
    controller: Any = types.ModuleType("microcontroller")
    controller.Pin = object
    monkeypatch.setitem(sys.modules, "onewireio", onewireio)
    monkeypatch.setitem(sys.modules, "microcontroller", controller)
    for name in [m for m in sys.modules if m.startswith("adafruit_onewire")]:
        monkeypatch.delitem(sys.modules, name)
    source = load("adafruit_ds18x20", monkeypatch, port.clock)
    bus: Any = importlib.import_module("adafruit_onewire.bus")
    wire = bus.OneWireBus(None)
    found = {bytes(address.rom): address for address in wire.scan()}
    assert set(found) == {m.rom for m in models}
    for model, celsius in zip(models, (21.5, -10.125), strict=True):
        driver = source.DS18X20(wire, found[model.rom])
        assert driver.resolution == 12
        start = port.now_us
        assert driver.temperature == celsius
        assert 750_000 <= port.now_us - start < 800_000
        driver.resolution = 9
        start = port.now_us
        assert driver.temperature == round(celsius * 2 + 0.01) / 2
        assert 93_750 <= port.now_us - start < 150_000
    models[0].flip = {5}
    with pytest.raises(RuntimeError, match="CRC"):
        source.DS18X20(wire, found[models[0].rom]).read_temperature()
    assert [m.violations for m in models] == [[], []]
