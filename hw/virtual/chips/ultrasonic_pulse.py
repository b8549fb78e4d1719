"""HC-SR04 and JSN-SR04T (mode 0) ultrasonic range sensors with trigger and echo.  DS = their makers' data sheets.

Legs: `trigger`, `echo` (to the MCU), `power` when the wiring has a switch for it (`switched`). The sound
travels at 331.3 sqrt(1 + T / 273.15) m/s.

Not modelled: the cone (15 and < 75 degrees), several echoes, echoes of the ping before (too short a cycle is a
violation instead), the 5 V of the echo leg, the serial modes (ultrasonic_serial has them). Assumed, as the sheets
do not say: the echo rises 450 us after the trigger fell; ready 250 ms after power-on; a target in the blind zone
gives no echo.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from hw.virtual.chips.base import Handle, PinChip

_ECHO_US = 450
_READY_US = 250_000


class Variant(NamedTuple):
    low_m: float
    high_m: float
    trigger_us: int
    cycle_us: int
    no_echo_us: int
    idle_ua: int
    active_ua: int


HC_SR04 = Variant(0.02, 4.0, 10, 60_000, 38_000, 2_000, 15_000)
JSN_SR04T = Variant(0.25, 4.5, 20, 60_500, 60_000, 5_000, 30_000)


class UltrasonicPulse(PinChip):
    """distance_m: a number, or a function of the virtual time in us. noise_m: standard deviation.

    temperature_c: of the air. `faults` is a list of functions us -> us; each next ping takes one and makes the
    echo as long as it gives, 0 for none at all. `stick(level)` holds the echo leg, `stick(None)` lets go.
    """

    def __init__(
        self,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        variant: Variant = HC_SR04,
        temperature_c: float = 20.0,
        noise_m: float = 0.0,
        switched: bool = False,
        power_on_level: int = 1,
    ) -> None:
        super().__init__()
        self.distance_m = distance_m
        self.variant = variant
        self.temperature_c = temperature_c
        self.noise_m = noise_m
        self.switched = switched
        self.power_on_level = power_on_level
        self.faults: list[Callable[[int], int]] = []
        self.pings = 0
        self._stuck: int | None = None
        self._clear()

    def _clear(self) -> None:
        self._on = False
        self._ready_us = 0
        self._trigger = 0
        self._rose_us = 0
        self._ping_us: int | None = None
        self._echo = 0
        self._next: Handle | None = None

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution in metres (DS: 3 mm)."""
        return self.variant.low_m, self.variant.high_m, 0.003

    def set_physical(self, value: float) -> None:
        self.distance_m = value

    def reset(self) -> None:
        self.port.cancel(self._next)
        self._clear()
        self._drive(0)
        self._power(not self.switched)
        # Powered together with the board, which takes longer to come up than the sensor.
        self._ready_us = self.port.now_us

    def _power(self, on: bool) -> None:
        if on == self._on:
            return
        self._on = on
        self._ready_us = self.port.now_us + _READY_US
        if not on:
            self.port.cancel(self._next)
            self._ping_us = None
            self._drive(0)
        self.port.draw(self.variant.idle_ua if on else 0)

    def _drive(self, level: int) -> None:
        self._echo = level
        self.port.set_pin("echo", level if self._stuck is None else self._stuck)

    def stick(self, level: int | None) -> None:
        self._stuck = level
        self._drive(self._echo)

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "power" and self.switched:
            self._power(level == self.power_on_level)
        elif pin == "trigger" and level != self._trigger:
            self._trigger = level
            now = self.port.now_us
            if level:
                self._rose_us = now
            elif self._on and now >= self._ready_us:
                self._triggered(now)

    def _triggered(self, now: int) -> None:
        v = self.variant
        if now - self._rose_us < v.trigger_us:
            self.violate(f"trigger of {now - self._rose_us} us, at least {v.trigger_us} us (DS)")
            return
        if self._ping_us is not None and now - self._ping_us < v.cycle_us:
            self.violate(
                f"triggered {now - self._ping_us} us after the last time, at least {v.cycle_us} us (DS)"
            )
            return
        self._ping_us = now
        us = self.echo_us()
        if self.faults:
            us = self.faults.pop(0)(us)
        self.pings += 1
        self.port.draw(v.active_ua)
        if us > 0:
            self.port.at(now + _ECHO_US, lambda: self._drive(1))
        self._next = self.port.at(now + _ECHO_US + us, self._end)

    def _end(self) -> None:
        self._drive(0)
        self.port.draw(self.variant.idle_ua)

    def echo_us(self) -> int:
        """How long the echo of now would be."""
        metres = self.distance_m(self.port.now_us) if callable(self.distance_m) else self.distance_m
        if self.noise_m:
            metres += self.port.random.gauss(0.0, self.noise_m)
        if not self.variant.low_m <= metres <= self.variant.high_m:
            return self.variant.no_echo_us
        return round(2e6 * metres / (331.3 * math.sqrt(1 + self.temperature_c / 273.15)))
