"""A burst of a bin and what the rules make of it. Loaded for each measurement, then dropped: it is needed for some
seconds of a quarter of an hour, and a signature for a moment between two of them.
"""

from firmware.drivers.errors import DriverError
from firmware.furniture.bin import Watch, fill_class
from firmware.furniture.echo import burst, in_air
from firmware.protocols.compat import const

MODULES = ("kinds.bin_measure", "furniture.bin", "furniture.echo", "furniture.geometry")

_FILL = const(4)
_DISTANCE = const(5)
_QUALITY = const(6)
_CLASS = const(7)
_FAULT = const(11)
_SPEED = const(12)
_FULL_IN = const(13)

_ECHOES = const(7)
# A processed echo comes every 300 ms at the slowest.
_ECHO_MS = const(310)


async def _echoes(part, nap):
    found = []
    try:
        wait = part.start()
        for _ in range(_ECHOES):
            await nap(wait)
            wait = _ECHO_MS
            try:
                found.append(part.read_mm())
            except DriverError:
                found.append(None)
    except DriverError:
        pass
    finally:
        part.stop()
    return found


def _watch(kind):
    watch = Watch(kind._shape, kind._rules, bytes(kind._s))
    kind._s = watch.s
    return watch


def heat(kind, now, ddegc):
    """Judge a temperature at monotonic `now`, ms."""
    kind._bits = _watch(kind).heat(kind._base_s + now // 1000, ddegc)


async def measure(kind):
    """A burst into the values; what was not measured is absent."""
    values = kind._report.values
    more = kind._more
    part = kind._range
    air = more.ddegc if more else None
    if air is not None and hasattr(part, "temp_ddegc"):
        part.temp_ddegc = air
    mm, quality, _ = burst(await _echoes(part, kind._nap) if part else [])
    if mm is not None and air is not None and kind._air:
        mm = in_air(mm, air)
    for key in range(_FILL, _CLASS + 1):
        values[key] = None
    for key in range(_FAULT, _FULL_IN + 1):
        values[key] = None
    values[_DISTANCE] = mm
    values[_QUALITY] = quality
    if not kind._known:
        return
    watch = _watch(kind)
    t_s = kind._base_s + kind._clock.now_ms() // 1000
    kind._bits = watch.step(t_s, mm, quality, more and more.tilt, more and more.lid)
    values[_FAULT] = watch.fault or None
    if watch.fresh:
        values[_FILL] = watch.fill
        values[_CLASS] = fill_class(watch.fill, kind._class)
        values[_SPEED] = watch.speed or None
        values[_FULL_IN] = watch.hours_to_full()
