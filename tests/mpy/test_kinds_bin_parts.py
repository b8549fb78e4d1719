"""Bin on its board: tilt, lid, temperature, supply, and settings that cannot be."""

from firmware.drivers.errors import BusError, ConfigError, NotReady
from firmware.roles.commands import HATCH
from tests.mpy import fakes
from tests.mpy.bins import (
    BATTERY_LOW,
    DISTANCE,
    DISTANCES,
    FAILURE,
    FAULT,
    FILL,
    FIRE,
    FULL,
    HOT,
    INVALID,
    LID_OPEN,
    MINUTE,
    QUALITY,
    TEMPERATURE,
    TILT,
    TILTED,
    Bins,
    Chip,
    Moved,
    Ranger,
)
from tests.mpy.site import HOUR, Contact

# Tilt, lid, temperature, supply


def test_tilted_for_a_minute_is_an_alarm_emptied_by_hand_is_none():
    chip = Chip(3)
    site = Bins({17: 2048, 18: 3048, 19: 2048}, {"tilt": chip})
    site.at(20 * MINUTE, lambda: setattr(chip, "value", 90))
    site.at(20 * MINUTE + 30000, lambda: setattr(chip, "value", NotReady("lis3dh", "moving")))
    site.at(21 * MINUTE + 30000, lambda: setattr(chip, "value", 2))
    site.at(40 * MINUTE + 30000, lambda: setattr(chip, "value", 31))
    site.at(100 * MINUTE + 30000, lambda: setattr(chip, "value", 19))
    site.run(125 * MINUTE)
    assert site.told(FILL, TILT) == [
        [0, 0, 50, 3],
        [42, TILTED, None, 31],
        [105, 0, 50, 19],
    ]
    assert chip.upright == [0, 1000, 0]


def test_a_tilted_bin_has_no_level():
    chip = Chip(30)
    site = Bins({14: 900}, {"tilt": chip})
    site.run(40 * MINUTE)
    assert [row[2] for row in site.told(FILL)] == [None] * len(site.report.sent)
    assert site.report.sent[0][1][DISTANCE] is not None


def test_a_part_that_fails_is_an_alarm_and_levels_go_on():
    for parts in (
        {"tilt": Chip(BusError("lis3dh", 19)), "temperature": Chip(215)},
        {"tilt": Chip(0), "temperature": Chip(BusError("ds18b20", "presence"))},
    ):
        site = Bins({14: 900}, parts)
        site.run(20 * MINUTE)
        assert [row[:2] for row in site.told()] == [[0, 0], [5, FAILURE], [15, FAILURE]]
        values = site.report.sent[-1][1]
        assert values[FILL] == 50
        assert (values[TILT], values[TEMPERATURE]) in ((None, 215), (0, None))


def test_another_thermometer_in_place_of_one_that_failed():
    chip = Chip(215)
    site = Bins({14: 900}, {"temperature": chip})
    wanted = [b"rom"]

    def read(rom):
        if rom not in wanted:
            raise BusError("ds18b20", "presence")
        return chip.value

    chip.read = read
    chip.scan = lambda: wanted
    site.at(20 * MINUTE, lambda: wanted.insert(0, b"new") or wanted.pop())
    site.run(50 * MINUTE)
    assert [row[1:] for row in site.told(TEMPERATURE)] == [[0, 215]] * 4


def test_a_lid_that_stays_open():
    for number, opened in ((1, True), (101, False)):
        lid = Contact(not opened)
        site = Bins({20: number}, {"contacts": [lid, None, None]})
        for begin, end in ((14, 16), (40, 70)):
            site.at(begin * MINUTE + 30000, lambda lid=lid, opened=opened: setattr(lid, "state", opened))
            site.at(end * MINUTE + 30000, lambda lid=lid, opened=opened: setattr(lid, "state", not opened))
        site.fills((30, 70))
        site.run(100 * MINUTE)
        assert site.told(FILL) == [[0, 0, 50], [30, 0, 70], [51, LID_OPEN, None], [75, 0, 70]]
        assert site.kind.alarms == 0


def test_an_open_lid_hides_the_level_and_is_no_alarm_at_once():
    lid = Contact()
    site = Bins({14: 900, 20: 1}, {"contacts": [lid]})
    site.at(14 * MINUTE, lambda: setattr(lid, "state", True))
    site.at(16 * MINUTE, lambda: setattr(lid, "state", False))
    site.run(31 * MINUTE)
    assert site.told(FILL, QUALITY) == [[0, 0, 50, 100], [15, 0, None, 100], [30, 0, 50, 100]]


def test_fire_between_measurements():
    chip = Chip(250)
    site = Bins(parts={"temperature": chip})
    for n in range(5):
        site.at((20 + n) * MINUTE + 30000, lambda n=n: setattr(chip, "value", 330 + 100 * n))
    site.at(40 * MINUTE + 30000, lambda: setattr(chip, "value", 300))
    site.run(64 * MINUTE)
    assert site.told(FILL, TEMPERATURE) == [
        [0, 0, 50, 250],
        [22, FIRE, None, 430],
        [24, FIRE | HOT, None, 630],
        [45, 0, 50, 300],
    ]
    assert [alarm for _, _, alarm in site.report.sent] == [False, True, True, False]


def test_the_air_is_corrected_where_the_sensor_does_not():
    for extra, mm in (({16: 1}, 663), ({}, 701)):
        site = Bins(extra, {"temperature": Chip(-100)})
        site.run(MINUTE)
        assert abs(site.report.sent[0][1][DISTANCE] - mm) <= 1
    for own, setting, mm in ((200, 0, 663), (200, 1, 663), (None, 0, 701)):
        # Of a sensor of sound that takes a temperature, and of one of light that tells its own.
        ranger = Ranger()
        ranger.temp_ddegc = own
        site = Bins({16: setting}, {"temperature": Chip(-100), "range": ranger})
        site.run(MINUTE)
        assert abs(site.report.sent[0][1][DISTANCE] - mm) <= 1 and ranger.temp_ddegc == own


def test_a_frozen_sensor_is_found_beside_a_thermometer_that_corrects_it():
    """The air warms, what comes of the echo with it; one that moves is none."""
    for own, setting, moves in ((None, 0, 0), (None, 1, 0), (200, 0, 0), (None, 1, 1)):
        chip = Chip(200)
        ranger = Ranger()
        ranger.temp_ddegc = own
        site = Bins({14: 900, 16: setting}, {"temperature": chip, "range": ranger})
        ranger.read_mm = lambda ranger=ranger, moves=moves: 700 + moves * (ranger.starts // 2 % 2)
        for n in range(1, 8):
            site.at(n * 10 * MINUTE, lambda n=n, chip=chip: setattr(chip, "value", 200 + 30 * n))
        site.run(59 * MINUTE)
        assert not any([row[1] for row in site.told()])
        site.kind._base_s += 71 * 3600
        site.run(119 * MINUTE)
        begun = [row[1:] for row in site.told(FAULT) if row[1]][:1]
        assert begun == ([] if moves else [[FAILURE, 4]]), (own, setting)


def fire(chip, kept, **how):
    """A bin with a thermometer and a lock."""
    time = fakes.Time(0)
    lock = Moved(time)
    parts = {"hatch": lock.output, "contacts": [lock]}
    if chip:
        parts["temperature"] = chip
    return Bins({22: 1}, parts, time=time, kept=kept, **how)


def test_a_fire_is_not_forgotten_over_a_restart():
    kept = {}
    chip = Chip(200)
    site = fire(chip, kept)
    # Told between two measurements.
    site.at(20 * MINUTE, lambda: setattr(chip, "value", 800))
    site.run(25 * MINUTE)
    assert site.told()[-1] == [21, FIRE | HOT]
    again = fire(chip, kept, phase_ms=5 * MINUTE)
    assert again.kind.execute(HATCH, [1, 60]) == "interlock"
    assert again.kind.execute(HATCH, [0, 0]) is None
    again.run(MINUTE)
    assert again.told()[0] == [0, FIRE | HOT] and again.report.sent[0][2]
    # Over before it looks again, and kept as such.
    chip = Chip(300)
    again = fire(chip, kept)
    again.run(MINUTE)
    assert again.told() == [[0, 0]] and again.kind.execute(HATCH, [1, 60]) is None
    again = fire(chip, kept)
    assert again.kind.execute(HATCH, [1, 60]) is None


def test_a_fire_does_not_outlast_the_thermometer_that_could_end_it():
    kept = {}
    site = fire(Chip(800), kept)
    site.run(20 * MINUTE)
    assert site.told()[-1][1] & FIRE
    without = fire(None, kept)
    assert without.kind.execute(HATCH, [1, 60]) is None
    without.run(MINUTE)
    assert not without.told()[0][1]


def test_a_supply_that_falls():
    site = Bins({15: 3400})
    for minute, mv in ((20, 3399), (50, 3499), (80, 3500), (110, None)):
        site.at(minute * MINUTE, lambda mv=mv: setattr(site.supply_, "mv", mv))
    site.run(6 * HOUR)
    assert site.told(2) == [[0, 0, 3900], [20, BATTERY_LOW, 3399], [90, 0, 3500], [330, 0, None]]


# Settings


def test_an_impossible_container_is_refused_and_distances_go_on():
    for extra in ({1: 200, 2: 1200}, {1: 0}, {2: 0}, {3: 999}, {4: 300}, {1: 20001}):
        site = Bins(extra)
        assert site.kind.alarms == 16
        site.fills((20, 80))
        site.run(5 * HOUR)
        rows = site.told(FILL, DISTANCE, QUALITY)
        assert rows[0] == [0, INVALID, None, 701, 100], extra
        assert rows[1][:3] == [240, INVALID, None] and len(rows) == 2
        assert len(site.report.sent[1][1][DISTANCES]) == 15
        assert site.report.sent[0][2], "an alarm"


def test_impossible_rules_leave_the_usual_ones_in_force():
    for extra in ({8: 70}, {9: 95}, {10: 10}, {12: 400}, {13: 0}):
        site = Bins(extra)
        assert site.kind.alarms == 16
        site.ranger.fill = 91
        site.run(MINUTE)
        assert site.told(FILL) == [[0, INVALID | FULL, 91]]
    site = Bins({8: 95, 9: 85})
    site.ranger.fill = 91
    site.run(MINUTE)
    assert site.told() == [[0, 0]]


def test_other_settings_that_cannot_be():
    lid = Contact()
    for extra, parts in (
        ({17: 0}, {"tilt": Chip(0)}),
        ({20: 2}, {"contacts": [lid, None, None]}),
        ({20: 104}, {"contacts": [lid, None, None]}),
        ({}, {"tilt": ConfigError("lis3dh", "radio", 5)}),
        ({}, {"temperature": ImportError("no module")}),
        ({}, {"hatch": object(), "contacts": [lid]}),
        ({22: 1, 23: 0}, {"hatch": object(), "contacts": [lid]}),
        ({22: 1, 23: 3601}, {"hatch": object(), "contacts": [lid]}),
        ({24: 1, 25: 601}, {"compactor": object(), "contacts": [lid]}),
    ):
        site = Bins(extra, parts)
        assert site.kind.alarms == 16
        site.run(MINUTE)
        assert site.told(FILL) == [[0, INVALID, 50]]
