"""Where a leak meter on a battery has what in the lists `FIT` and `STATE` of its record in RTC memory (rtc.py)."""

from firmware.protocols.compat import const

# FIT: what it is set to.
COUNTER = const(4)  # name of a part
SUPPLY = const(5)  # the same
ROPE = const(6)  # the same
PRESSURE = const(7)  # the same
RULES = const(8)  # of the Leak (furniture/leak.py)
LITRES = const(9)  # per pulse
ZONE_S = const(10)  # local time before UTC
LOW_MV = const(11)
LEAST_PA = const(12)
MOST_PA = const(13)
HOURS = const(14)  # to a reading
SET = const(15)  # index at installation, litres

# STATE: alarms are bits of the field table, times ms of the calendar, indexes litres.
LEAK = const(0)  # bytes of the Leak
TOLD = const(1)  # alarms
MASK = const(2)  # alarms of the parts
INDEX = const(3)
HOUR_AT = const(4)  # index of the last hour
READING = const(5)  # of the counter
LIFE = const(6)  # of the counter
NEW = const(7)  # pulses since the record in flash
DUE = const(8)  # next slot
CLOSED = const(9)  # last slot
HOURLY = const(10)  # volumes, litres, the newest first
FLOW = const(11)  # 0.1 l/h, or -1
LEFT = const(12)  # hours to the next reading
LOOKS = const(13)  # in a row, list by alarm from 6 on
LOST = const(14)  # 1 where the counter was without supply
ALARMS = const(15)  # of the rules

# From slot to slot.
HOUR_MS = const(3600000)
