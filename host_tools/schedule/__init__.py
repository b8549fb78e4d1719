"""What a lamp should do under a lighting plan at any instant: the second evaluator, written from the rules of
TALQ 2.7.1 alone. It shares no code with the lamp's firmware nor with the tool that packs plans, and judges both.

    plan = load("plan.json")
    level_at(plan, datetime(2026, 6, 21, 22, 0, tzinfo=UTC))  # State(level=40, reason='program', program='p1')
    switches(plan, start, end)  # [(utc, level, reason), ...]: the state at `start`, then every change

Instants are aware datetimes. `lux` is None (no photocell), one value, or [(utc, lux), ...], each holding until
the next; `presence` is [(from, until or None), ...]; `overrides` is a list of Override.
The semantics, with every decision that TALQ leaves open, are in tests/vectors/schedule/README.md.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from host_tools.schedule import day as _days
from host_tools.schedule.model import Command, Plan, load, parse

__all__ = ["Change", "Override", "Plan", "State", "changes", "level_at", "load", "parse", "switches"]

Lux = float | Sequence[tuple[datetime, float]] | None
Presence = Sequence[tuple[datetime, datetime | None]]


class State(NamedTuple):
    level: int  # percent
    reason: str  # default | program | sensor | override
    program: str | None  # of the lighting day


class Change(NamedTuple):
    utc: datetime
    state: State
    ramp_s: float  # how long the lamp takes to get there


@dataclass(frozen=True)
class Override:
    """A command from outside. `level` None is the empty override: back to the program."""

    received: datetime
    level: int | None = None
    start: datetime | None = None  # None: at once
    expiration: datetime | None = None  # None: until another override
    ramp_to: float = 0.0
    ramp_from: float | None = None


def _unix(utc: datetime) -> float:
    if utc.tzinfo is None:
        raise ValueError("an instant without zone")
    return utc.timestamp()


class _Inputs:
    """What the lamp hears and sees, in unix seconds."""

    def __init__(self, lux: Lux, presence: Presence, overrides: Sequence[Override]) -> None:
        if lux is None:
            lux = []
        elif isinstance(lux, (int, float)):
            lux = [(datetime(1970, 1, 1, tzinfo=UTC), lux)]
        self.lux = sorted(((_unix(t), value) for t, value in lux), key=lambda r: r[0])
        self.presence = [(_unix(a), float("inf") if b is None else _unix(b)) for a, b in presence]
        self.overrides = sorted(overrides, key=lambda o: o.received)
        self._darkness: dict[tuple[float, float], tuple[list[float], list[bool]]] = {}

    def dark(self, on: float, off: float, t: float) -> bool:
        """Whether the photocell calls for light. Until a first reading decides, it does: no road goes dark
        because a sensor is silent."""
        if (on, off) not in self._darkness:
            state, states = True, []
            for _, lux in self.lux:
                state = (lux < on or state) and not lux > off
                states.append(state)
            self._darkness[on, off] = [at for at, _ in self.lux], states
        times, states = self._darkness[on, off]
        n = bisect_right(times, t)
        return states[n - 1] if n else True

    def present(self, t: float, hold: float) -> bool:
        return any(a <= t < b + hold for a, b in self.presence)

    def override(self, t: float) -> Override | None:
        """The one that was received last, if it is in force."""
        last = next((o for o in reversed(self.overrides) if _unix(o.received) <= t), None)
        if last is None or last.level is None:
            return None
        begun = last.start is None or _unix(last.start) <= t
        return last if begun and (last.expiration is None or t < _unix(last.expiration)) else None

    def instants(self) -> Iterator[float]:
        yield from (t for t, _ in self.lux)
        for span in self.presence:
            yield from span
        for o in self.overrides:
            yield from (_unix(t) for t in (o.received, o.start, o.expiration) if t is not None)


def _operate(operation: str, level: int, operand: int) -> int:
    """An effect on a level, 0..100; a product is rounded down."""
    result = {
        "Set": operand,
        "Max": max(level, operand),
        "Min": min(level, operand),
        "Add": level + operand,
        "Sub": level - operand,
        "Mul": level * operand // 100,
    }[operation]
    return min(max(result, 0), 100)


class _Force(NamedTuple):
    state: State
    rank: int
    ramp_to: float
    ramp_from: float


def _force(plan: Plan, t: float, inputs: _Inputs) -> _Force:
    """The state at an instant and the ramps of the command that makes it."""
    day = _days.at(plan, t)
    name = day.program.id if day.program else None
    override = inputs.override(t)
    if override is not None and override.level is not None:
        state = State(override.level, "override", name)
        return _Force(state, 2, override.ramp_to, override.ramp_from or 0.0)
    if day.program is None:
        return _Force(State(plan.default, "default", None), 0, 0.0, 0.0)
    active = any(a <= t < b for a, b in day.certain) or any(
        a <= t < b and inputs.dark(p.on, p.off, t) for a, b, p in day.sensed
    )
    if not active:
        return _Force(State(0, "program", name), 0, 0.0, 0.0)
    command: Command = next((c for at, c in reversed(day.fixed) if at <= t), day.held)
    level, ramp_to = command.level, command.ramp_to
    element = next((e for at, e in reversed(day.astro) if at <= t), None)
    if element is not None:
        level, ramp_to = _operate(element.operation, level, element.command.level), element.command.ramp_to
    for spans, effect in day.dynamic:
        if any(a <= t < b for a, b in spans) and inputs.present(t, effect.hold):
            level = _operate(effect.operation, level, effect.command.level)
            ramps = effect.command.ramp_to, effect.command.ramp_from or 0.0
            return _Force(State(level, "sensor", name), 1, *ramps)
    return _Force(State(level, "program", name), 0, ramp_to, 0.0)


def level_at(
    plan: Plan,
    utc: datetime,
    lux: Lux = None,
    presence: Presence = (),
    overrides: Sequence[Override] = (),
) -> State:
    """What the lamp should do at an instant (and, with no knowledge of ramps, until the next change)."""
    return _force(plan, _unix(utc), _Inputs(lux, presence, overrides)).state


def changes(
    plan: Plan,
    start: datetime,
    end: datetime,
    lux: Lux = None,
    presence: Presence = (),
    overrides: Sequence[Override] = (),
) -> list[Change]:
    """The state at `start` (with a ramp of 0), then every change of level or reason before `end`.

    A command that ends (override, presence) leaves within its own ramp from the level, all others come within
    their ramp to it.
    """
    inputs = _Inputs(lux, presence, overrides)
    first, last = _unix(start), _unix(end)
    holds = {effect.hold for program in plan.programs.values() for effect in program.dynamic}
    instants = {*inputs.instants(), *(until + hold for _, until in inputs.presence for hold in holds)}
    t = first
    while t < last:
        day = _days.at(plan, t)
        instants.update(day.instants())
        t = day.end
    force = _force(plan, first, inputs)
    found = [Change(start, force.state, 0.0)]
    for t in sorted(t for t in instants if first < t < last):
        now = _force(plan, t, inputs)
        if now.state[:2] != force.state[:2]:
            ramp = force.ramp_from if force.rank > now.rank else now.ramp_to
            found.append(Change(datetime.fromtimestamp(t, UTC), now.state, ramp))
        force = now
    return found


def switches(
    plan: Plan,
    start: datetime,
    end: datetime,
    lux: Lux = None,
    presence: Presence = (),
    overrides: Sequence[Override] = (),
) -> list[tuple[datetime, int, str]]:
    """(utc, level, reason): the state at `start`, then every change before `end`."""
    return [
        (c.utc, c.state.level, c.state.reason) for c in changes(plan, start, end, lux, presence, overrides)
    ]


def instant(text: str) -> datetime:
    """An instant as the vectors write it: YYYY-MM-DDTHH:MM:SSZ."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def override(found: dict[str, Any]) -> Override:
    """An override as the vectors write it: {"received", "command": a TALQ Command, or null for the empty one}."""
    command, received = found["command"], instant(found["received"])
    if command is None:
        return Override(received)
    return Override(
        received,
        command["state"]["level"],
        instant(command["start"]) if "start" in command else None,
        instant(command["expiration"]) if "expiration" in command else None,
        command.get("rampToLevelTime", 0.0),
        command.get("rampFromLevelTime"),
    )
