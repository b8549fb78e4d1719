"""Lighting days by TALQ's rules; expected instants worked out by hand from calendars and the almanac's times."""

import gc
import sys

from firmware.furniture import calendar, night
from firmware.furniture.dates import days
from tests.mpy.plans import (
    ADD,
    ALL,
    EVENING,
    MAX,
    MIN,
    MUL,
    PARIS,
    SET,
    SUB,
    SUNRISE,
    SUNSET,
    TROMSO,
    H,
    at,
    blob,
    date,
    level,
    prog,
    switches,
    table,
    wire,
)
from tests.mpy.support import MICROPYTHON


def test_a_night_over_midnight():
    it = blob([EVENING])
    # Winter: local is UTC + 1. The lighting day of 12 January runs from noon to noon.
    assert switches(it, wire(1, 12, 23)) == [
        (wire(1, 12, 11), 80),
        (wire(1, 12, 21), 40),
        (wire(1, 13, 4), 80),
    ]
    assert at(it, wire(1, 12, 20, 59, 59)) == (80, 30, wire(1, 12, 21), 3)
    assert at(it, wire(1, 12, 21)) == (40, 10, wire(1, 13, 4), 3)
    assert at(it, wire(1, 13, 4)) == (80, 30, wire(1, 13, 11), 3)


def test_the_day_of_midnight_has_the_same_levels():
    noon, midnight = blob([EVENING]), blob([prog([[5 * H, 80, 30], [22 * H, 40, 10]])], noon=0)
    for hour in range(24 * 4):
        t = wire(5, 1) + hour * H + 7
        assert level(noon, t) == level(midnight, t), hour
    assert switches(midnight, wire(1, 12, 12))[0] == (wire(1, 11, 23), 40)


def test_before_the_first_entry_the_last_value_of_the_day_before_holds():
    weekend = [1, 33, 415, [2, 0b1100000, 31]]
    it = blob([EVENING, prog([[23 * H, 10, 0], [6 * H, 20, 0]])], [weekend])
    # Saturday 17 January 2026: Friday's program ends at 80.
    assert switches(it, wire(1, 17, 20)) == [
        (wire(1, 17, 11), 80),
        (wire(1, 17, 22), 10),
        (wire(1, 18, 5), 20),
    ]
    # Monday 19 begins with Sunday's 20.
    assert switches(it, wire(1, 19, 20))[0] == (wire(1, 19, 11), 20)
    # Without a program or a fixed time the day before, the program's own last value.
    it = blob([EVENING], [[0, 17 + 32, 17 + 32, 0]], -1, level=70)
    assert switches(it, wire(1, 17, 20))[0] == (wire(1, 17, 11), 80)
    it = blob([EVENING, prog()], [[0, 17 + 32, 17 + 32, 0]], 1, level=70)
    assert switches(it, wire(1, 17, 20))[0] == (wire(1, 17, 11), 80)
    # The day after has no value of its own: Saturday's goes on, and the day after that the default level.
    assert [level(it, wire(1, d, 20)) for d in (16, 18, 19)] == [70, 80, 70]
    assert at(it, wire(1, 19, 20))[3] == 3


def test_no_program_is_the_default_level():
    it = blob([EVENING], [[0, 33 + 4, 33 + 4, 0]], -1, level=65)
    assert at(it, wire(2, 1)) == (65, 0, wire(2, 1, 11), 0)
    assert at(it, wire(1, 5, 22))[3] == 3
    assert at(blob([], [], -1, level=30), wire(2, 1))[0] == 30


def test_spring_night_in_paris():
    # 2026-03-29: 02:00 becomes 03:00 local, at 01:00 UTC.
    it = blob([prog([[22 * H, 40, 0], [2 * H + 1800, 20, 0], [5 * H, 80, 0]])])
    assert switches(it, wire(3, 28, 23)) == [
        (wire(3, 28, 11), 80),
        (wire(3, 28, 21), 40),
        (wire(3, 29, 1), 20),
        (wire(3, 29, 3), 80),
    ]
    its = night.Night(table(it, wire(3, 28, 23)))
    assert its.end - its.begin == 23 * H


def test_two_entries_in_the_missing_hour_leave_the_later():
    it = blob([prog([[22 * H, 40, 0], [2 * H + 600, 20, 0], [2 * H + 1800, 30, 0], [5 * H, 80, 0]])])
    assert switches(it, wire(3, 28, 23))[2:] == [(wire(3, 29, 1), 30), (wire(3, 29, 3), 80)]


def test_autumn_night_in_paris():
    # 2026-10-25: 03:00 becomes 02:00 local, at 01:00 UTC; 02:30 comes at 00:30 and 01:30 UTC.
    it = blob([prog([[22 * H, 40, 0], [2 * H + 1800, 20, 0], [5 * H, 80, 0]])])
    assert switches(it, wire(10, 24, 23)) == [
        (wire(10, 24, 10), 80),
        (wire(10, 24, 20), 40),
        (wire(10, 25, 0, 30), 20),
        (wire(10, 25, 4), 80),
    ]
    its = night.Night(table(it, wire(10, 24, 23)))
    assert its.end - its.begin == 25 * H


def test_a_period_in_the_missing_hour_is_empty():
    it = blob([prog([[12 * H, 50, 0]], [[0, 2 * H + 600, 2 * H + 1800]])])
    assert switches(it, wire(3, 28, 23)) == [(wire(3, 28, 11), 0)]
    assert switches(it, wire(3, 29, 23))[1:] == [(wire(3, 30, 0, 10), 50), (wire(3, 30, 0, 30), 0)]


def test_absolute_period_across_midnight_is_one_piece_or_two():
    late = prog([[12 * H, 60, 0]], [[0, 23 * H, 4 * H]])
    it = blob([late], [[0, 3 + 32, 3 + 32, 0]], -1, level=0)
    # Noon to noon, the rule of 3 January: one piece, from the 3rd to the 4th.
    assert [level(it, wire(1, d, h)) for d, h in ((2, 23), (3, 1), (3, 23), (4, 1), (4, 23))] == [
        0,
        0,
        60,
        60,
        0,
    ]
    it = blob([prog([[0, 60, 0]], [[0, 23 * H, 4 * H]])], [[0, 35, 35, 0]], -1, noon=0, level=0)
    # From midnight: 00:00 to 04:00 and 23:00 to 24:00 of the 3rd.
    assert [level(it, wire(1, d, h)) for d, h in ((2, 23), (3, 1), (3, 22), (4, 1), (4, 23))] == [
        60,
        60,
        60,
        0,
        0,
    ]
    assert level(it, wire(1, 2, 22, 59, 59)) == 0
    assert level(it, wire(1, 3, 3)) == 0


def test_a_day_period_is_two_pieces_of_a_lighting_day_from_noon():
    it = blob([prog([[0, 60, 0]], [[0, 8 * H, 16 * H]])], level=60)
    # All of it local, UTC + 1: 12:00 to 16:00 and 08:00 to 12:00 of the next day.
    assert switches(it, wire(1, 12, 20)) == [
        (wire(1, 12, 11), 60),
        (wire(1, 12, 15), 0),
        (wire(1, 13, 7), 60),
    ]


def test_equal_start_and_end_is_the_whole_day_and_no_period_too():
    for periods in (ALL, [[0, 9 * H, 9 * H]], []):
        assert switches(blob([prog([[12 * H, 55, 0]], periods)]), wire(1, 12)) == [(wire(1, 11, 11), 55)]


def test_outside_of_the_periods_the_lamp_is_off():
    it = blob([prog([[12 * H, 55, 7]], [[0, 18 * H, 20 * H], [0, 19 * H, 21 * H], [0, 5 * H, 6 * H]])])
    assert switches(it, wire(1, 12, 20)) == [
        (wire(1, 12, 11), 0),
        (wire(1, 12, 17), 55),
        (wire(1, 12, 20), 0),
        (wire(1, 13, 4), 55),
        (wire(1, 13, 5), 0),
    ]
    assert at(it, wire(1, 12, 22)) == (0, 0, wire(1, 13, 4), 3)


def near(found, wanted):
    return len(found) == len(wanted) and all(
        [abs(a[0] - b[0]) <= 5 and a[1] == b[1] for a, b in zip(found, wanted)]
    )


def test_astronomical_period_of_angers():
    # Table of the almanac formula: 20 March set 18:14:46; 21 June rise 04:05:00, set 20:03:05; 21 December
    # rise 07:46:59, set 16:13:36.
    it = blob([prog([[12 * H, 100, 0]], [[1, -10, 20]])])
    found = switches(it, wire(6, 21, 22))
    assert near(found[:2], [(wire(6, 21, 10), 0), (wire(6, 21, 19, 53, 5), 100)])
    # The night that began on 20 June ends with the sunrise of the 21st.
    found = switches(it, wire(6, 21, 2))
    assert near(found[2:], [(wire(6, 21, 4, 25), 0)])
    found = switches(it, wire(12, 21, 22))
    assert near(found[:2], [(wire(12, 21, 11), 0), (wire(12, 21, 16, 3, 36), 100)])


def test_astronomical_period_of_a_day_from_midnight():
    it = blob([prog([[0, 100, 0]], [[1, 0, 0]])], noon=0)
    found = switches(it, wire(6, 21, 12))
    assert near(found, [(wire(6, 20, 22), 100), (wire(6, 21, 4, 5), 0), (wire(6, 21, 20, 3, 5), 100)])


def test_civil_twilight():
    it = blob([prog([[12 * H, 100, 0]], [[1, 0, 0]])], civil=1)
    assert near(switches(it, wire(6, 21, 22))[1:2], [(wire(6, 21, 20, 43, 39), 100)])


def test_offsets_that_leave_no_night_leave_no_light():
    it = blob([prog([[12 * H, 100, 0]], [[1, 300, -300]])])
    assert switches(it, wire(6, 21, 22)) == [(wire(6, 21, 10), 0)]


def test_offsets_over_the_border_of_the_day():
    # 21 December: set 16:13:36, rise 07:46:59; six hours either way pass the noon at 11:00.
    it = blob([prog([[12 * H, 100, 0]], [[1, -360, 0]])])
    assert [level(it, wire(12, 21, h)) for h in (8, 10, 11, 23)] == [0, 0, 100, 100]
    assert level(it, wire(12, 21, 10, 16)) == 100
    it = blob([prog([[12 * H, 100, 0]], [[1, 0, 360]])])
    assert [level(it, wire(12, 21, h)) for h in (9, 11, 13, 14, 23)] == [100, 100, 100, 0, 100]


def test_polar_day_and_night():
    for noon in (12, 0):
        it = blob([prog([[noon * H, 100, 0]], [[1, 0, 0]])], place=TROMSO, noon=noon)
        assert [now[1] for now in switches(it, wire(6, 21, 23))] == [0]
        assert [now[1] for now in switches(it, wire(12, 21, 23))] == [100]
        # The way in and out: one night each is shorter than the one before, none is lost.
        lit = []
        for day in range(days(2026, 4, 20), days(2026, 6, 10)):
            its = night.Night(table(it, day * 86400 + 82800))
            t = its.begin
            total = 0
            while t < its.end:
                now = its.at(t)
                total += (now[2] - t) if now[0] else 0
                t = now[2]
            lit.append(total)
        assert lit[-1] == 0 < lit[0]
        assert all([a >= b for a, b in zip(lit[1:], lit[2:])]), lit


def test_zones_far_from_their_sun():
    # Kiritimati keeps UTC+14 at 157 degrees west: the sun's day there is the one before.
    fixed = [[12 * H, 100, 0]]
    for zone, ahead, place in (("<+14>-14", 14, (18720, -1574300)), ("<-10>10", -10, (-175516, -1495585))):
        it = blob([prog(fixed, [[1, 0, 0]])], zone=zone, place=place)
        found = switches(it, wire(7, 1, 12))
        assert [now[1] for now in found] == [0, 100, 0], zone
        local = [(now[0] + ahead * H) % 86400 // H for now in found]
        assert local[0] == 12 and local[1] in (17, 18) and local[2] in (5, 6), local


def test_astronomical_controls_work_on_the_fixed_level():
    for op, by, wanted in (
        (SET, 30, 30),
        (MAX, 90, 90),
        (MIN, 50, 50),
        (ADD, 50, 100),
        (SUB, 90, 0),
        (MUL, 50, 40),
    ):
        it = blob([prog([[12 * H, 80, 1]], [], [[0, SUNSET, op, by, 9], [-60, SUNRISE, ADD, 5, 2]])])
        found = switches(it, wire(6, 21, 22))
        assert near(found[:2], [(wire(6, 21, 10), 80), (wire(6, 21, 20, 3, 5), wanted)]), op
        # Until the next element, to the end of the lighting day.
        assert found[2][1] == 85
        assert abs(found[2][0] - wire(6, 22, 3, 5)) < 60
        assert at(it, wire(6, 21, 22))[1] == 9
        assert at(it, wire(6, 22, 9))[:2] == (85, 2)


def test_a_control_stays_over_later_fixed_levels():
    it = blob([prog([[12 * H, 80, 1], [23 * H, 60, 4]], [], [[0, SUNSET, SUB, 20, 9]])])
    found = switches(it, wire(6, 21, 22))
    assert near(found, [(wire(6, 21, 10), 80), (wire(6, 21, 20, 3, 5), 60), (wire(6, 21, 21), 40)])
    assert at(it, wire(6, 21, 22))[1] == 4


def test_a_control_whose_event_does_not_happen_does_nothing():
    fixed = [[12 * H, 80, 0]]
    for month in (6, 12):
        it = blob([prog(fixed, [], [[0, SUNSET, SET, 10, 0], [0, SUNRISE, SET, 20, 0]])], place=TROMSO)
        assert [now[1] for now in switches(it, wire(month, 21, 22))] == [80], month


def test_of_two_controls_at_one_instant_the_later_in_the_list_counts():
    it = blob([prog([[12 * H, 80, 0]], [], [[0, SUNSET, SET, 10, 0], [0, SUNSET, SET, 20, 0]])])
    assert [now[1] for now in switches(it, wire(1, 12, 22))] == [80, 20]
    it = blob([prog([[12 * H, 80, 0]], [], [[0, SUNSET, SET, 20, 0], [0, SUNSET, SET, 10, 0]])])
    assert [now[1] for now in switches(it, wire(1, 12, 22))] == [80, 10]


MARKED = prog([[12 * H, 1, 0]])
PLAIN = prog([[12 * H, 2, 0]])


def marked(rule, noon=12):
    """Days of 2026 to 2028 on which a rule holds, as (year, month, day)."""
    parts = calendar.parts(blob([MARKED, PLAIN], [[0] + rule], 1, noon=noon))
    return [
        calendar.civil(day)
        for day in range(days(2026, 1, 1), days(2029, 1, 1))
        if calendar.decode(calendar.program(parts, day))[1][0][1] == 1
    ]


YEAR = [date(1, 1), date(12, 31)]


def test_ranges_of_every_year_and_of_one():
    assert marked([date(7, 14), date(7, 14), 0]) == [(y, 7, 14) for y in (2026, 2027, 2028)]
    assert marked([date(12, 31, 2026), date(1, 2, 2027), 0]) == [(2026, 12, 31), (2027, 1, 1), (2027, 1, 2)]
    # Round the new year, to a 29 February that only 2028 has.
    winter = marked([date(11, 1), date(2, 29), 0])
    assert (2028, 2, 29) in winter and (2027, 2, 28) in winter and (2027, 3, 1) not in winter
    assert (2026, 10, 31) not in winter and (2026, 11, 1) in winter
    assert len(winter) == 59 + 59 + 60 + 3 * 61


def test_29_february():
    assert marked([date(2, 29), date(2, 29), 0]) == [(2028, 2, 29)]
    assert marked(YEAR + [[1, [[date(2, 29), date(2, 29)]]]]) == [(2028, 2, 29)]


def test_days_of_the_month():
    assert marked([date(3, 1), date(4, 30), [1, [[31, 31]]]]) == [(y, 3, 31) for y in (2026, 2027, 2028)]
    days_of_february = [1, [[27, 31], [date(2, 3), date(2, 4)]]]
    assert [d[2] for d in marked([date(2, 1, 2027), date(2, 28, 2027), days_of_february])] == [3, 4, 27, 28]


def test_a_bound_with_and_one_without_a_year_count_each_on_its_own():
    found = marked([date(12, 30, 2027), date(12, 31), 0])
    assert found[0] == (2027, 12, 30) and len(found) == 2 + 366
    assert len(marked([date(1, 1), date(1, 31, 2026), 0])) == 31
    assert marked([date(12, 31), date(1, 31, 2027), 0]) == [(2026, 12, 31)]


def test_week_days_and_which_of_the_month():
    # 2026-01-01 is a Thursday. Weekday bit 0 is Monday.
    january = [date(1, 1, 2026), date(1, 31, 2026)]
    assert [d[2] for d in marked(january + [[2, 0b1100000, 31]])] == [3, 4, 10, 11, 17, 18, 24, 25, 31]
    assert [d[2] for d in marked(january + [[2, 0b0001000, 1]])] == [1]
    assert [d[2] for d in marked(january + [[2, 0b0001000, 16]])] == [29]
    # No fifth Monday in January, one in March; the last is there always.
    year = [date(1, 1, 2026), date(12, 31, 2026), [2, 1, 16]]
    assert [d[1:] for d in marked(year)] == [(3, 30), (6, 29), (8, 31), (11, 30)]
    year[2] = [2, 1, 32]
    assert [d[1:] for d in marked(year)][:4] == [(1, 26), (2, 23), (3, 30), (4, 27)]
    assert len(marked(year)) == 12
    year[2] = [2, 1, 33]
    assert len(marked(year)) == 24


def test_the_first_rule_that_matches_counts():
    rules = [[1, date(1, 5), date(1, 5), 0], [0, date(1, 1), date(1, 31), 0]]
    it = blob([MARKED, PLAIN], rules, -1, level=9)
    assert [level(it, wire(1, d, 20)) for d in (4, 5, 6)] == [1, 2, 1]
    assert level(it, wire(2, 3, 20)) == 9
    it = blob([MARKED, PLAIN], rules[::-1], -1)
    assert level(it, wire(1, 5, 20)) == 1


def test_a_rule_ends_at_noon_of_the_day_after():
    it = blob([MARKED, PLAIN], [[0, date(1, 5), date(1, 6), 0]], 1)
    assert [
        level(it, t) for t in (wire(1, 5, 11) - 1, wire(1, 5, 11), wire(1, 7, 11) - 1, wire(1, 7, 11))
    ] == [2, 1, 1, 2]


RICH = prog(
    [[12 * H, 70, 5], [20 * H, 90, 5], [23 * H, 30, 20], [2 * H + 1800, 10, 20], [5 * H, 60, 30]],
    [[3, -10, 15, 40, 40, 20, 60], [0, 23 * H, 1 * H], [1, 60, -30]],
    [[-20, SUNSET, ADD, 10, 3], [90, SUNSET, MUL, 80, 4], [-45, SUNRISE, MAX, 50, 5]],
    [[22 * H, 4 * H, MAX, 80, 120, 2, 10], [-1, -1, ADD, 10, 30, 1, 5]],
)


def lcg(seed):
    while True:
        seed = (seed * 1103 + 12345) % 1048573
        yield seed


def test_asking_at_random_is_the_same_as_walking():
    compact = blob([RICH, EVENING], [[1, date(4, 1), date(4, 1), [2, 127, 31]]], 0)
    first = wire(3, 27, 11)
    walked = []
    it = night.Night(table(compact, first))
    it.light(40)
    t = first
    while t < first + 4 * 86400:
        if t >= it.end:
            it.load(table(compact, t))
        now = it.at(t)
        walked.append((t, now[:2]))
        t = now[2]
    assert len(walked) > 30
    numbers = lcg(7)
    for _ in range(300):
        t = first + next(numbers) * next(numbers) % (4 * 86400)
        fresh = night.Night(table(compact, t))
        fresh.light(40)
        assert fresh.begin <= t < fresh.end
        assert fresh.at(t)[:2] == [row[1] for row in walked if row[0] <= t][-1]


def test_lighting_days_follow_each_other():
    for zone in (
        PARIS,
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "<-01>1<+00>,M3.5.0/0,M10.5.0/1",
        "EET-2EEST,M3.5.0/0,M10.5.0/0",
    ):
        for noon in (0, 12):
            compact = blob([EVENING if noon else prog([[H, 5, 0]])], zone=zone, noon=noon)
            it = night.Night(table(compact, wire(1, 1, 12)))
            for _ in range(400):
                end = it.end
                assert 22 * H < end - it.begin < 26 * H
                it.load(table(compact, end))
                assert it.begin == end
                assert night.Night(table(compact, end - 1)).end == end


def test_building_leaves_no_module_behind():
    compact = blob([RICH])
    t = wire(3, 28, 22)
    wanted = table(compact, t)
    assert night.build(compact, t) == wanted
    home = sys.modules["firmware.furniture"]
    for name in ("calendar", "dates", "packed", "schedule", "sun", "zone", "plan"):
        assert "firmware.furniture." + name not in sys.modules
        assert not hasattr(home, name)
    assert night.build(compact, t) == wanted


def test_building_each_day_keeps_no_memory():
    if not MICROPYTHON:
        return
    compact = blob([RICH])
    it = night.Night(night.build(compact, wire(3, 28, 22)))
    used = []
    for day in range(6):
        it.load(night.build(compact, wire(3, 28, 22) + day * 86400))
        gc.collect()
        gc.collect()
        used.append(gc.mem_alloc())
    # The list itself and a table that is longer by a row.
    assert max(used[2:]) - used[2] < 200, used
