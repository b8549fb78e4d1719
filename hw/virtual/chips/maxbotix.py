"""MaxBotix HRXL-MaxSonar-WR ultrasonic range sensor with serial output.  DS = PD11500 (rev. p, y).

Legs: UART (the MCU's `uart`), `range` (pin 4; open or high: free run, low: no ranging), `power` when the wiring
has a switch for it (`switched`). Frames R, four digits, CR at 9600 baud 8N1, TTL levels. A target nearer
than 300 mm reads as 300; none as the longest distance. Stray FF bytes occur between characters (`stray`).

Not modelled: the beam, filter and target size compensation, triggered ranging, pulse width and analogue outputs.
Assumed: a line of text 100 ms after power-on, the first frame 160 ms later; 3.1 mA.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hw.virtual.chips.base import Handle, UartChip

_CHAR_US = 10 * 1_000_000 / 9600
_TEXT_US = 100_000
_FIRST_US = 160_000
_CURRENT_UA = 3100


class Variant(NamedTuple):
    high_mm: int
    cycle_us: int
    data_us: int


#: Longest distance, end of the range cycle, serial data within it (DS, timing table).
MB7380 = Variant(5000, 133_000, 123_000)
MB7389 = Variant(5000, 148_000, 140_000)
MB7386 = Variant(9999, 166_000, 158_000)
MB7388 = Variant(9999, 181_000, 173_000)


class MaxBotix(UartChip):
    """distance_m: a number, or a function of the virtual time in us. noise_m: standard deviation.

    stray: probability of an FF byte before each character. `faults` is a list of functions bytes -> bytes;
    each next frame takes one and sends what it gives.
    """

    def __init__(
        self,
        uart: int = 1,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        variant: Variant = MB7380,
        noise_m: float = 0.0,
        stray: float = 0.0,
        switched: bool = False,
        power_on_level: int = 1,
    ) -> None:
        super().__init__()
        self.uart = uart
        self.distance_m = distance_m
        self.variant = variant
        self.noise_m = noise_m
        self.stray = stray
        self.switched = switched
        self.power_on_level = power_on_level
        self.faults: list[Callable[[bytes], bytes]] = []
        self.frames = 0
        self._ranging = True
        self._next: Handle | None = None

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution in metres; the highest reading itself means that there is no target."""
        return 0.3, (self.variant.high_mm - 1) / 1000, 0.001

    def set_physical(self, value: float) -> None:
        self.distance_m = value

    def reset(self) -> None:
        self.port.cancel(self._next)
        self._next = None
        self._ranging = True
        self._power(not self.switched)

    def _power(self, on: bool) -> None:
        self.port.cancel(self._next)
        self._next = self.port.at(self.port.now_us + _TEXT_US, self._text) if on else None
        self.port.draw(_CURRENT_UA if on else 0)

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "range":
            self._ranging = level == 1
        elif pin == "power" and self.switched and (level == self.power_on_level) != (self._next is not None):
            self._power(level == self.power_on_level)

    def floating(self, pin: str) -> None:
        # Pin 4 is pulled up inside (DS).
        self.pin_changed(pin, 1 if pin == "range" else 1 - self.power_on_level)

    def configure(self, baud: int, bits: int, parity: int | None, stop: int) -> None:
        if (baud, bits, parity, stop) != (9600, 8, None, 1):
            self.violate(f"UART at {baud} {bits} {parity} {stop}, the sensor talks 9600 8N1 (DS)")

    def receive(self, data: bytes) -> None:
        self.violate("the sensor takes no data (DS): pin 4 only starts and stops ranging")

    def reading(self) -> int:
        """What the sensor would say now, millimetres."""
        metres = self.distance_m(self.port.now_us) if callable(self.distance_m) else self.distance_m
        if self.noise_m:
            metres += self.port.random.gauss(0.0, self.noise_m)
        return min(max(round(metres * 1000), 300), self.variant.high_mm)

    def _say(self, data: bytes) -> None:
        if self.stray:
            data = b"".join(
                b"\xff" + data[i : i + 1] if self.port.random.random() < self.stray else data[i : i + 1]
                for i in range(len(data))
            )
        self.port.at(
            self.port.now_us + round(len(data) * _CHAR_US), lambda: self.port.uart_send(self.uart, data)
        )

    def _text(self) -> None:
        self._say(b"HRXL-MaxSonar-WR\r")
        self._next = self.port.at(self.port.now_us + _FIRST_US, self._cycle)

    def _cycle(self) -> None:
        now = self.port.now_us
        if self._ranging:
            value = self.reading()
            self.port.at(now + self.variant.data_us, lambda: self._send(value))
        self._next = self.port.at(now + self.variant.cycle_us, self._cycle)

    def _send(self, value: int) -> None:
        if self._next is None:  # power went
            return
        frame = b"R%04d\r" % value
        if self.faults:
            frame = self.faults.pop(0)(frame)
        self.frames += 1
        self._say(frame)
