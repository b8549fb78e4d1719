"""Meters' models under two more packages that we did not write, both unmodified: sdm_modbus with its table of an
SDM630's registers, and pi-ina219. Skipped by name where they are not installed."""

import enum
import importlib
import math
import struct
import sys
import types
from typing import Any

import pytest

from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.ina219 import INA219
from hw.virtual.chips.modbus_meter import ModbusMeter
from tests.host.sensor_bench import attach

HOUR_US = 3600 * 1_000_000


def crc(data: bytes) -> bytes:
    """Modbus over Serial Line 6.2.2."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def ask(model: ModbusMeter, port: ManualPort, function: int, first: int, count: int) -> bytes:
    """What comes after the function byte; a refusal is its one byte."""
    request = struct.pack(">BBHH", model.unit, function, first, count)
    request += crc(request)
    port.advance(round(len(request) * model.char_us) + 5000)
    model.receive(request)
    port.advance(500_000)
    answer = bytes(port.uart_out[model.uart])
    port.uart_out[model.uart].clear()
    assert crc(answer[:-2]) == answer[-2:] and answer[0] == model.unit
    assert answer[1] & 0x7F == function
    return answer[2:-2] if answer[1] & 0x80 else answer[3:-2]


class Registers:
    """An answer of pymodbus, and what reads it."""

    def __init__(self, data: bytes) -> None:
        self.registers = [data[i : i + 2] for i in range(0, len(data), 2)]
        self._data, self._at = data, 0

    @staticmethod
    def fromRegisters(registers: list[bytes], **_: Any) -> "Registers":  # noqa: N802 - pymodbus
        return Registers(b"".join(registers))

    def skip_bytes(self, n: int) -> None:
        self._at += n

    def _next(self, form: str) -> Any:
        self._at += 4
        return struct.unpack_from(form, self._data, self._at - 4)[0]

    def decode_32bit_float(self) -> float:
        return float(self._next(">f"))

    def decode_32bit_uint(self) -> int:
        return int(self._next(">I"))


def sdm630(monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Any, Any, ModbusMeter, ManualPort]:
    model = ModbusMeter(**options)
    port = attach(model)

    class Client:
        def __init__(self, **_: Any) -> None: ...

        def connect(self) -> bool:
            return True

        def is_socket_open(self) -> bool:
            return True

        def read_input_registers(self, address: int, count: int, slave: int) -> Any:
            assert slave == model.unit
            return Registers(ask(model, port, 4, address, count))

        def read_holding_registers(self, address: int, count: int, slave: int) -> Any:
            return Registers(ask(model, port, 3, address, count))

    class Endian(enum.Enum):
        BIG, LITTLE = ">", "<"

    names: dict[str, dict[str, Any]] = {
        "pymodbus": {},
        "pymodbus.constants": {"Endian": Endian},
        "pymodbus.client": dict.fromkeys(
            ("ModbusTcpClient", "ModbusUdpClient", "ModbusSerialClient"), Client
        ),
        "pymodbus.payload": {"BinaryPayloadBuilder": Registers, "BinaryPayloadDecoder": Registers},
        "pymodbus.register_read_message": dict.fromkeys(
            ("ReadInputRegistersResponse", "ReadHoldingRegistersResponse"), Registers
        ),
    }
    for name, content in names.items():
        module: Any = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    for name in [m for m in sys.modules if m.split(".")[0] == "sdm_modbus"]:
        monkeypatch.delitem(sys.modules, name)
    try:
        source: Any = importlib.import_module("sdm_modbus")
    except ModuleNotFoundError:
        pytest.skip("sdm_modbus is not installed")
    return source, source.SDM630(host="virtual", unit=model.unit), model, port


#: What no wave without harmonics has, what nobody feeds back with currents that lag, and what is not modelled.
ZERO = ("_thd", "export_energy_reactive", "neutral_demand_current", "maximum_neutral_demand_current")


def test_sdm630_every_input_register(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them in its own four requests: none is a plausible 0 of its own."""
    loads = ((230.0, 1.0, 0.9), (231.0, 2.0, 0.8), (229.0, 3.0, -0.7))
    source, meter, model, port = sdm630(monkeypatch, loads=loads, import_wh=3000.0, export_wh=6000.0, unit=7)
    port.advance(2 * HOUR_US)
    got = meter.read_all(source.registerType.INPUT)
    assert len(got) == len([r for r in meter.registers.values() if r[2] is source.registerType.INPUT]) >= 85
    assert {k for k, v in got.items() if v == 0} == {k for k in got if any(z in k for z in ZERO)}
    assert model.violations == [] and model.lost == 0
    watts = (207.0, 369.6, -480.9)
    va = (230.0, 462.0, 687.0)
    var = [math.sqrt(s * s - p * p) for s, p in zip(va, watts, strict=True)]
    for i, name in enumerate(("l1", "l2", "l3")):
        wanted = {
            "voltage": loads[i][0],
            "current": loads[i][1],
            "power_active": watts[i],
            "power_apparent": va[i],
            "power_reactive": var[i],
            "power_factor": loads[i][2],
            "demand_current": loads[i][1],
            "phase_angle": math.degrees(math.atan2(var[i], watts[i])),
            "import_energy_active": 1 + max(0.0, watts[i]) * 2 / 1000,
            "export_energy_active": 2 + max(0.0, -watts[i]) * 2 / 1000,
            "import_energy_reactive": var[i] * 2 / 1000,
        }
        for key, value in wanted.items():
            assert got[f"{name}_{key}"] == pytest.approx(value, rel=2e-3), key
    total = math.hypot(sum(watts), sum(var))
    # Law of cosines with 120 degrees; the sum of three currents by their angles.
    assert got["l12_voltage"] == pytest.approx(math.sqrt(230**2 + 231**2 + 230 * 231), rel=1e-6)
    assert got["l31_voltage"] == pytest.approx(math.sqrt(230**2 + 229**2 + 230 * 229), rel=1e-6)
    angles = [math.atan2(q, p) + i * math.tau / 3 for i, (p, q) in enumerate(zip(watts, var, strict=True))]
    across = [sum(a[1] * f(x) for a, x in zip(loads, angles, strict=True)) for f in (math.cos, math.sin)]
    assert got["neutral_current"] == pytest.approx(math.hypot(*across), rel=1e-6)
    for key, value in {
        "voltage_ln": 230.0,
        "current_ln": 2.0,
        "total_line_current": 6.0,
        "frequency": 50.0,
        "total_power_active": sum(watts),
        "total_power_apparent": total,
        "total_power_reactive": sum(var),
        "total_power_factor": sum(watts) / total,
        "total_pf": sum(watts) / total,
        "import_energy_active": 3 + 2 * 0.5766,
        "export_energy_active": 6 + 2 * 0.4809,
        "total_energy_active": 9 + 2 * 1.0575,
        "import_energy_reactive": sum(var) / 500,
        "total_energy_apparent": 2 * 1.379,
        "total_current": 12.0,
        "import_demand_power_active": 576.6,
        "export_demand_power_active": 480.9,
        "total_demand_power_apparent": 1379.0,
    }.items():
        assert got[key] == pytest.approx(value, rel=1e-3), key


def test_sdm630_demand_is_of_the_last_whole_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    _, meter, model, port = sdm630(monkeypatch, loads=((230.0, 1.0, 1.0),) * 3)
    key, most = "import_demand_power_active", "maximum_import_demand_power_active"
    port.advance(HOUR_US // 2)
    assert meter.read(key) == 0
    for phase in range(3):
        model.set_physical(4.0, "amps", phase)
    port.advance(HOUR_US // 2)
    assert meter.read(key) == meter.read(most) == pytest.approx(690 * 2.5, rel=1e-3)
    for phase in range(3):
        model.set_physical(0.0, "amps", phase)
    port.advance(2 * HOUR_US)
    assert meter.read(key) == 0
    assert meter.read(most) == pytest.approx(690 * 2.5, rel=1e-3)


@pytest.mark.parametrize(("baud", "parity", "code"), [(9600, None, 2), (2400, 0, 0), (38400, 1, 4)])
def test_sdm630_settings(monkeypatch: pytest.MonkeyPatch, baud: int, parity: int | None, code: int) -> None:
    options = {"baud": baud, "parity": parity, "unit": 33, "serial": 20_260_001}
    _, meter, model, port = sdm630(monkeypatch, **options)
    port.advance(1_000_000)
    assert (meter.read("meter_id"), meter.read("baud")) == (33, code)
    assert meter.read("network_parity_stop") == {None: 0, 0: 1, 1: 2}[parity]
    assert meter.read("serial_number") == 20_260_001
    assert meter.read("system_type") == 3
    # Beyond both blocks: refused by name, as every register that is none.
    for function, first in ((3, 0xF910), (3, 38), (4, 0x6C), (4, 0x10E), (4, 0x17E), (4, 0x1000)):
        assert ask(model, port, function, first, 2) == b"\2"
    assert ask(model, port, 6, 0, 1) == ask(model, port, 16, 0, 2) == b"\1"
    assert model.violations == []


def test_em340_identification_and_registers() -> None:
    """Table 2.4-1; code 341 for a request that begins at 0B, where V L3-L1 has its high word."""
    model = ModbusMeter(
        1, ((230.0, 10.0, 0.8), (231.0, 5.0, 1.0), (0.0, 0.0, 1.0)), layout="em340", import_wh=3_000_000.0
    )
    port = attach(model)
    port.advance(900 * 1_000_000)

    def longs(first: int, count: int) -> list[int]:
        data = ask(model, port, 3, first, 2 * count)
        words = struct.unpack(f">{2 * count}H", data)
        return [words[i] | words[i + 1] << 16 for i in range(0, 2 * count, 2)]

    assert ask(model, port, 3, 0x0B, 1) == ask(model, port, 4, 0x0B, 1) == b"\x01\x55"
    assert longs(6, 3) == [round(math.sqrt(230**2 + 231**2 + 230 * 231) * 10), 2310, 2300]
    assert longs(0x18, 6) == [23_000, 11_550, 0, 13_800, 0, 0]
    assert longs(0x24, 5)[2:] == [29_950, round(math.hypot(2995, 1380) * 10), 13_800]
    assert struct.unpack(">6H", ask(model, port, 3, 0x2E, 6)) == (800, 1000, 1000, 908, 0, 500)
    assert longs(0x34, 4) == [30_007, 3, 29_950, 29_950]
    assert longs(0x40, 3) == [10_004, 10_002, 10_000]
    assert ask(model, port, 3, 0x54, 1) == b"\2"
    assert model.violations == []


@pytest.mark.parametrize(("gap_us", "lost"), [(10_000, 0), (3700, 0), (3600, 1), (1000, 1), (0, 1)])
def test_a_request_that_comes_too_soon_is_lost(gap_us: int, lost: int) -> None:
    """MSL 2.5.1.1: 3.5 characters are 3646 us. Sooner it is the rest of what was before, and no wrong use."""
    model = ModbusMeter(1)
    port = attach(model)
    request = bytes.fromhex("01040000000271cb")
    port.advance(1_000_000)
    model.receive(request)
    while 1 not in port.uart_out:
        port.run_until(port.clock.next_us() or 0)
    port.advance(gap_us + round(8 * model.char_us))
    model.receive(request)
    port.advance(1_000_000)
    assert (len(port.uart_out[1]), model.lost) == (9 * (2 - lost), lost)
    model.receive(request)
    port.advance(1_000_000)
    assert len(port.uart_out[1]) == 9 * (3 - lost) and model.violations == []


# pi-ina219


def supply(monkeypatch: pytest.MonkeyPatch, volts: float, amps: float) -> tuple[Any, INA219, ManualPort]:
    """Its I2C layer is Adafruit_GPIO, of which it wants three calls."""
    model = INA219((volts, amps))
    port = attach(model)

    class Device:
        def writeList(self, register: int, data: list[int]) -> None:  # noqa: N802 - Adafruit_GPIO
            port.advance(100)
            assert model.write(bytes([register, *data]))

        def readU16BE(self, register: int) -> int:  # noqa: N802
            port.advance(200)
            assert model.write(bytes([register]))
            return int.from_bytes(model.read(2), "big")

        def readS16BE(self, register: int) -> int:  # noqa: N802
            value = self.readU16BE(register)
            return value - 0x10000 if value & 0x8000 else value

    bus: Any = types.ModuleType("Adafruit_GPIO.I2C")
    bus.get_i2c_device = lambda address, busnum: Device()
    bus.require_repeated_start = lambda: None
    package: Any = types.ModuleType("Adafruit_GPIO")
    package.I2C = bus
    monkeypatch.setitem(sys.modules, "Adafruit_GPIO", package)
    monkeypatch.setitem(sys.modules, "Adafruit_GPIO.I2C", bus)
    monkeypatch.delitem(sys.modules, "ina219", raising=False)
    try:
        source: Any = importlib.import_module("ina219")
    except ModuleNotFoundError:
        pytest.skip("pi-ina219 is not installed")
    fake: Any = types.ModuleType("time")
    fake.sleep = lambda seconds: port.advance(round(seconds * 1e6))
    monkeypatch.setattr(source, "time", fake)
    return source, model, port


@pytest.mark.parametrize("amps", [-2.0, -0.25, 0.0, 0.05, 0.5, 2.9])
def test_pi_ina219_readings(monkeypatch: pytest.MonkeyPatch, amps: float) -> None:
    source, model, port = supply(monkeypatch, 12.0, amps)
    device = source.INA219(0.1, 3.0, address=0x40, busnum=1)
    device.configure()
    port.advance(200_000)
    assert device.voltage() == pytest.approx(12.0, abs=0.004)
    assert device.current() == pytest.approx(amps * 1000, abs=0.3)
    assert device.shunt_voltage() == pytest.approx(amps * 100, abs=0.011)
    assert device.power() == pytest.approx(abs(amps) * 12_000, abs=5)
    assert not device.current_overflow() and model.violations == []


def test_pi_ina219_gain_follows_the_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """GAIN_AUTO starts at 40 mV and steps up at each overflow until the current fits."""
    source, model, port = supply(monkeypatch, 12.0, 0.1)
    device = source.INA219(0.1, busnum=1)
    device.configure(device.RANGE_16V, device.GAIN_AUTO, device.ADC_12BIT, device.ADC_12BIT)
    for amps in (0.3, 0.7, 1.5, 3.1):
        model.set_physical(amps)
        port.advance(300_000)
        assert device.current() == pytest.approx(amps * 1000, rel=0.002)
    assert model.violations == []


def test_pi_ina219_sleep_wake_reset_and_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    source, model, port = supply(monkeypatch, 5.0, 0.2)
    device = source.INA219(0.1, 1.0, busnum=1)
    device.configure(bus_adc=device.ADC_128SAMP, shunt_adc=device.ADC_128SAMP)
    assert not device.is_conversion_ready()
    port.advance(140_000)
    assert device.is_conversion_ready()
    device.sleep()
    model.set_physical(0.4)
    port.advance(500_000)
    assert device.current() == pytest.approx(200, abs=0.2)
    device.wake()
    port.advance(140_000)
    assert device.current() == pytest.approx(400, abs=0.2)
    device.reset()
    port.advance(10_000)
    assert device.voltage() == pytest.approx(5.0, abs=0.004) and device.current() == 0
    assert model.violations == []
