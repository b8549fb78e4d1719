"""Local time from a POSIX TZ string (POSIX.1-2017, 8.3), e.g. "CET-1CEST,M3.5.0,M10.5.0/3".

Hours of change may be negative or above 24 (RFC 8536, 3.3.1). The offset's sign is POSIX's: west is positive.
Changes by day of the year (`Jn`, `n`) are refused: no zone uses them today, and no lamp takes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)"
_TIME = r"[+-]?[0-9]{1,3}(?::[0-9]{1,2}(?::[0-9]{1,2})?)?"
_WHOLE = re.compile(rf"{_NAME}({_TIME})(?:{_NAME}({_TIME})?(?:,([^,]+),([^,]+))?)?")
_RULE = re.compile(rf"M([1-9]|1[0-2])\.([1-5])\.([0-6])(?:/({_TIME}))?")


class Zone:
    """Offsets from UTC and the way back. Instants are unix seconds."""

    def __init__(self, text: str) -> None:
        """ValueError for what is no zone, or has summer time and does not say when."""
        found = _WHOLE.fullmatch(text)
        if found is None:
            raise ValueError("not a POSIX TZ string")
        standard, summer, begin, end = found.groups()
        self.text = text
        self.standard = -_seconds(standard, 24)
        self.summer: int | None = None
        self._years: dict[int, list[tuple[int, int]]] = {}
        if re.fullmatch(rf"{_NAME}{_TIME}", text):
            return
        if begin is None:
            raise ValueError("summer time without the rule of its days")
        self.summer = -_seconds(summer, 24) if summer else self.standard + 3600
        self._begin, self._end = _rule(begin), _rule(end)

    def changes(self, year: int) -> list[tuple[int, int]]:
        """(instant, offset from then on) of one year, in order; empty without summer time."""
        if self.summer is None:
            return []
        if year not in self._years:
            begins, ends = self._begin(year) - self.standard, self._end(year) - self.summer
            self._years[year] = sorted([(begins, self.summer), (ends, self.standard)])
        return self._years[year]

    def offset(self, instant: float) -> int:
        """Seconds to add to UTC."""
        year = datetime.fromtimestamp(instant, UTC).year
        past = [o for y in (year - 1, year, year + 1) for t, o in self.changes(y) if t <= instant]
        return past[-1] if past else self.standard

    def local(self, instant: float) -> datetime:
        """The wall clock, without zone."""
        return datetime.fromtimestamp(instant + self.offset(instant), UTC).replace(tzinfo=None)

    def instant(self, day: date, seconds: int) -> int:
        """When the wall clock shows `seconds` after midnight of `day`: the first time where it does twice,
        the instant of the change where it never does."""
        wall = _stamp(day) + seconds
        offsets = {self.standard, self.standard if self.summer is None else self.summer}
        shown = [wall - o for o in offsets if self.offset(wall - o) == o]
        if shown:
            return min(shown)
        year = day.year
        near = [t for y in (year - 1, year, year + 1) for t, _ in self.changes(y)]
        return min(near, key=lambda t: abs(t - wall))


def _stamp(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _seconds(text: str, most: int) -> int:
    hours, minutes, seconds = (*map(int, text.lstrip("+-").split(":")), 0, 0)[:3]
    if hours > most or minutes > 59 or seconds > 59:
        raise ValueError(f"no time: {text}")
    return (-1 if text[0] == "-" else 1) * (hours * 3600 + minutes * 60 + seconds)


def _rule(text: str) -> Callable[[int], int]:
    """The wall clock (as if it were UTC) of a change, for a year."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise ValueError(f"no day of change: {text}")
    *days, time = found.groups()
    month, week, weekday = map(int, days)
    seconds = _seconds(time, 167) if time else 7200
    return lambda year: _stamp(_nth(year, month, week, weekday)) + seconds


def _nth(year: int, month: int, week: int, weekday: int) -> date:
    """The week-th (5: last) weekday (0 = Sunday) of a month."""
    first = date(year, month, 1)
    day = first + timedelta((weekday - first.isoweekday()) % 7 + 7 * (week - 1))
    return day if day.month == month else day - timedelta(7)
