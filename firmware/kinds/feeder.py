"""A lamp whose feeder is switched off by day: the instant of its power-on is a clue where no clock is (DESIGN 5).

What the night before was is kept in two copies, every quarter of an hour: its power-on and the last instant with
power.
"""

import struct

from firmware.furniture.fallback import DRIFT, PHOTOCELL, TIME, Fallback
from firmware.furniture.night import drop
from firmware.protocols.cbor import decode
from firmware.protocols.compat import const

_SAVE_S = const(900)  # as often as any time is persisted (EMBEDDED 10)
_DAY_S = const(86400)


def _night(plan, on_s):
    """(seconds of the night that began about `on_s`, how much later the sun sets the day after); (0, None) where
    the plan has no position or the sun does not set."""
    if not plan:
        return 0, None
    from firmware.furniture.sun import DOWN, UP, event

    try:
        _, _, lat, lon = decode(plan, max_depth=6, max_items=1024)[:4]
        day = (on_s + lon * 24 // 1000) // _DAY_S
        dusk = event(day, lat, lon, 0, 0)
        dawn = event(day + 1, lat, lon, 0, 1)
        later = event(day + 1, lat, lon, 0, 0)
        if {dusk, dawn, later} & {DOWN, UP}:
            return 0, None
        return dawn + _DAY_S - dusk, later - dusk
    finally:
        drop()


class Feeder:
    """copies: what survives the day, None where the feeder is not switched; plan: the compact plan of the
    configuration, for the position."""

    def __init__(self, copies, clock, plan=b""):
        self._copies = copies
        self._clock = clock
        self._fallback = Fallback()
        self._on = None  # this night's power-on, once it is known
        self._saved = 0
        blob = copies and copies.read()
        if blob and len(blob) == 8:
            on_s, alive_s = struct.unpack(">ii", blob)
            night_s, dusk_s = _night(plan, on_s)
            self._fallback.power_on(on_s, alive_s, night_s, 0, dusk_s)

    def time_s(self, now, dark=None):
        """(wire second to ask the plan for at monotonic `now` (ms) or None, whether the photocell decides in its
        place); `dark`: what the photocell says, None without one."""
        clock = self._clock
        wire = clock.wire()
        clue = self._fallback.look(now // 1000, wire, 0, clock.uncertainty_ms // 1000, dark)
        if self._copies and clue in (TIME, DRIFT) and clock.quality > 1:
            if self._on is None:
                self._on = wire - now // 1000
            if wire - self._saved >= _SAVE_S:
                self._saved = wire
                self._copies.write(struct.pack(">ii", self._on, wire))
        return self._fallback.time_s, clue == PHOTOCELL
