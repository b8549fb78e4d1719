"""Lighting plans on the firmware's own modules: the published vectors under MicroPython of both widths, and seeded
random plans against the second evaluator, which shares no code with the firmware.

Overrides go through the whole lamp (`firmware/furniture/lamp.py`), which is stricter than the vectors in two
things. An override without end is sent with 24 hours, the longest that a lamp takes; no case lies later. One that
has expired on arrival is refused (`ttl`) and so deletes nothing; no case tells the difference.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from host_tools import plan as packer
from host_tools import schedule
from host_tools.schedule import day as days
from host_tools.schedule import sun
from host_tools.schedule.model import OPERATIONS, Plan
from tests.conftest import ROOT
from tests.mpy import schedule_runner

VECTORS: dict[str, dict[str, Any]] = {
    f.stem: json.loads(f.read_text()) for f in sorted((ROOT / "tests/vectors/schedule").glob("*.json"))
}
INTERPRETERS = {"64": str(Path(sys.executable).with_name("micropython"))}
if os.environ.get("LANTERNE_MPY32"):
    INTERPRETERS["32"] = str(ROOT / os.environ["LANTERNE_MPY32"])

answer: Callable[..., Any] = schedule_runner.answer
EPOCH = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
REASONS = {"default": 0, "override": 1, "sensor": 2, "program": 3}
LONGEST_S = 86400


def wire(utc: datetime) -> int:
    return int(utc.timestamp()) - EPOCH


def utc(t: int) -> datetime:
    return datetime.fromtimestamp(t + EPOCH, UTC)


def question(
    source: dict[str, Any],
    wanted: Iterable[datetime],
    lux: Iterable[tuple[datetime, float]] = (),
    presence: Iterable[tuple[datetime, datetime]] = (),
    overrides: Iterable[schedule.Override] = (),
) -> dict[str, Any]:
    """What the runner is asked: the instants wanted, and all those at which something is heard or seen."""
    readings = sorted((wire(at), value) for at, value in lux)
    spans = [(wire(a), wire(b)) for a, b in presence]
    orders = [_order(o) for o in sorted(overrides, key=lambda o: o.received)]
    times = sorted(
        {wire(at) for at in wanted}
        | {at for at, _ in readings + orders}
        | {t for span in spans for t in span}
    )
    found: dict[str, Any] = {"plan": packer.compile(source).hex(), "times": times}
    if readings:
        found["lux"] = [([None] + [value for at, value in readings if at <= t])[-1] for t in times]
    if spans:
        found["presence"] = [any(a <= t < b for a, b in spans) for t in times]
    if orders:
        found["overrides"] = orders
    return found


def _order(o: schedule.Override) -> tuple[int, list[int] | None]:
    """(reception, arguments of `Lamp.override`, or None for the empty one)."""
    received = wire(o.received)
    if o.level is None:
        return received, None
    wait = wire(o.start) - received if o.start else 0
    span = wire(o.expiration) - received - wait if o.expiration else LONGEST_S - wait
    return received, [o.level, span, int(o.ramp_to), wait, int(o.ramp_from or 0)]


def of_vector(vector: dict[str, Any]) -> dict[str, Any]:
    at = schedule.instant
    return question(
        vector["plan"],
        [at(case["at"]) for case in vector["cases"]],
        [(at(t), value) for t, value in vector.get("lux", [])],
        [(at(a), at(b)) for a, b in vector.get("presence", [])],
        [schedule.override(o) for o in vector.get("overrides", [])],
    )


def run(interpreter: str, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [interpreter, "-X", "heapsize=4m", "tests/mpy/schedule_runner.py"],
        input="".join(json.dumps(q) + "\n" for q in questions),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@cache
def answers(width: str) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """The vectors on one interpreter, in one process: name -> (question, answer)."""
    asked = [of_vector(v) for v in VECTORS.values()]
    found = run(INTERPRETERS[width], asked)
    return dict(zip(VECTORS, zip(asked, found, strict=True), strict=True))


def disagreements(vector: dict[str, Any], asked: dict[str, Any], found: dict[str, Any]) -> list[Any]:
    wrong = []
    for case in vector["cases"]:
        n = asked["times"].index(wire(schedule.instant(case["at"])))
        said = found["levels"][n], found["reasons"][n]
        # The lamp itself turns ramps into steps; what the table gives it is told where nothing overrides it.
        same = "overrides" in asked or found["ramps"][n] == case.get("ramp_s", found["ramps"][n])
        if said != (case["level"], REASONS[case["reason"]]) or not same:
            wrong.append((case, said, found["ramps"][n]))
    return wrong


@pytest.mark.parametrize("width", INTERPRETERS)
@pytest.mark.parametrize("name", VECTORS)
def test_the_firmware_agrees_with_the_vectors(name: str, width: str) -> None:
    asked, found = answers(width)[name]
    assert "refused" not in found, found
    assert disagreements(VECTORS[name], asked, found) == []


@pytest.mark.parametrize("width", INTERPRETERS)
def test_a_wrong_vector_is_noticed(width: str) -> None:
    for name, vector in VECTORS.items():
        cases = [{**c, "level": (c["level"] + 1) % 101} for c in vector["cases"]]
        assert len(disagreements({"cases": cases}, *answers(width)[name])) == len(cases)


@pytest.mark.parametrize("width", INTERPRETERS)
def test_only_what_has_expired_is_refused(width: str) -> None:
    refused = {name: found["refusals"] for name, (_, found) in answers(width).items() if "refusals" in found}
    said = Counter(r for refusals in refused.values() for r in refusals if r)
    assert said == {"ttl": 1}
    assert refused["overrides"][-1] == "ttl"


# Random plans

ZONES = (
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "UTC0",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "<+0545>-5:45",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
)
PLACES = (
    (47.4736, -0.5542),
    (50.6292, 3.0573),
    (0.0, 121.5),
    (-33.9, 18.4),
    (60.2, 24.9),
    (69.6492, 18.9553),
)


class Maker:
    """Plans that a node accepts, and what happens to its lamp, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def clock(self) -> str:
        minute = self.random.randrange(1440) // 15 * 15
        return f"{minute // 60:02}:{minute % 60:02}:00"

    def command(self) -> dict[str, Any]:
        return {"state": {"level": self.random.choice((0, 20, 35, 40, 60, 80, 100))}}

    def offset(self) -> int:
        return self.random.randint(-90, 90)

    def period(self, lux: tuple[float, float] | None) -> dict[str, Any]:
        r = self.random
        names = ["AbsoluteActivePeriod", "AstroClockActivePeriod"]
        if lux:
            names = ["SensorActivePeriod", "AstroAndSensorActivePeriod"]
        name = r.choice(names)
        found: dict[str, Any] = {"name": name}
        if name.startswith("Absolute"):
            found |= {"startTime": self.clock(), "endTime": self.clock()}
        if "Astro" in name:
            found |= {"sunsetOffset": self.offset(), "sunriseOffset": self.offset()}
        if name == "AstroAndSensorActivePeriod":
            found |= {n: r.randrange(90) for n in ("pcActiveBeforeSunset", "pcActiveBeforeSunrise")}
        if lux:
            found |= {"onLevel": lux[0], "offLevel": lux[1]}
        return found

    def program(self, name: str, noon: int, lux: tuple[float, float] | None) -> dict[str, Any]:
        r = self.random
        times = sorted({self.clock() for _ in range(r.randrange(6))})
        if noon:
            times = [t for t in times if t >= "12"] + [t for t in times if t < "12"]
        periods = [self.period(None) for _ in range(r.randrange(3))]
        # Every day has the photocell or none has: a node counts light by the thresholds of its day alone.
        if lux:
            periods.append(self.period(lux))
        return {
            "id": name,
            "activePeriods": periods,
            "fixedTimeControls": [{"startTime": t, "command": self.command()} for t in times],
            "astroClockTimeControls": [
                {
                    "offset": self.offset(),
                    "solarEventType": r.choice(("sunrise", "sunset")),
                    "operation": r.choice(OPERATIONS),
                    "command": self.command(),
                }
                for _ in range(r.randrange(3))
            ],
            "dynamicControls": [self.dynamic() for _ in range(r.randrange(3))],
        }

    def dynamic(self) -> dict[str, Any]:
        effect = {
            "type": "FixedControlEffect",
            "source": {},
            "operation": self.random.choice(OPERATIONS),
            "holdTime": self.random.randrange(900),
            "command": self.command(),
        }
        if self.random.random() < 0.5:
            return {"effect": effect}
        return {"effect": effect, "period": {"startTime": self.clock(), "endTime": self.clock()}}

    def date(self, year: int | None) -> str:
        on = date(year or 2027, 1, 1) + timedelta(self.random.randrange(365))
        return on.isoformat() if year else f"--{on:%m-%d}"

    def rule(self, programs: int, year: int) -> dict[str, Any]:
        r = self.random
        found: dict[str, Any] = {"program": f"p{r.randrange(programs)}"}
        if r.random() < 0.6:
            bounds = [self.date(None), self.date(None)] if r.random() < 0.5 else []
            bounds = bounds or sorted([self.date(year), self.date(year)])
            found |= {"startDate": bounds[0], "endDate": bounds[1]}
        kind = r.randrange(4)
        if kind < 2:
            first = r.randint(1, 7)
            found["condition"] = {"type": "ccDay", "days": [{"start": first, "end": r.randint(first, 7)}]}
            if kind:
                found["condition"]["occurrences"] = r.sample(["1", "2", "3", "4", "5", "L"], r.randint(1, 3))
        elif kind == 2:
            first = r.randint(1, 31)
            yearly = sorted([self.date(None), self.date(None)])
            dates = [
                {"start": f"---{first:02}", "end": f"---{r.randint(first, 31):02}"},
                {"start": yearly[0], "end": yearly[1]},
            ]
            found["condition"] = {"type": "ccDate", "dates": r.sample(dates, r.randint(1, 2))}
        return found

    def plan(self, year: int) -> dict[str, Any]:
        r = self.random
        noon = r.choice((0, 12))
        place = r.choice(PLACES)
        lux = (round(r.uniform(5, 20), 2), round(r.uniform(20, 60), 2)) if r.random() < 0.4 else None
        count = r.randint(1, 3)
        calendar: dict[str, Any] = {"rules": [self.rule(count, year) for _ in range(r.randrange(4))]}
        if lux or r.random() < 0.8:
            calendar["defaultProgram"] = "p0"
        return {
            "format": packer.FORMAT,
            "timezone": r.choice(ZONES),
            "latitude": place[0],
            "longitude": place[1],
            "dayOffset": noon,
            "defaultLightState": r.choice((0, 70, 100)),
            "sunEvent": r.choice(("official", "civil")),
            "controlPrograms": [self.program(f"p{n}", noon, lux) for n in range(count)],
            "calendar": calendar,
        }

    def override(self, received: datetime) -> schedule.Override:
        r = self.random
        if r.random() < 0.2:
            return schedule.Override(received)
        start = received + timedelta(minutes=r.choice((0, 0, 90, 300)))
        return schedule.Override(
            received, r.choice((0, 30, 100)), start, start + timedelta(minutes=r.randint(1, 900))
        )


def edges(plan: Plan, begin: datetime, end: datetime) -> list[float] | None:
    """Unix seconds of everything that hangs on the sun; None where it grazes its height, which no two formulas
    see alike."""
    offsets = {0}
    for program in plan.programs.values():
        offsets |= {e.offset for e in program.astro}
        for p in program.periods:
            offsets |= {p.sunset, p.sunrise, -p.before_sunset, -p.before_sunrise}
    found: list[float] = []
    on = begin.date() - timedelta(3)
    while on < end.date() + timedelta(4):
        it = sun.day(on, plan.latitude, plan.longitude, plan.zenith)
        for transit in (it.noon, it.noon + 43200):
            if abs(sun.height(transit, plan.latitude, plan.longitude) - 90 + plan.zenith) < 1:
                return None
        found += [event + 60 * o for event in (it.rise, it.set) if event is not None for o in offsets]
        on += timedelta(1)
    return found


def compare(seed: int, seen: Counter[str]) -> None:
    """One random plan over two and a half days at some year from 2026 to 2049."""
    maker = Maker(seed)
    r = maker.random
    begin = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(
        days=r.randrange(24 * 365), seconds=r.randrange(86400)
    )
    span = 2.5 * 86400
    source = maker.plan(begin.year)
    plan = schedule.parse(source)
    close = edges(plan, begin, begin + timedelta(seconds=span))
    if close is None:
        seen["grazing"] += 1
        return

    def some(count: int) -> list[datetime]:
        return sorted(begin + timedelta(seconds=r.randrange(int(span))) for _ in range(count))

    lux = [(at, round(r.uniform(0, 70), 2)) for at in some(12)]
    presence = [(at, at + timedelta(seconds=r.randrange(1, 9000))) for at in some(5)]
    overrides = [maker.override(at) for at in some(r.randrange(4))]
    inputs = lux, presence, overrides
    wanted = [begin, *some(40)]
    for change in schedule.changes(plan, begin, begin + timedelta(seconds=span), *inputs):
        wanted += [change.utc, change.utc - timedelta(seconds=1)]
    wanted = [at for at in wanted if at >= begin]
    asked = question(source, wanted, *inputs)
    found = answer(asked)
    assert "refused" not in found, (seed, found)
    assert not any(found["refusals"]), (seed, found["refusals"])
    for n, t in enumerate(asked["times"]):
        if min(abs(t + EPOCH - edge) for edge in [0.0, *close]) <= 60:
            seen["close to the sun"] += 1
            continue
        state = schedule.level_at(plan, utc(t), *inputs)
        here = days.at(plan, t + EPOCH)
        assert found["days"][n] == [here.begin - EPOCH, here.end - EPOCH], (seed, utc(t))
        said = found["levels"][n], found["reasons"][n]
        assert said == (state.level, REASONS[state.reason]), (seed, utc(t), state)
        seen["compared"] += 1
        seen[state.reason] += 1
        seen["dark" if state.level == 0 else "lit"] += 1


def check_many(seeds: range) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds:
        compare(seed, seen)
    assert seen["grazing"] < len(seeds) / 4
    assert seen["compared"] > 40 * len(seeds)
    assert seen["close to the sun"] < seen["compared"] / 10
    for word in (*REASONS, "dark", "lit"):
        assert seen[word] > seen["compared"] / 50, seen


def test_random_plans_agree_with_the_second_evaluator() -> None:
    check_many(range(60))


@pytest.mark.long
def test_many_random_plans_agree_with_the_second_evaluator() -> None:
    check_many(range(1000, 4000))


@pytest.mark.parametrize("width", INTERPRETERS)
def test_the_interpreters_say_what_cpython_says(width: str) -> None:
    """The same questions where floats have 32 bits and integers 31: differences in seconds of the sun only."""
    asked = []
    for seed in range(20):
        maker = Maker(seed)
        source = maker.plan(2030)
        begin = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=maker.random.randrange(365))
        close = edges(schedule.parse(source), begin, begin + timedelta(2))
        if close is None:
            continue
        wanted = [begin + timedelta(seconds=maker.random.randrange(2 * 86400)) for _ in range(30)]
        asked.append(
            question(
                source, [at for at in wanted if min(abs(at.timestamp() - e) for e in [0.0, *close]) > 60]
            )
        )
    assert len(asked) > 12
    found = run(INTERPRETERS[width], asked)
    for q, f in zip(asked, found, strict=True):
        assert f == answer(q)
