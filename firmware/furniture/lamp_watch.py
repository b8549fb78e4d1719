"""Failures of a lamp, from what it is told and what it draws (TALQ LampMonitor, uCIFI 3416 and 3418). Pure."""

from firmware.furniture.alarms import Alarms
from firmware.furniture.luminaire import line
from firmware.protocols.compat import const

# Bits of the field table's `alarms`.
_LAMP = const(0)
_GEAR = const(1)
_RELAY = const(2)
_DAY = const(3)
_CYCLING = const(4)
_SILENT = const(5)
_LOW = const(6)
_HIGH = const(7)
_SUPPLY_LOW = const(8)
_SUPPLY_HIGH = const(9)

_BITS = const(10)

# So many restarts that nobody commanded within so long; an hour without one ends the alarm.
_RESTARTS = const(3)
_WINDOW_MS = const(3600000)
# An alarm of the supply ends this far inside its bound, one of power at half its tolerance.
_MARGIN_MV = const(7000)


def gradient_table(nominal_mw, gradient=1000):
    """What `LampWatch` expects where nothing was measured (TALQ): nominal * (1 - (1 - light) / gradient),
    the nominal power times the virtual level, powerLightGradient in 1/1000, above 0."""
    return (0, nominal_mw * (gradient - 1000) // gradient, 1000, nominal_mw)


class LampWatch(Alarms):
    """table: light 1/1000, mW, light, mW .., None where nobody knows: then no verdict on power; tolerance: % of
    the last of these; lamps: on this node; standby_mw: most that an unlit lamp draws; warm_ms: no verdict on power
    so long after lighting up; low_mv and high_mv: bounds of the supply."""

    def __init__(
        self,
        table,
        tolerance=20,
        lamps=1,
        standby_mw=2000,
        warm_ms=60000,
        low_mv=198000,
        high_mv=253000,
        samples=3,
    ):
        super().__init__(_BITS, samples)
        self._table = table
        self._margin = table[-1] * tolerance // 100 if table else 0
        self._lamps = 4 * lamps
        self._standby = standby_mw
        self._warm_ms = warm_ms
        self._low = low_mv
        self._high = high_mv
        self._dark = None  # when the lamp was last told to be dark
        self._burns = None
        self._starts = [-_WINDOW_MS] * _RESTARTS

    def step(self, now, light, still=True, mw=None, closed=True, gear=None, mv=None, day=False):
        """One sample at monotonic `now` (ms). light: 1/1000 as commanded, 0 dark; still: no ramp, no identify
        and no local input; mw: power drawn; closed: the relay's command; gear: DALI status byte, -1 asked and
        no answer; mv: supply; day: sunlight, and no command asks for light. None is not known.

        Returns the bits that began or ended with this sample; `mask` tells which."""
        before = self.mask
        if mv is not None:
            self.above(_SUPPLY_LOW, -mv, -self._low, _MARGIN_MV)
            self.above(_SUPPLY_HIGH, mv, self._high, _MARGIN_MV)
        failed = None
        if gear is not None:
            # A gear without mains cannot answer.
            if gear >= 0 or mv is None or mv * 2 > self._low:
                self.judge(_SILENT, gear < 0)
            if gear >= 0:
                self.judge(_GEAR, gear & 1 > 0)
                failed = gear & 2 > 0
        lit = light and closed
        if not lit or self._dark is None:
            self._dark = now
        if not still or not lit:
            self._burns = None
        if still:
            if mw is not None:
                on = mw > self._standby
                if lit:
                    if self._table:
                        dead = self._power(now, light, mw)
                        failed = failed or dead
                elif not closed:
                    self.judge(_RELAY, on)
                self.judge(_DAY, on and (not light or day))
            if lit:
                self.judge(_LAMP, failed)
        return before ^ self.mask

    def _power(self, now, light, mw):
        off = line(self._table, light)
        # With n lamps one of them is missing when a quarter of its share is left.
        dead = mw * self._lamps < off * (self._lamps - 3)
        starts = self._starts
        if self._burns is False and not dead:
            starts.pop(0)
            starts.append(now)
        if self._burns is not None or not dead:
            self._burns = not dead
        self.judge(_CYCLING, now - starts[-1 if self.mask >> _CYCLING & 1 else 0] < _WINDOW_MS)
        if now - self._dark < self._warm_ms:
            return None
        if not dead:
            off = mw - off
            self.above(_LOW, -off, self._margin, self._margin // 2)
            self.above(_HIGH, off, self._margin, self._margin // 2)
        return dead
