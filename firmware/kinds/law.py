"""What the decree says of a lamp's hours and of its plan. Loaded when asked, then dropped: see lamp_law.

law: category, end and begin of the activity (minutes of the local day + 1, 0 without). A plan's zone and position
tell midnight and sunset; where the sun does not set nothing is forbidden.
"""

from firmware.furniture.guard import SLACK_S, Guard, lit
from firmware.kinds.lamp_place import place
from firmware.protocols.compat import const

_DAY = const(86400)
_NOON = const(43200)
_SEVEN = const(25200)


def dark(law, plan, begin, end):
    """[(from, to), ...]: wire seconds in which light is forbidden in begin..end."""
    from firmware.furniture.sun import DOWN, UP, event
    from firmware.furniture.zone import Zone

    zone, lat, lon = place(plan)
    zone = Zone(zone)
    guard = Guard(law[0])
    found = []
    while begin < end:
        # The lighting day around the midnight that is next to noon.
        day = (begin + zone.offset(begin) + _NOON) // _DAY
        stop = min(end, zone.utc(day, _NOON))
        sunset = event(day - 1, lat, lon, 0, 0)
        if sunset not in (UP, DOWN):
            midnight = zone.utc(day, 0)
            # By the clock of its own day: between the evening and the morning clocks may change.
            days = day - (law[1] > 720), day
            hours = [zone.utc(days[n], (law[n + 1] - 1) * 60) if law[n + 1] else None for n in (0, 1)]
            shift = zone.offset(midnight + _SEVEN) - zone.offset(midnight)
            guard.night(midnight, (day - 1) * _DAY + sunset, hours[0], hours[1], shift)
            found += guard.dark(begin, stop)
        begin = stop
    return found


def night(law, plan, wire_s):
    """(begin, end, spans) of the lighting day, noon to noon, that holds a wire second; the spans are shorter by
    what is not a matter of law at either end."""
    from firmware.furniture.zone import Zone

    zone = Zone(place(plan)[0])
    day = (wire_s + zone.offset(wire_s) + _NOON) // _DAY
    begin = zone.utc(day - 1, _NOON)
    end = zone.utc(day, _NOON)
    found = []
    for a, b in dark(law, plan, begin, end):
        a += SLACK_S * (a > begin)
        b -= SLACK_S * (b < end)
        if a < b:
            found.append((a, b))
    return begin, end, found


def refuses(law, plan, begin, end, *nights):
    """Whether light from begin to end is against the decree, of a lamp that is lit all the time, or as one of
    the nights (`night.Night`, all of one day) says."""
    spans = dark(law, plan, begin, end)
    return (lit(spans, *nights) if nights else sum([b - a for a, b in spans])) > SLACK_S
