"""Plan files of all sorts, right and wrong: the tool that packs them and the second evaluator take the same ones,
refuse the others by the same name, and what is taken makes the firmware's table and the evaluator say the same.

The three share no code. The one reason that the evaluator cannot give is the size of the packed form.
"""

from __future__ import annotations

import copy
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from firmware.furniture import night
from firmware.furniture import plan as device
from host_tools import plan as packer
from host_tools import schedule
from host_tools.errors import InputError
from tests.host.test_schedule_firmware import EPOCH, REASONS, ZONES, edges

COMMON: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}

second = st.one_of(st.integers(0, 95).map(lambda n: n * 900), st.integers(0, 86399))
hours, sixty = st.integers(0, 9), st.sampled_from(["", ":30", ":05:07"])


def clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


times = st.one_of(second.map(clock), st.integers(0, 1439).map(lambda m: f"{m // 60:02}:{m % 60:02}"))
levels = st.integers(0, 100)
whole = st.one_of(st.integers(0, 900), st.just(65535), st.integers(0, 99).map(float))
state = st.one_of(
    levels.map(lambda n: {"level": n}), levels.map(lambda n: {"name": "LevelState", "value": n})
)
command = st.fixed_dictionaries(
    {"state": state}, optional={"rampToLevelTime": whole, "rampFromLevelTime": whole}
)
offset = st.one_of(st.integers(-90, 90), st.sampled_from([-720, -300, 300, 720]))
operation = st.sampled_from(["Set", "Max", "Min", "Add", "Sub", "Mul"])
lux = st.tuples(st.floats(0.01, 60), st.floats(0, 60)).map(lambda p: (p[0], p[0] + p[1]))

date_of_year = st.tuples(st.integers(1, 12), st.integers(1, 28)).map(lambda d: f"--{d[0]:02}-{d[1]:02}")
yearly = st.one_of(date_of_year, st.just("--02-29"), st.just("--12-31"))
of_month = st.integers(1, 31).map(lambda n: f"---{n:02}")


@st.composite
def zones(draw: st.DrawFn) -> str:
    """Zones as they are, and others: half hours, either hemisphere, changes at odd times. None changes its clocks
    over the new year: no zone does, and rules of a year are looked up by its number."""
    if draw(st.booleans()):
        return draw(st.sampled_from(ZONES))

    def rule(first: int, last: int) -> str:
        time = draw(st.sampled_from(["", "/0", "/3", "/-1", "/24", "/26", "/2:30", "/007"]))
        return f"M{draw(st.integers(first, last))}.{draw(st.integers(1, 5))}.{draw(st.integers(0, 6))}{time}"

    west = draw(st.sampled_from(["-", "", "+"])) + str(draw(hours)) + draw(sixty)
    if draw(st.booleans()):
        return f"<+X1>{west}"
    spring, autumn = rule(3, 5), rule(9, 11)
    rules = (spring, autumn) if draw(st.booleans()) else (autumn, spring)
    return f"ABC{west}DEFG,{rules[0]},{rules[1]}"


@st.composite
def ranges(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> dict[str, Any]:
    """start and, perhaps, an end that is not before it."""
    first, last = sorted([draw(values), draw(values)])
    return {"start": first, "end": last} if draw(st.booleans()) else {"start": first}


conditions = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("ccDay"), "days": st.lists(ranges(st.integers(1, 7)), min_size=1, max_size=3)},
        optional={"occurrences": st.lists(st.sampled_from("12345L"), max_size=5, unique=True)},
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("ccDate"),
            "dates": st.lists(st.one_of(ranges(of_month), ranges(yearly)), min_size=1, max_size=3),
        }
    ),
)


@st.composite
def rules(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"program": draw(st.sampled_from(names))}
    year = draw(st.integers(2026, 2049))
    bounds = draw(
        st.one_of(
            st.tuples(yearly, yearly),
            ranges(date_of_year).map(
                lambda r: (str(year) + r["start"][1:], str(year + 1) + r.get("end", r["start"])[1:])
            ),
        )
    )
    found |= dict(
        draw(st.lists(st.sampled_from(list(zip(("startDate", "endDate"), bounds, strict=True))), max_size=2))
    )
    if draw(st.booleans()):
        found["condition"] = draw(conditions)
    return found


@st.composite
def programs(draw: st.DrawFn, name: str, noon: int) -> dict[str, Any]:
    on, off = draw(lux)
    sensor = {"onLevel": on, "offLevel": off}
    before = st.integers(0, 90)
    astro = {"sunsetOffset": offset, "sunriseOffset": offset}
    period = st.one_of(
        st.fixed_dictionaries(
            {"name": st.just("AbsoluteActivePeriod"), "startTime": times, "endTime": times}
        ),
        st.fixed_dictionaries({"name": st.just("AstroClockActivePeriod"), **astro}),
        st.just({"name": "SensorActivePeriod", **sensor}),
        st.fixed_dictionaries(
            {
                "name": st.just("AstroAndSensorActivePeriod"),
                **astro,
                "pcActiveBeforeSunset": before,
                "pcActiveBeforeSunrise": before,
                **{key: st.just(value) for key, value in sensor.items()},
            },
            optional={"sensor": st.just({})},
        ),
    )
    seconds = sorted(draw(st.sets(second, max_size=6)), key=lambda s: (s - noon * 3600) % 86400)
    found = {
        "id": name,
        "activePeriods": draw(st.lists(period, max_size=3)),
        "fixedTimeControls": [{"startTime": clock(s), "command": draw(command)} for s in seconds],
    }
    if draw(st.booleans()):
        astro_control: dict[str, st.SearchStrategy[Any]] = {
            "offset": offset,
            "solarEventType": st.sampled_from(["sunrise", "sunset"]),
            "operation": operation,
            "command": command,
        }
        found["astroClockTimeControls"] = draw(st.lists(st.fixed_dictionaries(astro_control), max_size=4))
    if draw(st.booleans()):
        effect: st.SearchStrategy[Any] = st.fixed_dictionaries(
            {"type": st.just("FixedControlEffect"), "operation": operation, "command": command},
            optional={"source": st.just({}), "holdTime": whole},
        )
        span = st.fixed_dictionaries({"startTime": times, "endTime": times})
        control: st.SearchStrategy[Any] = st.fixed_dictionaries({"effect": effect}, optional={"period": span})
        found["dynamicControls"] = draw(st.lists(control, max_size=3))
    return found


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """A plan that is right, but perhaps for its packed size."""
    noon = draw(st.sampled_from([0, 12]))
    names = draw(st.lists(st.sampled_from(["p", "q", "Été", ""]), min_size=1, max_size=3, unique=True))
    found: dict[str, Any] = {
        "format": packer.FORMAT,
        "timezone": draw(zones()),
        "latitude": draw(st.sampled_from([47.4736, 60.2, -33.9, 0.0, 69.6492])),
        "longitude": draw(st.sampled_from([-0.5542, 24.9, 121.5, 175.3, -149.6])),
        "defaultLightState": draw(levels),
        "controlPrograms": [draw(programs(name, noon)) for name in names],
    }
    if noon == 0 or draw(st.booleans()):
        found["dayOffset"] = noon
    for key, values in (
        ("sunEvent", st.sampled_from(["official", "civil"])),
        ("comment", st.text(max_size=5)),
        ("name", st.text(max_size=5)),
    ):
        if draw(st.booleans()):
            found[key] = draw(values)
    if draw(st.integers(0, 9)):
        calendar: dict[str, Any] = {"rules": draw(st.lists(rules(names), max_size=4))}
        if draw(st.integers(0, 4)):
            calendar["defaultProgram"] = draw(st.sampled_from(names))
        found["calendar"] = calendar
    return found


# Wrong plans

JUNK: list[Any] = [None, True, False, -1, 0, 0.5, 1, 12.0, 31, 100, 101, 65536, 1e9, 1e300, float("inf")]
JUNK += [
    float("nan"),
    "",
    "0",
    "12:00",
    "24:00",
    "١٢:٠٠",
    "--02-30",
    "2000-01-01",
    "---32",
    "L",
    "UTC0",
    "A1",
]
JUNK += ["Set", "sunset", "official", "LevelState", "CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST", [], [{}], {}]
JUNK += [[1], ["1", "1"], {"a": 1}, {"level": 5}, [[]]]
junk = st.sampled_from(JUNK)
#: What is done to a plan, and to what of it.
KINDS: list[tuple[str, Any]] = [
    ("drop", object),
    ("junk", object),
    ("junk", int | float),
    ("junk", str),
    ("key", dict),
    ("more", list),
    ("near", int | float),
    ("near", str),
    ("swap", list | str),
]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything in a plan, but for what nobody looks at."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [(key, v) for key, v in rows if key not in ("sensor", "source")]
    return [p for key, v in inner for p in [(*path, key), *places(v, (*path, key))]]


@st.composite
def wrong(draw: st.DrawFn) -> dict[str, Any]:
    """A plan with one thing changed, which is perhaps still right."""
    found = copy.deepcopy(draw(plans()))
    kind, of = draw(st.sampled_from(KINDS))
    paths = [p for p in places(found) if isinstance(at(found, p), of) and (of is not list or at(found, p))]
    path = draw(st.sampled_from(paths or [("format",)]))
    holder, key, value = at(found, path[:-1]), path[-1], at(found, path)
    if kind == "drop":
        del holder[key]
    elif kind == "key" and paths:
        value[draw(st.sampled_from(["comment", "name", "level", "end", "period", "ends"]))] = draw(junk)
    elif kind == "more" and paths:
        value += [copy.deepcopy(value[-1])] * draw(st.sampled_from([1, 8, 25]))
    elif kind == "swap":
        holder[key] = value[::-1]
    elif kind == "near" and isinstance(value, str):
        at_ = draw(st.integers(0, max(len(value) - 1, 0)))
        holder[key] = value[:at_] + draw(st.sampled_from(["", *"0-:9MJ,１"])) + value[at_ + 1 :]
    elif kind == "near" and not isinstance(value, bool):
        holder[key] = value + draw(st.sampled_from([-1000, -1, 0.5, 1, 20, 100, 1e6]))
    else:
        holder[key] = draw(junk)
    return found


def packed(source: Any) -> tuple[str, bytes, str]:
    try:
        return "taken", packer.compile(source), ""
    except packer.PlanError as e:
        return e.reason, b"", str(e)


def parsed(source: Any) -> tuple[str, str]:
    try:
        schedule.parse(source)
    except InputError as e:
        return str(e).removeprefix("the plan: ").partition(":")[0], str(e)
    return "taken", ""


def judge(source: Any, seen: Counter[str]) -> bytes:
    """The packed plan, b"" for a refused one; both readers have to agree."""
    ours, blob, told = packed(source)
    theirs, why = parsed(source)
    seen[ours] += 1
    for line in (told, why):
        assert len(line.splitlines()) <= 1, line
    if ours == "plan_limit" and "bytes, a node keeps" in told:
        assert theirs == "taken", (told, why)
    else:
        assert ours == theirs, (told, why)
    if blob:
        assert device.check(blob)
        assert packer.compile(packer.expand(blob)) == blob
    return blob


@settings(max_examples=60, derandomize=True, **COMMON)
@given(plans())
def test_what_is_right_is_taken(source: dict[str, Any]) -> None:
    judge(source, seen := Counter[str]())
    assert set(seen) <= {"taken", "plan_limit"}, packed(source)[2]


def check_wrong(examples: int, derandomize: bool) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=examples, derandomize=derandomize, **COMMON)
    @given(wrong())
    def check(source: dict[str, Any]) -> None:
        judge(source, seen)

    check()
    assert set(seen) == {"taken", *packer._HINTS}, seen
    assert seen["taken"] < examples / 2


def test_both_take_it_or_both_refuse_it_by_one_name() -> None:
    check_wrong(250, True)


@pytest.mark.long
def test_both_take_or_refuse_many() -> None:
    check_wrong(20_000, False)


@given(st.recursive(st.sampled_from(JUNK), lambda c: st.lists(c) | st.dictionaries(st.text(max_size=3), c)))
@settings(max_examples=60, derandomize=True, **COMMON)
def test_what_is_no_plan(source: Any) -> None:
    judge(source, seen := Counter[str]())
    assert set(seen) == {"plan_format"}


# Levels


def compare(source: dict[str, Any], begin: datetime, at: list[int], bright: bool, present: bool) -> int:
    """How many instants were compared. Those within a minute of the sun are left out."""
    blob = judge(source, Counter())
    assume(blob)
    plan = schedule.parse(source)
    end = begin + timedelta(days=3)
    close = edges(plan, begin, end)
    assume(close is not None)
    assert close is not None
    seen, table = 0, None
    readings = [(begin - timedelta(days=2), 1e5)] if bright else []
    spans: list[Any] = [(begin - timedelta(days=2), None)] if present else []
    changes = [c.utc for c in schedule.changes(plan, begin, end, readings, spans)][1:]
    instants = [begin + timedelta(seconds=s) for s in at]
    instants += [c - timedelta(seconds=s) for c in changes for s in (0, 1)]
    for utc in sorted(instants):
        if min(abs(utc.timestamp() - edge) for edge in [0.0, *close]) <= 60:
            continue
        t = int(utc.timestamp()) - EPOCH
        if table is None or not table.begin <= t < table.end:
            table = night.Night(night.build(blob, t))
            assert table.begin <= t < table.end
            table.light(10_000_000 if bright else None)
            table.presence(t, present)
        level = table.at(t)[0]
        said = schedule.level_at(plan, utc, readings, spans)
        assert (level, table.reason) == (said.level, REASONS[said.reason]), (utc, said)
        seen += 1
    return seen


def check_levels(examples: int, derandomize: bool) -> None:
    seen = 0

    @settings(max_examples=examples, derandomize=derandomize, **COMMON)
    @given(
        plans(),
        st.datetimes(datetime(2026, 1, 3), datetime(2049, 12, 1)).map(
            lambda d: d.replace(tzinfo=UTC, microsecond=0)
        ),
        st.lists(st.integers(0, 3 * 86400 - 1), min_size=12, max_size=12),
        st.booleans(),
        st.booleans(),
    )
    def check(source: dict[str, Any], begin: datetime, at: list[int], bright: bool, present: bool) -> None:
        nonlocal seen
        seen += compare(source, begin, at, bright, present)

    check()
    assert seen > 8 * examples


def test_the_table_and_the_evaluator_say_the_same() -> None:
    check_levels(60, True)


@pytest.mark.long
def test_many_tables_and_the_evaluator_say_the_same() -> None:
    check_levels(4000, False)
