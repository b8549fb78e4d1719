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
_LOOK_MS = const(300000)
_SPREAD_MS = const(600000)
# At most this many pulses are lost with the power.
_SAVE_PULSES = const(100)


class Kind:
    OPS = ()
    LISTEN = False

    def __init__(self, board, cfg, clock, report):
        self._litres = cfg.extra.get(2, 1)
        self._copies = board.copies("index")
        blob = self._copies.read()
        if blob is None or len(blob) != 4:
            self._start = cfg.extra.get(1, 0)
        else:
            self._start = struct.unpack(">I", blob)[0]
        self._pulses = board.pulses()
        self._saved = 0
        self._leak = Leak(self._start)
        self._supply = board.supply()
        self._clock = clock
        self._report = report
        # Sent this long after the hour is closed: always the same, so it tells nothing.
        self._phase_ms = cfg.phase_ms(_SPREAD_MS)

    def execute(self, op, args):
        return "op_refused"

    def _index(self):
        return self._start + self._pulses.update() * self._litres

    def _save(self):
        self._saved = self._pulses.count
        self._copies.write(struct.pack(">I", self._index()))

    def _close_hour(self):
        leak = self._leak
        before = leak.state
        leak.hour(self._index())
        self._save()
        values = self._report.values
        values[_INDEX] = leak.index_l
        values[_FLOW] = leak.flow_dlh()
        values[_HOURLY] = leak.hourly or None
        values[_STATE] = leak.state
        try:
            values[_SUPPLY] = self._supply.read_mv()
        except DriverError:
            values[_SUPPLY] = None
        return leak.state == DETECTED and before != DETECTED

    def _to_slot_ms(self):
        """Milliseconds to the next full hour: of the wire clock where there is one, else since boot."""
        clock = self._clock
        return _HOUR_MS - (clock.wire_ms() if clock.quality else clock.now_ms()) % _HOUR_MS

    async def run(self, alive):
        while True:
            wait = self._to_slot_ms()
            while wait > 0:
                alive()
                step = min(wait, _LOOK_MS)
                await asyncio.sleep_ms(step)
                wait -= step
                if self._pulses.update() - self._saved >= _SAVE_PULSES:
                    self._save()
            alarm = self._close_hour()
            await asyncio.sleep_ms(self._phase_ms)
            self._report.send(alarm)
