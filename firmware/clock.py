"""Monotonic and wire time (TRUST 4). The only place that knows the platform's epoch.

Wire time is seconds since 2026-01-01T00:00:00Z counted as GPS does, without leap seconds. Quality: 0 none,
1 network, NTP or RTC after power loss, 2 commune (authenticated echo), 3 GNSS.
"""

import time

from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const

EPOCH_GPS = const(1451260818)  # GPS seconds at the wire epoch
_LEAP_AT_EPOCH = const(18)  # GPS - UTC at the wire epoch

_ECHO_MAX_MS = const(120000)
# What a quality-1 source may move a quality-2 clock by: this and 50 ppm of the age.
_TRUST_MS = const(2000)
_AGE_PER_MS = const(20000)
# 9 s a day: twice the 50 ppm that a crystal is given above.
_DRIFT_PER_MS = const(9600)
# A further step of quality 1 that needs two sources (EMBEDDED 10).
_LONE_MS = const(300000)
# Wire time counts whole seconds: less than one is a correction, not a step.
_STEP_MS = const(1000)


class Clock:
    """`ticks_ms` and `ticks_diff` are the platform's; `now_ms` must run once in 6 days (half its wrap)."""

    def __init__(self, ticks_ms, ticks_diff, generation=0):
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last = ticks_ms()
        self._now = 0
        self._offset = 0  # wire ms - monotonic ms
        self._anchor = 0  # the same as last set with quality 2 or 3
        self.set_ms = 0  # monotonic, when a source of the clock's own quality last set it
        self.quality = 0
        self.uncertainty_ms = 0
        self.generation = generation
        self._said = None  # (source, offset) of such a step that was refused
        self.floor_s = 0  # wire time below which a first quality-1 time is refused

    def now_ms(self):
        """Milliseconds since boot; does not wrap."""
        ticks = self._ticks_ms()
        self._now += self._ticks_diff(ticks, self._last)
        self._last = ticks
        return self._now

    def wire_ms(self, at_ms=None):
        """Milliseconds since the wire epoch at monotonic `at_ms` (now); 0 where no time is known."""
        if not self.quality:
            return 0
        return (self.now_ms() if at_ms is None else at_ms) + self._offset

    def wire(self):
        """Seconds since the wire epoch, or None where no time is known."""
        return self.wire_ms() // 1000 if self.quality else None

    def error_s(self):
        """Seconds by which the time may be wrong by now: what it came with and the drift since."""
        return (self.uncertainty_ms + (self.now_ms() - self.set_ms) // _DRIFT_PER_MS) // 1000

    def until_gps_ms(self, gps_s):
        """Milliseconds until a GPS second, negative when it is past; needs a quality above 0."""
        return (gps_s - EPOCH_GPS) * 1000 - self.wire_ms()

    def _set(self, offset, quality, uncertainty_ms, at_ms):
        if self.quality and self._offset - offset >= _STEP_MS:
            self.generation += 1
        self._offset = self._anchor = offset
        self.set_ms = at_ms
        self.quality = quality
        self.uncertainty_ms = uncertainty_ms

    def set(self, quality, gps_s, ms=0, uncertainty_ms=0, source=0):
        """Take a time that a source of that quality gives for now.

        A quality-2 or -3 time is obeyed, backwards too, which counts in `generation`. A quality-1 time moves
        such a clock by at most 2 s + 50 ppm of its age, measured from where quality 2 left it, and never
        changes its quality. One of quality 1 it moves by more than five minutes only where another `source` has
        said so, too. WireError: time_too_old for a quality-1 time below the floor or further away.
        """
        now = self.now_ms()
        offset = (gps_s - EPOCH_GPS) * 1000 + ms - now
        if quality > 1:
            self._set(offset, quality, uncertainty_ms, now)
        elif self.quality > 1:
            if abs(offset - self._anchor) > _TRUST_MS + (now - self.set_ms) // _AGE_PER_MS:
                raise WireError("time_too_old")
            self._offset = offset
        else:
            if not self.quality and gps_s - EPOCH_GPS < self.floor_s:
                raise WireError("time_too_old")
            if self.quality and abs(offset - self._offset) > _LONE_MS:
                said = self._said
                self._said = (source, offset)
                if not said or said[0] == source or abs(said[1] - offset) > _LONE_MS:
                    raise WireError("time_too_old")
            self._said = None
            self._set(offset, 1, uncertainty_ms, now)

    def echo(self, gps_s, ms, age_ms):
        """TIME: the commune got an uplink at that GPS time, and it ended `age_ms` ago.

        The age is the recorded uncertainty: whoever delays the answer gains at most it.
        WireError: time_too_old above 120 s.
        """
        if not 0 <= age_ms <= _ECHO_MAX_MS:
            raise WireError("time_too_old")
        self.set(2, gps_s, ms + age_ms, age_ms)


def _platform_epoch():
    # Unix seconds at which the platform's time starts: 1970 on unix, 2000 on the ESP32.
    return 946684800 if time.gmtime(0)[0] == 2000 else 0


def to_platform(wire_s, leap_s=_LEAP_AT_EPOCH):
    """The platform's UTC seconds (time.time, time.gmtime) of a wire time; `leap_s` is GPS - UTC today."""
    return wire_s + 1767225600 - (leap_s - _LEAP_AT_EPOCH) - _platform_epoch()


def from_platform(seconds, leap_s=_LEAP_AT_EPOCH):
    """The wire time of the platform's UTC seconds."""
    return seconds + _platform_epoch() + (leap_s - _LEAP_AT_EPOCH) - 1767225600
