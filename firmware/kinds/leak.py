"""A leak meter on a board: counts pulses, closes an hour at fixed slots, reports index, volumes, suspicion.

Settings (entry 11 of the configuration): 1 index at installation (litres), 2 litres per pulse.
"""

import asyncio
import struct

from firmware.drivers.errors import DriverError
from firmware.furniture.leak import DETECTED, Leak
from firmware.protocols.compat import const

_SUPPLY = const(2)
_INDEX = const(4)
_FLOW = const(5)
_HOURLY = const(6)
_STATE = const(7)

_HOUR_MS = const(3600000)
# With the power at most this many pulses are lost, and what one look brings (40 at the most that a household
# meter passes).
_SAVE_PULSES = const(100)
_LOOK_MS = const(60000)
_SPREAD_MS = const(600000)


class Kind:
    OPS = ()
    LISTEN = False

    def __init__(self, board, cfg, clock, report):
        self._litres = cfg.extra.get(2, 1)
        self._copies = board.copies("index")
        self._set = self._start = cfg.extra.get(1, 0)
        blob = self._copies.read()
        if blob and len(blob) == 8:
            found = struct.unpack(">II", blob)
            # Another index at installation: the meter was changed, or read anew.
            if found[0] == self._set:
                self._start = found[1]
        self._pulses = board.part("pulses", "contact_pulses")
        self._saved = 0
        self._leak = Leak(self._start)
        self._closed_ms = clock.now_ms()
        self._supply = board.part("supply", "supply")
        self._clock = clock
        self._report = report
        # Sent this long after the hour is closed: always the same, so it tells nothing.
        self._phase_ms = cfg.phase_ms(_SPREAD_MS)
        report.shorten = self._shorten

    def execute(self, op, args):
        return "op_refused"

    def _shorten(self):
        # The fixed length of a slow cell does not hold all: first the older hours, which were sent before, then
        # the supply, then the flow, which two readings' index tells as well.
        values = self._report.values
        hours = values[_HOURLY]
        if hours:
            values[_HOURLY] = hours[:-1] or None
            return True
        for key in (_SUPPLY, _FLOW):
            if values[key] is not None:
                values[key] = None
                return True
        return False

    def _index(self):
        # The field table ends at 2^30 - 1, and so does no meter's register.
        return self._start + self._pulses.update() * self._litres & 0x3FFFFFFF

    def _save(self):
        self._saved = self._pulses.count
        self._copies.write(struct.pack(">II", self._set, self._index()))

    def _close_hour(self):
        leak = self._leak
        before = leak.state
        now = self._clock.now_ms()
        leak.hour(self._index(), now - self._closed_ms)
        self._closed_ms = now
        self._save()
        values = self._report.values
        values[_INDEX] = leak.index_l
        values[_FLOW] = leak.flow_dlh
        values[_HOURLY] = leak.hourly or None
        values[_STATE] = leak.state
        try:
            values[_SUPPLY] = self._supply.read_mv()
        except DriverError:
            values[_SUPPLY] = None
        return leak.state == DETECTED and before != DETECTED

    def _to_slot_ms(self):
        """Milliseconds to the next full hour: of the wire clock where there is one, else since boot. Half an
        hour at least: a clock that was set back must not make a dry hour of some seconds."""
        clock = self._clock
        left = _HOUR_MS - (clock.wire_ms() if clock.quality else clock.now_ms()) % _HOUR_MS
        return left if left * 2 >= _HOUR_MS else left + _HOUR_MS

    async def _rest(self, ms, alive):
        clock = self._clock
        until = clock.now_ms() + ms
        while ms > 0:
            alive()
            await asyncio.sleep_ms(min(ms, _LOOK_MS))
            if self._pulses.update() - self._saved >= _SAVE_PULSES:
                self._save()
            ms = until - clock.now_ms()

    async def run(self, alive):
        while True:
            await self._rest(self._to_slot_ms(), alive)
            alarm = self._close_hour()
            await self._rest(self._phase_ms, alive)
            self._report.send(alarm)
