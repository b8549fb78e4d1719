"""Leak meter on a battery, in the application.

The index is in flash before it is told, so that no later one is less.
"""

from firmware.drivers.errors import DriverError
from firmware.kinds.leak_meter import SIZE, SPARE, another_life, keep
from firmware.protocols.compat import const
from firmware.wake import kind

_INTERVAL = const(3)
_COUNTER = const(4)
_SET = const(15)
_S = const(0)
_TOLD = const(1)
_INDEX = const(3)
_READING = const(5)
_LIFE = const(6)
_NEW = const(7)
_DUE = const(8)
_CLOSED = const(9)
_LOST = const(14)

_HOUR_MS = const(3600000)
_SPREAD_MS = const(600000)


class Kind(kind.Kind):
    """board, cfg, clock, report: as of every kind."""

    def __init__(self, board, cfg, clock, report, boards, kept):
        super().__init__(report, board.copies("index", SIZE), kept, SPARE)
        self._clock = clock
        # This device's own place in the hour: always the same, so it tells nothing.
        self._phase_ms = cfg.phase_ms(_SPREAD_MS)
        state = self.state
        if state[_LOST]:
            self._renew(board)
        elif state[_NEW] or self._news:
            self._keep()

    def _keep(self):
        state = self.state
        state[_NEW] = 0
        keep(self._copies, self.fit[_SET], state[_INDEX], state[_S], state[_READING], state[_LIFE])

    def _renew(self, board):
        state = self.state
        state[_LIFE] = another_life()
        state[_READING] = state[_LOST] = 0
        self._keep()
        try:
            board.part("", self.fit[_COUNTER]).begin(state[_LIFE])
        except (DriverError, ImportError):
            pass  # the next look finds it lost again

    def told(self, found, well):
        if found and well:
            self.state[_TOLD] = found[3]

    def align(self, now_ms):
        """Slots are full hours of the wire clock, where there is one, and this device's place in them."""
        state = self.state
        clock = self._clock
        if clock.quality:
            left = _HOUR_MS - (clock.wire_ms() - self._phase_ms) % _HOUR_MS
            # Half an hour at least: a clock that was set must not make a dry hour of some seconds.
            if now_ms - state[_CLOSED] + left < _HOUR_MS // 2:
                left += _HOUR_MS
            state[_DUE] = now_ms + left
        look = self.fit[_INTERVAL]
        self.when[1] = state[_DUE] - max(0, state[_DUE] - now_ms - 1) // look * look
