"""Meters' models under drivers that we did not write: Adafruit's INA219 and minimalmodbus, both unmodified.
Skipped by name where they are not installed. More of them in test_chips_energy_peers.py."""

import importlib
import sys
import types
from typing import Any

import pytest

from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.ina219 import INA219
from hw.virtual.chips.modbus_meter import ModbusMeter
from tests.host.adafruit_shim import I2CBus, load


def supply(
    monkeypatch: pytest.MonkeyPatch, volts: float = 12.0, amps: float = 0.5
) -> tuple[Any, Any, INA219, Any]:
    model = INA219((volts, amps))
    port = ManualPort(7)
    model.attach(port)
    source = load("adafruit_ina219", monkeypatch, port.clock)
    return source, source.INA219(I2CBus([model], port.clock)), model, port


@pytest.mark.parametrize("amps", [-3.0, -0.25, 0.0, 0.0123, 0.5, 3.0])
def test_ina219_readings(monkeypatch: pytest.MonkeyPatch, amps: float) -> None:
    """Its default: 32 V, calibration 4096; V, mA, W."""
    _, device, model, port = supply(monkeypatch, 13.8, amps)
    port.advance(5000)
    assert device.bus_voltage == pytest.approx(13.8, abs=0.002)
    assert device.shunt_voltage == pytest.approx(amps * 0.1, abs=5e-6)
    assert device.current == pytest.approx(amps * 1000, abs=0.1)
    assert device.power == pytest.approx(abs(amps) * 13.8, abs=0.003)
    assert not device.overflow
    assert model.violations == []


@pytest.mark.parametrize(
    "setting", ["set_calibration_32V_1A", "set_calibration_16V_400mA", "set_calibration_16V_5A"]
)
def test_ina219_other_ranges(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    _, device, model, port = supply(monkeypatch, 5.0, 0.3)
    getattr(device, setting)()
    port.advance(5000)
    # The smallest step of the coarsest of them is 0.15 mA; 16V_5A means a 0.02 Ohm resistor.
    factor = 5 if setting.endswith("5A") else 1
    assert device.current == pytest.approx(300 * factor, rel=0.002)
    assert device.bus_voltage == pytest.approx(5.0, abs=0.002)
    assert model.violations == []


def test_ina219_modes_and_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    source, device, model, port = supply(monkeypatch)
    device.bus_adc_resolution = device.shunt_adc_resolution = source.ADCResolution.ADCRES_12BIT_128S
    device.mode = source.Mode.SANDBVOLT_TRIGGERED
    port.advance(130_000)
    assert not device.conversion_ready
    port.advance(7_000)  # 2 * 68.1 ms
    assert device.conversion_ready
    assert device.current == pytest.approx(500, abs=0.1)
    device.mode = source.Mode.POWERDOWN
    model.set_physical(1.0)
    port.advance(500_000)
    assert device.current == pytest.approx(500, abs=0.1)
    device.mode = source.Mode.SANDBVOLT_CONTINUOUS
    port.advance(140_000)
    assert device.current == pytest.approx(1000, abs=0.1)
    assert model.violations == []


def test_ina219_clips_and_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    source, device, model, port = supply(monkeypatch, 12.0, 0.5)
    device.gain = source.Gain.DIV_1_40MV
    port.advance(5000)
    assert device.shunt_voltage == pytest.approx(0.04)
    device.reset = 1
    port.advance(5000)
    assert device.raw_current == 0  # the calibration is gone; `current` writes it again
    assert device.shunt_voltage == pytest.approx(0.05)
    assert device.gain == source.Gain.DIV_8_320MV
    assert model.violations == []


def test_ina219_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    source, _, _, _ = supply(monkeypatch)
    with pytest.raises(ValueError, match="0x40"):
        source.INA219(I2CBus([]))


# Modbus


class Serial:
    """What minimalmodbus uses of pyserial's `Serial`, on a model; reading waits in virtual time."""

    def __init__(self, model: ModbusMeter, port: ManualPort) -> None:
        self.model, self.vport = model, port
        self.port, self.baudrate, self.timeout = "virtual", model.baud, 0.5
        self.is_open = True
        self.in_waiting = 0

    def open(self) -> None: ...

    def close(self) -> None: ...

    def reset_input_buffer(self) -> None:
        self.vport.uart_out.setdefault(2, bytearray()).clear()

    def reset_output_buffer(self) -> None: ...

    def write(self, data: bytes) -> int:
        self.vport.advance(round(len(data) * 10e6 / self.baudrate))
        self.model.receive(bytes(data))
        return len(data)

    def read(self, n: int) -> bytes:
        rx = self.vport.uart_out.setdefault(2, bytearray())
        end = self.vport.now_us + round(self.timeout * 1e6)
        while len(rx) < n and self.vport.now_us < end:
            self.vport.advance(1000)
        out = bytes(rx[:n])
        del rx[:n]
        return out


def meter(monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Any, Any, ModbusMeter]:
    for name in [m for m in sys.modules if m == "minimalmodbus"]:
        monkeypatch.delitem(sys.modules, name)
    try:
        source: Any = importlib.import_module("minimalmodbus")
    except ModuleNotFoundError:
        pytest.skip("minimalmodbus is not installed")
    model = ModbusMeter(**options)
    port = ManualPort(7)
    model.attach(port)
    # It keeps the silence between frames by these two.
    fake: Any = types.ModuleType("time")
    fake.monotonic = fake.time = fake.perf_counter = lambda: port.now_us / 1e6
    fake.sleep = lambda seconds: port.advance(round(seconds * 1e6))
    monkeypatch.setattr(source, "time", fake)
    port.advance(1_000_000)
    return source, source.Instrument(Serial(model, port), model.unit), model


def test_modbus_sdm630(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = ((231.0, 1.5, 0.9), (229.5, 2.0, -1.0), (0.0, 0.0, 1.0))
    _, master, model = meter(monkeypatch, loads=loads, import_wh=12_345_678.0, unit=17)
    wanted = (231.0, 229.5, 0.0, 1.5, 2.0, 0.0, 311.85, -459.0, 0.0)
    for i, value in enumerate(wanted):
        assert master.read_float(2 * i, 4) == pytest.approx(value, rel=1e-6)
    assert master.read_float(52, 4) == pytest.approx(-147.15, rel=1e-6)
    assert master.read_float(70, 4) == 50
    assert master.read_float(72, 4) == pytest.approx(12_345.678, abs=0.001)
    assert model.violations == []


def test_modbus_em340(monkeypatch: pytest.MonkeyPatch) -> None:
    source, master, model = meter(
        monkeypatch, loads=((230.0, 1.0, -1.0),) * 3, layout="em340", import_wh=7_700.0, baud=19200
    )
    swapped = source.BYTEORDER_LITTLE_SWAP
    assert master.read_long(0, 3, False, swapped) == 2300
    assert master.read_long(12, 4, False, swapped) == 1000
    assert master.read_long(18, 3, True, swapped) == -2300
    assert master.read_long(40, 3, True, swapped) == -6900
    assert master.read_long(52, 3, False, swapped) == 77
    assert master.read_register(51, 1, 3) == 50
    assert model.violations == []


def test_modbus_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the exceptions and the damage by its own types."""
    source, master, model = meter(monkeypatch)
    with pytest.raises(source.IllegalRequestError, match="illegal function"):
        master.write_register(0, 1)
    with pytest.raises(source.IllegalRequestError, match="illegal data address"):
        master.read_registers(400, 2, 4)
    with pytest.raises(source.IllegalRequestError, match="illegal data value"):
        master.read_registers(0, 81, 4)
    model.exceptions.append(6)
    with pytest.raises(source.SlaveReportedException):
        master.read_float(0, 4)
    model.faults.append(lambda f: f[:-1] + bytes([f[-1] ^ 1]))
    with pytest.raises(source.InvalidResponseError):
        master.read_float(0, 4)
    model.faults.append(lambda f: b"")
    with pytest.raises(source.NoResponseError):
        master.read_float(0, 4)
    assert master.read_float(0, 4) == 230
    assert model.violations == []
