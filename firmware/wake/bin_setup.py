"""What a bin on a battery is set to, worked out once at an ordinary start; loaded for that, then dropped.

Settings: those of kinds/bin.py for container, rules, silence and supply. Range and supply are its only parts.
"""

from firmware.kinds.bin_container import container
from firmware.protocols.compat import const
from firmware.wake import rtc
from firmware.wake.setup import Setup

# In the state of a `Watch`: fire and temperature_high.
_STATE = const(11)
_HEAT = const(1032)


class _Box:
    """What `container` fills in."""

    _copies = None


def setup(board, cfg, boards):
    """The record of a board that has not slept yet."""
    interval_ms = cfg.interval_s * 1000
    found = Setup(board, cfg, "bin_look", interval_ms)
    e = cfg.extra
    box = _Box()
    box._copies = board.copies("watch")
    container(box, e, found.refuse)
    watch, known, mark, base_s = [getattr(box, n) for n in ("_watch", "_known", "_mark", "_base_s")]
    found.parts(("range", "a02yyuw", "supply", "supply"))
    # Nobody but a thermometer ends a fire that was told before it was set to sleep.
    watch.s[_STATE] &= ~_HEAT
    now = boards.calendar_ms()
    # In the order of bin_record.py. The calendar may go on from before a reset: base is what it adds to.
    fit = found.fit + [list(watch.shape), list(watch.r) if known else None, mark]
    fit += [e.get(15, 3300), e.get(14, 14400) * 1000, base_s - now // 1000]
    # Measured at the first wake, and then at this device's own place in the interval.
    when = [now, now - interval_ms + cfg.phase_ms(interval_ms), 0]
    return rtc.record(when, fit, [bytes(watch.s), 0, found.mask, -1, -1, [], -1], None)
