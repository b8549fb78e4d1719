"""One lighting day of a plan: where the level changes, by TALQ's rules (data model 2.7.1). No state: loaded
once a day, dropped afterwards; `night` keeps the result.

The state is worked out by level at every instant where something may change, so the table cannot depend on
what was missed. A lighting day runs from local noon (day offset 12) or midnight (0) to the next. Plans are in
the compact form and were accepted by `plan.check`; only the parts in use are unpacked.
"""

from struct import pack

from firmware.furniture.night import combine
from firmware.protocols.cbor import decode
from firmware.protocols.compat import const

_DAY = const(86400)
# Modes of a row, see night; of several that apply the least counts.
_SENSOR = const(1)
_OFF = const(2)
_DEFAULT = const(3)


class _Day:
    # The lighting day of `calendar.day`, and cuts of it.

    def __init__(self, number, begin, end, change, ahead, later, noon):
        self.day = number
        self.begin = begin
        self.end = end
        self.change = change
        self.ahead = ahead
        self.later = later
        self.noon = noon

    def at(self, second):
        # The instant of a local time of day, the first that clocks show; one that a change leaves out is the
        # instant of the change.
        local = (self.day + (second < self.noon)) * _DAY + second
        if local - self.ahead < self.change:
            return max(local - self.ahead, self.begin)
        return max(local - self.later, self.change)

    def cut(self, start, end, rest):
        # [(start, end) + rest] within the day, or nothing.
        start = max(start, self.begin)
        end = min(end, self.end)
        return [(start, end) + rest] if start < end else []

    def span(self, start, stop, rest):
        # The pieces between two local times.
        first = (start - self.noon) % _DAY
        last = (stop - self.noon) % _DAY
        if first < last:
            return self.cut(self.at(start), self.at(stop), rest)
        if first == last:
            return self.cut(0, self.end, rest)
        return self.cut(0, self.at(stop) if last else 0, rest) + self.cut(self.at(start), self.end, rest)

    def windows(self, period, nights):
        # (begin, end, mode) in which a period is active, or the photocell decides.
        if not period[0]:
            return self.span(period[1], period[2], (0,))
        if period[0] == 2:
            return self.cut(0, self.end, (_SENSOR,))
        found = []
        for noon, sunset, sunrise in nights:
            on = early = noon
            off = dawn = noon + _DAY
            if sunset is not None:
                on = early = sunset + period[1] * 60
            if sunrise is not None:
                off = dawn = sunrise + period[2] * 60
            if period[0] == 3:
                # Under what is certain, the photocell decides from before sunset to the end.
                if sunset is not None:
                    early = min(on, sunset - period[3] * 60)
                if sunrise is not None:
                    dawn = min(off, sunrise - period[4] * 60)
                found += self.cut(early, off, (_SENSOR,))
            found += self.cut(on, dawn, (0,))
        return found

    def controls(self, rows, nights):
        # (instant, place in the list, operation, level, ramp) of the astronomical controls, in order of time.
        found = []
        for place, row in enumerate(rows):
            for _, sunset, sunrise in nights:
                instant = sunset if row[1] else sunrise
                if instant is not None and self.begin <= instant + row[0] * 60 < self.end:
                    found.append((instant + row[0] * 60, place) + tuple(row[2:]))
        return sorted(found)


def _state(t, fixed, astro, windows):
    # (level, ramp, mode) at `t`.
    mode = min([_OFF] + [row[2] for row in windows if row[0] <= t < row[1]])
    if mode == _OFF:
        return 0, 0, _OFF
    since, level, ramp = [row for row in fixed if row[0] <= t][-1]
    for at, _, op, by, pace in [row for row in astro if row[0] <= t][-1:]:
        level = combine(op, level, by)
        if at >= since:
            ramp = pace
    return level, ramp, mode


def table(day, nights=()):
    """What `night.Night` reads, in some 30 to 200 bytes, of a lighting day that `calendar.day` found and the
    `sun.nights` around it.

    Big-endian: begin, end, 1/100 lux that turn on and off (4 bytes each), count of rows (1); rows of instant
    (4), level (1), ramp s (2), mode (1), the first at `begin`; then, in order of priority, presence from, to
    (4), operation, level (1), hold s, ramps to and from (2).
    """
    here, last, default = day[7:]
    day = _Day(*day[:7])
    periods, fixed, astro, dynamic = decode(here) if here else ([], [], [], [])
    # Before the first fixed time the day goes on as the one before ended; after a day without any, as it ends.
    level, ramp = (last or (fixed or [(0, default, 0)])[-1])[1:]
    fixed = [(day.begin, level, ramp)] + [(day.at(row[0]), row[1], row[2]) for row in fixed]
    astro = day.controls(astro, nights)
    windows = [] if periods else [(day.begin, day.end, 0)]
    lux = [0, 0]
    for period in periods:
        windows += day.windows(period, nights)
        if period[0] > 1:
            lux = period[-2:]
    rows = b""
    last = None
    for t in sorted([row[0] for row in fixed + astro + windows] + [row[1] for row in windows]):
        row = _state(t, fixed, astro, windows) if here else (default, 0, _DEFAULT)
        if day.begin <= t < day.end and row != last:
            rows += pack(">iBHB", t, *row)
            last = row
    count = len(rows) // 8
    for row in dynamic:
        for start, end in day.span(row[0], row[1], ()):
            rows += pack(">iiBBHHH", start, end, *row[2:])
    return pack(">iiIIB", day.begin, day.end, *lux, count) + rows
