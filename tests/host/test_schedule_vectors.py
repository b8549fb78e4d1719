"""The published vectors of lighting plans against the second evaluator; that each case can fail; that the
vectors as a whole notice an evaluator that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from host_tools import schedule
from host_tools.schedule import day, sun
from host_tools.schedule.model import Command, Rule
from host_tools.schedule.zone import Zone

FILES = sorted((Path(__file__).resolve().parents[1] / "vectors/schedule").glob("*.json"))
VECTORS: dict[str, dict[str, Any]] = {f.stem: json.loads(f.read_text()) for f in FILES}
SECOND = timedelta(seconds=1)


def inputs_of(vector: dict[str, Any]) -> Any:
    at = schedule.instant
    return (
        [(at(t), lux) for t, lux in vector["lux"]] if "lux" in vector else None,
        [(at(a), at(b)) for a, b in vector.get("presence", [])],
        [schedule.override(o) for o in vector.get("overrides", [])],
    )


def disagreements(vector: dict[str, Any]) -> list[int]:
    """Numbers of the cases in which the evaluator says something else."""
    at, plan, inputs = schedule.instant, schedule.parse(vector["plan"]), inputs_of(vector)
    wrong = []
    for n, case in enumerate(vector["cases"]):
        when = at(case["at"])
        state = schedule.level_at(plan, when, *inputs)
        same = (state.level, state.reason) == (case["level"], case["reason"])
        if "program" in case:
            same = same and state.program == case["program"]
        if "ramp_s" in case:
            last = schedule.changes(plan, when - SECOND, when + SECOND, *inputs)[-1]
            same = same and (last.utc, last.ramp_s) == (when, case["ramp_s"])
        if not same:
            wrong.append(n)
    return wrong


@pytest.mark.parametrize("name", VECTORS)
def test_the_evaluator_agrees(name: str) -> None:
    vector = VECTORS[name]
    assert [vector["cases"][n] for n in disagreements(vector)] == []


def _wrong(case: dict[str, Any], key: str) -> Any:
    if key == "reason":
        return "default" if case["reason"] == "program" else "program"
    return "another" if key == "program" else (case[key] + 1) % 101


@pytest.mark.parametrize("name", VECTORS)
def test_each_case_can_fail(name: str) -> None:
    """Wrong values in every other case are found in just those cases."""
    cases = VECTORS[name]["cases"]
    for key in ("level", "reason", "program", "ramp_s"):
        for parity in (0, 1):
            chosen = [n for n, case in enumerate(cases) if n % 2 == parity and key in case]
            changed = [{**c, key: _wrong(c, key)} if n in chosen else c for n, c in enumerate(cases)]
            assert disagreements({**VECTORS[name], "cases": changed}) == chosen


@pytest.mark.parametrize("name", VECTORS)
def test_switches_say_the_same_around_each_case(name: str) -> None:
    """The list of switches of three hours, against the level at every fifth minute and at the case."""
    plan, inputs = schedule.parse(VECTORS[name]["plan"]), inputs_of(VECTORS[name])
    for case in VECTORS[name]["cases"]:
        when = schedule.instant(case["at"])
        begin = when - timedelta(minutes=90)
        found = schedule.switches(plan, begin, when + timedelta(minutes=90), *inputs)
        for at in [when, *(begin + timedelta(minutes=5 * k) for k in range(36))]:
            listed = [entry for entry in found if entry[0] <= at][-1]
            assert schedule.level_at(plan, at, *inputs)[:2] == listed[1:], (case, at)


def test_there_are_enough_and_each_says_why() -> None:
    assert len(VECTORS) >= 12
    assert sum(len(v["cases"]) for v in VECTORS.values()) >= 150
    for vector in VECTORS.values():
        assert set(vector) <= {"title", "plan", "cases", "lux", "presence", "overrides"}
        assert all(
            c["why"] and set(c) <= {"at", "level", "reason", "program", "ramp_s", "why"}
            for c in vector["cases"]
        )


def test_cases_keep_away_from_the_sun() -> None:
    """At least two minutes from every change that depends on it, so that no formula is better than another."""
    for name, vector in VECTORS.items():
        plan = schedule.parse(vector["plan"])
        if not any("Astro" in p.name for g in plan.programs.values() for p in g.periods) and not any(
            g.astro for g in plan.programs.values()
        ):
            continue
        offsets = {0}
        for program in plan.programs.values():
            offsets |= {e.offset for e in program.astro}
            for p in program.periods:
                offsets |= {p.sunset, p.sunrise, -p.before_sunset, -p.before_sunrise}
        for case in vector["cases"]:
            when = schedule.instant(case["at"])
            for k in (-1, 0, 1):
                found = sun.day(when.date() + timedelta(k), plan.latitude, plan.longitude, plan.zenith)
                for event in (found.rise, found.set):
                    if event is not None:
                        gaps = [abs(when.timestamp() - event - 60 * o) for o in offsets]
                        assert min(gaps) >= 120, (name, case)


def _late_gap(self: Zone, on: date, seconds: int) -> int:
    """A time that does not exist is taken as if the clock had not jumped."""
    usual = _INSTANT(self, on, seconds)
    wall = datetime(on.year, on.month, on.day) + timedelta(seconds=seconds)
    return usual if self.local(usual) == wall else int(wall.replace(tzinfo=UTC).timestamp()) - self.standard


def _second_occurrence(self: Zone, on: date, seconds: int) -> int:
    usual = _INSTANT(self, on, seconds)
    return usual + 3600 if self.offset(usual + 3600) == self.offset(usual) - 3600 else usual


_INSTANT = Zone.instant
_MATCHES = day.matches
_PROGRAM: Callable[..., Any] = day.program_of
_DARK = schedule._Inputs.dark
_PRESENT = schedule._Inputs.present
_OPERATE: Callable[..., Any] = schedule._operate


def _stack(self: Any, t: float) -> Any:
    """The older override comes back when the newer one has expired."""
    ran = [o for o in self.overrides if o.received.timestamp() <= t and o.level is not None]
    live = [o for o in ran if o.expiration is None or t < o.expiration.timestamp()]
    return live[-1] if live else None


def _any_day(rule: Rule, on: date) -> bool:
    return _MATCHES(
        Rule(rule.program, rule.start, rule.end, rule.kind, rule.days, frozenset(), rule.dates), on
    )


WRONG: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "the doubled hour switches at its second coming": (Zone, "instant", _second_occurrence),
    "summer time is forgotten": (Zone, "offset", lambda self, t: self.standard),
    "occurrences are ignored": (day, "matches", _any_day),
    "a missing time comes late": (Zone, "instant", _late_gap),
    "a noon day has the date of its end": (
        day,
        "program_of",
        lambda plan, on: _PROGRAM(plan, on + timedelta(plan.day_offset == 12)),
    ),
    "no value from the day before": (
        day,
        "_held",
        lambda plan, on, program: Command(0),
    ),
    "no hysteresis": (schedule._Inputs, "dark", lambda self, on, off, t: _DARK(self, off, off, t)),
    "equal is dark": (schedule._Inputs, "dark", lambda self, on, off, t: _DARK(self, on + 1e-9, off, t)),
    "nothing is held": (schedule._Inputs, "present", lambda self, t, hold: _PRESENT(self, t, 0)),
    "overrides are stacked": (schedule._Inputs, "override", _stack),
    "Max and Min are exchanged": (
        schedule,
        "_operate",
        lambda op, a, b: _OPERATE({"Max": "Min", "Min": "Max"}.get(op, op), a, b),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_evaluator_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute, wrong = WRONG[name]
    monkeypatch.setattr(owner, attribute, wrong)
    assert any(disagreements(vector) for vector in VECTORS.values())


def test_instants_are_utc() -> None:
    assert schedule.instant("2026-03-29T00:59:59Z").tzinfo is UTC
