"""Leak meter on a battery: what its counter, rope and pressure say.

The rules are those of kinds/leak.py: all is told in slots that only the clock sets, between them the state alone,
and that only for rope, pressure and a dead part.

FIT from 4: counter, supply, rope, pressure (names of parts), rules, litres per pulse, seconds of local time before
UTC, low mV, lowest and highest Pa, hours to a reading, index at installation. STATE: state of the rules, alarms
told, alarms of the parts, index, index of the last hour, reading, life, pulses since the record in flash, calendar
ms of the next slot and of the last one, volumes, flow or -1, hours to the next reading, looks in a row (list by
alarm from 6 on), 1 where the counter was without supply, alarms of the rules.
"""

import struct
from binascii import crc32

from firmware.drivers.errors import ChipError, DriverError
from firmware.protocols.compat import const
from firmware.wake.look import low_supply
from firmware.wake.rtc import FIT, NODE, SOON_MS, STATE, WHEN

_OWNER = const(2)
_COUNTER = const(4)
_SUPPLY = const(5)
_ROPE = const(6)
_PRESSURE = const(7)
_RULES = const(8)
_LITRES = const(9)
_ZONE_S = const(10)
_LOW_MV = const(11)
_LEAST_PA = const(12)
_MOST_PA = const(13)
_HOURS = const(14)
_SET = const(15)

_S = const(0)
_TOLD = const(1)
_MASK = const(2)
_INDEX = const(3)
_HOUR_AT = const(4)
_READING = const(5)
_LIFE = const(6)
_NEW = const(7)
_DUE = const(8)
_CLOSED = const(9)
_HOURLY = const(10)
_FLOW = const(11)
_LEFT = const(12)
_LOOKS = const(13)
_LOST = const(14)
_ALARMS = const(15)

LATEST = "late"

# Bits of the field table.
_WET = const(6)
_BROKEN = const(7)
_LOW = const(1 << 8)
_PRESSURE_LOW = const(10)
_PRESSURE_HIGH = const(11)
_FAILURE = const(12)
# Told between slots; signed at once.
_PARTS = const(0x1CC0)
_HURRY = const(0x1EE2)

_HOUR_MS = const(3600000)
_SAVE_PULSES = const(100)
_LOW_PULSES = const(10)
# Wakes in a row that end an alarm of a part; two looks within one wake begin it.
_END = const(3)
_TABLE_PA = const(4000000)  # most, of the field table
_TRIES = const(2)


def judge(state, bit, bad):
    looks = state[_LOOKS]
    n = looks[bit - _WET] + 1
    if bad == bool(state[_MASK] >> bit & 1):
        n = 0
    elif bad or n >= _END:
        state[_MASK] ^= 1 << bit
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
        rope = part(fit[_ROPE])
        if rope:
            says = _twice(rope.read)
            if says is not None:
                judge(state, _WET, says == 1)
                judge(state, _BROKEN, says > 1)
    except DriverError:
        failed = True
    try:
        sender = part(fit[_PRESSURE])
        if sender:
            low = fit[_LEAST_PA]
            high = fit[_MOST_PA]
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
    counter.go_on(state[_READING], state[_LIFE])
    for _ in range(_TRIES):
        try:
            n = counter.update()
        except ChipError as e:
            if e.args[1] == "lost":
                state[_LOST] = 1
                return False
            # It fell: it goes on from where it is.
            state[_READING] = counter.reading()
            return False
        except DriverError:
            continue
        state[_READING] = counter.reading()
        state[_NEW] += n
        state[_INDEX] = state[_INDEX] + n * fit[_LITRES] & 0x3FFFFFFF
        return True
    return False


def _close(fit, state, node, at_ms, now_ms):
    """Close the hour; node: of the record, which knows the time at calendar `at_ms`."""
    from firmware.furniture.leak import Leak

    ms = now_ms - state[_CLOSED]
    state[_CLOSED] = now_ms
    of_day = -1
    quality, wire_ms = node[1][:2]
    if quality:
        # Of the middle of what is closed.
        wire = (wire_ms + now_ms - at_ms - ms // 2) // 1000
        of_day = (wire + fit[_ZONE_S]) // 3600 % 24
    leak = Leak(state[_HOUR_AT], fit[_RULES], state[_S])
    leak.hourly = state[_HOURLY]
    leak.hour(state[_INDEX], ms, of_day)
    state[_HOUR_AT] = leak.index_l
    state[_S] = bytes(leak.s)
    state[_HOURLY] = leak.hourly
    state[_FLOW] = -1 if leak.flow_dlh is None else leak.flow_dlh
    state[_ALARMS] = leak.alarms


def look(record, part, nap, now_ms):
    """Look at calendar `now_ms`: (alarm, {key: value} of the reading to send), empty where only the application
    can mend something, or None for nothing to say. part(name) opens a part or gives None."""
    fit = record[FIT]
    state = record[STATE]
    counter = part(fit[_COUNTER])
    sure = count(counter, fit, state)
    mv, state[_MASK] = low_supply(part(fit[_SUPPLY]), state[_MASK], fit[_LOW_MV])
    pa, failed = _more(fit, state, part)
    judge(state, _FAILURE, failed or (fit[_COUNTER] != "none" and not sure))
    slot = now_ms + SOON_MS >= state[_DUE]
    if slot:
        if sure:
            _close(fit, state, record[NODE], record[WHEN][0], now_ms)
        while state[_DUE] <= now_ms + SOON_MS:
            state[_DUE] += _HOUR_MS
        state[_LEFT] -= 1
    alarms = state[_ALARMS]
    mask = alarms | state[_MASK]
    told = state[_TOLD]
    found = {2: mv, 3: mask, 4: None, 5: None, 6: None, 7: alarms & 3, 8: pa}
    if slot and state[_LEFT] <= 0:
        state[_LEFT] = fit[_HOURS]
        if sure:
            found[4] = state[_INDEX]
            found[5] = None if state[_FLOW] < 0 else state[_FLOW]
            found[6] = state[_HOURLY] or None
    elif not (mask ^ told) & _PARTS:
        return (False, {}) if state[_LOST] else None
    return mask & ~told & _HURRY != 0, found


def keep(boards, record):
    """Before the board sleeps without a reading: where too many pulses are not in flash, the index goes into NVS
    alone, as >IIII index at installation, index, reading, life, and CRC-32. Both copies follow with the reading.
    """
    fit = record[FIT]
    state = record[STATE]
    if state[_NEW] < (_LOW_PULSES if state[_MASK] & _LOW else _SAVE_PULSES):
        return
    raw = struct.pack(">IIII", fit[_SET], state[_INDEX], state[_READING], state[_LIFE])
    nvs = boards.nvs()
    try:
        nvs.set_blob(LATEST + fit[_OWNER], raw + struct.pack(">I", crc32(raw)))
        nvs.commit()
        state[_NEW] = 0
    except OSError as e:
        print("index:", repr(e))
