"""Lamp: which level holds now and why. Pure steps; levels in per cent as TALQ and uCIFI have them.

Precedence: local input, identify, the ceiling of load shedding, override, presence, programme, default. The level
is evaluated from the state, never from an edge, so a missed minute or a restart changes nothing.
"""

from firmware.protocols.compat import const

# Reasons of the level in effect, TALQ `feedbackLightCommand`: numbers of the schema's `reason` state.
DEFAULT = const(0)
OVERRIDE = const(1)
SENSOR = const(2)
PROGRAM = const(3)
LOCAL = const(4)

# RAISE (TRUST 5): so many in any span as long as the longest night below 49 degrees of latitude.
RAISES = const(12)
NIGHT_S = const(57600)

# No way down takes less than 10 s (TRUST 5), no way up less than 20 ms for each per cent.
_FALL_MS = const(10000)
_RISE_MS = const(20)
# The shortest and the longest wait between two steps.
_SOON_MS = const(50)
_STEP_MS = const(10000)


class Lamp:
    """default: level without plan or time; floor: least level of a lit lamp that a programme or command may
    ask for; shed_floor: what load shedding leaves (a crossing keeps more). What is out of 0..100 becomes the
    nearest brighter value.

    After `step`: `asked` is the level % without local input and identify, `target` % and `reason` are in
    effect, `level` % is on its way there; `shows`: identify decides. `local`: the maintenance input, full light
    and no command. `back_s`: the way up from load shedding, of each lamp its own, so that a street does not come
    back at once. Commands: firmware/kinds/lamp_orders.py.
    """

    def __init__(self, default=100, floor=0, shed_floor=0):
        self.floor = min(floor, 100)
        self._shed = min(max(floor, shed_floor), 100)
        self._base = self.default = min(max(default, floor), 100)
        self.local = self.shows = False
        self.level = self.target = self.asked = self._from = 100
        self.reason = DEFAULT
        self._t0 = self._way_ms = self._identify = self._until = self._by = self._start = self._ret_s = 0
        self._ask = self._lift = self._ramp_s = self._cap = self._cap_s = self._cap_end = self.back_s = 0
        self._raises = [-NIGHT_S] * (RAISES + 1)  # the last place: the oldest of the others
        self._raises[RAISES] = 0
        self.resume()

    def resume(self):
        """The empty override: back to the programme, by the ramp that the override came with. Load shedding
        stays: who ends it sheds to 100."""
        self._end = self._lift_end = 0

    def _hold(self, now, level):
        # The level with the commands applied, and the number of who decided: 0 nobody, 1 override, 2 RAISE,
        # 3 load shedding.
        by = 0
        if self._start <= now < self._end:
            level = self._ask
            by = 1
        if now < self._lift_end and self._lift > level:
            level = self._lift
            by = 2
        if now < self._cap_end and self._cap < level:
            level = self._cap
            by = 3
        return level, by

    def step(self, now, level=None, ramp_s=0, reason=PROGRAM):
        """Go on to monotonic `now` (ms) with what the schedule says: `level` %, its ramp and why (PROGRAM, or
        SENSOR for presence and photocell), None without plan or time. Milliseconds until the next step."""
        if level is None:
            level, ramp_s, reason = self.default, 0, DEFAULT
        elif level > 0:
            # A programme's 0 is off: the floor is for lamps that are lit.
            level = min(100, max(level, self.floor))
        self._base = level
        target, by = self._hold(now, level)
        if by:
            reason = OVERRIDE
            ramp_s = 0 if by == 2 else self._ramp_s if by == 1 else self._cap_s
        # The way back from what has just ended.
        if self._by == 3 and now >= self._cap_end:
            ramp_s = self.back_s
        elif self._by == 1 and now >= self._end:
            ramp_s = self._ret_s
        self._by = by
        self.asked = target
        self.shows = now < self._until and not self.local
        wait = _STEP_MS
        if self.local:
            self.level = target = 100
            reason = LOCAL
        elif self.shows:
            gone = now - self._identify
            self.level = target = 100 if gone // 1000 & 1 else max(50, self.floor)
            reason = OVERRIDE
            wait = 1000 - gone % 1000
        if target != self.target or reason != self.reason:
            self.target = target
            self.reason = reason
            self._from = self.level
            self._t0 = now
            way = target - self.level
            self._way_ms = max(ramp_s * 1000, _FALL_MS if way < 0 else way * _RISE_MS)
        if target != self.level:
            way = target - self._from
            gone = now - self._t0
            if gone >= self._way_ms:
                self.level = target
            else:
                moved = abs(way) * gone // self._way_ms
                self.level = self._from + (moved if way > 0 else -moved)
                wait = min(wait, max(_SOON_MS, -(-(moved + 1) * self._way_ms // abs(way)) - gone))
        for edge in (self._start, self._end, self._lift_end, self._cap_end, self._until):
            if now < edge < now + wait:
                wait = edge - now
        return wait
