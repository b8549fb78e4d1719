"""Bin on its board: when it speaks and what it says, what a dead or lying part changes, lock and compactor."""

from firmware.drivers.errors import BusError, ConfigError, NotReady
from firmware.drivers.output import Output
from firmware.kinds import bin as bin_kind
from firmware.kinds import bin_outputs
from firmware.roles.commands import COMPACT, HATCH
from firmware.roles.report import shorten
from tests.mpy import fakes
from tests.mpy.site import HOUR, Contact, Pin, Site, Supply

MINUTE = 60000
QUARTER = 15 * MINUTE

FULL = 1
EMPTIED = 2
OBSTRUCTED = 4
FIRE = 8
TILTED = 16
LID_OPEN = 32
FAILURE = 128
BATTERY_LOW = 256
HOT = 1024
HATCH_FAILED = 2048
COMPACTOR_FAILED = 4096
INVALID = 8192

# Places in the values, keys of the field table.
ALARMS, FILL, DISTANCE, QUALITY, CLASS, TEMPERATURE, TILT, DISTANCES, FAULT, SPEED, FULL_IN = range(3, 14)
LOCK, RAM, CYCLES = 14, 15, 16
IDLE, MOVING, HELD, EXPIRED, FAILED, INTERLOCK, STUCK = range(7)


class Ranger:
    """Says `fill` per cent of a container of 1200 and 200 mm, never the same millimetre twice in a row; or what is
    in `echoes`. An exception is raised."""

    def __init__(self):
        self.fill = 50
        self.echoes = []
        self.on = False
        self.dead = None
        self.starts = 0
        self.reads = 0

    def start(self):
        if self.dead:
            raise self.dead
        self.on = True
        self.starts += 1
        return 1000

    def read_mm(self):
        assert self.on, "read without power"
        self.reads += 1
        if self.echoes:
            echo = self.echoes.pop(0)
        elif self.fill is None:
            echo = None
        else:
            echo = 1200 - 10 * self.fill + self.starts % 3
        if isinstance(echo, Exception):
            raise echo
        return echo

    def stop(self):
        self.on = False


class Chip:
    """Tilt sensor and thermometer: say what they are told, or raise it."""

    def __init__(self, value):
        self.value = value
        self.upright = None

    def scan(self):
        return [b"rom"]

    def start(self):
        return 750

    def read(self, rom):
        assert rom == b"rom"
        return self.tilt(None)

    def tilt(self, upright):
        self.upright = upright
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Bins(Site):
    def __init__(self, extra=None, parts=None, interval_s=900, **how):
        self.ranger = Ranger()
        self.supply_ = Supply()
        found = {"range": self.ranger, "supply": self.supply_}
        found.update(parts or {})
        settings = {1: 1200, 2: 200}
        settings.update(extra or {})
        super().__init__((bin_kind, bin_outputs), 17, settings, found, interval_s=interval_s, **how)

    def at(self, ms, call):
        self.time.at(ms, call)

    def fills(self, *steps):
        """(minutes, fill) ..."""
        for minute, fill in steps:
            self.at(minute * MINUTE, lambda fill=fill: setattr(self.ranger, "fill", fill))

    def told(self, *keys):
        """[minute, alarms, values ...] of each reading."""
        return [[t // MINUTE, v[ALARMS]] + [v[k] for k in keys] for t, v, _ in self.report.sent]


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
    # At 75 and 90 minutes there was no echo: what is older than that cannot be counted back from.
    assert len(site.report.sent[2][1][DISTANCES]) == 12


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
    other = Bins({1: 1100}, kept=kept)
    other.ranger.fill = 4
    other.run(QUARTER)
    assert other.told()[0] == [0, 0] and other.report.sent[0][1][FILL] is not None, "another container"
    for damaged in (b"", kept["watch"][:-1], bytes(12)):
        kept["watch"] = damaged
        site = Bins(kept=kept)
        site.run(MINUTE)
        assert site.report.sent[0][1][FILL] == 50


def test_it_is_written_with_what_is_told():
    site = Bins()
    site.run(24 * HOUR)
    assert site.copies_.writes == len(site.report.sent) == 6


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
    site = Bins(parts={"temperature": Chip(-100)})
    site.ranger.temp_ddegc = 200
    site.run(MINUTE)
    assert site.ranger.temp_ddegc == -100, "of a sensor that reckons itself"


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
    ):
        site = Bins(extra, parts)
        assert site.kind.alarms == 16
        site.run(MINUTE)
        assert site.told(FILL) == [[0, INVALID, 50]]


# Lock and compactor


class Moved:
    """A lock or a ram behind an output: its contact follows after `ms`, the ram comes home after `cycle_ms`."""

    def __init__(self, time, cycle_ms=0, limit_ms=3660000):
        self.time = time
        self.pin = Pin()
        self.safe = Pin()
        self.ms = 700
        self.cycle_ms = cycle_ms
        self.stuck = None
        self.since = None
        self.runs = 0
        self.output = Output(self.pin, self.safe, safe=0, limit_ms=limit_ms, clock=time)

    def update(self):
        """The contact: closed while locked, or at home."""
        if self.stuck is not None:
            return self.stuck
        on = bool(self.pin.level)
        if on and self.since is None:
            self.since = self.time.ms
            self.runs += 1
        if not on:
            self.since = None
        moved = on and self.time.ms - self.since >= self.ms
        if not self.cycle_ms:
            return moved
        return not moved or self.time.ms - self.since >= self.cycle_ms


def with_lock(extra=None, **how):
    time = fakes.Time(0)
    lock = Moved(time)
    settings = {22: 1}
    settings.update(extra or {})
    site = Bins(settings, {"hatch": lock.output, "contacts": [lock]}, time=time, **how)
    return site, lock


def with_ram(extra=None, **how):
    time = fakes.Time(0)
    ram = Moved(time, 20000, 610000)
    settings = {24: 1}
    settings.update(extra or {})
    site = Bins(settings, {"compactor": ram.output, "contacts": [ram]}, time=time, **how)
    return site, ram


def test_a_lock_is_accepted_now_and_acknowledged_by_its_contact():
    site, lock = with_lock()
    answers = []
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 600])))
    site.at(14 * MINUTE, lambda: answers.append(lock.pin.level))
    site.run(20 * MINUTE)
    assert answers == [None, 1]
    assert lock.pin.level == 0 and lock.runs == 1
    assert site.told(LOCK, FILL) == [[0, 0, IDLE, 50], [5, 0, HELD, None], [15, 0, EXPIRED, None]]
    first = site.report.sent[1][0]
    assert 5 * MINUTE + 700 <= first <= 5 * MINUTE + 900
    assert not site.report.sent[2][2], "as ordered: no alarm"


def test_a_lock_is_released_by_a_command():
    site, lock = with_lock()
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 3600]))
    site.at(8 * MINUTE, lambda: site.kind.execute(HATCH, [0, 0]))
    site.run(10 * MINUTE)
    assert lock.pin.level == 0
    assert [row[2] for row in site.told(LOCK)] == [IDLE, HELD, IDLE]


def test_a_lock_that_does_not_answer_has_failed_and_one_that_is_forced_too():
    site, lock = with_lock()
    lock.stuck = False
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 600]))
    site.run(6 * MINUTE)
    assert site.told(LOCK)[1:] == [[5, HATCH_FAILED, FAILED]] and lock.pin.level == 0
    assert site.report.sent[1][2] and 5000 <= site.report.sent[1][0] - 5 * MINUTE <= 5300
    site, lock = with_lock()
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 600]))
    site.at(7 * MINUTE, lambda: setattr(lock, "stuck", False))
    site.run(8 * MINUTE)
    assert site.told(LOCK)[1:] == [[5, 0, HELD], [7, HATCH_FAILED, FAILED]] and lock.pin.level == 0


def test_a_lock_that_does_not_open_is_stuck_until_it_does():
    site, lock = with_lock()
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 60]))
    site.at(5 * MINUTE + 30000, lambda: setattr(lock, "stuck", True))
    answers = []
    site.at(8 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 60])))
    site.at(9 * MINUTE, lambda: setattr(lock, "stuck", None))
    site.run(16 * MINUTE)
    assert answers == ["busy"]
    assert site.told(LOCK)[1:] == [[5, 0, HELD], [6, HATCH_FAILED, STUCK], [15, 0, EXPIRED]]


def test_the_interlock_refuses_and_ends():
    site, lock = with_lock()
    answers = []
    lock.safe.level = 1
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 600])))
    site.at(6 * MINUTE, lambda: setattr(lock.safe, "level", 0))
    site.at(7 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 600])))
    site.at(8 * MINUTE, lambda: setattr(lock.safe, "level", 1))
    site.run(9 * MINUTE)
    assert answers == ["interlock", None]
    told = [row for row in site.told(LOCK)[1:] if row[2] != IDLE]
    assert told == [[7, 0, HELD], [8, HATCH_FAILED, INTERLOCK]]
    assert lock.pin.level == 0 and lock.runs == 1


def test_a_contact_that_shakes_at_rest_does_not_fill_the_air():
    site, lock = with_lock()
    for minute in range(5, 180):
        site.at(minute * MINUTE, lambda minute=minute: setattr(lock, "stuck", bool(minute & 1)))
    site.run(3 * HOUR)
    assert len(site.report.sent) <= 1 + 2 * 12


def test_the_ram_runs_once_and_is_counted():
    kept = {}
    site, ram = with_ram(kept=kept)
    answers = []
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(COMPACT, [60])))
    site.at(5 * MINUTE + 10000, lambda: answers.append(site.kind.execute(COMPACT, [60])))
    site.run(16 * MINUTE)
    assert answers == [None, "busy"] and ram.runs == 1 and ram.pin.level == 0
    assert site.told(RAM, CYCLES)[1:] == [[5, 0, IDLE, 1]]
    assert 20000 <= site.report.sent[1][0] - 5 * MINUTE <= 20400
    site.run(5 * HOUR)
    after, _ = with_ram(kept=kept)
    after.run(MINUTE)
    assert after.told(RAM, CYCLES) == [[0, 0, IDLE, 1]]


def test_the_ram_is_stopped_by_time_and_by_command():
    for order, ms in (([10], 10000), ([60], 10000)):
        site, ram = with_ram()
        site.at(5 * MINUTE, lambda site=site, order=order: site.kind.execute(COMPACT, order))
        if order == [60]:
            site.at(5 * MINUTE + ms, lambda site=site: site.kind.execute(COMPACT, [0]))
        levels = []
        for after in (ms - 200, ms + 200):
            site.at(5 * MINUTE + after, lambda ram=ram, levels=levels: levels.append(ram.pin.level))
        site.run(6 * MINUTE)
        assert levels == [1, 0] and ram.runs == 1
        wanted = [COMPACTOR_FAILED, FAILED] if order == [10] else [0, IDLE]
        assert site.told(RAM)[-1][1:] == wanted


def test_no_level_is_taken_while_the_ram_moves():
    site, ram = with_ram()
    site.at(15 * MINUTE - 5000, lambda: site.kind.execute(COMPACT, [60]))
    starts = []
    site.at(15 * MINUTE + 10000, lambda: starts.append(site.ranger.starts))
    site.run(17 * MINUTE)
    assert starts == [1] and site.ranger.starts == 2


def test_an_order_during_a_burst_is_watched():
    site, ram = with_ram(phase_ms=0)
    site.at(15 * MINUTE + 1500, lambda: site.kind.execute(COMPACT, [1]))
    levels = []
    site.at(15 * MINUTE + 2200, lambda: levels.append(ram.pin.level))
    site.at(15 * MINUTE + 2800, lambda: levels.append(ram.pin.level))
    site.run(16 * MINUTE)
    assert levels == [1, 0]


def test_no_order_in_a_fire_but_the_end_of_one():
    time = fakes.Time(0)
    lock = Moved(time)
    chip = Chip(200)
    parts = {"hatch": lock.output, "contacts": [lock], "temperature": chip}
    site = Bins({22: 1}, parts, time=time)
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 3600]))
    site.at(10 * MINUTE, lambda: setattr(chip, "value", 800))
    answers = []
    site.at(20 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 60])))
    site.at(21 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [0, 0])))
    site.run(25 * MINUTE)
    assert answers == ["interlock", None] and lock.pin.level == 0


def test_orders_that_no_part_can_carry_out():
    site = Bins()
    assert site.kind.OPS == (HATCH, COMPACT) and not site.kind.LISTEN
    for op, args in ((HATCH, [1, 60]), (HATCH, [0, 0]), (COMPACT, [60])):
        assert site.kind.execute(op, args) == "op_refused"
    site, _ = with_lock({23: 600})
    assert site.kind.execute(COMPACT, [60]) == "op_refused"
    assert site.kind.execute(HATCH, [1, 601]) == "op_args"
    assert site.kind.execute(HATCH, [1, 0]) == "op_args"
