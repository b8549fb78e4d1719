"""Bin on a battery: one measurement, and whether it is worth a transmission. The rules are those of kinds/bin.py.

Works on two lists that ride in RTC memory. FIT: board, range, supply (names of parts), shape, rules, mark, low mV,
longest silence ms, interval ms, base s. STATE: bytes of the Watch, alarms told, alarms pending, fill told or -1,
class told or -1, distances since the last reading (newest first), calendar ms of that reading or -1.
"""

import time

from firmware.drivers.errors import DriverError, NotReady
from firmware.furniture.bin import Watch, fill_class
from firmware.furniture.echo import burst
from firmware.protocols.compat import const

_SHAPE = const(3)
_RULES = const(4)
_LOW_MV = const(6)
_QUIET = const(7)
_INTERVAL = const(8)
_BASE_S = const(9)

_WATCH = const(0)
_TOLD = const(1)
_MASK = const(2)
_FILL = const(3)
_CLASS = const(4)
_SAMPLES = const(5)
_SENT = const(6)

_EMPTIED = const(2)
_LOW = const(1 << 8)
_MOMENT = const(0x30)
_LOW_MARGIN_MV = const(100)
_NEWS = const(5)  # points
_KEPT = const(24)

# Each costs up to 0.3 s of a sensor that talks by itself, and the whole wake is to stay below 2 s.
_ECHOES = const(3)
_ECHO_MS = const(310)
_POLL_MS = const(20)
# Sooner than a driver promises: a sensor that has nothing yet says so, and is asked again.
_FIRST_MS = const(550)
# Cycle of a sensor that is asked for each echo, as an HC-SR04.
_CYCLE_MS = const(60)


def _echo(part, ms):
    while True:
        try:
            return part.read_mm()
        except NotReady:
            if ms <= 0:
                return None
        except DriverError:
            return None
        time.sleep_ms(_POLL_MS)
        ms -= _POLL_MS


def _echoes(part, nap, left):
    """left: ms that the sensor, which has its supply already, still needs by its driver."""
    found = []
    try:
        first = min(left, _FIRST_MS)
        nap(first)
        found.append(_echo(part, left - first + _ECHO_MS))
        while len(found) < _ECHOES and found != [None]:
            time.sleep_ms(_CYCLE_MS)
            found.append(_echo(part, _ECHO_MS))
    except DriverError:
        pass
    finally:
        part.stop()
    return found


def look(fit, state, parts, nap, now_ms, left):
    """Measure at calendar `now_ms`: (alarm, {key: value} of the reading to send), or None for nothing to say, and
    `state` then holds the distance for the next one.

    parts: range (started, ready in `left` ms) and supply, or None each; nap(ms) waits without interrupts.
    """
    ranger, supply = parts
    mask = state[_MASK] & ~_LOW
    mv = None
    try:
        if supply:
            mv = supply.read_mv()
            if mv < fit[_LOW_MV] + (_LOW_MARGIN_MV if state[_MASK] & _LOW else 0):
                mask |= _LOW
    except DriverError:
        mask |= state[_MASK] & _LOW
    mm, quality, _ = burst(_echoes(ranger, nap, left) if ranger else [])
    found = {2: mv, 5: mm, 6: quality}
    bits = 0
    due = state[_SENT] < 0
    if fit[_RULES]:
        watch = Watch(fit[_SHAPE], fit[_RULES], state[_WATCH])
        bits = watch.step(fit[_BASE_S] + now_ms // 1000, mm, quality)
        state[_WATCH] = bytes(watch.s)
        found[11] = watch.fault or None
        if watch.fresh:
            fill = found[4] = watch.fill
            found[7] = fill_class(fill, state[_CLASS] if state[_CLASS] >= 0 else None)
            found[12] = watch.speed or None
            found[13] = watch.hours_to_full()
            due |= found[7] != state[_CLASS] or abs(fill - state[_FILL]) > _NEWS
    now = bits & ~_MOMENT | mask
    # A heartbeat is not late by the time that a burst takes.
    due |= now != state[_TOLD] or now_ms + fit[_INTERVAL] // 2 >= state[_SENT] + fit[_QUIET]
    # It lasts for one step only, and must not go with a reading that could not be stored.
    state[_MASK] = mask | now & _EMPTIED
    if not due:
        # For the next reading.
        state[_SAMPLES] = [] if mm is None else [mm] + state[_SAMPLES][: _KEPT - 1]
        return None
    found[3] = now
    found[10] = state[_SAMPLES] or None
    return now & ~state[_TOLD] != 0, found
