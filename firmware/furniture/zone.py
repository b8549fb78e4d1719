"""Local time from a POSIX TZ string (IEEE 1003.1, 8.3), with the wider rule times of RFC 8536 (3.3.1).

Supported: `EST5`, `<+1130>-11:30`, `CET-1CEST,M3.5.0,M10.5.0/3`, rules that start in autumn (southern
hemisphere), summer time that is less than standard time (Dublin). Refused: the day-of-year rules `Jn` and `n`,
which no zone uses today, and a summer time without rules. Days count from 2026-01-01, instants are seconds
since then, UTC.
"""

from firmware.furniture.dates import civil, days
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const

_DAY = const(86400)


def _name(text, pos):
    start = pos
    if text[pos : pos + 1] == "<":
        pos = text.index(">", pos) + 1
        start += 2
    else:
        while text[pos : pos + 1].isalpha():
            pos += 1
    if pos - start < 3:
        raise ValueError
    return pos


def _time(text, pos, most):
    """(seconds, position behind) of [+-]h[:m[:s]], at most `most` hours."""
    sign = text[pos : pos + 1]
    if sign in ("+", "-"):
        pos += 1
    total = 0
    for unit in (3600, 60, 1):
        start = pos
        while text[pos : pos + 1].isdigit():
            pos += 1
        value = int(text[start:pos])
        if value > most:
            break
        total += value * unit
        if text[pos : pos + 1] != ":":
            return -total if sign == "-" else total, pos
        pos += 1
        most = 59
    raise ValueError


def _rule(text):
    # (month, week, week day, second): M3.5.0/3 is the last Sunday of March, three o'clock.
    date, slash, time = text.partition("/")
    found = [ord(c) - 48 for c in date[1:] if c != "."]
    month = found[0] if len(found) == 3 else found[0] * 10 + found[1]
    week, day = found[-2:]
    if date != "M%d.%d.%d" % (month, week, day) or not 1 <= month <= 12 or not 1 <= week <= 5 or day > 6:
        raise ValueError
    second = 7200
    if slash:
        second, pos = _time(time, 0, 167)
        if pos != len(time):
            raise ValueError
    return month, week, day, second


def _change(year, rule):
    month, week, day, second = rule
    first = days(year, month, 1)
    # 2026-01-01 is a Thursday, 4 in this count.
    found = first + (day - first - 4) % 7 + week * 7 - 7
    if found >= days(year + month // 12, month % 12 + 1, 1):
        found -= 7
    return found * _DAY + second


class Zone:
    """WireError("plan_zone") for a text that is no zone, or one of those refused."""

    def __init__(self, text):
        try:
            if not isinstance(text, str) or max(text.encode()) > 126:
                raise ValueError
            names, *rules = text.split(",")
            self._std, pos = _time(names, _name(names, 0), 24)
            self._dst = self._std - 3600
            if pos < len(names):
                pos = _name(names, pos)
                if pos < len(names):
                    self._dst, pos = _time(names, pos, 24)
                first, second = rules
                rules = _rule(first), _rule(second)
            elif rules:
                raise ValueError
            if pos < len(names):
                raise ValueError
        except (ValueError, IndexError):
            raise WireError("plan_zone")
        self._rules = rules

    def offset(self, t):
        """Seconds by which local time is ahead of UTC at the instant `t`."""
        if self._rules:
            year = civil((t - self._std) // _DAY)[0]
            begin = _change(year, self._rules[0]) + self._std
            end = _change(year, self._rules[1]) + self._dst
            if begin <= t < end if begin < end else not end <= t < begin:
                return -self._dst
        return -self._std

    def utc(self, day, second):
        """The instant at which clocks there first show `second` of `day`; a time that a change leaves out is
        the instant of the change."""
        local = day * _DAY + second
        ahead = -min(self._std, self._dst) if self._rules else -self._std
        early = local - ahead
        late = local + max(self._std, self._dst)
        if self.offset(early) == ahead:
            return early
        # In the hour that is left out clocks go ahead between the two.
        if self.offset(late) == ahead:
            while late - early > 1:
                t = (early + late) // 2
                if self.offset(t) == ahead:
                    late = t
                else:
                    early = t
        return late
