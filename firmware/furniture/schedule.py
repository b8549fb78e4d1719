"""One lighting day of a plan: where the level changes, by TALQ's rules (data model 2.7.1). No state: loaded
once a day, dropped afterwards; `night` keeps the result.

The state is worked out by level at every instant where something may change, so the table cannot depend on
what was missed. A lighting day runs from local noon (day offset 12) or midnight (0) to the next. Plans are in
the compact form and were accepted by `plan.check`; only the parts in use are unpacked.
"""

from struct import pack

from firmware.furniture.night import combine
from firmware.furniture.zone import Zone, civil
from firmware.protocols.cbor import decode
from firmware.protocols.compat import const

_DAY = const(86400)
# Modes of a row, see night; of several that apply the least counts.
_SENSOR = const(1)
_OFF = const(2)
_DEFAULT = const(3)


def _walk(blob, pos, found):
    # The position behind the item at `pos`; the encoded items of an array are added to `found`.
    major = blob[pos] >> 5
    count = blob[pos] & 31
    pos += 1
    if count > 23:
        size = 1 << count - 24
        count = int.from_bytes(blob[pos : pos + size], "big")
        pos += size
    if major == 4:
        for _ in range(count):
            start = pos
            pos = _walk(blob, pos, None)
            if found is not None:
                found.append(blob[start:pos])
    elif major > 1:
        pos += count
    return pos


def _parts(blob):
    # The items of an encoded array, still encoded.
    found = []
    _walk(blob, 0, found)
    return found


def _matches(day, start, end, cond):
    year, month, of_month = civil(day)
    date = month * 32 + of_month
    dated = (year - 2000) * 512 + date
    after = (date if start < 512 else dated) >= start
    before = (date if end < 512 else dated) <= end
    # Two yearly bounds in the other order go round the new year.
    if not (after or before if end < start < 512 else after and before):
        return False
    if not cond:
        return True
    if cond[0] == 2:
        nth = 1 << (of_month - 1) // 7
        if civil(day + 7)[1] != month:
            nth |= 32
        # 2026-01-01 is a Thursday, bit 3.
        return cond[1] >> (day + 3) % 7 & 1 and cond[2] & nth
    return [1 for first, last in cond[1] if first <= (date if first > 31 else of_month) <= last]


def program(plan, day):
    """The program for lighting day `day`, or None: that of the first rule that matches, else the default.
    What is given and returned are encoded parts."""
    number = decode(plan[9])
    for rule in _parts(plan[8]):
        rule = decode(rule)
        if _matches(day, *rule[1:]):
            number = rule[0]
            break
    return _parts(plan[7])[number] if number >= 0 else None


class _Day:
    # The lighting day that holds `t`: its number, begin and end, and cuts of it.

    def __init__(self, zone, noon, t):
        self.zone = zone
        self.noon = noon
        day = (t + zone.offset(t) - noon) // _DAY
        # A change of the clocks over the border of the day can leave `t` in the neighbour.
        while t < zone.utc(day, noon):
            day -= 1
        while t >= zone.utc(day + 1, noon):
            day += 1
        self.day = day
        self.begin = zone.utc(day, noon)
        self.end = zone.utc(day + 1, noon)

    def at(self, second):
        # The instant of a local time of day.
        return self.zone.utc(self.day + (second < self.noon), second)

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

    def nights(self, lat, lon, sun):
        # (noon before, sunset, sunrise) of the nights that may reach into the day; None for an event that does
        # not happen because the sun stays down.
        from firmware.furniture.sun import DOWN, UP, event

        # The sun's own day whose noon is next to the clock's.
        first = (self.zone.utc(self.day, 43200) + lon * 24 // 1000) // _DAY - 1
        found = []
        for day in range(first, first + 3):
            noon = day * _DAY + 43200 - lon * 24 // 1000
            sunset = event(day, lat, lon, sun, 0)
            sunrise = event(day + 1, lat, lon, sun, 1)
            if UP not in (sunset, sunrise):
                found.append(
                    (
                        noon,
                        None if sunset == DOWN else day * _DAY + sunset,
                        None if sunrise == DOWN else day * _DAY + _DAY + sunrise,
                    )
                )
        return found

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


def table(blob, t):
    """What `night.Night` reads, in some 30 to 200 bytes: the lighting day that holds wire second `t`.

    Big-endian: begin, end, 1/100 lux that turn on and off (4 bytes each), count of rows (1); rows of instant
    (4), level (1), ramp s (2), mode (1), the first at `begin`; then, in order of priority, presence from, to
    (4), operation, level (1), hold s, ramps to and from (2).
    """
    plan = _parts(blob)
    zone, lat, lon, noon, default, sun = [decode(part) for part in plan[1:7]]
    day = _Day(Zone(zone), noon * 3600, t)
    here = program(plan, day.day)
    before = program(plan, day.day - 1)
    before = before and decode(_parts(before)[1])
    periods, fixed, astro, dynamic = decode(here) if here else ([], [], [], [])
    # Before the first fixed time the day goes on as the one before ended; after a day without any, as it ends.
    level, ramp = (before or fixed or [(0, default, 0)])[-1][1:]
    fixed = [(day.begin, level, ramp)] + [(day.at(row[0]), row[1], row[2]) for row in fixed]
    nights = []
    if astro or [1 for period in periods if period[0] & 1]:
        nights = day.nights(lat, lon, sun)
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
