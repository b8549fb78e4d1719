"""Hours of the decree by category, in local hours of one lighting day; 24 is midnight, 31 seven in the morning."""

from firmware.furniture.guard import Guard
from tests.mpy.support import raises

MIDNIGHT = 400 * 86400 + 82800  # 00:00 local, in wire seconds: an hour east of Greenwich
ROAD, A, B_HERITAGE, B_PARK, D_FACADE, D_OFFICE, D_WINDOW, E_PARKING, G, ADVERTISING = range(10)


def at(hour):
    return MIDNIGHT + round((hour - 24) * 3600)


def guard(category, closing=None, opening=None, shift=0, sunset=18):
    it = Guard(category)
    it.night(
        MIDNIGHT,
        at(sunset),
        None if closing is None else at(closing),
        None if opening is None else at(opening),
        shift,
    )
    return it


def lit(it):
    """Hours of the lighting day (12 to 36, in quarters) in which light is allowed: [(from, to)]."""
    spans = []
    for n in range(48, 144):
        if not it.dark(at(n / 4), at((n + 1) / 4)):
            if spans and spans[-1][1] == n / 4:
                spans[-1][1] = (n + 1) / 4
            else:
                spans.append([n / 4, (n + 1) / 4])
    return spans


def test_road_lighting_has_no_hours():
    assert lit(guard(ROAD)) == [[12, 36]]
    assert guard(ROAD).refuses([(at(12), 100)], at(36)) is None


def test_activity():
    assert lit(guard(A, 19)) == [[12, 20], [31, 36]]
    assert lit(guard(A, 19, 29)) == [[12, 20], [28, 36]], "an hour before an activity that starts at five"
    assert lit(guard(A, 19, 33)) == [[12, 20], [31, 36]], "not before seven for one that starts later"
    assert lit(guard(A, 26)) == [[12, 27], [31, 36]]
    assert lit(guard(A)) == [[12, 18], [31, 36]], "no activity: dark from sunset"


def test_heritage_and_parks():
    assert lit(guard(B_HERITAGE)) == [[18, 25]]
    assert lit(guard(B_HERITAGE, 20)) == [[18, 25]], "closing is of no matter"
    assert lit(guard(B_PARK)) == [[18, 25]]
    assert lit(guard(B_PARK, 21)) == [[18, 22]]
    assert lit(guard(B_PARK, 16)) == []


def test_buildings():
    assert lit(guard(D_FACADE)) == [[18, 25]]
    assert lit(guard(D_OFFICE, 20)) == [[12, 21], [31, 36]]
    assert lit(guard(D_WINDOW)) == [[12, 25], [31, 36]]
    assert lit(guard(D_WINDOW, 19)) == [[12, 25], [31, 36]], "01:00 although it closes at 19:00"
    assert lit(guard(D_WINDOW, 25)) == [[12, 26], [31, 36]], "the later of the two"
    assert lit(guard(D_WINDOW, 19, 30)) == [[12, 25], [29, 36]]


def test_car_parks_and_worksites():
    assert lit(guard(E_PARKING, 20)) == [[18, 22]]
    assert lit(guard(E_PARKING, 20, sunset=21.5)) == [[21.5, 22]]
    assert lit(guard(E_PARKING)) == []
    assert lit(guard(G, 19)) == [[18, 20]]


def test_advertising():
    assert lit(guard(ADVERTISING)) == [[12, 25], [30, 36]]


def test_change_of_summer_time():
    # The hour from two to three is missing: seven o'clock is six hours after midnight; and doubled in autumn.
    assert lit(guard(ADVERTISING, shift=3600)) == [[12, 25], [29, 36]]
    assert lit(guard(ADVERTISING, shift=-3600)) == [[12, 25], [31, 36]]
    assert lit(guard(A, 19, shift=3600)) == [[12, 20], [30, 36]]


def test_a_programme_that_lights_at_a_forbidden_hour_is_refused():
    it = guard(ADVERTISING)
    good = [(at(12), 0, 0, 0), (at(18), 100, 0, 0), (at(25), 0, 0, 0), (at(30), 60, 0, 0), (at(32), 0, 0, 0)]
    assert it.refuses(good, at(36)) is None
    for n, hour in ((2, 25.05), (3, 29.95)):
        bad = list(good)
        bad[n] = (at(hour), good[n][1], 0, 0)
        assert it.refuses(bad, at(36)) == "guard", hour
    assert it.refuses([(at(12), 10)], at(36)) == "guard"
    assert it.refuses([(at(12), 0)], at(36)) is None
    assert it.refuses([(at(20), 0), (at(24), 10)], at(36)) == "guard", "the last entry holds until the end"
    assert it.refuses([], at(36)) is None


def test_an_override_is_judged_by_its_own_span():
    it = guard(B_PARK, 21)
    assert it.refuses(((at(19), 100),), at(22)) is None
    assert it.refuses(((at(19), 100),), at(22.5)) == "guard"
    assert it.refuses(((at(22), 100),), at(23)) == "guard"
    assert it.refuses(((at(22), 0),), at(23)) is None, "dark is never forbidden"
    assert it.refuses(((at(15), 100),), at(17)) == "guard", "before sunset"


def test_a_minute_is_not_a_matter_of_law():
    it = guard(D_FACADE)
    assert it.refuses(((at(18) - 60, 100),), at(25)) is None
    assert it.refuses(((at(18) - 61, 100),), at(25)) == "guard"
    assert it.refuses(((at(18), 100),), at(25) + 60) is None
    assert it.refuses(((at(18), 100),), at(25) + 61) == "guard"


def test_unknown_category():
    raises(IndexError, Guard, 10)
