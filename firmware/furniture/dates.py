"""Dates of the Gregorian calendar as days from 2026-01-01, for the years 2001 to 2099."""

from firmware.protocols.compat import const

_MARCH_2000 = const(9437)  # days from 2000-03-01 to 2026-01-01


def days(year, month, day):
    """Days from 2026-01-01 to a date of the years 2001 to 2099; `day` may lie outside of its month."""
    year -= 2000 + (month < 3)
    return year * 365 + year // 4 + ((month + 9) % 12 * 306 + 5) // 10 + day - 1 - _MARCH_2000


def civil(day):
    """(year, month, day of month) of a day."""
    day += _MARCH_2000
    year = (day * 4 + 3) // 1461
    day -= year * 365 + year // 4
    month = (5 * day + 2) // 153
    return year + 2000 + month // 10, (month + 2) % 12 + 1, day - (month * 306 + 5) // 10 + 1
