"""The second evaluator of lighting plans on its own: its switches against dense sampling, its zones against the
C library, its refusals."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools import schedule
from host_tools.errors import InputError
from host_tools.schedule import day, model
from host_tools.schedule.zone import Zone

VECTORS = Path(__file__).resolve().parents[1] / "vectors/schedule"
CET = "CET-1CEST,M3.5.0,M10.5.0/3"
ZONES = (
    CET,
    "UTC0",
    "IST-1GMT0,M10.5.0,M3.5.0/1",  # Dublin: winter is the exception
    "<-03>3",
    "<+0545>-5:45",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",  # Lord Howe: half an hour
    "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "IST-2IDT,M3.4.4/26,M10.5.0",
    "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "EST5EDT4,M3.2.0,M11.1.0/1:30:15",
)

levels = st.integers(0, 100)
minutes = st.integers(0, 1439).map(lambda m: m // 15 * 15)
clock = minutes.map(lambda m: f"{m // 60:02}:{m % 60:02}:00")
command = st.builds(lambda level: {"state": {"level": level}}, levels)
offset = st.integers(-90, 90)
operation = st.sampled_from(model.OPERATIONS)
lux_level = st.floats(0.1, 0.4)


def periods(on: float) -> st.SearchStrategy[dict[str, Any]]:
    """Periods of one program, whose photocell has one pair of thresholds."""
    lux = {"sensor": {}, "onLevel": on, "offLevel": on + 0.4}
    return st.one_of(
        st.builds(lambda a, b: {"name": "AbsoluteActivePeriod", "startTime": a, "endTime": b}, clock, clock),
        st.builds(
            lambda a, b: {"name": "AstroClockActivePeriod", "sunsetOffset": a, "sunriseOffset": b},
            offset,
            offset,
        ),
        st.just({"name": "SensorActivePeriod", **lux}),
        st.builds(
            lambda a, b, c, d: {
                "name": "AstroAndSensorActivePeriod",
                "sunsetOffset": a,
                "sunriseOffset": b,
                "pcActiveBeforeSunset": abs(c),
                "pcActiveBeforeSunrise": abs(d),
                **lux,
            },
            *[offset] * 4,
        ),
    )


astro = st.builds(
    lambda o, e, op, c: {"offset": o, "solarEventType": e, "operation": op, "command": c},
    offset,
    st.sampled_from(["sunrise", "sunset"]),
    operation,
    command,
)
dynamic = st.builds(
    lambda span, op, hold, c: {
        **({"period": {"startTime": span[0], "endTime": span[1]}} if span else {}),
        "effect": {
            "type": "FixedControlEffect",
            "source": {},
            "operation": op,
            "holdTime": hold,
            "command": c,
        },
    },
    st.none() | st.tuples(clock, clock),
    operation,
    st.integers(0, 900),
    command,
)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    noon = draw(st.sampled_from([0, 12]))
    programs = []
    for name in ("p", "q"):
        times = sorted(draw(st.sets(minutes, max_size=5)), key=lambda m: (m - noon * 60) % 1440)
        programs.append(
            {
                "id": name,
                "activePeriods": draw(st.lists(periods(draw(lux_level)), max_size=3)),
                "fixedTimeControls": [
                    {"startTime": f"{m // 60:02}:{m % 60:02}:00", "command": draw(command)} for m in times
                ],
                "astroClockTimeControls": draw(st.lists(astro, max_size=2)),
                "dynamicControls": draw(st.lists(dynamic, max_size=2)),
            }
        )
    rules = [
        {
            "condition": {"type": "ccDay", "days": [{"start": draw(st.integers(1, 7)), "end": 7}]},
            "program": "q",
        }
    ]
    return {
        "format": model.FORMAT,
        "timezone": draw(st.sampled_from(ZONES)),
        "latitude": draw(st.sampled_from([47.4736, 69.6492, -54.8, 0.0])),
        "longitude": draw(st.sampled_from([-0.5542, 18.9553, -68.3, 121.5, 179.9])),
        "dayOffset": noon,
        "defaultLightState": 77,
        "controlPrograms": programs,
        "calendar": {"rules": rules, **({"defaultProgram": "p"} if draw(st.booleans()) else {})},
    }


STARTS = [
    datetime(2026, *md, tzinfo=UTC) for md in ((3, 28, 20), (10, 24, 20), (6, 20, 0), (12, 31, 10), (4, 4, 6))
]


@settings(max_examples=20, deadline=None)
@given(plan=plans(), start=st.sampled_from(STARTS), seed=st.integers(0, 999))
def test_switches_are_all_there_is(plan: dict[str, Any], start: datetime, seed: int) -> None:
    """Between two switches nothing changes, at each something does."""
    checked, random, end = schedule.parse(plan), Random(seed), start + timedelta(hours=40)

    def moment() -> datetime:
        return start + timedelta(seconds=random.randrange(-7200, 144000))

    lux = [(moment(), random.choice([0.05, 0.3, 0.5, 0.9])) for _ in range(12)]
    presence = [
        (at, at + timedelta(seconds=random.choice([9, 300, 9000]))) for at in (moment() for _ in range(8))
    ]
    overrides = [
        schedule.Override(moment(), random.choice([None, 10, 90]), expiration=random.choice([None, moment()]))
        for _ in range(random.randrange(4))
    ]
    inputs: Any = lux, presence, overrides
    found = schedule.switches(checked, start, end, *inputs)
    assert found[0][0] == start
    assert all(a[0] < b[0] and a[1:] != b[1:] for a, b in pairwise(found))
    for at, level, reason in found:
        assert schedule.level_at(checked, at, *inputs)[:2] == (level, reason)
    second = timedelta(seconds=1)
    for before, after in pairwise(found):
        assert schedule.level_at(checked, after[0] - second, *inputs)[:2] == before[1:]
    fresh, at, k = schedule.parse(plan), start, 0
    while at < end:
        while k + 1 < len(found) and found[k + 1][0] <= at:
            k += 1
        assert schedule.level_at(fresh, at, *inputs)[:2] == found[k][1:], at
        at += timedelta(seconds=random.randrange(60, 420))


@settings(max_examples=25, deadline=None)
@given(plan=plans(), start=st.sampled_from(STARTS))
def test_lighting_days_follow_each_other(plan: dict[str, Any], start: datetime) -> None:
    """Each instant is in one lighting day; they touch, and only a change of hours moves their length."""
    checked = schedule.parse(plan)
    at = start.timestamp()
    for _ in range(4):
        found = day.at(checked, at)
        assert found.begin <= at < found.end
        assert abs(found.end - found.begin - 86400) <= 3600
        assert day.at(checked, found.end - 1) is found
        at = found.end


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the C library takes no TZ strings here")
@pytest.mark.parametrize("text", ZONES)
def test_the_c_library_has_the_same_wall_clock(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    zone, random = Zone(text), Random(5)
    instants = [random.randrange(1767225600, 2524608000) for _ in range(400)]
    instants += [t + d for y in range(2026, 2034) for t, _ in zone.changes(y) for d in (-1, 0, 1, 3599, 3600)]
    monkeypatch.setenv("TZ", text)
    time.tzset()
    try:
        theirs = [time.localtime(t)[:6] for t in instants]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [tuple(zone.local(t).timetuple())[:6] for t in instants] == theirs


@pytest.mark.parametrize("text", ZONES)
def test_the_way_back_is_the_first_instant_that_shows_the_time(text: str) -> None:
    zone = Zone(text)
    changes = [t for t, _ in zone.changes(2026)]
    days = {zone.local(t + d).date() for t in changes for d in (-3600, 0, 3600)} | {date(2026, 8, 1)}
    for on in days:
        wall = datetime(on.year, on.month, on.day)
        # The first instant at which the wall clock shows each time of this day, by looking at all of them.
        begin = int(wall.replace(tzinfo=UTC).timestamp()) - 15 * 3600
        shown: dict[datetime, int] = {}
        for t in range(begin, begin + 54 * 3600, 300):
            shown.setdefault(zone.local(t), t)
        for second in range(0, 86400, 300):
            t = zone.instant(on, second)
            asked = wall + timedelta(seconds=second)
            assert t == shown[asked] if asked in shown else t in changes, asked


PLAN = json.loads((VECTORS / "astro_photocell.json").read_text())["plan"]
P, C = ("controlPrograms", 0), ("calendar",)
DROP = object()
BAD: list[tuple[str, tuple[Any, ...], Any]] = [
    ("plan_format", ("format",), "lanterne-plan/2"),
    ("plan_format", ("dayOffset",), 6),
    ("plan_format", ("dayOffset",), True),
    ("plan_format", ("defaultLightState",), 101),
    ("plan_format", ("defaultLightState",), 50.5),
    ("plan_format", ("sunEvent",), "nautical"),
    ("plan_format", ("controlPrograms",), {}),
    ("plan_format", ("comment",), 5),
    ("plan_format", ("defaultLightState",), DROP),
    ("plan_format", ("latitute",), 1),
    ("plan_zone", ("timezone",), "Europe/Paris"),
    ("plan_zone", ("timezone",), "CET-1CEST"),
    ("plan_zone", ("timezone",), "CET-1CEST,M3.5.7,M10.5.0"),
    ("plan_zone", ("timezone",), "CET-1CEST,M3.5.0/168,M10.5.0"),
    ("plan_zone", ("timezone",), "CET-25"),
    ("plan_zone", ("timezone",), "EST5EDT4,J74,J311"),
    ("plan_zone", ("timezone",), "AAA-3BBB,59,300/3"),
    ("plan_zone", ("timezone",), "CET-1CEST,M03.5.0,M10.5.0"),
    ("plan_zone", ("timezone",), "CET-\N{ARABIC-INDIC DIGIT ONE}"),
    ("plan_zone", ("timezone",), None),
    ("plan_zone", ("timezone",), DROP),
    ("plan_position", ("latitude",), DROP),
    ("plan_position", ("latitude",), 90),
    ("plan_position", ("longitude",), "2"),
    ("plan_position", ("longitude",), float("nan")),
    ("plan_program", (*P, "id"), 5),
    ("plan_program", (*P, "id"), DROP),
    ("plan_program", (*P, "activePeriods"), DROP),
    ("plan_program", (*P, "fixedTimeControls"), DROP),
    ("plan_program", (*P, "type"), "ControlProgramTwo"),
    ("plan_limit", (*P, "fixedTimeControls"), [{}] * 13),
    ("plan_limit", (*C, "rules"), [{}] * 25),
    ("plan_program", (*P, "activePeriods", 0, "name"), "ValueActivePeriod"),
    ("plan_program", (*P, "activePeriods", 0, "name"), "ActivePeriodAbsolute"),
    ("plan_program", (*P, "activePeriods", 0, "onLevel"), 61),
    ("plan_program", (*P, "activePeriods", 0, "sunsetOffset"), "10"),
    ("plan_program", (*P, "activePeriods", 0, "pcActiveBeforeSunset"), -1),
    ("plan_program", (*P, "fixedTimeControls", 0, "startTime"), "24:00:00"),
    ("plan_program", (*P, "fixedTimeControls", 0, "startTime"), "12:00:00Z"),
    ("plan_program", (*P, "fixedTimeControls", 0, "command", "state"), {"levelState": 5}),
    ("plan_program", (*P, "fixedTimeControls", 0, "command", "state", "level"), 120),
    (
        "plan_program",
        (*P, "dynamicControls"),
        [{"effect": {"type": "ExternalControlEffect", "operation": "Set", "command": {}}}],
    ),
    (
        "plan_program",
        (*P, "astroClockTimeControls"),
        [{"offset": 0, "solarEventType": "noon", "operation": "Set", "command": {}}],
    ),
    ("plan_calendar", (*C, "defaultProgram"), "nobody"),
    ("plan_calendar", (*C, "rules"), [{"program": "nobody"}]),
    ("plan_calendar", (*C, "rules"), [{"program": "p", "startDate": "2026-02-29"}]),
    ("plan_calendar", (*C, "rules"), [{"program": "p", "startDate": "--02-30"}]),
    ("plan_calendar", (*C, "rules"), [{"program": "p", "startDate": "2026-05-01", "endDate": "2026-04-01"}]),
    ("plan_calendar", (*C, "rules"), [{"program": "p", "condition": {"type": "ccWeek"}}]),
    (
        "plan_calendar",
        (*C, "rules"),
        [{"program": "p", "condition": {"type": "ccDay", "days": [{"start": 6, "end": 2}]}}],
    ),
    (
        "plan_calendar",
        (*C, "rules"),
        [{"program": "p", "condition": {"type": "ccDay", "days": [], "occurrences": ["6"]}}],
    ),
    (
        "plan_calendar",
        (*C, "rules"),
        [{"program": "p", "condition": {"type": "ccDate", "dates": [{"start": "---32"}]}}],
    ),
    (
        "plan_calendar",
        (*C, "rules"),
        [{"program": "p", "condition": {"type": "ccDate", "dates": [{"start": "---01", "end": "--01-02"}]}}],
    ),
    (
        "plan_calendar",
        (*C, "rules"),
        [
            {
                "program": "p",
                "condition": {"type": "ccDate", "dates": [{"start": "--12-24", "end": "--01-02"}]},
            }
        ],
    ),
]


@pytest.mark.parametrize(
    ("name", "path", "value"), BAD, ids=lambda v: "dropped" if v is DROP else str(v)[:40]
)
def test_a_wrong_plan_is_one_line_with_a_name(name: str, path: tuple[Any, ...], value: Any) -> None:
    plan: Any = copy.deepcopy(PLAN)
    place = plan
    for key in path[:-1]:
        place = place[key]
    if value is DROP:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    with pytest.raises(InputError) as refused:
        schedule.parse(plan, "plan.json")
    line = str(refused.value)
    assert line.startswith(f"plan.json: {name}: ")
    assert "\n" not in line
    assert len(line) < 200


def test_doubled_and_unordered_times_are_refused() -> None:
    for noon, times, good in (
        (12, ("22:00:00", "01:00:00"), True),
        (12, ("01:00:00", "22:00:00"), False),
        (0, ("01:00:00", "22:00:00"), True),
        (0, ("22:00:00", "01:00:00"), False),
        (0, ("22:00:00", "22:00:00"), False),
    ):
        plan = copy.deepcopy(PLAN)
        plan["dayOffset"] = noon
        entry = plan["controlPrograms"][0]["fixedTimeControls"][0]
        plan["controlPrograms"][0]["fixedTimeControls"] = [{**entry, "startTime": t} for t in times]
        if good:
            schedule.parse(plan)
        else:
            with pytest.raises(InputError, match="plan_program"):
                schedule.parse(plan)


def test_files(tmp_path: Path) -> None:
    write: Callable[[bytes], int] = (tmp_path / "plan.json").write_bytes
    for content, text in (
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "the format is not"),
        (b'{"format": "a", "format": "b"}', "twice"),
        (b'{"format": NaN}', "NaN"),
        (b"[" * 100_000, "not JSON"),
    ):
        write(content)
        with pytest.raises(InputError, match=text) as refused:
            schedule.load(tmp_path / "plan.json")
        assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match="there is no such file"):
        schedule.load(tmp_path / "none.json")
    write(json.dumps(PLAN).encode())
    state = schedule.level_at(schedule.load(tmp_path / "plan.json"), datetime(2026, 3, 20, 23, tzinfo=UTC))
    assert state == (75, "program", "p")


def test_the_level_state_of_talq_is_the_short_form() -> None:
    plan = copy.deepcopy(PLAN)
    plan["controlPrograms"][0]["fixedTimeControls"][0]["command"]["state"] = {
        "name": "LevelState",
        "value": 75,
    }
    assert schedule.parse(plan).programs == schedule.parse(PLAN).programs


def test_a_year_is_quick() -> None:
    """A year of a city's plan is what a report asks for: 731 states, and a bound far above its time."""
    plan, began = schedule.parse(PLAN), time.perf_counter()
    found = schedule.switches(plan, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert len(found) == 731
    assert time.perf_counter() - began < 20


def test_no_zone_no_answer() -> None:
    with pytest.raises(ValueError, match="without zone"):
        schedule.level_at(schedule.parse(PLAN), datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))
