"""The decree's hours: hand-made vectors on the host's checker and on the lamp's, and both on random plans. Neither
was written from the other."""

from __future__ import annotations

import copy
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from firmware.furniture import guard, night
from firmware.kinds import law
from host_tools import plan as packer
from host_tools import schedule, sim
from host_tools.errors import InputError
from host_tools.schedule import decree, sun
from host_tools.schedule.decree import Installation
from tests.host.test_schedule_firmware import EPOCH, Maker, wire

FOLDER = Path(__file__).resolve().parents[1] / "vectors/decree"
VECTORS: dict[str, dict[str, Any]] = {
    f.stem: json.loads(f.read_text()) for f in sorted(FOLDER.glob("*.json"))
}
Spans = list[tuple[int, int]]


def minutes(text: str | None) -> int | None:
    return None if text is None else int(text[:2]) * 60 + int(text[3:])


def installation(vector: dict[str, Any]) -> Installation:
    it = vector["settings"]
    return Installation(it["category"], minutes(it["closing"]), minutes(it["opening"]))


def settings(place: Installation) -> list[int]:
    """As a lamp has them: minutes + 1, 0 for none."""
    return [place.category, *(0 if m is None else m + 1 for m in (place.closing, place.opening))]


def noons(plan: schedule.Plan, on: date) -> tuple[int, int]:
    return plan.zone.instant(on, 43200), plan.zone.instant(on + timedelta(1), 43200)


def dark_on_lamp(source: dict[str, Any], place: Installation, on: date) -> Spans:
    begin, end = (t - EPOCH for t in noons(schedule.parse(source), on))
    found = law.dark(settings(place), packer.compile(source), begin, end)
    return [(a + EPOCH, b + EPOCH) for a, b in found]


def lit_on_lamp(source: dict[str, Any], place: Installation, on: date) -> int:
    """Seconds of the night in which the lamp's table lights although it is forbidden."""
    blob = packer.compile(source)
    total = 0
    for a, b in dark_on_lamp(source, place, on):
        t = a - EPOCH
        while t < b - EPOCH:
            table = night.build(blob, t)
            tables = night.Night(table), night.Night(table)
            tables[1].presence(tables[1].begin - 1, True)
            stop = min(b - EPOCH, tables[0].end)
            total += guard.lit([(t, stop)], *tables)
            t = stop
    return total


def seconds(breaches: list[decree.Breach]) -> float:
    return sum((b.end - b.begin).total_seconds() for b in breaches)


# Vectors


@pytest.mark.parametrize("name", VECTORS)
def test_the_checker_agrees(name: str) -> None:
    vector = VECTORS[name]
    plan, place = schedule.parse(vector["plan"]), installation(vector)
    for case in vector["cases"]:
        at = schedule.instant(case["at"])
        t = int(at.timestamp())
        on = plan.zone.local(t - 43200).date()
        spans = decree.dark(plan, place, on)
        assert any(a <= t < b for a, b in spans) is not case["allowed"], case
    for row in vector["nights"]:
        found = decree.check(plan, place, date.fromisoformat(row["night"]), 1)
        wanted = [tuple(map(schedule.instant, pair)) for pair in row["breaks"]]
        assert [(b.begin, b.end) for b in found] == wanted, row


@pytest.mark.parametrize("name", VECTORS)
def test_the_lamp_agrees(name: str) -> None:
    vector = VECTORS[name]
    place = installation(vector)
    for case in vector["cases"]:
        t = wire(schedule.instant(case["at"]))
        spans = law.dark(settings(place), packer.compile(vector["plan"]), t, t + 1)
        assert bool(spans) is not case["allowed"], case
    for row in vector["nights"]:
        pairs = [[schedule.instant(s).timestamp() for s in pair] for pair in row["breaks"]]
        found = lit_on_lamp(vector["plan"], place, date.fromisoformat(row["night"]))
        if pairs:
            assert found == sum(b - a for a, b in pairs), row
        else:
            assert found <= guard.SLACK_S, row


def test_each_category_has_vectors_and_each_vector_says_why() -> None:
    assert {v["settings"]["category"] for v in VECTORS.values()} == set(decree.RULES)
    rows = [row for v in VECTORS.values() for row in (*v["cases"], *v["nights"])]
    assert len(rows) > 80
    assert all(row["why"] for row in rows)
    assert 30 < sum(row.get("allowed", False) for row in rows) < 60
    # Sunset in winter and summer: nothing is asked within two minutes of it.
    for v in VECTORS.values():
        plan = schedule.parse(v["plan"])
        for case in v["cases"]:
            t = schedule.instant(case["at"]).timestamp()
            at = sun.day(plan.zone.local(t).date(), plan.latitude, plan.longitude).set
            assert at is not None and abs(t - at) > 120, case


def wrong_rules() -> list[tuple[int, dict[str, Any]]]:
    """A change of each part of each rule."""
    found: list[tuple[int, dict[str, Any]]] = []
    for number, rule in decree.RULES.items():
        if rule.from_sunset:
            found.append((number, {"from_sunset": False}))
        if rule.after_h:
            found.append((number, {"after_h": rule.after_h + 1}))
        if rule.one and number != 3:
            found.append((number, {"one": False, "after_h": rule.after_h or 9}))
        if rule.later:
            found.append((number, {"later": False}))
        if rule.again:
            found.append((number, {"again": rule.again + 1}))
        if rule.early and number != 5:
            found.append((number, {"early": False}))
    return found


@pytest.mark.parametrize(("number", "change"), wrong_rules(), ids=str)
def test_a_wrong_rule_is_noticed(
    number: int, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = decree.RULES[number]
    monkeypatch.setitem(decree.RULES, number, decree.Rule(**{**rule.__dict__, **change}))
    noticed = 0
    for name, vector in VECTORS.items():
        if vector["settings"]["category"] == number:
            try:
                test_the_checker_agrees(name)
            except AssertionError:
                noticed += 1
    assert noticed


# Random plans


def lamp_plan(maker: Maker, year: int) -> dict[str, Any]:
    """A random plan of a place whose sun rises and sets, with the clock of the place."""
    source = maker.plan(year)
    zone, lat, lon = maker.random.choice(
        [
            ("CET-1CEST,M3.5.0,M10.5.0/3", 47.4736, -0.5542),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", 53.35, -6.26),
            ("NZST-12NZDT,M9.5.0,M4.1.0/3", -41.3, 174.8),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 61.0, -45.0),
            ("<+11>-11", -22.27, 166.44),
        ]
    )
    return {**source, "timezone": zone, "latitude": lat, "longitude": lon}


def compare(seed: int, seen: dict[str, int]) -> None:
    maker = Maker(seed)
    r = maker.random
    year = r.randint(2026, 2040)
    source = lamp_plan(maker, year)
    plan = schedule.parse(source)
    hours = [r.choice([None, r.randrange(1440)]) for _ in range(2)]
    place = Installation(r.randrange(10), *hours)
    nights = [date(year, 1, 1) + timedelta(r.randrange(365)) for _ in range(2)]
    # The nights in which the clocks change, too.
    for t, _ in plan.zone.changes(year):
        nights += [(plan.zone.local(t) - timedelta(hours=12 * n)).date() for n in (0, 1)]
    for on in nights:
        ours, theirs = decree.dark(plan, place, on), decree._merged(dark_on_lamp(source, place, on))
        ours, theirs = ([s for s in spans if s[1] - s[0] > 120] for spans in (ours, theirs))
        # Two formulas of the sun.
        assert len(ours) == len(theirs), (seed, on, place, ours, theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert max(abs(a[0] - b[0]), abs(a[1] - b[1])) <= 60, (seed, on, place)
        broken = seconds(decree.check(plan, place, on, 1))
        lit = lit_on_lamp(source, place, on)
        light = sum((b - a) for a, b, _ in decree.lit(plan, *noons(plan, on)))
        seen["compared"] += 1
        if lit > 240 or broken > 240:
            # A minute at each edge, and four of an astronomical period at most.
            assert abs(lit - broken) <= 240 and lit > 60 and broken > 60, (seed, on, place, lit, broken)
            seen["broken"] += 1
        elif light > 3600 and decree.dark(plan, place, on):
            seen["kept"] += 1


def check_many(seeds: range) -> None:
    seen = {"compared": 0, "broken": 0, "kept": 0}
    for seed in seeds:
        compare(seed, seen)
    assert seen["compared"] > 2 * len(seeds)
    assert seen["broken"] > len(seeds) / 2 and seen["kept"] > len(seeds) / 20, seen


def test_the_lamp_and_the_host_find_the_same_nights() -> None:
    check_many(range(30))


@pytest.mark.long
def test_the_lamp_and_the_host_find_the_same_of_many() -> None:
    check_many(range(5000, 6500))


def test_a_year_is_judged_night_by_night() -> None:
    vector = VECTORS["plan_weekend"]
    plan, place = schedule.parse(vector["plan"]), installation(vector)
    found = decree.check(plan, place, date(2026, 11, 1), 366)
    saturdays = [date(2026, 11, 1) + timedelta(n) for n in range(366)]
    saturdays = [on for on in saturdays if on.isoweekday() == 6]
    late = [b for b in found if plan.zone.local(b.begin.timestamp()).hour == 1]
    assert [b.night for b in late] == saturdays
    # From 20:00 on, although the sun sets at ten: summer nights are broken at their beginning, too.
    early = {b.night for b in found} - set(saturdays)
    assert date(2027, 6, 21) in early and not any(on.month in (11, 12, 1, 2) for on in early)
    assert decree.check(plan, Installation(0), date(2026, 11, 1)) == []


def test_a_lawful_plan_is_lawful_all_year() -> None:
    source = copy.deepcopy(VECTORS["plan_weekend"]["plan"])
    source["calendar"]["rules"] = []
    period = {"name": "AbsoluteActivePeriod", "startTime": "12:00:00", "endTime": "01:00:00"}
    program = source["controlPrograms"][0]
    program["activePeriods"] = [period]
    program["fixedTimeControls"] = [{"startTime": "12:00:00", "command": {"state": {"level": 0}}}]
    program["astroClockTimeControls"] = [
        {"offset": 0, "solarEventType": "sunset", "operation": "Set", "command": {"state": {"level": 70}}}
    ]
    assert decree.check(schedule.parse(source), Installation(4), date(2026, 1, 1)) == []
    program["astroClockTimeControls"][0]["offset"] = -5
    found = decree.check(schedule.parse(source), Installation(4), date(2026, 1, 1))
    assert len(found) == 366 and {round(seconds([b])) for b in found} == {300}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"category": 10}, "category 10"), ({"category": 1, "closing_min": 1441}, "closing_min 1441")],
)
def test_impossible_settings(wrong: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Installation.of(wrong)
    assert Installation.of({"category": 1, "closing_min": 1, "opening_min": 0}) == Installation(1, 0, None)


def scenario(folder: Path, **more: int) -> dict[str, Any]:
    (folder / "plan.json").write_text(json.dumps(VECTORS["plan_weekend"]["plan"]))
    found = sim.load("demo")
    lamp = next(b for b in found["board"] if b["kind"] == "lamp")
    lamp |= {"plan": str(folder / "plan.json"), "settings": {**lamp.get("settings", {}), **more}}
    return {**found, "start_utc": "2026-11-02T11:30:00Z"}


def test_a_run_refuses_it_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        sim.Run(scenario(tmp_path, category=4), tmp_path / "run", sim.Options())
    line, hint = str(refused.value), refused.value.hint
    assert line.startswith("guard: ") and "plan.json" in line and "\n" not in line + hint
    assert "2026-11-08 01:00 to 02:00 at 80 %" in line, "the first night of all, in local time"
    assert "closing_min" in hint and "facades" in hint
    assert not (tmp_path / "run").exists()
    assert sim.Run(scenario(tmp_path), tmp_path / "run", sim.Options())
