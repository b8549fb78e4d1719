"""Hours of the decree by category, in local hours of one lighting day; 24 is midnight, 31 seven in the morning."""

from firmware.furniture.guard import SLACK_S, Guard, lit
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


def allowed(it):
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
    assert allowed(guard(ROAD)) == [[12, 36]]
    assert guard(ROAD).dark(at(12), at(36)) == []


def test_activity():
    assert allowed(guard(A, 19)) == [[12, 20], [31, 36]]
    assert allowed(guard(A, 19, 29)) == [[12, 20], [28, 36]], "an hour before an activity that starts at five"
    assert allowed(guard(A, 19, 33)) == [[12, 20], [31, 36]], "not before seven for one that starts later"
    assert allowed(guard(A, 26)) == [[12, 27], [31, 36]]
    assert allowed(guard(A)) == [[12, 18], [31, 36]], "no activity: dark from sunset"


def test_heritage_and_parks():
    assert allowed(guard(B_HERITAGE)) == [[18, 25]]
    assert allowed(guard(B_HERITAGE, 20)) == [[18, 25]], "closing is of no matter"
    assert allowed(guard(B_PARK)) == [[18, 25]]
    assert allowed(guard(B_PARK, 21)) == [[18, 22]]
    assert allowed(guard(B_PARK, 16)) == []


def test_buildings():
    assert allowed(guard(D_FACADE)) == [[18, 25]]
    assert allowed(guard(D_OFFICE, 20)) == [[12, 21], [31, 36]]
    assert allowed(guard(D_WINDOW)) == [[12, 25], [31, 36]]
    assert allowed(guard(D_WINDOW, 19)) == [[12, 25], [31, 36]], "01:00 although it closes at 19:00"
    assert allowed(guard(D_WINDOW, 25)) == [[12, 26], [31, 36]], "the later of the two"
    assert allowed(guard(D_WINDOW, 19, 30)) == [[12, 25], [29, 36]]


def test_car_parks_and_worksites():
    assert allowed(guard(E_PARKING, 20)) == [[18, 22]]
    assert allowed(guard(E_PARKING, 20, sunset=21.5)) == [[21.5, 22]]
    assert allowed(guard(E_PARKING)) == []
    assert allowed(guard(G, 19)) == [[18, 20]]


def test_advertising():
    assert allowed(guard(ADVERTISING)) == [[12, 25], [30, 36]]


def test_change_of_summer_time():
    # The hour from two to three is missing: seven o'clock is six hours after midnight; and doubled in autumn.
    assert allowed(guard(ADVERTISING, shift=3600)) == [[12, 25], [29, 36]]
    assert allowed(guard(ADVERTISING, shift=-3600)) == [[12, 25], [31, 36]]
    assert allowed(guard(A, 19, shift=3600)) == [[12, 20], [30, 36]]


def hours(spans):
    return [((a - MIDNIGHT) / 3600 + 24, (b - MIDNIGHT) / 3600 + 24) for a, b in spans]


def test_spans_are_those_of_what_is_asked():
    it = guard(B_PARK, 21)
    assert hours(it.dark(at(12), at(36))) == [(12, 18), (22, 36)]
    assert hours(it.dark(at(19), at(22))) == []
    assert hours(it.dark(at(19), at(22.5))) == [(22, 22.5)]
    assert hours(it.dark(at(15), at(17))) == [(15, 17)], "before sunset"
    assert hours(it.dark(at(17), at(23))) == [(17, 18), (22, 23)]
    assert hours(guard(B_PARK, 16).dark(at(12), at(36))) == [(12, 18), (18, 36)], "closed before sunset"


class Night:
    """Rows of (hour, level), each until the next."""

    def __init__(self, *rows):
        self.rows = [(at(h), level) for h, level in rows] + [(at(36), 0)]

    def at(self, t):
        found = [(level, 0, self.rows[i + 1][0]) for i, (begin, level) in enumerate(self.rows) if begin <= t]
        return found[-1]


def seconds(it, *nights):
    return lit(it.dark(at(12), at(36)), *nights)


def test_light_at_a_forbidden_hour_is_counted():
    it = guard(ADVERTISING)
    good = ((12, 0), (18, 100), (25, 0), (30, 60), (32, 0))
    assert seconds(it, Night(*good)) == 0
    assert seconds(it, Night((12, 0), (18, 100), (25.05, 0), (30, 60), (32, 0))) == 180
    assert seconds(it, Night((12, 0), (18, 100), (25, 0), (29.95, 60), (32, 0))) == 180
    assert seconds(it, Night((12, 10))) == 5 * 3600
    assert seconds(it, Night((12, 0))) == 0
    assert seconds(it, Night((12, 0), (24, 10))) == 5 * 3600, "the last entry holds until the end"
    # What one of them may light counts, once.
    assert seconds(it, Night(*good), Night((12, 0), (26, 5), (27, 0))) == 3600
    assert seconds(it, Night((12, 0), (25, 5), (26.5, 0)), Night((12, 0), (26, 5), (27, 0))) == 2 * 3600
    assert SLACK_S == 60


def test_unknown_category():
    raises(IndexError, Guard, 10)
