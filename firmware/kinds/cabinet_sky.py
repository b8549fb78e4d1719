"""The photocell of a cabinet, with the almanac beside it; loaded where one is fitted."""

from firmware.furniture.night import drop
from firmware.kinds.eye import Eye
from firmware.protocols.compat import const

_DAY_S = const(86400)


class Sky(Eye):
    """`night` knows where the plan of `programme` is."""

    def __init__(self, cell, low, high, programme):
        super().__init__(cell, low, high)
        self._programme = programme
        self._of = None
        self._begin = self._rise = self._fall = 0

    def night(self, wire_s):
        """Whether the sun is down where the plan is; None without plan or time."""
        plan = self._programme.hash
        if wire_s is None or not plan:
            return None
        if plan is not self._of or not 0 <= wire_s - self._begin < _DAY_S:
            try:
                self._day(wire_s)
            except MemoryError:
                return None
            finally:
                drop()
            self._of = plan
        return not self._rise <= wire_s < self._fall

    def _day(self, wire_s):
        from firmware.furniture.packed import place
        from firmware.furniture.sun import UP, event

        _, lat, lon = place(self._programme.stored())
        # Of the sun's own day there, whose midnight lies between two of its events.
        east = lon * 24 // 1000
        day = (wire_s + east) // _DAY_S
        rise = event(day, lat, lon, 0, True)
        fall = event(day, lat, lon, 0, False)
        if rise == fall:  # it does neither
            rise, fall = (-_DAY_S, 2 * _DAY_S) if rise == UP else (0, 0)
        start = day * _DAY_S
        self._begin = start - east
        self._rise = start + rise
        self._fall = start + fall
