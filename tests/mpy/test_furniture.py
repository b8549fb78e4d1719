"""Lamp, bin and leak rules; expected values worked out by hand from the rule's text."""

from firmware.furniture import bin, lamp, leak


def night():
    return lamp.Lamp(default=100, dimmed=40, start_min=22 * 60, end_min=4 * 60, floor=10)


def test_lamp_without_time_is_full():
    assert night().target(0, None) == (100, lamp.DEFAULT)


def test_lamp_dims_over_midnight_by_level():
    for minute, level in ((21 * 60 + 59, 100), (22 * 60, 40), (0, 40), (3 * 60 + 59, 40), (4 * 60, 100)):
        assert night().target(0, minute) == (level, lamp.PROGRAM), minute


def test_override_ends_by_itself_and_newer_replaces_older():
    it = night()
    assert it.override(70, 0, 60)
    assert it.override(20, 1000, 60)
    assert it.target(60999, 0) == (20, lamp.OVERRIDE)
    assert it.target(61000, 0) == (40, lamp.PROGRAM)
    assert it.target(1000, 0) == (40, lamp.PROGRAM)


def test_override_below_the_floor_is_refused():
    it = night()
    assert not it.override(9, 0, 60)
    assert it.target(1, 0) == (40, lamp.PROGRAM)


def test_local_input_wins():
    it = night()
    it.override(20, 0, 60)
    it.local = True
    assert it.target(1, 0) == (100, lamp.LOCAL)


def test_meter_counts_burn_time_and_energy():
    it = night()
    it.meter(0, 100, 40000)
    it.meter(3600000, 100, 40000)
    assert (it.burn_ms, it.energy_mwh) == (3600000, 40000)
    for second in range(1, 3601):
        it.meter(3600000 + second * 1000, 0, 500)
    assert (it.burn_ms, it.energy_mwh) == (3600000, 40500)


def test_ramp_never_overshoots():
    assert [lamp.ramp(98, 100, 5), lamp.ramp(100, 40, 25), lamp.ramp(40, 40, 5)] == [100, 75, 40]


def test_bin_median_and_quality():
    assert bin.median([500, None, 505, 2000, 495]) == (505, 60)
    assert bin.median([None, None]) == (None, 0)


def test_bin_fill_clips_and_rounds():
    fills = [bin.fill_percent(d, 1000, 200) for d in (1100, 1000, 600, 595, 200, 30)]
    assert fills == [0, 0, 50, 51, 100, 100]


def test_bin_class_has_a_margin():
    assert bin.fill_class(38) == 2
    assert bin.fill_class(38, 1) == 1
    assert bin.fill_class(41, 1) == 2
    assert bin.fill_class(100, 3) == 4


def test_leak_hours_are_newest_first_and_bounded():
    it = leak.Leak(1000)
    for index in (1010, 1030, 1030, 1035, 1040):
        it.hour(index)
    assert it.hourly == [5, 5, 0, 20]
    assert it.flow_dlh == 50


def test_leak_is_suspected_then_detected_and_a_dry_hour_ends_it():
    it = leak.Leak(0)
    seen = []
    for h in range(1, 26):
        it.hour(h * 3)
        seen.append(it.state)
    assert seen.index(leak.SUSPECTED) == 11
    assert seen.index(leak.DETECTED) == 23
    it.hour(75)
    assert it.state == leak.NONE


def test_falling_index_is_a_new_meter():
    it = leak.Leak(5000)
    it.hour(5010)
    it.hour(3)
    assert it.hourly == []
    assert it.flow_dlh is None
    it.hour(7)
    assert it.hourly == [4]
