"""Hatch lock or compactor motor with its interlock in hardware.

Legs: `drive` (from the MCU, `on_level`), `interlock` (to the MCU: `safe_level` when the hatch is closed). The
interlock's contact is in series with the actuator: open, nothing moves whatever the pin says. Each time the
pin still is on 200 ms after the interlock opened, or longer than `limit_s`, is a wrong use.

Not modelled: force, position, current, jam, run-down of the motor.
"""

from __future__ import annotations

from hw.virtual.chips.base import Handle, PinChip

_REACTION_US = 200_000


class Actuator(PinChip):
    """limit_s: longest time on that the actuator stands."""

    def __init__(self, *, limit_s: float = 30.0, on_level: int = 1, safe_level: int = 1) -> None:
        super().__init__()
        self.limit_us = round(limit_s * 1e6)
        self.on_level = on_level
        self.safe_level = safe_level
        self.safe = True
        self.driven = False
        self.runs = 0
        self.moved_us = 0
        self._since_us = 0
        self._watch: list[Handle] = []

    @property
    def moving(self) -> bool:
        return self.driven and self.safe

    def reset(self) -> None:
        self.driven = False
        self._since_us = self.port.now_us
        self._show()

    def floating(self, pin: str) -> None:
        self.pin_changed(pin, 1 - self.on_level)

    def _show(self) -> None:
        self.port.set_pin("interlock", self.safe_level if self.safe else 1 - self.safe_level)

    def _account(self) -> None:
        if self.moving:
            self.moved_us += self.port.now_us - self._since_us
        self._since_us = self.port.now_us

    def pin_changed(self, pin: str, level: int) -> None:
        driven = level == self.on_level
        if pin != "drive" or driven == self.driven:
            return
        self._account()
        self.driven = driven
        for handle in self._watch:
            self.port.cancel(handle)
        self._watch = []
        if driven:
            self.runs += 1
            if not self.safe:
                self.violate("driven while the interlock is open: only the hardware stops it")
            self._watch.append(self.port.at(self.port.now_us + self.limit_us + _REACTION_US, self._too_long))
        self.port.emit("actuate", driven=driven, moving=self.moving)

    def interlock(self, safe: bool) -> None:
        """The hatch is closed, or opened."""
        if safe == self.safe:
            return
        self._account()
        self.safe = safe
        self._show()
        if self.driven and not safe:
            self._watch.append(self.port.at(self.port.now_us + _REACTION_US, self._still_on))

    def _still_on(self) -> None:
        if self.driven and not self.safe:
            self.violate("still driven 200 ms after the interlock opened")

    def _too_long(self) -> None:
        if self.driven:
            self.violate(f"driven for more than {self.limit_us / 1e6:g} s")
