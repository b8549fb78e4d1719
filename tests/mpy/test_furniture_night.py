"""What a table says when the photocell and the detector have their say, and when it gets old."""

from firmware.furniture import night
from tests.mpy.plans import ADD, EVENING, MAX, MIN, MUL, SET, SUB, H, blob, prog, table, wire


def test_photocell_with_hysteresis():
    compact = blob([prog([[12 * H, 90, 3]], [[2, 2000, 5000]])])
    it = night.Night(table(compact, wire(1, 12, 14)))
    t = wire(1, 12, 14)
    # A photocell that says nothing counts as dark.
    assert it.at(t)[0] == 90
    for lux_e2, wanted in (
        (6000, 0),
        (5000, 0),
        (2000, 0),
        (1999, 90),
        (2000, 90),
        (5000, 90),
        (5001, 0),
        (None, 90),
        (3500, 90),
    ):
        it.light(lux_e2)
        assert it.at(t)[0] == wanted, lux_e2


def test_astronomical_period_with_photocell():
    # 21 June: set 20:03:05, and 22 June rise about 04:05:10.
    compact = blob([prog([[12 * H, 100, 0]], [[3, 15, 20, 30, 40, 2000, 5000]])])
    it = night.Night(table(compact, wire(6, 21, 22)))
    for lux_e2 in (1000, 10000, None):
        it.light(lux_e2)
        by_cell = 0 if lux_e2 == 10000 else 100
        for t, wanted in (
            (wire(6, 21, 19, 32), 0),
            (wire(6, 21, 19, 34), by_cell),
            (wire(6, 21, 20, 17), by_cell),
            (wire(6, 21, 20, 19), 100),
            (wire(6, 22, 3, 24), 100),
            (wire(6, 22, 3, 27), by_cell),
            (wire(6, 22, 4, 24), by_cell),
            (wire(6, 22, 4, 27), 0),
        ):
            assert it.at(t)[0] == wanted, (lux_e2, t)


def test_a_short_night_is_the_photocells_alone():
    # Nothing is certain from 4 h after sunset to 4 h before sunrise: the night of 21 June has 8 h 2 min.
    compact = blob([prog([[12 * H, 100, 0]], [[3, 250, 0, 0, 240, 2000, 5000]])])
    it = night.Night(table(compact, wire(6, 21, 22)))
    for lux_e2, wanted in ((1000, 100), (10000, 0)):
        it.light(lux_e2)
        assert [it.at(wire(6, 21, 20, 1))[0], it.at(wire(6, 22, 0, 10))[0], it.at(wire(6, 22, 4, 1))[0]] == [
            0,
            wanted,
            wanted,
        ]


def test_a_period_that_is_on_beats_the_photocell():
    compact = blob([prog([[12 * H, 100, 0]], [[2, 2000, 5000], [0, 20 * H, 22 * H]])])
    it = night.Night(table(compact, wire(1, 12, 20)))
    it.light(9000)
    assert [it.at(wire(1, 12, h))[0] for h in (18, 19, 20, 21)] == [0, 100, 100, 0]


def test_presence_with_the_six_operations_and_hold():
    t = wire(1, 12, 23)
    for op, by, wanted in (
        (SET, 30, 30),
        (MAX, 90, 90),
        (MIN, 25, 25),
        (ADD, 70, 100),
        (SUB, 50, 0),
        (MUL, 50, 20),
    ):
        compact = blob([prog([[12 * H, 40, 7]], [], [], [[-1, -1, op, by, 60, 2, 5]])])
        it = night.Night(table(compact, t))
        assert it.at(t) == (40, 7, wire(1, 13, 11)) and it.reason == 3
        it.presence(t, True)
        assert it.at(t) == (wanted, 2, wire(1, 13, 11)) and it.reason == 2
        assert it.at(t + 1000)[0] == wanted
        it.presence(t + 1000, False)
        assert it.at(t + 1059) == (wanted, 2, t + 1060)
        assert it.at(t + 1060) == (40, 5, wire(1, 13, 11)) and it.reason == 3
        it.presence(t + 1100, False)
        assert it.at(t + 1101)[0] == 40


def test_the_first_control_in_its_period_counts():
    dynamic = [[22 * H, 1 * H, SET, 80, 10, 0, 0], [21 * H, 3 * H, SET, 60, 100, 0, 0]]
    compact = blob([prog([[12 * H, 20, 0]], [], [], dynamic)])
    it = night.Night(table(compact, wire(1, 12, 23)))
    it.presence(wire(1, 12, 18), True)
    found = [it.at(wire(1, 12, 19, 59) + 3600 * n)[0] for n in range(8)]
    assert found == [20, 60, 80, 80, 80, 60, 60, 20]
    assert it.at(wire(1, 12, 19))[2] == wire(1, 12, 20)
    assert it.at(wire(1, 12, 20))[2] == wire(1, 12, 21)
    # Its hold time over, the second still holds.
    it.presence(wire(1, 12, 22), False)
    assert [it.at(wire(1, 12, 22) + s)[0] for s in (0, 9, 10, 99, 100)] == [80, 80, 60, 60, 20]


def test_presence_has_no_say_outside_of_the_periods_nor_by_default():
    dynamic = [[-1, -1, SET, 80, 10, 0, 0]]
    compact = blob(
        [prog([[12 * H, 20, 0]], [[0, 20 * H, 22 * H], [2, 5, 9]], [], dynamic)], [[0, 33, 60, 0]], -1
    )
    it = night.Night(table(compact, wire(1, 12, 20)))
    it.presence(0, True)
    it.light(100)
    assert [it.at(wire(1, 12, h))[0] for h in (18, 19, 20, 21)] == [0, 80, 80, 0]
    it.load(table(compact, wire(5, 1)))
    assert it.at(wire(5, 1)) == (100, 0, wire(5, 1, 10)) and it.reason == 0


def test_a_newer_table_replaces_the_older_and_keeps_the_presence():
    t = wire(1, 12, 23)
    it = night.Night(table(blob([EVENING]), t))
    it.presence(t, True)
    assert it.at(t)[0] == 40
    it.load(table(blob([prog([[12 * H, 10, 0]], [], [], [[-1, -1, ADD, 5, 60, 0, 0]])]), t))
    assert it.at(t)[0] == 15


def test_an_old_table_goes_on_from_day_to_day():
    it = night.Night(table(blob([EVENING]), wire(1, 12, 23)))
    for day in (-3, 1, 40):
        t = wire(1, 12, 23) + day * 86400
        assert it.at(t) == (40, 10, wire(1, 13, 4) + day * 86400)
    t = wire(1, 20, 23)
    it.load(table(blob([prog([[12 * H, 10, 0]], [], [], [[-1, -1, ADD, 5, 60, 0, 0]])]), wire(1, 12, 23)))
    it.presence(t, True)
    it.presence(t, False)
    assert [it.at(t + s)[0] for s in (0, 59, 60)] == [15, 15, 10]
    assert it.at(t)[2] == t + 60
