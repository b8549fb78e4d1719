"""Sunrise, sunset and civil twilight by NOAA's method (Meeus, Astronomical Algorithms, 25), for 32-bit floats.

Whole days stay integers and are taken modulo 360 before a float sees them: the sun moves 1 degree a day less a
little, and only that little is multiplied. Terms that change by less than 2 s of the result in thirty years
are those of 2030. Where the sun grazes the horizon the air decides, so nothing is exact beyond 72 degrees.
"""

from math import acos, cos, pi, sin, sqrt, tan

from firmware.protocols.compat import const

# Instead of a time, for an event that does not happen: the sun stays up, or down.
UP = const(1000000)
DOWN = const(-1000000)

_DAY = const(86400)


def event(day, lat_e4, lon_e4, which, rising):
    """Seconds after 00:00 UTC of `day` (days since 2026-01-01) of the event of that day as the sun has it there:
    below 0 or above 86400 far from Greenwich. UP or DOWN where it does not happen.

    Degrees north and east in 1/10000, latitude within 89.9; `which` 0: upper edge at the horizon (zenith
    90.833), 1: civil twilight (96).
    """
    rad = pi / 180
    phi = lat_e4 / 10000 * rad
    noon = 720 - lon_e4 / 2500
    minute = noon
    for last in (0, 0, 0, 1):
        part = minute / 1440
        m = (357.28218 + day % 360 - 0.01439972 * day + 0.98560028 * part) * rad
        mean = (280.66664 + day % 360 - 0.01435264 * day + 0.98564736 * part) * rad
        node = (342.16464 - 0.05295375 * (day + part)) * rad
        sin_m = sin(m)
        sin_2m = sin(2 * m)
        true = mean + (1.913157 * sin_m + 0.019993 * sin_2m + 0.000289 * sin(3 * m) - 0.00569) * rad
        true -= 0.00478 * rad * sin(node)
        tilt = (23.43539 + 0.00256 * cos(node)) * rad
        y = tan(tilt / 2)
        y *= y
        sin_2l = sin(2 * mean)
        cos_2l = cos(2 * mean)
        # Equation of time in radians, of 720 / pi minutes each.
        wide = y * sin_2l - 0.033392 * sin_m + 0.066784 * y * sin_m * cos_2l
        wide -= y * y * sin_2l * cos_2l + 0.000348 * sin_2m
        sin_d = sin(tilt) * sin(true)
        c = (-0.10452846 if which else -0.01453808) - sin(phi) * sin_d
        c /= cos(phi) * sqrt(1 - sin_d * sin_d)
        if abs(c) > 1:
            if last:
                return UP if c < 0 else DOWN
            c = -1 if c < 0 else 1
        arc = acos(c)
        minute = noon - ((-arc if not rising else arc) + wide) * 720 / pi
    return round(minute * 60)


def nights(first, end, lat_e4, lon_e4, which):
    """(noon before, sunset, sunrise) of the nights of the sun's own days first .. end - 1, wire seconds; None for
    an event that does not happen because the sun stays down."""
    found = []
    for day in range(first, end):
        midnight = day * _DAY
        sunset = event(day, lat_e4, lon_e4, which, 0)
        sunrise = event(day + 1, lat_e4, lon_e4, which, 1)
        if UP not in (sunset, sunrise):
            found.append(
                (
                    midnight + 43200 - lon_e4 * 24 // 1000,
                    None if sunset == DOWN else midnight + sunset,
                    None if sunrise == DOWN else midnight + _DAY + sunrise,
                )
            )
    return found
