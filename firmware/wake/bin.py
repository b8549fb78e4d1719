"""Bin on a battery, in the application."""

import struct

from firmware.protocols.compat import const
from firmware.wake import kind

_EMPTIED = const(2)
# What a short carrier leaves out: the older distances, forecast, speed, supply, fault, quality.
SPARE = b"\x0a\x0d\x0c\x02\x0b\x06"

_MARK = const(8)
_BASE_S = const(11)
_WATCH = const(0)
_TOLD = const(1)
_MASK = const(2)
_FILL = const(3)
_CLASS = const(4)
_SAMPLES = const(5)
_SENT = const(6)


class Kind(kind.Kind):
    """board, cfg, clock, report: as of every kind; boards: firmware/board.py, for its calendar."""

    def __init__(self, board, cfg, clock, report, boards, kept):
        super().__init__(report, board.copies("watch"), kept, SPARE)
        self._boards = boards

    def told(self, found, well):
        state = self.state
        now = self._boards.calendar_ms()
        if not well:
            return
        state[_TOLD] = found[3] & ~_EMPTIED
        state[_MASK] &= ~_EMPTIED
        state[_SENT] = now
        state[_SAMPLES] = []
        if 4 in found:
            state[_FILL] = found[4]
            state[_CLASS] = found[7]
        # What a power cut leaves, in the layout of kinds/bin.py.
        t_s = self.fit[_BASE_S] + now // 1000
        self._copies.write(struct.pack(">III", self.fit[_MARK], t_s, 0) + state[_WATCH])
