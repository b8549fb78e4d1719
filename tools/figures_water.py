"""What the leak rules find and what they cost, on real meters: the tables of docs/guides/leak.md.

usage: python -m tools.figures_water [--check]

Replays the hourly index series of LANTERNE_DATA/water (class 1 data of unnamed households, CC-BY-SA 4.0) through
firmware/furniture/leak.py as a meter node would: one call an hour, gaps and decreases as they come. Nobody
labelled the series, so an alarm on them may be a true leak. Leaks are made by adding litres to the index.
`--check` writes nothing and fails when the page is stale.
"""

from __future__ import annotations

import csv
import datetime as dt
import os
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from firmware.furniture import leak

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/guides/leak.md"

ZONE = ZoneInfo("Europe/Madrid")
#: Setting 3 of the meters there: a node has local standard time, and no summer time.
STANDARD_S = 3600
CHOSEN_ON = tuple(range(1, 7))
REPORTED_ON = tuple(range(7, 13))
LEAKS_LH = (2, 5, 20, 100)
YEAR_S = 365.25 * 86400

WARM_UP_S = 21 * 86400
SEARCH_S = 30 * 86400
STARTS = 24
STARTS_OF_CHOICE = 8
#: Of a building in which some water always runs; its continuous flow rule is off.
STEADY_LH = 30

#: What can begin and end: name, and how it shows on a Leak.
WATCHED: tuple[tuple[str, Callable[[leak.Leak], bool]], ...] = (
    ("continuous flow", lambda m: bool(m.rules & leak.CONTINUOUS)),
    ("night line", lambda m: bool(m.rules & leak.NIGHT)),
    ("CUSUM", lambda m: bool(m.rules & leak.CUSUM)),
    ("leak suspected", lambda m: m.state != leak.NONE),
    ("leak detected", lambda m: m.state == leak.DETECTED),
    ("flow high", lambda m: bool(m.alarms & 32)),
    ("blocked meter", lambda m: bool(m.alarms & 8)),
    ("back flow", lambda m: bool(m.alarms & 4)),
)


class Row(NamedTuple):
    t_s: int
    index_l: int
    of_day: int


class Tally(NamedTuple):
    begins: int
    hours: float
    years: float


def read_series(path: Path) -> list[Row]:
    """Rows in true time, with the local hour as firmware/kinds/leak.py has it: of the middle of what is closed.

    The local time that comes twice in October is the second one when it runs backwards.
    """
    rows: list[Row] = []
    last = 0
    with path.open(newline="") as f:
        for record in csv.DictReader(f):
            local = dt.datetime.fromisoformat(record["time_local"]).replace(tzinfo=ZONE)
            t = int(local.timestamp())
            if t <= last:
                t = int(local.replace(fold=1).timestamp())
            ms = (t - last if last else 3600) * 1000
            middle = (t - ms // 2000 + STANDARD_S) // 3600 % 24
            rows.append(Row(t, int(float(record["index_l"])), middle))
            last = t
    return rows


def replay(
    rows: Iterable[Row], rules: Sequence[int] = leak.RULES, change: Callable[[int, int], int] | None = None
) -> Iterable[tuple[int, leak.Leak]]:
    """The meter after each row; `change` makes another index of (time, index)."""
    meter: leak.Leak | None = None
    before = 0
    for t, index, of_day in rows:
        if change is not None:
            index = change(t, index)
        if meter is None:
            meter = leak.Leak(index, tuple(rules))
        else:
            meter.hour(index, (t - before) * 1000, of_day)
            yield t, meter
        before = t


def tally(rows: Sequence[Row], rules: Sequence[int] = leak.RULES) -> dict[str, Tally]:
    """For each rule: how often it began, and the hours that it stood."""
    begins = dict.fromkeys((n for n, _ in WATCHED), 0)
    hours = dict.fromkeys(begins, 0.0)
    stood = dict.fromkeys(begins, False)
    before = rows[0].t_s
    for t, meter in replay(rows, rules):
        for name, shows in WATCHED:
            now = shows(meter)
            begins[name] += now and not stood[name]
            hours[name] += (t - before) / 3600 if now else 0
            stood[name] = now
        before = t
    years = (rows[-1].t_s - rows[0].t_s) / YEAR_S
    return {n: Tally(begins[n], hours[n], years) for n in begins}


def starts(rows: Sequence[Row], count: int) -> list[int]:
    """Instants of a leak's begin over the series, at all hours of the day."""
    first = rows[0].t_s + WARM_UP_S
    step = (rows[-1].t_s - SEARCH_S - first) // count // 3600 * 3600
    return [first + n * step + n * 5 % 24 * 3600 for n in range(count)]


def found(
    rows: Sequence[Row],
    lph: int,
    names: Sequence[str],
    rules: Sequence[int] = leak.RULES,
    *,
    base_lh: int = 0,
    pulse_l: int = 1,
    count: int = STARTS,
) -> dict[str, list[float | None]]:
    """Hours from each start to the begin of each of these rules; None when not within the search.

    Starts at which the rule stands already are left out: there is nothing to find out.
    """
    out: dict[str, list[float | None]] = {n: [] for n in names}
    watched = [(n, shows) for n, shows in WATCHED if n in names]
    zero = rows[0].t_s
    for start in starts(rows, count):
        part = [r for r in rows if start - WARM_UP_S <= r.t_s <= start + SEARCH_S]

        def leaky(t: int, index: int, begin: int = start) -> int:
            extra = lph * max(0, t - begin) // 3600 + base_lh * (t - zero) // 3600
            return (index + extra) // pulse_l * pulse_l

        when: dict[str, float | None] = {}
        standing: set[str] = set()
        for t, meter in replay(part, rules, leaky):
            if t <= start:
                standing = {n for n, shows in watched if shows(meter)}
                continue
            for name, shows in watched:
                if name not in when and shows(meter):
                    when[name] = (t - start) / 3600
            if len(when) == len(watched):
                break
        for name, hours in out.items():
            if name not in standing:
                hours.append(when.get(name))
    return out


def pooled(many: Iterable[dict[str, list[float | None]]]) -> dict[str, list[float | None]]:
    out: dict[str, list[float | None]] = {}
    for one in many:
        for name, hours in one.items():
            out.setdefault(name, []).extend(hours)
    return out


def said(hours: list[float | None]) -> str:
    """Median and the 90th of 100, and how many were found; a rule that finds fewer than half has no median."""
    if not hours:
        return "no start left"
    n = len(hours)
    hits = sum(h is not None for h in hours)
    order = sorted(float("inf") if h is None else h for h in hours)
    middle, late = statistics.median_low(order), order[n * 9 // 10]
    times = "/".join("-" if h == float("inf") else f"{h:.0f}" for h in (middle, late))
    return f"{times} h, {100 * hits // n} %"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def put(text: str, name: str, content: str) -> str:
    """`text` with what stands between the marks of `name` replaced; KeyError where it has no such marks."""
    marks = re.compile(rf"(<!-- {name}: .*?-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not marks.search(text):
        raise KeyError(name)
    return marks.sub(lambda m: m[1] + "\n" + content + "\n" + m[2], text)


def changed(**places: int) -> tuple[int, ...]:
    """The default rules with some places changed: changed(_0=12)."""
    rules = list(leak.RULES)
    for name, value in places.items():
        rules[int(name[1:])] = value
    return tuple(rules)


def choice(series: dict[int, list[Row]]) -> str:
    """Candidates for each rule on the meters of the choice, the default marked."""
    steady = {"_0": 100000, "_1": 100000}
    candidates: list[tuple[str, str, dict[str, int], int]] = [
        *(("continuous flow", f"{h} h", {"_0": h}, 2) for h in (12, 18, 24, 36, 48)),
        *(("leak detected", f"{h} h", {"_1": h}, 2) for h in (24, 48, 72, 96)),
        *(
            ("night line", f"{margin / 10:.0f} l/h, {n} nights", {"_4": margin, "_6": n}, 20)
            for margin, n in ((20, 1), (20, 2), (20, 3), (50, 3), (20, 5))
        ),
        *(
            ("night line", f"{share} %, {STEADY_LH} l/h running", {"_5": share, **steady}, 20)
            for share in (100, 20, 10)
        ),
        *(
            ("CUSUM", f"{slack / 10:.0f} and {limit / 10:.0f} l/h", {"_7": slack, "_8": limit}, 20)
            for slack, limit in ((10, 60), (20, 120), (30, 200), (50, 200))
        ),
        *(
            ("flow high", f"{flow} l/h, {h} h", {"_9": flow, "_10": h}, 600)
            for flow, h in ((200, 2), (300, 2), (400, 2), (400, 1), (500, 3))
        ),
        *(("blocked meter", f"{h} h", {"_11": h}, 0) for h in (168, 240, 336, 504)),
    ]
    lines = []
    for name, words, places, lph in candidates:
        rules = changed(**places)
        begins = [tally(series[m], rules)[name].begins for m in CHOSEN_ON]
        if lph:
            base = STEADY_LH if rules[0] == steady["_0"] else 0
            tries = (
                found(series[m], lph, (name,), rules, base_lh=base, count=STARTS_OF_CHOICE) for m in CHOSEN_ON
            )
            hours_to = pooled(tries)[name]
            speed = f"{lph} l/h: {said(hours_to)}"
        else:
            speed = ""
        mark = "**" if rules in (leak.RULES, changed(**steady)) else ""
        lines.append((name, mark + words + mark, " ".join(map(str, begins)), speed))
    return table(("rule", "value", "alarms on meters 01 to 06", "added leak: median/90 %, found"), lines)


def untouched(series: dict[int, list[Row]]) -> str:
    """Alarms of each rule on the untouched series that had no say in the choice."""
    tallies = [tally(series[m]) for m in REPORTED_ON]
    lines = []
    for name, _ in WATCHED:
        mine = [t[name] for t in tallies]
        years = sum(t.years for t in mine)
        lines.append(
            (
                name,
                f"{sum(t.begins for t in mine) / years:.1f}",
                " ".join(str(t.begins) for t in mine),
                f"{sum(t.hours for t in mine) / 24 / years:.1f}",
            )
        )
    return table(("rule", "alarms per meter and year", "meters 07 to 12", "days in alarm per year"), lines)


def detection(series: dict[int, list[Row]]) -> str:
    """Hours to each rule for the leaks, on the meters that had no say in the choice."""
    names = [n for n, _ in WATCHED[:5]]
    cases = [pooled(found(series[m], q, names) for m in REPORTED_ON) for q in LEAKS_LH]
    lines = [(n, *(said(c[n]) for c in cases)) for n in names]
    lines.append(("starts", *(str(len(c["leak suspected"])) for c in cases)))
    return table(("rule", *(f"{q} l/h" for q in LEAKS_LH)), lines)


def hard_cases(series: dict[int, list[Row]]) -> str:
    """Where a rule is blind: coarse pulses, and a building in which some water always runs."""
    steady = changed(_0=100000, _1=100000)
    coarse = [
        pooled(
            found(series[m], q, ("continuous flow", "night line", "CUSUM"), pulse_l=10) for m in REPORTED_ON
        )
        for q in LEAKS_LH
    ]
    running = [
        pooled(found(series[m], q, ("night line", "CUSUM"), steady, base_lh=STEADY_LH) for m in REPORTED_ON)
        for q in LEAKS_LH
    ]
    lines = [
        (words, name, *(said(c[name]) for c in cases))
        for words, cases in (("10 litres per pulse", coarse), (f"{STEADY_LH} l/h always running", running))
        for name in cases[0]
    ]
    return table(("case", "rule", *(f"{q} l/h" for q in LEAKS_LH)), lines)


def page(text: str, folder: Path) -> str:
    """The page with its tables computed anew from the series in `folder`."""
    series = {m: read_series(folder / f"meter-{m:02}.csv") for m in CHOSEN_ON + REPORTED_ON}
    for name, make in (
        ("choice", choice),
        ("untouched", untouched),
        ("detection", detection),
        ("hard cases", hard_cases),
    ):
        text = put(text, name, make(series))
    return text


def main(arguments: list[str]) -> int:
    top = os.environ.get("LANTERNE_DATA")
    if not top:
        print("LANTERNE_DATA names no folder: nothing to compute from", file=sys.stderr)
        return 2
    old = PAGE.read_text()
    new = page(old, Path(top) / "water")
    if arguments == ["--check"]:
        if new != old:
            print(f"{PAGE.relative_to(ROOT)} is stale: python -m tools.figures_water")
        return int(new != old)
    if new != old:
        PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
