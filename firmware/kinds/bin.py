"""A bin on a board: a burst of ultrasonic echoes once an interval, reported as fill, distance and quality.

Settings (entry 11 of the configuration), mm: 1 distance to the bottom of the empty bin, 2 to the full mark.
"""

import asyncio

from firmware.drivers.errors import BusError, DriverError, NotReady
from firmware.furniture.bin import fill_class, fill_percent, median
from firmware.protocols.compat import const

_SUPPLY = const(2)
_FILL = const(4)
_DISTANCE = const(5)
_QUALITY = const(6)
_CLASS = const(7)

_ECHOES = const(5)
# A processed echo comes every 300 ms at the slowest.
_ECHO_MS = const(310)
# No wait is longer, so that the supervisor hears from the task: an interval may be a day.
_LOOK_MS = const(300000)


class Kind:
    OPS = ()
    LISTEN = False

    def __init__(self, board, cfg, clock, report):
        self._empty_mm = cfg.extra.get(1, 1200)
        self._full_mm = cfg.extra.get(2, 200)
        self._range = board.part("range", "a02yyuw")
        self._supply = board.part("supply", "supply")
        self._clock = clock
        self._report = report
        self._interval_ms = cfg.interval_s * 1000
        self._phase_ms = cfg.phase_ms(self._interval_ms)
        self._class = None

    def execute(self, op, args):
        return "op_refused"

    async def _echoes(self):
        found = []
        wait = self._range.start()
        try:
            for _ in range(_ECHOES):
                await asyncio.sleep_ms(wait)
                wait = _ECHO_MS
                try:
                    found.append(self._range.read_mm())
                except (NotReady, BusError):
                    found.append(None)
        finally:
            self._range.stop()
        return found

    async def measure(self):
        """Fill the report's values; what was not measured is absent."""
        values = self._report.values
        distance, quality = median(await self._echoes())
        values[_DISTANCE] = distance
        values[_QUALITY] = quality
        values[_FILL] = values[_CLASS] = None
        if distance is not None:
            values[_FILL] = fill = fill_percent(distance, self._empty_mm, self._full_mm)
            values[_CLASS] = self._class = fill_class(fill, self._class)
        try:
            values[_SUPPLY] = self._supply.read_mv()
        except DriverError:
            values[_SUPPLY] = None

    async def run(self, alive):
        next_ms = self._clock.now_ms() + self._phase_ms
        while True:
            alive()
            wait = next_ms - self._clock.now_ms()
            if wait > 0:
                await asyncio.sleep_ms(min(wait, _LOOK_MS))
                continue
            next_ms += self._interval_ms
            await self.measure()
            self._report.send()
