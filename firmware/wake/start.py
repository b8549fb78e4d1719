"""First code of a board that wakes from deep sleep: measures, and sleeps again where there is nothing to say.

Everything it needs is in the record of RTC memory: no settings are read, no file is opened.
"""

import gc
import time

from firmware import board as boards
from firmware.drivers.errors import DriverError
from firmware.wake import rtc
from firmware.wake.rtc import FIT, NEWS, STATE, WHEN

# Where the next measurement is so near that sleeping until it would cost more than it saves.
_SOON_MS = 1000


def _part(board, name):
    """A part that the start has found before, or None."""
    try:
        return board.part("", name)
    except (DriverError, ImportError):
        return None


def wake():
    """The record for the application, or None for an ordinary start. Does not return from deep sleep."""
    record = rtc.unpack(boards.memory())
    now = boards.calendar_ms()
    if record is None or rtc.slept_ms(record[WHEN], now) is None:
        return None
    when = record[WHEN]
    fit = record[FIT]
    board = boards.Board(fit[0], None, "", "")
    if now + _SOON_MS >= when[1]:
        ranger = _part(board, fit[1])
        ready = 0
        if ranger:
            try:
                ready = time.ticks_add(time.ticks_ms(), ranger.start())
            except DriverError:
                ranger = None
        # While the sensor starts up.
        from firmware.wake.bin_look import look

        supply = _part(board, fit[2])
        left = max(0, time.ticks_diff(ready, time.ticks_ms())) if ranger else 0
        record[NEWS] = look(fit, record[STATE], (ranger, supply), boards.nap, now, left)
        while when[1] <= now + _SOON_MS:
            when[1] += fit[8]
    if record[NEWS] or (when[2] and now + _SOON_MS >= when[2]):
        # Once: a start that fails from here on is an ordinary one.
        boards.memory(b"")
        # The application must not be loaded between what the measurement has left behind.
        board = ranger = supply = None
        gc.collect()
        return record
    next_ms = min(when[1], when[2] or when[1])
    # WHEN[0] stays: it is NODE's age.
    boards.memory(rtc.pack(record))
    board.sleep(next_ms - boards.calendar_ms())
    return None
