"""Lamp: which level holds now and why. Pure steps; levels in per cent as TALQ and uCIFI have them.

Precedence: local input, identify, override and load shedding, presence, programme, default. The level is
evaluated from the state, never from an edge, so a missed minute or a restart changes nothing.
"""

from firmware.protocols.compat import const

# Reasons of the level in effect, TALQ `feedbackLightCommand`: numbers of the schema's `reason` state.
DEFAULT = const(0)
OVERRIDE = const(1)
SENSOR = const(2)
PROGRAM = const(3)
LOCAL = const(4)

# Declared limits, seconds: end of an override, of load shedding (a grid cut lasts two hours), of RAISE; a ramp.
_LONGEST_S = const(86400)
_SHED_S = const(14400)
_RAISE_S = const(900)
_RAMP_S = const(3600)
# RAISE (TRUST 5): so many in any span as long as the longest night below 49 degrees of latitude.
_RAISES = const(12)
_NIGHT_S = const(57600)

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
    effect, `level` % is on its way there. `local`: the maintenance input, full light and no command.
    """

    def __init__(self, default=100, floor=0, shed_floor=0):
        self.floor = min(floor, 100)
        self._shed = min(max(floor, shed_floor), 100)
        self._base = self.default = min(max(default, floor), 100)
        self.local = False
        self.level = self.target = self.asked = self._from = 100
        self.reason = self._held = DEFAULT
        self._t0 = self._way_ms = self._back_s = self._to_s = self._identify = self._until = 0
        self._raises = [-_NIGHT_S] * (_RAISES + 1)  # the last place: the oldest of the others
        self._raises[_RAISES] = 0
        self.resume()

    def resume(self):
        """The empty override: back to the programme, by the ramp that the override came with."""
        self._op = self._ask = self._start = self._end = self._lift = self._lift_end = 0

    def override(self, now, level, for_s, ramp_s=0, start_s=0, back_s=0, shed=0):
        """Hold `level` from `start_s` on for `for_s` seconds, ramps to it and from it; what is in force or
        waits is replaced (TALQ). With `shed` it is TALQ's Min: never brighter than `level`, but not darker
        than the floor of load shedding. None, or the name of the refusal, which changes nothing: op_args,
        ttl, local_override, below_floor."""
        if not 0 <= level <= 100 or min(ramp_s, start_s, back_s) < 0 or max(ramp_s, back_s) > _RAMP_S:
            return "op_args"
        if for_s < 1 or start_s + for_s > (_SHED_S if shed else _LONGEST_S):
            return "ttl"
        if self.local:
            return "local_override"
        if level < self.floor and not shed:
            return "below_floor"
        self.resume()
        self._op = shed
        self._ask = level
        self._start = now + start_s * 1000
        self._end = self._start + for_s * 1000
        self._to_s = ramp_s
        self._back_s = back_s
        return None

    def raise_(self, now, level, for_s):
        """RAISE: at least `level` for at most 15 minutes, 12 times a night; an override stays below it.

        None, or op_args, ttl, local_override, shedding, below_programme, too_often.
        """
        if not 0 <= level <= 100:
            return "op_args"
        if not 1 <= for_s <= _RAISE_S:
            return "ttl"
        if self.local:
            return "local_override"
        if self._op and self._start <= now < self._end:
            return "shedding"
        if level < max(self._base, self._hold(now, self._base, 0, 0)[0]):
            return "below_programme"
        raises = self._raises
        at = raises[_RAISES]
        if now // 1000 - raises[at] < _NIGHT_S:
            return "too_often"
        raises[at] = now // 1000
        raises[_RAISES] = (at + 1) % _RAISES
        self._lift = level
        self._lift_end = now + for_s * 1000
        return None

    def identify(self, now, for_s):
        """Half and full light, one second each, never below the floor; 0 ends it."""
        self._identify = now
        self._until = now + for_s * 1000

    def _hold(self, now, level, reason, ramp_s):
        # The same three with the commands applied.
        active = self._start <= now < self._end
        if self._held == OVERRIDE and not active:
            ramp_s = self._back_s
        ask = self._ask
        if active and not self._op:
            level, reason, ramp_s = ask, OVERRIDE, self._to_s
        if now < self._lift_end and self._lift > level:
            level, reason, ramp_s = self._lift, OVERRIDE, 0
        if active and self._op and max(ask, self._shed) < level:
            return max(ask, self._shed), OVERRIDE, self._to_s
        return level, reason, ramp_s

    def step(self, now, level=None, ramp_s=0, reason=PROGRAM):
        """Go on to monotonic `now` (ms) with what the schedule says: `level` %, its ramp and why (PROGRAM, or
        SENSOR for presence and photocell), None without plan or time. Milliseconds until the next step."""
        if level is None:
            level, ramp_s, reason = self.default, 0, DEFAULT
        elif level > 0:
            # A programme's 0 is off: the floor is for lamps that are lit.
            level = min(100, max(level, self.floor))
        self._base = level
        target, reason, ramp_s = self._hold(now, level, reason, ramp_s)
        self.asked = target
        self._held = reason
        if now >= self._end:
            self._back_s = 0
        wait = _STEP_MS
        if self.local:
            self.level = target = 100
            reason = LOCAL
        elif now < self._until:
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
        for edge in (self._start, self._end, self._lift_end, self._until):
            if now < edge < now + wait:
                wait = edge - now
        return wait
