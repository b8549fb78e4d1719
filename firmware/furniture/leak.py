"""Leak meter: hourly volumes, the hour's flow and a continuous-flow rule over a pulse index. Pure; litres.

What one household uses is class 1 (TRUST 14): it is told in hourly sums at fixed slots, never on change.
"""

from firmware.protocols.compat import const

NONE = const(0)
SUSPECTED = const(1)
DETECTED = const(2)

# Hours without one dry hour: a household's night has dry hours, a running tap or cistern has none.
_SUSPECT_H = const(12)
_DETECT_H = const(24)
HOURS = const(4)


class Leak:
    """`hour(index_l)` once an hour; `hourly` holds the last four volumes, newest first."""

    def __init__(self, index_l=0):
        self.index_l = index_l
        self.hourly = []
        self._wet_hours = 0
        self.state = NONE

    def hour(self, index_l):
        """Close an hour at meter index `index_l`. A falling index is a new meter: no volume is made up."""
        used = index_l - self.index_l
        self.index_l = index_l
        if used < 0:
            self.hourly = []
            self._wet_hours = 0
            return
        self.hourly.insert(0, used)
        if len(self.hourly) > HOURS:
            self.hourly.pop()
        self._wet_hours = min(self._wet_hours + 1, _DETECT_H) if used else 0
        self.state = NONE
        if self._wet_hours >= _DETECT_H:
            self.state = DETECTED
        elif self._wet_hours >= _SUSPECT_H:
            self.state = SUSPECTED

    def flow_dlh(self):
        """Mean flow of the last hour in 0.1 l/h, or None before the first full hour."""
        return self.hourly[0] * 10 if self.hourly else None
