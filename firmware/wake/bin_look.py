"""Bin on a battery: one measurement, and whether it is worth a transmission, by the rules of kinds/bin.py."""

import time

from firmware.drivers.errors import DriverError, NotReady
from firmware.protocols.compat import const
from firmware.wake.bin_record import (
    BASE_S,
    CLASS,
    EMPTIED,
    FILL,
    LOW_MV,
    MASK,
    QUIET,
    RANGE,
    RULES,
    SAMPLES,
    SENT,
    SHAPE,
    SUPPLY,
    TOLD,
    WATCH,
)
from firmware.wake.look import low_supply
from firmware.wake.rtc import FIT, INTERVAL, STATE

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
    ranger = part(fit[RANGE])
    begun = time.ticks_ms()
    ms = 0
    if ranger:
        try:
            ms = ranger.start()
        except DriverError:
            ranger = None
    state = record[STATE]
    mv, mask = low_supply(part(fit[SUPPLY]), state[MASK], fit[LOW_MV])
    # While the sensor starts up.
    from firmware.furniture.bin import Watch, fill_class
    from firmware.furniture.echo import burst, older

    left = max(0, ms - time.ticks_diff(time.ticks_ms(), begun))
    mm, quality, _ = burst(_echoes(ranger, nap, left) if ranger else [])
    found = {2: mv, 5: mm, 6: quality}
    bits = 0
    due = state[SENT] < 0
    if fit[RULES]:
        watch = Watch(fit[SHAPE], fit[RULES], state[WATCH])
        bits = watch.step(fit[BASE_S] + now_ms // 1000, mm, quality)
        state[WATCH] = bytes(watch.s)
        found[11] = watch.fault or None
        if watch.fresh:
            fill = found[4] = watch.fill
            found[7] = fill_class(fill, state[CLASS] if state[CLASS] >= 0 else None)
            found[12] = watch.speed or None
            found[13] = watch.hours_to_full()
            due |= found[7] != state[CLASS] or abs(fill - state[FILL]) > _NEWS
    now = bits & ~_MOMENT | mask
    # A heartbeat is not late by the time that a burst takes.
    due |= now != state[TOLD] or now_ms + fit[INTERVAL] // 2 >= state[SENT] + fit[QUIET]
    # It lasts for one step only, and must not go with a reading that could not be stored.
    state[MASK] = mask | now & EMPTIED
    state[SAMPLES] = samples = older(state[SAMPLES], mm)
    if not due:
        return None
    found[3] = now
    found[10] = samples[1:] or None
    return now & ~state[TOLD] != 0, found


def keep(boards, record):
    """What a reading leaves in flash is enough."""
