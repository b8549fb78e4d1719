"""Debounced input: door, tilt switch, breaker auxiliary, earth-leakage relay, contactor feedback, interlock.

A level counts once it has stood for `debounce_ms`. With `irq` an opening and closing between two looks is
counted too; interrupts are soft and may be late or lost, so `update` looks at the level itself as well.
"""

import time


class Contact:
    """pin: callable input; active: its level when the contact says yes.

    irq: a callable without arguments, told of each edge (an event's `set`), or None: only polled.
    state: True while active; changes: how often it changed since the start (wraps at 2^30).
    """

    def __init__(self, pin, active=0, debounce_ms=30, irq=None, clock=time):
        self._pin = pin
        self._active = active
        self._ms = debounce_ms
        self._clock = clock
        self._irq = irq
        self._inside = False
        self._edges = 0
        self._raw = self.state = pin() == active
        self._since = clock.ticks_ms()
        self.changes = 0
        if irq:
            pin.irq(self._edge, pin.IRQ_RISING | pin.IRQ_FALLING)

    def _edge(self, _):
        self._edges = self._edges + 1 & 0xFF
        self._look()
        self._irq()

    def _look(self):
        edges = -1
        # An interrupt within a look only counts itself: then look again. One after it looks itself.
        while not self._inside and edges != self._edges:
            self._inside = True
            edges = self._edges
            now = self._clock.ticks_ms()
            raw = self._pin() == self._active
            # What stood long enough counts, with interrupts also when it is over by now.
            if self._raw != self.state and (raw == self._raw or self._irq):
                if self._clock.ticks_diff(now, self._since) >= self._ms:
                    self.state = self._raw
                    self.changes = self.changes + 1 & 0x3FFFFFFF
            if raw != self._raw:
                self._raw = raw
                self._since = now
            self._inside = False

    def update(self):
        """Look now; the debounced state. A change shows at the second look that finds it, debounce_ms or more
        after the first (or after its interrupt)."""
        self._look()
        return self.state

    def stop(self):
        """No further interrupts."""
        if self._irq:
            self._pin.irq(None)


def numbered(contacts, n, refuse):
    """(contact `n` of the part `contacts`, whether its closing means yes); `n` is 100 more where its opening does,
    and 0 for none: (None, True). refuse(*why) is told of one that is not there, or no more."""
    at = n % 100
    found = contacts[at - 1] if contacts and 0 < at <= len(contacts) else None
    if found:
        contacts[at - 1] = None  # nothing is given out twice
    elif n:
        refuse("contacts", "no_pin", n)
    return found, n < 100
