"""A bin on a board: a burst of echoes once an interval; fill, class, distance and quality when there is news.

Told at once: an alarm that began, and what became of an order. With a measurement: an alarm that ended, another
class, more than 5 points, and else once in the time of setting 14, with the distances since then.

Settings (entry 11 of the configuration). Container, mm: 1 and 2 distances to the bottom (1200) and the full mark
(200); 3 diameter of a lying cylinder, or 4 to 7 width and depth at the bottom and at the full mark. Rules: 8 to
13 the numbers of `bin.RULES`, 14 longest time without a reading, s (14400), 15 mV below which the supply is low
(3300), 16 the sensor reckons with 20 degC, so that a thermometer beside it corrects it (0). More settings:
bin_extras.py, bin_outputs.py.
"""

import asyncio
import struct

from firmware.protocols.compat import const, forget
from firmware.roles.commands import COMPACT, HATCH

_ALARMS = const(3)
_FILL = const(4)
_CLASS = const(7)
_DISTANCES = const(10)

# What a burst says, in values; what a short carrier leaves out: the older distances, forecast, speed, cycles,
# supply, tilt, temperature, fault, compactor, hatch, quality.
_BURST = b"\x04\x05\x06\x07\x0a\x0b\x0c\x0d"
SPARE = b"\x0a\x0d\x0c\x10\x02\x09\x08\x0b\x0f\x0e\x06"

_EMPTIED = const(2)
_FIRE = const(8)
# Tilt and lid as `Watch` sees them: of one moment, when somebody throws something in or empties the bin.
_MOMENT = const(0x30)

# Loaded for a look or a measurement, and dropped after it: a signature needs their room.
_ONCE = ("kinds.bin_look", "kinds.bin_extras", "kinds.bin_level", "furniture")

# No wait is longer, so that the supervisor hears from the task: an interval may be a day.
_LOOK_MS = const(300000)
_OFTEN_MS = const(60000)
_NEWS = const(5)  # points


class Kind:
    OPS = (HATCH, COMPACT)
    LISTEN = False

    def __init__(self, board, cfg, clock, report):
        from firmware.kinds.bin_setup import setup

        e = cfg.extra
        self._clock = clock
        self._report = report
        report.spare = SPARE
        self._interval_ms = cfg.interval_s * 1000
        self._phase_ms = cfg.phase_ms(self._interval_ms)
        self._wake = asyncio.Event()
        self._seen = 0  # alarms, as last looked at
        self._told = 0  # alarms that the last reading had
        self._fill = self._class = None  # and its level
        self._samples = []  # distances since then, its own first; see furniture/echo.py
        self._low_mv = e.get(15, 3300)
        self._quiet_ms = e.get(14, 14400) * 1000
        self._sent_ms = -self._quiet_ms
        # What `setup` fills in, too.
        self._mark = self._base_s = self._cycles = 0
        self._bits = 0  # of `Watch`
        self._s = b""
        self._supply, self._copies, found, refuse = setup(self, board, e)
        del setup
        forget("kinds.bin_setup")
        from firmware.kinds.bin_fit import fit

        self._more, self._outs = fit(found, e, refuse, self._cycles)
        forget("kinds.bin_fit")

    def _save(self, now):
        if self._outs:
            self._cycles = self._outs.cycles
        head = struct.pack(">III", self._mark, self._base_s + now // 1000, self._cycles)
        self._copies.write(head + bytes(self._s))

    def execute(self, op, args):
        """Carry out a command of OPS: the name of a refusal, or None where it is accepted. How it went is in the
        readings that follow."""
        if not self._outs:
            return "op_refused"
        if args[0] and self._bits & _FIRE:
            return "interlock"
        self._wake.set()
        return self._outs.order(op == COMPACT, args, self._clock.now_ms())

    async def _nap(self, ms):
        # A lock or a ram that moves is looked at all the while.
        clock = self._clock
        end = clock.now_ms() + ms
        while ms > 0:
            await asyncio.sleep_ms(min(ms, self._outs.step(clock.now_ms())) if self._outs else ms)
            ms = end - clock.now_ms()

    async def _look(self, now, measured):
        # Reading takes seconds; the rules come after it, at once and without a pause: beside a signature there is
        # no room for them.
        try:
            from firmware.kinds.bin_look import look

            found = await look(self, now, measured)
            del look
            forget(*_ONCE)
            if found:
                from firmware.kinds.bin_level import level

                level(self, *found)
        finally:
            forget(*_ONCE)

    def _tell(self, now, measured, news):
        """Report where there is news; else keep the distance for the next reading."""
        values = self._report.values
        mask = self._bits & ~_MOMENT | self._mask
        self._bits &= ~_EMPTIED
        if self._more:
            mask |= self._more[3]
        if self._outs:
            mask |= self._outs.tell(values)
        fill = values[_FILL]
        # What could not be stored waits for the next measurement.
        due = news or mask & ~(self._seen | self._told)
        self._seen = mask
        if measured:
            # A heartbeat is not late by the time that a burst takes.
            due = due or mask != self._told or now + self._interval_ms // 2 >= self._sent_ms + self._quiet_ms
            if fill is not None:
                due = due or values[_CLASS] != self._class or abs(fill - self._fill) > _NEWS
            values[_DISTANCES] = self._samples[1:] or None
        elif not due:
            return
        else:
            for key in _BURST:
                values[key] = None
        values[_ALARMS] = mask
        if due and self._report.send(mask & ~self._told != 0):
            self._told = mask & ~_EMPTIED
            self._mask &= ~_EMPTIED
            if measured:
                self._sent_ms = now
                self._samples = []
                if fill is not None:
                    self._fill = fill
                    self._class = values[_CLASS]
            self._save(now)
        else:
            # It lasts for one step only, and must not go with a reading that could not be stored.
            self._mask |= mask & _EMPTIED

    async def run(self, alive):
        clock = self._clock
        outs = self._outs
        look_ms = clock.now_ms()
        next_ms = look_ms + self._phase_ms
        while True:
            alive()
            now = clock.now_ms()
            wait = outs.step(now) if outs else _LOOK_MS
            # A ram before the sensor is no level.
            measured = now >= next_ms and not (outs and outs.moving)
            if measured or now >= look_ms:
                await self._look(now, measured)
                if measured:
                    while next_ms <= now:
                        next_ms += self._interval_ms
                look_ms = now + (_OFTEN_MS if self._more else _LOOK_MS)
                self._tell(now, measured, False)
            if outs and outs.news:
                outs.news = False
                self._tell(now, False, True)
            wait = min(wait, look_ms - clock.now_ms(), next_ms - clock.now_ms())
            try:
                await asyncio.wait_for_ms(self._wake.wait(), max(wait, 10))
                self._wake.clear()
            except asyncio.TimeoutError:
                pass
