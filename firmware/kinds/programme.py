"""The plan of a lamp or a cabinet on its board: kept in two copies, replaced by PLAN, asked by level.

One lighting day of it is in memory, as a table that is made when the day before has ended. What comes with the
configuration holds until a PLAN replaces it, and again when the configuration brings another.
"""

import gc
from hashlib import sha256

from firmware.furniture.night import Night, build, check
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const, forget

_SIZE = const(700)  # of a plan, `firmware.furniture.plan.SIZE`
_HASH = const(8)
# A table that could not be made, for want of memory, is tried again so much later.
_AGAIN_MS = const(600000)


def digest(plan):
    """First 8 bytes of SHA-256 of a compact plan: "runs plan h"."""
    return sha256(plan).digest()[:_HASH]


class Programme:
    """given: the compact plan in the configuration, b"" for none; copies: two copies of `_SIZE` + 8 bytes;
    clock: Clock; blob: what the copies hold, where that was read. `hash` of the plan in force, None without one;
    `night` its table, None without."""

    def __init__(self, given, copies, clock, blob=None):
        self._copies = copies
        self._clock = clock
        self._part = b""
        self._total = 0
        self.night = None
        self.law = None  # refuses a plan, with WireError
        self._generation = clock.generation
        self._again_ms = 0
        # Kept with the hash of what the configuration brought when it was taken up.
        if blob is None:
            blob = copies.read() or b""
        self._base = blob[:_HASH]
        self.hash = digest(blob[_HASH:]) if len(blob) > _HASH else None
        # Taken up at the first look: while the board starts there is no memory to check it.
        self._given = given if given and digest(given) != self._base else b""

    def _check(self, plan):
        check(plan)
        if self.law:
            self.law(plan)

    def stored(self):
        """The plan in force, or b"" without one."""
        return (self._copies.read() or b"")[_HASH:]

    def look(self, wire_s):
        """(level % or None, ramp s, reason, wire second until which that holds or None) for a wire second;
        None for the level without a plan, a time or a table."""
        if self._given:
            self._take_up()
        if wire_s is None or not self.hash:
            return None, 0, 0, None
        night = self.night
        clock = self._clock
        # A table serves its own day; a clock that went back may be before it.
        if night is None or not night.begin <= wire_s < night.end or clock.generation != self._generation:
            self._make(wire_s)
            night = self.night
            if night is None:
                return None, 0, 0, None
        level, ramp_s, until = night.at(wire_s)
        return level, ramp_s, night.reason, until

    def _take(self, plan):
        # The hash of what is in force then, or the name of what went wrong.
        gc.collect()
        try:
            self._check(plan)
            from firmware.kinds.new_plan import take

            return take(self, plan)
        except WireError as e:
            return e.args[0]
        except MemoryError:
            return "no_memory"
        finally:
            forget("kinds.new_plan")

    def _take_up(self):
        now = self._clock.now_ms()
        if now < self._again_ms:
            return
        said = self._take(self._given)
        if said is self.hash:
            self._given = b""
            return
        print("plan:", said)
        if said == "no_memory":
            self._again_ms = now + _AGAIN_MS
        else:
            self._given = b""

    def _make(self, wire_s):
        now = self._clock.now_ms()
        if now < self._again_ms:
            return
        gc.collect()
        try:
            plan = self.stored()
            if digest(plan) != self.hash:
                # A copy has gone since, and the other has an older one.
                self.hash = digest(plan) if plan else None
            if not plan:
                self.night = None
                return
            table = build(plan, wire_s)
        except MemoryError:
            self._again_ms = now + _AGAIN_MS
            print("plan: no_memory")
            return
        self._generation = self._clock.generation
        if self.night is None:
            self.night = Night(table)
        else:
            self.night.load(table)

    def execute(self, args):
        """PLAN: a part [offset, total, bytes] of a new plan; parts come in order, a repeated one is no error.

        Returns None, the hash once the new plan is in force, or the name of a refusal, which leaves the plan of
        before in force: plan_gap, plan_limit, storage, no_memory, or what `plan.check` says.
        """
        offset, total, part = args
        if not 0 < total <= _SIZE or offset + len(part) > total:
            return "plan_limit"
        if offset == 0:
            self._part = b""
            self._total = total
        if total != self._total or offset > len(self._part):
            return "plan_gap"
        self._part = plan = self._part[:offset] + part
        if len(plan) < total:
            return None
        self._part = b""
        self._total = 0
        return self._take(plan)
