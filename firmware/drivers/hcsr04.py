"""HC-SR04 and JSN-SR04T (mode 0: no resistor on R27) ultrasonic range sensors.  DS = their makers' data sheets.

A trigger pulse starts a burst; ECHO then stays high for as long as the sound travelled. Neither part knows
the temperature: the caller sets `temp_ddegc`. Both may drive ECHO with 5 V: a divider protects the pin.
Not supported: the serial modes of the JSN-SR04T. A target nearer than its blind zone has no distance.
"""

import time

from firmware.drivers.errors import BusError, NotReady
from firmware.protocols.compat import const

_START_MS = const(500)
# The burst alone takes 200 us (DS: 8 periods of 40 kHz), then ECHO rises: whoever looks later may miss that.
_LATE_US = const(150)


def _speed(ddegc):
    """Speed of sound in units of 2 cm/s, 331.3 m/s + 0.606 m/s per degC: times 58 ms it is below 2**30."""
    return (1656550 + 303 * ddegc) // 100


def distance_mm(us, ddegc):
    """Millimetres to the target when the echo takes `us` (to 58000), air of `ddegc` tenths of a degC (to 600)."""
    return (us * _speed(ddegc) + 50000) // 100000


class HCSR04:
    """trigger, echo: pins, callable; pulse: `machine.time_pulse_us` or what measures a pulse on `echo` likewise.

    power: callable pin that feeds the sensor at level `on`. temp_ddegc: temperature of the air, 0.1 degC.
    A reading blocks for the flight of the longest distance at most: 27 ms, JSN-SR04T 30 ms, at -30 degC.
    """

    NAME = "hcsr04"
    MIN_MM = 20
    # 4 m (DS), and what the speed of sound may be wrong by.
    MAX_MM = 4100
    TRIGGER_US = 10
    # DS: at least 60 ms from trigger to trigger, or the next one hears this one's echoes; ticks are cut off.
    CYCLE_MS = 61

    def __init__(self, trigger, echo, pulse, power=None, on=1, *, clock=time):
        self._trigger = trigger
        self._echo = echo
        self._pulse = pulse
        self._power = power
        self._on = on
        self._clock = clock
        self._last = None
        self.temp_ddegc = 200
        trigger(0)

    def _cycle_ms(self):
        """Milliseconds until the next trigger may come."""
        if self._last is None:
            return 0
        ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._last)
        # Negative: more than half a period of the counter ago.
        return self.CYCLE_MS - ms if 0 <= ms < self.CYCLE_MS else 0

    def start(self):
        """Power up; the milliseconds until `read_mm` may be called."""
        if self._power:
            self._power(self._on)
            return _START_MS
        return self._cycle_ms()

    def stop(self):
        """Power down, where there is a switch."""
        if self._power:
            self._power(not self._on)

    def read_mm(self):
        """Measure: the distance, None when it is out of range or there is no echo.

        Raises NotReady within a cycle of the last reading; BusError "stuck" when ECHO is high before the
        trigger, "silent" when it never rises, "late" when the interpreter was held up and may have missed it.
        """
        if self._cycle_ms():
            raise NotReady(self.NAME)
        if self._echo():
            raise BusError(self.NAME, "stuck")
        clock = self._clock
        # Beyond this the echo is out of range; the no-echo pulse (38 ms, JSN-SR04T 60 ms) is not waited for.
        timeout = (self.MAX_MM + 1) * 100000 // _speed(self.temp_ddegc)
        self._last = clock.ticks_ms()
        self._trigger(1)
        clock.sleep_us(self.TRIGGER_US)
        t = clock.ticks_us()
        self._trigger(0)
        if clock.ticks_diff(clock.ticks_us(), t) > _LATE_US:
            raise BusError(self.NAME, "late")
        us = self._pulse(self._echo, 1, timeout)
        if us == -2:
            raise BusError(self.NAME, "silent")
        if us < 0:
            return None
        mm = distance_mm(us, self.temp_ddegc)
        return mm if self.MIN_MM <= mm <= self.MAX_MM else None


class JSNSR04T(HCSR04):
    """Waterproof; a blind zone of 20 to 25 cm (DS, by version), 20 us of trigger, 60 ms without an echo."""

    NAME = "jsnsr04t"
    MIN_MM = 250
    MAX_MM = 4600
    TRIGGER_US = 20
    CYCLE_MS = 100
