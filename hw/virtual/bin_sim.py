"""A waste container with known contents, and what an ultrasonic sensor under its lid says of them. Synthetic.

A round tapered container fills by deposits, more by day than by night; what was thrown in settles; a crew empties
it on some mornings. `BinSim` yields one burst of echoes per interval together with the truth. Each effect can be
left out. The same seed gives the same bursts.

No number here was measured on a real container: no public series of fill levels with ground truth was found. The
effects are those that users of such sensors report; their rates are assumptions, rather too bad than too good.

Not modelled: weight, snow, insects, the sensor's own beam (a burst sees one distance, or a wrong one), two kinds
of waste in one container, compaction.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

DAY_S = 86400

#: What can be left out: new bags bulge; heaps are no planes; mornings are damp; people leave lids open; containers
#: are knocked over; things get stuck under the sensor; walls and corners send echoes; the air is not at 20 degC.
EFFECTS = frozenset(("bag", "heap", "damp", "lid", "tilt", "obstacle", "multipath", "air"))

#: Deposits by hour of the day, relative.
_BY_HOUR = (1, 1, 0, 0, 0, 1, 3, 6, 8, 8, 9, 10, 14, 14, 10, 8, 9, 11, 12, 10, 8, 6, 4, 2)

_NOISE_MM = 3.0
_SAMPLES = 7


@dataclass(frozen=True)
class Container:
    """A round one, sizes in mm: from the sensor to the bottom and to the full mark, diameters at both."""

    empty_mm: int = 1200
    full_mm: int = 250
    bottom_mm: int = 360
    top_mm: int = 480

    def share_below(self, height_mm: float) -> float:
        """Volume below a height, as a share of the volume below the full mark."""
        high = self.empty_mm - self.full_mm
        slope = (self.top_mm - self.bottom_mm) / high

        def cone(h: float) -> float:
            at = self.bottom_mm + slope * h
            return h * (self.bottom_mm**2 + self.bottom_mm * at + at * at)

        return cone(max(height_mm, 0.0)) / cone(high)

    def height_of(self, share: float) -> float:
        """Height in mm at which `share` of the volume lies below; beyond the full mark, too."""
        low, high = 0.0, float(self.empty_mm)
        for _ in range(24):
            middle = (low + high) / 2
            if self.share_below(middle) < share:
                low = middle
            else:
                high = middle
        return low


@dataclass(frozen=True)
class Burst:
    """What the sensors say at `t_s`, and what is true."""

    t_s: int
    samples: list[int | None]
    tilt_deg: int
    lid_open: bool
    fill: float  # per cent of the usable volume, above 100 when overfull
    emptied: bool  # since the burst before
    dropped: float  # points by which
    obstructed: bool
    air_c: float  # inside


class BinSim:
    """seed: everything random comes from it. busy_days: until full. effects: a part of EFFECTS.

    lid_switch: whether the lid's contact is there; an open lid is not told without. first_day: of the year.
    """

    def __init__(
        self,
        seed: int,
        *,
        container: Container | None = None,
        busy_days: float = 4.0,
        every_days: int = 3,
        interval_s: int = 3600,
        effects: frozenset[str] = EFFECTS,
        lid_switch: bool = True,
        first_day: int = 0,
    ) -> None:
        unknown = effects - EFFECTS
        if unknown:
            raise ValueError(f"no such effect: {', '.join(sorted(unknown))}")
        self.container = container or Container()
        self.busy_days = busy_days
        self.every_days = every_days
        self.interval_s = interval_s
        self.effects = effects
        self.lid_switch = lid_switch
        self.first_day = first_day
        self._random = random.Random(seed)
        self._firm = self._loose = 0.0
        self._offset = self._bulge = 0.0
        self._lid_until = self._tilt_until = self._block_until = self._damp_until = 0
        self._block_mm = self._open_mm = 0.0

    def bursts(self, days: int) -> Iterator[Burst]:
        next_visit = self._visit(0)
        for t in range(self.interval_s, days * DAY_S + 1, self.interval_s):
            emptied, dropped = False, 0.0
            self._fill(t)
            if t >= next_visit:
                emptied, dropped = True, self._empty()
                next_visit = self._visit(t)
            self._events(t)
            fill = 100 * (self._firm + self._loose)
            tilted, open_ = t < self._tilt_until, t < self._lid_until
            distance = self._distance(t, fill / 100)
            air_c = air_temperature(t + self.first_day * DAY_S)
            samples = [self._echo(t, distance, air_c) for _ in range(_SAMPLES)]
            yield Burst(
                t,
                samples,
                85 if tilted else self._random.randrange(4),
                open_ and self.lid_switch,
                fill,
                emptied,
                dropped,
                t < self._block_until,
                air_c,
            )

    def _visit(self, t: int) -> int:
        day = t // DAY_S + self.every_days
        return day * DAY_S + int(self._random.uniform(6.0, 9.0) * 3600)

    def _fill(self, t: int) -> None:
        r = self._random
        hours = self.interval_s / 3600
        self._loose *= math.exp(-hours / 12)
        # 0.6 % of the volume a deposit on average, of which a quarter is air that settles.
        wanted = 1 / (self.busy_days * 0.0055) * _BY_HOUR[t // 3600 % 24] / sum(_BY_HOUR) * hours
        for _ in range(_poisson(r, wanted)):
            volume = r.lognormvariate(math.log(0.004), 0.8)
            if r.random() < 0.01:
                volume += r.uniform(0.03, 0.12)
            if self._firm + self._loose + volume > 1.15:
                break
            self._firm += 0.75 * volume
            self._loose += 0.25 * volume
            self._offset = 0.8 * self._offset + r.gauss(0, 18)
            self._bulge *= math.exp(-volume / 0.05)

    def _empty(self) -> float:
        r = self._random
        before = self._firm + self._loose
        self._firm, self._loose, self._offset = r.uniform(0, 0.03), 0.0, 0.0
        self._bulge = r.uniform(50, 300) if r.random() < 0.5 else 0.0
        self._block_until = 0
        return 100 * (before - self._firm)

    def _events(self, t: int) -> None:
        r = self._random
        share = self.interval_s / DAY_S
        if r.random() < share / 45:
            self._lid_until = t + r.randrange(1, 12) * 3600
            self._open_mm = r.uniform(1400, 3500)
        if r.random() < share / 150:
            self._tilt_until = t + r.randrange(2, 15) * 3600
        if r.random() < share / 30 and t >= self._block_until:
            self._block_until = t + r.randrange(2, 40) * 3600
            self._block_mm = r.uniform(40, 130)
        if t // 3600 % 24 == 5 and r.random() < 0.15:
            self._damp_until = t + r.randrange(2, 5) * 3600
        for name, until in (
            ("lid", "_lid_until"),
            ("tilt", "_tilt_until"),
            ("obstacle", "_block_until"),
            ("damp", "_damp_until"),
        ):
            if name not in self.effects:
                setattr(self, until, 0)

    def _distance(self, t: int, share: float) -> float:
        """From the sensor to what is under it."""
        if t < self._tilt_until:
            return self._random.uniform(300, 2500)
        if t < self._lid_until:
            return self._open_mm
        if t < self._block_until:
            return self._block_mm
        height = self.container.height_of(share)
        if "heap" in self.effects:
            height += self._offset
        if "bag" in self.effects:
            height = max(height, self._bulge)
        return self.container.empty_mm - height

    def _echo(self, t: int, mm: float, air_c: float) -> int | None:
        r = self._random
        effects = self.effects
        chance = r.random()
        if t < self._damp_until:
            if chance < 0.3:
                return None
            if chance < 0.5:
                mm = r.uniform(30, 60)
        elif "multipath" in effects:
            if chance < 0.03:
                return None
            if chance < 0.07:
                mm *= r.uniform(1.1, 1.8)
            elif chance < 0.10:
                mm *= r.uniform(0.3, 0.9)
        if "air" in effects:
            mm *= _SOUND_20 / _sound(air_c)
        mm += r.gauss(0, _NOISE_MM)
        return round(mm) if 30 <= mm <= 4500 else None


def _poisson(r: random.Random, mean: float) -> int:
    limit, n, product = math.exp(-mean), 0, r.random()
    while product > limit:
        product *= r.random()
        n += 1
    return n


def _sound(temperature_c: float) -> float:
    return 331.3 * math.sqrt(1 + temperature_c / 273.15)


_SOUND_20 = _sound(20.0)


def air_temperature(t_s: int) -> float:
    """Inside a container in the sun, degC; the year begins in January, the coolest hour is 5 o'clock."""
    year = math.cos(2 * math.pi * (t_s / DAY_S - 20) / 365.25)
    day = math.cos(2 * math.pi * (t_s / 3600 - 17) / 24)
    return 13 - 10 * year + (8 - 5 * year) * day
