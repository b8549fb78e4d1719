"""MaxBotix HRXL-MaxSonar-WR ultrasonic range sensor with serial output.  DS = PD11500 (rev. p, y).

Legs: UART (the MCU's `uart`), `range` (pin 4; open or high: free run, low: no ranging), `power` when the wiring
has a switch for it (`switched`). Frames R, four digits, CR at 9600 baud 8N1, TTL levels. A target nearer
than 300 mm reads as 300; none as the longest distance. Stray FF bytes occur between characters (`stray`).

Not modelled: the beam, filter and target size compensation, triggered ranging, pulse width and analogue outputs.
Assumed: a line of text 100 ms after power-on, the first frame 160 ms later; 3.1 mA.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hw.virtual.chips.uart_ranger import UartRanger

_TEXT_US = 100_000
_CYCLE_US = 160_000


class Variant(NamedTuple):
    high_mm: int
    cycle_us: int
    data_us: int


#: Longest distance, end of the range cycle, serial data within it (DS, timing table).
MB7380 = Variant(5000, 133_000, 123_000)
MB7389 = Variant(5000, 148_000, 140_000)
MB7386 = Variant(9999, 166_000, 158_000)
MB7388 = Variant(9999, 181_000, 173_000)


class MaxBotix(UartRanger):
    """See `UartRanger`; stray: probability of an FF byte before each character."""

    FIRST_US = _TEXT_US
    CURRENT_UA = 3100
    TAKES_NOTHING = "the sensor takes no data (DS): pin 4 only starts and stops ranging"

    def __init__(
        self,
        uart: int = 1,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        variant: Variant = MB7380,
        stray: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(uart, distance_m, **options)
        self.variant = variant
        self.stray = stray
        self._ranging = True

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution in metres; the highest reading itself means that there is no target."""
        return 0.3, (self.variant.high_mm - 1) / 1000, 0.001

    def reset(self) -> None:
        self._ranging = True
        super().reset()

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "range":
            self._ranging = level == 1
        else:
            super().pin_changed(pin, level)

    def floating(self, pin: str) -> None:
        # Pin 4 is pulled up inside (DS).
        self.pin_changed(pin, 1 if pin == "range" else 1 - self.power_on_level)

    def reading(self) -> int:
        """What the sensor would say now, millimetres."""
        return min(max(round(self.metres() * 1000), 300), self.variant.high_mm)

    def _say(self, data: bytes, chars: int) -> None:
        if self.stray:
            data = b"".join(
                b"\xff" + data[i : i + 1] if self.port.random.random() < self.stray else data[i : i + 1]
                for i in range(len(data))
            )
        super()._say(data, len(data))

    def _begin(self) -> None:
        text = b"HRXL-MaxSonar-WR\r"
        self._say(text, len(text))
        self._again(_CYCLE_US, self._cycle)

    def _cycle(self) -> None:
        if self._ranging:
            value = self.reading()
            self.port.at(self.port.now_us + self.variant.data_us, lambda: self._send(value))
        self._again(self.variant.cycle_us, self._cycle)

    def _send(self, value: int) -> None:
        if self._next is not None:  # else its power went
            self._frame(b"R%04d\r" % value)
