"""Where a bin on a battery has what in the lists `FIT` and `STATE` of its record in RTC memory (rtc.py)."""

from firmware.protocols.compat import const

# FIT: what it is set to.
RANGE = const(4)  # name of a part
SUPPLY = const(5)  # the same
SHAPE = const(6)  # of the container, mm
RULES = const(7)  # of the Watch; None for a container that cannot be
MARK = const(8)  # of the container
LOW_MV = const(9)
QUIET = const(10)  # longest silence, ms
BASE_S = const(11)  # what the calendar adds to

# STATE: alarms are bits of the field table, times ms of the calendar.
WATCH = const(0)  # bytes of the Watch (furniture/bin.py)
TOLD = const(1)  # alarms
MASK = const(2)  # alarms that are pending
FILL = const(3)  # told, %, or -1
CLASS = const(4)  # told, or -1
SAMPLES = const(5)  # distances since the last reading, mm (furniture/echo.py)
SENT = const(6)  # when that was, or -1

# Of the alarms; it lasts for one step only.
EMPTIED = const(2)
