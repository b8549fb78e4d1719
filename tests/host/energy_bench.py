"""Benches of the energy meters: each model with its unmodified driver on the shim."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from firmware.drivers.bl0942 import BL0942
from firmware.drivers.cse7766 import CSE7766
from firmware.drivers.errors import NotReady
from firmware.drivers.hlw8012 import BL0937_SCALE, HLW8012
from firmware.drivers.ina219 import INA219
from firmware.drivers.modbus_meter import ModbusMeter
from hw.virtual.chips import bl0942, cse7766, ina219, modbus_meter, pulse_energy
from hw.virtual.chips.base import ManualPort, UartChip
from hw.virtual.chips.shim import InPin, OutPin, Time, Uart
from tests.host.adafruit_shim import MachineI2C
from tests.host.sensor_bench import Sensor, attach

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US

# Carlo Gavazzi EM340, communication protocol: int32 with the low word first, 0.1 V, mA, 0.1 W, 0.1 Hz, 0.1 kWh.
EM340 = (
    3,
    ((0, 24), (40, 14)),
    bytes.fromhex(
        "0000000302 0100020302 0200040302 03000c0300 04000e0300 0500100300"
        "0600120302 0700140302 0800160302 0900280302 0a00330402 0b00340305"
    ),
)


class Wire(Uart):
    """A UART whose bytes reach the chip when the last bit has left."""

    def __init__(self, port: ManualPort, uart_id: int, chip: UartChip, char_us: float) -> None:
        super().__init__(port, uart_id, chip)
        self._port, self._to, self._char_us, self._busy = port, chip, char_us, 0.0
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> int:
        data = bytes(data)
        self.sent.append(data)
        self._busy = max(self._busy, self._port.now_us) + len(data) * self._char_us
        self._port.at(round(self._busy), lambda: self._to.receive(data))
        return len(data)


@dataclass
class Bench:
    """A model, its port and its driver."""

    model: Any
    port: ManualPort
    driver: Any
    bus: Any = None


def bench_bl0942(driver: dict[str, Any] | None = None, **options: Any) -> Bench:
    model = bl0942.BL0942(**options)
    port = attach(model)
    wire = Wire(port, 1, model, 10e6 / 4800)
    return Bench(model, port, BL0942(wire, clock=Time(port.clock), **driver or {}), wire)


def bench_pulses(driver: dict[str, Any] | None = None, **options: Any) -> Bench:
    model = pulse_energy.PulseEnergy(**options)
    port = attach(model)
    cf, cf1 = InPin(port, "cf"), InPin(port, "cf1")
    sel = OutPin(lambda level: model.pin_changed("sel", level))
    return Bench(model, port, HLW8012(cf, cf1, sel, clock=Time(port.clock), **driver or {}), cf)


def bench_cse7766(driver: dict[str, Any] | None = None, **options: Any) -> Bench:
    model = cse7766.CSE7766(**options)
    port = attach(model)
    uart = Uart(port, 1, model)
    port.advance(SECOND_US)
    return Bench(model, port, CSE7766(uart, clock=Time(port.clock), **driver or {}), uart)


def bench_ina219(driver: dict[str, Any] | None = None, **options: Any) -> Bench:
    model = ina219.INA219(**options)
    port = attach(model)
    bus = MachineI2C([model], port.clock)
    return Bench(model, port, INA219(bus, clock=Time(port.clock), **driver or {}), bus)


def bench_modbus(driver: dict[str, Any] | None = None, **options: Any) -> Bench:
    options = {"direction": True} | options
    model = modbus_meter.ModbusMeter(**options)
    port = attach(model)
    wire = Wire(port, 2, model, (10e6 if model.parity is None else 11e6) / model.baud)
    de = OutPin(lambda level: model.pin_changed("de", level))
    driver = {"de": de, "baud": model.baud} | (driver or {})
    return Bench(model, port, ModbusMeter(wire, clock=Time(port.clock), **driver), wire)


class View:
    """One quantity of a model, as the sweep wants a sensor."""

    def __init__(self, model: Any, quantity: str, **options: Any) -> None:
        self._model, self._quantity, self._options = model, quantity, options

    def range(self) -> tuple[float, float, float]:
        return self._model.range(self._quantity)  # type: ignore[no-any-return]

    def set_physical(self, value: float) -> None:
        self._model.set_physical(value, self._quantity, **self._options)

    @property
    def violations(self) -> list[str]:
        return self._model.violations  # type: ignore[no-any-return]


ATTRIBUTE = {"watts": "power_mw", "volts": "voltage_mv", "amps": "current_ma"}


def sensor(
    make: Callable[..., Bench], quantity: str, spread: float, pauses: tuple[int, ...] = (1,), **options: Any
) -> Callable[[], Sensor]:
    """Builder: a reading after each of the pauses (s); the last counts."""

    def build() -> Sensor:
        b = make(**options)

        def measure() -> float:
            for pause in pauses[:-1]:
                b.port.advance(pause * SECOND_US)
                with contextlib.suppress(NotReady):
                    b.driver.read()
            b.port.advance(pauses[-1] * SECOND_US)
            b.driver.read()
            return float(getattr(b.driver, ATTRIBUTE[quantity])) / 1000

        return Sensor(View(b.model, quantity), b.port, measure, spread)

    return build


def meter_phase(quantity: str, phase: int, spread: float, **options: Any) -> Callable[[], Sensor]:
    def build() -> Sensor:
        b = bench_modbus(**options)
        name = {"watts": "phase_mw", "volts": "phase_mv", "amps": "phase_ma"}[quantity]

        def measure() -> float:
            b.driver.read()
            return float(getattr(b.driver, name)[phase]) / 1000

        return Sensor(View(b.model, quantity, phase=phase), b.port, measure, spread)

    return build


RESULT = ("voltage_mv", "current_ma", "power_mw", "energy_mwh", "frequency_mhz")


def result(driver: Any) -> tuple[Any, ...]:
    return tuple(getattr(driver, name) for name in RESULT)


WITH_EM340: dict[str, Any] = {"layout": "em340", "driver": {"meter": EM340}}
WITH_BL0937: dict[str, Any] = {"part": "bl0937", "driver": {"scale": BL0937_SCALE}}
