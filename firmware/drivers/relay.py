"""Mains relay of a lamp, with the times that a discharge lamp asks for.

The lamp hangs on the closed contact: with the coil not driven (reset, no program, no supply) it burns. A
discharge lamp that went out does not strike again until it has cooled, and wears out when it is tried.
"""

import time

from firmware.drivers.errors import ConfigError, NotReady


class Relay:
    """pin: callable output; on: its level without current in the coil. The lamp is taken as burning at first.
    Times as for `times`."""

    def __init__(self, pin, on=0, min_off_ms=1000, cool_ms=0, warm_ms=0, clock=time):
        self._pin = pin
        self._on = on
        self._clock = clock
        self.on = True
        self.switched = 0  # how often it was switched on or off
        pin(on)
        self.times(min_off_ms, cool_ms, warm_ms)

    def times(self, min_off_ms, cool_ms, warm_ms):
        """min_off_ms: shortest pause; cool_ms: pause until it strikes again; warm_ms: from cold to full light,
        which begins now where it is on. All below 2^28 (three days), else ConfigError."""
        for name, ms in (("min_off_ms", min_off_ms), ("cool_ms", cool_ms), ("warm_ms", warm_ms)):
            if not 0 <= ms < 1 << 28:
                raise ConfigError(name)
        self._off_ms = max(min_off_ms, cool_ms)
        self._warm_ms = warm_ms
        self._begin(warm_ms if self.on else self._off_ms)

    def _begin(self, ms):
        self._wait = ms
        self._since = self._clock.ticks_ms()

    def left_ms(self):
        """Milliseconds until full light (on), or until it may be switched on (off)."""
        if self._wait:
            # Negative after six days without a call: over as well.
            passed = self._clock.ticks_diff(self._clock.ticks_ms(), self._since)
            if 0 <= passed < self._wait:
                return self._wait - passed
            self._wait = 0
        return 0

    def set(self, on):
        """Switch; without effect when it is so already.

        Raises NotReady("relay", milliseconds left) for on before its time; off is always done.
        """
        on = bool(on)
        if on == self.on:
            return
        if on:
            left = self.left_ms()
            if left:
                raise NotReady("relay", left)
        self._pin(self._on if on else not self._on)
        self.on = on
        self.switched += 1
        self._begin(self._warm_ms if on else self._off_ms)

    def release(self):
        """On at once, whatever the lamp makes of it: for a safe end or a local maintenance input."""
        self._pin(self._on)
        if not self.on:
            self.on = True
            self.switched += 1
            self._begin(self._warm_ms)
