"""Bin on a battery: one measurement, and whether it is worth a transmission. The rules are those of kinds/bin.py.

Works on two lists that ride in RTC memory. FIT from 4: range, supply (names of parts), shape, rules, mark, low mV,
longest silence ms, base s. STATE: bytes of the Watch, alarms told, alarms pending, fill told or -1,
class told or -1, distances since the last reading (furniture/echo.py), calendar ms of that reading or -1.
"""

import time

from firmware.drivers.errors import DriverError, NotReady
from firmware.protocols.compat import const
from firmware.wake.look import low_supply
from firmware.wake.rtc import FIT, STATE

_INTERVAL = const(3)
_RANGE = const(4)
_SUPPLY = const(5)
_SHAPE = const(6)
_RULES = const(7)
_LOW_MV = const(9)
_QUIET = const(10)
_BASE_S = const(11)

_WATCH = const(0)
_TOLD = const(1)
_MASK = const(2)
_FILL = const(3)
_CLASS = const(4)
_SAMPLES = const(5)
_SENT = const(6)

_EMPTIED = const(2)
_MOMENT = const(0x30)
_NEWS = const(5)  # points

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
        # No nap of 0: light sleep without an end.
        if first > 0:
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


def look(record, part, nap, now_ms):
    """Measure at calendar `now_ms`: (alarm, {key: value} of the reading to send), or None for nothing to say.
    part(name) opens a part or gives None; nap(ms) waits without interrupts."""
    fit = record[FIT]
    ranger = part(fit[_RANGE])
    begun = time.ticks_ms()
    ms = 0
    if ranger:
        try:
            ms = ranger.start()
        except DriverError:
            ranger = None
    state = record[STATE]
    mv, mask = low_supply(part(fit[_SUPPLY]), state[_MASK], fit[_LOW_MV])
    # While the sensor starts up.
    from firmware.furniture.bin import Watch, fill_class
    from firmware.furniture.echo import burst, older

    left = max(0, ms - time.ticks_diff(time.ticks_ms(), begun))
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
    state[_SAMPLES] = samples = older(state[_SAMPLES], mm)
    if not due:
        return None
    found[3] = now
    found[10] = samples[1:] or None
    return now & ~state[_TOLD] != 0, found


def keep(boards, record):
    """What a reading leaves in flash is enough."""
