"""What a plan says of one lighting day: its instants as unix seconds, before sensors and people have a say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from host_tools.schedule import sun
from host_tools.schedule.model import Astro, Bound, Command, Dynamic, Period, Plan, Program, Rule, Span

HALF = 43200


class Night(NamedTuple):
    """The sun is below the height from `set` to `rise`; None where it was, or stays, below at noon."""

    noon: int  # before it
    set: int | None
    rise: int | None
    next_noon: int


@dataclass(frozen=True)
class Day:
    begin: int
    end: int
    program: Program | None
    held: Command  # before the first fixed time
    fixed: tuple[tuple[int, Command], ...]
    astro: tuple[tuple[int, Astro], ...]
    certain: tuple[Span, ...]  # active whatever the photocell says
    sensed: tuple[tuple[int, int, Period], ...]  # active while the photocell says dark
    dynamic: tuple[tuple[tuple[Span, ...], Dynamic], ...]

    def instants(self) -> Iterator[int]:
        """Every instant at which something may change."""
        yield self.begin
        yield from (t for t, _ in self.fixed)
        yield from (t for t, _ in self.astro)
        for span in (
            *self.certain,
            *(s[:2] for s in self.sensed),
            *(s for spans, _ in self.dynamic for s in spans),
        ):
            yield from span


def at(plan: Plan, instant: float) -> Day:
    """The lighting day that holds an instant."""
    on = (plan.zone.local(instant) - timedelta(hours=plan.day_offset)).date()
    while instant < _begin(plan, on):
        on -= timedelta(1)
    while instant >= _begin(plan, on + timedelta(1)):
        on += timedelta(1)
    if on not in plan.days:
        plan.days[on] = _day(plan, on)
    found: Day = plan.days[on]
    return found


def _begin(plan: Plan, on: date) -> int:
    return plan.zone.instant(on, plan.day_offset * 3600)


def program_of(plan: Plan, on: date) -> Program | None:
    """The program of the lighting day that begins on a local date: the first rule that matches, or the default."""
    name = next((r.program for r in plan.rules if matches(r, on)), plan.default_program)
    return plan.programs[name] if name is not None else None


def matches(rule: Rule, on: date) -> bool:
    if not _within(rule.start, rule.end, on):
        return False
    if rule.kind == "days":
        nth, last = str((on.day + 6) // 7), (on + timedelta(7)).month != on.month
        chosen = not rule.occurrences or nth in rule.occurrences or (last and "L" in rule.occurrences)
        return on.isoweekday() in rule.days and chosen
    if rule.kind == "dates":
        return any(
            (a[0] or 0, a[1]) <= (on.month if a[0] else 0, on.day) <= (b[0] or 0, b[1]) for a, b in rule.dates
        )
    return True


def _within(start: Bound | None, end: Bound | None, on: date) -> bool:
    """Bounds are days that count. Two yearly bounds in the other order run over New Year."""
    if start is not None and end is not None and start[0] is None and end[0] is None and start > end:
        return (on.month, on.day) >= start[1:] or (on.month, on.day) <= end[1:]
    return (start is None or _of(start, on) >= start[1 if start[0] is None else 0 :]) and (
        end is None or _of(end, on) <= end[1 if end[0] is None else 0 :]
    )


def _of(bound: Bound, on: date) -> tuple[int, ...]:
    return (on.month, on.day) if bound[0] is None else (on.year, on.month, on.day)


def _instant(plan: Plan, on: date, second: int) -> int:
    """When the wall clock shows a time of day within the lighting day of `on`."""
    return plan.zone.instant(on + timedelta(second < plan.day_offset * 3600), second)


def _spans(plan: Plan, on: date, start: int, end: int) -> list[Span]:
    """A daily period within a lighting day: in two pieces where it runs over the day's own boundary."""
    begin, over = _begin(plan, on), _begin(plan, on + timedelta(1))
    if start == end:
        return [(begin, over)]
    boundary = plan.day_offset * 3600
    first, last = _instant(plan, on, start), over if end == boundary else _instant(plan, on, end)
    turned = (start - boundary) % 86400 < ((end - boundary) % 86400 or 86400)
    return [(first, last)] if turned else [(begin, last), (first, over)]


def _nights(plan: Plan, begin: int, end: int) -> list[Night]:
    """The nights around a lighting day, whole."""
    first = datetime.fromtimestamp(begin, UTC).date() - timedelta(2)
    last = datetime.fromtimestamp(end, UTC).date() + timedelta(2)
    found = []
    while first < last:
        evening, morning = (
            sun.day(first + timedelta(k), plan.latitude, plan.longitude, plan.zenith) for k in (0, 1)
        )
        if not evening.up_after:
            found.append(Night(evening.noon, evening.set, morning.rise, morning.noon))
        first += timedelta(1)
    return found


def _clip(spans: list[Span], begin: int, end: int) -> list[Span]:
    """The parts within a lighting day, overlapping and touching ones as one."""
    found: list[Span] = []
    for a, b in sorted((max(a, begin), min(b, end)) for a, b in spans):
        if a >= b:
            continue
        if found and a <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], b)
        else:
            found.append((a, b))
    return found


def _period(plan: Plan, on: date, period: Period, nights: list[Night]) -> tuple[list[Span], list[Span]]:
    """Spans in which a period is active for certain, and in which the photocell decides."""
    begin, end = _begin(plan, on), _begin(plan, on + timedelta(1))
    if period.name == "AbsoluteActivePeriod":
        return _clip(_spans(plan, on, period.start, period.end), begin, end), []
    if period.name == "SensorActivePeriod":
        return [], [(begin, end)]
    certain, sensed = [], []
    for n in nights:
        first = n.noon if n.set is None else n.set + period.sunset * 60
        last = n.next_noon if n.rise is None else n.rise + period.sunrise * 60
        if period.name == "AstroClockActivePeriod":
            certain.append((first, last))
            continue
        early = first if n.set is None else min(first, n.set - period.before_sunset * 60)
        sure = last if n.rise is None else min(last, n.rise - period.before_sunrise * 60)
        certain.append((first, sure))
        # Where the short night leaves nothing certain, the photocell decides all through.
        sensed += [(early, min(first, last)), (max(sure, first), last)] if first < sure else [(early, last)]
    return _clip(certain, begin, end), _clip(sensed, begin, end)


def _held(plan: Plan, on: date, program: Program) -> Command:
    """Before the first fixed time: the last value of the day before, else the program's own last one (TALQ:
    programs wrap around), else the level that a lamp without program has."""
    before = program_of(plan, on - timedelta(1))
    for source in (before, program):
        if source is not None and source.fixed:
            return source.fixed[-1][1]
    return Command(plan.default)


def _day(plan: Plan, on: date) -> Day:
    begin, end = _begin(plan, on), _begin(plan, on + timedelta(1))
    program = program_of(plan, on)
    if program is None:
        return Day(begin, end, None, Command(plan.default), (), (), (), (), ())
    wanted = any("Astro" in p.name for p in program.periods) or program.astro
    nights = _nights(plan, begin, end) if wanted else []
    certain: list[Span] = [] if program.periods else [(begin, end)]
    sensed: list[tuple[int, int, Period]] = []
    for period in program.periods:
        sure, maybe = _period(plan, on, period, nights)
        certain += sure
        sensed += [(a, b, period) for a, b in maybe]
    astro = []
    for element in program.astro:
        for n in nights:
            event = n.set if element.event == "sunset" else n.rise
            instant = None if event is None else event + element.offset * 60
            if instant is not None and begin <= instant < end:
                astro.append((instant, element))
    # Stable sorts: of two at one instant (both in the hour that summer time leaves out) the later one holds.
    return Day(
        begin,
        end,
        program,
        _held(plan, on, program),
        tuple(sorted(((_instant(plan, on, t), c) for t, c in program.fixed), key=lambda x: x[0])),
        tuple(sorted(astro, key=lambda x: x[0])),
        tuple(_clip(certain, begin, end)),
        tuple(sensed),
        tuple(
            (tuple(_clip(_spans(plan, on, *(d.period or (0, 0))), begin, end)), d) for d in program.dynamic
        ),
    )
