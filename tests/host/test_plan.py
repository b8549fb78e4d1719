"""Plan files: what is compiled, what is refused and how, and that a node takes what the host makes."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import re
import subprocess
import sys
import zoneinfo
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2
import pytest

from firmware.furniture import plan as device
from firmware.furniture.zone import Zone
from firmware.protocols import reasons
from host_tools import plan
from host_tools.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def command(level: int, **more: int) -> dict[str, Any]:
    return {"state": {"level": level}, **more}


FULL: dict[str, Any] = {
    "format": "lanterne-plan/1",
    "timezone": "CET-1CEST,M3.5.0,M10.5.0/3",
    "latitude": 47.4736,
    "longitude": -0.5542,
    "dayOffset": 12,
    "defaultLightState": 100,
    "controlPrograms": [
        {
            "id": "weekday",
            "activePeriods": [
                {"name": "AstroClockActivePeriod", "sunsetOffset": -10, "sunriseOffset": 15},
                {"name": "AbsoluteActivePeriod", "startTime": "23:00:00", "endTime": "04:00"},
                {"name": "SensorActivePeriod", "sensor": {}, "onLevel": 0.2, "offLevel": 50},
                {
                    "name": "AstroAndSensorActivePeriod",
                    "sunsetOffset": 5,
                    "sunriseOffset": -5,
                    "pcActiveBeforeSunset": 30,
                    "pcActiveBeforeSunrise": 45,
                    "onLevel": 0.2,
                    "offLevel": 50,
                },
            ],
            "fixedTimeControls": [
                {"startTime": "22:00:00", "command": command(40, rampToLevelTime=10)},
                {"startTime": "05:30:05", "command": {"state": {"name": "LevelState", "value": 100}}},
            ],
            "astroClockTimeControls": [
                {
                    "offset": -10,
                    "solarEventType": "sunrise",
                    "operation": "Set",
                    "command": command(20, rampToLevelTime=3),
                }
            ],
            "dynamicControls": [
                {
                    "period": {"startTime": "23:00:00", "endTime": "05:00:00"},
                    "effect": {
                        "type": "FixedControlEffect",
                        "source": {},
                        "operation": "Max",
                        "holdTime": 60,
                        "command": command(80, rampToLevelTime=2, rampFromLevelTime=8),
                    },
                },
                {"effect": {"type": "FixedControlEffect", "operation": "Set", "command": command(70)}},
            ],
        },
        {
            "id": "feast",
            "activePeriods": [],
            "fixedTimeControls": [{"startTime": "00:00", "command": command(100)}],
        },
    ],
    "calendar": {
        "rules": [
            {
                "startDate": "--11-01",
                "endDate": "--02-29",
                "condition": {
                    "type": "ccDay",
                    "days": [{"start": 1, "end": 5}, {"start": 7}],
                    "occurrences": ["1", "L"],
                },
                "program": "weekday",
            },
            {
                "condition": {
                    "type": "ccDate",
                    "dates": [{"start": "--07-14"}, {"start": "---28", "end": "---31"}],
                },
                "program": "feast",
            },
            {"startDate": "2026-12-24", "endDate": "2027-01-02", "program": "feast"},
        ],
        "defaultProgram": "weekday",
    },
}
#: Written by hand from docs/decisions/0013.
COMPACT = [
    1,
    "CET-1CEST,M3.5.0,M10.5.0/3",
    474736,
    -5542,
    12,
    100,
    0,
    [
        [
            [[1, -10, 15], [0, 82800, 14400], [2, 20, 5000], [3, 5, -5, 30, 45, 20, 5000]],
            [[79200, 40, 10], [19805, 100, 0]],
            [[-10, 0, 0, 20, 3]],
            [[82800, 18000, 1, 80, 60, 2, 8], [-1, -1, 0, 70, 0, 0, 0]],
        ],
        [[], [[0, 100, 0]], [], []],
    ],
    [
        [0, 11 * 32 + 1, 2 * 32 + 29, [2, 0b1011111, 0b100001]],
        [1, 33, 415, [1, [[7 * 32 + 14, 7 * 32 + 14], [28, 31]]]],
        [1, 26 * 512 + 12 * 32 + 24, 27 * 512 + 33 + 1, 0],
    ],
    0,
]


def test_every_field_has_its_place() -> None:
    blob = plan.compile(FULL)
    assert cbor2.loads(blob) == COMPACT
    assert blob == cbor2.dumps(COMPACT, canonical=True)
    assert plan.digest(blob) == hashlib.sha256(blob).digest()[:8]
    assert device.check(blob) == COMPACT


def test_round_trip() -> None:
    blob = plan.compile(FULL)
    shown = plan.expand(blob)
    assert plan.compile(shown) == blob
    assert shown["controlPrograms"][0]["fixedTimeControls"][1]["startTime"] == "05:30:05"
    assert shown["calendar"]["rules"][2]["startDate"] == "2026-12-24"
    assert shown["calendar"]["rules"][1]["condition"]["dates"][1] == {"start": "---28", "end": "---31"}
    least = {**FULL, "controlPrograms": []}
    del least["calendar"], least["dayOffset"]
    assert cbor2.loads(plan.compile(least))[7:] == [[], [], -1]
    assert plan.compile(plan.expand(plan.compile(least))) == plan.compile(least)


def test_fixed_times_stand_in_the_order_of_the_lighting_day() -> None:
    it = copy.deepcopy(FULL)
    it["controlPrograms"][0]["fixedTimeControls"].reverse()
    with pytest.raises(
        plan.PlanError, match="22:00:00 after 05:30:05: times must increase from noon to noon"
    ):
        plan.compile(it)
    it["dayOffset"] = 0
    assert device.check(plan.compile(it))
    it["controlPrograms"][0]["fixedTimeControls"].reverse()
    with pytest.raises(plan.PlanError, match="from midnight to midnight"):
        plan.compile(it)


def test_a_missing_bound_is_the_end_of_the_year() -> None:
    rules = [
        {"startDate": "2027-01-01", "program": "feast"},
        {"endDate": "2027-01-01", "program": "feast"},
        {"program": "feast"},
    ]
    blob = plan.compile({**FULL, "calendar": {"rules": rules}})
    assert [row[1:3] for row in cbor2.loads(blob)[8]] == [
        [27 * 512 + 33, 12 * 32 + 31],
        [33, 27 * 512 + 33],
        [33, 12 * 32 + 31],
    ]
    assert device.check(blob)


def test_civil_twilight_and_midnight() -> None:
    programs = FULL["controlPrograms"][1:]
    blob = plan.compile(
        {**FULL, "sunEvent": "civil", "dayOffset": 0, "controlPrograms": programs, "calendar": {}}
    )
    assert cbor2.loads(blob)[4:7] == [0, 100, 1]


def broken(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    it = copy.deepcopy(FULL)
    place: Any = it
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return it


P = ("controlPrograms", 0)
R = ("calendar", "rules")
REFUSED: list[tuple[tuple[Any, ...], Any, str, str]] = [
    (("format",), "lanterne-plan/2", "plan_format", "lanterne-plan/1"),
    (("format",), ..., "plan_format", "lanterne-plan/1"),
    (("dayOffset",), 6, "plan_format", "dayOffset 6"),
    (("dayOffset",), "12", "plan_format", "dayOffset '12'"),
    (("defaultLightState",), 101, "plan_format", "defaultLightState 101"),
    (("defaultLightState",), True, "plan_format", "defaultLightState True"),
    (("defaultLightState",), ..., "plan_format", "defaultLightState is missing"),
    (("sunEvent",), "nautical", "plan_format", "'nautical'"),
    (("fixedTimeControl",), [], "plan_format", "'fixedTimeControl'"),
    (("timezone",), "Europe/Paris", "plan_zone", "Europe/Paris"),
    (("timezone",), "CET-1CEST", "plan_zone", "CET-1CEST"),
    (("timezone",), "CET-1CEST,J88,J298", "plan_zone", "Mm.w.d"),
    (("timezone",), "<A,B>-1", "plan_zone", "<A,B>-1"),
    (("timezone",), 1, "plan_zone", "timezone 1"),
    (("timezone",), ..., "plan_zone", "timezone None"),
    (("comment",), 5, "plan_format", "comment is not a text"),
    ((*P, "activePeriods"), ..., "plan_program", "activePeriods is missing"),
    ((*P, "fixedTimeControls"), ..., "plan_program", "fixedTimeControls is missing"),
    ((*P, "type"), "ControlProgramTwo", "plan_program", "ControlProgramTwo"),
    ((*P, "dynamicControls", 0, "effect", "type"), ..., "plan_program", "type is missing"),
    (
        (*P, "fixedTimeControls", 0, "command", "state"),
        {"name": "LevelState", "level": 4},
        "plan_program",
        "'name'",
    ),
    ((*P, "fixedTimeControls", 0, "command", "state"), {"value": 4}, "plan_program", "name is missing"),
    (("latitude",), 90, "plan_position", "latitude 90"),
    (("latitude",), ..., "plan_position", "latitude is missing"),
    (("longitude",), 180.5, "plan_position", "longitude 180.5"),
    (("longitude",), "0", "plan_position", "longitude '0'"),
    (("latitude",), float("nan"), "plan_position", "latitude nan"),
    ((*P, "id"), 3, "plan_program", "program 1: id 3"),
    (("controlPrograms", 1, "id"), "weekday", "plan_program", "program 2: id 'weekday'"),
    (
        (*P, "fixedTimeControls", 1, "startTime"),
        "22:00",
        "plan_program",
        "weekday, fixed time 2: 22:00:00 after",
    ),
    ((*P, "fixedTimeControls", 0, "startTime"), "24:00:00", "plan_program", "'24:00:00'"),
    ((*P, "fixedTimeControls", 0, "startTime"), "22:00:00Z", "plan_program", "'22:00:00Z'"),
    ((*P, "fixedTimeControls", 0, "startTime"), 79200, "plan_program", "startTime 79200"),
    ((*P, "fixedTimeControls", 0, "command"), {}, "plan_program", "state is missing"),
    ((*P, "fixedTimeControls", 0, "command", "state"), {"level": 40.5}, "plan_program", "level 40.5"),
    ((*P, "fixedTimeControls", 0, "command", "state"), {"name": "RGBState"}, "plan_program", "RGBState"),
    ((*P, "fixedTimeControls", 0, "command", "rampToLevelTime"), -1, "plan_program", "rampToLevelTime -1"),
    (
        (*P, "fixedTimeControls", 0, "command", "rampToLevelTime"),
        1e400,
        "plan_program",
        "rampToLevelTime inf",
    ),
    ((*P, "fixedTimeControls"), {}, "plan_program", "not a list"),
    ((*P, "fixedTimeControls", 0), 5, "plan_program", "object"),
    ((*P, "activePeriods", 0, "name"), "ValueActivePeriod", "plan_program", "ValueActivePeriod"),
    ((*P, "activePeriods", 0, "name"), "ActivePeriodAstro", "plan_program", "ActivePeriodAstro"),
    ((*P, "activePeriods", 0, "sunsetOffset"), 900, "plan_program", "weekday, period 1: sunsetOffset 900"),
    ((*P, "activePeriods", 2, "onLevel"), 51, "plan_program", "onLevel 51 is above offLevel 50"),
    ((*P, "activePeriods", 2, "onLevel"), -0.2, "plan_program", "onLevel -0.2"),
    ((*P, "activePeriods", 2, "onLevel"), 0.004, "plan_program", "onLevel 0.004"),
    ((*P, "activePeriods", 3, "onLevel"), 10, "plan_program", "same onLevel"),
    ((*P, "activePeriods", 1, "endTime"), ..., "plan_program", "endTime is missing"),
    ((*P, "activePeriods", 1, "start"), 1, "plan_program", "'start'"),
    ((*P, "astroClockTimeControls", 0, "solarEventType"), "noon", "plan_program", "'noon'"),
    ((*P, "astroClockTimeControls", 0, "operation"), "set", "plan_program", "'set'"),
    (
        (*P, "dynamicControls", 0, "effect", "type"),
        "ExternalControlEffect",
        "plan_program",
        "ExternalControl",
    ),
    ((*P, "dynamicControls", 0, "effect", "holdTime"), 70000, "plan_program", "holdTime 70000"),
    ((*P, "dynamicControls", 0, "period", "endTime"), ..., "plan_program", "dynamic control 1: endTime"),
    ((*R, 0, "program"), "none", "plan_calendar", "rule 1: there is no program 'none'"),
    (("calendar", "defaultProgram"), "none", "plan_calendar", "'none'"),
    ((*R, 0, "startDate"), "--02-30", "plan_calendar", "rule 1: startDate '--02-30'"),
    ((*R, 2, "endDate"), "2027-02-29", "plan_calendar", "'2027-02-29'"),
    ((*R, 2, "endDate"), "2026-12-23", "plan_calendar", "before"),
    ((*R, 0, "condition", "days", 0, "end"), 8, "plan_calendar", "end 8"),
    ((*R, 0, "condition", "days", 1, "end"), 1, "plan_calendar", "end 1 is before start 7"),
    ((*R, 1, "condition", "dates", 1, "end"), "---02", "plan_calendar", "---02 is before ---28"),
    ((*R, 2, "startDate"), "24/12/2026", "plan_calendar", "24/12/2026"),
    ((*R, 2, "startDate"), "2000-12-24", "plan_calendar", "2001"),
    ((*R, 0, "condition", "type"), "ccMonth", "plan_calendar", "ccMonth"),
    ((*R, 0, "condition", "days"), [], "plan_calendar", "without days"),
    ((*R, 0, "condition", "days", 0, "start"), 0, "plan_calendar", "start 0"),
    ((*R, 0, "condition", "occurrences"), ["6"], "plan_calendar", "'6'"),
    ((*R, 0, "condition", "occurrences"), ["1", "1"], "plan_calendar", "each once"),
    ((*R, 0, "condition", "occurrences"), list("12345L"), "plan_calendar", "five at the most"),
    ((*R, 1, "condition", "dates"), ..., "plan_calendar", "without dates"),
    ((*R, 1, "condition", "dates"), [], "plan_calendar", "without dates"),
    ((*R, 0, "condition", "occurrences"), [[]], "plan_calendar", "occurrences"),
    ((*R, 1, "condition", "dates", 0, "start"), "2026-07-14", "plan_calendar", "2026-07-14"),
    ((*R, 1, "condition", "dates", 0, "end"), "---05", "plan_calendar", "day of the month"),
    ((*R, 1, "condition", "dates", 0, "start"), "---32", "plan_calendar", "---32"),
    (("calendar",), [], "plan_calendar", "object"),
    (("controlPrograms",), [{}] * 9, "plan_limit", "9 controlPrograms"),
    ((*R,), [{}] * 25, "plan_limit", "25 rules"),
    ((*P, "fixedTimeControls"), [{}] * 13, "plan_limit", "13 fixedTimeControls"),
    ((*P, "activePeriods"), [{}] * 5, "plan_limit", "5 activePeriods"),
]


@pytest.mark.parametrize(("path", "value", "reason", "words"), REFUSED, ids=lambda v: str(v)[:40])
def test_refusals(path: tuple[Any, ...], value: Any, reason: str, words: str) -> None:
    with pytest.raises(plan.PlanError) as caught:
        plan.compile(broken(path, value))
    line = str(caught.value)
    assert caught.value.reason == reason
    assert line.startswith(f"{reason}: ") and "\n" not in line and words in line
    assert isinstance(caught.value, InputError)
    # A node says the same, by number.
    assert reasons.number(reason) < 96


def test_a_plan_too_long_for_a_node() -> None:
    fixed = [{"startTime": f"{h:02}:00:01", "command": command(50, rampToLevelTime=999)} for h in range(12)]
    programs = [{"id": f"p{n}", "activePeriods": [], "fixedTimeControls": fixed} for n in range(8)]
    with pytest.raises(plan.PlanError, match=r"plan_limit: plan: \d+ bytes, a node keeps 700"):
        plan.compile({**FULL, "controlPrograms": programs, "calendar": {}})


@pytest.mark.parametrize("whole", [None, [], "x", 5])
def test_no_object(whole: Any) -> None:
    with pytest.raises(plan.PlanError, match="plan_format"):
        plan.compile(whole)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, inner in rows for p in [(*path, key), *places(inner, (*path, key))]]


def test_whatever_is_changed_is_compiled_or_refused_by_name() -> None:
    """And what is compiled, a node takes, and gives back the same."""
    rng = random.Random(13)
    values = [
        None,
        True,
        -1,
        0,
        1,
        12,
        31,
        100,
        1e9,
        0.5,
        "",
        "12:00",
        "--02-29",
        "---31",
        [],
        [1],
        {},
        {"a": 1},
        ...,
    ]
    taken = refused = 0
    for path in places(FULL):
        for value in rng.sample(values, 6):
            try:
                blob = plan.compile(broken(path, value))
            except plan.PlanError as e:
                refused += 1
                assert "\n" not in str(e)
                continue
            taken += 1
            device.check(blob)
            assert plan.compile(plan.expand(blob)) == blob
    assert taken > 20 and refused > 200


def test_what_no_node_takes_is_not_expanded() -> None:
    blob = bytearray(plan.compile(FULL))
    rng = random.Random(5)
    shown = 0
    for _ in range(600):
        bad = bytearray(blob)
        bad[rng.randrange(len(bad))] = rng.randrange(256)
        try:
            plan.expand(bytes(bad))
        except plan.PlanError as e:
            assert e.reason == "plan_format"
            continue
        shown += 1
        device.check(bytes(bad))
    assert 0 < shown < 600


def test_the_runner_answers_for_a_node() -> None:
    """tests/mpy/schedule_runner.py under MicroPython, with a plan that the host made."""
    # Monday 5 January 2026, 12:00 in Paris.
    noon = 86400 * 4 + 11 * 3600
    it = copy.deepcopy(FULL)
    it["controlPrograms"][0]["activePeriods"] = []
    it["controlPrograms"][0]["astroClockTimeControls"] = []
    times = [noon + 3600 * h for h in (0, 9, 10, 12, 18)]
    question = {"plan": plan.compile(it).hex(), "times": times, "presence": [False] * 4 + [True]}
    lines = json.dumps(question) + "\n" + json.dumps({"plan": "8100", "times": []}) + "\n"
    done = subprocess.run(
        [str(Path(sys.executable).with_name("micropython")), "tests/mpy/schedule_runner.py"],
        cwd=ROOT,
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["levels"] == [100, 100, 40, 40, 70]
    assert first["reasons"] == [3, 3, 3, 3, 2]
    assert first["days"] == [[noon, noon + 86400]] * 5
    assert second == {"refused": "plan_format"}


TZPATH = [Path(p) for p in zoneinfo.TZPATH]


def footers() -> dict[str, str]:
    """{zone: TZ string} of the system's time zone files (TZif, the last line)."""
    found = {}
    for top in TZPATH:
        for name in sorted(zoneinfo.available_timezones()) if top.is_dir() else ():
            path = top / name
            # Morocco's Ramadan is listed date by date until 2087; the last line only holds afterwards.
            if path.is_file() and name not in ("Africa/Casablanca", "Africa/El_Aaiun"):
                found[name] = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", "replace")
    return found


def test_every_zone_of_this_machine() -> None:
    """What zoneinfo says of 2030 to 2033, for each different TZ string of the time zone data."""
    zones = {text: name for name, text in footers().items() if text}
    if not zones:
        pytest.skip("no time zone files on this machine")
    rng = random.Random(3)
    for text, name in zones.items():
        assert plan._ZONE.fullmatch(text), (name, text)
        zone = Zone(text)
        start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
        peer = zoneinfo.ZoneInfo(name)
        for _ in range(120):
            t = rng.randrange(4 * 365 * 86400, 7 * 365 * 86400)
            shown = datetime.fromtimestamp(start + t, peer)
            offset = shown.utcoffset()
            assert offset is not None
            assert zone.offset(t) == offset.total_seconds(), (name, text, shown)
    assert any(re.match("<", text) for text in zones)
