"""The pictures of the guides: a week of plans, the night in which the clocks go back, a leak, a bin that fills.

usage: python -m tools.pictures_furniture [--check]

Everything drawn is computed: plans by the lamp's own table (firmware/furniture/night.py) and by the second
evaluator (host_tools/schedule), the leak and the bin by the firmware's rules on synthetic series with known truth.
Writes plan-week.svg, plan-dst.svg, leak.svg and bin.svg into docs/pictures. `--check` writes nothing and fails
when one is stale.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from firmware.furniture import bin as bin_rules
from firmware.furniture import echo, leak, night
from host_tools import plan as packer
from host_tools import schedule
from host_tools.plot import Curve, Panel, draw
from host_tools.schedule.zone import Zone
from host_tools.sim_plots import Local, nights
from hw.virtual.bin_sim import BinSim
from tools.figures_bin import SHAPE
from tools.figures_water import Row, replay

FOLDER = Path(__file__).resolve().parents[1] / "docs/pictures"
SCENARIOS = Path(__file__).resolve().parents[1] / "hw/virtual/scenarios"
CET = "CET-1CEST,M3.5.0,M10.5.0/3"
ZONE = Local(Zone(CET))
ANGERS = (47.4736, -0.5542)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
HOUR, DAY = 3600, 86400
AT = f"Angers, local time ({CET})."

Points = list[tuple[float, float | None]]


def fixed(*points: tuple[str, int], period: tuple[str, str]) -> dict[str, Any]:
    """A plan of fixed times in one active period."""
    controls = [{"startTime": at, "command": {"state": {"level": level}}} for at, level in points]
    periods = [{"name": "AbsoluteActivePeriod", "startTime": period[0], "endTime": period[1]}]
    program = {"id": "fixed", "activePeriods": periods, "fixedTimeControls": controls}
    return {
        "format": packer.FORMAT,
        "timezone": CET,
        "latitude": ANGERS[0],
        "longitude": ANGERS[1],
        "defaultLightState": 100,
        "controlPrograms": [program],
        "calendar": {"defaultProgram": "fixed"},
    }


def levels(title: str, plan: dict[str, Any], begin: float, end: float) -> Panel:
    """What the second evaluator wants and what the lamp's table says."""
    first, last = (datetime.fromtimestamp(t, UTC) for t in (begin, end))
    wanted: Points = [
        (c.utc.timestamp(), float(c.state.level)) for c in schedule.changes(schedule.parse(plan), first, last)
    ]
    blob, table = packer.compile(plan), None
    told: Points = []
    t = int(begin - EPOCH)
    while t < end - EPOCH:
        if table is None or not table.begin <= t < table.end:
            table = night.Night(night.build(blob, t))
        level, _, until = table.at(t)
        if not told or told[-1][1] != level:
            told.append((t + EPOCH, float(level)))
        t = until
    curves = [Curve(name, [*p, (end, p[-1][1])], True) for name, p in (("evaluator", wanted), ("lamp", told))]
    return Panel(title, "%", curves, 0, 100)


def plan_week() -> str:
    """Seven nights from noon to noon around the end of summer time."""
    begin = datetime(2026, 10, 20, 10, tzinfo=UTC).timestamp()
    end = datetime(2026, 10, 27, 11, tzinfo=UTC).timestamp()
    sun = json.loads((SCENARIOS / "week-plan.json").read_text(encoding="utf-8"))
    clock = fixed(("18:30:00", 100), ("22:30:00", 40), ("05:30:00", 100), period=("18:30:00", "07:30:00"))
    panels = [
        levels("With the sun: lit from sunset to sunrise, a program of its own on Saturday", sun, begin, end),
        levels("By the clock alone: 18:30 to 07:30 every day, 40 % from 22:30 to 05:30", clock, begin, end),
    ]
    note = f"{AT} Shaded: night. Clocks go back on Sunday 25 October, 03:00: then dawn comes an hour earlier."
    return page("A lighting plan's week", panels, begin, end, note)


def plan_dst() -> str:
    """The night in which 02:00 to 03:00 comes twice."""
    begin = datetime(2026, 10, 24, 20, tzinfo=UTC).timestamp()
    end = datetime(2026, 10, 25, 8, tzinfo=UTC).timestamp()
    twice = fixed(("12:00:00", 100), ("02:30:00", 30), ("05:00:00", 70), period=("18:30:00", "07:30:00"))
    short = fixed(("12:00:00", 80), period=("02:15:00", "02:45:00"))
    panels = [
        levels("Fixed times: 30 % at 02:30, 70 % at 05:00", twice, begin, end),
        levels("An active period from 02:15 to 02:45", short, begin, end),
    ]
    note = (
        f"{AT} 02:00 to 03:00 comes twice, the first time counts: each switch happens once.\n"
        "The hours on the axis are those of the clock on the wall, so that two hours lie between 02:00 and 03:00."
    )
    return page("The night in which the clocks go back, 24 to 25 October 2026", panels, begin, end, note)


def page(title: str, panels: Sequence[Panel], begin: float, end: float, note: str) -> str:
    return draw(title, panels, begin, end, ZONE, nights(begin, end, *ANGERS), note)


# Water

LEAK_LH = 20
DAYS, FIRST, LEAK_FROM, LEAK_TO = 24, 14, 16 * 24 + 15, 20 * 24 + 10
#: Litres that a household of three takes in the hours of a day, and the share of days on which it does.
HABITS = (
    *((6, 35, 0.9), (7, 60, 0.9), (8, 15, 0.6), (12, 25, 0.7), (13, 15, 0.5), (17, 12, 0.5), (18, 30, 0.8)),
    *((19, 45, 0.9), (20, 70, 0.7), (21, 25, 0.8), (22, 10, 0.6), (23, 6, 0.2), (1, 6, 0.15), (3, 6, 0.1)),
)


def household() -> list[Row]:
    """Hourly indices of a made household, with a leak of LEAK_LH from one instant to another."""
    rng = random.Random(4)
    rows, index = [Row(0, 151_000, 23)], 151_000
    for hour in range(DAYS * 24):
        for at, litres, often in HABITS:
            if at == hour % 24 and rng.random() < often:
                index += round(litres * rng.uniform(0.5, 1.6))
        index += LEAK_LH * (LEAK_FROM <= hour < LEAK_TO)
        rows.append(Row((hour + 1) * HOUR, index, hour % 24))
    return rows


def leak_page() -> str:
    begin = datetime(2026, 9, 14, 22, tzinfo=UTC).timestamp() - FIRST * DAY
    rows = household()
    flow: Points = []
    for a, b in pairwise(rows):
        litres = float(b.index_l - a.index_l)
        flow += [(begin + a.t_s, litres), (begin + b.t_s, litres)]
    state: Points = []
    rules: dict[str, Points] = {"continuous": [], "night line": [], "CUSUM": []}
    bits = (leak.CONTINUOUS, leak.NIGHT, leak.CUSUM)
    marks, before = [], 0
    for t, meter in replay(rows):
        if meter.state > before:
            marks.append((begin + t, ("", "leak suspected", "leak detected")[meter.state]))
        before = meter.state
        state.append((begin + t, float(meter.state)))
        for n, points in enumerate(rules.values()):
            points.append((begin + t, n + 0.8 * bool(meter.rules & bits[n])))
    real = [(begin + LEAK_FROM * HOUR, f"a leak of {LEAK_LH} l/h"), (begin + LEAK_TO * HOUR, "mended")]
    panels = [
        Panel("Water by the hour", "l/h", [Curve("flow", flow)], 0, 1, real),
        Panel(
            "What the meter says",
            "",
            [Curve("state", state, True)],
            0,
            2,
            marks,
            ("none", "suspected", "detected"),
        ),
        Panel(
            "Which rule says so",
            "",
            [Curve(n, p, True) for n, p in rules.items()],
            0,
            3,
            (),
            tuple(rules),
        ),
    ]
    first, last = begin + FIRST * DAY, begin + DAYS * DAY
    note = (
        "A made household: habits and leak are assumptions. The rules are the firmware's, with usual numbers."
    )
    return draw("A leak and what the meter makes of it", panels, first, last, ZONE, (), note)


# Bin

CLASSES = ("empty", "quarter", "half", "3 quarters", "full")


def bin_page() -> str:
    begin = datetime(2026, 6, 7, 22, tzinfo=UTC).timestamp()
    days = 12
    bursts = list(BinSim(3, busy_days=4.0, every_days=4).bursts(days))
    watch = bin_rules.Watch(SHAPE)
    true: Points = []
    told: Points = []
    classes: Points = []
    left: Points = []
    marks, kind, alarms = [], None, 0
    names = {1: "full", 2: "emptied", 4: "obstructed", 16: "tilted", 32: "lid open"}
    for b in bursts:
        at = begin + b.t_s
        mm, quality, _ = echo.burst(b.samples)
        now = watch.step(b.t_s, mm, quality, b.tilt_deg, b.lid_open)
        marks += [(at, name) for bit, name in names.items() if now & bit & ~alarms and bit in (1, 2, 4)]
        alarms = now
        true.append((at, min(b.fill, 100.0)))
        if watch.fill is None:
            continue
        told.append((at, float(watch.fill)))
        kind = bin_rules.fill_class(watch.fill, kind)
        classes.append((at, float(kind)))
        hours = watch.hours_to_full()
        left.append((at, None if hours is None else hours / 24))
    panels = [
        Panel("Fill", "%", [Curve("true", true), Curve("told", told)], 0, 100, marks),
        Panel("Class", "", [Curve("told", classes, True)], 0, 4, (), CLASSES),
        Panel(
            "Forecast: days until 90 %",
            "d",
            [Curve("true", until_full(true)), Curve("told", left)],
            0,
            1,
        ),
    ]
    note = (
        "A synthetic container with all that disturbs an echo (hw/virtual/bin_sim.py); the firmware's rules.\n"
        "A forecast knows of no emptying: where the truth has a gap, the bin was emptied before it was full."
    )
    return draw("A bin that fills", panels, begin, begin + days * DAY, ZONE, (), note)


def until_full(true: Points) -> Points:
    """Days to the next instant at 90 %; none where the bin is emptied before."""
    found: Points = []
    for n, (at, fill) in enumerate(true):
        last, days = fill or 0.0, None
        for later, value in true[n:]:
            if value is None or value < last - 15:
                break
            last = value
            if value >= bin_rules.RULES[0]:
                days = (later - at) / DAY
                break
        found.append((at, days))
    return found


PICTURES = {"plan-week.svg": plan_week, "plan-dst.svg": plan_dst, "leak.svg": leak_page, "bin.svg": bin_page}


def main(arguments: list[str]) -> int:
    stale = []
    for name, make in PICTURES.items():
        path, text = FOLDER / name, make()
        if arguments == ["--check"]:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(f"docs/pictures/{name} is stale: python -m tools.pictures_furniture")
            continue
        path.write_text(text, encoding="utf-8")
        print(f"{len(text) / 1024:6.1f} KB docs/pictures/{name}")
    if stale:
        print("\n".join(stale), file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
