"""A lighting plan as a file says it (format lanterne-plan/1, names of TALQ 2.7.1), checked and in plain shapes.

Wrong input is one InputError of one line that begins with a name: plan_format (no plan, or a key of it is missing,
unknown or of a wrong type), plan_zone, plan_position, plan_program, plan_calendar, plan_limit (more of something
than a lamp keeps; the size of the packed form is not known here).
"""

from __future__ import annotations

import json
import re
import reprlib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from host_tools.errors import InputError, unreadable
from host_tools.schedule.sun import ZENITH
from host_tools.schedule.zone import Zone

FORMAT = "lanterne-plan/1"
OPERATIONS = ("Set", "Max", "Min", "Add", "Sub", "Mul")
#: How many a lamp keeps (tests/vectors/schedule/README.md, "The file"); `days` is TALQ's own limit.
LIMITS = {
    "controlPrograms": 8,
    "rules": 24,
    "fixedTimeControls": 12,
    "activePeriods": 4,
    "astroClockTimeControls": 4,
    "dynamicControls": 4,
    "dates": 8,
    "days": 7,
}
Span = tuple[int, int]


@dataclass(frozen=True)
class Command:
    level: int  # percent
    ramp_to: float = 0.0  # seconds
    ramp_from: float | None = None


@dataclass(frozen=True)
class Period:
    """One active period; which of its fields count, `name` says. Minutes and lux."""

    name: str
    start: int = 0  # seconds of the local day
    end: int = 0
    sunset: int = 0
    sunrise: int = 0
    before_sunset: int = 0
    before_sunrise: int = 0
    on: float = 0.0
    off: float = 0.0


@dataclass(frozen=True)
class Astro:
    offset: int  # minutes
    event: str  # sunrise | sunset
    operation: str
    command: Command


@dataclass(frozen=True)
class Dynamic:
    period: Span | None  # seconds of the local day
    operation: str
    command: Command
    hold: float  # seconds


@dataclass(frozen=True)
class Program:
    id: str
    periods: tuple[Period, ...]
    fixed: tuple[tuple[int, Command], ...]
    astro: tuple[Astro, ...]
    dynamic: tuple[Dynamic, ...]


#: (year or None for every year, month, day)
Bound = tuple[int | None, int, int]


@dataclass(frozen=True)
class Rule:
    program: str
    start: Bound | None
    end: Bound | None
    kind: Literal["always", "days", "dates"]
    days: frozenset[int] = frozenset()  # 1 Monday .. 7 Sunday
    occurrences: frozenset[str] = frozenset()
    dates: tuple[tuple[tuple[int | None, int], tuple[int | None, int]], ...] = ()  # (month or None, day)


@dataclass(frozen=True)
class Plan:
    zone: Zone
    latitude: float  # degrees, north positive
    longitude: float  # degrees, east positive
    day_offset: int  # hours: 0 | 12
    default: int  # percent
    zenith: float
    programs: dict[str, Program]
    rules: tuple[Rule, ...]
    default_program: str | None
    #: What was worked out of a lighting day, by its date (host_tools.schedule.day).
    days: dict[date, Any] = field(default_factory=dict, compare=False, repr=False)


class _RefusedError(Exception):
    pass


#: What a file holds, shortened: the line stays a line.
_show = reprlib.repr


def _refuse(name: str, text: str) -> _RefusedError:
    return _RefusedError(f"{name}: {text}")


def load(path: Path | str) -> Plan:
    """The plan in a file. InputError: one line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(path, error) from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: plan_format: not UTF-8 text") from None
    try:
        found = json.loads(text, parse_constant=_no_number, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: plan_format: not JSON ({str(error).splitlines()[0]})") from None
    return parse(found, str(path))


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def parse(found: Any, name: str = "the plan") -> Plan:
    """The plan in what a JSON parser gave. InputError: one line, with `name` ahead."""
    try:
        return _plan(found)
    except _RefusedError as refused:
        raise InputError(f"{name}: {refused}") from None


def _keys(what: str, found: Any, must: str, may: str, name: str = "plan_format") -> dict[str, Any]:
    """`found` as an object with all keys of `must` and no key beyond those of `must` and `may`."""
    if not isinstance(found, dict):
        raise _refuse(name, f"{what} is not an object")
    for key in must.split():
        if key not in found:
            raise _refuse(name, f"{what} has no {key}")
    for key in found:
        if key not in (must + " " + may).split():
            raise _refuse(name, f"{what} has an unknown key {_show(key)}")
    return found


def _number(name: str, what: str, found: Any, low: float, high: float, whole: bool = True) -> Any:
    good = not isinstance(found, bool) and isinstance(found, int | float) and low <= found <= high
    # JSON knows one kind of number: 40.0 is an integer there.
    if not good or (whole and found != int(found)):
        raise _refuse(
            name, f"{what} is not {'an integer' if whole else 'a number'} of {low} to {high}: {_show(found)}"
        )
    return int(found) if whole else found


def _list(what: str, found: Any, name: str = "plan_format") -> list[Any]:
    """`found` as a list no longer than LIMITS says; the last word of `what` is its key."""
    if not isinstance(found, list):
        raise _refuse(name, f"{what} is not a list")
    most = LIMITS.get(what.rpartition(" ")[2], len(found))
    if len(found) > most:
        raise _refuse("plan_limit", f"{what}: {len(found)}, a lamp keeps {most}")
    return found


def _plan(found: Any) -> Plan:
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _refuse("plan_format", f"the format is not {FORMAT}")
    for key in ("name", "comment"):
        if not isinstance(found.get(key, ""), str):
            raise _refuse("plan_format", f"{key} is not a text: {_show(found[key])}")
    offset = found.get("dayOffset", 12)
    if isinstance(offset, bool) or not isinstance(offset, int | float) or offset not in (0, 12):
        raise _refuse("plan_format", f"dayOffset is neither 0 nor 12: {_show(offset)}")
    try:
        zone = Zone(found.get("timezone", ""))
    except (ValueError, TypeError) as error:
        raise _refuse("plan_zone", f"{_show(found.get('timezone', ''))}: {error}") from None
    latitude = _number("plan_position", "latitude", found.get("latitude"), -89.9, 89.9, whole=False)
    longitude = _number("plan_position", "longitude", found.get("longitude"), -180, 180, whole=False)
    event = found.get("sunEvent", "official")
    if event not in ("official", "civil"):
        raise _refuse("plan_format", f"sunEvent is neither official nor civil: {_show(event)}")
    default = _number("plan_format", "defaultLightState", found.get("defaultLightState"), 0, 100)
    programs: dict[str, Program] = {}
    for item in _list("controlPrograms", found.get("controlPrograms", [])):
        program = _program(item, int(offset))
        if program.id in programs:
            raise _refuse("plan_program", f"program {_show(program.id)} is there twice")
        programs[program.id] = program
    rules, usual = _calendar(found.get("calendar", {}), programs)
    known = "format name comment timezone latitude longitude dayOffset sunEvent defaultLightState"
    _keys("the plan", found, "", known + " controlPrograms calendar")
    place = (float(latitude), float(longitude))
    return Plan(zone, *place, int(offset), default, ZENITH[event], programs, rules, usual)


def _calendar(found: Any, programs: dict[str, Program]) -> tuple[tuple[Rule, ...], str | None]:
    """(rules, default program)"""
    calendar = _keys("the calendar", found, "", "id ownerCMS rules defaultProgram", "plan_calendar")
    items = _list("rules", calendar.get("rules", []), "plan_calendar")
    rules = tuple(_rule(f"rule {n}", item, programs) for n, item in enumerate(items, 1))
    usual = calendar.get("defaultProgram")
    if usual is not None and (not isinstance(usual, str) or usual not in programs):
        raise _refuse("plan_calendar", f"defaultProgram {_show(usual)} is not among the programs")
    return rules, usual


def _time(what: str, found: Any) -> int:
    """Seconds of the local day. OAS format time; without offset, for it is local time."""
    parts = (
        re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", found, re.ASCII)
        if isinstance(found, str)
        else None
    )
    if parts is None:
        raise _refuse("plan_program", f"{what} is no time HH:MM:SS: {_show(found)}")
    hours, minutes, seconds = parts.groups("0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def _command(what: str, found: Any) -> Command:
    _keys(what, found, "state", "rampToLevelTime rampFromLevelTime", "plan_program")
    state = _keys(f"{what}: state", found["state"], "", "level name value", "plan_program")
    # The short form of the format, and TALQ's LevelState.
    if set(state) == {"level"}:
        level = state["level"]
    elif set(state) == {"name", "value"} and state["name"] == "LevelState":
        level = state["value"]
    else:
        raise _refuse("plan_program", f"{what}: state is neither a level nor a LevelState")
    level = _number("plan_program", f"{what}: level", level, 0, 100)
    ramps = {
        # A lamp keeps whole seconds in two bytes.
        key: _number("plan_program", f"{what}: {key}", found[key], 0, 65535)
        for key in ("rampToLevelTime", "rampFromLevelTime")
        if key in found
    }
    return Command(level, ramps.get("rampToLevelTime", 0.0), ramps.get("rampFromLevelTime"))


_PERIODS = {
    "AbsoluteActivePeriod": "startTime endTime",
    "AstroClockActivePeriod": "sunsetOffset sunriseOffset",
    "SensorActivePeriod": "onLevel offLevel",
    "AstroAndSensorActivePeriod": "sunsetOffset sunriseOffset pcActiveBeforeSunset pcActiveBeforeSunrise "
    "onLevel offLevel",
}


def _period(what: str, found: Any) -> Period:
    name = found.get("name") if isinstance(found, dict) else None
    if not isinstance(name, str) or name not in _PERIODS:
        raise _refuse("plan_program", f"{what}: not supported: {_show(name)}")
    sensor = " sensor" if "Sensor" in name else ""
    _keys(f"{what} ({name})", found, _PERIODS[name] + " name", sensor, "plan_program")
    if name == "AbsoluteActivePeriod":
        return Period(
            name, _time(f"{what}: startTime", found["startTime"]), _time(f"{what}: endTime", found["endTime"])
        )
    shifts = {
        k: _number("plan_program", f"{what}: {k}", found.get(k, 0), -720, 720)
        for k in _PERIODS[name].split()
        if "Offset" in k
    }
    spans = {
        k: _number("plan_program", f"{what}: {k}", found[k], 0, 720) for k in found if k.startswith("pc")
    }
    lux = {
        # Steps of 0.01 lux, as a lamp keeps them.
        k: round(_number("plan_program", f"{what}: {k}", found[k], 0, 200_000, whole=False) * 100) / 100
        for k in found
        if k.endswith("Level")
    }
    if lux and not 0 < lux["onLevel"] <= lux["offLevel"]:
        raise _refuse("plan_program", f"{what}: onLevel is below 0.01 or above offLevel")
    return Period(
        name,
        sunset=shifts.get("sunsetOffset", 0),
        sunrise=shifts.get("sunriseOffset", 0),
        before_sunset=spans.get("pcActiveBeforeSunset", 0),
        before_sunrise=spans.get("pcActiveBeforeSunrise", 0),
        on=lux.get("onLevel", 0.0),
        off=lux.get("offLevel", 0.0),
    )


def _operation(what: str, found: Any) -> str:
    if not isinstance(found, str) or found not in OPERATIONS:
        raise _refuse("plan_program", f"{what}: not one of {', '.join(OPERATIONS)}: {_show(found)}")
    return found


def _astro(what: str, found: Any) -> Astro:
    _keys(what, found, "offset solarEventType operation command", "", "plan_program")
    if found["solarEventType"] not in ("sunrise", "sunset"):
        raise _refuse("plan_program", f"{what}: solarEventType {_show(found['solarEventType'])}")
    offset = _number("plan_program", f"{what}: offset", found["offset"], -720, 720)
    operation = _operation(f"{what}: operation", found["operation"])
    return Astro(offset, found["solarEventType"], operation, _command(what, found["command"]))


def _dynamic(what: str, found: Any) -> Dynamic:
    _keys(what, found, "effect", "period", "plan_program")
    effect = _keys(
        f"{what}: effect", found["effect"], "type operation command", "source holdTime", "plan_program"
    )
    if effect["type"] != "FixedControlEffect":
        raise _refuse("plan_program", f"{what}: not supported: {_show(effect['type'])}")
    period = None
    if "period" in found:
        span = _keys(f"{what}: period", found["period"], "startTime endTime", "", "plan_program")
        period = (_time(f"{what}: startTime", span["startTime"]), _time(f"{what}: endTime", span["endTime"]))
    hold = _number("plan_program", f"{what}: holdTime", effect.get("holdTime", 0), 0, 65535)
    operation = _operation(f"{what}: operation", effect["operation"])
    return Dynamic(period, operation, _command(what, effect["command"]), hold)


def _program(found: Any, day_offset: int) -> Program:
    must, may = "id activePeriods fixedTimeControls", "type ownerCMS astroClockTimeControls dynamicControls"
    _keys("a program", found, must, may, "plan_program")
    name = found["id"]
    if not isinstance(name, str):
        raise _refuse("plan_program", f"a program's id is not a text: {_show(name)}")
    if found.get("type", "ControlProgramOne") != "ControlProgramOne":
        raise _refuse("plan_program", f"program {_show(name)}: not supported: {_show(found['type'])}")

    def each(key: str, one: Any) -> tuple[Any, ...]:
        items = _list(f"program {_show(name)}: {key}", found.get(key, []), "plan_program")
        return tuple(one(f"program {_show(name)}: {key} {n}", item) for n, item in enumerate(items, 1))

    fixed = each("fixedTimeControls", _fixed)
    times = [t for t, _ in fixed]
    turned = [(t - day_offset * 3600) % 86400 for t in times]
    if len(set(times)) < len(times) or sorted(turned) != turned:
        within = "noon to noon" if day_offset else "midnight to midnight"
        raise _refuse(
            "plan_program", f"program {_show(name)}: fixedTimeControls do not increase from {within}"
        )
    periods, astro = each("activePeriods", _period), each("astroClockTimeControls", _astro)
    if len({(p.on, p.off) for p in periods if "Sensor" in p.name}) > 1:
        raise _refuse(
            "plan_program", f"program {_show(name)}: onLevel and offLevel differ between its periods"
        )
    return Program(name, periods, fixed, astro, each("dynamicControls", _dynamic))


def _fixed(what: str, found: Any) -> tuple[int, Command]:
    _keys(what, found, "startTime command", "", "plan_program")
    return _time(f"{what}: startTime", found["startTime"]), _command(what, found["command"])


def _bound(what: str, found: Any) -> Bound:
    parts = re.fullmatch(r"(20\d\d-|--)(\d\d)-(\d\d)", found, re.ASCII) if isinstance(found, str) else None
    if parts is not None and parts[1] != "2000-":
        year = None if parts[1] == "--" else int(parts[1][:4])
        try:
            # 2024: 29 February is a day of every year's calendar.
            date(year or 2024, int(parts[2]), int(parts[3]))
        except ValueError:
            pass
        else:
            return year, int(parts[2]), int(parts[3])
    raise _refuse("plan_calendar", f"{what} is no date 20YY-MM-DD (from 2001) or --MM-DD: {_show(found)}")


def _part(what: str, found: Any) -> tuple[int | None, int]:
    """(month or None, day) of --mm-dd or ---dd."""
    parts = re.fullmatch(r"---(\d\d)", found, re.ASCII) if isinstance(found, str) else None
    if parts is not None and 1 <= int(parts[1]) <= 31:
        return None, int(parts[1])
    if isinstance(found, str) and found.startswith("--") and found[2:3] != "-":
        return _bound(what, found)[1:]
    raise _refuse("plan_calendar", f"{what} is no date --MM-DD or ---DD: {_show(found)}")


def _rule(what: str, found: Any, programs: dict[str, Program]) -> Rule:
    _keys(what, found, "program", "startDate endDate condition", "plan_calendar")
    program = found["program"]
    if not isinstance(program, str) or program not in programs:
        raise _refuse("plan_calendar", f"{what}: program {_show(program)} is not among the programs")
    start = _bound(f"{what}: startDate", found["startDate"]) if "startDate" in found else None
    end = _bound(f"{what}: endDate", found["endDate"]) if "endDate" in found else None
    if start and end and start[0] and end[0] and start > end:
        raise _refuse("plan_calendar", f"{what}: endDate is before startDate")
    if "condition" not in found:
        return Rule(program, start, end, "always")
    condition = found["condition"]
    kind = condition.get("type") if isinstance(condition, dict) else None
    if kind == "ccDay":
        _keys(f"{what}: ccDay", condition, "type days", "occurrences", "plan_calendar")
        days: set[int] = set()
        for item in _list(f"{what}: days", condition["days"], "plan_calendar"):
            days.update(range(*_week(f"{what}: days", item)))
        nth = _list(f"{what}: occurrences", condition.get("occurrences", []), "plan_calendar")
        if any(not isinstance(n, str) or n not in ("1", "2", "3", "4", "5", "L") for n in nth):
            raise _refuse("plan_calendar", f'{what}: occurrences are "1" to "5" and "L": {_show(nth)}')
        if not days:
            raise _refuse("plan_calendar", f"{what}: ccDay without days")
        if len(set(nth)) < len(nth) or len(nth) > 5:
            raise _refuse(
                "plan_calendar", f"{what}: occurrences stand once each, five at the most: {_show(nth)}"
            )
        return Rule(program, start, end, "days", frozenset(days), frozenset(nth))
    if kind == "ccDate":
        _keys(f"{what}: ccDate", condition, "type dates", "", "plan_calendar")
        dates = [
            _dates(f"{what}: dates", d) for d in _list(f"{what}: dates", condition["dates"], "plan_calendar")
        ]
        if not dates:
            raise _refuse("plan_calendar", f"{what}: ccDate without dates")
        return Rule(program, start, end, "dates", dates=tuple(dates))
    raise _refuse("plan_calendar", f"{what}: condition is neither ccDay nor ccDate: {_show(kind)}")


def _week(what: str, found: Any) -> Span:
    _keys(what, found, "start", "end", "plan_calendar")
    first = _number("plan_calendar", f"{what}: start", found["start"], 1, 7)
    # OAS of 2.6.1: the end is the later day, so a range does not run over Sunday.
    last = _number("plan_calendar", f"{what}: end", found.get("end", first), first, 7)
    return first, last + 1


def _dates(what: str, found: Any) -> tuple[tuple[int | None, int], tuple[int | None, int]]:
    _keys(what, found, "start", "end", "plan_calendar")
    first = _part(f"{what}: start", found["start"])
    last = _part(f"{what}: end", found["end"]) if "end" in found else first
    if (first[0] is None) != (last[0] is None):
        raise _refuse("plan_calendar", f"{what}: start and end are of two kinds")
    if (first[0] or 0, first[1]) > (last[0] or 0, last[1]):
        raise _refuse("plan_calendar", f"{what}: the end is before the start")
    return first, last
