"""Hatch lock or compactor of a bin: one order at a time, acknowledged by a contact, never longer than allowed.

Pure: milliseconds and contacts in, the output's level out. The interlock that keeps a hand safe is in the wiring,
this only adds to it. Output off is the harmless state: hatch open to users, ram without power.
"""

from firmware.protocols.compat import const

REST = const(0)
GOING = const(1)  # the output is on, the contact has not answered
HELD = const(2)
BACK = const(3)  # the output is off, the contact has not answered


class Hatch:
    """A lock holds until its time is over or it is released; a compactor (`cycle`) runs once, home to home.

    answer_ms: for the contact to answer, or a whole cycle. longest_s: that an order may last, 1..86400.
    `outcome` is the reason's name of how the last order went: None while it runs; `stuck`: at rest the contact is
    not where it belongs (lock closed, ram not at home); `cycles` counts whole cycles.
    """

    def __init__(self, answer_ms, longest_s, cycle=False):
        self._answer_ms = answer_ms
        self._longest_s = longest_s
        self._cycle = cycle
        self._due = self._until = 0
        self._left = False
        self.state = REST
        self.outcome = "done"
        self.stuck = False
        self.cycles = 0

    def order(self, on, now_ms, for_s=1, safe=True):
        """Lock or run (`on`), or release and stop; "done" when it is taken, else the name of the refusal.

        A later order for a lock replaces the time of the earlier, not that of the contact to answer; while the
        contact has not told the end of the last one, and for a running compactor, only a stop is taken.
        """
        if not on:
            if self.state in (GOING, HELD):
                self._end(now_ms, "done")
            return "done"
        if not 1 <= for_s <= self._longest_s:
            return "op_args"
        if not safe:
            return "interlock"
        if self.stuck or self.state == BACK or (self._cycle and self.state != REST):
            return "busy"
        self._until = now_ms + for_s * 1000
        if self.state == REST:
            self.state = GOING
            self._due = now_ms + self._answer_ms
            self._left = False
            self.outcome = None
        return "done"

    def _end(self, now_ms, outcome):
        self.state = BACK
        self._due = now_ms + self._answer_ms
        self.outcome = outcome

    def step(self, now_ms, there, safe=True, jam=False):
        """Level of the output. `there`: the contact (lock closed, ram at home); `safe`: the interlock's own
        contact; `jam`: the motor draws too much."""
        if self.state in (GOING, HELD):
            if not safe:
                self._end(now_ms, "interlock")
            elif jam:
                self._end(now_ms, "failed")
            elif self.state == HELD:
                if not there:  # forced open, or the contact broke
                    self._end(now_ms, "failed")
                elif now_ms >= self._until:
                    self._end(now_ms, "expired")
            elif there and (self._left or not self._cycle):
                self.outcome = "done"
                self.state = HELD
                if self._cycle:
                    self.cycles += 1
                    self._end(now_ms, "done")
            elif now_ms >= self._due or (self._cycle and now_ms >= self._until):
                self._end(now_ms, "failed")
            elif not there:
                self._left = True
        else:
            home = there == self._cycle
            if home or now_ms >= self._due:
                self.state = REST
                self.stuck = not home
        return int(self.state in (GOING, HELD))
