"""What the rules make of a burst of a bin. Loaded for each measurement, then dropped."""

from firmware.furniture.bin import Watch, fill_class
from firmware.protocols.compat import const

_FILL = const(4)
_DISTANCE = const(5)
_QUALITY = const(6)
_CLASS = const(7)
_FAULT = const(11)
_SPEED = const(12)
_FULL_IN = const(13)


def level(kind, mm, quality, raw):
    """A burst's distance and quality into the values; what was not measured is absent."""
    values = kind._report.values
    values[_DISTANCE] = mm
    values[_QUALITY] = quality
    for key in (_FILL, _CLASS, _FAULT, _SPEED, _FULL_IN):
        values[key] = None
    if not kind._shape:
        return
    tilt, _, lid = kind._more[:3] if kind._more else (0, 0, False)
    watch = Watch(kind._shape, kind._rules, bytes(kind._s))
    kind._s = watch.s
    t_s = kind._base_s + kind._clock.now_ms() // 1000
    kind._bits = watch.step(t_s, mm, quality, tilt, lid, raw)
    _tell(values, watch, kind._class)


# In pieces: so late there is no long one left of the heap.
def _tell(values, watch, before):
    values[_FAULT] = watch.fault or None
    if watch.fresh:
        values[_FILL] = watch.fill
        values[_CLASS] = fill_class(watch.fill, before)
        values[_SPEED] = watch.speed or None
        values[_FULL_IN] = watch.hours_to_full()
