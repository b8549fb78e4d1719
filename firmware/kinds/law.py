"""What the decree says of a lamp's hours and of its plan. Loaded when asked, then dropped: see lamp_law.

law: category, end and begin of the activity (minutes of the local day + 1, 0 without). A plan's zone and position
tell midnight and sunset; where the sun does not set nothing is forbidden.

In steps, of which each forgets the code of the one before: the clocks of the days, their sunsets, the hours.
"""

from firmware.furniture.night import drop
from firmware.protocols.compat import const

_DAY = const(86400)
_NOON = const(43200)
_SEVEN = const(25200)


def _clocks(law, plan, begin, end):
    # (begin, end, latitude and longitude, [(lighting day, its end, midnight, closing, opening, shift), ...])
    from firmware.furniture.packed import place
    from firmware.furniture.zone import Zone

    zone, lat, lon = place(plan)
    zone = Zone(zone)
    if end is None:
        day = (begin + zone.offset(begin) + _NOON) // _DAY
        begin = zone.utc(day - 1, _NOON)
        end = zone.utc(day, _NOON)
    found = []
    t = begin
    while t < end:
        # The lighting day around the midnight that is next to noon.
        day = (t + zone.offset(t) + _NOON) // _DAY
        t = min(end, zone.utc(day, _NOON))
        midnight = zone.utc(day, 0)
        # By the clock of its own day: between the evening and the morning clocks may change.
        days = day - (law[1] > 720), day
        hours = [zone.utc(days[n], (law[n + 1] - 1) * 60) if law[n + 1] else None for n in (0, 1)]
        shift = zone.offset(midnight + _SEVEN) - zone.offset(midnight)
        found.append((day, t, midnight, hours[0], hours[1], shift))
    return begin, end, lat, lon, found


def _sunsets(days, lat, lon):
    from firmware.furniture.sun import DOWN, UP, event

    found = []
    for day in days:
        sunset = event(day[0] - 1, lat, lon, 0, 0)
        found.append(None if sunset in (UP, DOWN) else (day[0] - 1) * _DAY + sunset)
    return found


def _spans(law, plan, begin, end=None):
    # (begin, end, spans); without an end those of the lighting day, noon to noon, that holds `begin`.
    begin, end, lat, lon, days = _clocks(law, plan, begin, end)
    drop()
    sunsets = _sunsets(days, lat, lon)
    drop()
    from firmware.furniture.guard import Guard

    guard = Guard(law[0])
    found = []
    t = begin
    for _, stop, midnight, closing, opening, shift in days:
        sunset = sunsets.pop(0)
        if sunset is not None:
            guard.night(midnight, sunset, closing, opening, shift)
            found += guard.dark(t, stop)
        t = stop
    return begin, end, found


def dark(law, plan, begin, end):
    """[(from, to), ...]: wire seconds in which light is forbidden in begin..end."""
    return _spans(law, plan, begin, end)[2]


def night(law, plan, wire_s):
    """(begin, end, spans) of the lighting day, noon to noon, that holds a wire second; the spans are shorter by
    what is not a matter of law at either end."""
    begin, end, spans = _spans(law, plan, wire_s)
    from firmware.furniture.guard import SLACK_S

    found = []
    for a, b in spans:
        a += SLACK_S * (a > begin)
        b -= SLACK_S * (b < end)
        if a < b:
            found.append((a, b))
    return begin, end, found


def refuses(law, plan, begin, end, *nights):
    """Whether light from begin to end is against the decree, of a lamp that is lit all the time, or as one of
    the nights (`night.Night`, all of one day) says."""
    spans = dark(law, plan, begin, end)
    from firmware.furniture.guard import SLACK_S, lit

    return (lit(spans, *nights) if nights else sum([b - a for a, b in spans])) > SLACK_S
