"""Supply of a board, measured by an ADC pin through a divider.

Legs: `sense` (analogue, to the MCU), `switch` when the board connects the divider only on demand. The ADC is
the ESP32-S3's ADC1 at 11 dB attenuation: it ends at 3.1 V.

Not modelled: internal resistance, temperature, ageing, charging, the load of the board (its charge account is
kept by the board), the ADC's nonlinearity. Without its switch the pin floats and reads 0.
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import PinChip

_ADC_END_UV = 3_100_000


class Battery(PinChip):
    """volts: a number, or a function of the virtual time in us. upper_ohm over lower_ohm is the divider.

    switch_level: level of `switch` that connects the divider, None = always connected. noise_uv: standard
    deviation at the pin.
    """

    def __init__(
        self,
        volts: float | Callable[[int], float] = 3.9,
        *,
        upper_ohm: float = 390_000,
        lower_ohm: float = 100_000,
        switch_level: int | None = None,
        noise_uv: float = 0.0,
    ) -> None:
        super().__init__()
        self.volts = volts
        self.upper_ohm = upper_ohm
        self.lower_ohm = lower_ohm
        self.switch_level = switch_level
        self.noise_uv = noise_uv
        self._connected = switch_level is None

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution in volts: a lithium cell, the ADC's millivolt through the divider."""
        return 2.5, 4.4, 0.001 * (self.upper_ohm + self.lower_ohm) / self.lower_ohm

    def set_physical(self, value: float) -> None:
        self.volts = value

    def reset(self) -> None:
        self._connected = self.switch_level is None

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "switch" and self.switch_level is not None:
            self._connected = level == self.switch_level

    def adc_uv(self, pin: str) -> int:
        if pin != "sense" or not self._connected:
            return 0
        volts = self.volts(self.port.now_us) if callable(self.volts) else self.volts
        uv = volts * 1e6 * self.lower_ohm / (self.upper_ohm + self.lower_ohm)
        if self.noise_uv:
            uv += self.port.random.gauss(0.0, self.noise_uv)
        return max(0, min(_ADC_END_UV, round(uv)))
