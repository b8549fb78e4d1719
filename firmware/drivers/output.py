"""Output that moves something: hatch lock, compactor motor.

The interlock (hatch closed, hand guard) is wired in series with the actuator's supply and stops it without
any program; what is here only adds to that. The pin's hardware default is off, also in reset.
"""

import time

from firmware.drivers.errors import ConfigError, NotReady
from firmware.protocols.compat import const

# Why it is off.
IDLE = const(0)
DONE = const(1)
LIMIT = const(2)
INTERLOCK = const(3)


class Output:
    """pin, interlock: callable pins with the levels that mean on and safe; limit_ms: longest time on.

    rest_ms: pause after each (a motor's duty cycle). `now` in the calls is `ticks_ms()`. An interlock with
    `irq` is also obeyed between two polls. `why` says what ended the last action: DONE (asked or the
    pulse's time), LIMIT (a hold that nobody released), INTERLOCK.
    """

    def __init__(self, pin, interlock, on=1, safe=1, limit_ms=1000, rest_ms=0, clock=time):
        if not 0 < limit_ms < 1 << 28:
            raise ConfigError("limit_ms")
        if not 0 <= rest_ms < 1 << 28:
            raise ConfigError("rest_ms")
        self._pin = pin
        self._interlock = interlock
        self._on = on
        self._safe = safe
        self._limit = limit_ms
        self._rest = rest_ms
        self._diff = clock.ticks_diff
        self._ticks_ms = clock.ticks_ms
        self._since = 0
        self._for = 0
        self._wait = 0
        self._then = DONE
        self.active = False
        self.why = IDLE
        pin(not on)
        if hasattr(interlock, "irq"):
            interlock.irq(self._edge, interlock.IRQ_RISING | interlock.IRQ_FALLING)

    def _edge(self, _):
        if self.active and self._interlock() != self._safe:
            self._end(self._ticks_ms(), INTERLOCK)

    def _end(self, now, why):
        self._pin(not self._on)
        self.active = False
        self.why = why
        self._since = now
        self._wait = self._rest

    def _start(self, now, ms, end):
        if self.active:
            raise NotReady("output", "active")
        if self._wait:
            left = self._wait - self._diff(now, self._since)
            if 0 < left <= self._wait:
                raise NotReady("output", left)
            self._wait = 0
        if self._interlock() != self._safe:
            self.why = INTERLOCK
            raise NotReady("output", "interlock")
        self._since = now
        self._for = ms
        self._then = end
        self._pin(self._on)
        self.active = True
        # In this order: an interrupt since the look above did nothing, so look again.
        self._edge(None)

    def pulse(self, ms, now):
        """On for `ms`, 1..limit_ms (else ConfigError); it ends in the `poll` at that time.

        Raises NotReady("output", why not): "interlock", "active", or the milliseconds of rest left.
        """
        if not 0 < ms <= self._limit:
            raise ConfigError("ms")
        self._start(now, ms, DONE)

    def hold(self, now):
        """On until `release`, at most limit_ms; while it holds, limit_ms from now. Raises NotReady as `pulse`."""
        if self.poll(now) and self._then == LIMIT:
            self._since = now
        else:
            self._start(now, self._limit, LIMIT)

    def release(self, now):
        """Off."""
        if self.active:
            self._end(now, DONE)

    def poll(self, now):
        """Ends what is over; the milliseconds until the next poll is needed, 0 when off."""
        if not self.active:
            return 0
        if self._interlock() != self._safe:
            self._end(now, INTERLOCK)
            return 0
        left = self._for - self._diff(now, self._since)
        if not 0 < left <= self._for:
            self._end(now, self._then)
            return 0
        return left
