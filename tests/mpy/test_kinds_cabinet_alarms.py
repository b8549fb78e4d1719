"""What a cabinet tells: reports, alarms once each, and that a broken part costs its own fields only."""

import struct

from firmware.furniture.cabinet import PROGRAM
from firmware.roles.commands import LIGHT, RESUME
from firmware.roles.report import shorten
from tests.mpy import plans
from tests.mpy.cabinets import BREAKER, CLOSED, DOOR, EVENING, MIN, PLACE, Site
from tests.mpy.site import HOUR

# --- what is told


def test_reports_at_the_interval_and_soon_after_a_change():
    site = Site(phase_ms=123000, without=("photocell",)).run(2 * HOUR)
    at = [t for t, _, _ in site.report.sent]
    assert [round(t / 1000) for t in at] == [25, 123, 1023, 1923, 2823, 3615, 3723, 4623, 5523, 6423]
    assert not [1 for _, _, alarm in site.report.sent if alarm]
    assert site.report.sent[5][1][4:7] == [1, 1, PROGRAM]


def test_values_of_a_whole_cabinet():
    site = Site(plan=b"", without=("photocell",)).run(20000)
    v = site.value
    site.run(MIN)
    assert (v("power"), v("power_l1"), v("power_l2"), v("power_l3")) == (3001, 1500, 1000, 501)
    assert (v("voltage_l1"), v("voltage_l2"), v("voltage_l3")) == (2300, 2310, 2290)
    assert v("energy") == 1000 and v("local") is None and v("photocell") is None
    site.meter_.mv = [230000, None, 600000]
    site.meter_.lit_mw = [-20000, None, 1500000]
    site.run(2 * MIN)
    assert (v("voltage_l2"), v("voltage_l3")) == (None, None), "unknown, and beyond the field table"
    assert (v("power_l1"), v("power_l2"), v("power_l3"), v("power")) == (None, None, 1500, 1480)


def test_door_breaker_and_leakage_within_half_a_minute():
    for extra, n, name in (
        ({}, DOOR, "door_open"),
        ({}, BREAKER, "breaker_tripped"),
        ({13: 0, 14: 2}, BREAKER, "earth_leakage"),
    ):
        site = Site(extra=extra).run(10 * MIN)
        contact = site.contacts_[n]
        rest = contact.state
        before = len(site.report.sent)
        for minutes in (3, 7):
            begin = site.time.ms
            contact.state = not rest
            site.run(minutes * MIN)
            assert site.told()[-1][1] == {name}
            assert site.told()[-1][0] - begin <= 30000
            end = site.time.ms
            contact.state = rest
            site.run(3 * MIN)
            assert site.told()[-1][1] == set() and site.told()[-1][0] - end <= 30000
        assert len(site.told()) == 4 and len(site.report.sent) - before <= 8


def test_a_door_that_bangs_all_night_does_not_fill_the_air():
    site = Site(interval_s=3600, without=("photocell",))
    site.contacts_[DOOR].state = lambda: site.time.ms // 30000 & 1 == 0
    site.run(6 * HOUR)
    assert 40 <= len(site.report.sent) <= 8 + 36 + 6 + 2


def test_a_feedback_that_chatters_does_not_fill_the_air():
    site = Site(interval_s=3600, without=("photocell",)).run(HOUR)
    looks = [0]

    def chatters():
        looks[0] += 1
        return looks[0] // 2 & 1 == 0

    site.contacts_[CLOSED].state = chatters
    before = len(site.report.sent)
    site.run(6 * HOUR)
    assert 6 < len(site.report.sent) - before <= 8 + 36 + 6 + 2
    # What begins in the midst of it is told at once all the same.
    site.contacts_[DOOR].state = False
    begin = site.time.ms
    site.run(MIN)
    door = [t for t, names in site.told() if t >= begin and "door_open" in names]
    assert door and door[0] - begin <= 30000
    # And what holds when it ends is told, soon or with the next token.
    site.contacts_[CLOSED].state = lambda: True
    site.run(11 * MIN)
    assert site.report.sent[-1][1][4] == 1


def test_welded_by_its_feedback_and_by_its_load():
    for without in ((), ("energy",), ("contacts",)):
        site = Site(at=EVENING, plan=b"plan", without=without + ("photocell",)).run(2 * HOUR)
        site.kind.execute(LIGHT, [0, 7200, 0])
        site.contactor_.stuck = True
        site.run(HOUR)
        assert site.alarms() == {"contactor_welded"}, without
        site.contactor_.stuck = None
        site.run(HOUR)
        assert site.alarms() == set() and site.episodes("contactor_welded") == [1, 1]
        assert len(site.told()) == 2


def test_welded_although_the_feedback_says_open():
    site = Site(without=("photocell",)).run(2 * HOUR)
    site.kind.execute(LIGHT, [0, 7200, 0])
    site.contacts_[CLOSED].state = False
    site.contactor_.stuck = True
    site.run(10 * MIN)
    assert site.alarms() == {"contactor_welded"}
    site.run(30 * MIN)
    assert site.episodes("contactor_welded") == [1, 0], "told once"
    site.contactor_.stuck = None
    site.run(10 * MIN)
    assert site.alarms() == set()


def test_not_closing_by_its_feedback_and_by_its_load():
    for without in ((), ("energy",), ("contacts",)):
        site = Site(without=without + ("photocell",)).run(30 * MIN)
        site.contactor_.stuck = False
        site.run(HOUR)
        assert site.alarms() == {"contactor_open"}, without
        assert site.episodes("contactor_open") == [1, 0]
        site.contactor_.stuck = None
        site.run(HOUR)
        assert site.alarms() == set() and site.episodes("contactor_open") == [1, 1]


def test_phases():
    site = Site(plan=b"", without=("photocell",)).run(10 * MIN)
    site.meter_.mv = [230000, 90000, 231000]
    site.run(5 * MIN)
    assert site.alarms() == {"phase_lost"}
    site.meter_.mv = [230000, 206000, 254000]
    site.run(5 * MIN)
    assert site.alarms() == {"supply_low", "supply_high"}
    site.meter_.mv = [230000, 230000, 231000]
    site.run(5 * MIN)
    assert site.alarms() == set()
    single = Site(extra={19: 1}, plan=b"", without=("photocell",))
    single.meter_.mv = [230000, 0, 0]
    single.run(10 * MIN)
    assert single.alarms() == set() and single.value("voltage_l2") is None


def test_photocell_against_the_sun_over_the_plan():
    site = Site(at=plans.wire(1, 20, 9), plan=PLACE, real=True)
    site.cell_.lux = 2
    site.run(70 * MIN)
    assert site.alarms() == {"photocell_disagrees"}
    site.cell_.lux = 900
    site.run(3 * MIN)
    assert site.alarms() == set()

    def sky():
        t = site.clock.wire() % 86400
        site.cell_.lux = 900 if 7 * 3600 + 1800 < t < 17 * 3600 else 1
        site.time.at(site.time.ms + 5 * MIN, sky)

    sky()
    site.run(72 * HOUR)
    assert site.alarms() == set() and site.episodes("photocell_disagrees") == [1, 1]


def test_polar_night_and_day():
    place = plans.blob([plans.prog(periods=[[1, 0, 0]])], place=plans.TROMSO)
    for month, lux in ((1, 1), (6, 900)):
        site = Site(at=plans.wire(month, 5, 9), plan=place, real=True)
        site.cell_.lux = lux
        site.run(3 * HOUR)
        assert site.alarms() == set()
        site.cell_.lux = 900 if lux == 1 else 1
        site.run(3 * HOUR)
        assert site.alarms() == {"photocell_disagrees"}


class Single:
    """A meter of one phase, without a register of its own that outlives the supply."""

    def __init__(self):
        self.voltage_mv = 231000
        self.power_mw = 640000
        self.energy_mwh = 5000000

    def read(self):
        pass


def test_a_meter_for_one_phase():
    kept = {"use": struct.pack(">III", 3600, 7, 250)}
    site = Site(kept=kept, plan=b"", without=("photocell",))
    site.kind._meter = meter = Single()
    site.run(2 * MIN)
    assert [k for k in range(8, 18) if site.report.values[k] is not None] == [8, 12, 13, 14, 15]
    assert (site.value("power"), site.value("energy"), site.value("voltage_l1")) == (640, 5250, 2310)
    meter.voltage_mv = 260000
    site.run(3 * MIN)
    assert site.alarms() == {"supply_high"}
    site.run(HOUR)
    assert struct.unpack(">III", kept["use"])[2] == 5250


# --- what is not there


def test_nothing_but_the_contactor():
    site = Site(without=("contacts", "energy", "photocell"), phase_ms=1000).run(2 * HOUR)
    values = site.report.values
    assert [k for k in range(19) if values[k] is not None] == [3, 5, 6, 13, 14]
    assert site.contactor_.on and len(site.report.sent) == 8


def test_without_a_contactor_it_only_watches():
    site = Site(without=("contactor",)).run(2 * HOUR)
    assert site.contactor_.set_ == []
    assert site.value("target") is None and site.value("reason") is None
    assert site.value("power") == 3001 and site.value("contactor") == 1
    assert site.kind.execute(LIGHT, [0, 60, 0]) == "failed" and site.kind.execute(RESUME, []) == "failed"
    assert site.alarms() == set()


def test_a_dead_meter_costs_its_fields_and_nothing_else():
    site = Site(without=("photocell",)).run(2 * HOUR)
    assert site.value("power") == 3001
    site.meter_.dead = True
    site.run(2 * HOUR)
    values = site.report.values
    assert [k for k in range(8, 18) if values[k] is not None] == [13, 14]
    assert site.alarms() == set() and site.contactor_.on
    site.contacts_[DOOR].state = False
    site.run(MIN)
    assert site.alarms() == {"door_open"}
    site.meter_.dead = False
    site.run(2 * MIN)
    assert site.value("power") == 3001 and site.value("energy") == 1000


def test_a_contact_that_is_not_there_is_said_and_left_out():
    site = Site(extra={14: 4, 15: 99, 16: 100}).run(30 * MIN)
    assert site.value("contactor") is None and site.value("local") is None
    assert site.alarms() == set()


def test_a_coil_that_refuses_is_tried_again():
    site = Site(without=("photocell",))
    site.contactor_.busy_until = 5000
    site.run(10000)
    assert [on for _, on in site.contactor_.set_] == [False]
    assert 5000 <= site.contactor_.set_[0][0] <= 6100


def test_hours_and_switches_survive_and_little_is_written():
    kept = {}
    site = Site(kept=kept, without=("photocell",)).run(24 * HOUR)
    burn, switches, wh = struct.unpack(">III", kept["use"])
    assert (switches, wh) == (1, 1000) and 42000 <= burn <= 43200
    assert site.copies_["use"].writes <= 26
    site = Site(kept=kept, without=("photocell",)).run(MIN)
    assert site.value("switches") == 1 and site.value("burn_time") == burn // 360
    Site(kept={"use": b"short"}).run(MIN)


def test_what_a_short_carrier_leaves_out():
    site = Site(plan=b"", without=("photocell",)).run(2 * MIN)
    values = site.report.values
    left = []
    while shorten(site.report.values, site.report.spare):
        left.append([k for k in range(3, 19) if values[k] is not None])
    assert left[5] == [3, 4, 5, 6, 8, 12, 13, 14], "phases first"
    assert left[-1] == [3, 4, 5, 6]
    site.run(2 * MIN)
    assert site.value("power") == 3001 and site.value("voltage_l1") == 2300
