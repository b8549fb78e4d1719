"""Water meter with a reed contact, driven by a series of index readings.

Leg `pulse`: 1 open (the MCU's pull-up), 0 closed. Each `litres_per_pulse` of index closes the contact once;
between two readings the water flows evenly, so the pulses lie where the interpolated index passes a step.

Not modelled: magnets and tampering, the register's play, reverse flow, contact resistance.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hw.virtual.chips.base import Handle, PinChip

#: A reading below the one before that is made good within this time was a slip, else the meter was changed.
_SLIP_US = 24 * 3600 * 1_000_000
#: The contact is closed for half a step, at most as long as this.
_CLOSED_US = 200_000


@dataclass
class Series:
    """Readings (virtual us, litres), strictly later and never less within a part; each part is one meter.

    `findings` names every reading that did not fit, in the order of time.
    """

    parts: list[list[tuple[int, float]]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def read_csv(path: Path, start: str) -> list[tuple[int, float]]:
    """Rows `time,index in litres` of a meter file; `start` (same local time) becomes virtual time 0.

    Raises ValueError naming the line of a row that is no reading.
    """
    zero = datetime.fromisoformat(start)
    readings = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if number == 1 and row and not row[1:2][0][:1].isdigit():
                continue
            try:
                when, litres = datetime.fromisoformat(row[0]), float(row[1])
            except (IndexError, ValueError) as error:
                raise ValueError(f"{path.name}:{number}: no reading: {error}") from None
            if not math.isfinite(litres):
                raise ValueError(f"{path.name}:{number}: no reading: {row[1]}")
            readings.append((round((when - zero).total_seconds() * 1e6), litres))
    return readings


def clean(readings: Iterable[tuple[int, float]]) -> Series:
    """Sort out what a contact cannot follow: repeated times, falling indexes; gaps are bridged and named."""
    rows: list[tuple[int, float]] = []
    found: list[tuple[int, str]] = []
    for t, litres in sorted(readings, key=lambda r: r[0]):
        if rows and rows[-1][0] == t:
            found.append((t, f"repeat: {rows[-1][1]:g} l and {litres:g} l, the last is taken"))
            rows.pop()
        rows.append((t, litres))
    steps = sorted(b[0] - a[0] for a, b in itertools.pairwise(rows))
    usual = steps[len(steps) // 2] if steps else 0
    parts: list[list[tuple[int, float]]] = []
    part: list[tuple[int, float]] = []
    for i, (t, litres) in enumerate(rows):
        if part and litres < part[-1][1]:
            before = part[-1][1]
            later = (other for at, other in rows[i + 1 :] if at - t <= _SLIP_US)
            if any(other >= before for other in later):
                found.append((t, f"slip: {litres:g} l after {before:g} l, left out"))
                continue
            found.append((t, f"decrease: {litres:g} l after {before:g} l, a new meter"))
            parts.append(part)
            part = []
        elif part and t - part[-1][0] > 2 * usual:
            hours = (t - part[-1][0]) / 3.6e9
            found.append((t, f"gap: {hours:.1f} h with {litres - part[-1][1]:g} l, spread evenly"))
        part.append((t, litres))
    if part:
        parts.append(part)
    return Series(parts, [f"{t / 1e6:.0f} s: {text}" for t, text in sorted(found)])


def pulses(series: Series, litres_per_pulse: float) -> Iterator[tuple[int, int]]:
    """(instant, microseconds to the next step at this flow) of each pulse."""
    for part in series.parts:
        for (t0, a), (t1, b) in itertools.pairwise(part):
            if b <= a:
                continue
            per = litres_per_pulse * (t1 - t0) / (b - a)
            step = math.floor(a / litres_per_pulse) + 1
            while step * litres_per_pulse <= b:
                t = t0 + round((step * litres_per_pulse - a) / (b - a) * (t1 - t0))
                yield t, round(per)
                step += 1


class PulseMeter(PinChip):
    """series: readings (virtual us, litres). bounces: extra short contacts at each closing and opening.

    `count` is the number of closings so far; `findings` what was wrong with the series.
    """

    def __init__(
        self, series: Sequence[tuple[int, float]] = (), *, litres_per_pulse: float = 1.0, bounces: int = 0
    ) -> None:
        super().__init__()
        if litres_per_pulse <= 0:
            raise ValueError("litres_per_pulse must be above 0")
        self.series = clean(series)
        self.litres_per_pulse = litres_per_pulse
        self.bounces = bounces
        self.count = 0
        self._handle: Handle | None = None
        self._plan: Iterator[tuple[int, int]] = iter(())

    @property
    def findings(self) -> list[str]:
        return self.series.findings

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution of the flow of `set_physical`, m3/s: a meter of Q3 = 2.5 m3/h."""
        return 0.0, 2.5 / 3600, 0.001 / 3600

    def set_physical(self, value: float) -> None:
        """From now on a constant flow in m3/s instead of the series."""
        self.port.cancel(self._handle)
        self._plan = self._constant(value)
        self._plan_next()

    def _constant(self, flow: float) -> Iterator[tuple[int, int]]:
        if flow > 0:
            per = self.litres_per_pulse / 1000 / flow * 1e6
            start = self.port.now_us
            i = 1
            while True:
                yield start + round(i * per), round(per)
                i += 1

    def reset(self) -> None:
        self.port.cancel(self._handle)
        self.port.set_pin("pulse", 1)
        now = self.port.now_us
        self._plan = (p for p in pulses(self.series, self.litres_per_pulse) if p[0] >= now)
        self._plan_next()

    def _plan_next(self) -> None:
        pulse = next(self._plan, None)
        if pulse is None:
            self._handle = None
            return
        t, per = pulse
        self._handle = self.port.at(t, lambda: self._close(min(_CLOSED_US, max(1, per // 2))))

    def _close(self, closed_us: int) -> None:
        self.count += 1
        self._bounce(0)
        self.port.at(self.port.now_us + closed_us, lambda: self._bounce(1))
        self._plan_next()

    def _bounce(self, level: int) -> None:
        """The contact reaches `level`, with short returns in the first milliseconds."""
        self.port.set_pin("pulse", level)
        t = self.port.now_us
        for _ in range(self.bounces):
            t += self.port.random.randrange(50, 400)
            self.port.at(t, lambda: self.port.set_pin("pulse", 1 - level))
            t += self.port.random.randrange(50, 400)
            self.port.at(t, lambda: self.port.set_pin("pulse", level))
