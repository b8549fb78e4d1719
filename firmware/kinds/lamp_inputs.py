"""Maintenance switch and presence sensor of a lamp; loaded where its settings name a contact for one.

Settings: 16 contact of the switch, 17 of the sensor (0: none): closed says yes, 100 more where opening does. What
two looks in a row find counts. A sensor that sees somebody for longer than any night lasts is broken, and sees
nobody until it lets go; the switch has no end, it is full light.
"""

import asyncio

from firmware.drivers.contact import numbered
from firmware.protocols.compat import const

_LOOK_MS = const(250)
_STUCK_MS = const(86400000)


class Inputs:
    """contacts: the part's list, or None; e: the settings; refuse(*why) is told of a contact that is not there."""

    def __init__(self, contacts, e, lamp, clock, refuse):
        self._switch = numbered(contacts, e.get(16, 0), refuse)
        self._sensor = numbered(contacts, e.get(17, 0), refuse)
        self._lamp = lamp
        self._clock = clock
        self._here = False
        self._since = None  # when somebody came
        self._last = None  # when somebody was last here
        self._look()

    def _look(self):
        """Look at both contacts; whether one says something else than before."""
        lamp = self._lamp
        was = (lamp.local, self._here)
        contact, closes = self._switch
        lamp.local = bool(contact and contact.update() == closes)
        contact, closes = self._sensor
        here = bool(contact and contact.update() == closes)
        now = self._clock.now_ms()
        if not here:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= _STUCK_MS:
            here = False
            if self._here:
                print("presence: stuck")
        if here:
            self._last = now
        self._here = here
        return was != (lamp.local, here)

    def tell(self, now, wire, night):
        """Tell a plan's table `night`, None without, at the wire second `wire`, None without time, who is or was
        there at monotonic `now`."""
        if night and self._last is not None and wire is not None:
            last = wire - (now - self._last) // 1000
            night.presence(last, True)
            night.presence(last, self._here)

    async def rest(self, changed, ms):
        """Wait for so long, for the event `changed` or a contact."""
        clock = self._clock
        end = clock.now_ms() + ms
        while ms > 0 and not changed.is_set():
            await asyncio.sleep_ms(min(ms, _LOOK_MS))
            if self._look():
                break
            ms = end - clock.now_ms()
        changed.clear()
