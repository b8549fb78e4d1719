"""How right the bin rules are on synthetic containers: the tables of docs/guides/bin.md.

usage: python -m tools.figures_bin [--check]

hw/virtual/bin_sim.py makes bursts of echoes of containers whose contents are known; firmware/furniture (echo,
geometry, bin) says what it makes of them. Nothing here was measured on a real container.
`--check` writes nothing and fails when the page is stale.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware.furniture import bin as rules
from firmware.furniture import echo, geometry
from firmware.furniture.fire import heat
from hw.virtual.bin_sim import DAY_S, EFFECTS, BinSim, Burst, Container, air_temperature
from tools.figures_water import put, table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/guides/bin.md"

CONTAINER = Container()
SHAPE = (
    CONTAINER.empty_mm,
    CONTAINER.full_mm,
    *(CONTAINER.bottom_mm,) * 2,
    *(CONTAINER.top_mm,) * 2,
)
SEEDS = tuple(range(1, 17))
SEEDS_OF_PARTS = tuple(range(101, 109))
DAYS = 60
#: A drop that the rule can see at all, points.
VISIBLE = 30
#: Hours within which an event counts as that of the truth.
LATE_H = 24

FULL, EMPTIED, OBSTRUCTED, FIRE, FAILURE = 1, 2, 4, 8, 128


@dataclass
class Score:
    """Sums over bursts."""

    bursts: int = 0
    exact: int = 0
    within: int = 0
    points: float = 0.0
    levels: int = 0
    emptied: int = 0
    small: int = 0
    small_told: int = 0
    told: int = 0
    false: int = 0
    full: int = 0
    full_missed: int = 0
    full_false: int = 0
    blocked: int = 0
    blocked_told: int = 0
    blocked_false: int = 0
    failures: int = 0
    seconds: int = 0

    @property
    def years(self) -> float:
        return self.seconds / (365.25 * DAY_S)


#: What a way of reading makes of one burst: fill in %, class, alarm bits.
Reader = Callable[[Burst], tuple["int | None", "int | None", int]]


def with_rules(shape: Sequence[int] = SHAPE, *, air: bool = False) -> Reader:
    """The firmware's own way; with `air` a thermometer in the container corrects the distance."""
    watch = rules.Watch(tuple(shape))
    told: list[int | None] = [None]

    def read(b: Burst) -> tuple[int | None, int | None, int]:
        mm, quality, _ = echo.burst(b.samples)
        if air and mm is not None:
            mm = echo.in_air(mm, round(10 * b.air_c))
        alarms = watch.step(b.t_s, mm, quality, b.tilt_deg, b.lid_open)
        if watch.fill is not None:
            told[0] = rules.fill_class(watch.fill, told[0])
        return watch.fill, told[0], alarms

    return read


def simple() -> Reader:
    """For comparison: the burst's first echo, straight walls, no second look."""
    last: list[int | None] = [None]

    def read(b: Burst) -> tuple[int | None, int | None, int]:
        mm = b.samples[0]
        fill = 0 if mm is None else (geometry.permille(mm, SHAPE[:2]) + 5) // 10
        before, last[0] = last[0], fill
        alarms = FULL if fill >= 90 else 0
        if before is not None and before - fill >= VISIBLE:
            alarms |= EMPTIED
        return fill, rules.fill_class(fill), alarms

    return read


def judge(bursts: Iterable[Burst], read: Reader, score: Score) -> None:
    """Add one container's bursts to the score."""
    due: Burst | None = None
    blocked = blocked_told = was_blocked_alarm = was_failure = False
    for b in bursts:
        fill, level, alarms = read(b)
        score.bursts += 1
        true = min(b.fill, 100.0)
        if fill is not None and level is not None:
            off = abs(level - rules.fill_class(round(true)))
            score.levels += 1
            score.exact += off == 0
            score.within += off <= 1
            score.points += abs(fill - true)
        if b.emptied:
            due = b
            score.emptied += b.dropped >= VISIBLE
            score.small += b.dropped < VISIBLE
        if alarms & EMPTIED:
            if due is None or b.t_s - due.t_s > LATE_H * 3600:
                score.false += 1
            elif due.dropped >= VISIBLE:
                score.told += 1
            else:
                score.small_told += 1
            due = None
        score.full += true >= 90
        score.full_missed += true >= 90 and not alarms & FULL
        score.full_false += true < 80 and bool(alarms & FULL)
        if b.obstructed and not blocked:
            score.blocked += 1
            blocked_told = False
        blocked = b.obstructed
        now = bool(alarms & OBSTRUCTED)
        if now and blocked and not blocked_told:
            score.blocked_told += 1
            blocked_told = True
        score.blocked_false += now and not was_blocked_alarm and not blocked
        was_blocked_alarm = now
        failed = bool(alarms & FAILURE)
        score.failures += failed and not was_failure
        was_failure = failed


def fleet(
    seeds: Sequence[int],
    reader: Callable[[], Reader] = with_rules,
    effects: frozenset[str] = EFFECTS,
    *,
    lid_switch: bool = True,
) -> Score:
    """Containers of all kinds of streets: full in 1.5 to 9 days, emptied every 2 to 4, in all seasons."""
    score = Score()
    for seed in seeds:
        sim = BinSim(
            seed,
            busy_days=1.5 + seed * 5 % 16 / 2,
            every_days=2 + seed % 3,
            effects=effects,
            lid_switch=lid_switch,
            first_day=seed * 23 % 365,
        )
        judge(sim.bursts(DAYS), reader(), score)
        score.seconds += DAYS * DAY_S
    return score


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def line(name: str, s: Score) -> tuple[str, ...]:
    return (
        name,
        share(s.exact, s.levels),
        share(s.within, s.levels),
        f"{s.points / s.levels:.1f}",
        f"{s.emptied - s.told} of {s.emptied}",
        f"{s.small_told} of {s.small}",
        f"{s.false / s.years:.1f}",
        share(s.full_missed, s.full),
        f"{s.blocked_told} of {s.blocked}",
        f"{s.blocked_false / s.years:.1f}",
        f"{s.failures / s.years:.1f}",
    )


HEAD = (
    "",
    "class exact",
    "within one",
    "mean error, points",
    "emptied missed",
    f"emptied under {VISIBLE} points, told",
    "false emptied per year",
    "full hours not told",
    "obstacles told",
    "false obstacles per year",
    "sensor failures per year",
)


def accuracy() -> str:
    lines = [
        line("the rules", fleet(SEEDS)),
        line("the rules, air's temperature known", fleet(SEEDS, lambda: with_rules(air=True))),
        line("the rules, no lid switch", fleet(SEEDS, lid_switch=False)),
        line("the rules, straight walls assumed", fleet(SEEDS, lambda: with_rules(SHAPE[:2]))),
        line(
            "straight walls, air's temperature known", fleet(SEEDS, lambda: with_rules(SHAPE[:2], air=True))
        ),
        line("first echo, straight walls, no rules", fleet(SEEDS, simple)),
    ]
    return table(HEAD, lines)


def parts() -> str:
    """Which effect costs what: each one alone."""
    lines = [line("none of them", fleet(SEEDS_OF_PARTS, effects=frozenset()))]
    lines += [line(e, fleet(SEEDS_OF_PARTS, effects=frozenset((e,)))) for e in sorted(EFFECTS)]
    return table(HEAD, lines)


def faults() -> str:
    """Hours from a sensor's fault to `sensor_failure`, and which fault was said."""

    def dead(b: Burst, r: random.Random) -> list[int | None]:
        return [None] * 7

    def flood(b: Burst, r: random.Random) -> list[int | None]:
        return [r.randrange(30, 4500) for _ in range(7)]

    def far(b: Burst, r: random.Random) -> list[int | None]:
        return [r.randrange(4380, 4420) for _ in range(7)]

    def frozen(b: Burst, r: random.Random) -> list[int | None]:
        return [777] * 7

    words = ("", "no echo", "scattered", "beyond the bottom", "frozen")
    lines = []
    for name, fault in (("dies", dead), ("floods", flood), ("lies (4.4 m)", far), ("freezes", frozen)):
        hours: list[float] = []
        said: set[str] = set()
        kept = 0
        for seed in SEEDS_OF_PARTS:
            r = random.Random(seed)
            watch = rules.Watch(SHAPE)
            begin, found = 20 * DAY_S, False
            last = None
            for b in BinSim(seed).bursts(30):
                samples = b.samples if b.t_s < begin else fault(b, r)
                mm, quality, _ = echo.burst(samples)
                alarms = watch.step(b.t_s, mm, quality, b.tilt_deg, b.lid_open)
                if b.t_s < begin:
                    last = watch.fill
                elif alarms & FAILURE and not found:
                    found = True
                    hours.append((b.t_s - begin) / 3600)
                    said.add(words[watch.fault])
                    kept += watch.fill == last
        hours.sort()
        lines.append(
            (
                name,
                f"{len(hours)} of {len(SEEDS_OF_PARTS)}",
                f"{hours[len(hours) // 2]:.0f}" if hours else "-",
                f"{hours[-1]:.0f}" if hours else "-",
                ", ".join(sorted(said)),
                f"{kept} of {len(hours)}",
            )
        )
    head = ("the sensor", "told", "hours, median", "worst", "as", "last level kept")
    return table(head, lines)


def fires() -> str:
    """Minutes from a fire to its alarm, and false ones in the sun, with a temperature a minute."""
    lines = []
    for rise in (2, 5, 10, 40):
        minutes: list[int] = []
        false = 0
        quiet_s = 0
        for seed in SEEDS_OF_PARTS:
            r = random.Random(seed)
            watch = rules.Watch(SHAPE)
            start = r.randrange(100, 250) * DAY_S
            burns = start + 5 * DAY_S + r.randrange(24) * 3600
            sun = 0.0
            told = False
            for t in range(start, burns + 3600, 60):
                # A cloud goes, the lid heats up by 25 K within a quarter of an hour.
                shines = 9 <= t // 3600 % 24 < 18 and t // 1800 % 3 > 0
                sun += (25.0 * shines - sun) / 15
                value = air_temperature(t) + sun + r.gauss(0, 0.1)
                if t >= burns:
                    value += min(rise * (t - burns) / 60, 600)
                reading = 850 if r.random() < 0.0005 else min(round(value * 10), 1250)
                alarm = bool(heat(watch.s, watch.r, t, reading) & FIRE)
                if alarm and not told:
                    if t < burns:
                        false += 1
                    else:
                        minutes.append((t - burns) // 60)
                told = alarm
            quiet_s += burns - start
        minutes.sort()
        lines.append(
            (
                f"{rise} K a minute",
                f"{len(minutes)} of {len(SEEDS_OF_PARTS)}",
                f"{minutes[len(minutes) // 2]}",
                f"{minutes[-1]}",
                f"{false} in {quiet_s / DAY_S:.0f} days",
            )
        )
    return table(("fire", "told", "minutes, median", "worst", "false"), lines)


def page(text: str) -> str:
    for name, make in (("accuracy", accuracy), ("parts", parts), ("faults", faults), ("fires", fires)):
        text = put(text, name, make())
    return text


def main(arguments: list[str]) -> int:
    old = PAGE.read_text()
    new = page(old)
    if arguments == ["--check"]:
        if new != old:
            print(f"{PAGE.relative_to(ROOT)} is stale: python -m tools.figures_bin")
        return int(new != old)
    if new != old:
        PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
