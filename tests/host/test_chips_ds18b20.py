"""The thermometer's model on its line through our driver, and the line's faults.

The driver is given what MicroPython's ds18x20 is on a board; here that is `MaximBus`.
"""

from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers.ds18b20 import DS18B20
from firmware.drivers.errors import BusError, NotReady
from hw.virtual.chips import ds18b20 as ds_model
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.onewire import Line
from hw.virtual.chips.shim import Time
from tests.host.sensor_bench import Sensor


class MaximBus:
    """The call shape of MicroPython's ds18x20.DS18X20 over a modelled line, by the data sheet's dialogue; and
    its own `ow`."""

    def __init__(self, line: Any) -> None:
        self.line = line
        self.ow = self
        self.readbit = line.read_bit

    class NobodyThereError(Exception):
        """What OneWireError is there."""

    def reset(self, required: bool = False) -> bool:
        present = bool(self.line.reset())
        if required and not present:
            raise MaximBus.NobodyThereError
        return present

    def _begin(self) -> None:
        self.reset(True)

    def _write(self, data: bytes) -> None:
        for byte in data:
            for i in range(8):
                self.line.write_bit(byte >> i & 1)

    def _read(self, n: int) -> bytes:
        return bytes(sum(self.line.read_bit() << i for i in range(8)) for _ in range(n))

    def scan(self) -> list[bytes]:
        """Depth first over the tree of ROM codes: at each fork 0, then 1."""
        found: list[bytes] = []
        paths: list[list[int]] = [[]]
        while paths:
            path = paths.pop()
            self._begin()
            self._write(b"\xf0")
            bits: list[int] = []
            for i in range(64):
                has0, has1 = 1 - self.line.read_bit(), 1 - self.line.read_bit()
                if not has0 and not has1:
                    bits = []
                    break
                take = path[i] if i < len(path) else 0 if has0 else 1
                if has0 and has1 and i >= len(path):
                    paths.append([*bits, 1])
                self.line.write_bit(take)
                bits.append(take)
            if len(found) > 20:
                break
            if bits:
                found.append(bytes(sum(bits[8 * k + i] << i for i in range(8)) for k in range(8)))
        return found

    def convert_temp(self) -> None:
        self._begin()
        self._write(b"\xcc\x44")

    def read_scratch(self, rom: bytes) -> bytes:
        self._begin()
        self._write(b"\x55" + rom + b"\xbe")
        pad = self._read(9)
        if self.crc8(pad):
            raise Exception("CRC error")
        return pad

    @staticmethod
    def crc8(data: bytes) -> int:
        crc = 0
        for byte in data:
            for i in range(8):
                crc = crc >> 1 ^ (0x8C if (crc ^ byte >> i) & 1 else 0)
        return crc

    def read_temp(self, rom: bytes) -> float:
        pad = self.read_scratch(rom)
        return int.from_bytes(pad[:2], "little", signed=True) / 16


def warm(*models: ds_model.DS18B20) -> tuple[ManualPort, Any, Any]:
    port = ManualPort(3)
    for model in models:
        model.attach(port)
    line = Line(*models)
    return port, line, DS18B20(MaximBus(line), clock=Time(port.clock))


def thermometer() -> Sensor:
    model = ds_model.DS18B20()
    port, _, driver = warm(model)
    rom = driver.scan()[0]

    def measure() -> float:
        port.advance(driver.start() * 1000)
        return float(driver.read(rom)) / 10

    return Sensor(model, port, measure, 0.05)


SENSORS: dict[str, Callable[[], Sensor]] = {"ds18b20": thermometer}


def test_power_on_scratchpad() -> None:
    """The published dump of a part just powered: 85 degC, CRC 1C."""
    model = ds_model.DS18B20()
    _, line, _ = warm(model)
    assert MaximBus(line).read_scratch(model.rom) == bytes.fromhex("5005 4b46 7fff 0c10 1c")


def test_rom_crc() -> None:
    """Maxim's application note 27: 02 1C B8 01 00 00 00 has CRC A2."""
    assert ds_model.crc8(bytes.fromhex("021cb801000000")) == 0xA2
    assert MaximBus.crc8(bytes.fromhex("021cb801000000")) == 0xA2


@pytest.mark.parametrize(
    ("celsius", "raw", "deci"),
    [
        (125, 0x07D0, 1250),
        (25.0625, 0x0191, 251),
        (10.125, 0x00A2, 101),
        (0.5, 0x0008, 5),
        (0, 0, 0),
        (-0.5, 0xFFF8, -5),
        (-10.125, 0xFF5E, -101),
        (-25.0625, 0xFE6F, -251),
        (-55, 0xFC90, -550),
    ],
)
def test_data_sheet_table(celsius: float, raw: int, deci: int) -> None:
    """DS table 1, temperature and data."""
    model = ds_model.DS18B20(celsius)
    port, line, driver = warm(model)
    port.advance(driver.start() * 1000)
    assert int.from_bytes(MaximBus(line).read_scratch(model.rom)[:2], "little") == raw
    assert driver.read(model.rom) in (deci, deci + 1)  # halves are rounded up


def test_several_on_a_line() -> None:
    models = [ds_model.DS18B20(10.0 + n, serial=0x123456 * (n + 1)) for n in range(5)]
    other = ds_model.DS18B20(serial=77, family=0x10)
    port, _, driver = warm(*models, other)
    roms = driver.scan()
    assert sorted(roms) == sorted(m.rom for m in models)
    port.advance(driver.start() * 1000)
    assert [driver.read(m.rom) for m in models] == [100, 110, 120, 130, 140]
    assert all(m.violations == [] for m in models)


def test_85_and_not_before_its_time() -> None:
    model = ds_model.DS18B20(85.0)
    port, _, driver = warm(model)
    with pytest.raises(NotReady):
        driver.read(model.rom)
    port.advance(driver.start() * 1000)
    with pytest.raises(BusError) as e:
        driver.read(model.rom)
    assert e.value.args == ("ds18b20", "power-on")
    # A fire: it was 82 before.
    model.celsius = 82.0
    port.advance(driver.start() * 1000)
    assert driver.read(model.rom) == 820
    model.celsius = 85.0
    driver.start()
    port.advance(300_000)
    with pytest.raises(NotReady):
        driver.read(model.rom)
    port.advance(460_000)
    assert driver.read(model.rom) == 850
    # The supply dips during the conversion: what it says is from power-on.
    model.celsius = 20.0
    port.advance(driver.start() * 1000)
    assert driver.read(model.rom) == 200
    driver.start()
    port.advance(100_000)
    model.reset()
    port.advance(700_000)
    with pytest.raises(BusError):
        driver.read(model.rom)
    port.advance(driver.start() * 1000)
    assert driver.read(model.rom) == 200


def test_line_faults() -> None:
    model = ds_model.DS18B20(21.0)
    port, line, driver = warm(model)
    port.advance(driver.start() * 1000)
    model.present = False
    for call in (lambda: driver.read(model.rom), driver.start, driver.scan):
        with pytest.raises(BusError) as e:
            call()
        assert e.value.args == ("ds18b20", "presence")
    model.present = True
    port.advance(driver.start() * 1000)
    # The data line at ground: zeros have a good checksum.
    line.short = True
    with pytest.raises(BusError) as e:
        driver.read(model.rom)
    assert e.value.args == ("ds18b20", "low")
    with pytest.raises(BusError) as e:
        driver.scan()
    assert e.value.args == ("ds18b20", "low")
    line.short = False
    port.advance(driver.start() * 1000)
    assert driver.read(model.rom) == 210
    for bit in range(72):
        model.flip = {bit}
        with pytest.raises(BusError) as e:
            driver.read(model.rom)
        assert e.value.args == ("ds18b20", "crc")
        assert driver.read(model.rom) == 210
    assert model.violations == []


def test_shapes_of_other_ports() -> None:
    """None for a family it does not know, and -127 that some return for a dead line."""

    class Odd:
        value: float | None = None

        def convert_temp(self) -> None: ...

        def read_temp(self, rom: bytes) -> float | None:
            return self.value

    ds = Odd()
    port = ManualPort(1)
    driver = DS18B20(ds, clock=Time(port.clock))
    port.advance(driver.start() * 1000)
    for ds.value in (None, -127.0, 126.0):
        with pytest.raises(BusError) as e:
            driver.read(b"\x28")
        assert e.value.args == ("ds18b20", "range")


def test_resolution_and_wrong_use() -> None:
    model = ds_model.DS18B20(20.3)
    port, line, _ = warm(model)
    bus = MaximBus(line)
    bus._begin()
    bus._write(b"\xcc\x4e\x00\x00\x00")  # 9 bits
    bus._begin()
    bus._write(b"\xcc\x44")
    assert line.read_bit() == 0
    port.advance(93_750)
    assert line.read_bit() == 1
    assert bus.read_temp(model.rom) == 20.5
    bus._begin()
    bus._write(b"\xcc\x99")
    bus._begin()
    bus._write(b"\x98")
    assert len(model.violations) == 2
    bus._begin()
    bus._write(b"\x33")
    assert bus._read(8) == model.rom
