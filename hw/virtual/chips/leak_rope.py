"""Conductive leak rope with an end resistor, as it is wired for measuring without electrolysis.

Legs: `a` drives conductor 1 through the series resistor, `b` drives conductor 2, `sense` is conductor 1 for
the ADC (ends at 3.1 V). Water on a stretch of the rope is a resistance across it, a break cuts off what lies
behind. The two conductors are a galvanic cell as soon as they are wet (`cell_v`).

Charge through wet electrodes dissolves them: the model adds it up and calls more than 1 mC in one direction,
or 200 ms of one polarity, a wrong use. Not modelled: capacitance per metre beyond one time constant,
polarisation while current flows, drying, temperature of the water.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hw.virtual.chips.base import PinChip

_ADC_END_UV = 3_100_000
_MOST_CHARGE_C = 1e-3
_MOST_US = 200_000


@dataclass
class Puddle:
    """Water between `begin_m` and `end_m` of the rope."""

    begin_m: float
    end_m: float


class LeakRope(PinChip):
    """Ohm and metres; water_ohm_m: resistance of one wetted metre (20 kOhm m is tap water on a thin rope).

    `puddles` and `break_m` (metres from the near end, None = whole) are the world's; `crushed_m` shorts the
    conductors there. ohms: overrides all of that. stuck: leg -> level that the driver no longer changes.
    """

    def __init__(
        self,
        *,
        series_ohm: float = 220_000,
        end_ohm: float = 220_000,
        length_m: float = 10.0,
        water_ohm_m: float = 20_000,
        capacitance_f: float = 1e-9,
        cell_v: float = 0.05,
        supply_v: float = 3.3,
    ) -> None:
        super().__init__()
        self.series_ohm = series_ohm
        self.end_ohm = end_ohm
        self.length_m = length_m
        self.water_ohm_m = water_ohm_m
        self.capacitance_f = capacitance_f
        self.cell_v = cell_v
        self.supply_v = supply_v
        self.puddles: list[Puddle] = []
        self.break_m: float | None = None
        self.crushed_m: float | None = None
        self.ohms: float | None = None
        self.stuck: dict[str, int] = {}
        self.charge_c = 0.0
        self._levels = {"a": 0, "b": 0}
        self._since_us = 0
        self._start_v = 0.0

    def range(self) -> tuple[float, float, float]:
        """Ohms between the conductors: lowest, highest, resolution (a millivolt at the highest)."""
        return 10_000.0, 1_000_000.0, 10_000.0

    def set_physical(self, value: float) -> None:
        self.ohms = value

    def reset(self) -> None:
        self._levels = {"a": 0, "b": 0}
        self.charge_c = 0.0
        self._since_us = self.port.now_us
        self._start_v = 0.0

    @property
    def wet_m(self) -> float:
        """Metres of wet rope on this side of a break."""
        end = self.length_m if self.break_m is None else self.break_m
        return sum(max(0.0, min(p.end_m, end) - max(p.begin_m, 0.0)) for p in self.puddles)

    @property
    def rope_ohm(self) -> float:
        """Between the conductors at the near end."""
        if self.ohms is not None:
            return self.ohms
        end = self.length_m if self.break_m is None else self.break_m
        if self.crushed_m is not None and self.crushed_m <= end:
            return 1.0
        siemens = self.wet_m / self.water_ohm_m
        if self.break_m is None:
            siemens += 1 / self.end_ohm
        return 1 / siemens if siemens else 1e12

    def _level(self, leg: str) -> int:
        return self.stuck.get(leg, self._levels[leg])

    def _target_v(self) -> float:
        a, b = (self.supply_v * self._level(leg) for leg in ("a", "b"))
        cell = self.cell_v if self.wet_m and self.rope_ohm > 10.0 else 0.0
        across = a - b - cell
        return b + cell + across * self.rope_ohm / (self.rope_ohm + self.series_ohm)

    def _volt(self) -> float:
        source = self.rope_ohm * self.series_ohm / (self.rope_ohm + self.series_ohm)
        passed = (self.port.now_us - self._since_us) / 1e6
        left = math.exp(-passed / (source * self.capacitance_f)) if self.capacitance_f else 0.0
        target = self._target_v()
        return target + (self._start_v - target) * left

    def pin_changed(self, pin: str, level: int) -> None:
        if pin not in self._levels or self._levels[pin] == level:
            return
        now = self.port.now_us
        before = self._volt()
        direction = self._level("a") - self._level("b")
        passed = now - self._since_us
        if direction:
            self.charge_c += (
                direction * passed / 1e6 * self.supply_v / (self.rope_ohm + self.series_ohm)
                if self.wet_m
                else 0
            )
            if passed > _MOST_US:
                self.violate(f"one polarity for {passed // 1000} ms: electrolysis")
            if abs(self.charge_c) > _MOST_CHARGE_C:
                self.violate(f"{self.charge_c * 1e3:.2f} mC in one direction: electrolysis")
                self.charge_c = 0.0
        self._levels[pin] = level
        self._since_us = now
        self._start_v = before

    def adc_uv(self, pin: str) -> int:
        if pin != "sense":
            return 0
        return max(0, min(_ADC_END_UV, round(self._volt() * 1e6)))
