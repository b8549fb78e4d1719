"""What light goes by when its time is in doubt. Pure; seconds of wire time.

The order: a time that was set; a time that drifts, as long as its declared uncertainty stays within bounds; the
photocell; the night as it was last known, counted from the instant of power-on (a feeder that is switched off
by day comes back at dusk); nothing, that is the default level.
"""

from firmware.protocols.compat import const

TIME = const(0)
DRIFT = const(1)
PHOTOCELL = const(2)
NIGHT = const(3)
NOTHING = const(4)

_DAY_S = const(86400)
# A time this fresh counts as set.
_FRESH_S = const(7200)
# Without a correction dusk moves by less than this in a day, below 50 degrees of latitude.
_DUSK_S = const(240)
# A night that ended earlier than this before its end was cut short by a fault, not by the feeder.
_SHORT_S = const(3600)
# Longer than any night or day below 60 degrees: a photocell that says the same for so long is broken.
_STUCK_S = const(68400)


class Fallback:
    """drift_s: how wrong this board's clock may be after a day without being set; most_s: the largest
    uncertainty with which the plan is still followed. After `look`: `time_s` is the time to ask the plan for,
    None where there is none, and `error_s` its declared uncertainty."""

    def __init__(self, drift_s=9, most_s=1800):
        self._drift = drift_s
        self._most = most_s
        self._on = None
        self._on_error = 0
        self._dark = None
        self._dark_s = 0
        self.time_s = None
        self.error_s = 0

    def power_on(self, last_s, alive_s, night_s, error_s=0, dusk_s=None):
        """What was stored of the last night, for a switched feeder: its power-on, the last instant at which
        the board was alive, the length that the feeder's night should have had, and `error_s` of these times;
        `dusk_s` is how much later the sun sets today, None where no position is known.

        True when today's power-on can be told from it. A night that was cut short tells nothing: this may be
        the same night again.
        """
        self._on = None
        if alive_s - last_s < night_s - _SHORT_S:
            return False
        self._on = last_s + _DAY_S + (dusk_s or 0)
        self._on_error = error_s + (_DUSK_S if dusk_s is None else 60)
        return True

    def look(self, up_s, wire_s=None, age_s=0, error_s=0, dark=None):
        """The clue that counts: TIME, DRIFT, PHOTOCELL, NIGHT or NOTHING. `up_s` since power-on; `wire_s` the
        clock's time, set `age_s` ago with an uncertainty of `error_s`, None without; `dark` what the photocell
        says, None without."""
        if dark is not self._dark:
            self._dark = dark
            self._dark_s = up_s
        if wire_s is not None:
            self.error_s = error_s + age_s * self._drift // _DAY_S
            self.time_s = wire_s
            if self.error_s <= self._most:
                return TIME if age_s <= _FRESH_S else DRIFT
        if dark is not None and up_s - self._dark_s < _STUCK_S:
            self.time_s = None
            return PHOTOCELL
        if self._on is not None:
            self.time_s = self._on + up_s
            self.error_s = self._on_error + up_s * self._drift // _DAY_S
            # The feeder cuts at dawn; still on a day later, it is no switched feeder or under test.
            if self.error_s <= self._most and up_s < _DAY_S:
                return NIGHT
        self.time_s = None
        return NOTHING
