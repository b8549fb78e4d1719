"""Sunrise and sunset in double precision, by a way of its own: the Earth's place from the leading terms of VSOP87,
nutation, aberration and sidereal time, and a search for the instant at which the sun stands at the wanted height.

The lamp finds the same instants by the closed formula of NOAA; that two ways agree is what makes either
believable. Sources: Bretagnon and Francou 1988 (VSOP87, terms above 0.2 microradian kept here for the longitude),
Meeus, Astronomical Algorithms, 2nd edition, chapters 12 (sidereal time), 22 (nutation), 25 (apparent place).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from math import asin, atan2, cos, degrees, radians, sin
from typing import NamedTuple

#: Zenith distance in degrees: upper limb on the horizon with 34' of refraction; civil twilight.
ZENITH = {"official": 90.833, "civil": 96.0}

DAY = 86400
J2000 = int(datetime(2000, 1, 1, 12, tzinfo=UTC).timestamp())
#: TT - UTC in seconds. 69.2 since 2017; a few seconds of error move the sun by a tenth of an arc second.
TT_MINUS_UTC = 69.2

# (amplitude, phase, frequency): amplitude * cos(phase + frequency * tau), tau in Julian millennia from J2000.
_L0 = (
    (1.75347046, 0.0, 0.0),
    (0.03341656, 4.6692568, 6283.07585),
    (0.00034894, 4.6261, 12566.1517),
    (0.00003497, 2.7441, 5753.3849),
    (0.00003418, 2.8289, 3.5231),
    (0.00003136, 3.6277, 77713.7715),
    (0.00002676, 4.4181, 7860.4194),
    (0.00002343, 6.1352, 3930.2097),
    (0.00001324, 0.7425, 11506.7698),
    (0.00001273, 2.0371, 529.691),
    (0.00001199, 1.1096, 1577.3435),
)
_L1 = ((6283.31966747, 0.0, 0.0), (0.00206059, 2.678235, 6283.07585), (0.00004303, 2.6351, 12566.1517))
_L2 = ((0.0005292, 0.0, 0.0), (0.0000872, 1.0721, 6283.0758))
_R0 = ((1.00013989, 0.0, 0.0), (0.016707, 3.0984635, 6283.07585), (0.00013956, 3.05525, 12566.1517))


class Sun(NamedTuple):
    """What the sun does around one date of a place: unix seconds of noon, of the midnights before and after,
    and of rise and set, None where it does not cross the height; `up` and `down` say which side it stays on."""

    noon: int
    rise: int | None
    set: int | None
    up_before: bool  # above the height at the lower transit before noon
    up_noon: bool
    up_after: bool


def _series(terms: tuple[tuple[float, float, float], ...], tau: float) -> float:
    return sum(a * cos(b + c * tau) for a, b, c in terms)


def _apparent(unix: float) -> tuple[float, float, float]:
    """(declination, right ascension, Greenwich apparent sidereal time) in radians."""
    days = (unix - J2000) / DAY
    centuries = (days + TT_MINUS_UTC / DAY) / 36525
    tau = centuries / 10
    earth = _series(_L0, tau) + tau * (_series(_L1, tau) + tau * _series(_L2, tau))
    node = radians(125.04452 - 1934.136261 * centuries)
    sun, moon = radians(280.4665 + 36000.7698 * centuries), radians(218.3165 + 481267.8813 * centuries)
    nutation = -17.20 * sin(node) - 1.32 * sin(2 * sun) - 0.23 * sin(2 * moon) + 0.21 * sin(2 * node)
    tilt = 84381.448 - 46.815 * centuries + 9.20 * cos(node) + 0.57 * cos(2 * sun)
    obliquity = radians(tilt / 3600)
    # 180 degrees turn the Earth's longitude into the sun's; -0.09033 is the step to the FK5 frame.
    longitude = earth + radians(180 + (nutation - 0.09033 - 20.4898 / _series(_R0, tau)) / 3600)
    ascension = atan2(cos(obliquity) * sin(longitude), cos(longitude))
    declination = asin(sin(obliquity) * sin(longitude))
    sidereal = 280.46061837 + 360.98564736629 * days + nutation / 3600 * cos(obliquity)
    return declination, ascension, radians(sidereal)


def _hour_angle(unix: float, lon: float) -> float:
    """Degrees past the meridian, -180..180."""
    _, ascension, sidereal = _apparent(unix)
    return (degrees(sidereal - ascension) + lon + 180) % 360 - 180


def height(unix: float, lat: float, lon: float) -> float:
    """Height of the sun's centre in degrees, without refraction, at a place (degrees, east positive)."""
    declination, ascension, sidereal = _apparent(unix)
    hour, phi = sidereal + radians(lon) - ascension, radians(lat)
    return degrees(asin(sin(phi) * sin(declination) + cos(phi) * cos(declination) * cos(hour)))


def _transit(near: float, lon: float, lower: bool) -> float:
    """The upper (or lower) transit nearest to an instant that is within some minutes of it."""
    for _ in range(3):
        off = _hour_angle(near, lon) - (180 if lower else 0)
        near -= ((off + 180) % 360 - 180) * 240
    return near


def _crossing(low: float, high: float, lat: float, lon: float, wanted: float) -> int:
    """The instant between the sun's lowest (`low`) and highest place at which it stands at `wanted` degrees."""
    while abs(high - low) > 0.25:
        middle = (low + high) / 2
        if height(middle, lat, lon) < wanted:
            low = middle
        else:
            high = middle
    return round((low + high) / 2)


@lru_cache(maxsize=8192)
def day(on: date, lat: float, lon: float, zenith: float = ZENITH["official"]) -> Sun:
    """The sun around its noon on the local date `on` (mean solar date at that longitude).

    Degrees, north and east positive; rise is before that noon, set after it, at most half a day away.
    """
    middle = datetime(on.year, on.month, on.day, 12, tzinfo=UTC).timestamp() - lon * 240
    before = _transit(middle - DAY / 2, lon, lower=True)
    noon = _transit(middle, lon, lower=False)
    after = _transit(middle + DAY / 2, lon, lower=True)
    wanted = 90 - zenith
    up = [height(t, lat, lon) >= wanted for t in (before, noon, after)]
    rise = _crossing(before, noon, lat, lon, wanted) if up[1] and not up[0] else None
    fall = _crossing(after, noon, lat, lon, wanted) if up[1] and not up[2] else None
    return Sun(round(noon), rise, fall, *up)
