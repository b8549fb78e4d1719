"""What a node that sleeps keeps in the 2,048 bytes of RTC memory: one CBOR list behind its CRC-32. Pure.

It is a cache. Whoever cannot read it starts as after a power cut, from the records of TRUST 3 and 11.
"""

import struct
from binascii import crc32

from firmware.protocols.cbor import WireError, decode, encode, put_head, put_raw
from firmware.protocols.compat import const

_LAYOUT = const(2)  # of the list; a bundle with another one starts anew
_SIZE = const(2048)

# The list: layout, WHEN, FIT, STATE, NODE, NEWS.
WHEN = const(1)  # [NODE's age, next measurement, next transmission or 0], ms of the calendar
FIT = const(2)  # board, module that measures, owner, interval ms, the kind's: wake/<kind>_record.py
STATE = const(3)  # of the furniture: the same
NODE = const(4)  # numbers, queues, clock: firmware/wake/node.py
NEWS = const(5)  # what the measurement of this wake has to say, or None

# Of FIT, for every kind.
OWNER = const(2)
INTERVAL = const(3)

# Where the next measurement is so near that sleeping until it would cost more than it saves.
SOON_MS = const(1000)

# The calendar runs on an RC oscillator in deep sleep. ESP-IDF calibrates it at each start; what a day and night in
# a street make of it since is not measured: 5 %.
DRIFT_PERCENT = const(5)


def pack(items, room=None):
    """What to keep, as a view of `room` or of a new buffer; WireError too_long beyond it.

    In small pieces: in a heap full of the application none may be long enough for all of it.
    """
    buf = room or bytearray(_SIZE)
    buf[4] = 0x86
    pos = 5
    for item in items:
        parts = item if isinstance(item, list) else (item,)
        if parts is item:
            pos = put_head(buf, pos, 4, len(item))
        for part in parts:
            pos = put_raw(buf, pos, encode(part))
    view = memoryview(buf)[:pos]
    struct.pack_into(">I", buf, 0, crc32(view[4:]))
    return view


def unpack(raw):
    """The list, or None where nothing whole of this layout is there."""
    if len(raw) < 5 or struct.unpack(">I", raw[:4])[0] != crc32(raw[4:]):
        return None
    try:
        items = decode(raw, 4, None, 5, 400)
    except WireError:
        return None
    return items if isinstance(items, list) and len(items) == 6 and items[0] == _LAYOUT else None


def record(when, fit, state, node, news=None):
    return [_LAYOUT, when, fit, state, node, news]


def slept_ms(when, now_ms):
    """(at least, at most) of what has passed since the record was written; None where the calendar cannot be
    the one it was written by."""
    ms = now_ms - when[0]
    # Heartbeats are days apart at most, and a calendar that was set since jumps by years.
    if not 0 <= ms < 1 << 31:
        return None
    off = ms * DRIFT_PERCENT // 100
    return ms - off, ms + off
