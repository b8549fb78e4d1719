"""A lamp on a board: dims its 0-10 V output by programme and override, reports level and burn time.

Settings (entry 11 of the configuration): 1 default level %, 2 dimmed level %, 3 and 4 minutes of the UTC day
between which it is dimmed, 5 lowest level a command may ask for.
"""

import asyncio

from firmware.furniture.lamp import LOCAL, OVERRIDE, Lamp, ramp
from firmware.protocols.compat import const
from firmware.roles.commands import IDENTIFY, LIGHT, RAISE, RESUME

_LEVEL = const(4)
_TARGET = const(5)
_REASON = const(6)
_BURN = const(9)

# The programme is looked at this often; a ramp moves one per cent a step, no faster than this.
_STEP_MS = const(10000)
_RAMP_MS = const(100)
_DAY_MS = const(86400000)


class Kind:
    OPS = (LIGHT, RESUME, IDENTIFY, RAISE)
    LISTEN = True

    def __init__(self, board, cfg, clock, report):
        e = cfg.extra
        self._lamp = Lamp(e.get(1, 100), e.get(2, 100), e.get(3, 0), e.get(4, 0), e.get(5, 0))
        self._out = board.part("light", "dimmer")
        self._clock = clock
        self._report = report
        self._interval_ms = cfg.interval_s * 1000
        self._phase_ms = cfg.phase_ms(self._interval_ms)
        self._level = 100
        self._pace_ms = 0  # of the ramp to the override
        self._moved_ms = 0
        self._changed = asyncio.Event()
        self._identify_until = 0
        self._out.set(1000)

    def execute(self, op, args):
        """Carry out a command of OPS; the name of an outcome other than done, or None."""
        now = self._clock.now_ms()
        lamp = self._lamp
        if op == RESUME:
            lamp.resume()
        elif op == IDENTIFY:
            self._identify_until = now + args[0] * 1000
        else:
            minute = self._minute()
            if op == RAISE and args[0] < max(lamp.target(now, minute)[0], lamp.programme(minute)[0]):
                return "below_programme"
            if not lamp.override(args[0], now, args[1]):
                return "below_floor"
            self._pace_ms = args[2] * 1000 // max(1, abs(args[0] - self._level)) if op == LIGHT else 0
        self._changed.set()
        return None

    def _minute(self):
        """Minute of the UTC day, or None without a time that may be trusted."""
        if not self._clock.quality:
            return None
        return self._clock.wire_ms() % _DAY_MS // 60000

    def _apply(self, now):
        """One step towards the level that holds now; returns the milliseconds until the next step."""
        lamp = self._lamp
        target, reason = lamp.target(now, self._minute())
        if now < self._identify_until and reason != LOCAL:
            # Between full and half, so that nobody stands in the dark while the lamp is looked for.
            level = target = max(50, lamp.floor) if self._level == 100 else 100
            wait = 1000
        else:
            level = self._level
            wait = max(_RAMP_MS, self._pace_ms if reason == OVERRIDE else 0) - now + self._moved_ms
            if level != target and wait <= 0:
                level = ramp(level, target, 1)
                self._moved_ms = now
                wait = _RAMP_MS
            wait = _STEP_MS if level == target else min(wait, _STEP_MS)
        lamp.meter(now, self._level, 0)
        if level != self._level:
            self._level = level
            self._out.set(level * 10)
        values = self._report.values
        values[_LEVEL] = level
        values[_TARGET] = target
        values[_REASON] = reason
        values[_BURN] = lamp.burn_ms // 360000
        return wait

    async def run(self, alive):
        next_ms = self._clock.now_ms() + self._phase_ms
        while True:
            alive()
            now = self._clock.now_ms()
            wait = self._apply(now)
            if now >= next_ms:
                next_ms += self._interval_ms
                self._report.send()
            try:
                await asyncio.wait_for_ms(self._changed.wait(), max(1, min(wait, next_ms - now)))
                self._changed.clear()
            except asyncio.TimeoutError:
                pass
