"""Rope probe, pressure and box contact of a leak meter; loaded where one is fitted, looked at once a minute.

An alarm begins when two looks in a row say so and ends after ten that do not, so that a damp rope does not fill
the air with begins and ends.
"""

from firmware.drivers.errors import DriverError
from firmware.drivers.rope import BROKEN, SHORT, WET
from firmware.furniture.alarms import Alarms
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


class Extras(Alarms):
    """parts: probe, pressure sender and list of contacts, or None; e: the settings; refuse(*why): told of a limit
    or contact that cannot be. `pa`: the pressure or None."""

    def __init__(self, parts, e, refuse):
        super().__init__(_FAILURE + 1, _BEGIN, _END)
        self._probe, self._pressure, contacts = parts
        self._low = e.get(5, 0)
        self._high = e.get(6, 0)
        if 0 < self._high <= self._low:
            self._low = self._high = 0
            refuse("pressure")
        self.pa = self._box = None
        if e.get(7):
            from firmware.drivers.contact import numbered

            self._box, self._closes = numbered(contacts, e[7], refuse)

    def look(self):
        failed = False
        if self._probe:
            try:
                says = self._probe.read()
                self.judge(_WET, says == WET)
                self.judge(_BROKEN, says in (BROKEN, SHORT))
            except DriverError:
                failed = True
        if self._pressure:
            self.pa = None
            try:
                pa = self._pressure.read_pa()
                self.pa = pa = min(max(pa, 0), _MOST_PA)
                self.judge(_PRESSURE_LOW, pa < self._low)
                self.judge(_PRESSURE_HIGH, 0 < self._high < pa)
            except DriverError:
                failed = True
        if self._box:
            self.judge(_TAMPER, self._box.update() == self._closes)
        self.judge(_FAILURE, failed)
