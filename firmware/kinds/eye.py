"""The photocell of a lamp or a cabinet; loaded where one is fitted.

Settings of a lamp: 2 lux below which it is dark (35), 3 above which it is light (70), where no plan says
otherwise.
"""

from firmware.drivers.errors import DriverError
from firmware.protocols.compat import const

# Longer than any night or day below 60 degrees: a cell that says the same for so long is broken.
_STUCK_MS = const(68400000)
# The end of a cell's table: whatever a plan calls light, this is it.
_SUN = const(0x3FFFFFFF)
_SAMPLES = const(3)


class Eye:
    """cell: has `read_lux`, and `most` that it can tell; low, high: lux below which it is dark, above which light.

    After `look`: `says` (True is dark), None when the cell says nothing; `stuck`: it has said the same, silent
    moments or not, for longer than any night or day; `dark`: what it says, None where that is not to be believed.
    """

    def __init__(self, cell, low, high):
        self._cell = cell
        self._low = low
        self._high = high
        self.says = self.dark = self._last = self._lit = None
        self.stuck = self._bad = False
        self._turned = self._count = 0

    def look(self, now, night, down=None):
        """One reading at monotonic `now` (ms), which a plan's table `night`, None without, goes by: one that is
        not believed counts as dark. down: whether the almanac has the sun down, None without; what it says, too,
        is not stuck."""
        lux = says = None
        try:
            lux = self._cell.read_lux()
            says = self.says
            if says is None or lux < self._low or lux > self._high:
                says = lux * 2 < self._low + self._high
        except DriverError:
            pass
        self.says = says
        if says is not None and says is not self._last:
            self._last = says
            self._turned = now
        self.stuck = says is not None and now - self._turned >= _STUCK_MS and says is not down
        self.dark = None if self.stuck else says
        self._lit = None
        if self.dark is not None:
            self._lit = lux * 100 if lux < self._cell.most else _SUN
        if night:
            night.light(self._lit)

    def tell(self, night):
        """Tell a new table, which takes it for dark, what was read last."""
        night.light(self._lit)

    def failed(self):
        """Whether it is not to be believed; three in a row of these questions begin and end that."""
        bad = self.dark is None
        self._count = self._count + 1 if bad is not self._bad else 0
        if self._count >= _SAMPLES:
            self._bad = bad
            self._count = 0
        return self._bad
