"""A lamp whose feeder is switched off by day: the instant of its power-on is a clue where no clock is (DESIGN 5).

What this night is, is kept in two copies every quarter of an hour: its power-on, the last instant with power and
how wrong both may be. Also where that is only told by the night before, so that the date moves on.
"""

import struct

from firmware.furniture.fallback import TIME, Fallback
from firmware.furniture.night import drop
from firmware.protocols.compat import const, forget

_END_S = const(0x3FFFFFFF)  # of the field table
_SAVE_S = const(900)  # as often as any time is persisted (EMBEDDED 10)


class Feeder:
    """copies: what survives the day; programme: Programme, whose plan has the position; plan: that of the
    configuration, where it has none yet."""

    def __init__(self, copies, clock, programme, plan):
        self._copies = copies
        self._clock = clock
        self._fallback = Fallback()
        self._saved = 0
        blob = copies.read()
        if blob:
            from firmware.kinds.lamp_night import before

            found = before(blob, programme.stored() or plan)
            del before
            drop()
            forget("kinds.lamp_night")
            if found:
                self._fallback.on_s, self._fallback.on_error_s = found

    def time_s(self, now, dark):
        """Wire second to ask the plan for at monotonic `now` (ms), None without; `dark`: what the photocell says,
        None without one."""
        clock = self._clock
        it = self._fallback
        up_s = now // 1000
        if it.look(up_s, clock.wire(), clock.error_s(), dark) == TIME and clock.quality > 1:
            # At each look: the clock may have been set anew.
            it.on_s = it.time_s - up_s
            it.on_error_s = it.error_s
        on_s = it.on_s
        if on_s is not None and 0 <= on_s <= _END_S and abs(on_s + up_s - self._saved) >= _SAVE_S:
            self._saved = on_s + up_s
            self._copies.write(struct.pack(">iii", on_s, self._saved, it.on_error_s))
        return it.time_s
