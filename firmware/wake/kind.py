"""What every kind of furniture on a battery does in the application: sends what was measured, once, and lets the
board sleep.

Nothing is measured here: that is done before the application is loaded (firmware/wake/<kind>_look.py).
"""

import asyncio

from firmware.protocols.compat import const
from firmware.wake.rtc import FIT, NEWS, NODE, STATE, WHEN

_ROUND_MS = const(300000)


class Kind:
    """report: as of every kind; copies: what outlives the power; kept: the record of this wake or of
    <kind>_setup.py, whose first measurement is that of the first wake.

    `done`: there is nothing more to say; whoever says hello sets it. `fit`, `state`, `when` go into the record.
    """

    OPS = ()
    LISTEN = False

    def __init__(self, report, copies, kept, spare):
        self._report = report
        report.spare = spare
        self._copies = copies
        self.fit = kept[FIT]
        self.state = kept[STATE]
        self.when = kept[WHEN]
        self._news = kept[NEWS]
        self.done = kept[NODE] is not None and not self._news
        copies.read()

    def execute(self, op, args):
        return "op_refused"

    def told(self, found, well):
        """What was to be sent is stored; `well` false: it could not be."""

    def align(self, now_ms):
        """Before the board sleeps, at calendar `now_ms`."""

    async def run(self, alive):
        if self._news:
            alarm, found = self._news
            self._news = None
            values = self._report.values
            for key in found:
                values[key] = found[key]
            # Nothing to send: the application was wanted for another reason.
            self.told(found, not found or self._report.send(alarm))
            self.done = True
        while True:
            alive()
            await asyncio.sleep_ms(_ROUND_MS)
