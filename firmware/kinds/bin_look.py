"""What a bin reads: supply, further parts, and the echoes of a burst. Loaded for each look, then dropped."""

from firmware.drivers.errors import DriverError
from firmware.protocols.compat import const

_SUPPLY = const(2)
_LOW = const(1 << 8)
_LOW_MARGIN_MV = const(100)

_ECHOES = const(7)
# A processed echo comes every 300 ms at the slowest.
_ECHO_MS = const(310)


async def look(kind, now, measured):
    """At monotonic `now`, ms, into the values; of a burst (distance mm or None, quality %, the sensor's own mm),
    else None."""
    mv = None
    try:
        if kind._supply:
            mv = kind._supply.read_mv()
            low = kind._low_mv + (_LOW_MARGIN_MV if kind._mask & _LOW else 0)
            kind._mask = kind._mask & ~_LOW | (_LOW if mv < low else 0)
    except DriverError:
        pass
    kind._report.values[_SUPPLY] = mv
    more = kind._more
    if more:
        from firmware.kinds.bin_extras import look

        await look(kind, now)
    return await _burst(kind, more, more[1] if more else None) if measured else None


async def _burst(kind, more, air):
    part = kind._range
    found = []
    if part:
        try:
            wait = part.start()
            for _ in range(_ECHOES):
                await kind._nap(wait)
                wait = _ECHO_MS
                try:
                    found.append(part.read_mm())
                except DriverError:
                    found.append(None)
        except DriverError:
            pass
        finally:
            part.stop()
    from firmware.furniture.echo import burst, in_air, older

    raw, quality, _ = burst(found)
    mm = raw
    if mm is not None and air is not None and more[10]:
        mm = in_air(mm, air)
    kind._samples = older(kind._samples, mm)
    return mm, quality, raw
