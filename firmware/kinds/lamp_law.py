"""The decree for one lamp (furniture/guard.py); loaded where its settings name a category.

A plan that lights when the decree forbids it, today or on the next seven days, is refused. What gets past that
(no time was known, or the sun moved on) is not followed in those hours: the lamp is dark in them, the console
says `plan: guard` and readings `program_invalid`.
"""

import gc

from firmware.furniture.night import Night, build, drop
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const, forget

_DAY = const(86400)
_DAYS = const(8)
_INVALID = const(1 << 12)
_AGAIN_S = const(600)
# Of a plan: what is before its position and it.
_PLACE = const(144)


class Law:
    """rule: category, end and begin of the activity (minutes of the local day + 1, 0 without); plan: that of the
    configuration, whose zone and position count where no other is in force. `mask`: alarm that stands, from the
    first time that light was held back to a night without."""

    def __init__(self, rule, programme, clock, lamp, plan):
        self._rule = rule
        self._place = plan[:_PLACE]
        self._programme = programme
        self._clock = clock
        self._lamp = lamp
        self.mask = 0
        self._hit = False
        self._spans = ()
        self._begin = self._end = self._late = 0
        self._of = None  # hash of the plan that the hours were made for
        programme.law = self._check

    def _ask(self, name, *args):
        # Of the module that does not stay. What the one before left behind must not lie between its pieces.
        gc.collect()
        try:
            from firmware.kinds import law

            return getattr(law, name)(self._rule, *args)
        finally:
            drop()
            forget("kinds.law", "furniture.guard")

    def _check(self, plan):
        # WireError("guard") for a plan that the decree forbids; without a time `cut` sees to it.
        wire = self._clock.wire()
        if wire is None:
            return
        for day in range(_DAYS):
            gc.collect()
            table = build(plan, wire + day * _DAY)
            # The same with somebody always there.
            night = Night(table)
            night.presence(night.begin, True)
            if self._ask("refuses", plan, night.begin, night.end, night, Night(table)):
                raise WireError("guard")

    def refuses(self, now, level, for_s, start_s=0):
        """ "guard" where `level` is forbidden for `for_s` seconds, `start_s` s after monotonic `now` (ms); else
        None."""
        plan = self._programme.stored() or self._place
        if not level or not plan:
            return None
        wire = self._clock.wire()
        if wire is None:
            self._late = max(self._late, now + (start_s + for_s) * 1000)
            return None
        wire += start_s
        return "guard" if self._ask("refuses", plan, wire, wire + for_s) else None

    def _look(self, wire):
        programme = self._programme
        new = self._of != programme.hash
        if new:
            self._of = programme.hash
            self._spans = ()
        if new or not self._hit:
            self.mask = 0
        self._hit = False
        try:
            plan = programme.stored() or self._place
            if plan:
                self._begin, self._end, self._spans = self._ask("night", plan, wire)
                return
        except MemoryError:
            print("plan: no_memory")
        if self._spans:
            # As if each day were like the last that is known.
            by = (wire - self._begin) // _DAY * _DAY
            self._begin += by
            self._end += by
            self._spans = [(a + by, b + by) for a, b in self._spans]
        else:
            self._begin = wire
            self._end = wire + _AGAIN_S

    def cut(self, now, wire, level, until):
        """What the plan says at wire second `wire` (level % or None, until when or None), as far as the decree
        allows it; None is the default level."""
        if wire is None or not (self._lamp.default if level is None else level):
            return level, until
        if self._late:
            # What was asked for while no time was known.
            left = (self._late - now) // 1000
            self._late = 0
            if left > 0 and self.refuses(now, 100, left):
                print("light: guard")
                self._lamp.resume()
        if self._of != self._programme.hash or not self._begin <= wire < self._end:
            self._look(wire)
        edge = self._end
        for a, b in self._spans:
            if wire < b:
                edge = a
                if wire >= a:
                    edge = b
                    level = 0
                    if not self._hit:
                        self._hit = True
                        self.mask = _INVALID
                        print("plan: guard")
                break
        return level, edge if until is None else min(until, edge)
