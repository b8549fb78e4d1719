"""A leak meter on a board: counts pulses, closes an hour at fixed slots, reports index, volumes, suspicion.

Settings (entry 11 of the configuration): 1 index at installation (litres), 2 litres per pulse, 3 local time
before UTC in minutes (60; west of Greenwich 1440 more), 4 mV below which the supply is low (3300), 5 and 6 Pa
below and above which the pressure is an alarm (0: never), 7 the contact that closes when somebody opens the
meter's box, 100 more where it opens (0: none), 16 to 29 the numbers of `leak.RULES`.

Loss bound: with the power go at most the pulses since the last record, under 100 and what one look brings (a
minute: 67 litres of a meter of 4 m3/h), under 10 and that while the supply is low; and those of the time without.
"""

import asyncio
import struct

from firmware.drivers.errors import DriverError
from firmware.furniture.leak import RULES, Leak, check
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const

_SUPPLY = const(2)
_ALARMS = const(3)
_INDEX = const(4)
_FLOW = const(5)
_HOURLY = const(6)
_STATE = const(7)
_PRESSURE = const(8)

_LOW = const(1 << 8)
_INVALID = const(1 << 13)
# What is signed at once: not what may tell that nobody is at home, nor what the next visit mends.
_HURRY = const(0x1EE2)
# Of hello: settings that this board cannot follow.
_CONFIG = const(1 << 4)

_HOUR_MS = const(3600000)
_SAVE_PULSES = const(100)
_LOW_PULSES = const(10)
_LOW_MARGIN_MV = const(100)
_LOOK_MS = const(60000)
_SPREAD_MS = const(600000)


# The fixed length of a slow cell does not hold all: first go the older hours, which were sent before, then the
# supply, the pressure, and the flow, which two readings' index tells as well.
SPARE = b"\x06\x02\x08\x05"


class Kind:
    OPS = ()
    LISTEN = False

    def __init__(self, board, cfg, clock, report):
        e = cfg.extra
        self.alarms = 0  # for hello
        self._mask = 0
        rules = tuple([e.get(16 + i, RULES[i]) for i in range(len(RULES))])
        try:
            check(rules)
        except WireError as err:
            rules = RULES
            self._refuse(err.args[1])
        self._litres = e.get(2, 1)
        if not 1 <= self._litres <= 1000:
            self._litres = 1
            self._refuse("litres")
        self._zone_s = e.get(3, 60) * 60
        self._low_mv = e.get(4, 3300)
        self._copies = board.copies("index", 160)
        self._set = self._start = e.get(1, 0)
        kept = None
        blob = self._copies.read()
        if blob and len(blob) >= 8:
            found = struct.unpack(">II", blob[:8])
            # Another index at installation: the meter was changed, or read anew.
            if found[0] == self._set:
                self._start = found[1]
                kept = blob[8:]
        self._supply = self._open(board, "supply", "supply")
        self._pulses = self._open(board, "pulses", "contact_pulses")
        parts = [self._open(board, role) for role in ("rope", "pressure", "contacts")]
        self._more = None
        if any(parts) or e.get(7):
            from firmware.kinds.leak_extras import Extras

            self._more = Extras(parts, e, self._refuse)
        self._leak = Leak(self._start, rules, kept)
        self._saved = 0
        self._closed_ms = clock.now_ms()
        self._mv = None
        self._told = 0
        self._clock = clock
        self._report = report
        # Sent this long after the hour is closed: always the same, so it tells nothing.
        self._phase_ms = cfg.phase_ms(_SPREAD_MS)
        report.spare = SPARE

    def _refuse(self, *why):
        print("config:", *why)
        self.alarms = _CONFIG
        self._mask = _INVALID

    def _open(self, board, role, usual=""):
        try:
            return board.part(role, usual)
        except (DriverError, ImportError) as e:
            self._refuse(role, *e.args)
            return None

    def execute(self, op, args):
        return "op_refused"

    def _count(self):
        return self._pulses.update() if self._pulses else 0

    def _index(self):
        # The field table ends at 2^30 - 1, and so does no meter's register.
        return self._start + self._count() * self._litres & 0x3FFFFFFF

    def _save(self):
        self._saved = self._count()
        self._copies.write(struct.pack(">II", self._set, self._index()) + bytes(self._leak.s))

    def _close_hour(self):
        now = self._clock.now_ms()
        ms = now - self._closed_ms
        self._closed_ms = now
        wire = self._clock.wire()
        of_day = -1
        if wire is not None:
            # Of the middle of what is closed.
            of_day = (wire - ms // 2000 + self._zone_s) // 3600 % 24
        if self._pulses:
            self._leak.hour(self._index(), ms, of_day)
        self._save()

    def _look(self):
        # Between the slots: what no household's use is seen from, and what saves the index.
        mask = self._mask & ~_LOW
        self._mv = None
        try:
            if self._supply:
                self._mv = self._supply.read_mv()
                if self._mv < self._low_mv + (_LOW_MARGIN_MV if self._mask & _LOW else 0):
                    mask |= _LOW
        except DriverError:
            mask |= self._mask & _LOW
        self._mask = mask
        if self._more:
            self._more.look()
        new = self._count() - self._saved & 0x3FFFFFFF
        if new >= (_LOW_PULSES if mask & _LOW else _SAVE_PULSES):
            self._save()

    def _tell(self, slot):
        """In a slot all that is known; between slots the state alone, of the same length (TRUST 14)."""
        values = self._report.values
        leak = self._leak
        more = self._more
        told = slot and self._pulses
        values[_INDEX] = leak.index_l if told else None
        values[_FLOW] = leak.flow_dlh if told else None
        values[_HOURLY] = (leak.hourly if told else None) or None
        values[_STATE] = leak.state
        values[_SUPPLY] = self._mv
        values[_PRESSURE] = more.pa if more else None
        mask = leak.alarms | self._mask
        if more:
            mask |= more.mask
            more.changed = 0
        values[_ALARMS] = mask
        new = mask & ~self._told
        self._told = mask
        self._report.send(new & _HURRY != 0)

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
            self._look()
            if self._more and self._more.changed:
                self._tell(False)
            ms = until - clock.now_ms()

    async def run(self, alive):
        while True:
            await self._rest(self._to_slot_ms(), alive)
            self._close_hour()
            await self._rest(self._phase_ms, alive)
            self._tell(True)
