"""Leak meter on a battery, in the application.

The index is in flash before it is told, so that no later one is less.
"""

from firmware.drivers.errors import DriverError
from firmware.kinds.leak_meter import SIZE, SPARE, another_life, keep
from firmware.protocols.compat import const
from firmware.wake import kind
from firmware.wake.leak_record import (
    CLOSED,
    COUNTER,
    DUE,
    HOUR_MS,
    INDEX,
    LEAK,
    LIFE,
    LOST,
    NEW,
    READING,
    SET,
    TOLD,
)
from firmware.wake.rtc import INTERVAL

_SPREAD_MS = const(600000)


class Kind(kind.Kind):
    """board, cfg, clock, report: as of every kind."""

    def __init__(self, board, cfg, clock, report, boards, kept):
        super().__init__(report, board.copies("index", SIZE), kept, SPARE)
        self._clock = clock
        # This device's own place in the hour: always the same, so it tells nothing.
        self._phase_ms = cfg.phase_ms(_SPREAD_MS)
        state = self.state
        if state[LOST]:
            self._renew(board)
        elif state[NEW] or self._news:
            self._keep()

    def _keep(self):
        state = self.state
        state[NEW] = 0
        keep(self._copies, self.fit[SET], state[INDEX], state[LEAK], state[READING], state[LIFE])

    def _renew(self, board):
        state = self.state
        state[LIFE] = another_life()
        state[READING] = state[LOST] = 0
        self._keep()
        try:
            board.part("", self.fit[COUNTER]).begin(state[LIFE])
        except (DriverError, ImportError):
            pass  # the next look finds it lost again

    def told(self, found, well):
        if found and well:
            self.state[TOLD] = found[3]

    def align(self, now_ms):
        """Slots are full hours of the wire clock, where there is one, and this device's place in them."""
        state = self.state
        clock = self._clock
        if clock.quality:
            left = HOUR_MS - (clock.wire_ms() - self._phase_ms) % HOUR_MS
            # Half an hour at least: a clock that was set must not make a dry hour of some seconds.
            if now_ms - state[CLOSED] + left < HOUR_MS // 2:
                left += HOUR_MS
            state[DUE] = now_ms + left
        look = self.fit[INTERVAL]
        self.when[1] = state[DUE] - max(0, state[DUE] - now_ms - 1) // look * look
