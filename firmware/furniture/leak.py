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
_MOST_L = const(100000)  # of an hour, in the field table


class Leak:
    """`hour(index_l, ms)` once an hour; `hourly` holds the last four volumes, newest first, `flow_dlh` the
    mean flow of the last hour in 0.1 l/h, None before the first."""

    def __init__(self, index_l=0):
        self.index_l = index_l
        self.hourly = []
        self.flow_dlh = None
        self._wet_hours = 0
        self.state = NONE

    def hour(self, index_l, ms=3600000):
        """Close an hour at meter index `index_l`, `ms` after the last: the first of a boot, and one in which
        the clock was set, is longer or shorter. A falling index is a new meter: no volume is made up."""
        used = index_l - self.index_l
        self.index_l = index_l
        if used < 0:
            self.hourly = []
            self.flow_dlh = None
            self._wet_hours = 0
            return
        used = min(used, _MOST_L)
        self.flow_dlh = min(used * 36000000 // ms, 10 * _MOST_L)
        self.hourly.insert(0, used)
        if len(self.hourly) > HOURS:
            self.hourly.pop()
        self._wet_hours = min(self._wet_hours + 1, _DETECT_H) if used else 0
        self.state = NONE
        if self._wet_hours >= _DETECT_H:
            self.state = DETECTED
        elif self._wet_hours >= _SUSPECT_H:
            self.state = SUSPECTED
