"""Lamp: which level holds now, and why. Pure steps; levels in per cent as TALQ and uCIFI have them.

The level is evaluated from the state, never from an edge, so a missed minute or a restart changes nothing.
One program with one dimmed span is what there is so far; calendars, sun and presence come on top of `level`.
"""

from firmware.protocols.compat import const

# Reasons of the level in effect, TALQ `feedbackLightCommand`: numbers of the schema's `reason` state.
DEFAULT = const(0)
OVERRIDE = const(1)
PROGRAM = const(3)
LOCAL = const(4)

_MIN_PER_DAY = const(1440)


class Lamp:
    """config: default level, dimmed level, dimmed from and to (minutes of the UTC day), floor (%)."""

    def __init__(self, default=100, dimmed=100, start_min=0, end_min=0, floor=0):
        self.default = default
        self.dimmed = dimmed
        self.start = start_min
        self.end = end_min
        self.floor = floor
        self.local = False
        self._override = -1
        self._until_ms = 0
        self.burn_ms = 0
        self.energy_mwh = 0
        self._rest = 0  # mW ms short of the next mWh
        self._last_ms = None

    def override(self, level, now_ms, for_s):
        """Hold `level` for `for_s` seconds; newer replaces older (TALQ). False when below the floor."""
        if level < self.floor:
            return False
        self._override = level
        self._until_ms = now_ms + for_s * 1000
        return True

    def resume(self):
        self._override = -1

    def target(self, now_ms, minute):
        """(level %, reason) at monotonic `now_ms`; `minute` of the UTC day, or None without a trusted clock.

        A local maintenance input wins over everything; without time the default level holds.
        """
        if self.local:
            return 100, LOCAL
        if self._override >= 0:
            if now_ms < self._until_ms:
                return self._override, OVERRIDE
            self._override = -1
        return self.programme(minute)

    def programme(self, minute):
        """(level %, reason) that hold without override and local input; never below the floor."""
        level = self.default
        reason = DEFAULT
        if minute is not None and self.start != self.end:
            reason = PROGRAM
            if (minute - self.start) % _MIN_PER_DAY < (self.end - self.start) % _MIN_PER_DAY:
                level = self.dimmed
        return min(100, max(level, self.floor)), reason

    def meter(self, now_ms, level, power_mw):
        """Add the time since the last call at `level` and `power_mw`; call before every change of either."""
        if self._last_ms is not None:
            ms = now_ms - self._last_ms
            if level:
                self.burn_ms += ms
            self._rest += power_mw * ms
            self.energy_mwh += self._rest // 3600000
            self._rest %= 3600000
        self._last_ms = now_ms


def ramp(level, target, step):
    """The next level on the way from `level` to `target`, at most `step` away."""
    if target > level:
        return min(target, level + step)
    return max(target, level - step)
