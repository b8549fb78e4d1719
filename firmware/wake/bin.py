"""Bin on a battery, in the application: sends what was measured, once, and lets the board sleep.

Nothing is measured here: that is done before the application is loaded (bin_look.py).
"""

import asyncio
import struct

from firmware.protocols.compat import const
from firmware.wake import rtc

_EMPTIED = const(2)
_ROUND_MS = const(300000)
# What a short carrier leaves out: the older distances, forecast, speed, supply, fault, quality.
SPARE = b"\x0a\x0d\x0c\x02\x0b\x06"

_MARK = const(5)
_BASE_S = const(9)
_WATCH = const(0)
_TOLD = const(1)
_MASK = const(2)
_FILL = const(3)
_CLASS = const(4)
_SAMPLES = const(5)
_SENT = const(6)


class Kind:
    """board, cfg, clock, report: as of every kind; boards: firmware/board.py, for its calendar; kept: the record
    of this wake or of bin_setup.py, whose first measurement is that of the first wake.

    `done`: there is nothing more to say; whoever says hello sets it. `fit`, `state`, `when` go into the record.
    """

    OPS = ()
    LISTEN = False

    def __init__(self, board, cfg, clock, report, boards, kept):
        self._report = report
        report.spare = SPARE
        self._boards = boards
        self._copies = board.copies("watch")
        self.fit = kept[rtc.FIT]
        self.state = kept[rtc.STATE]
        self.when = kept[rtc.WHEN]
        self._news = kept[rtc.NEWS]
        self.done = kept[rtc.NODE] is not None and not self._news
        self._copies.read()

    def execute(self, op, args):
        return "op_refused"

    def _tell(self):
        alarm, found = self._news or (False, {})
        self._news = None
        values = self._report.values
        for key in found:
            values[key] = found[key]
        state = self.state
        now = self._boards.calendar_ms()
        if not self._report.send(alarm):
            mm = found[5]
            state[_SAMPLES] = [] if mm is None else [mm] + state[_SAMPLES][:23]
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

    async def run(self, alive):
        if self._news:
            self._tell()
            self.done = True
        while True:
            alive()
            await asyncio.sleep_ms(_ROUND_MS)
