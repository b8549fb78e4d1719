"""The photocell of a lamp; loaded where one is fitted.

Settings: 2 lux below which it is dark (35), 3 above which it is light (70), where no plan says otherwise.
"""

from firmware.drivers.errors import DriverError
from firmware.furniture.alarms import Alarms
from firmware.protocols.compat import const

# Longer than any night or day below 60 degrees: a cell that says the same for so long is broken.
_STUCK_MS = const(68400000)
# The end of a cell's table: whatever a plan calls light, this is it.
_SUN = const(0x3FFFFFFF)


class Eye(Alarms):
    """cell: has `read_lux`, and `most` that it can tell. After `look`: `dark`, None when the cell says nothing or
    has said the same for too long; then `mask` is 1, from the third time on."""

    def __init__(self, cell, low, high):
        super().__init__(1)
        self._cell = cell
        self._low = low
        self._high = high
        self.dark = self._says = None
        self._turned = 0

    def look(self, now, night, fresh):
        """One reading at monotonic `now` (ms), which a plan's table `night`, None without, goes by; `fresh`: in
        its turn, the third of these counts."""
        lux = says = None
        try:
            lux = self._cell.read_lux()
            says = self._says
            if says is None or lux < self._low or lux > self._high:
                says = lux * 2 < self._low + self._high
        except DriverError:
            pass
        if says is not self._says:
            self._says = says
            self._turned = now
        self.dark = says if now - self._turned < _STUCK_MS else None
        if fresh:
            self.judge(0, self.dark is None)
        if night:
            lit = None
            if self.dark is not None:
                lit = lux * 100 if lux < self._cell.most else _SUN
            night.light(lit)
