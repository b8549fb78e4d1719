"""What a lamp on a switched feeder makes of the night before, at its power-on. Loaded for that, then dropped."""

import struct

from firmware.furniture.fallback import power_on
from firmware.furniture.packed import place
from firmware.furniture.sun import DOWN, UP, event
from firmware.protocols.compat import const

_DAY_S = const(86400)


def before(blob, plan):
    """(this power-on in wire seconds, its uncertainty s), or None: without a plan, whose position tells how long a
    night is, where the sun does not set, and after a night that was cut short. blob: as `feeder` keeps it."""
    if not plan or len(blob) != 12:
        return None
    on_s, alive_s, error_s = struct.unpack(">iii", blob)
    _, lat, lon = place(plan)
    day = (on_s + lon * 24 // 1000) // _DAY_S
    dusk = event(day, lat, lon, 0, 0)
    dawn = event(day + 1, lat, lon, 0, 1)
    later = event(day + 1, lat, lon, 0, 0)
    for sun in (dusk, dawn, later):
        if sun in (DOWN, UP):
            return None
    return power_on(on_s, alive_s, error_s, dawn + _DAY_S - dusk, later - dusk)
