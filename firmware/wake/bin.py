"""Bin on a battery, in the application."""

import struct

from firmware.wake import kind
from firmware.wake.bin_record import (
    BASE_S,
    CLASS,
    EMPTIED,
    FILL,
    MARK,
    MASK,
    SAMPLES,
    SENT,
    TOLD,
    WATCH,
)

# What a short carrier leaves out: the older distances, forecast, speed, supply, fault, quality.
SPARE = b"\x0a\x0d\x0c\x02\x0b\x06"


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
        state[TOLD] = found[3] & ~EMPTIED
        state[MASK] &= ~EMPTIED
        state[SENT] = now
        state[SAMPLES] = []
        if 4 in found:
            state[FILL] = found[4]
            state[CLASS] = found[7]
        # What a power cut leaves, in the layout of kinds/bin.py.
        t_s = self.fit[BASE_S] + now // 1000
        self._copies.write(struct.pack(">III", self.fit[MARK], t_s, 0) + state[WATCH])
