"""The supply of a lamp behind a relay, beside its dimmer or alone; loaded where one is fitted.

Settings: 18 shortest pause s (1), 19 seconds until a discharge lamp strikes again (0: no such lamp); with that, 11
are its seconds of warm-up, in which it is not dimmed.
"""

from firmware.drivers.errors import DriverError, NotReady
from firmware.protocols.compat import const

# A gear has faded by then.
_FADED_MS = const(2000)
# A gear whose supply came back obeys by then (IEC 62386-102: after 0.6 s at its power-on level).
_STARTED_MS = const(1000)
_LONG_MS = const(10000)


class Switch:
    """relay, and the dimmer behind it or None; e: the settings. To its lamp it is what a dimmer is; `on`: the
    relay is closed. ConfigError for times of more than three days."""

    def __init__(self, relay, dimmer, e):
        cool_ms = e.get(19, 0) * 1000
        relay.times(e.get(18, 1) * 1000, cool_ms, e.get(11, 60) * 1000 if cool_ms else 0)
        self._relay = relay
        self._dimmer = dimmer
        self.on = True
        self._permille = 1000
        self._dark = self._again = None

    def set(self, permille):
        self._permille = permille
        if self._dimmer and self.on:
            self._dimmer.set(permille)

    def status(self):
        """As the gear says it; None where it has no supply or cannot answer."""
        return self._dimmer.status() if self.on and hasattr(self._dimmer, "status") else None

    def step(self, now, level, local):
        """One step at monotonic `now` (ms): (level % that there can be where `level` is wanted, milliseconds until
        the next step). Dark while the lamp cools, full while it warms up; local: at once, whatever it makes of it.
        """
        relay = self._relay
        wait = _LONG_MS
        if not level:
            if relay.on:
                if self._dark is None:
                    self._dark = now
                wait = self._dark + (_FADED_MS if self._dimmer else 0) - now
                if wait <= 0:
                    relay.set(False)
                    wait = _LONG_MS
            self.on = relay.on
            return 0, wait
        self._dark = None
        if not relay.on:
            if local:
                relay.release()
            else:
                try:
                    relay.set(True)
                except NotReady as e:
                    return 0, e.args[1]
            self._again = now + _STARTED_MS
        self.on = True
        if not self._dimmer:
            return 100, wait
        if self._again is not None:
            if now >= self._again:
                self._again = None
                try:
                    self._dimmer.set(self._permille)
                except DriverError:
                    self._again = now + _STARTED_MS
            wait = _STARTED_MS
        left = relay.left_ms()
        return (100, min(wait, left)) if left else (level, wait)
