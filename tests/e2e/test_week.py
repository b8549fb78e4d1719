"""A winter week of a lamp, a bin, a leak meter and a cabinet: every switch at the virtual outputs against the
second evaluator and against astral, every frame, and the picture of it all. A day of it in `make test`, the week
in `make test-long`."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from host_tools import schedule, sim, sim_plots
from host_tools.rows import Row
from tests.conftest import package

PLAN = sim.SCENARIOS / "week-plan.json"
CABINET_PLAN = sim.SCENARIOS / "week-cabinet-plan.json"
NAMES = ("lamp-1", "bin-1", "leak-1", "cabinet-1")
MONDAY = datetime(2026, 11, 30, 11, tzinfo=UTC)
ANGERS = (47.4736, -0.5542)
PARIS = ZoneInfo("Europe/Paris")
WITHIN_S = 60
#: Steps of one ramp lie closer together than this, two switches of the plan farther apart.
RAMP_S = 30
#: From when on the lamp knows the time: it gets it in the answers to its first frames.
SETTLED = timedelta(hours=1)
SVG = "{http://www.w3.org/2000/svg}"


class Switch(NamedTuple):
    utc: datetime
    level: int


class Run(NamedTuple):
    result: sim.Result
    hours: int

    @property
    def end(self) -> datetime:
        return MONDAY + timedelta(hours=self.hours)


def seen(outputs: Sequence[tuple[int, Mapping[str, Any]]]) -> list[Switch]:
    """What an output's model did, ramps as one switch at their beginning to the level at their end."""
    found: list[Switch] = []
    last = timedelta(seconds=-RAMP_S)
    for t_us, what in outputs:
        at = timedelta(microseconds=t_us)
        level = round(float(what["level"]))
        if at - last < timedelta(seconds=RAMP_S) and found:
            found[-1] = found[-1]._replace(level=level)
        elif not found or level != found[-1].level:
            found.append(Switch(MONDAY + at, level))
        last = at
    return found


def settled(switches: Sequence[Switch]) -> tuple[int, list[Switch]]:
    """(level when the lamp knows the time, switches from then on)."""
    before = [s for s in switches if s.utc < MONDAY + SETTLED]
    return before[-1].level, list(switches[len(before) :])


def differences(wanted: Sequence[Switch], done: Sequence[Switch]) -> list[str]:
    """Switches that are missing, too many, late or early by more than a minute, or to another level."""
    found = []
    left = list(done)
    for want in wanted:
        near = [d for d in left if abs(d.utc - want.utc) <= timedelta(seconds=WITHIN_S)]
        if not near:
            found.append(f"missing: {want.level} % at {want.utc}")
            continue
        left.remove(near[0])
        if abs(near[0].level - want.level) > 1:
            found.append(f"{near[0].level} % at {near[0].utc} instead of {want.level} %")
    return found + [f"too many: {d.level} % at {d.utc}" for d in left]


def evaluated(plan: Path, end: datetime) -> list[Switch]:
    """The second evaluator's switches, those of the level only; the first is the level at the beginning."""
    found: list[Switch] = []
    for utc, level, _ in schedule.switches(schedule.load(plan), MONDAY + SETTLED, end):
        if not found or level != found[-1].level:
            found.append(Switch(utc, level))
    return found


def test_the_comparison_bites() -> None:
    wanted = evaluated(PLAN, MONDAY + timedelta(days=7))[1:]
    assert len(wanted) == 7 * 2 + 5 * 2 + 3
    assert differences(wanted, wanted) == []
    second = timedelta(seconds=1)
    late = [wanted[0]._replace(utc=wanted[0].utc + 61 * second), *wanted[1:]]
    assert [d.split(":")[0] for d in differences(wanted, late)] == ["missing", "too many"]
    assert len(differences(wanted, wanted[:-1])) == 1
    assert len(differences(wanted, [*wanted, Switch(MONDAY, 50)])) == 1
    assert len(differences(wanted, [wanted[0]._replace(level=50), *wanted[1:]])) == 1
    ramp = [(n * 1_000_000, {"level": 100 - n}) for n in range(61)]
    assert seen([*ramp, (10**9, {"level": 40.0}), (10**10, {"level": 0})]) == [
        Switch(MONDAY, 40),
        Switch(MONDAY + timedelta(seconds=10_000), 0),
    ]


# What a run has to show


def the_boards_worked(run: Run) -> None:
    """No failure, and only frames that are signed or authenticated; what collided is asked for again, but for the
    lamp's: frames that are signed one by one have no checkpoint that would tell."""
    result = run.result
    assert result.failures == []
    assert result.hours == run.hours
    assert {r.state for r in result.rows} == {"signed", "authenticated"}
    counts = Counter((r.name, r.type) for r in result.rows)
    assert counts["lamp-1", "lamp"] >= 2 * run.hours - 2
    assert counts["cabinet-1", "cabinet"] >= 2 * run.hours - 2
    assert counts["leak-1", "leak"] >= run.hours - 2
    assert counts["bin-1", "bin"] >= run.hours / 12
    assert all(counts[name, "hello"] >= 1 for name in NAMES)
    for name in NAMES:
        rows = {r.seq or 0: r for r in result.rows if r.name == name}
        missing = set(range(1, max(rows) + 1)) - set(rows)
        assert len(missing) <= 1 + 0.01 * len(rows), (name, missing)
        if name == "lamp-1":
            assert {r.state for r in rows.values()} == {"signed"}
            continue
        # What the last checkpoint brought to light may still be on its way.
        checkpoints = sorted(seq for seq, r in rows.items() if r.type == "checkpoint")
        assert run.hours < 48 or len(checkpoints) > 2
        past = range(1, checkpoints[-2]) if len(checkpoints) > 2 else range(0)
        assert {rows[seq].state if seq in rows else "missing" for seq in past} <= {"signed"}, name


def the_outputs_switch_as_the_second_evaluator_says(run: Run) -> None:
    for name, plan in (("lamp-1", PLAN), ("cabinet-1", CABINET_PLAN)):
        first, *wanted = evaluated(plan, run.end)
        level, done = settled(seen(run.result.truth.outputs[name]))
        assert level == first.level, name
        assert differences(wanted, done) == [], name


def the_reports_tell_what_was_so(run: Run) -> None:
    """Level, fill and flow as reported, against the models and the scenario's own lines."""
    truth = run.result.truth
    for name, column in (("lamp-1", "level_percent"), ("cabinet-1", "contactor")):
        outputs = [(MONDAY + timedelta(microseconds=t), what) for t, what in truth.outputs[name]]
        switches = seen(truth.outputs[name])
        for row in by_time(run.result.rows, name, name.removesuffix("-1")):
            at, what = [o for o in outputs if o[0] <= told(row)][-1]
            # Ramps, and what is measured each half minute, are left alone.
            if told(row) - at < timedelta(seconds=90):
                continue
            before = [s for s in switches if s.utc <= told(row)]
            level = {"on": 100, "off": 0}.get(str(row.values[column]), row.values[column])
            assert abs(float(str(level)) - before[-1].level) <= 1, row
            # The cabinet's meter counts 8 W of its own.
            watts = float(str(row.values["power_w"])) - 8 * (name == "cabinet-1")
            assert abs(watts - what["power_w"]) <= 1 + 0.01 * what["power_w"], row
    for row in by_time(run.result.rows, "bin-1", "bin"):
        if "fill_percent" in row.values:
            filled = truth.fill["bin-1"](since_us(told(row)))
            assert abs(float(str(row.values["fill_percent"])) - filled) <= 4, row
    hours = sim_plots.hourly(by_time(run.result.rows, "leak-1", "leak"))
    index = truth.index["leak-1"]
    assert len(hours) >= run.hours - 2
    for begin, litres in hours.items():
        since = since_us(datetime.fromtimestamp(begin, UTC))
        # A meter that counts whole litres, an hour that begins within a minute.
        assert abs(index(since + 3_600_000_000) - index(since) - litres) <= 2, datetime.fromtimestamp(
            begin, UTC
        )


def by_time(rows: Sequence[Row], name: str, type_: str) -> list[Row]:
    """Readings whose time the board knew for certain, in its order."""
    mine = [r for r in rows if r.name == name and r.type == type_ and r.clock == "confirmed"]
    return sorted(mine, key=lambda r: r.time)


def told(row: Row) -> datetime:
    return datetime.fromisoformat(row.time)


def since_us(at: datetime) -> int:
    return (at - MONDAY) // timedelta(microseconds=1)


def the_picture_shows_it(run: Run) -> None:
    assert run.result.plots is not None
    root = ET.parse(run.result.plots).getroot()
    texts = [e.text or "" for e in root.iter(SVG + "text")]
    titles = [t for t in texts if ": " in t and t.split(": ")[0] in NAMES]
    lamp, cabinet = ["lamp-1: level", "lamp-1: power"], ["cabinet-1: contactor", "cabinet-1: power"]
    assert titles == [*lamp, "bin-1: fill", "leak-1: flow", *cabinet]
    # What was so and what was reported, in each.
    assert texts.count("reported") == len(titles)
    curves = [e for e in root.iter(SVG + "path") if e.attrib.get("class") == "c"]
    assert len(curves) == 2 * len(titles)
    nights = [e for e in root.iter(SVG + "rect") if e.attrib.get("class") == "n"]
    assert len(nights) == len(titles) * -(-run.hours // 24)
    assert any(run.result.water in t for t in texts)


def the_outputs_switch_with_astral(run: Run) -> None:
    """Both lists again, made of astral's sun and a clock on the wall; neither evaluator has a part in them."""
    astral, events = package("astral"), package("astral.sun")
    place = astral.Observer(*ANGERS)

    def sunrise(on: date) -> datetime:
        found: datetime = events.sunrise(place, on, tzinfo=UTC)
        return found

    def wall(on: date, hour: int, minute: int) -> datetime:
        return datetime(on.year, on.month, on.day, hour, minute, tzinfo=PARIS).astimezone(UTC)

    lamp, cabinet = [], []
    for n in range(-(-run.hours // 24)):
        on = MONDAY.date() + timedelta(n)
        next_day = on + timedelta(1)
        sunset: datetime = events.sunset(place, on, tzinfo=UTC)
        lamp.append(Switch(sunset + timedelta(minutes=5), 100))
        if on.isoweekday() <= 5:
            lamp += [Switch(wall(on, 22, 30), 40), Switch(wall(next_day, 5, 30), 100)]
        if on.isoweekday() == 6:
            lamp += [Switch(wall(next_day, 1, 30), 60), Switch(wall(next_day, 5, 30), 100)]
            lamp.append(Switch(sunrise(next_day) - timedelta(minutes=60), 80))
        lamp.append(Switch(sunrise(next_day) - timedelta(minutes=10), 0))
        cabinet.append(Switch(sunset, 100))
        if on.isoweekday() not in (5, 6):
            cabinet += [Switch(wall(next_day, 0, 30), 0), Switch(wall(next_day, 5, 0), 100)]
        cabinet.append(Switch(sunrise(next_day), 0))
    for name, wanted in (("lamp-1", lamp), ("cabinet-1", cabinet)):
        done = settled(seen(run.result.truth.outputs[name]))[1]
        assert differences([s for s in wanted if s.utc < run.end], done) == [], name


CHECKS: tuple[Callable[[Run], None], ...] = (
    the_boards_worked,
    the_outputs_switch_as_the_second_evaluator_says,
    the_reports_tell_what_was_so,
    the_picture_shows_it,
    # The last: it is left out where astral is not installed.
    the_outputs_switch_with_astral,
)


# One test, so that the run is made once and not in each worker.
@pytest.mark.parametrize(
    "hours", [pytest.param(24, marks=pytest.mark.slow), pytest.param(168, marks=pytest.mark.long)]
)
def test_a_winter_week(hours: int, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    began = time.monotonic()
    run = Run(sim.run("week", tmp_path / "out", sim.Options(seed=1, hours=hours)), hours)
    took = f"{hours} h of {len(run.result.consoles)} boards in {time.monotonic() - began:.0f} s"
    record_property("took", took)
    print(took)
    for check in CHECKS:
        check(run)
