"""Bin: fill, its class and what happens to the container. Pure; millimetres, per cent, seconds, 0.1 degC.

The distance is `echo.burst`'s, the container a shape of `geometry`. Reasons and what is missed:
docs/guides/bin.md.
"""

from array import array

from firmware.furniture import geometry
from firmware.protocols.compat import const

# Fill classes are quarters; the class leaves its neighbour only beyond this margin.
_MARGIN_PERCENT = const(3)

# Bits of `alarms`, those of the field table; the last is kept beside them and is no alarm.
_FULL = const(1)
_EMPTIED = const(2)
_OBSTRUCTED = const(4)
_FIRE = const(8)
_TILTED = const(16)
_LID_OPEN = const(32)
_FAILURE = const(128)
_HOT = const(1024)
_EMPTY = const(65536)

# Full from and until %, empty until and from %, fire from 0.1 degC, rise of a fire in 0.1 K per minute.
RULES = (90, 80, 5, 10, 700, 50)

_CHANGE = const(30)  # points that a second reading must confirm, down: emptied
_ALIKE = const(15)  # points by which the two may differ; a fall by so many to empty is a change, too
_JUMP = const(50)  # points of a rise to full in one step: an obstacle, no contents
_NEAR_MM = const(80)  # before the full mark: nothing but an obstacle or what piles up on a full bin
_TILT_DEG = const(30)
_UPRIGHT_DEG = const(20)
_QUALITY = const(40)
_BURSTS = const(6)  # in a row without a level: the sensor has failed
_STILL_S = const(259200)  # the same millimetre for three days: no sensor and no air is so calm
_SPEED_S = const(43200)  # less says nothing about a day

_FILL = const(0)  # last good one and 1
_PENDING = const(1)  # a change that awaits its confirmation, and 1
_BAD = const(2)  # bursts in a row without a level
_MM = const(3)
_MM_S = const(4)  # since when it is the same
_FROM_S = const(5)  # the filling began
_FROM = const(6)  # at this fill
_SPEED = const(7)
# 8 to 10: fire.py
_STATE = const(11)
_WORDS = const(12)


def fill_class(fill, before=None):
    """Quarter 0 (empty) to 4 (full), nearest; keeps `before` until the fill is 3 % beyond the border."""
    nearest = (fill + 12) // 25
    if before is None or nearest == before:
        return nearest
    centre = before * 25
    return before if abs(fill - centre) <= 12 + _MARGIN_PERCENT else nearest


class Watch:
    """`step` after each burst; returns the bits of the field table's alarms. Fire: fire.py, on the same state.

    `fill`: last good one in %, None before it; `fresh`: it is of this burst, else `fault` says why not: 1 nothing
    came back, 2 echoes without agreement, 3 further than the container is deep, 4 the same millimetre for days; 0
    when it awaits a second reading, or behind an obstacle. `speed`: 0.1 % a day, 0 where it is not known.
    The bytes of `s` are what a node that sleeps stores and gives back; others than its own are not taken up.
    Times are of one clock that is never set while it runs.
    """

    def __init__(self, shape, rules=RULES, s=None):
        self.shape = shape
        self.r = rules
        self.s = array("i", s if s and len(s) == 4 * _WORDS else bytes(4 * _WORDS))
        self.fault = 0
        self.fresh = False
        self._tell()

    def _tell(self):
        s = self.s
        self.fill = s[_FILL] - 1 if s[_FILL] else None
        self.speed = s[_SPEED]
        self.empty = s[_STATE] >= _EMPTY
        return s[_STATE] & 65535

    def hours_to_full(self):
        """At this speed; None where it is not known."""
        return max(0, self.r[0] - self.fill) * 240 // self.speed if self.speed else None

    def step(self, t_s, mm, quality=100, tilt=0, lid=False, raw=None):
        """A burst's distance (None without an echo) at time `t_s`; `tilt` in degrees, None where not measured;
        `raw`: what the sensor itself said, where `mm` is corrected.

        With the lid open or the container tilted there is no level, and a change seen before has to be seen anew.
        """
        s = self.s
        was = s[_STATE]
        state = was & (_FIRE | _HOT)
        if tilt and tilt >= (_UPRIGHT_DEG if was & _TILTED else _TILT_DEG):
            state |= _TILTED
        if lid:
            state |= _LID_OPEN
        self.fresh = False
        if state & (_TILTED | _LID_OPEN):
            s[_PENDING] = 0
            state |= was & (_FULL | _EMPTY | _OBSTRUCTED | _FAILURE)
        else:
            state |= self._burst(t_s, mm, quality, was & (_FULL | _EMPTY | _OBSTRUCTED), raw or mm)
        s[_STATE] = state
        return self._tell()

    def _burst(self, t_s, mm, quality, was, raw):
        s = self.s
        deep = self.shape[0]
        fault = 0
        if raw != s[_MM]:
            s[_MM] = raw or 0
            s[_MM_S] = t_s
        if mm is None:
            fault = 1
        elif quality < _QUALITY:
            fault = 2
        elif mm > deep + deep // 16 + 30:  # 6 % is what air of -10 degC adds
            fault = 3
        elif t_s - s[_MM_S] >= _STILL_S:
            fault = 4
        self.fault = fault
        if not fault:
            s[_BAD] = 0
            return self._level(t_s, mm, was)
        s[_BAD] = min(s[_BAD] + 1, _BURSTS)
        return was | _FAILURE if fault == 4 or s[_BAD] == _BURSTS else was

    def _level(self, t_s, mm, was):
        s = self.s
        r = self.r
        fill = (geometry.permille(mm, self.shape) + 5) // 10
        last = s[_FILL] - 1
        up = fill - last
        near = (mm < self.shape[1] - _NEAR_MM and last < r[1]) or (fill >= r[0] and up >= _JUMP)
        state = 0
        if last >= 0 and (near or abs(up) >= _CHANGE or (fill <= r[2] and -up >= _ALIKE)):
            if not s[_PENDING] or abs(fill + 1 - s[_PENDING]) > _ALIKE:
                s[_PENDING] = fill + 1
                return was
            if near:
                return was | _OBSTRUCTED
            if up < 0:
                state = _EMPTIED
        s[_PENDING] = 0
        s[_FILL] = fill + 1
        self.fresh = True
        if last < 0 or state:
            s[_FROM_S] = t_s
            s[_FROM] = fill
        dt = t_s - s[_FROM_S]
        if dt >= _SPEED_S:
            s[_SPEED] = max(0, fill - s[_FROM]) * 864000 // dt
        if fill >= r[1 if was & _FULL else 0]:
            state |= _FULL
        if fill <= r[3 if was & _EMPTY else 2]:
            state |= _EMPTY
        return state
