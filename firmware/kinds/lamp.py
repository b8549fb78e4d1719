"""A lamp on a board: plan, commands and presence become a level at the output; reports level, power, failures.

Settings (entry 11 of the configuration): 1 level without plan or time %, 5 lowest level a plan or command may ask
of a lit lamp %, 6 what load shedding leaves %, 7 virtual light output %, 8 lowest level the gear can %,
9 power at full virtual light mW, 10 powerLightGradient 1/1000, 11 seconds of warm-up, 12 category of the decree
(furniture/guard.py), 13 and 14 end and begin of the activity, minutes of the local day + 1, 15 the feeder is
switched off by day, 20.. hours and % of constant light output, at most six pairs.
"""

import asyncio
import struct

from firmware.drivers.errors import DriverError
from firmware.furniture.lamp import PROGRAM, SENSOR, Lamp
from firmware.furniture.luminaire import Luminaire
from firmware.kinds.programme import Programme
from firmware.protocols.compat import const
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

# What a photocell on its own, without a plan or a time, takes for night.
_DARK_LUX = const(20)
# A measurement may take 60 ms of the loop, so not at each step.
_MEASURE_MS = const(30000)
_SAVE_MS = const(3600000)
# A street that switches in one second reports the change spread over this.
_SPREAD_MS = const(120000)


# What the next reading tells as well: switches, burn time, energy, supply.
SPARE = b"\x0c\x09\x08\x02"


class Kind:
    OPS = (LIGHT, RESUME, IDENTIFY, RAISE, PLAN, SHED)
    LISTEN = True

    def __init__(self, board, cfg, clock, report):
        e = cfg.extra
        # Before all else that may fail: full light, as the hardware has it.
        self._out = board.part("light", "dimmer")
        self._set = 1000
        self._out.set(1000)
        self._lamp = Lamp(e.get(1, 100), e.get(5, 0), e.get(6, 0))
        clo = [e[key] for key in range(20, 32) if key in e]
        self._luminaire = Luminaire(e.get(7, 100), e.get(8, 0), clo)
        self._copies = board.copies("use")
        self._restore()
        self.programme = Programme(cfg.plan, board.copies("plan", 720), clock)
        self._meter = board.part("energy")
        self._eye = board.part("photocell")
        self._watch = None
        if e.get(9):
            from firmware.furniture.lamp_watch import LampWatch, gradient_table

            self._watch = LampWatch(gradient_table(e[9], e.get(10, 1000)), warm_ms=e.get(11, 60) * 1000)
        self._clues = None
        if e.get(15) or self._eye:
            from firmware.kinds.feeder import Feeder

            self._clues = Feeder(board.copies("feeder") if e.get(15) else None, clock, cfg.plan)
        self._law = (e.get(12, 0), e.get(13, 0), e.get(14, 0))
        self._clock = clock
        self._report = report
        self._interval_ms = cfg.interval_s * 1000
        self._phase_ms = cfg.phase_ms(self._interval_ms)
        self._spread_ms = cfg.phase_ms(_SPREAD_MS)
        self._changed = asyncio.Event()
        self._measured = -_MEASURE_MS
        self._power_mw = None
        self._darkness = None
        self._saved = clock.now_ms()
        self._told = None
        report.spare = SPARE

    @property
    def plan(self):
        return self.programme.hash

    def _restore(self):
        blob = self._copies.read()
        if blob and len(blob) == 12:
            found = struct.unpack(">III", blob)
            self._luminaire.burn_s, self._luminaire.energy_wh, self._luminaire.switches = found

    def _save(self, now):
        self._saved = now
        of = self._luminaire
        self._copies.write(struct.pack(">III", of.burn_s, of.energy_wh, of.switches))

    def execute(self, op, args):
        """Carry out a command of OPS: the name of a refusal, bytes that the result carries, or None for done."""
        now = self._clock.now_ms()
        lamp = self._lamp
        self._apply(now)
        answer = None
        if op == RESUME:
            lamp.resume()
        elif op == IDENTIFY:
            lamp.identify(now, args[0])
        elif op == RAISE:
            answer = lamp.raise_(now, args[0], args[1])
        elif op == PLAN:
            answer = self.programme.execute(args)
        else:
            answer = self._against_the_law(args) if op == LIGHT else None
            answer = answer or lamp.override(now, args[0], args[1], args[2], shed=int(op == SHED))
        self._changed.set()
        return answer

    def _against_the_law(self, args):
        wire = self._clock.wire()
        if not self._law[0] or not args[0] or wire is None:
            return None
        from firmware.kinds.law import refuses

        return refuses(self._law, self.programme, wire, args[0], args[1])

    def _apply(self, now):
        """One step towards the level that holds now; returns the milliseconds until the next step."""
        lamp = self._lamp
        wire = self._clock.wire()
        sensor = False
        if self._clues:
            wire, sensor = self._clues.time_s(now, self._darkness)
        level, ramp_s, reason, until = self.programme.look(wire)
        if sensor:
            # Dark as long as it says nothing else.
            level, reason = (lamp.default if self._darkness else 0), SENSOR
        wait = lamp.step(now, level, ramp_s, reason)
        luminaire = self._luminaire
        luminaire.step(now, lamp.level, self._power_mw)
        if luminaire.output != self._set:
            self._out.set(luminaire.output)
            self._set = luminaire.output
        if until is not None:
            # At the very second, which `wire` has cut off.
            ms = (until - wire) * 1000 - self._clock.wire_ms() % 1000
            wait = min(wait, max(ms, 1))
        self._measure(now)
        values = self._report.values
        values[_LEVEL] = (luminaire.output + 5) // 10
        values[_TARGET] = lamp.target
        values[_REASON] = lamp.reason
        values[_ASKED] = lamp.asked if lamp.asked != lamp.target else None
        values[_BURN] = luminaire.burn_s // 360
        values[_SWITCHES] = luminaire.switches
        return wait

    def _look_out(self):
        """Tell the plan what the photocell says; returns whether it is dark, None without one that works."""
        if not self._eye:
            return None
        night = self.programme.night
        lux = None
        try:
            lux = self._eye.read_lux()
        except DriverError:
            pass
        if night:
            night.light(None if lux is None else lux * 100)
        return None if lux is None else lux < _DARK_LUX

    def _measure(self, now):
        if now - self._measured < _MEASURE_MS:
            return
        self._measured = now
        self._darkness = self._look_out()
        values = self._report.values
        meter = self._meter
        mw = mv = None
        if meter:
            try:
                meter.read()
                mw = meter.power_mw
                mv = meter.voltage_mv
            except DriverError:
                pass
            values[_ENERGY] = self._luminaire.energy_wh
        self._power_mw = mw
        values[_POWER] = None if mw is None else (max(mw, 0) + 50) // 100
        values[_SUPPLY] = mv
        if self._watch:
            self._judge(now, mw, mv)

    def _judge(self, now, mw, mv):
        lamp = self._lamp
        gear = None
        if hasattr(self._out, "status"):
            try:
                gear = self._out.status()
            except DriverError:
                gear = -1
        still = lamp.level == lamp.target and not lamp.local
        day = lamp.reason == PROGRAM and not lamp.asked
        watch = self._watch
        watch.step(now, self._luminaire.light, still, mw, True, gear, mv, day)
        self._report.values[_ALARMS] = watch.mask or None

    def _due(self, next_ms, now):
        """When to report: at the interval, soon after a change, at once with an alarm."""
        values = self._report.values
        lamp = self._lamp
        state = (values[_TARGET], values[_REASON], values[_ALARMS])
        if self._told is None:
            self._told = state
        if state != self._told and lamp.level == lamp.target:
            alarm = state[2] != self._told[2]
            self._told = state
            return now if alarm else min(next_ms, now + self._spread_ms)
        return next_ms

    async def run(self, alive):
        next_ms = self._clock.now_ms() + self._phase_ms
        regular = next_ms
        told = None
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
                self._report.send(alarms is not None and alarms != told)
                told = alarms
            if now - self._saved >= _SAVE_MS:
                self._save(now)
            try:
                await asyncio.wait_for_ms(self._changed.wait(), max(1, min(wait, next_ms - now)))
                self._changed.clear()
            except asyncio.TimeoutError:
                pass
