"""What the JSON formats say in the same way: decimals, times, base64, names of fields.

Everything here takes values as `jsontext` gives them (fractions as Decimal) and answers None for what is no
such value; nothing raises for content.
"""

from __future__ import annotations

import binascii
import re
from bisect import bisect_right
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

# Years 1970 to 9999 as microseconds of Unix UTC.
TIME_END_US = 253_402_300_800_000_000
# GPS time began at 1980-01-06T00:00:00Z and knows no leap seconds.
_GPS_EPOCH = 315_964_800
_LEAP_DAYS = (
    "1981-07-01 1982-07-01 1983-07-01 1985-07-01 1988-01-01 1990-01-01 1991-01-01 1992-07-01 1993-07-01 "
    "1994-07-01 1996-01-01 1997-07-01 1999-01-01 2006-01-01 2009-01-01 2012-07-01 2015-07-01 2017-01-01"
)
_UNIX_DAY = date(1970, 1, 1).toordinal()
# The GPS second in which each leap second was over.
_LEAPS = [
    (date.fromisoformat(day).toordinal() - _UNIX_DAY) * 86400 - _GPS_EPOCH + count
    for count, day in enumerate(_LEAP_DAYS.split(), 1)
]
_ISO = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[Tt ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,12}))?)?"
    r" ?(?:Z|z|UTC|GMT|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
_B64 = re.compile(r"[A-Za-z0-9+/_-]*={0,3}", re.ASCII)
_URL_SAFE = str.maketrans("-_", "+/")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII)
# More names than this of one record are counted as one.
MAX_NAMES = 32


def number(value: Any) -> Decimal | None:
    """A finite number; True and texts are none."""
    if type(value) is int:
        return Decimal(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    return value if isinstance(value, Decimal) and value.is_finite() else None


def integer(value: Any, low: int, high: int) -> int | None:
    """A whole number from low to high; 5.0 is one, True and "5" are none."""
    if type(value) is int:
        return value if low <= value <= high else None
    found = number(value)
    if found is None or not low <= found <= high or found != found.to_integral_value():
        return None
    return int(found)


def quarters(value: Any, highest: int = 1000) -> tuple[int, bool] | None:
    """A decibel value as quarters, to the nearest (ties to even), and whether that is exactly the value."""
    found = number(value)
    if found is None or abs(found) > highest:
        return None
    exact = found * 4
    near = exact.to_integral_value(ROUND_HALF_EVEN)
    return int(near), near == exact


def hertz(value: Any, unit: int = 1) -> int | None:
    """A frequency of `unit` Hz each as whole Hz: 868.1 MHz is 868100000. None outside 1 Hz to 2^32 - 1."""
    found = number(value)
    if found is None or not 0 < found <= 0xFFFFFFFF:
        return None
    hz = int((found * unit).to_integral_value(ROUND_HALF_EVEN))
    return hz if 0 < hz <= 0xFFFFFFFF else None


def scaled(value: int, places: int) -> Decimal:
    """value / 10 ** places, exactly, without zeros at the end."""
    return Decimal(value).scaleb(-places).normalize()


def in_time(us: int) -> int | None:
    """The time itself where a frame can have it: 1970 to 9999."""
    return us if 0 <= us < TIME_END_US else None


def unix_us(value: Any, per_second: int = 1) -> int | None:
    """Microseconds of Unix UTC of a number that counts seconds (or `per_second`-ths), to the nearest."""
    found = number(value)
    if found is None or not 0 <= found <= 10**20:
        return None
    return in_time(int((found * 1_000_000 / per_second).to_integral_value(ROUND_HALF_EVEN)))


def gps_us(value: Any, per_second: int) -> int | None:
    """Microseconds of Unix UTC of a number that counts `per_second`-ths since the GPS epoch."""
    gps = unix_us(value, per_second)
    if gps is None:
        return None
    leaps = bisect_right(_LEAPS, gps // 1_000_000)
    return in_time(gps + (_GPS_EPOCH - leaps) * 1_000_000)


def iso_us(value: Any) -> int | None:
    """Microseconds of Unix UTC of an ISO 8601 time, without a zone taken as UTC; finer digits are cut off."""
    match = _ISO.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, part, sign, off_hours, off_minutes = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _UNIX_DAY
    except ValueError:
        return None
    # Second 60 is a leap second.
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 60:
        return None
    seconds = days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second or 0)
    if sign:
        offset = int(off_hours) * 3600 + int(off_minutes) * 60
        seconds += offset if sign == "-" else -offset
    return in_time(seconds * 1_000_000 + int((part or "")[:6].ljust(6, "0")))


def iso_text(us: int) -> str:
    """A time as ISO 8601 with six digits after the second, in UTC."""
    seconds, part = divmod(us, 1_000_000)
    days, rest = divmod(seconds, 86400)
    day = date.fromordinal(_UNIX_DAY + days)
    return f"{day.isoformat()}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{part:06}Z"


def base64_bytes(value: Any) -> bytes | None:
    """Bytes of base64 of either alphabet, padded or not, as the examples of GWMP's own text are."""
    if not isinstance(value, str) or not _B64.fullmatch(value):
        return None
    text = value.rstrip("=").translate(_URL_SAFE)
    if len(text) % 4 == 1:
        return None
    return binascii.a2b_base64(text + "=" * (-len(text) % 4))


def hex_bytes(value: Any) -> bytes | None:
    """Bytes of an even number of hexadecimal digits; nothing else between them."""
    if not isinstance(value, str) or not value.isascii() or not (value.isalnum() or not value):
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None


def names(prefix: str, keys: Iterable[object]) -> set[str]:
    """Dotted names of fields. What a sender made up so that it would act on a terminal becomes "?"."""
    found = {prefix + (key if isinstance(key, str) and _NAME.fullmatch(key) else "?") for key in keys}
    if len(found) > MAX_NAMES:
        return {*sorted(found)[: MAX_NAMES - 1], prefix + "?"}
    return found
