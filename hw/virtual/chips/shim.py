"""Thin bus shim: drives chip models from plain Python drivers in the same process, without a board.

Objects have the names and calls of MicroPython's `Pin`, `SPI`, `UART`, `ADC`, `PWM` and `time` that drivers
use, on top of one `ManualPort`. Time passes by the clock's sleeps and by the bits on the wires, so a driver
that waits in a loop must sleep or look at the clock in it. Faults are put in by the `fault` of each bus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hw.virtual.chips.base import ManualClock, ManualPort, PinChip, SpiChip, UartChip

_TICKS = 1 << 30  # period of ticks_ms and ticks_us on 32-bit ports


class Time:
    """The part of MicroPython's `time` that drivers use; reading the clock takes 1 us, so that loops end."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock

    def ticks_us(self) -> int:
        self.clock.advance(1)
        return self.clock.now_us % _TICKS

    def ticks_ms(self) -> int:
        self.clock.advance(1)
        return self.clock.now_us // 1000 % _TICKS

    @staticmethod
    def ticks_add(ticks: int, delta: int) -> int:
        return (ticks + delta) % _TICKS

    @staticmethod
    def ticks_diff(end: int, start: int) -> int:
        half = _TICKS // 2
        return (end - start + half) % _TICKS - half

    def sleep_us(self, us: int) -> None:
        self.clock.advance(max(0, us))

    def sleep_ms(self, ms: int) -> None:
        self.clock.advance(max(0, ms) * 1000)


class OutPin:
    """An MCU output wired to a leg."""

    def __init__(self, drive: Callable[[int], None]) -> None:
        self._drive = drive

    def __call__(self, level: int) -> None:
        self._drive(1 if level else 0)


class InPin:
    """An MCU input wired to a leg; edges call the handler at once unless `lose_edges` is set."""

    IRQ_FALLING = 1
    IRQ_RISING = 2

    def __init__(self, port: ManualPort, leg: str, idle: int = 0) -> None:
        self._port = port
        self._leg = leg
        self._idle = idle
        self._handler: Callable[[Any], None] | None = None
        self._trigger = 0
        self.stuck: int | None = None
        self.lose_edges = 0
        self._before = port.on_pin
        port.on_pin = self._edge

    def __call__(self) -> int:
        return self._port.pins.get(self._leg, self._idle) if self.stuck is None else self.stuck

    def irq(self, handler: Callable[[Any], None], trigger: int = 3) -> None:
        self._handler, self._trigger = handler, trigger

    def _edge(self, leg: str | int, level: int) -> None:
        if self._before is not None:
            self._before(leg, level)
        wanted = self.IRQ_RISING if level else self.IRQ_FALLING
        if leg != self._leg or self._handler is None or not self._trigger & wanted:
            return
        if self.lose_edges:
            self.lose_edges -= 1
            return
        self._handler(self)


class Spi:
    """A bus with one chip. `log` holds each transaction as (MOSI, MISO); `fault(miso)` may change it."""

    def __init__(self, chip: SpiChip, clock: ManualClock, baud: int = 8_000_000) -> None:
        self.chip = chip
        self.clock = clock
        self.baud = baud
        self.log: list[tuple[bytes, bytes]] = []
        self.fault: Callable[[bytes], bytes] | None = None
        self._mosi = bytearray()
        self._miso = bytearray()
        self.selected = False

    def cs(self, level: int) -> None:
        """The chip select pin."""
        active = not level
        if active == self.selected:
            return
        self.selected = active
        if active:
            self._mosi.clear()
            self._miso.clear()
        else:
            self.log.append((bytes(self._mosi), bytes(self._miso)))
        self.chip.select(active)

    def _clocked(self, mosi: bytes) -> bytes:
        if not self.selected:
            self.chip.violate("bytes clocked with no chip selected")
        self.clock.advance(len(mosi) * 8_000_000 // self.baud)
        miso = self.chip.transfer(mosi)
        if self.fault is not None:
            miso = self.fault(miso)
        self._mosi += mosi
        self._miso += miso
        return miso

    def write(self, data: bytes) -> None:
        self._clocked(bytes(data))

    def readinto(self, into: Any, write: int = 0) -> None:
        into[:] = self._clocked(bytes([write]) * len(into))

    def write_readinto(self, out: Any, into: Any) -> None:
        into[:] = self._clocked(bytes(out))


class Uart:
    """The MCU's UART `uart_id`; bytes appear when the model has sent them; room for 256, as ESP32."""

    def __init__(self, port: ManualPort, uart_id: int = 1, chip: UartChip | None = None) -> None:
        self._rx = port.uart_out.setdefault(uart_id, bytearray())
        self._chip = chip
        self.size = 256

    def _trim(self) -> None:
        del self._rx[self.size :]

    def any(self) -> int:
        self._trim()
        return len(self._rx)

    def readinto(self, into: Any, n: int | None = None) -> int | None:
        self._trim()
        n = min(len(into) if n is None else n, len(into), len(self._rx))
        into[:n] = self._rx[:n]
        del self._rx[:n]
        return n or None

    def read(self, n: int | None = None) -> bytes | None:
        self._trim()
        n = len(self._rx) if n is None else min(n, len(self._rx))
        data = bytes(self._rx[:n])
        del self._rx[:n]
        return data or None

    def write(self, data: bytes) -> int:
        if self._chip is not None:
            self._chip.receive(bytes(data))
        return len(data)


class Adc:
    """An ADC input on a leg; `read_uv` as on the ESP32, in steps of 1 mV (its calibration's resolution)."""

    def __init__(self, chip: PinChip, leg: str) -> None:
        self._chip = chip
        self._leg = leg
        self.fault: Callable[[int], int] | None = None

    def read_uv(self) -> int:
        uv = self._chip.adc_uv(self._leg) // 1000 * 1000
        return uv if self.fault is None else self.fault(uv)


class Pwm:
    """A PWM output on a leg."""

    def __init__(self, chip: PinChip, leg: str, freq_hz: int = 1000) -> None:
        self._chip = chip
        self._leg = leg
        self._freq = freq_hz
        self._duty = 0

    def freq(self, freq_hz: int) -> None:
        self._freq = freq_hz
        self._chip.pwm_changed(self._leg, self._freq, self._duty)

    def duty_u16(self, duty: int) -> None:
        if not 0 <= duty <= 65535:
            raise ValueError("duty_u16 must be from 0 to 65535")
        self._duty = duty
        self._chip.pwm_changed(self._leg, self._freq, duty)
