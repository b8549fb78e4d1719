"""A cabinet on a board: the contactor of a feeder by plan, command, photocell and the switch in the box; what goes
wrong in the box; the energy of three phases.

Settings (entry 11 of the configuration): 1 on without plan, time and photocell (1), 2 a command may darken the
feeder (1), 3 and 4 shortest times on and off, s (60), 5 most that an unlit feeder draws, W (50), 6 and 7 least and
most of a lit one, W (0: no bound), 8 and 9 bounds of a phase, V (207, 253), 10 and 11 lux below which it is dark
(35) and above which it is light (70), 18 seconds between readings of the meter (60), 19 phases connected (3).
Inputs, the number of a contact from 1 that closes to say yes, 100 more where it opens, 0 for none: 12 door open
(101), 13 breaker tripped (2), 14 earth leakage (0), 15 contactor closed (3), 16 and 17 the switch says on, off.
"""

import asyncio
import struct

from firmware.drivers.errors import DriverError
from firmware.kinds.programme import Programme
from firmware.protocols.compat import const, forget
from firmware.roles.commands import LIGHT, PLAN, RESUME

_ALARMS = const(3)
_CONTACTOR = const(4)
_TARGET = const(5)
_REASON = const(6)
_LOCAL = const(7)
_POWER = const(8)
_PHASE_W = const(9)
_ENERGY = const(12)
_BURN = const(13)
_SWITCHES = const(14)
_PHASE_V = const(15)
_CELL = const(18)
# What a short carrier leaves out, in this order: phases, counters, photocell, the sums.
SPARE = b"\x0f\x10\x11\x09\x0a\x0b\x0e\x0d\x12\x0c\x08"
_SENSOR = const(2)
_CELL_WRONG = const(1 << 5)
_CLOCK_LOST = const(1 << 11)
_INVALID = const(1 << 12)

_SAMPLE_MS = const(10000)
# A contact that changed is looked at again after its bounce.
_BOUNCE_MS = const(40)
# Contactor and meter have settled.
_SETTLE_MS = const(2500)
_AGAIN_MS = const(1000)
# A change of state is reported when the feedback has followed.
_SOON_MS = const(15000)
_SAVE_MS = const(3600000)
# A box whose door bangs or whose feedback chatters all night: so many reports at once, then one each ten minutes.
_BURST = const(8)
# Changes of state leave these to the alarms.
_ALARMS_OWN = const(4)
_EACH_MS = const(600000)
# Without time for so long, and there is a plan: an alarm.
_NO_CLOCK_MS = const(900000)


def _fit(values, key, value, step, most):
    """Fill in `value` in steps, rounded; absent where it is not known, negative (a transformer the wrong way
    round) or more than the field table has."""
    if value is not None and 0 <= value <= most * step:
        values[key] = (value + step // 2) // step


class Kind:
    OPS = (LIGHT, RESUME, PLAN)
    LISTEN = True

    def __init__(self, board, cfg, clock, report):
        from firmware.kinds.cabinet_setup import setup

        self.programme = programme = Programme(cfg.plan, board.copies("plan", 720), clock)
        self._given = cfg.plan
        self._copies = board.copies("use")
        # In hello: settings that this board cannot follow.
        found = setup(board, cfg.extra, self._copies, programme)
        self.alarms, self._out, self._cabinet, self._base_wh, self._meter, self._sky, self._wired = found[:7]
        forget("kinds.cabinet_setup")
        self._wh = self._base_wh
        self._meter_ms = 0
        self._each_ms = found[7] * 1000
        self._phases = found[8]
        self._says = [None] * 6
        self._set = self._night = None
        self._clock = clock
        self._report = report
        report.spare = SPARE
        self._interval_ms = cfg.interval_s * 1000
        self._phase_ms = cfg.phase_ms(self._interval_ms)
        self._changed = asyncio.Event()
        self._sample_ms = 0
        self._saved = self._timed = clock.now_ms()
        self._kept = self._cabinet.switches
        self._told = None
        self._mask = 0
        self._tokens = _BURST
        self._token_ms = 0

    @property
    def plan(self):
        return self.programme.hash

    def execute(self, op, args):
        """Carry out a command of OPS: the name of a refusal, bytes that the result carries, or None for done."""
        if op == PLAN:
            answer = self.programme.execute(args)
        elif not self._out:
            return "failed"
        elif op == RESUME:
            answer = self._cabinet.resume()
        elif args[0] not in (0, 100) or any(args[3:4]):
            # A contactor cannot dim, and does not wait.
            return "op_args"
        else:
            answer = self._cabinet.override(self._clock.now_ms(), args[0] > 0, args[1])
        self._changed.set()
        return answer

    def _read_meter(self):
        """(W of the feeder, [mV of each phase]) as `Cabinet.watch` wants them; None for what was not said."""
        meter = self._meter
        values = self._report.values
        values[_POWER : _ENERGY + 1] = (None,) * 5
        values[_PHASE_V:_CELL] = (None,) * 3
        try:
            meter.read()
        except DriverError:
            return None, None
        volts = (meter.voltage_mv,)
        base = self._base_wh
        if hasattr(meter, "phase_mv"):
            volts = meter.phase_mv[: self._phases]
            # Such a meter keeps its own total; the others count from their start.
            base = 0
            for i in range(len(volts)):
                _fit(values, _PHASE_W + i, meter.phase_mw[i], 1000, 400000)
        for i in range(len(volts)):
            _fit(values, _PHASE_V + i, volts[i], 100, 5000)
        mw = meter.power_mw
        _fit(values, _POWER, mw, 1000, 1000000)
        if meter.energy_mwh is not None:
            values[_ENERGY] = self._wh = meter.energy_mwh // 1000 + base & 0x3FFFFFFF
        return None if mw is None else (mw // 1000,), [mv for mv in volts if mv is not None]

    def _sample(self, now):
        cabinet = self._cabinet
        values = self._report.values
        says = self._says
        sky = self._sky
        watts = volts = dark = night = None
        fresh = now >= self._meter_ms
        if fresh:
            self._meter_ms = now + self._each_ms
            if self._meter:
                watts, volts = self._read_meter()
        if sky:
            night = sky.night(self._clock.wire())
            if fresh:
                sky.look(now, self.programme.night, night)
            dark = sky.says
            values[_CELL] = None if dark is None else int(dark)
        closed = says[3]
        values[_CONTACTOR] = None if closed is None else int(closed)
        if closed is False and not fresh and not cabinet.on and values[_POWER] is not None:
            # A broken feedback says so, too: the meter's word ends "welded".
            closed = None
        cabinet.watch(now, (says[0], says[1], says[2], dark), watts, volts, closed, night)
        mask = cabinet.mask
        planned = self.programme.hash
        if self._clock.quality:
            self._timed = now
        elif planned and now - self._timed >= _NO_CLOCK_MS:
            mask |= _CLOCK_LOST
        if self._given and not planned:
            mask |= _INVALID
        if sky and sky.stuck:
            mask |= _CELL_WRONG
        values[_ALARMS] = mask

    def _apply(self, now):
        """Follow the plan, or who comes before it; returns the milliseconds until the next step."""
        wait = self._sample_ms - now
        values = self._report.values
        cabinet = self._cabinet
        on, off = self._says[4:]
        local = None
        if on is not None or off is not None:
            local = True if on else False if off else None
            values[_LOCAL] = 2 if on else 1 if off else 0
        if not self._out:
            return wait
        wire = self._clock.wire()
        plan = level = until = None
        reason = 0
        programme = self.programme
        try:
            level, _, reason, until = programme.look(wire)
            if programme.night is not self._night:
                self._night = programme.night
                if self._sky and self._night:
                    self._sky.tell(self._night)
                    level, _, reason, until = programme.look(wire)
        except MemoryError:
            print("plan: no_memory")
        if level is not None:
            plan = level > 0
            if until is not None:
                # At the very second, which `wire` has cut off.
                wait = min(wait, max(1, (until - wire) * 1000 - self._clock.wire_ms() % 1000))
        elif self._sky:
            plan = self._sky.dark
            reason = _SENSOR
        wait = min(wait, cabinet.step(now, plan, reason, local))
        if cabinet.on is not self._set:
            try:
                self._out.set(cabinet.on)
                self._set = cabinet.on
                self._meter_ms = min(self._meter_ms, now + _SETTLE_MS)
            except DriverError:
                wait = min(wait, _AGAIN_MS)
        values[_TARGET] = 1 if cabinet.want else 0
        values[_REASON] = cabinet.reason
        values[_BURN] = cabinet.burn_s // 360
        values[_SWITCHES] = cabinet.switches
        if cabinet.switches != self._kept or now - self._saved >= _SAVE_MS:
            self._kept = self._cabinet.switches
            self._saved = now
            self._copies.write(struct.pack(">III", cabinet.burn_s, cabinet.switches, self._wh))
        return wait

    async def run(self, alive):
        clock = self._clock
        values = self._report.values
        wired = self._wired
        soon = False
        regular = next_ms = clock.now_ms() + self._phase_ms
        while True:
            alive()
            now = clock.now_ms()
            if now >= self._sample_ms:
                self._sample_ms = now + _SAMPLE_MS
                for again in (0, 1):
                    for i in range(6):
                        if wired[2 * i]:
                            self._says[i] = wired[2 * i].update() == wired[2 * i + 1]
                    if not again:
                        await asyncio.sleep_ms(_BOUNCE_MS)
                now = clock.now_ms()
                self._sample(now)
            wait = self._apply(now)
            # Soon after a change, at once with an alarm that began or ended.
            gained = (now - self._token_ms) // _EACH_MS
            self._token_ms += gained * _EACH_MS
            self._tokens = min(self._tokens + gained, _BURST)
            state = values[_CONTACTOR:_POWER]
            if not self._told:
                self._told = state
            if state != self._told and not soon and self._tokens > _ALARMS_OWN:
                soon = True
                self._tokens -= 1
                next_ms = min(next_ms, now + _SOON_MS)
            alarm = values[_ALARMS] != self._mask
            if alarm and self._tokens:
                self._tokens -= 1
                next_ms = now
            if now >= next_ms:
                while regular <= now:
                    regular += self._interval_ms
                next_ms = regular
                self._report.send(alarm)
                soon = False
                self._told = state
                self._mask = values[_ALARMS]
            try:
                await asyncio.wait_for_ms(self._changed.wait(), max(1, min(wait, next_ms - now)))
                self._changed.clear()
            except asyncio.TimeoutError:
                pass
