"""First code of a board that wakes from deep sleep: measures, and sleeps again where there is nothing to say.

Everything it needs is in the record of RTC memory: no settings are read. What measures is wake/<kind>_look.py.
"""

import gc

from firmware import board as boards
from firmware.drivers.errors import DriverError
from firmware.wake import rtc
from firmware.wake.look import forget_drivers
from firmware.wake.rtc import FIT, NEWS, SOON_MS, WHEN


def wake():
    """The record for the application, or None for an ordinary start. Does not return from deep sleep."""
    record = rtc.unpack(boards.memory())
    now = boards.calendar_ms()
    if record is None or rtc.slept_ms(record[WHEN], now) is None:
        return None
    when = record[WHEN]
    name, looks, _, interval = record[FIT][:4]
    board = boards.Board(name, None, "", "")

    def part(name):
        # One that the start has found before, or None.
        try:
            return board.part("", name)
        except (DriverError, ImportError):
            return None

    look = None
    if now + SOON_MS >= when[1]:
        look = __import__("firmware.wake." + looks, None, None, ("look",))
        record[NEWS] = look.look(record, part, boards.nap, now)
        while when[1] <= now + SOON_MS:
            when[1] += interval
    if record[NEWS] or (when[2] and now + SOON_MS >= when[2]):
        # Once: a start that fails from here on is an ordinary one.
        boards.memory(b"")
        # The application must not be loaded between what the measurement has left behind.
        board = look = None
        forget_drivers()
        gc.collect()
        return record
    if look:
        look.keep(boards, record)
    next_ms = min(when[1], when[2] or when[1])
    # WHEN[0] stays: it is NODE's age.
    boards.memory(rtc.pack(record))
    board.sleep(next_ms - boards.calendar_ms())
    return None
