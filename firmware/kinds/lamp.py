"""A lamp on a board: plan, commands and presence become a level at the output; reports level, power, failures.

Settings (entry 11 of the configuration): 1 level without plan or time %, 5 lowest level a plan or command may ask
of a lit lamp %, 6 what load shedding leaves %, 7 virtual light output %, 8 lowest level the gear can %,
9 power at full virtual light mW, 10 powerLightGradient 1/1000, 11 seconds of warm-up, 12 category of the decree
(furniture/guard.py), 13 and 14 end and begin of the activity, minutes of the local day + 1, 15 the feeder is
switched off by day, 20.. hours and % of constant light output, at most six pairs. More settings: eye.py,
lamp_inputs.py, lamp_switch.py.
"""

import asyncio
import struct

from firmware.drivers.errors import BusError, DriverError
from firmware.furniture.lamp import PROGRAM, SENSOR
from firmware.protocols.compat import const, forget
from firmware.roles.commands import IDENTIFY, LIGHT, PLAN, RAISE, RESUME, SHED

_SUPPLY = const(2)
_ALARMS = const(3)
_LEVEL = const(4)
_TARGET = const(5)
_REASON = const(6)
_POWER = const(7)
_ENERGY = const(8)
_BURN = const(9)
_ASKED = const(11)
_SWITCHES = const(12)

_CLOCK_LOST = const(1 << 11)
_INVALID = const(1 << 12)
_CELL = const(14)

# The largest uncertainty with which a plan is still followed.
_MOST_S = const(1800)
# Without time for so long, and there is a plan: an alarm.
_NO_CLOCK_MS = const(900000)
# A measurement may take 60 ms of the loop, so not at each step.
_MEASURE_MS = const(30000)
# An output that failed is tried again, later with each step; then nobody knows the level that is there.
_AGAIN_MS = const(1000)
_FAILS = const(3)
# What the counters may lose with the power, each night of a switched feeder; the others lose it less often.
_SAVE_MS = const(900000)
_SAVES = const(4)
# What a meter may say and be believed: 1 W below nothing is noise; the field table ends there.
_NOISE_MW = const(1000)
_MOST_MW = const(6553500)
_MOST_MV = const(500000)
# A street that switches in one second reports the change spread over this.
_SPREAD_MS = const(120000)


# What a short carrier leaves out: switches, burn time, energy, supply.
SPARE = b"\x0c\x09\x08\x02"


def _fit(value, below, most):
    """`value`, or None where it cannot be; a little less than nothing is 0."""
    return None if value is None or not -below <= value <= most else max(value, 0)


class Kind:
    OPS = (LIGHT, RESUME, IDENTIFY, RAISE, PLAN, SHED)
    LISTEN = True

    def __init__(self, board, cfg, clock, report):
        self._changed = asyncio.Event()
        from firmware.kinds.lamp_setup import setup

        self.alarms = 0  # for hello
        (
            self._out,
            self._set,
            self._switch,
            self._lamp,
            self._luminaire,
            self._copies,
            self._meter,
            self._more,
        ) = setup(self, board, cfg, clock)
        forget("kinds.lamp_setup")
        self.programme = self._eye = self._watch = self._feeder = self._inputs = self._law = None
        self._given = len(cfg.plan)
        self._night = None
        self._fails = 0
        self._clock = clock
        self._report = report
        self._interval_ms = cfg.interval_s * 1000
        self._phase_ms = cfg.phase_ms(self._interval_ms)
        self._spread_ms = cfg.phase_ms(_SPREAD_MS)
        self._measured = -_MEASURE_MS
        self._power_mw = None
        self._saved = self._timed = clock.now_ms()
        self._told = self._alarms = None
        report.spare = SPARE

    @property
    def plan(self):
        return self.programme and self.programme.hash

    def fit(self):
        """Load what the settings ask for; once, when the start of the board is over."""
        if self._more:
            # A long piece of heap, which there may not be any more with more code in it.
            blob = self._more[2].read() or b""
            from firmware.kinds.lamp_fit import fit

            self.programme, self._eye, self._watch, self._feeder, self._inputs, self._law = fit(
                self, self._lamp, blob, *self._more
            )
            self._more = None
            del fit
            forget("kinds.lamp_fit")

    def _save(self, now):
        self._saved = now
        of = self._luminaire
        self._copies.write(struct.pack(">III", of.burn_s, of.energy_wh, of.switches))

    def execute(self, op, args):
        """Carry out a command of OPS: the name of a refusal, bytes that the result carries, or None for done."""
        if self._more:
            # `fit` found none.
            return "no_memory"
        now = self._clock.now_ms()
        lamp = self._lamp
        self._apply(now)
        answer = None
        if op == RESUME:
            lamp.resume()
        elif op == PLAN:
            answer = self.programme.execute(args)
        else:
            try:
                from firmware.kinds.lamp_orders import obey

                answer = obey(lamp, self._law, now, op, args)
            except MemoryError:
                answer = "no_memory"
            finally:
                forget("kinds.lamp_orders")
        self._changed.set()
        return answer

    def _apply(self, now):
        """One step towards the level that holds now; returns the milliseconds until the next step."""
        lamp = self._lamp
        clock = self._clock
        eye = self._eye
        programme = self.programme
        wire = None
        if clock.quality and clock.error_s() <= _MOST_S:
            self._timed = now
            wire = clock.wire()
        if self._feeder:
            wire = self._feeder.time_s(now, eye and eye.dark)
        inputs = self._inputs
        if inputs:
            inputs.tell(now, wire, self._night)
        level, ramp_s, reason, until = programme.look(wire)
        if programme.night is not self._night:
            # A new one takes it for dark and knows nobody.
            self._night = night = programme.night
            if eye:
                eye.look(now, night)
            if inputs:
                inputs.tell(now, wire, night)
            level, ramp_s, reason, until = programme.look(wire)
        if self._law:
            level, until = self._law.cut(now, wire, level, until)
        if level is None and eye and eye.dark is not None:
            level, reason = (lamp.default if eye.dark else 0), SENSOR
        wait = lamp.step(now, level, ramp_s, reason)
        level = lamp.level
        if self._switch:
            level, ms = self._switch.step(now, level, lamp.local)
            wait = min(wait, ms)
        luminaire = self._luminaire
        luminaire.step(now, level, self._power_mw)
        if luminaire.output != self._set:
            try:
                self._out.set(luminaire.output)
                self._set = luminaire.output
                self._fails = 0
            except DriverError:
                self._fails += 1
                if self._fails < _FAILS:
                    wait = min(wait, _AGAIN_MS)
        if until is not None and wire is not None:
            # At the very second, which `wire` has cut off.
            ms = (until - wire) * 1000 - clock.wire_ms() % 1000
            wait = min(wait, max(ms, 1))
        self._measure(now)
        values = self._report.values
        values[_LEVEL] = (luminaire.output + 5) // 10 if self._fails < _FAILS else None
        values[_TARGET] = lamp.target
        values[_REASON] = lamp.reason
        values[_ASKED] = lamp.asked if lamp.asked != lamp.target else None
        values[_BURN] = luminaire.burn_s // 360
        values[_SWITCHES] = luminaire.switches
        return wait

    def _measure(self, now):
        if now - self._measured < _MEASURE_MS:
            return
        self._measured = now
        if hasattr(self._out, "status"):
            # A gear that lost its supply for a moment is at its own level since.
            self._set = None
        values = self._report.values
        meter = self._meter
        mw = mv = None
        if meter:
            try:
                meter.read()
                mw = _fit(meter.power_mw, _NOISE_MW, _MOST_MW)
                mv = _fit(meter.voltage_mv, 0, _MOST_MV)
            except DriverError:
                pass
            values[_ENERGY] = self._luminaire.energy_wh & 0x3FFFFFFF
        self._power_mw = mw
        values[_POWER] = None if mw is None else (mw + 50) // 100
        values[_SUPPLY] = mv
        mask = self._judge(now, mw, mv) if self._watch else 0
        if self._eye:
            self._eye.look(now, self.programme.night)
            mask |= self._eye.failed() << _CELL
        if self._law:
            mask |= self._law.mask
        if self.programme.hash:
            if now - self._timed >= _NO_CLOCK_MS:
                mask |= _CLOCK_LOST
        elif self._given:
            mask |= _INVALID
        values[_ALARMS] = mask or None

    def _judge(self, now, mw, mv):
        lamp = self._lamp
        gear = None
        if self._fails:
            gear = -1
        elif hasattr(self._out, "status"):
            try:
                gear = self._out.status()
            except BusError:
                gear = -1
            except DriverError:
                pass
        still = lamp.level == lamp.target and not (lamp.local or lamp.shows or self._fails)
        day = lamp.reason == PROGRAM and not lamp.asked
        watch = self._watch
        closed = self._switch.on if self._switch else True
        watch.step(now, self._luminaire.light, still, mw, closed, gear, mv, day)
        return watch.mask

    def _due(self, next_ms, now):
        """When to report: at the interval, soon after a change, at once with an alarm that began or ended."""
        lamp = self._lamp
        values = self._report.values
        # Level, target, reason; of identify that it is there, not each half of a second.
        state = lamp.shows or values[_LEVEL:_POWER]
        if self._told is None:
            self._told = state
        elif state != self._told and (lamp.shows or lamp.level == lamp.target):
            self._told = state
            next_ms = min(next_ms, now + self._spread_ms)
        if values[_ALARMS] != self._alarms:
            next_ms = now
        return next_ms

    async def run(self, alive):
        self.fit()
        next_ms = regular = self._clock.now_ms() + self._phase_ms
        while True:
            alive()
            now = self._clock.now_ms()
            wait = self._apply(now)
            next_ms = self._due(next_ms, now)
            if now >= next_ms:
                while regular <= now:
                    regular += self._interval_ms
                next_ms = regular
                alarms = self._report.values[_ALARMS]
                self._report.send(alarms is not None and alarms != self._alarms)
                self._alarms = alarms
            if now - self._saved >= (_SAVE_MS if self._feeder else _SAVES * _SAVE_MS):
                self._save(now)
            wait = max(1, min(wait, next_ms - now))
            if self._inputs:
                await self._inputs.rest(self._changed, wait)
                continue
            try:
                await asyncio.wait_for_ms(self._changed.wait(), wait)
                self._changed.clear()
            except asyncio.TimeoutError:
                pass
