"""A02YYUW ultrasonic range sensor with UART.  DS = DFRobot SEN0311 product page, January 2026.

Legs: UART (the MCU's `uart`), `rx` (open or high: processed values, low: raw), `power` when the wiring has a
switch for it (`switched`). Frames FF high low sum at 9600 baud 8N1.

Not modelled: the cone of 60 degrees, temperature, several echoes, the filter behind processed values beyond
their slower rate. Assumed, as the page does not say: first frame 500 ms after power-on; 0 below the range;
0xFFFD without an echo (the maker's other modules).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hw.virtual.chips.uart_ranger import UartRanger

_RAW_US = 100_000
_PROCESSED_US = (100_000, 300_000)
NO_ECHO = 0xFFFD


class A02YYUW(UartRanger):
    """See `UartRanger`."""

    FIRST_US = 500_000
    CURRENT_UA = 8000
    TAKES_NOTHING = "the sensor takes no data (DS): its RX pin only selects the mode"

    def __init__(
        self, uart: int = 1, distance_m: float | Callable[[int], float] = 1.0, **options: Any
    ) -> None:
        super().__init__(uart, distance_m, **options)
        self._raw = False

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution, in metres."""
        return 0.03, 4.5, 0.001

    def reset(self) -> None:
        self._raw = False
        super().reset()

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "rx":
            self._raw = level == 0
        else:
            super().pin_changed(pin, level)

    def reading(self) -> int:
        """What the sensor would say now."""
        metres = self.metres()
        low, high, step = self.range()
        if metres > high:
            return NO_ECHO
        return round(metres / step) if metres >= low else 0

    def _begin(self) -> None:
        value = self.reading()
        frame = bytes([0xFF, value >> 8, value & 0xFF])
        self._frame(frame + bytes([sum(frame) & 0xFF]))
        self._again(_RAW_US if self._raw else self.port.random.randrange(*_PROCESSED_US), self._begin)
