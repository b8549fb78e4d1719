"""Rope probe, pressure and box contact of a leak meter; loaded where one is fitted, looked at once a minute.

An alarm begins when two looks in a row say so and ends after ten that do not, so that a damp rope does not fill
the air with begins and ends.
"""

from firmware.drivers.errors import DriverError
from firmware.drivers.rope import BROKEN, SHORT, WET
from firmware.protocols.compat import const

# Bits of the field table.
_WET = const(6)
_BROKEN = const(7)
_TAMPER = const(9)
_PRESSURE_LOW = const(10)
_PRESSURE_HIGH = const(11)
_FAILURE = const(12)

_BEGIN = const(2)
_END = const(10)
_MOST_PA = const(4000000)  # of the field table


class Extras:
    """parts: probe, pressure sender and list of contacts, or None; e: the settings; refuse(name): told of a limit
    or contact that cannot be. `mask` has the alarms that stand, `changed` those that began or ended since the
    owner last set it to 0; `pa` the pressure or None."""

    def __init__(self, parts, e, refuse):
        self._probe, self._pressure, contacts = parts
        self._low = e.get(5, 0)
        self._high = e.get(6, 0)
        if 0 < self._high <= self._low:
            self._low = self._high = 0
            refuse("pressure")
        n = e.get(7, 0)
        self._closes = n < 100
        n %= 100
        self._box = contacts[n - 1] if contacts and 0 < n <= len(contacts) else None
        if n and not self._box:
            refuse("contact")
        self._counts = bytearray(_FAILURE + 1)
        self.mask = self.changed = 0
        self.pa = None

    def _judge(self, bit, bad):
        if bad == bool(self.mask >> bit & 1):
            self._counts[bit] = 0
            return
        self._counts[bit] += 1
        if self._counts[bit] >= (_BEGIN if bad else _END):
            self._counts[bit] = 0
            self.mask ^= 1 << bit
            self.changed |= 1 << bit

    def look(self):
        failed = False
        if self._probe:
            try:
                says = self._probe.read()
                self._judge(_WET, says == WET)
                self._judge(_BROKEN, says in (BROKEN, SHORT))
            except DriverError:
                failed = True
        if self._pressure:
            self.pa = None
            try:
                pa = self._pressure.read_pa()
                self.pa = pa = min(max(pa, 0), _MOST_PA)
                self._judge(_PRESSURE_LOW, pa < self._low)
                self._judge(_PRESSURE_HIGH, 0 < self._high < pa)
            except DriverError:
                failed = True
        if self._box:
            self._judge(_TAMPER, self._box.update() == self._closes)
        self._judge(_FAILURE, failed)
