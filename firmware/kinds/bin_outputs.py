"""Lock of the hatch and compactor of a bin; loaded where one of them is fitted.

Settings: 22 and 24 the contact that closes when the lock is closed and when the ram is at home, 100 more where it
opens then; 23 and 25 the longest that an order may last, s (3600, 600: the most, too); 26 and 27 how long the
contact may take to answer, and a whole cycle of the ram, ms (5000, 60000). Without its contact neither is obeyed.
"""

import time

from firmware.drivers.errors import NotReady
from firmware.drivers.output import INTERLOCK
from firmware.furniture.hatch import BACK, HELD, REST
from firmware.protocols.compat import const

_KEY = const(14)
_FAILED_BIT = const(11)
# The field table's states: idle, moving, held, then by outcome.
_MOVING = const(1)
_HELD = const(2)
_OUTCOMES = ("expired", "failed", "interlock")
_STUCK = const(6)
_FAILED = const(4)
_CYCLES = const(16)

_QUIET_MS = const(60000)
_WATCH_MS = const(100)
_HOLD_MS = const(500)


class Outputs:
    """moved: of lock and ram [output, Hatch, contact, its state that answers, longest order, 0], or None each.
    `moving` while the ram is under way or waits for its contact; `news` once an order has ended or is
    acknowledged, until the owner clears it."""

    def __init__(self, moved, cycles):
        self._all = moved
        self._cycles = cycles
        self.news = self.moving = False

    @property
    def cycles(self):
        """Whole cycles of the ram since it was installed."""
        ram = self._all[1]
        return self._cycles + (ram[1].cycles if ram else 0) & 0x3FFFFFFF

    def order(self, ram, args, now):
        """HATCH [on, s] or COMPACT [s]: None where it is taken, else the name of the refusal."""
        found = self._all[ram]
        if not found:
            return "op_refused"
        out, hatch, _, _, longest, _ = found
        ticks = time.ticks_ms()
        if not args[0]:
            hatch.order(False, now)
            out.release(ticks)
            return None
        for_s = args[-1]
        if not 1 <= for_s <= longest:
            return "op_args"
        # An interlock may have ended the last order since the last step.
        self.step(now)
        if hatch.stuck or hatch.state == BACK or (ram and hatch.state != REST):
            return "busy"
        try:
            out.hold(ticks)
        except NotReady as e:
            # The wiring would not let it move, or the motor has to cool.
            return "interlock" if e.args[1] == "interlock" else "busy"
        hatch.order(True, now, for_s)
        return None

    def step(self, now):
        """Let orders go on and end; the milliseconds until the next step."""
        wait = _QUIET_MS
        ticks = time.ticks_ms()
        for found in self._all:
            if not found:
                continue
            out, hatch, ack, closed, _, was = found
            lost = not out.active
            level = hatch.step(now, ack.update() == closed, not (lost and out.why == INTERLOCK), lost)
            if not level:
                out.release(ticks)
            out.poll(ticks)
            state = hatch.state
            if state == HELD:
                code = _HELD
                wait = min(wait, _HOLD_MS)
            elif state != REST:
                code = _MOVING
                wait = min(wait, _WATCH_MS)
            elif hatch.stuck:
                code = _STUCK
            else:
                code = _OUTCOMES.index(hatch.outcome) + 3 if hatch.outcome in _OUTCOMES else 0
            if code != was:
                found[5] = code
                # A contact that shakes at rest is an alarm, and no news of an order.
                self.news |= code == _HELD or (0 < was <= _HELD and code != _MOVING)
        ram = self._all[1]
        self.moving = bool(ram) and ram[1].state not in (REST, BACK)
        return wait

    def tell(self, values):
        """Put the states into the values of a report; returns the alarms."""
        mask = 0
        for i in (0, 1):
            if self._all[i]:
                values[_KEY + i] = code = self._all[i][5]
                mask |= (code >= _FAILED) << _FAILED_BIT + i
        if self._all[1]:
            values[_CYCLES] = self.cycles
        return mask
