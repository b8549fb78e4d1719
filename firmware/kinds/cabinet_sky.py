"""The photocell of a cabinet, with the almanac beside it; loaded where one is fitted."""

from firmware.drivers.errors import DriverError
from firmware.furniture.night import drop
from firmware.protocols.cbor import decode
from firmware.protocols.compat import const

# Longer than any night or day below 60 degrees: a cell that says the same for so long is broken.
_STUCK_MS = const(68400000)
_DAY_S = const(86400)


class Sky:
    """low, high: lux below which it is dark, above which it is light. `dark`: None when the cell says nothing;
    `stuck`: it has said the same for longer than any night or day, and the almanac does not say it, too."""

    def __init__(self, cell, programme, low, high):
        self._cell = cell
        self._programme = programme
        self._low = low
        self._high = high
        self.dark = None
        self.stuck = False
        self._last = None
        self._turned = 0
        self._of = None
        self._begin = self._rise = self._fall = 0

    def look(self, now, wire_s):
        """One reading at monotonic `now` (ms), wire second `wire_s` or None; the plan's own photocell periods go
        by it, too, but not by one that is stuck: then they count as dark."""
        lux = dark = None
        try:
            lux = self._cell.read_lux()
            dark = self.dark
            if dark is None or lux < self._low or lux > self._high:
                dark = lux * 2 < self._low + self._high
        except DriverError:
            pass
        self.dark = dark
        if dark is not None and dark is not self._last:
            self._last = dark
            self._turned = now
        self.stuck = dark is not None and now - self._turned >= _STUCK_MS and self.night(wire_s) is not dark
        night = self._programme.night
        if night:
            night.light(None if lux is None or self.stuck else lux * 100)

    def believed(self):
        """`dark`, or None where no night or day is as long as this."""
        return None if self.stuck else self.dark

    def night(self, wire_s):
        """Whether the sun is down where the plan is; None without plan or time."""
        plan = self._programme.hash
        if wire_s is None or not plan:
            return None
        if plan is not self._of or not 0 <= wire_s - self._begin < _DAY_S:
            try:
                self._place(wire_s)
            except MemoryError:
                return None
            finally:
                drop()
            self._of = plan
        return not self._rise <= wire_s < self._fall

    def _place(self, wire_s):
        from firmware.furniture.sun import UP, event

        lat, lon = decode(self._programme.stored(), max_depth=6, max_items=1024)[2:4]
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
