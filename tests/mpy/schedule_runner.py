"""Runs lighting plans as a node would and prints what holds; for a second evaluator to compare with.

usage: micropython tests/mpy/schedule_runner.py < QUESTIONS      from the tree's root

A question is a line of JSON: {"plan": hex of the compact form, "times": [wire s, ...], "lux": [...]?,
"presence": [...]?}. `lux` and `presence` go with `times`, one for each: what the photocell and the detector
say from that instant on; null is a photocell that says nothing. The answer is a line of JSON:
{"levels": [...], "ramps": [...], "reasons": [0 default, 2 sensor, 3 program, ...], "days": [[begin, end], ...]}
with one for each time, or {"refused": "plan_..."}.

With "overrides": [[wire s, [level, for s, ramp s, start s, ramp back s] or null], ...], in order, each at one of
the times, levels and reasons are those of a whole lamp (`target`; reason 1 override, too), and "refusals" has
what it said to each.
"""

import binascii
import json
import sys

sys.path.insert(0, ".")


def answer(question):
    from firmware.furniture import calendar, night, plan, schedule, sun
    from firmware.furniture.lamp import Lamp
    from firmware.kinds.lamp_orders import override
    from firmware.protocols.cbor import WireError

    def table(t):
        # As `night.build`, but the modules stay.
        day, nights = calendar.day(blob, t)
        return schedule.table(day, sun.nights(*nights) if nights else ())

    blob = binascii.unhexlify(question["plan"])
    try:
        plan.check(blob)
    except WireError as e:
        return {"refused": e.args[0]}
    levels = []
    ramps = []
    reasons = []
    days = []
    refusals = []
    overrides = list(question.get("overrides") or ())
    lamp = Lamp() if overrides else None
    it = None
    for n, t in enumerate(question["times"]):
        if it is None:
            it = night.Night(table(t))
        elif not it.begin <= t < it.end:
            it.load(table(t))
        if question.get("lux"):
            lux = question["lux"][n]
            it.light(None if lux is None else round(lux * 100))
        if question.get("presence"):
            it.presence(t, bool(question["presence"][n]))
        level, ramp, _ = it.at(t)
        reason = it.reason
        if lamp:
            now = (t - question["times"][0]) * 1000
            while overrides and overrides[0][0] <= t:
                command = overrides.pop(0)[1]
                if command:
                    asked, for_s, to_s, start_s, back_s = command
                    refusals.append(override(lamp, now, asked, for_s, to_s, 0, start_s, back_s))
                else:
                    refusals.append(lamp.resume())
            lamp.step(now, level, ramp, reason)
            level = lamp.target
            reason = lamp.reason
        levels.append(level)
        ramps.append(ramp)
        reasons.append(reason)
        days.append([it.begin, it.end])
    return {"levels": levels, "ramps": ramps, "reasons": reasons, "days": days, "refusals": refusals}


if __name__ == "__main__":
    for line in sys.stdin:
        if line.strip():
            print(json.dumps(answer(json.loads(line))))
