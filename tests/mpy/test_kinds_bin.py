"""Bin on its board: when it speaks, what it says of its level, and what is kept over a restart."""

from firmware.drivers.errors import BusError, ConfigError, NotReady
from firmware.roles.report import shorten
from tests.mpy.bins import (
    ALARMS,
    CLASS,
    DISTANCE,
    DISTANCES,
    EMPTIED,
    FAILURE,
    FAULT,
    FILL,
    FULL,
    FULL_IN,
    MINUTE,
    OBSTRUCTED,
    QUALITY,
    QUARTER,
    SPEED,
    Bins,
    Chip,
)
from tests.mpy.site import HOUR

# When it speaks


def test_the_first_measurement_is_told_then_nothing_new_once_in_four_hours():
    site = Bins(phase_ms=MINUTE)
    site.run(9 * HOUR)
    assert [t // MINUTE for t, _, _ in site.report.sent] == [1, 241, 481]
    first = site.report.sent[0][1]
    assert first[:8] == [None, None, 3900, 0, 50, 701, 100, 2] and first[DISTANCES] is None
    second = site.report.sent[1][1]
    assert second[DISTANCES] == [700 + (n + 1) % 3 for n in range(15, 0, -1)], "newest first, without its own"
    assert second[DISTANCE] == 702
    assert site.ranger.starts == 36 and site.ranger.reads == 36 * 7 and not site.ranger.on
    assert not any([alarm for _, _, alarm in site.report.sent])


def test_the_heartbeat_is_a_setting():
    site = Bins({14: 3600})
    site.run(5 * HOUR)
    assert [t // MINUTE for t, _, _ in site.report.sent] == [0, 60, 120, 180, 240]
    site = Bins({14: 900})
    site.run(2 * HOUR)
    assert len(site.report.sent) == 8 and site.report.sent[7][1][DISTANCES] is None
    site = Bins({14: 86400}, interval_s=600)
    site.run(25 * HOUR)
    assert [t // HOUR for t, _, _ in site.report.sent] == [0, 24]
    assert len(site.report.sent[1][1][DISTANCES]) == 24, "of the field table"


def test_more_than_five_points_or_another_class_is_news_once_per_interval():
    site = Bins()
    site.fills((10, 55), (40, 56), (70, 61), (100, 63), (130, 66), (160, 71), (190, 72))
    site.run(210 * MINUTE)
    assert site.told(FILL, CLASS) == [
        [0, 0, 50, 2],
        [45, 0, 56, 2],
        [105, 0, 63, 2],
        [135, 0, 66, 3],
        [195, 0, 72, 3],
    ]


def test_a_measurement_that_was_told_is_not_told_again_in_distances():
    site = Bins()
    site.fills((40, 56), (70, None), (100, 56))
    site.run(4 * HOUR + 50 * MINUTE)
    assert [t // MINUTE for t, _, _ in site.report.sent] == [0, 45, 285]
    assert len(site.report.sent[1][1][DISTANCES]) == 2


def test_a_burst_without_an_echo_keeps_its_place_among_the_distances():
    """At 75 and 90 minutes of what is told at 285."""
    site = Bins()
    site.fills((40, 56), (70, None), (100, 56))
    site.run(4 * HOUR + 50 * MINUTE)
    told = site.report.sent[2][1][DISTANCES]
    assert len(told) == 15 and all([639 < mm < 643 for n, mm in enumerate(told) if n not in (12, 13)])
    assert told[12:14] == [0, 0] and told[14] == 640 + 60 // 15 % 3 + 1


def test_holes_at_the_old_end_are_left_out_and_nothing_but_holes_is_nothing():
    site = Bins()
    site.fills((10, None), (100, 50))
    site.run(4 * HOUR + 10 * MINUTE)
    # The failure at 90 minutes, its end at 105.
    assert [(t // MINUTE, v[DISTANCES]) for t, v, _ in site.report.sent[:3]] == [
        (0, None),
        (90, None),
        (105, None),
    ]
    site = Bins({14: 86400})
    site.fills((10, None), (55, 50), (70, None), (85, 50))
    site.at(100 * MINUTE, lambda: setattr(site.ranger, "fill", 57))
    site.run(2 * HOUR)
    assert [v[DISTANCES] for _, v, _ in site.report.sent] == [None, [701, 0, 702]]


def test_what_hello_has_not_made_way_for_is_kept_whole():
    """Looks between measurements leave a reading alone that waits for hello."""
    site = Bins(parts={"tilt": Chip(0)})
    site.report.refuse = 1
    site.run(14 * MINUTE)
    assert site.report.sent == []
    assert site.report.values[3:8] == [0, 50, 701, 100, 2]


def test_a_day_between_measurements_keeps_the_watchdog_fed():
    site = Bins(interval_s=86400, phase_ms=80000000)
    site.run(3 * 24 * HOUR)
    assert len(site.report.sent) == 3
    assert site.longest_silence() <= 305000


def test_a_short_carrier_loses_distances_first_and_the_level_last():
    site = Bins(parts={"temperature": Chip(200)}, interval_s=3600)
    site.run(15 * HOUR + 1)
    site.kind._report.values[DISTANCES] = [700, 701]
    gone = []
    values = site.report.values
    before = list(values)
    while shorten(site.report.values, site.report.spare):
        gone += [k for k in range(17) if values[k] is None and before[k] is not None]
        before = list(values)
    assert gone[0] == DISTANCES and gone[-1] == QUALITY
    assert [k for k in range(17) if values[k] is not None] == [ALARMS, FILL, DISTANCE, CLASS]


# Levels and what happens to the container


def test_seven_echoes_their_median_and_quality():
    site = Bins()
    site.ranger.echoes = [NotReady("x"), 300, None, 310, BusError("x"), 1000, 305]
    site.run(MINUTE)
    values = site.report.sent[0][1]
    assert values[DISTANCE] == 305 and values[QUALITY] == 42, "three of seven agree"
    site = Bins()
    site.ranger.echoes = [612, 608, 3999, 610, 250, 611, 609]
    site.run(MINUTE)
    assert site.report.sent[0][1][4:8] == [59, 610, 71, 2]


def test_containers_of_other_shapes():
    for extra, mm, fill in (
        ({1: 1000, 2: 300, 4: 360, 5: 360, 6: 460, 7: 460}, 650, 44),
        ({1: 1200, 2: 200, 3: 1000}, 950, 20),
    ):
        site = Bins(extra)
        site.ranger.echoes = [mm] * 7
        site.run(MINUTE)
        assert site.report.sent[0][1][FILL] == fill and site.kind.alarms == 0


def test_emptied_is_told_at_once_and_once():
    site = Bins()
    site.fills((40, 85), (70, 4))
    site.run(5 * HOUR + 50 * MINUTE)
    assert site.told(FILL) == [[0, 0, 50], [60, 0, 85], [90, EMPTIED, 4], [330, 0, 4]]
    assert [alarm for _, _, alarm in site.report.sent] == [False, False, True, False]


def test_emptied_that_could_not_be_stored_is_told_later():
    site = Bins()
    site.fills((40, 85), (70, 4))
    site.at(80 * MINUTE, lambda: setattr(site.report, "refuse", 1))
    site.run(2 * HOUR + 50 * MINUTE)
    assert site.told(FILL) == [[0, 0, 50], [60, 0, 85], [105, EMPTIED, 4]]


def test_full_and_obstructed_begin_at_once_and_end_with_a_measurement():
    site = Bins()
    site.fills((20, 70), (50, 93), (80, 79), (110, 112), (170, 60))
    site.run(200 * MINUTE)
    assert site.told(FILL) == [
        [0, 0, 50],
        [30, 0, 70],
        [60, FULL, 93],
        [90, 0, 79],
        [135, OBSTRUCTED, None],
        [180, 0, 60],
    ]
    assert [a for _, _, a in site.report.sent] == [False, False, True, False, True, False]


def test_no_echo_is_not_empty_and_a_dead_sensor_is_an_alarm():
    for how in ("silent", "missing", "bus", "start"):
        site = Bins()
        site.at(40 * MINUTE, lambda site=site, how=how: fail(site.ranger, how))
        site.fills((170, 52))
        site.at(170 * MINUTE, lambda site=site: fail(site.ranger, ""))
        site.run(190 * MINUTE)
        assert site.told(FILL, DISTANCE, QUALITY, CLASS, FAULT)[1:] == [
            [120, FAILURE, None, None, 0, None, 1],
            [180, 0, 52, 680 + site.ranger.starts % 3, 100, 2, None],
        ], how
        assert not site.ranger.on


def fail(ranger, how):
    ranger.dead = BusError("vl53l1x", 19) if how == "start" else None
    ranger.fill = None if how else 52
    if how in ("missing", "bus"):
        ranger.echoes = [NotReady("a02yyuw") if how == "missing" else BusError("a02yyuw", "sum")] * 700
    else:
        ranger.echoes = []


def test_a_board_without_a_ranger_goes_on():
    for part in (None, ConfigError("a02yyuw", "radio", 47), ImportError("no module")):
        site = Bins(parts={"range": part})
        site.run(5 * HOUR)
        assert site.report.sent[-1][1][ALARMS] & FAILURE
        assert site.kind.alarms == (16 if part else 0)


def test_the_sensor_that_says_the_same_for_days():
    site = Bins()
    site.ranger.echoes = [700] * 7 * 4 * 24 * 4
    site.run(73 * HOUR)
    begun = [t for t, v, alarm in site.report.sent if v[ALARMS] == FAILURE]
    assert begun[0] // HOUR == 72 and site.report.sent[-1][1][FAULT] == 4


def test_speed_and_forecast():
    site = Bins()
    for n in range(80):
        site.fills((n * 15 + 1, 10 + n // 2))
    site.run(16 * HOUR)
    values = [v for _, v, _ in site.report.sent if v[FILL] is not None][-1]
    assert 440 <= values[SPEED] <= 520, "two points an hour"
    assert values[FULL_IN] == (90 - values[FILL]) * 240 // values[SPEED]
    assert site.report.sent[0][1][SPEED] is None and site.report.sent[0][1][FULL_IN] is None


def test_class_keeps_its_margin_over_readings():
    site = Bins({14: 900})
    site.fills(*[(15 * n + 10, f) for n, f in enumerate((38, 39, 41, 36, 35, 34))])
    site.run(100 * MINUTE)
    assert [v[CLASS] for _, v, _ in site.report.sent] == [2, 2, 2, 2, 2, 2, 1]


# What is kept


def test_a_restart_forgets_neither_level_nor_speed():
    kept = {}
    site = Bins({14: 900}, kept=kept)
    site.ranger.fill = 20
    for n in range(60):
        site.fills((n * 15 + 1, 20 + n))
    site.run(15 * HOUR)
    speed = site.report.sent[-1][1][SPEED]
    assert 900 <= speed <= 1000
    assert len(kept["watch"]) <= 96
    after = Bins(kept=kept)
    after.ranger.fill = 4
    after.run(QUARTER + MINUTE)
    first = after.report.sent[0][1]
    assert first[FILL] is None and first[ALARMS] == 0, "a second reading must confirm it"
    assert after.told(FILL, SPEED)[1:] == [[15, EMPTIED, 4, speed]]
    for damaged in (b"", kept["watch"][:-1], bytes(12)):
        kept["watch"] = damaged
        site = Bins(kept=kept)
        site.run(MINUTE)
        assert site.report.sent[0][1][FILL] == 50


def test_what_was_kept_of_another_container_is_not_taken_up():
    frustum = {1: 1200, 2: 200, 4: 400, 5: 300, 6: 500, 7: 600}
    shapes = [
        {1: 1200, 2: 200},
        {1: 1100, 2: 200},
        {1: 1200, 2: 201},
        {3: 1000},
        {3: 1001},
        {3: 1200},
        frustum,
    ]
    for key in (4, 5, 6, 7):
        shapes.append(dict(frustum))
        shapes[-1][key] += 1
    shapes.append(dict(frustum))
    shapes[-1].update({4: 300, 5: 400})
    for before in shapes:
        kept = {}
        site = Bins(before, kept=kept)
        site.ranger.fill = 85
        site.run(MINUTE)
        for shape in shapes:
            site = Bins(shape, kept=dict(kept))
            site.ranger.fill = 4
            site.run(MINUTE)
            # A second reading must confirm an emptying of the same one.
            assert (site.report.sent[0][1][FILL] is None) == (shape == before), (before, shape)


def test_it_is_written_with_what_is_told():
    site = Bins()
    site.run(24 * HOUR)
    assert site.copies_["watch"].writes == len(site.report.sent) == 6
