"""LED luminaire with a 0-10 V control gear behind a relay, as the boards are wired to it.

Legs: `dim`, through an open collector that pulls the gear's 10 V line down (high = 0 V, low or floating =
10 V, PWM = the mean); `relay`, whose contact is closed while the coil is not driven. So nothing connected, a
board in reset and a crashed program all mean full light.

The gear follows IEC 60929 annex E between 1 V and 10 V (linear, 10 % to 100 %) and switches its light off
below 0.5 V, on above 0.7 V. Light and power change at once. Not modelled: inrush, warm-up, constant light
output, temperature, power factor, the curve of a real gear; power is a straight line from `standby_w`.
"""

from __future__ import annotations

from hw.virtual.chips.base import PinChip

_OFF_V = 0.5
_ON_V = 0.7
_MIN_V = 1.0
#: The line's filter: a PWM slower than this would be seen as flicker.
_MIN_PWM_HZ = 200


class Lamp010V(PinChip):
    """rated_w at full light, standby_w with the light off; relay_on_level: level of `relay` that feeds it.

    `level` is light in per cent, `power_w` and `energy_wh` what the mains sees; each change is emitted as
    `actuate` with level, power_w, line_v and fed.
    """

    def __init__(
        self,
        rated_w: float = 60.0,
        standby_w: float = 0.5,
        *,
        full_level: int = 0,
        relay_on_level: int = 0,
    ) -> None:
        super().__init__()
        self.rated_w = rated_w
        self.standby_w = standby_w
        self.full_level = full_level
        self.relay_on_level = relay_on_level
        self.line_v = 10.0
        self.fed = True
        self.lit = True
        self._energy_j = 0.0
        self._since_us = 0

    def reset(self) -> None:
        self._since_us = self.port.now_us
        self.floating("dim")
        self.floating("relay")

    def floating(self, pin: str) -> None:
        """The MCU does not drive the leg (reset, input, deep sleep)."""
        self.pin_changed(pin, self.full_level if pin == "dim" else self.relay_on_level)

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "dim":
            self._set(10.0 if level == self.full_level else 0.0, self.fed)
        elif pin == "relay":
            self._set(self.line_v, level == self.relay_on_level)

    def pwm_changed(self, pin: str, freq_hz: int, duty_u16: int) -> None:
        if pin != "dim":
            self.violate(f"PWM on {pin}: the relay would chatter")
            return
        if freq_hz == 0:
            self.floating(pin)
            return
        if freq_hz < _MIN_PWM_HZ:
            self.violate(f"PWM of {freq_hz} Hz on the 0-10 V line flickers, wants {_MIN_PWM_HZ} Hz")
        high = duty_u16 / 65535
        self._set(10.0 * (high if self.full_level else 1.0 - high), self.fed)

    @property
    def level(self) -> float:
        """Light in per cent of full."""
        if not (self.fed and self.lit):
            return 0.0
        return min(100.0, max(10.0, 10.0 + 90.0 * (self.line_v - _MIN_V) / (10.0 - _MIN_V)))

    @property
    def power_w(self) -> float:
        if not self.fed:
            return 0.0
        return self.standby_w + (self.rated_w - self.standby_w) * self.level / 100

    @property
    def energy_wh(self) -> float:
        """Drawn since power-on."""
        return (self._energy_j + self.power_w * (self.port.now_us - self._since_us) / 1e6) / 3600

    def _set(self, line_v: float, fed: bool) -> None:
        before = (self.level, self.power_w)
        self._energy_j += self.power_w * (self.port.now_us - self._since_us) / 1e6
        self._since_us = self.port.now_us
        self.line_v = line_v
        self.fed = fed
        if self.lit and line_v < _OFF_V:
            self.lit = False
        elif not self.lit and line_v > _ON_V:
            self.lit = True
        if (self.level, self.power_w) != before:
            self.port.emit(
                "actuate",
                level=round(self.level, 2),
                power_w=round(self.power_w, 3),
                line_v=round(self.line_v, 4),
                fed=self.fed,
            )
