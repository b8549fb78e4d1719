"""What light goes by when its time is in doubt. Pure; seconds of wire time.

The order: a time whose declared uncertainty stays within bounds; the photocell; the night as it was last known,
counted from the instant of power-on (a feeder that is switched off by day comes back at dusk); nothing, that is
the default level.
"""

from firmware.protocols.compat import const

TIME = const(0)
PHOTOCELL = const(1)
NIGHT = const(2)
NOTHING = const(3)

_DAY_S = const(86400)
# A switched feeder does not come at the same minute after sunset each day: clouds, its own clock.
_DUSK_S = const(60)
# A night that ended earlier than this before its end was cut short by a fault, not by the feeder.
_SHORT_S = const(3600)
# The largest uncertainty with which a plan is still followed.
_MOST_S = const(1800)


def power_on(last_s, alive_s, error_s, night_s, later_s):
    """(this power-on, its uncertainty) as the night before tells it, or None: `last_s` its power-on and `alive_s`
    its last instant with power, both wrong by up to `error_s`; `night_s` how long it should have been, and
    `later_s` how much later the sun sets this time. A night that was cut short tells nothing: this may be the
    same again."""
    if alive_s - last_s < night_s - _SHORT_S:
        return None
    return last_s + _DAY_S + later_s, error_s + _DUSK_S


class Fallback:
    """`on_s`: this power-on as the night before tells it and `on_error_s` its uncertainty, None where it does not.
    After `look`: `time_s` is the time to ask the plan for, None where there is none, and `error_s` its declared
    uncertainty."""

    def __init__(self):
        self.on_s = self.time_s = None
        self.on_error_s = self.error_s = 0

    def look(self, up_s, wire_s=None, error_s=0, dark=None):
        """The clue that counts: TIME, PHOTOCELL, NIGHT or NOTHING. `up_s` since power-on; `wire_s` the clock's
        time and `error_s` its uncertainty by now, None without; `dark` what the photocell says, None without."""
        self.time_s = wire_s
        self.error_s = error_s
        if wire_s is not None and error_s <= _MOST_S:
            return TIME
        self.time_s = None
        if dark is not None:
            return PHOTOCELL
        # The feeder cuts at dawn; still on a day later, it is no switched feeder or under test.
        if self.on_s is not None and self.on_error_s <= _MOST_S and up_s < _DAY_S:
            self.time_s = self.on_s + up_s
            self.error_s = self.on_error_s
            return NIGHT
        return NOTHING
