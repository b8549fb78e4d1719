"""What a bin on a battery is set to, worked out once at an ordinary start; loaded for that, then dropped.

Settings: those of kinds/bin.py for container, rules, silence and supply. Range and supply are its only parts.
"""

from firmware.drivers.errors import DriverError
from firmware.kinds.bin_container import container
from firmware.protocols.compat import const
from firmware.wake import rtc

_INVALID = const(1 << 13)
_USUAL = ("range", "a02yyuw", "supply", "supply")


class _Setup:
    def __init__(self, copies):
        self._copies = copies
        self.mask = 0

    def refuse(self, *why):
        print("config:", *why)
        self.mask = _INVALID


def setup(board, cfg, boards):
    """The record of a board that has not slept yet. What cannot be is named on the console and in each reading."""
    found = _Setup(board.copies("watch"))
    e = cfg.extra
    container(found, e, found.refuse)
    watch, known, mark, base_s = [getattr(found, n) for n in ("_watch", "_known", "_mark", "_base_s")]
    names = cfg.parts
    for i in range(0, len(names), 2):
        if names[i] not in _USUAL and names[i + 1] != "none":
            found.refuse(names[i], "power")
    fit = [cfg.board]
    for i in (0, 2):
        name = names[names.index(_USUAL[i]) + 1] if _USUAL[i] in names else _USUAL[i + 1]
        fit.append(name)
        # Each wake opens them anew; here is told what cannot be.
        try:
            board.part("", name)
        except (DriverError, ImportError) as err:
            found.refuse(name, *err.args)
    interval_ms = cfg.interval_s * 1000
    now = boards.calendar_ms()
    fit += [list(watch.shape), list(watch.r) if known else None, mark]
    # The calendar may go on from before a reset: base is what it adds to.
    fit += [e.get(15, 3300), e.get(14, 14400) * 1000, interval_ms, base_s - now // 1000]
    # Measured at the first wake, and then at this device's own place in the interval.
    when = [now, now - interval_ms + cfg.phase_ms(interval_ms), 0]
    return rtc.record(when, fit, [bytes(watch.s), 0, found.mask, -1, -1, [], -1], None)
