"""Light-dependent resistor in a divider on an ADC.

Leg `sense`. The cell follows R = r10_ohm * (lux / 10) ** -gamma (the datasheets of CdS cells give R at 10 lux and
gamma between 10 and 100 lux), with a resistor across it, from the supply to the pin; the divider's resistor
goes to ground (`to_ground` False: the other way round). The ADC ends at 3.1 V.

Not modelled: the cell's memory of light and slow reaction, spectrum, temperature, tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from hw.virtual.chips.base import PinChip

_ADC_END_UV = 3_100_000


class Photocell(PinChip):
    """lux: a number, or a function of the virtual time in us; ripple: share of it that flickers at 100 Hz.

    broken, shorted: the cell's wires.
    """

    def __init__(
        self,
        lux: float | Callable[[int], float] = 10.0,
        *,
        r10_ohm: float = 15_000,
        gamma: float = 0.7,
        across_ohm: float = 470_000,
        divider_ohm: float = 10_000,
        supply_v: float = 3.3,
        to_ground: bool = True,
        ripple: float = 0.0,
    ) -> None:
        super().__init__()
        self.lux = lux
        self.r10_ohm = r10_ohm
        self.gamma = gamma
        self.across_ohm = across_ohm
        self.divider_ohm = divider_ohm
        self.supply_v = supply_v
        self.to_ground = to_ground
        self.ripple = ripple
        self.broken = False
        self.shorted = False

    def range(self) -> tuple[float, float, float]:
        """Lux: lowest, highest, resolution."""
        return 1.0, 200.0, 1.0

    def set_physical(self, value: float) -> None:
        self.lux = value

    def volt(self, lux: float) -> float:
        """At the pin, of a whole cell."""
        cell = self.r10_ohm * (lux / 10) ** -self.gamma if lux > 0 else math.inf
        cell = 1 / (1 / cell + 1 / self.across_ohm)
        return self._divide(cell)

    def _divide(self, cell: float) -> float:
        part = self.divider_ohm / (self.divider_ohm + cell)
        return self.supply_v * (part if self.to_ground else 1 - part)

    def adc_uv(self, pin: str) -> int:
        if pin != "sense":
            return 0
        if self.shorted:
            volt = self._divide(0.0)
        elif self.broken:
            volt = self._divide(math.inf)
        else:
            lux = self.lux(self.port.now_us) if callable(self.lux) else self.lux
            lux *= 1 + self.ripple * math.sin(2 * math.pi * 100 * self.port.now_us / 1e6)
            volt = self.volt(lux)
        return max(0, min(_ADC_END_UV, round(volt * 1e6)))
