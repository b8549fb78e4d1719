"""High-pressure discharge lamp (sodium, metal halide) on a mains relay or contactor.

Legs: `relay`, whose contact is closed while the coil is not driven (`on_level`); `feedback`, the auxiliary
contact (0 closed), for boards that wire one. The lamp warms up from dark to full light, and once it went out
hot it does not strike before it has cooled; tries meanwhile are counted as wrong use.

Not modelled: the supply's own interruptions (call `supply`), ageing and cycling at end of life, ignition
pulses, power factor; light and power rise on a straight line over the warm-up.
"""

from __future__ import annotations

from hw.virtual.chips.base import Handle, PinChip

_CLOSE_US = 15_000
#: The arc tube counts as hot from the first seconds of burning on.
_HOT_US = 5_000_000


class RelayLamp(PinChip):
    """rated_w; warm_s to full light; cool_s until it strikes again; min_off_s of the relay's maker.

    welded: the contact no longer opens; dead: the coil no longer opens or closes anything, lamp off.
    """

    def __init__(
        self,
        rated_w: float = 150.0,
        *,
        warm_s: float = 240.0,
        cool_s: float = 120.0,
        min_off_s: float = 1.0,
        on_level: int = 0,
    ) -> None:
        super().__init__()
        self.rated_w = rated_w
        self.warm_us = round(warm_s * 1e6)
        self.cool_us = round(cool_s * 1e6)
        self.min_off_us = round(min_off_s * 1e6)
        self.on_level = on_level
        self.welded = False
        self.dead = False
        self.strikes = 0
        self.failed_strikes = 0
        self._driven = True
        self._fed = True
        self._closed = False
        self._lit_us: int | None = None
        self._cool_at = 0
        self._opened_us: int | None = None
        self._retry: Handle | None = None

    def reset(self) -> None:
        self._driven = True
        self._closed = False
        self._lit_us = None
        self._opened_us = None
        self._update()

    def floating(self, pin: str) -> None:
        self.pin_changed(pin, self.on_level)

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "relay":
            self._driven = level == self.on_level
            self._update()

    def supply(self, on: bool) -> None:
        """The feeder is switched; the lamp's heat stays."""
        self._fed = on
        self._update()

    @property
    def closed(self) -> bool:
        """The main contact."""
        return self.welded or (self._driven and not self.dead)

    def _update(self) -> None:
        now = self.port.now_us
        closed = self.closed
        if closed != self._closed:
            self._closed = closed
            self.port.at(now + _CLOSE_US, self._tell)
            if closed and self._opened_us is not None and now - self._opened_us < self.min_off_us:
                self.violate(
                    f"on again after {(now - self._opened_us) // 1000} ms: the relay's shortest pause"
                )
            self._opened_us = None if closed else now
        burns = closed and self._fed
        if burns and self._lit_us is None:
            self._strike()
        elif not burns:
            self.port.cancel(self._retry)
            if self._lit_us is not None:
                if now - self._lit_us >= _HOT_US:
                    self._cool_at = now + self.cool_us
                self._lit_us = None
                self._emit()

    def _tell(self) -> None:
        self.port.set_pin("feedback", 0 if self._closed else 1)

    def _strike(self) -> None:
        now = self.port.now_us
        if now < self._cool_at:
            self.failed_strikes += 1
            self.violate(f"struck {(self._cool_at - now) // 1000} ms before it has cooled")
            # The igniter goes on trying.
            self._retry = self.port.at(self._cool_at, self._update)
            return
        self.strikes += 1
        self._lit_us = now
        self._emit()

    @property
    def level(self) -> float:
        """Light in per cent of full."""
        if self._lit_us is None:
            return 0.0
        if not self.warm_us:
            return 100.0
        return min(100.0, 100.0 * (self.port.now_us - self._lit_us) / self.warm_us)

    @property
    def power_w(self) -> float:
        return 0.0 if self._lit_us is None else self.rated_w * (0.4 + 0.6 * self.level / 100)

    def _emit(self) -> None:
        self.port.emit("actuate", level=self.level, power_w=round(self.power_w, 3), fed=self._closed)
