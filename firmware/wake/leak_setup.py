"""What a leak meter on a battery is set to, worked out once at an ordinary start; loaded for that, then dropped.

Settings: those of kinds/leak.py but the box contact. An interval of whole hours, up to 4, is that of the readings;
a shorter one is that of the looks at rope and pressure, where one is fitted, 5 minutes at least, with a reading
each hour.
"""

import struct
from binascii import crc32

from firmware.drivers.errors import DriverError
from firmware.furniture.leak import HOURS, Leak
from firmware.kinds.leak_meter import SIZE, another_life, keep, settings, taken_up
from firmware.protocols.compat import const, forget
from firmware.wake import rtc
from firmware.wake.leak_look import FAILURE, LATEST, count, judge
from firmware.wake.leak_record import HOUR_AT, HOUR_MS, INDEX, LEAK, LIFE, LOST, NEW, READING
from firmware.wake.rtc import INTERVAL
from firmware.wake.setup import Setup

_MOST_LOOKS = const(12)
_ROLES = ("pulses", "contact_pulses", "supply", "supply", "rope", "", "pressure", "")


def setup(board, cfg, boards):
    """The record of a board that has not slept yet."""
    e = cfg.extra
    found = Setup(board, cfg, "leak_look", HOUR_MS)
    rules, litres = settings(e, found.refuse)
    counter, _, rope, sender = found.parts(_ROLES, ("contact_pulses",))
    low, high = e.get(5, 0), e.get(6, 0)
    if 0 < high <= low:
        low = high = 0
        found.refuse("pressure")
    if e.get(7):
        found.refuse("contact", "power")
    hours = max(1, cfg.interval_s // 3600)
    if hours > HOURS:
        hours = HOURS
        found.refuse("interval", "power")
    fit = found.fit
    if rope or sender:
        fit[INTERVAL] = HOUR_MS // min(_MOST_LOOKS, max(1, 3600 // cfg.interval_s))
    set_l = e.get(1, 0)
    fit += [list(rules), litres, e.get(3, 60) * 60, e.get(4, 3300), low, high, hours, set_l]

    copies = board.copies("index", SIZE)
    index, s, reading, life = taken_up(copies, set_l)
    late = _latest(boards.nvs(), cfg.owner(), set_l)
    if late[2] == life > 0 and late[0] - index & 0x3FFFFFFF < 0x20000000:
        index, reading = late[:2]
    leak = Leak(index, rules, s)
    now = boards.calendar_ms()
    # In the order of leak_record.py, as `fit`.
    state = [bytes(leak.s), 0, found.mask, index, index, reading, life, 0, now + HOUR_MS, now, [], -1, 1]
    state += [[0] * 7, 0, leak.alarms]
    if counter:
        _take_up(counter, fit, state, copies, set_l)
        # What it counted while nobody looked belongs to no hour.
        state[HOUR_AT] = state[INDEX]
    # They would stay with the application.
    forget("wake.leak_look", "wake.look")
    return rtc.record([now, now + fit[INTERVAL], 0], fit, state, None)


def _latest(nvs, owner, set_l):
    """(index, reading, life) that a wake without a reading has left in NVS."""
    raw = bytearray(20)
    try:
        if nvs.get_blob(LATEST + owner, raw) == 20:
            f = struct.unpack(">5I", raw)
            if f[0] == set_l and f[4] == crc32(raw[:16]):
                return f[1:4]
    except OSError:
        pass
    return 0, 0, 0


def _take_up(counter, fit, state, copies, set_l):
    count(counter, fit, state)
    lost = state[LOST]
    if lost:
        if state[LIFE]:
            judge(state, FAILURE, True)
        state[LIFE] = another_life()
        state[READING] = state[LOST] = 0
    if lost or state[NEW]:
        keep(copies, set_l, state[INDEX], state[LEAK], state[READING], state[LIFE])
        state[NEW] = 0
    if lost:
        try:
            counter.begin(state[LIFE])
        except DriverError:
            pass  # the first wake finds it lost again
