"""A02YYUW ultrasonic range sensor with UART.  DS = DFRobot SEN0311 product page, January 2026.

Legs: UART (the MCU's `uart`), `rx` (open or high: processed values, low: raw), `power` when the wiring has a
switch for it (`switched`). Frames FF high low sum at 9600 baud 8N1.

Not modelled: the cone of 60 degrees, temperature, several echoes, the filter behind processed values beyond
their slower rate. Assumed, as the page does not say: first frame 500 ms after power-on; 0 below the range;
0xFFFD without an echo (the maker's other modules).
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import Handle, UartChip

_BIT_US = 1_000_000 / 9600
_FRAME_US = round(4 * 10 * _BIT_US)
_FIRST_US = 500_000
_RAW_US = 100_000
_PROCESSED_US = (100_000, 300_000)
_CURRENT_UA = 8000
NO_ECHO = 0xFFFD


class A02YYUW(UartChip):
    """distance_m: a number, or a function of the virtual time in us. noise_m: standard deviation.

    `faults` is a list of functions bytes -> bytes; each next frame takes one and sends what it gives.
    """

    def __init__(
        self,
        uart: int = 1,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        noise_m: float = 0.0,
        switched: bool = False,
        power_on_level: int = 1,
    ) -> None:
        super().__init__()
        self.uart = uart
        self.distance_m = distance_m
        self.noise_m = noise_m
        self.switched = switched
        self.power_on_level = power_on_level
        self.faults: list[Callable[[bytes], bytes]] = []
        self.frames = 0
        self._raw = False
        self._next: Handle | None = None

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution, in metres."""
        return 0.03, 4.5, 0.001

    def set_physical(self, value: float) -> None:
        self.distance_m = value

    def reset(self) -> None:
        self.port.cancel(self._next)
        self._raw = False
        self._power(not self.switched)

    def _power(self, on: bool) -> None:
        self.port.cancel(self._next)
        self._next = self.port.at(self.port.now_us + _FIRST_US, self._send) if on else None
        self.port.draw(_CURRENT_UA if on else 0)

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "rx":
            self._raw = level == 0
        elif pin == "power" and self.switched and (level == self.power_on_level) != (self._next is not None):
            self._power(level == self.power_on_level)

    def configure(self, baud: int, bits: int, parity: int | None, stop: int) -> None:
        if (baud, bits, parity, stop) != (9600, 8, None, 1):
            self.violate(f"UART at {baud} {bits} {parity} {stop}, the sensor talks 9600 8N1 (DS)")

    def receive(self, data: bytes) -> None:
        self.violate("the sensor takes no data (DS): its RX pin only selects the mode")

    def reading(self) -> int:
        """What the sensor would say now."""
        metres = self.distance_m(self.port.now_us) if callable(self.distance_m) else self.distance_m
        low, high, step = self.range()
        if self.noise_m:
            metres += self.port.random.gauss(0.0, self.noise_m)
        if metres > high:
            return NO_ECHO
        return round(metres / step) if metres >= low else 0

    def _send(self) -> None:
        value = self.reading()
        frame = bytes([0xFF, value >> 8, value & 0xFF])
        frame += bytes([sum(frame) & 0xFF])
        if self.faults:
            frame = self.faults.pop(0)(frame)
        self.frames += 1
        self.port.at(self.port.now_us + _FRAME_US, lambda: self.port.uart_send(self.uart, frame))
        pause = _RAW_US if self._raw else self.port.random.randrange(*_PROCESSED_US)
        self._next = self.port.at(self.port.now_us + max(pause, _FRAME_US), self._send)
