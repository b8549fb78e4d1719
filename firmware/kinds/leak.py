"""A leak meter on a board: counts pulses, closes an hour at fixed slots, reports index, volumes, suspicion.

Settings (entry 11 of the configuration): 1 index at installation (litres), 2 litres per pulse, 3 local time
before UTC in minutes (60; west of Greenwich 1440 more), 4 mV below which the supply is low (3300), 5 and 6 Pa
below and above which the pressure is an alarm (0: never), 7 the contact that closes when somebody opens the
meter's box, 100 more where it opens (0: none), 16 to 29 the numbers of `leak.RULES`.

Loss bound: with the power go at most the pulses since the last record, under 100 and what one look brings (a
minute: 67 litres of a meter of 4 m3/h), under 10 and that while the supply is low; and those of the time without.
A counter that counts by itself (pcf8593) loses none while it has its own supply, whatever the board does.
"""

import asyncio

from firmware.drivers.errors import DriverError
from firmware.furniture.leak import Leak
from firmware.kinds.leak_meter import SIZE, SPARE, another_life, keep, settings, taken_up
from firmware.protocols.compat import const

_SUPPLY = const(2)
_ALARMS = const(3)
_INDEX = const(4)
_FLOW = const(5)
_HOURLY = const(6)
_STATE = const(7)
_PRESSURE = const(8)

_LOW = const(1 << 8)
_FAILURE = const(1 << 12)
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


class Kind:
    OPS = ()
    LISTEN = False

    def __init__(self, board, cfg, clock, report):
        e = cfg.extra
        self.alarms = 0  # for hello
        self._mask = 0
        rules, self._litres = settings(e, self._refuse)
        self._zone_s = e.get(3, 60) * 60
        self._low_mv = e.get(4, 3300)
        self._copies = board.copies("index", SIZE)
        self._set = e.get(1, 0)
        self._at, kept, reading, self._life = taken_up(self._copies, self._set)
        self._supply = self._open(board, "supply", "supply")
        self._pulses = self._open(board, "pulses", "contact_pulses")
        parts = [self._open(board, role) for role in ("rope", "pressure", "contacts")]
        self._more = None
        if any(parts) or e.get(7):
            from firmware.kinds.leak_extras import Extras

            self._more = Extras(parts, e, self._refuse)
        self._leak = Leak(self._at, rules, kept)
        self._n = self._new = 0
        self._sure = False
        self._lost = 0
        self._counts_on = hasattr(self._pulses, "go_on")
        if self._counts_on:
            # What it counted while the board did not look belongs to no hour.
            self._pulses.go_on(reading, self._life)
            self._count()
            self._leak.index_l = self._at
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
        """Bring the index up to date; False where nobody says how many pulses there were."""
        if not self._pulses:
            return False
        try:
            n = self._pulses.update()
        except DriverError as e:
            if "lost" in e.args:
                self._renew()
            return False
        new = n - self._n & 0x3FFFFFFF
        self._n = n
        self._new += new
        # The field table ends at 2^30 - 1, and so does no meter's register.
        self._at = self._at + new * self._litres & 0x3FFFFFFF
        return True

    def _renew(self):
        if not self._lost:
            # The first life of all is no loss.
            self._lost = 2 if self._life else 1
            self._life = another_life()
            self._save(0)
        self._n = 0
        try:
            self._pulses.begin(self._life)
        except DriverError:
            pass  # the next look tries again

    def _save(self, reading=None):
        self._new = 0
        if reading is None:
            reading = self._pulses.reading() if self._counts_on else 0
        keep(self._copies, self._set, self._at, self._leak.s, reading, self._life)

    def _close_hour(self):
        self._sure = self._count()
        mask = self._mask & ~_FAILURE
        if self._lost > 1 or (self._pulses and not self._sure):
            mask |= _FAILURE
        self._mask = mask
        if self._sure:
            now = self._clock.now_ms()
            ms = now - self._closed_ms
            self._closed_ms = now
            wire = self._clock.wire()
            of_day = -1
            if wire is not None:
                # Of the middle of what is closed.
                of_day = (wire - ms // 2000 + self._zone_s) // 3600 % 24
            self._leak.hour(self._at, ms, of_day)
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
        self._count()
        if self._new >= (_LOW_PULSES if mask & _LOW else _SAVE_PULSES):
            self._save()

    def _tell(self, slot):
        """In a slot all that is known; between slots the state alone, of the same length (TRUST 14)."""
        values = self._report.values
        leak = self._leak
        more = self._more
        told = slot and self._sure
        if slot:
            self._lost = 0
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
