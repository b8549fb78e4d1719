"""Pulse input: counts closures of a contact to ground (reed, open collector) with a pull-up.

Bounce is held off by time: a closure counts only after the contact was open for `debounce_ms`. Interrupts are
soft and can be late: while the program stands still longer than the contact stays open, that closure is lost
(at 50 % duty, more than one pulse per twice the stall). An RC filter of some ms belongs on the input anyway.
"""

import time

from firmware.protocols.compat import const

_MASK = const(0x3FFFFFFF)


class PulseCounter:
    """pin: callable, with `irq`; the count runs from `count` and wraps at 2^30 (keeps small integers).

    The handler allocates nothing.
    """

    def __init__(self, pin, debounce_ms=20, count=0, clock=time):
        self._pin = pin
        self._ms = debounce_ms
        self._ticks_ms = clock.ticks_ms
        self._ticks_diff = clock.ticks_diff
        self._at = clock.ticks_add(clock.ticks_ms(), -debounce_ms)
        self._inside = False
        self._open = pin()
        self.count = count
        pin.irq(self._edge, pin.IRQ_RISING | pin.IRQ_FALLING)

    def _edge(self, _):
        if self._inside:  # an interrupt within `update`, whose loop looks again
            return
        self._inside = True
        while True:
            level = self._pin()
            if level == self._open:
                break
            now = self._ticks_ms()
            # Negative: open for more than 6.2 days, half of what the ticks count.
            if not level and not 0 <= self._ticks_diff(now, self._at) < self._ms:
                self.count = self.count + 1 & _MASK
            self._open = level
            if level:
                self._at = now
        self._inside = False

    def update(self):
        """The count. Looks at the contact too: a lost edge is made good while its level lasts."""
        self._edge(None)
        return self.count

    def stop(self):
        """No further interrupts."""
        self._pin.irq(None)
