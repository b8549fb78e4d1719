"""Tilt, thermometer and lid of a bin, looked at once a minute where one of them is fitted; loaded for each look.

Settings: 17 to 19 what the tilt sensor says of x, y and z upright, mg and 2048 (0, 0, 1000: flat, face up), 20
the contact that closes when the lid opens, 100 more where it opens then (0: none), 21 minutes that a lid may be
open (10).
"""

from firmware.drivers.errors import DriverError, NotReady
from firmware.protocols.compat import const

# Keys of the field table, and bits of its alarms.
_TEMPERATURE = const(8)
_INCLINED = const(9)
_TILTED = const(16)
_LID_OPEN = const(32)
_FAILURE = const(128)
_TILT_DEG = const(30)
_UPRIGHT_DEG = const(20)
_BOUNCE_MS = const(40)
_FAILED = const(6)  # looks in a row

# What a bin keeps of them from look to look, a list: what they say, then the alarms, the parts (or None each) and
# their settings, and what is counted.
_DEG = const(0)
_DDEGC = const(1)
_OPEN = const(2)
_ALARMS = const(3)
_TILT = const(4)
_THERMOMETER = const(5)
_LID = const(6)
_OPENS = const(7)
_OPEN_MS = const(8)
_UPRIGHT = const(9)
_SINCE = const(11)
_ROM = const(12)
_TWICE = const(13)
_BAD = const(14)


async def look(kind, now):
    """One look at monotonic `now`, ms, into the values. Alarms: tilted in two looks (a bin that is emptied is
    tilted for seconds), lid open for too long, a part that fails; a fire as the rules have it."""
    more = kind._more
    nap = kind._nap
    failed = False
    lid = more[_LID]
    if lid:
        lid.update()
        await nap(_BOUNCE_MS)
        _lid(more, now, lid.update() == more[_OPENS])
    try:
        if more[_TILT]:
            await nap(more[_TILT].start())
            _tilt(more)
    except NotReady:
        pass  # shaken: it stands as it stood
    except DriverError:
        more[_DEG] = None
        failed = True
    more[_DDEGC] = None
    ds = more[_THERMOMETER]
    try:
        if ds:
            if not more[_ROM]:
                more[_ROM] = (ds.scan() or (None,))[0]
            await nap(ds.start())
            _heat(kind, more, now, ds.read(more[_ROM]))
    except DriverError:
        more[_ROM] = None  # it may be another one by then
        failed = True
    more[_BAD] = bad = min(more[_BAD] + 1, _FAILED) if failed else 0
    more[_ALARMS] = more[_ALARMS] & ~_FAILURE | (_FAILURE if bad == _FAILED else 0)
    values = kind._report.values
    values[_TEMPERATURE] = more[_DDEGC]
    values[_INCLINED] = more[_DEG]


# In pieces: so late there is no long one left of the heap.
def _lid(more, now, is_open):
    more[_OPEN] = is_open
    if not is_open:
        more[_SINCE] = None
        more[_ALARMS] &= ~_LID_OPEN
    elif more[_SINCE] is None:
        more[_SINCE] = now
    elif now - more[_SINCE] >= more[_OPEN_MS]:
        more[_ALARMS] |= _LID_OPEN


def _tilt(more):
    more[_DEG] = deg = more[_TILT].tilt(more[_UPRIGHT])
    was = more[_ALARMS] & _TILTED
    if (deg >= (_UPRIGHT_DEG if was else _TILT_DEG)) == bool(was):
        more[_TWICE] = 0
    else:
        more[_TWICE] ^= 1
        if not more[_TWICE]:
            more[_ALARMS] ^= _TILTED


def _heat(kind, more, now, ddegc):
    # The field table begins there; so does no bin.
    if ddegc >= -400:
        from firmware.furniture.fire import heat

        more[_DDEGC] = ddegc
        kind._bits = heat(kind._s, kind._rules, kind._base_s + now // 1000, ddegc)
