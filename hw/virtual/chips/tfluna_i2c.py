"""Benewake TF-Luna laser range sensor with I2C (its configuration pin at ground).  DS = SJ-PM-TF-Luna A05.

Registers of one byte, low byte first: 00 distance in cm, 02 amplitude, 04 temperature in 0.01 degC, 06 ms since
the start, 08 error, 0A version (last place first), 10 serial number (14), 20 save, 21 reboot, 22 address, 23 mode
(1: on request), 24 range once, 25 on, 26 frames per second, 28 low power, 29 factory settings, 2A least amplitude,
2C distance that is said below it, 2E and 30 least and longest distance in mm, 3C "LUNA". A register behind the
last one read is read on. What is not saved is gone with the supply; an address counts from the next start on.

Not modelled: the cone of 2 degrees, the data ready pin, currents beyond on and low power. Assumed, as the manual
does not say: no answer for 300 ms after a start; a request is done after 10 ms; a range outside of the least and
longest one is said as 0; amplitude as in tfluna; version 3.3.1.
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import I2cChip
from hw.virtual.chips.tfluna import VERSION, light

_START_US, _ONCE_US = 300_000, 10_000
_SAVE, _REBOOT, _ADDRESS, _MODE, _ONCE, _ON, _RATE, _LOW_POWER, _FACTORY = 32, 33, 34, 35, 36, 37, 38, 40, 41
_WRITABLE = range(0x20, 0x32)
_UA = (70_000, 300)


def _factory() -> bytearray:
    cells = bytearray(0x40)
    cells[0x0A:0x0D] = VERSION
    cells[0x10:0x1E] = b"VIRTUAL0000001"
    cells[_ADDRESS] = 0x10
    cells[_ON] = 1
    for at, value in ((_RATE, 100), (0x2A, 100), (0x2C, 0), (0x2E, 0), (0x30, 9000)):
        cells[at : at + 2] = value.to_bytes(2, "little")
    cells[0x3C:] = b"LUNA"
    return cells


class TFLunaI2C(I2cChip):
    """distance_m: a number, or a function of the virtual time in us. noise_m: standard deviation.

    amplitude: what is said whatever the distance, 0..65535. temperature_c: of the chip. `nack`: so many next
    transactions are not acknowledged.
    """

    def __init__(
        self,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        address: int = 0x10,
        noise_m: float = 0.0,
        amplitude: int | None = None,
        temperature_c: float = 35.0,
    ) -> None:
        super().__init__()
        self.distance_m = distance_m
        self.noise_m = noise_m
        self.amplitude = amplitude
        self.temperature_c = temperature_c
        self.nack = 0
        self.ranges = 0
        self.saved = _factory()
        self.saved[_ADDRESS] = address
        self.cells = bytearray(self.saved)
        self.address = address
        self._at = 0
        self._started_us = 0
        self._frame = -1
        self._once_us: int | None = None

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution, in metres."""
        return 0.2, 8.0, 0.01

    def set_physical(self, value: float) -> None:
        self.distance_m = value

    def reset(self) -> None:
        self.cells = bytearray(self.saved)
        self.address = self.cells[_ADDRESS]
        self._started_us = self.port.now_us
        self._frame = -1
        self._once_us = None
        self.port.draw(_UA[0])

    def _word(self, at: int) -> int:
        return int.from_bytes(self.cells[at : at + 2], "little")

    def _put(self, at: int, value: int) -> None:
        self.cells[at : at + 2] = (value & 0xFFFF).to_bytes(2, "little")

    def _update(self) -> None:
        """The registers as the last range before now has left them."""
        now = self.port.now_us
        first = self._started_us + _START_US
        if self.cells[_MODE]:
            if self._once_us is not None and now >= self._once_us:
                self._take(self._once_us)
                self._once_us = None
        elif self.cells[_ON] and self._word(_RATE):
            period = 1_000_000 // self._word(_RATE)
            frame = (now - first) // period
            if frame > self._frame:
                self._frame = frame
                self._take(first + frame * period)

    def _take(self, t_us: int) -> None:
        metres = self.distance_m(t_us) if callable(self.distance_m) else self.distance_m
        if self.noise_m:
            metres += self.port.random.gauss(0.0, self.noise_m)
        metres = max(metres, 0.0)
        _, amplitude = light(metres, self.amplitude)
        said = round(metres * 100) if self._word(0x2E) <= metres * 1000 <= self._word(0x30) else 0
        self._put(0, said if amplitude >= self._word(0x2A) else self._word(0x2C))
        self._put(2, amplitude)
        self._put(4, round(self.temperature_c * 100))
        self._put(6, (t_us - self._started_us) // 1000)
        self.ranges += 1

    def _answers(self) -> bool:
        if self.nack:
            self.nack -= 1
            return False
        return self.port.now_us >= self._started_us + _START_US

    def write(self, data: bytes) -> bool:
        if not self._answers():
            return False
        if data:
            self._at = data[0]
            if self._at >= len(self.cells):
                self.violate(f"register 0x{self._at:02X} (DS: register table)")
            for value in data[1:]:
                self._set(self._at, value)
                self._at += 1
        return True

    def read(self, n: int) -> bytes:
        if not self._answers():
            return b""
        self._update()
        out = bytes(self.cells[self._at : self._at + n])
        self._at += n
        return out.ljust(n, b"\0")

    def _set(self, at: int, value: int) -> None:
        if at not in _WRITABLE:
            self.violate(f"write to register 0x{at:02X}, which is read only (DS: register table)")
            return
        self._update()
        if at == _SAVE:
            if value == 1:
                self.saved[0x22:0x32] = self.cells[0x22:0x32]
                self.saved[_ONCE] = 0
        elif at == _REBOOT:
            if value == 2:
                self.reset()
        elif at == _ONCE:
            if value == 1 and self.cells[_MODE] and self._once_us is None:
                self._once_us = self.port.now_us + _ONCE_US
        elif at == _FACTORY:
            if value == 1:
                self.cells[0x20:0x32] = _factory()[0x20:0x32]
        else:
            if at == _ADDRESS and not 0x08 <= value <= 0x77:
                self.violate(f"address 0x{value:02X}, 0x08 to 0x77 (DS: register table)")
            self.cells[at] = value
            if at == _LOW_POWER:
                self.port.draw(_UA[1 if value else 0])
            elif at in (_RATE, _RATE + 1) and self._word(_RATE):
                # Frames are counted with the new rate from here on.
                period = 1_000_000 // self._word(_RATE)
                self._frame = (self.port.now_us - self._started_us - _START_US) // period
