"""Hours in which the decree of 27 December 2018 (NOR TREP1831126A, amended on 29 May 2019) and that of October
2022 on illuminated advertising leave an installation dark, and the nights of a plan that break them.

Judged with the second evaluator, in lighting days from local noon to noon. Written from the decree's rules and not
from the lamp's guard; every decision that they leave open is in tests/vectors/decree/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from host_tools import schedule
from host_tools.errors import InputError
from host_tools.schedule import sun
from host_tools.schedule.model import Plan, Span

#: A clock, a ramp and a rounded sunset may be off by this much in a night.
SLACK_S = 60
HOUR, NOON = 3600, 43200


@dataclass(frozen=True)
class Rule:
    """What the law says of one category. from_sunset: not lit before. after_h: dark from so many hours after the
    end of the activity. one: dark from 01:00; with both, `later` takes the later one, else the first known counts
    in the order activity, 01:00. again: hour from which light is allowed in the morning, None for not at all;
    early: or an hour before the activity begins, if that is sooner."""

    letter: str
    what: str
    says: str
    from_sunset: bool = False
    after_h: int | None = None
    one: bool = False
    later: bool = False
    again: int | None = None
    early: bool = False


_MORNING = "lit again from 07:00, or an hour before the activity begins if that is sooner"
#: By the number that a lamp's setting `category` has.
RULES: dict[int, Rule] = {
    0: Rule("", "road", "no hours of its own"),
    1: Rule(
        "a",
        "outdoor lighting of an economic activity",
        f"dark an hour after its end; {_MORNING}",
        after_h=1,
        again=7,
        early=True,
    ),
    2: Rule("b", "heritage", "lit from sunset, dark from 01:00", from_sunset=True, one=True),
    3: Rule(
        "b",
        "parks and gardens",
        "lit from sunset, dark an hour after closing, or from 01:00 where there is none",
        from_sunset=True,
        after_h=1,
        one=True,
    ),
    4: Rule("d", "facades", "lit from sunset, dark from 01:00", from_sunset=True, one=True),
    5: Rule(
        "d",
        "offices",
        f"dark an hour after the end of occupation; {_MORNING}",
        after_h=1,
        again=7,
        early=True,
    ),
    6: Rule(
        "d",
        "shop windows",
        f"dark from 01:00, or an hour after the activity if that is later; {_MORNING}",
        after_h=1,
        one=True,
        later=True,
        again=7,
        early=True,
    ),
    7: Rule(
        "e", "car parks", "lit from sunset, dark two hours after the activity", from_sunset=True, after_h=2
    ),
    8: Rule("g", "worksites", "lit from sunset, dark an hour after the work", from_sunset=True, after_h=1),
    9: Rule("", "advertising", "dark from 01:00 to 06:00", one=True, again=6),
}


@dataclass(frozen=True)
class Installation:
    """category: a key of RULES. closing, opening: end of the day's activity and begin of the next one, minutes of
    the local day; None without."""

    category: int
    closing: int | None = None
    opening: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, int]) -> Installation:
        """Of a lamp's settings, whose hours are minutes + 1 and 0 for none. InputError for impossible ones."""
        category = settings.get("category", 0)
        if category not in RULES:
            raise InputError(f"category {category!r} is not known", f"Categories are 0 to {max(RULES)}.")
        hours = []
        for key in ("closing_min", "opening_min"):
            value = settings.get(key, 0)
            if not 0 <= value <= 1440:
                raise InputError(f"{key} {value!r} is not within 0 and 1440", "0 is none, else minutes + 1.")
            hours.append(value - 1 if value else None)
        return cls(category, *hours)

    @property
    def rule(self) -> Rule:
        return RULES[self.category]


class Breach(NamedTuple):
    """Light while it is forbidden, in the lighting day that begins at noon of `night`. Level in per cent."""

    night: date
    begin: datetime
    end: datetime
    level: int


def _off(plan: Plan, place: Installation, on: date, sunset: int | None) -> int | None:
    """The instant from which it must be dark, None where the law has none or the sun does not set."""
    rule, zone = place.rule, plan.zone
    one = zone.instant(on + timedelta(1), HOUR) if rule.one else None
    if rule.after_h is None:
        return one
    if place.closing is None:
        # No activity, nothing that it would need light for.
        return sunset if one is None else one
    # What ends before noon ends after this night's midnight.
    closing = zone.instant(on + timedelta(place.closing < 720), place.closing * 60)
    after = closing + rule.after_h * HOUR
    return max(after, one) if rule.later and one is not None else after


def dark(plan: Plan, place: Installation, on: date) -> list[Span]:
    """Spans of the lighting day that begins at noon of `on` in which light is forbidden, in unix seconds."""
    rule, zone = place.rule, plan.zone
    begin, end = (zone.instant(day, NOON) for day in (on, on + timedelta(1)))
    near = (sun.day(on + timedelta(n), plan.latitude, plan.longitude).set for n in (-1, 0, 1))
    sunset = next((s for s in near if s is not None and begin <= s < end), None)
    found: list[Span] = []
    if rule.from_sunset and sunset is not None:
        found.append((begin, sunset))
    off = _off(plan, place, on, sunset)
    if off is not None:
        again = end if rule.again is None else zone.instant(on + timedelta(1), rule.again * HOUR)
        if rule.early and place.opening is not None:
            again = min(again, zone.instant(on + timedelta(1), place.opening * 60) - HOUR)
        found.append((max(off, begin), min(again, end)))
    # What begins before sunset is dark until then anyhow.
    return _merged([s for s in found if s[0] < s[1]])


def _merged(spans: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    for a, b in sorted(spans):
        if found and a <= found[-1][1]:
            found[-1] = found[-1][0], max(b, found[-1][1])
        else:
            found.append((a, b))
    return found


def lit(plan: Plan, begin: int, end: int) -> list[tuple[int, int, int]]:
    """(from, to, level): when the plan lights, whatever the photocell says, and as bright as people make it."""
    first, last = (datetime.fromtimestamp(t, UTC) for t in (begin, end))
    alone = schedule.switches(plan, first, last)
    watched = schedule.switches(plan, first, last, presence=[(first - timedelta(1), None)])
    levels = [0, 0]
    found: list[tuple[int, int, int]] = []
    since, level = begin, 0
    steps = sorted([(utc, 0, now) for utc, now, _ in alone] + [(utc, 1, now) for utc, now, _ in watched])
    for utc, which, now in [*steps, (last, 0, 0)]:
        at = int(utc.timestamp())
        if level and at > since:
            if found and found[-1][1:] == (since, level):
                since = found.pop()[0]
            found.append((since, at, level))
        levels[which] = now
        since, level = at, max(levels)
    return found


def check(plan: Plan, place: Installation, first: date, nights: int = 366) -> list[Breach]:
    """Every stretch of light against the law in so many nights from the one that begins at noon of `first`."""
    if not place.category:
        return []
    begin, end = (plan.zone.instant(first + timedelta(n), NOON) for n in (0, nights))
    light = lit(plan, begin, end)
    found: list[Breach] = []
    k = 0
    for n in range(nights):
        on = first + timedelta(n)
        spans = dark(plan, place, on)
        over = plan.zone.instant(on + timedelta(1), NOON)
        while k < len(light) and light[k][1] <= plan.zone.instant(on, NOON):
            k += 1
        here: list[Breach] = []
        for a, b, level in light[k:]:
            if a >= over:
                break
            for c, d in spans:
                if max(a, c) < min(b, d):
                    since, until = (datetime.fromtimestamp(t, UTC) for t in (max(a, c), min(b, d)))
                    here.append(Breach(on, since, until, level))
        if sum((x.end - x.begin).total_seconds() for x in here) > SLACK_S:
            found += here
    return found


def told(plan: Plan, breaches: Sequence[Breach], most: int = 3) -> str:
    """The first nights and hours as people read them, in local time; levels that follow each other as one."""
    found: list[tuple[datetime, datetime, set[int]]] = []
    for _, begin, end, level in breaches:
        if found and found[-1][1] == begin:
            begin, _, levels = found.pop()
            found.append((begin, end, levels | {level}))
        else:
            found.append((begin, end, {level}))
    lines = []
    for begin, end, levels in found[:most]:
        a, b = (plan.zone.local(t.timestamp()) for t in (begin, end))
        level_s = " to ".join(f"{n}" for n in sorted({min(levels), max(levels)}))
        lines.append(f"{a:%Y-%m-%d %H:%M} to {b:%H:%M} at {level_s} %")
    return "; ".join(lines) + ("; ..." if len(found) > most else "")


def demand(
    plan: Plan, settings: Mapping[str, int], first: date, name: str = "the plan", nights: int = 366
) -> None:
    """InputError "guard: ..." with the first nights and hours, where a lamp with these settings would light
    against the law; else nothing."""
    place = Installation.of(settings)
    found = check(plan, place, first, nights)
    if not found:
        return
    count = len({b.night for b in found})
    rule = place.rule
    kind = f"category {place.category} ({rule.letter + ': ' if rule.letter else ''}{rule.what})"
    raise InputError(
        f"guard: {name}: lit against the decree in {count} of {nights} nights: {told(plan, found)}",
        f"{kind}: {rule.says}. Change the plan, the hours closing_min and opening_min (minutes of the day + 1), "
        "or the category.",
    )
