"""Which lighting day holds an instant, and which program of a plan it has. No state: loaded once a day, dropped
before `schedule`, which makes the day's table, so that time zone, calendar, sun and table are never in memory
together.

A lighting day runs from local noon (day offset 12) or midnight (0) to the next. Plans are in the compact form and
were accepted by `plan.check`; only the parts in use are unpacked.
"""

from firmware.furniture.dates import civil
from firmware.furniture.packed import parts
from firmware.furniture.zone import Zone
from firmware.protocols.cbor import decode
from firmware.protocols.compat import const

_DAY = const(86400)


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
    for rule in parts(plan[8]):
        rule = decode(rule)
        if _matches(day, *rule[1:]):
            number = rule[0]
            break
    return parts(plan[7])[number] if number >= 0 else None


def day(blob, t):
    """The lighting day that holds wire second `t`, as `schedule.table` takes it, and what `sun.nights` wants to
    know of it, None where its program does not go by the sun.

    The day: number, begin, end; the instant in it at which the clocks change, `end` for none, and by how much they
    are ahead of UTC before and after; second of the local day at which it begins; its program, still encoded, or
    None; last fixed time of the day before, or None; default level.
    """
    plan = parts(blob)
    zone, lat, lon, noon, default, sun = [decode(part) for part in plan[1:7]]
    zone = Zone(zone)
    noon *= 3600
    number = (t + zone.offset(t) - noon) // _DAY
    # A change of the clocks over the border of the day can leave `t` in the neighbour.
    while t < zone.utc(number, noon):
        number -= 1
    while t >= zone.utc(number + 1, noon):
        number += 1
    begin = zone.utc(number, noon)
    end = change = zone.utc(number + 1, noon)
    ahead = zone.offset(begin)
    later = zone.offset(end)
    if ahead != later:
        t = begin
        while change - t > 1:
            middle = (t + change) // 2
            if zone.offset(middle) == later:
                change = middle
            else:
                t = middle
    last = program(plan, number - 1)
    if last:
        last = (decode(parts(last)[1]) or [None])[-1]
    here = program(plan, number)
    where = None
    if here:
        periods, _, astro = parts(here)[:3]
        if astro != b"\x80" or [1 for period in decode(periods) if period[0] & 1]:
            # Nights around the sun's own day whose noon is next to the clock's. In a day that begins at midnight a
            # sunrise of the night before those may count, too, by 12 hours at the most.
            sunday = (zone.utc(number, 43200) + lon * 24 // 1000) // _DAY
            where = sunday - 1 - (not noon), sunday + 2, lat, lon, sun
    return (number, begin, end, change, ahead, later, noon, here, last, default), where
