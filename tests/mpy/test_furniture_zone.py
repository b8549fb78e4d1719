"""POSIX TZ strings. Expected instants come from the published dates of the changes, worked out by hand."""

from firmware.furniture.dates import civil, days
from firmware.furniture.zone import Zone
from firmware.protocols.cbor import WireError
from tests.mpy.support import raises

PARIS = "CET-1CEST,M3.5.0,M10.5.0/3"
HOUR = 3600


def instant(year, month, day, hour=0, minute=0, second=0):
    return days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second


def test_days_count_from_2026():
    assert days(2026, 1, 1) == 0
    # Unix days of these, less 20454 for 2026-01-01.
    assert days(2001, 1, 1) == 11323 - 20454
    assert days(2028, 2, 29) == 21243 - 20454
    assert days(2099, 12, 31) == 47481 - 20454


def test_civil_is_the_inverse():
    for day in range(-9000, 27000, 13):
        assert days(*civil(day)) == day
    assert civil(0) == (2026, 1, 1)
    assert civil(days(2028, 2, 28) + 1) == (2028, 2, 29)
    assert civil(days(2027, 2, 28) + 1) == (2027, 3, 1)


def test_paris_changes_at_one_utc():
    zone = Zone(PARIS)
    for year, spring, autumn in ((2026, 29, 25), (2027, 28, 31), (2028, 26, 29)):
        for at, before, after in (
            (instant(year, 3, spring, 1), 1, 2),
            (instant(year, 10, autumn, 1), 2, 1),
        ):
            assert zone.offset(at - 1) == before * HOUR
            assert zone.offset(at) == after * HOUR
    assert zone.offset(instant(2026, 12, 31, 23, 30)) == HOUR
    assert zone.offset(instant(2027, 1, 1)) == HOUR


def test_a_missing_time_is_the_instant_of_the_change():
    zone = Zone(PARIS)
    day = days(2026, 3, 29)
    change = instant(2026, 3, 29, 1)
    assert zone.utc(day, 2 * HOUR - 1) == change - 1
    for second in (2 * HOUR, 2 * HOUR + 1800, 3 * HOUR - 1, 3 * HOUR):
        assert zone.utc(day, second) == change, second
    assert zone.utc(day, 3 * HOUR + 1) == change + 1


def test_a_doubled_time_is_the_first():
    zone = Zone(PARIS)
    day = days(2026, 10, 25)
    assert zone.utc(day, 2 * HOUR + 1800) == instant(2026, 10, 25, 0, 30)
    assert zone.utc(day, 3 * HOUR - 1) == instant(2026, 10, 25, 0, 59, 59)
    assert zone.utc(day, 3 * HOUR) == instant(2026, 10, 25, 2)


def test_local_time_comes_back():
    for text in (
        PARIS,
        "UTC0",
        "<+1130>-11:30",
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
    ):
        zone = Zone(text)
        before = None
        for hour in range(0, 24 * 800, 5):
            second = hour % 24 * HOUR + 1800
            t = zone.utc(hour // 24, second)
            shown = t + zone.offset(t)
            # Equal, but for the hour that is left out, where the clock shows what it was put to.
            wanted = hour // 24 * 86400 + second
            assert shown == wanted or (0 < shown - wanted <= HOUR and zone.offset(t - 1) < zone.offset(t))
            assert before is None or t >= before
            before = t


def test_zones_without_summer_time():
    for text, offset in (
        ("UTC0", 0),
        ("<+1130>-11", 11 * HOUR),
        ("<+1130>-11:30", 11 * HOUR + 1800),
        ("<-0930>9:30", -9 * HOUR - 1800),
        ("NPT-5:45", 5 * HOUR + 2700),
        ("XYZ+3:20:10", -3 * HOUR - 1210),
    ):
        zone = Zone(text)
        for month in (1, 7):
            assert zone.offset(instant(2026, month, 1)) == offset, text
        assert zone.utc(0, 0) == -offset


def test_southern_summer_spans_the_new_year():
    zone = Zone("AEST-10AEDT,M10.1.0,M4.1.0/3")
    # 2026: until Sunday 5 April 03:00 (16:00 UTC of the 4th), from Sunday 4 October 02:00 (16:00 UTC of the 3rd).
    for at, before, after in ((instant(2026, 4, 4, 16), 11, 10), (instant(2026, 10, 3, 16), 10, 11)):
        assert (zone.offset(at - 1), zone.offset(at)) == (before * HOUR, after * HOUR)
    assert zone.offset(instant(2026, 12, 31, 14)) == 11 * HOUR


def test_half_an_hour_of_summer_time():
    zone = Zone("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0")
    assert zone.offset(instant(2026, 7, 1)) == 10 * HOUR + 1800
    assert zone.offset(instant(2026, 1, 15)) == 11 * HOUR
    # 2026-10-04 02:00 becomes 02:30.
    at = instant(2026, 10, 3, 15, 30)
    assert zone.utc(days(2026, 10, 4), 2 * HOUR + 900) == at
    assert zone.offset(at) - zone.offset(at - 1) == 1800


def test_winter_time_below_the_standard():
    zone = Zone("IST-1GMT0,M10.5.0,M3.5.0/1")
    assert zone.offset(instant(2026, 7, 1)) == HOUR
    assert zone.offset(instant(2026, 12, 1)) == 0
    assert zone.utc(days(2026, 3, 29), HOUR + 1800) == instant(2026, 3, 29, 1)


def test_rule_times_of_rfc_8536():
    # Godthab: clocks go ahead on the Saturday before the last Sunday of March, 22:00 local standard time (-2).
    zone = Zone("<-02>2<-01>,M3.5.0/-1,M10.5.0/0")
    at = instant(2026, 3, 29, 1)
    assert (zone.offset(at - 1), zone.offset(at)) == (-2 * HOUR, -HOUR)
    # Cairo: Thursday 29 October 2026, 24:00 of summer time (+3).
    zone = Zone("EET-2EEST,M4.5.5/0,M10.5.4/24")
    at = instant(2026, 10, 29, 21)
    assert (zone.offset(at - 1), zone.offset(at)) == (3 * HOUR, 2 * HOUR)


def test_week_five_is_the_last_and_week_four_is_not():
    # Sundays of March 2026 are the 1st, 8th, 15th, 22nd and 29th; of February four.
    for rule, day in (("M3.1.0", 1), ("M3.4.0", 22), ("M3.5.0", 29), ("M3.2.6", 14)):
        zone = Zone("CET-1CEST," + rule + ",M10.5.0/3")
        at = instant(2026, 3, day, 1)
        assert (zone.offset(at - 1), zone.offset(at)) == (HOUR, 2 * HOUR), rule
    zone = Zone("CET-1CEST,M2.5.0,M10.5.0/3")
    assert zone.offset(instant(2026, 2, 22, 1)) == 2 * HOUR
    assert zone.offset(instant(2026, 2, 22, 1) - 1) == HOUR


def test_refused():
    for text in (
        "",
        "CET",
        "CE-1",
        "-1",
        "CET-",
        "CET-x",
        "CET-25",
        "CET-1:60",
        "CET-1:00:60",
        "CET-1 ",
        " CET-1",
        "CET-1CEST",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.0,M10.5.0/3,M1.1.1",
        "UTC0,M3.5.0,M10.5.0",
        "CET-1CEST,J60,J300",
        "CET-1CEST,59,299",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M0.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,M03.5.0,M10.5.0",
        "CET-1CEST,M3.5,M10.5.0",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0/,M10.5.0",
        "CET-1CEST,M3.5.0/2x,M10.5.0",
        "CET-1CEST-,M3.5.0,M10.5.0",
        "<CET-1",
        "<>-1",
        "<+1>-1",
        "CET-1CE,M3.5.0,M10.5.0",
        "C\u00c9T-1",
        "CET-\u0661",
        None,
        0,
        b"UTC0",
    ):
        assert raises(WireError, Zone, text).args == ("plan_zone",), text
