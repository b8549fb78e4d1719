"""Bin rules; expected values from solid geometry, from the filter's recipe, or by hand from the rule's text."""

from firmware.furniture import bin, echo, fire, geometry, hatch
from firmware.furniture.bin_check import check
from firmware.protocols.cbor import WireError
from tests.mpy.bins import EMPTIED, FAILURE, FIRE, FULL, HOT, LID_OPEN, OBSTRUCTED, TILTED
from tests.mpy.support import raises

HOUR = 3600
SHAPE = (1200, 200)  # a point of fill is a centimetre


# Echoes


def test_outliers_go_by_the_median_absolute_deviation():
    assert echo.burst([612, 608, 3999, 610, 250, 611, 609]) == (610, 71, 5)
    assert echo.burst([610, 610, 610, 610, 640]) == (610, 80, 4), "a spread of nothing counts as 1 mm"
    assert echo.burst([None, None]) == (None, 0, 0)
    assert echo.burst([]) == (None, 0, 0)
    assert echo.burst([700]) == (700, 100, 1)


def test_quality_counts_what_agrees_and_what_is_missing():
    assert echo.burst([500, None, 505, 2000, 495]) == (500, 60, 3)
    assert echo.burst([600, 3999])[1] == 50, "two that differ: nobody knows"
    assert echo.burst([100, 300, 500, 700, 900, 1100, 1300])[1] == 14


def test_sound_in_cold_and_warm_air():
    """331.3 + 0.606 T m/s: assuming 20 degC reads 56 mm too far at -10 degC and 34 mm too near at 40 degC."""
    assert abs(echo.in_air(1056, -100) - 1000) <= 1
    assert abs(echo.in_air(966, 400) - 1000) <= 1
    assert echo.in_air(1234, 200) == 1234


def test_a_burst_without_an_echo_keeps_its_place():
    samples = []
    for mm in (None, None, 700, None, 702):
        samples = echo.older(samples, mm)
    assert samples == [702, 0, 700], "newest first, none at the old end"
    for n in range(30):
        samples = echo.older(samples, n + 1)
    assert samples == list(range(30, 5, -1)), "the 24 of a reading and its own"
    samples = [5] + [0] * 23 + [7]
    assert echo.older(samples, None) == [0, 5]


def test_class_has_a_margin():
    assert bin.fill_class(38) == 2
    assert bin.fill_class(38, 1) == 1
    assert bin.fill_class(41, 1) == 2
    assert bin.fill_class(100, 3) == 4


# Geometry


def near(permille, percent):
    return abs(permille - percent * 10) <= 1


def test_published_volumes():
    assert geometry.permille(480, (900, 200)) == 600
    assert near(geometry.permille(650, (1000, 300, 360, 360, 460, 460)), 43.93)
    assert near(geometry.permille(1000, (1500, 500, 400, 450, 520, 600)), 43.21)
    lying = (1200, 200, 1000)
    for h, percent in ((250, 19.55), (500, 50.0), (750, 80.45)):
        assert near(geometry.permille(1200 - h, lying), percent), h


def test_lying_cylinder_is_right_at_every_height():
    import math

    for size in (300, 1000, 2411):
        r = size / 2
        for h in range(0, size + 1, 7):
            area = r * r * math.acos((r - h) / r) - (r - h) * math.sqrt(max(0, 2 * r * h - h * h))
            true = 100 * area / (math.pi * r * r)
            got = geometry.permille(size + 100 - h, (size + 100, 100, size))
            assert abs(got - true * 10) <= 1.1, (size, h)


def test_cone_and_pyramid_are_frustums():
    for d in range(300, 1301, 25):
        x = (1300 - d) / 1000
        got = geometry.permille(d, (1300, 300, 1, 1, 8001, 8001))
        assert abs(got - 1000 * x**3) <= 1.2, d
        got = geometry.permille(d, (1300, 300, 500, 1, 500, 8001))
        assert abs(got - 1000 * x**2) <= 1.2, d


def test_every_shape_is_clipped_and_never_falls():
    for shape in (SHAPE, (1000, 300, 360, 360, 460, 460), (1200, 300, 1000), (20000, 1, 9000, 20000, 3, 1)):
        assert geometry.permille(shape[0] + 500, shape) == 0
        assert geometry.permille(0, shape) == 1000
        fills = [geometry.permille(d, shape) for d in range(shape[0], shape[1] - 1, -(shape[0] // 97))]
        assert fills == sorted(fills) and fills[0] == 0


def test_impossible_containers_and_thresholds_are_refused_by_name():
    for shape in (SHAPE, (1200, 200, 1000), (1000, 300, 360, 360, 460, 460)):
        assert check(shape) is None
    for shape in (
        (),
        (1200,),
        (200, 1200),
        (500, 500),
        (1200, 0),
        (1200, -5),
        (20001, 200),
        (1200, 200, 999),
        (1200, 200, 0),
        (1200, 200, 300, 300),
        (1000, 300, 360, 360, 460, 0),
        ("1200", 200),
        None,
        7,
    ):
        assert raises(WireError, check, shape).args == ("config", "shape"), shape
    for rules in (
        (),
        (80, 90, 5, 10, 700, 50),
        (101, 80, 5, 10, 700, 50),
        (90, 80, 10, 5, 700, 50),
        (90, 80, -1, 10, 700, 50),
        (90, 80, 5, 85, 700, 50),
        (90, 80, 5, 10, 500, 50),
        (90, 80, 5, 10, 700, 0),
        (90, 80, 5, 10, "700", 50),
        None,
    ):
        assert raises(WireError, check, SHAPE, rules).args == ("config", "rules"), rules


# What happens to the container


def heat(watch, t_s, ddegc):
    return fire.heat(watch.s, watch.r, t_s, ddegc)


class Bin:
    """A burst an hour."""

    def __init__(self, **how):
        self.it = bin.Watch(SHAPE, **how)
        self.t = 1000
        self.wobble = 0

    def at(self, fill, quality=100, **how):
        """One burst that says `fill` per cent; None is no echo. Real distances are never the same twice."""
        self.t += HOUR
        self.wobble = (self.wobble + 1) % 3
        mm = None if fill is None else 1200 - fill * 10 + self.wobble
        return self.it.step(self.t, mm, quality, **how)

    def all(self, *fills):
        return [self.at(f) for f in fills]


def test_full_and_empty_have_two_thresholds_each():
    b = Bin()
    b.all(20, 45, 70)
    assert b.all(89, 90, 85, 81, 79, 85) == [0, FULL, FULL, FULL, 0, 0]
    b = Bin()
    seen = []
    for fill in (6, 5, 9, 11, 9):
        b.at(fill)
        seen.append(b.it.empty)
    assert seen == [False, True, True, False, False]


def test_emptied_is_told_once_at_the_second_reading():
    b = Bin()
    b.all(30, 55, 80)
    assert b.at(4) == 0 and b.it.fill == 80 and not b.it.fresh, "one reading may be wrong"
    assert b.at(3) == EMPTIED and b.it.fill == 3 and b.it.fresh
    assert heat(b.it, b.t + 60, 200) == 0
    assert b.at(3) == 0


def test_a_bin_that_was_little_full_is_emptied_when_it_is_empty():
    b = Bin()
    b.all(22, 24)
    assert b.all(4, 4) == [0, EMPTIED]
    b.all(22, 24)
    assert b.all(8, 8) == [0, 0] and b.it.fill == 8, "16 points down to 8 % may be the contents settling"


def test_one_wrong_reading_is_no_emptying_and_no_filling():
    b = Bin()
    b.all(50, 51)
    assert b.all(5, 52, 51) == [0, 0, 0] and b.it.fill == 51
    assert b.all(85, 51) == [0, 0] and b.it.fill == 51
    assert b.all(5, 90, 10, 52) == [0, 0, 0, 0], "wrong ones that do not agree"
    assert b.it.fill == 52


def test_a_drop_under_a_tilt_or_an_open_lid_is_no_emptying():
    b = Bin()
    b.all(60, 75)
    assert b.at(0, tilt=90) == TILTED and b.it.fill == 75 and not b.it.fresh
    assert b.at(0, tilt=25) == TILTED, "until it stands upright again"
    assert b.at(0, lid=True) == LID_OPEN
    assert b.at(75, tilt=5) == 0 and b.it.fill == 75
    b.at(2)
    b.at(2, lid=True)
    assert b.at(2) == 0, "what was seen before the lid opened must be seen twice anew"
    assert b.at(2) == EMPTIED
    assert b.at(2, tilt=None) == 0


def test_full_stays_told_while_the_lid_is_open():
    b = Bin()
    b.all(65, 92)
    assert b.at(None, lid=True) == FULL | LID_OPEN


def test_obstructed_but_not_full():
    """Something 5 cm before the sensor of a bin that was at 30 %."""
    b = Bin()
    b.all(28, 30)
    assert b.at(115) == 0
    assert b.at(115) == OBSTRUCTED and b.it.fill == 30 and not b.it.fresh and b.it.fault == 0
    assert b.at(115) == OBSTRUCTED
    assert b.at(33) == 0 and b.it.fill == 33 and b.it.fresh
    assert b.all(96, 96)[-1] == OBSTRUCTED, "63 points in an hour and straight to full: no contents"


def test_what_piles_up_on_a_full_bin_is_full():
    b = Bin()
    b.all(60, 86, 95)
    assert b.all(112, 113) == [FULL, FULL] and b.it.fill == 100


def test_a_large_load_is_believed_when_seen_twice():
    b = Bin()
    b.all(20, 20)
    assert b.all(60, 61) == [0, 0] and b.it.fill == 61


def test_no_echo_is_not_empty():
    b = Bin()
    b.all(60, 70)
    seen = b.all(*[None] * 8)
    assert seen == [0] * 5 + [FAILURE] * 3 and b.it.fill == 70 and b.it.fault == 1 and not b.it.fresh
    assert b.at(71) == 0 and b.it.fault == 0
    new = bin.Watch(SHAPE)
    assert new.step(1, None) == 0 and new.fill is None and not new.empty


def test_a_sensor_that_floods_lies_freezes_or_dies_is_told_apart():
    b = Bin()
    b.all(40, 41)
    for fault, how in ((1, (None, 0)), (2, (44, 14)), (3, (-30, 100))):
        for _ in range(6):
            alarms = b.at(*how)
        assert (alarms, b.it.fault, b.it.fill) == (FAILURE, fault, 41)
        assert b.at(41) == 0
    mm = 788
    for h in range(80):
        b.t += HOUR
        alarms = b.it.step(b.t, mm)
        assert alarms == (FAILURE if h >= 72 else 0), h
    assert b.it.fault == 4
    assert b.at(43) == 0, "and it goes on"


def test_a_frozen_sensor_is_told_by_what_it_says_itself():
    w = bin.Watch(SHAPE)
    for h in range(80):
        assert w.step(HOUR * h, 700 + h % 5, raw=700) == (FAILURE if h >= 72 else 0), h
    w = bin.Watch(SHAPE)
    for h in range(80):
        assert w.step(HOUR * h, 700, raw=700 + h // 40) == 0, h


def test_cold_air_is_not_deeper_than_the_bin():
    b = Bin()
    assert b.at(-6) == 0 and b.it.fill == 0 and b.it.fresh
    b.at(-13)
    assert b.it.fault == 3


def exact(fills, shape=(1200, 200)):
    """Alarms and level after bursts that say exactly these per cent."""
    w = bin.Watch(shape)
    return [w.step(HOUR * n, 1200 - f * 10) for n, f in enumerate(fills)][-1], w.fill


def test_every_threshold_belongs_to_what_it_begins():
    assert exact([65, 20, 35]) == (EMPTIED, 35)
    assert exact([80, 20, 36]) == (0, 80), "16 points apart: not yet"
    assert exact([80, 36, 20]) == (0, 80)
    assert exact([50, 80]) == (0, 50) and exact([50, 79]) == (0, 79)
    assert exact([20, 5]) == (0, 20) and exact([20, 5, 5]) == (EMPTIED, 5)
    assert exact([40, 90, 90]) == (OBSTRUCTED, 40) and exact([41, 90, 90]) == (FULL, 90)
    assert exact([79, 108]) == (FULL, 100), "92 mm: contents"
    assert exact([70, 109, 109]) == (OBSTRUCTED, 70) and exact([70, 108, 108]) == (FULL, 100)
    for mm, quality, fault in ((700, 40, 0), (700, 39, 2), (1305, 100, 0), (1306, 100, 3)):
        w = bin.Watch(SHAPE)
        w.step(0, mm, quality)
        assert w.fault == fault, (mm, quality)
    for tilt, alarms in ((29, 0), (30, TILTED), (20, TILTED), (19, 0)):
        assert w.step(0, 700, tilt=tilt) == alarms
    for value, alarms in ((599, 0), (600, HOT)):
        assert heat(bin.Watch(SHAPE), 1000, value) == alarms
    for value, alarms in ((699, HOT), (700, FIRE | HOT)):
        w = bin.Watch(SHAPE)
        for n in range(9):
            got = heat(w, 1000 + 601 * n, value)
        assert got == alarms
    for rise, alarms in ((49, 0), (50, FIRE)):
        w = bin.Watch(SHAPE)
        assert [heat(w, 1000 + 60 * n, 100 + rise * n) for n in range(4)][-1] == alarms
    for until, alarms in ((500, FIRE), (499, 0)):
        assert [heat(w, 2000 + n, until) for n in range(2)][-1] == alarms
    w = bin.Watch(SHAPE)
    for t, speed in ((0, 0), (43199, 0), (43200, 20 * 20)):
        w.step(t, 1200 - (200 if t else 0))
        assert w.speed == speed, t
    check(SHAPE, (100, 80, 0, 10, 1250, 1))
    for rules in ((90, 90, 5, 10, 700, 50), (90, 10, 5, 10, 700, 50), (90, 80, 5, 5, 700, 50)):
        raises(WireError, check, SHAPE, rules)


def test_fill_speed_and_forecast():
    b = Bin()
    for n in range(24):
        assert b.it.speed == 0 or n > 12
        b.at(10 + n)
    assert b.it.speed == 240, "a point an hour"
    assert b.it.hours_to_full() == 90 - 33
    b.all(1, 1)
    assert b.it.speed == 240, "of the last filling, until this one tells more"
    for _ in range(30):
        b.at(1)
    assert b.it.speed == 0 and b.it.hours_to_full() is None


def test_fire_by_level_and_by_rate_of_rise():
    w = bin.Watch(SHAPE)
    assert heat(w, 1000, 250) == 0
    assert heat(w, 1060, 850) == HOT, "one reading may be the sensor's power-on value"
    assert heat(w, 1120, 255) == 0
    assert [heat(w, 1180 + 60 * n, 710) for n in range(2)][-1] == FIRE | HOT
    assert heat(w, 1300, 550) == FIRE, "until it is out"
    assert heat(w, 1360, 480) == 0
    w = bin.Watch(SHAPE)
    seen = [heat(w, 1000 + 60 * n, 200 + 60 * n) for n in range(4)]
    assert seen == [0, 0, FIRE, FIRE], "6 K a minute, far below 70 degC"
    seen = [heat(w, 2000 + 60 * n, 500 - n) for n in range(3)]
    assert seen[-1] == 0


def test_a_rise_is_one_of_ten_minutes_at_most():
    for s, rise, alarms in ((600, 500, FIRE | HOT), (601, 520, HOT)):
        w = bin.Watch(SHAPE)
        assert [heat(w, 1000 + s * n, -400 + rise * n) for n in range(3)][-1] == alarms


def test_sun_on_a_bin_is_no_fire():
    w = bin.Watch(SHAPE)
    seen = [heat(w, 1000 + 60 * n, 250 + 12 * n) for n in range(30)]
    assert set(seen) <= {0, HOT}


def test_fire_outlasts_the_next_burst():
    b = Bin()
    b.at(50)
    heat(b.it, 1000, 720)
    heat(b.it, 1060, 730)
    assert b.at(50) == FIRE | HOT
    assert b.at(50, lid=True) == FIRE | HOT | LID_OPEN


def test_the_state_survives_a_sleep_between_bursts():
    awake = Bin()
    kept = None
    for fill in (10, 40, 45, 95, 96, 50, 3, 3, None, None, None, None, None, None, 5, 30):
        a = awake.at(fill)
        it = bin.Watch(SHAPE, s=kept)
        mm = None if fill is None else 1200 - fill * 10 + awake.wobble
        assert it.step(awake.t, mm) == a
        kept = bytes(it.s)
        assert (it.fill, it.speed, it.empty) == (awake.it.fill, awake.it.speed, awake.it.empty)
    assert it.fill is not None
    for other in (kept[:-4], b"", None):
        assert bin.Watch(SHAPE, s=other).fill is None, "of another version: a new start"


# Lock and compactor


def test_lock_is_acknowledged_and_never_outlasts_its_time():
    h = hatch.Hatch(2000, 3600)
    assert h.step(0, False) == 0
    assert h.order(True, 0, 60) == "done" and h.outcome is None
    assert h.step(100, False) == 1 and h.outcome is None, "not before its contact says so"
    assert h.step(500, True) == 1 and h.outcome == "done" and h.state == hatch.HELD
    assert h.step(59999, True) == 1
    assert h.step(60000, True) == 0 and h.outcome == "expired"
    assert h.step(60100, False) == 0 and h.state == hatch.REST and not h.stuck


def test_a_later_order_replaces_the_time_of_the_earlier():
    h = hatch.Hatch(2000, 3600)
    h.order(True, 0, 60)
    h.step(500, True)
    assert h.order(True, 50000, 60) == "done"
    assert h.step(100000, True) == 1
    assert h.step(110000, True) == 0


def test_a_later_order_gives_no_more_time_to_answer():
    h = hatch.Hatch(2000, 3600)
    for now in (0, 1000, 1900):
        assert h.order(True, now, 60) == "done" and h.step(now, False) == 1
    assert h.step(2000, False) == 0 and h.outcome == "failed"


def test_a_lock_on_its_way_back_takes_no_order():
    """Its contact would still say closed, and be believed."""
    h = hatch.Hatch(2000, 3600)
    h.order(True, 0, 60)
    h.step(500, True)
    h.order(False, 1000)
    assert h.order(True, 1100, 60) == "busy" and h.step(1200, True) == 0
    assert h.step(1300, False) == 0
    assert h.order(True, 1400, 60) == "done" and h.step(1400, False) == 1


def test_lock_without_an_answer_is_let_go():
    h = hatch.Hatch(2000, 3600)
    h.order(True, 0, 60)
    assert h.step(1999, False) == 1
    assert h.step(2000, False) == 0 and h.outcome == "failed"


def test_lock_forced_open_is_told_and_released():
    h = hatch.Hatch(2000, 3600)
    h.order(True, 0, 60)
    h.step(500, True)
    assert h.step(800, False) == 0 and h.outcome == "failed"


def test_lock_that_does_not_open_is_stuck_until_it_does():
    h = hatch.Hatch(2000, 3600)
    h.order(True, 0, 60)
    h.step(500, True)
    h.order(False, 1000)
    assert h.outcome == "done"
    h.step(2900, True)
    assert not h.stuck
    h.step(3000, True)
    assert h.stuck and h.order(True, 3100, 60) == "busy"
    h.step(9000, False)
    assert not h.stuck and h.order(True, 9000, 60) == "done"


def test_orders_out_of_bounds_or_unsafe_are_refused_by_name():
    h = hatch.Hatch(2000, 3600)
    for seconds in (0, -1, 3601):
        assert h.order(True, 0, seconds) == "op_args"
    assert h.order(True, 0, 60, safe=False) == "interlock"
    assert h.step(0, False) == 0 and h.order(False, 0) == "done"


def test_interlock_stops_at_once_and_does_not_resume():
    h = hatch.Hatch(30000, 60, cycle=True)
    h.step(0, True)
    assert h.order(True, 0, 60) == "done"
    assert h.step(100, False) == 1
    assert h.step(200, False, safe=False) == 0 and h.outcome == "interlock"
    assert h.step(300, False) == 0


def test_compactor_runs_one_cycle_from_home_to_home():
    h = hatch.Hatch(30000, 60, cycle=True)
    h.step(0, True)
    h.order(True, 0, 60)
    assert h.step(100, True) == 1, "still at home: not done yet"
    assert h.step(5000, False) == 1
    assert h.order(True, 6000, 60) == "busy"
    assert h.step(20000, True) == 0 and (h.outcome, h.cycles) == ("done", 1)
    assert h.step(20100, True) == 0 and not h.stuck
    assert h.order(True, 21000, 60) == "done"


def test_compactor_that_jams_or_takes_too_long_stops():
    for how, at in (({"jam": True}, 3000), ({}, 30000)):
        h = hatch.Hatch(30000, 60, cycle=True)
        h.step(0, True)
        h.order(True, 0, 60)
        assert h.step(1000, False) == 1
        assert h.step(at, False, **how) == 0 and (h.outcome, h.cycles) == ("failed", 0)
        h.step(at + 30000, False)
        assert h.stuck, "the ram is not at home"
