"""What the decree says of a command, where the settings name a category. Loaded when asked, then dropped."""

from firmware.furniture.guard import Guard
from firmware.furniture.night import drop
from firmware.protocols.cbor import decode
from firmware.protocols.compat import const, forget

_DAY = const(86400)
_SEVEN = const(25200)


def refuses(law, programme, wire_s, level, for_s):
    """ "guard" where `level` from wire second `wire_s` on for `for_s` seconds is forbidden, else None. law:
    category, end and begin of the activity (minutes of the local day + 1, 0 without); None without a plan, whose
    position and zone tell sunset and midnight."""
    try:
        from firmware.furniture.sun import DOWN, UP, event
        from firmware.furniture.zone import Zone

        plan = programme.stored()
        if not plan:
            return None
        _, zone, lat, lon = decode(plan, max_depth=6, max_items=1024)[:4]
        zone = Zone(zone)
        end = wire_s + for_s
        while wire_s < end:
            # The lighting day around the midnight that is next to noon.
            day = (wire_s + zone.offset(wire_s) + _DAY // 2) // _DAY
            midnight = zone.utc(day, 0)
            sunset = event(day - 1, lat, lon, 0, 0)
            if sunset in (UP, DOWN):
                return None
            hours = [zone.utc(day, (m - 1) * 60) if m else None for m in law[1:]]
            if hours[0] is not None and law[1] > 720:
                hours[0] -= _DAY
            guard = Guard(law[0])
            shift = zone.offset(midnight + _SEVEN) - zone.offset(midnight)
            guard.night(midnight, (day - 1) * _DAY + sunset, hours[0], hours[1], shift)
            stop = min(end, zone.utc(day, _DAY // 2))
            if guard.refuses(((wire_s, level),), stop):
                return "guard"
            wire_s = stop
        return None
    finally:
        drop()
        forget("kinds.law", "furniture.guard")
