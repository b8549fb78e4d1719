"""JSN-SR04T (V2, V3) ultrasonic range sensor with its serial output.  DS = its makers' sheet, modes 2 and 3 there
(R27 = 47k, 120k).

Legs: UART (the MCU's `uart`), 9600 8N1: FF, distance in mm (high byte first), sum of the three. `auto`: every
100 ms by itself; otherwise after each 55. It counts with 340 m/s whatever the air's temperature.

Not modelled: the cone, several echoes, the trigger's own mode (ultrasonic_pulse). Assumed, as the sheets do not
say: ready 250 ms after power-on; nothing within 0.25..4.5 m reads 0 after 60 ms; another byte does nothing, nor
does a request during a measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from hw.virtual.chips.base import Handle
from hw.virtual.chips.framing import Frame, FramedUart

_LOW_M, _HIGH_M = 0.25, 4.5
_READY_US, _PERIOD_US, _NO_ECHO_US = 250_000, 100_000, 60_000
_REQUEST = 0x55
_MM_PER_US = 0.340 / 2
_UA = (5_000, 30_000)


class UltrasonicSerial(FramedUart):
    """distance_m: a number, or a function of the virtual time in us. noise_m: standard deviation.

    temperature_c: of the air. `faults`: functions bytes -> bytes, each next frame takes one.
    """

    def __init__(
        self,
        uart: int = 1,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        auto: bool = False,
        noise_m: float = 0.0,
        temperature_c: float = 14.5,
    ) -> None:
        super().__init__()
        self.uart = uart
        self.distance_m = distance_m
        self.auto = auto
        self.noise_m = noise_m
        self.temperature_c = temperature_c
        self.faults: list[Callable[[bytes], bytes]] = []
        self.pings = 0
        self._ready_us = 0
        self._next: Handle | None = None

    @property
    def frame_format(self) -> Frame:
        return 9600, 8, None

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution in metres."""
        return _LOW_M, _HIGH_M, 0.001

    def set_physical(self, value: float) -> None:
        self.distance_m = value

    def reset(self) -> None:
        self.port.cancel(self._next)
        self._next = None
        self._ready_us = self.port.now_us + _READY_US
        self.port.draw(_UA[0])
        if self.auto:
            self._next = self.port.at(self._ready_us, self._ping)

    def heard(self, data: bytes) -> None:
        if _REQUEST in data and self._next is None and self.port.now_us >= self._ready_us:
            self._ping()

    def _ping(self) -> None:
        metres = self.distance_m(self.port.now_us) if callable(self.distance_m) else self.distance_m
        if self.noise_m:
            metres += self.port.random.gauss(0.0, self.noise_m)
        us, mm = _NO_ECHO_US, 0
        if _LOW_M <= metres <= _HIGH_M:
            us = round(2e6 * metres / (331.3 * math.sqrt(1 + self.temperature_c / 273.15)))
            mm = round(us * _MM_PER_US)
        frame = bytes([0xFF]) + mm.to_bytes(2, "big")
        frame += bytes([sum(frame) & 0xFF])
        self.pings += 1
        self.port.draw(_UA[1])
        begin = self.port.now_us
        end = begin + us + round(len(frame) * self.char_us)
        self._next = self.port.at(end, lambda: self._sent(frame, begin))

    def _sent(self, frame: bytes, begin: int) -> None:
        self.port.draw(_UA[0])
        self._next = None
        if self.auto:
            self._next = self.port.at(begin + _PERIOD_US, self._ping)
        self.say(self.faults.pop(0)(frame) if self.faults else frame)
