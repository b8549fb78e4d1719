"""Commands to a lamp: what is refused and what is noted. Loaded for one, then dropped. `it`: furniture.lamp.Lamp,
now: its monotonic ms."""

from firmware.furniture.lamp import NIGHT_S, RAISES
from firmware.protocols.compat import const
from firmware.roles.commands import IDENTIFY, RAISE, SHED

# Declared limits, seconds: end of an override, of load shedding (a grid cut lasts two hours), of RAISE; a ramp.
_LONGEST_S = const(86400)
_SHED_S = const(14400)
_RAISE_S = const(900)
_RAMP_S = const(3600)


def obey(it, law, now, op, args):
    """Carry out LIGHT, SHED, RAISE or IDENTIFY as far as `law`, None without one, allows it: None for done, or the
    name of the refusal."""
    if op == SHED:
        return override(it, now, args[0], args[1], args[2], 1)
    if op == IDENTIFY:
        level, for_s = 100, args[0]
    else:
        level, for_s = args[:2]
    answer = law.refuses(now, level, for_s, *args[3:4]) if law else None
    if answer:
        return answer
    if op == IDENTIFY:
        return identify(it, now, for_s)
    if op == RAISE:
        return raise_(it, now, level, for_s)
    return override(it, now, level, for_s, args[2], 0, *args[3:])


def override(it, now, level, for_s, ramp_s=0, shed=0, start_s=0, back_s=None):
    """Hold `level` from `start_s` on for `for_s` seconds, `ramp_s` to it and `back_s` from it (None: the same);
    what is in force or waits is replaced (TALQ). With `shed` it is TALQ's Min, beside an override: nothing but
    local input and identify is brighter than `level` and the floor of load shedding; 100 ends that. None, or
    the name of the refusal, which changes nothing: op_args, ttl, local_override, below_floor."""
    if back_s is None:
        back_s = ramp_s
    if not 0 <= level <= 100 or min(ramp_s, back_s, start_s) < 0 or max(ramp_s, back_s) > _RAMP_S:
        return "op_args"
    if for_s < 1 or start_s + for_s > (_SHED_S if shed else _LONGEST_S):
        return "ttl"
    if it.local:
        return "local_override"
    end = now + for_s * 1000
    if shed:
        it._cap = max(level, it._shed)
        it._cap_s = ramp_s
        it._cap_end = end if level < 100 else now
        return None
    if level < it.floor:
        return "below_floor"
    it.resume()
    it._ask = level
    it._start = now + start_s * 1000
    it._end = end + start_s * 1000
    it._ramp_s = ramp_s
    it._ret_s = back_s
    return None


def raise_(it, now, level, for_s):
    """RAISE: at least `level` for at most 15 minutes, 12 times a night; an override stays below it.

    None, or op_args, ttl, local_override, shedding, below_programme, too_often.
    """
    if not 0 <= level <= 100:
        return "op_args"
    if not 1 <= for_s <= _RAISE_S:
        return "ttl"
    if it.local:
        return "local_override"
    if now < it._cap_end:
        return "shedding"
    if level < max(it._base, it._hold(now, it._base)[0]):
        return "below_programme"
    raises = it._raises
    at = raises[RAISES]
    if now // 1000 - raises[at] < NIGHT_S:
        return "too_often"
    raises[at] = now // 1000
    raises[RAISES] = (at + 1) % RAISES
    it._lift = level
    it._lift_end = now + for_s * 1000
    return None


def identify(it, now, for_s):
    """Half and full light, one second each, never below the floor; 0 ends it."""
    it._identify = now
    it._until = now + for_s * 1000
