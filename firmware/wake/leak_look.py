"""Leak meter on a battery: what its counter, rope and pressure say.

The rules are those of kinds/leak.py: all is told in slots that only the clock sets, between them the state alone,
and that only for rope, pressure and a dead part.
"""

import struct
from binascii import crc32

from firmware.drivers.errors import ChipError, DriverError
from firmware.protocols.compat import const
from firmware.wake.leak_record import (
    ALARMS,
    CLOSED,
    COUNTER,
    DUE,
    FLOW,
    HOUR_AT,
    HOUR_MS,
    HOURLY,
    HOURS,
    INDEX,
    LEAK,
    LEAST_PA,
    LEFT,
    LIFE,
    LITRES,
    LOOKS,
    LOST,
    LOW_MV,
    MASK,
    MOST_PA,
    NEW,
    PRESSURE,
    READING,
    ROPE,
    RULES,
    SET,
    SUPPLY,
    TOLD,
    ZONE_S,
)
from firmware.wake.look import low_supply
from firmware.wake.rtc import FIT, NODE, OWNER, SOON_MS, STATE, WHEN

LATEST = "late"

# Bits of the field table.
_WET = const(6)
_BROKEN = const(7)
_LOW = const(1 << 8)
_PRESSURE_LOW = const(10)
_PRESSURE_HIGH = const(11)
FAILURE = const(12)
# Told between slots; signed at once.
_PARTS = const(0x1CC0)
_HURRY = const(0x1EE2)

_SAVE_PULSES = const(100)
_LOW_PULSES = const(10)
# Wakes in a row that end an alarm of a part; two looks within one wake begin it.
_END = const(3)
_TABLE_PA = const(4000000)  # most, of the field table
_TRIES = const(2)


def judge(state, bit, bad):
    looks = state[LOOKS]
    n = looks[bit - _WET] + 1
    if bad == bool(state[MASK] >> bit & 1):
        n = 0
    elif bad or n >= _END:
        state[MASK] ^= 1 << bit
        n = 0
    looks[bit - _WET] = n


def _twice(read):
    """What two looks in a row agree on, None where they do not."""
    first = read()
    return first if read() == first else None


def _more(fit, state, part):
    """Rope and pressure: (Pa or None, whether one of them failed)."""
    failed = False
    pa = None
    try:
        rope = part(fit[ROPE])
        if rope:
            says = _twice(rope.read)
            if says is not None:
                judge(state, _WET, says == 1)
                judge(state, _BROKEN, says > 1)
    except DriverError:
        failed = True
    try:
        sender = part(fit[PRESSURE])
        if sender:
            low = fit[LEAST_PA]
            high = fit[MOST_PA]
            pa = sender.read_pa()
            out = (pa < low, 0 < high < pa)
            if out != (False, False):
                again = sender.read_pa()
                out = (max(pa, again) < low, 0 < high < min(pa, again))
            pa = min(max(pa, 0), _TABLE_PA)
            judge(state, _PRESSURE_LOW, out[0])
            judge(state, _PRESSURE_HIGH, out[1])
    except DriverError:
        failed = True
    return pa, failed


def count(counter, fit, state):
    """Bring the index up to date; False where nobody says how many pulses there were."""
    if not counter:
        return False
    counter.go_on(state[READING], state[LIFE])
    for _ in range(_TRIES):
        try:
            n = counter.update()
        except ChipError as e:
            if e.args[1] == "lost":
                state[LOST] = 1
                return False
            # It fell: it goes on from where it is.
            state[READING] = counter.reading()
            return False
        except DriverError:
            continue
        state[READING] = counter.reading()
        state[NEW] += n
        state[INDEX] = state[INDEX] + n * fit[LITRES] & 0x3FFFFFFF
        return True
    return False


def _close(fit, state, node, at_ms, now_ms):
    """Close the hour; node: of the record, which knows the time at calendar `at_ms`."""
    from firmware.furniture.leak import Leak

    ms = now_ms - state[CLOSED]
    state[CLOSED] = now_ms
    of_day = -1
    quality, wire_ms = node[1][:2]
    if quality:
        # Of the middle of what is closed.
        wire = (wire_ms + now_ms - at_ms - ms // 2) // 1000
        of_day = (wire + fit[ZONE_S]) // 3600 % 24
    leak = Leak(state[HOUR_AT], fit[RULES], state[LEAK])
    leak.hourly = state[HOURLY]
    leak.hour(state[INDEX], ms, of_day)
    state[HOUR_AT] = leak.index_l
    state[LEAK] = bytes(leak.s)
    state[HOURLY] = leak.hourly
    state[FLOW] = -1 if leak.flow_dlh is None else leak.flow_dlh
    state[ALARMS] = leak.alarms


def look(record, part, nap, now_ms):
    """Look at calendar `now_ms`: (alarm, {key: value} of the reading to send), empty where only the application
    can mend something, or None for nothing to say. part(name) opens a part or gives None."""
    fit = record[FIT]
    state = record[STATE]
    counter = part(fit[COUNTER])
    sure = count(counter, fit, state)
    mv, state[MASK] = low_supply(part(fit[SUPPLY]), state[MASK], fit[LOW_MV])
    pa, failed = _more(fit, state, part)
    judge(state, FAILURE, failed or (fit[COUNTER] != "none" and not sure))
    slot = now_ms + SOON_MS >= state[DUE]
    if slot:
        if sure:
            _close(fit, state, record[NODE], record[WHEN][0], now_ms)
        while state[DUE] <= now_ms + SOON_MS:
            state[DUE] += HOUR_MS
        state[LEFT] -= 1
    alarms = state[ALARMS]
    mask = alarms | state[MASK]
    told = state[TOLD]
    found = {2: mv, 3: mask, 4: None, 5: None, 6: None, 7: alarms & 3, 8: pa}
    if slot and state[LEFT] <= 0:
        state[LEFT] = fit[HOURS]
        if sure:
            found[4] = state[INDEX]
            found[5] = None if state[FLOW] < 0 else state[FLOW]
            found[6] = state[HOURLY] or None
    elif not (mask ^ told) & _PARTS:
        return (False, {}) if state[LOST] else None
    return mask & ~told & _HURRY != 0, found


def keep(boards, record):
    """Before the board sleeps without a reading: where too many pulses are not in flash, the index goes into NVS
    alone, as >IIII index at installation, index, reading, life, and CRC-32. Both copies follow with the reading.
    """
    fit = record[FIT]
    state = record[STATE]
    if state[NEW] < (_LOW_PULSES if state[MASK] & _LOW else _SAVE_PULSES):
        return
    raw = struct.pack(">IIII", fit[SET], state[INDEX], state[READING], state[LIFE])
    nvs = boards.nvs()
    try:
        nvs.set_blob(LATEST + fit[OWNER], raw + struct.pack(">I", crc32(raw)))
        nvs.commit()
        state[NEW] = 0
    except OSError as e:
        print("index:", repr(e))
