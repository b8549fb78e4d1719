"""The radio model under a driver that we did not write: LoRaRF, unmodified, on stand-ins for its GPIO and SPI
libraries. Skipped by name where it is not installed (its dependencies build only on a Raspberry Pi: install
it with --no-deps)."""

import importlib
import sys
import types
from typing import Any

import pytest

from hw.virtual.air import Air, Radio
from hw.virtual.chips.base import ManualClock, ManualPort
from hw.virtual.chips.shim import Spi, Time
from hw.virtual.chips.sx1262 import SX1262

RESET, BUSY, IRQ = 22, 23, 26


class Bench:
    """One model, and the two modules that LoRaRF imports, bound to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.air = Air(3, links={("pi", "far"): 100.0})
        self.chip = SX1262(self.air, name="pi")
        self.port = ManualPort(1, self.clock)
        self.chip.attach(self.port)
        self.spi = Spi(self.chip, self.clock)
        self.far_port = ManualPort(2, self.clock)
        self.far = self.air.join("far", self.far_port, self)
        self.heard: list[Any] = []
        self._modules(monkeypatch)
        self.driver = importlib.import_module("LoRaRF").SX126x()

    def heard_preamble(self) -> None: ...

    def heard_header(self, length: int, cr: int, crc_on: bool) -> bool:
        return True

    def heard_header_error(self) -> None: ...

    def heard_packet(self, reception: Any) -> None:
        self.heard.append(reception)

    def _modules(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gpio: Any = types.ModuleType("RPi.GPIO")
        gpio.LOW, gpio.HIGH, gpio.OUT, gpio.IN, gpio.BCM, gpio.RISING = 0, 1, 0, 1, 11, 31
        for name in ("setmode", "setwarnings", "setup", "cleanup", "remove_event_detect"):
            setattr(gpio, name, lambda *a: None)
        gpio.add_event_detect = lambda *a, **k: None
        gpio.output = lambda pin, level: self.chip.pin_changed("reset", level) if pin == RESET else None
        gpio.input = self._input
        rpi: Any = types.ModuleType("RPi")
        rpi.GPIO = gpio
        bench = self

        class SpiDev:
            max_speed_hz = 0

            def open(self, bus: int, cs: int) -> None: ...

            def close(self) -> None: ...

            def xfer2(self, data: list[int]) -> list[int]:
                into = bytearray(len(data))
                bench.spi.cs(0)
                bench.spi.write_readinto(bytes(data), into)
                bench.spi.cs(1)
                return list(into)

        spidev: Any = types.ModuleType("spidev")
        spidev.SpiDev = SpiDev
        for name in [m for m in sys.modules if m.startswith("LoRaRF")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "RPi", rpi)
        monkeypatch.setitem(sys.modules, "RPi.GPIO", gpio)
        monkeypatch.setitem(sys.modules, "spidev", spidev)
        try:
            source: Any = importlib.import_module("LoRaRF.SX126x")
        except ModuleNotFoundError:
            pytest.skip("LoRaRF is not installed")
        fake: Any = types.ModuleType("time")
        time = Time(self.clock)
        fake.time = lambda: time.ticks_us() / 1e6
        fake.sleep = lambda seconds: time.sleep_us(round(seconds * 1e6))
        monkeypatch.setattr(source, "time", fake)

    def _input(self, pin: int) -> int:
        self.clock.advance(10)
        return self.port.pins["busy"] if pin == BUSY else self.port.pins.get("dio1", 0)

    def configure(self) -> None:
        d = self.driver
        assert d.begin(0, 0, RESET, BUSY, -1)
        d.setDio2RfSwitch(True)
        d.setDio3TcxoCtrl(d.DIO3_OUTPUT_1_8, d.TCXO_DELAY_10)
        d.setModem(d.LORA_MODEM)
        d.setFrequency(868_100_000)
        d.setTxPower(14, d.TX_POWER_SX1262)
        d.setLoRaModulation(7, 125000, 5)
        d.setLoRaPacket(d.HEADER_EXPLICIT, 8, 255, True)
        d.setSyncWord(0x3444)


def test_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.configure()
    bench.far.listen(Radio(868_100_000, 7, 125_000, 0x3444))
    d = bench.driver
    d.beginPacket()
    d.put(b"hello from another driver")
    d.endPacket()
    d.wait()
    assert d.status() == d.STATUS_TX_DONE
    assert [r.payload for r in bench.heard] == [b"hello from another driver"]
    assert bench.air.transmissions[0].power_dbm == 14
    assert bench.chip.violations == []


def test_receives(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.configure()
    d = bench.driver
    d.request(1000)
    bench.clock.advance(25_000)  # its oscillator gets 21.5 ms
    bench.far.transmit(bench.clock.now_us, Radio(868_100_000, 7, 125_000, 0x3444), 14, b"one packet")
    d.wait()
    assert d.status() == d.STATUS_RX_DONE
    assert d.get(d.available()) == b"one packet"
    # 14 dBm and twice 2 dBi over 100 dB.
    assert -83 <= d.packetRssi() <= -81
    assert d.snr() > 10
    assert bench.chip.violations == []


def test_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.configure()
    d = bench.driver
    start = bench.clock.now_us
    d.request(300)
    d.wait()
    assert d.status() == d.STATUS_RX_TIMEOUT
    assert 321_500 <= bench.clock.now_us - start <= 340_000  # 300 ms and the oscillator's 21.5 ms
    assert bench.chip.violations == []


def test_its_handling_of_erratum_15_4_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 1.4.0 sets the polarity bit the wrong way round; the model must say so."""
    bench = Bench(monkeypatch)
    bench.configure()
    bench.driver.request(100)
    assert any("15.4" in a for a in bench.chip.advisories)
