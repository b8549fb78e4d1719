"""Lighting plans: the file people write (`lanterne-plan/1`, names of TALQ 2.7.1) and the compact form that goes
to a node (docs/decisions/0013).

Whatever a node would refuse is refused here first, by the same name and with the place in the file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import date
from typing import Any, NoReturn

from firmware.protocols.cbor import WireError, decode, encode
from host_tools.errors import InputError

FORMAT = "lanterne-plan/1"
#: What a node keeps, and declares.
MAX_BYTES = 700
MAX_PROGRAMS = 8
MAX_RULES = 24
MAX_FIXED = 12
MAX_FEW = 4
MAX_DATES = 8
MAX_LUX = 200_000

OPERATIONS = ("Set", "Max", "Min", "Add", "Sub", "Mul")
_EVENTS = ("sunrise", "sunset")
_SUNS = ("official", "civil")
_PERIODS = (
    "AbsoluteActivePeriod",
    "AstroClockActivePeriod",
    "SensorActivePeriod",
    "AstroAndSensorActivePeriod",
)
_DAY = 86400
_HINTS = {
    "plan_format": "",
    "plan_zone": "Give a POSIX TZ string, for France CET-1CEST,M3.5.0,M10.5.0/3.",
    "plan_position": "Give degrees north and east, latitudes within 89.9.",
    "plan_program": "",
    "plan_calendar": "",
    "plan_limit": f"A node keeps {MAX_PROGRAMS} programs and {MAX_RULES} rules; of a program {MAX_FIXED} fixed "
    f"times and {MAX_FEW} each of periods, astronomical and dynamic controls; {MAX_BYTES} bytes in all.",
}


class PlanError(InputError):
    """A plan is refused. `reason` is the name that a node would give, `str(e)` one line with the place."""

    def __init__(self, reason: str, place: str, wrong: str) -> None:
        super().__init__(f"{reason}: {place}: {wrong}", _HINTS[reason])
        self.reason = reason


class _Part:
    """A JSON object at a place of the file; every field is asked for once, and none may be left over."""

    def __init__(self, value: Any, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        if not isinstance(value, dict):
            self.refuse("an object is expected here")
        self._value = value
        self._asked: set[str] = set()

    def refuse(self, wrong: str) -> NoReturn:
        raise PlanError(self.reason, self.place, wrong)

    def has(self, name: str) -> bool:
        return name in self._value

    def get(self, name: str, default: Any = ...) -> Any:
        self._asked.add(name)
        if name not in self._value and default is ...:
            self.refuse(f"{name} is missing")
        return self._value.get(name, default)

    def skip(self, *names: str) -> None:
        """Fields that TALQ knows and a plan for one lamp does without."""
        self._asked.update(names)

    def done(self) -> None:
        for name in self._value:
            if name not in self._asked:
                self.refuse(f"the field {name!r} is not known here")

    def whole(self, name: str, low: int, high: int, unit: str, default: Any = ...) -> int:
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            self.refuse(f"{name} {value!r} is not a whole number of {unit}")
        if not low <= value <= high:
            self.refuse(f"{name} {value!r} is not within {low} and {high} {unit}")
        return int(value)

    def degrees(self, name: str, most: float) -> int:
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
            self.refuse(f"{name} {value!r} is not within {-most} and {most} degrees")
        return round(value * 10000)

    def hundredths(self, name: str) -> int:
        """Lux in steps of 0.01. It is never dark below zero."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_LUX:
            self.refuse(f"{name} {value!r} is not within 0.01 and {MAX_LUX} lux")
        found = round(value * 100)
        if not found:
            self.refuse(f"{name} {value!r} is not within 0.01 and {MAX_LUX} lux")
        return found

    def choice(self, name: str, words: Sequence[str], default: Any = ...) -> int:
        value = self.get(name, default)
        if not isinstance(value, str) or value not in words:
            self.refuse(f"{name} {value!r} is none of {', '.join(words)}")
        return words.index(value)

    def time(self, name: str) -> int:
        """Seconds of the local day of hh:mm or hh:mm:ss."""
        value = self.get(name)
        found = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?", str(value))
        if not isinstance(value, str) or found is None:
            self.refuse(f"{name} {value!r} is not a local time from 00:00:00 to 23:59:59")
        hours, minutes, seconds = found.groups("0")
        return int(hours) * 3600 + int(minutes) * 60 + int(seconds)

    def each(self, name: str, most: int, noun: str, reason: str = "", must: bool = False) -> list[_Part]:
        """The objects of a list, which is empty where it is left out, if it may be."""
        values = self.get(name, ... if must else [])
        if not isinstance(values, list):
            self.refuse(f"{name} is not a list")
        if len(values) > most:
            raise PlanError("plan_limit", self.place, f"{len(values)} {name}, a node keeps {most}")
        start = "" if self.place == "plan" else self.place + ", "
        return [_Part(v, f"{start}{noun} {n}", reason or self.reason) for n, v in enumerate(values, 1)]

    def text(self, *names: str) -> None:
        """Fields for people, which no node gets."""
        for name in names:
            if not isinstance(self.get(name, ""), str):
                self.refuse(f"{name} is not a text")

    def part(self, name: str) -> _Part:
        return _Part(self.get(name), self.place, self.reason)


# Names, offsets and the rules of a change, as the device takes them.
_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)"
_SHIFT = r"[+-]?0?(?:2[0-4]|[01]?[0-9])(?::[0-5]?[0-9](?::[0-5]?[0-9])?)?"
_CLOCK = r"[+-]?(?:16[0-7]|1[0-5][0-9]|0?[0-9]{1,2})(?::[0-5]?[0-9](?::[0-5]?[0-9])?)?"
_CHANGE = rf"M(?:[1-9]|1[0-2])\.[1-5]\.[0-6](?:/{_CLOCK})?"
_ZONE = re.compile(rf"{_NAME}{_SHIFT}(?:{_NAME}(?:{_SHIFT})?,{_CHANGE},{_CHANGE})?")


def _zone(plan: _Part) -> str:
    text = plan.get("timezone", None)
    if not isinstance(text, str) or _ZONE.fullmatch(text) is None:
        wrong = f"timezone {text!r} is not a POSIX TZ string"
        if isinstance(text, str) and re.search(r",J?[0-9]", text):
            wrong = f"timezone {text!r}: changes by day of the year are not supported, give them as Mm.w.d"
        raise PlanError("plan_zone", plan.place, wrong)
    return text


def _command(part: _Part, ramp_from: bool = False) -> list[int]:
    """[level, ramp] or [level, ramp to, ramp from] of a command."""
    command = part.part("command")
    state = command.part("state")
    # The short form of this format, or TALQ's LevelState: {"name": "LevelState", "value": 40}.
    short = state.has("level")
    if not short and state.get("name") != "LevelState":
        state.refuse(f"state {state.get('name')!r}: a lamp has a LevelState only")
    level = state.whole("level" if short else "value", 0, 100, "%")
    state.done()
    found = [level, command.whole("rampToLevelTime", 0, 65535, "seconds", 0)]
    ramp = command.whole("rampFromLevelTime", 0, 65535, "seconds", 0)
    if ramp_from:
        found.append(ramp)
    command.done()
    return found


def _period(part: _Part) -> list[int]:
    name = part.get("name")
    if name == "ValueActivePeriod":
        part.refuse("a lamp node has no ValueActivePeriod")
    kind = part.choice("name", _PERIODS)
    found = [kind]
    if kind == 0:
        found += [part.time("startTime"), part.time("endTime")]
    if kind & 1:
        found += [part.whole(n, -720, 720, "minutes") for n in ("sunsetOffset", "sunriseOffset")]
    if kind == 3:
        found += [part.whole(n, 0, 720, "minutes") for n in ("pcActiveBeforeSunset", "pcActiveBeforeSunrise")]
    if kind > 1:
        part.skip("sensor")
        found += [part.hundredths(n) for n in ("onLevel", "offLevel")]
        if found[-2] > found[-1]:
            part.refuse(f"onLevel {found[-2] / 100:g} is above offLevel {found[-1] / 100:g}")
    part.done()
    return found


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def _fixed(parts: list[_Part], noon: int) -> list[list[int]]:
    """Fixed times, which stand in the order of the lighting day."""
    found = []
    for part in parts:
        found.append([part.time("startTime"), *_command(part)])
        part.done()
    for n in range(1, len(found)):
        if (found[n][0] - noon) % _DAY <= (found[n - 1][0] - noon) % _DAY:
            times = f"{_clock(found[n][0])} after {_clock(found[n - 1][0])}"
            day = "noon to noon" if noon else "midnight to midnight"
            parts[n].refuse(f"{times}: times must increase from {day}, each once")
    return found


def _dynamic(part: _Part) -> list[int]:
    found = [-1, -1]
    if part.has("period"):
        period = part.part("period")
        found = [period.time("startTime"), period.time("endTime")]
        period.done()
    effect = part.part("effect")
    if effect.get("type") != "FixedControlEffect":
        effect.refuse(f"a lamp node carries out a FixedControlEffect only, not {effect.get('type')!r}")
    effect.skip("source")
    found.append(effect.choice("operation", OPERATIONS))
    level, *ramps = _command(effect, ramp_from=True)
    found += [level, effect.whole("holdTime", 0, 65535, "seconds", 0), *ramps]
    effect.done()
    part.skip("period")
    part.done()
    return found


def _program(part: _Part, noon: int) -> list[Any]:
    if part.get("type", "ControlProgramOne") != "ControlProgramOne":
        part.refuse(f"a lamp node runs a ControlProgramOne only, not {part.get('type')!r}")
    periods = []
    sensors = set()
    for p in part.each("activePeriods", MAX_FEW, "period", must=True):
        periods.append(_period(p))
        if periods[-1][0] > 1:
            sensors.add(tuple(periods[-1][-2:]))
        if len(sensors) > 1:
            p.refuse("the photocell periods of a program must have the same onLevel and offLevel")
    fixed = _fixed(part.each("fixedTimeControls", MAX_FIXED, "fixed time", must=True), noon)
    astro = []
    for p in part.each("astroClockTimeControls", MAX_FEW, "astronomical control"):
        row = [p.whole("offset", -720, 720, "minutes"), p.choice("solarEventType", _EVENTS)]
        astro.append([*row, p.choice("operation", OPERATIONS), *_command(p)])
        p.done()
    dynamic = [_dynamic(p) for p in part.each("dynamicControls", MAX_FEW, "dynamic control")]
    part.skip("ownerCMS")
    part.done()
    return [periods, fixed, astro, dynamic]


def _date(part: _Part, name: str, text: Any) -> int:
    """A date of a rule: with its year, or of every year."""
    found = re.fullmatch(r"(?:-|(20[0-9]{2}))-([0-9]{2})-([0-9]{2})", text) if isinstance(text, str) else None
    if found is None:
        part.refuse(f"{name} {text!r} is no date like 2026-11-01 or --11-01")
    year, month, day = found.groups()
    try:
        # 2024 stands for every year: it has a 29 February.
        date(int(year or 2024), int(month), int(day))
    except ValueError:
        part.refuse(f"{name} {text!r} is not in the calendar")
    if year == "2000":
        part.refuse(f"{name} {text!r}: years from 2001 on")
    return (int(year) - 2000 if year else 0) * 512 + int(month) * 32 + int(day)


def _dates(part: _Part) -> list[int]:
    found = []
    start = part.get("start")
    for name, text in (("start", start), ("end", part.get("end", start))):
        day = re.fullmatch(r"---(0[1-9]|[12][0-9]|3[01])", text) if isinstance(text, str) else None
        if day is None and (not isinstance(text, str) or not text.startswith("--")):
            part.refuse(f"{name} {text!r} is no date like --07-14 or ---05")
        found.append(int(day[1]) if day else _date(part, name, text))
    if (found[0] < 32) != (found[1] < 32):
        part.refuse(f"from {start} to {part.get('end')}: a day of the month and a date of the year")
    if found[0] > found[1]:
        part.refuse(f"{part.get('end')} is before {start}: give two ranges")
    part.done()
    return found


def _condition(part: _Part) -> list[Any]:
    if part.choice("type", ("ccDate", "ccDay")) == 0:
        dates = [_dates(p) for p in part.each("dates", MAX_DATES, "date")]
        if not dates:
            part.refuse("ccDate without dates")
        part.done()
        return [1, dates]
    days = 0
    for p in part.each("days", 7, "days"):
        start = p.whole("start", 1, 7, "(1 is Monday)")
        end = p.whole("end", 1, 7, "(7 is Sunday)", start)
        if start > end:
            p.refuse(f"end {end} is before start {start}: give two ranges")
        for n in range(start, end + 1):
            days |= 1 << n - 1
        p.done()
    if not days:
        part.refuse("ccDay without days")
    words = part.get("occurrences", [])
    if not isinstance(words, list) or any(w not in ("1", "2", "3", "4", "5", "L") for w in words):
        part.refuse(f"occurrences {words!r}: a list of 1 to 5 and L is expected")
    if len(set(words)) < len(words) or len(words) > 5:
        part.refuse(f"occurrences {words!r}: each once, five at the most")
    part.done()
    # Each day of a month is a first to fifth, so without occurrences all of them count.
    return [2, days, sum(1 << "12345L".index(w) for w in words) or 31]


def _index(part: _Part, name: str, programs: dict[str, int]) -> int:
    found = part.get(name)
    if not isinstance(found, str) or found not in programs:
        part.refuse(f"there is no program {found!r}")
    return programs[found]


def _rule(part: _Part, programs: dict[str, int]) -> list[Any]:
    start = _date(part, "startDate", part.get("startDate", "--01-01"))
    end = _date(part, "endDate", part.get("endDate", "--12-31"))
    # Bounds of every year in the other order go round the new year.
    if start > end > 511:
        part.refuse("endDate is before startDate")
    cond: Any = 0
    if part.has("condition"):
        cond = _condition(part.part("condition"))
    found = [_index(part, "program", programs), start, end, cond]
    part.done()
    return found


def compile(plan: dict[str, Any]) -> bytes:
    """The compact form of a plan. PlanError with the reason by name and the place."""
    whole = _Part(plan, "plan", "plan_format")
    if whole.get("format", None) != FORMAT:
        whole.refuse(f"its format is not {FORMAT}")
    whole.text("name", "comment")
    offset = whole.whole("dayOffset", 0, 12, "hours", 12)
    if offset not in (0, 12):
        whole.refuse(f"dayOffset {offset}: 0 or 12 is expected")
    zone = _zone(whole)
    position = _Part(plan, "plan", "plan_position")
    place = [position.degrees("latitude", 89.9), position.degrees("longitude", 180)]
    whole.skip("latitude", "longitude")
    sun = whole.choice("sunEvent", _SUNS, "official")
    default = whole.whole("defaultLightState", 0, 100, "%")
    numbers: dict[str, int] = {}
    programs: list[list[Any]] = []
    for part in whole.each("controlPrograms", MAX_PROGRAMS, "program", "plan_program"):
        name = part.get("id")
        if not isinstance(name, str) or name in numbers:
            part.refuse(f"id {name!r}: each program needs its own text here")
        # One line, whatever the text holds.
        part.place = f"program {name if name.isprintable() else repr(name)}"
        numbers[name] = len(programs)
        programs.append(_program(part, offset * 3600))
    rules: list[list[Any]] = []
    fallback = -1
    if whole.has("calendar"):
        calendar = _Part(whole.get("calendar"), "calendar", "plan_calendar")
        rules = [_rule(p, numbers) for p in calendar.each("rules", MAX_RULES, "rule")]
        if calendar.get("defaultProgram", None) is not None:
            fallback = _index(calendar, "defaultProgram", numbers)
        calendar.skip("id", "ownerCMS")
        calendar.done()
    whole.done()
    blob: bytes = encode([1, zone, *place, offset, default, sun, programs, rules, fallback])
    if len(blob) > MAX_BYTES:
        raise PlanError("plan_limit", "plan", f"{len(blob)} bytes, a node keeps {MAX_BYTES}")
    return blob


def digest(blob: bytes) -> bytes:
    """What a node says it runs: the first 8 bytes of SHA-256 of the compact form."""
    return hashlib.sha256(blob).digest()[:8]


def _state(level: int, to: int, back: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {"state": {"level": level}}
    if to:
        found["rampToLevelTime"] = to
    if back:
        found["rampFromLevelTime"] = back
    return found


def _show_period(row: list[int]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": _PERIODS[row[0]]}
    if row[0] == 0:
        found |= {"startTime": _clock(row[1]), "endTime": _clock(row[2])}
    if row[0] & 1:
        found |= {"sunsetOffset": row[1], "sunriseOffset": row[2]}
    if row[0] == 3:
        found |= {"pcActiveBeforeSunset": row[3], "pcActiveBeforeSunrise": row[4]}
    if row[0] > 1:
        found |= {"onLevel": row[-2] / 100, "offLevel": row[-1] / 100}
    return found


def _show_dynamic(row: list[int]) -> dict[str, Any]:
    start, end, op, level, hold, to, back = row
    effect = {"type": "FixedControlEffect", "source": {}, "operation": OPERATIONS[op], "holdTime": hold}
    found: dict[str, Any] = {"effect": effect | {"command": _state(level, to, back)}}
    if start >= 0:
        found["period"] = {"startTime": _clock(start), "endTime": _clock(end)}
    return found


def _show_program(name: str, program: list[Any]) -> dict[str, Any]:
    periods, fixed, astro, dynamic = program
    return {
        "id": name,
        "activePeriods": [_show_period(row) for row in periods],
        "fixedTimeControls": [{"startTime": _clock(s), "command": _state(*rest)} for s, *rest in fixed],
        "astroClockTimeControls": [
            {
                "offset": offset,
                "solarEventType": _EVENTS[event],
                "operation": OPERATIONS[op],
                "command": _state(*rest),
            }
            for offset, event, op, *rest in astro
        ],
        "dynamicControls": [_show_dynamic(row) for row in dynamic],
    }


def _show_date(value: int) -> str:
    if value < 32:
        return f"---{value:02}"
    year = f"{2000 + (value >> 9)}" if value > 511 else "-"
    return f"{year}-{value >> 5 & 15:02}-{value & 31:02}"


def _show_rule(rule: list[Any]) -> dict[str, Any]:
    program, start, end, cond = rule
    found: dict[str, Any] = {
        "startDate": _show_date(start),
        "endDate": _show_date(end),
        "program": f"p{program + 1}",
    }
    if cond and cond[0] == 1:
        dates = [{"start": _show_date(a), "end": _show_date(b)} for a, b in cond[1]]
        found["condition"] = {"type": "ccDate", "dates": dates}
    elif cond:
        days = [{"start": n + 1, "end": n + 1} for n in range(7) if cond[1] >> n & 1]
        condition: dict[str, Any] = {"type": "ccDay", "days": days}
        if cond[2] != 31:
            condition["occurrences"] = [w for n, w in enumerate("12345L") if cond[2] >> n & 1]
        found["condition"] = condition
    return found


def expand(blob: bytes) -> dict[str, Any]:
    """The file of a compact form, programs named p1, p2 ...: it compiles to the same bytes.

    PlanError (plan_format) for bytes that no `compile` made.
    """
    try:
        _, zone, lat, lon, offset, default, sun, programs, rules, fallback = decode(
            blob, 0, None, 6, MAX_BYTES
        )
        calendar: dict[str, Any] = {"rules": [_show_rule(rule) for rule in rules]}
        if fallback >= 0:
            calendar["defaultProgram"] = f"p{fallback + 1}"
        found = {
            "format": FORMAT,
            "timezone": zone,
            "latitude": lat / 10000,
            "longitude": lon / 10000,
            "dayOffset": offset,
            "defaultLightState": default,
            "sunEvent": _SUNS[sun],
            "controlPrograms": [_show_program(f"p{n}", p) for n, p in enumerate(programs, 1)],
            "calendar": calendar,
        }
        if compile(found) == blob:
            return found
    except (WireError, PlanError, TypeError, ValueError, LookupError):
        pass
    raise PlanError("plan_format", "compact form", "these bytes are no plan, or one that no node accepts")
