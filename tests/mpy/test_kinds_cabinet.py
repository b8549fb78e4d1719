"""Who decides over a feeder: the contactor follows its plan, the photocell, a command or the switch."""

import sys

from firmware.clock import EPOCH_GPS
from firmware.drivers.errors import ChipError
from firmware.furniture.cabinet import DEFAULT, LOCAL, OVERRIDE, PROGRAM
from firmware.kinds.cabinet_setup import checked
from firmware.roles.commands import IDENTIFY, LIGHT, PLAN, RAISE, RESUME, SHED
from tests.mpy import plans
from tests.mpy.cabinets import EVENING, MIN, PLACE, Site
from tests.mpy.site import HOUR

# --- who decides


def test_the_contactor_follows_the_plan_to_the_second():
    site = Site(without=("photocell",)).run(26 * HOUR)
    # 15:00 to 17:00 UTC of the next day: on at 16:00, off at 04:00, on at 16:00.
    assert [(round(t / 1000), on) for t, on in site.contactor_.set_] == [
        (0, False),
        (3600, True),
        (13 * 3600, False),
        (25 * 3600, True),
    ]
    assert (site.value("target"), site.value("reason"), site.value("contactor")) == (1, PROGRAM, 1)
    assert site.value("switches") == 2 and site.value("burn_time") == 129  # 13 h but for the last ten seconds
    assert site.alarms() == set() and site.told() == []
    assert 0 < site.longest_silence() <= 10100


def test_the_real_programme_is_understood():
    site = Site(at=EVENING, plan=PLACE, without=("photocell",), real=True).run(24 * HOUR)
    # By host_tools/schedule, which has other formulas: sunset 16:45:22 UTC, sunrise 07:40:38.
    assert site.contactor_.set_[0] == (site.contactor_.set_[0][0], False)
    (dusk, on), (dawn, off) = site.contactor_.set_[1:3]
    assert on and not off
    assert abs(dusk // 1000 - 6322) <= 60 and abs(dawn // 1000 - 60038) <= 60
    assert len(site.kind.plan) == 8


def test_without_plan_or_time():
    for how in ({"plan": b""}, {"at": None}):
        site = Site(without=("photocell",), **how).run(MIN)
        assert site.contactor_.on and site.value("reason") == DEFAULT
        dark = Site(extra={1: 0}, without=("photocell",), **how).run(MIN)
        assert not dark.contactor_.on
    site = Site(at=None, without=("photocell",)).run(14 * MIN)
    assert "clock_lost" not in site.alarms()
    site.run(2 * MIN)
    assert site.alarms() == {"clock_lost"}
    site.clock.set(2, EPOCH_GPS + EVENING)
    site.run(MIN)
    assert site.alarms() == set() and site.episodes("clock_lost") == [1, 1]
    assert site.value("reason") == PROGRAM


def test_a_plan_that_was_refused_is_an_alarm():
    site = Site(plan=b"nonsense", real=True, without=("photocell",)).run(MIN)
    assert site.alarms() == {"program_invalid"} and site.contactor_.on


def test_no_memory_for_the_plan_stops_nothing():
    site = Site(without=("photocell",)).run(MIN)
    look = site.kind.programme.look

    def fail(wire_s):
        raise MemoryError

    site.kind.programme.look = fail
    site.run(10 * MIN)
    assert site.contactor_.on and site.value("reason") == DEFAULT
    site.kind.programme.look = look
    site.run(MIN)
    assert not site.contactor_.on and site.value("reason") == PROGRAM


def test_the_photocell_stands_in_for_plan_and_time_until_it_is_stuck():
    site = Site(at=None).run(MIN)
    assert not site.contactor_.on and site.value("photocell") == 0
    site.cell_.lux = 40
    site.run(3 * MIN)
    assert not site.contactor_.on, "between its two bounds"
    site.cell_.lux = 34
    site.run(3 * MIN)
    assert site.contactor_.on and (site.value("reason"), site.value("photocell")) == (2, 1)
    site.cell_.lux = 70
    site.run(3 * MIN)
    assert site.contactor_.on
    site.cell_.lux = 71
    site.run(3 * MIN)
    assert not site.contactor_.on
    site.run(20 * HOUR)
    assert site.contactor_.on and site.value("reason") == DEFAULT, "nobody believes a day of 20 hours"
    site.cell_.lux = None
    site.run(3 * MIN)
    assert site.value("photocell") is None and site.value("reason") == DEFAULT


def by_the_cell(on=35, off=70):
    """A plan whose only period goes by the photocell."""
    return plans.blob([plans.prog(periods=[[2, on * 100, off * 100]])])


def test_a_frozen_cell_does_not_keep_a_planned_feeder_off():
    # From 09:00 UTC on, and bright for ever.
    site = Site(at=plans.wire(1, 20, 9), plan=by_the_cell(), real=True).run(8 * HOUR)
    assert not site.contactor_.on and "photocell_disagrees" not in site.told()[-1:]
    site.run(10 * HOUR)
    assert not site.contactor_.on, "18 hours could be a summer's day"
    site.run(2 * HOUR)
    assert site.contactor_.on and site.alarms() == {"photocell_disagrees"}
    assert site.value("photocell") == 0, "what it says is told as it is"
    # In daytime the almanac says the same: then it may be right.
    site.run(8 * HOUR)
    assert not site.contactor_.on and site.alarms() == set()
    site.run(8 * HOUR)
    assert site.contactor_.on and site.alarms() == {"photocell_disagrees"}
    # It lives again.
    site.cell_.lux = 1
    site.run(3 * MIN)
    assert site.contactor_.on and site.alarms() == set()


def test_a_plan_by_the_cell_switches_nothing_on_by_day():
    """A new table knows nothing of the light: the cell is asked before the contactor is."""
    site = Site(at=plans.wire(1, 20, 9), plan=by_the_cell(), real=True).run(3000)
    assert site.kind.plan and not site.contactor_.on and site.value("switches") == 0


def test_a_cell_that_stutters_is_as_stuck():
    site = Site(at=None).run(MIN)
    looks = [0]

    def stutters():
        looks[0] += 1
        if looks[0] % 10 == 0:
            raise ChipError("photocell", "open")
        return 500

    site.cell_.read_lux = stutters
    site.run(20 * HOUR)
    assert site.contactor_.on and "photocell_disagrees" in site.alarms()


def test_the_end_of_a_cells_table_is_light_for_every_plan():
    for lux, on in ((1000, False), (999, True)):
        site = Site(at=plans.wire(1, 20, 9), plan=by_the_cell(1100, 1200), real=True)
        site.cell_.lux = lux
        site.run(10 * MIN)
        assert site.contactor_.on is on, lux
    for name in ("packed", "sun"):
        assert "firmware.furniture." + name not in sys.modules


def test_a_summer_in_the_north_is_no_broken_cell():
    place = plans.blob([plans.prog(periods=[[1, 0, 0]])], place=plans.TROMSO)
    site = Site(at=plans.wire(6, 5, 9), plan=place, real=True)
    site.cell_.lux = 900
    site.run(48 * HOUR)
    assert site.alarms() == set() and not site.contactor_.on


def test_settings_that_cannot_be_are_refused_by_name():
    said = []

    def refuse(name, *why):
        said.append(name)

    for extra, name in (
        ({4: 0x3FFFFFFF}, "off_s"),
        ({3: 601}, "on_s"),
        ({1: 2}, "default_on"),
        ({8: 260, 9: 100}, "low_v"),
        ({8: 254}, "low_v"),
        ({9: 0}, "high_v"),
        ({10: 70, 11: 35}, "dark_lux"),
        ({11: 20}, "dark_lux"),
        ({6: 500, 7: 400}, "least_w"),
        ({18: 0}, "meter_s"),
        ({18: 3601}, "meter_s"),
        ({19: 4}, "phases"),
        ({19: 0}, "phases"),
        ({5: 0x3FFFFFFF}, "idle_w"),
        ({12: 4}, None),
        ({14: 1, 16: 101}, None),
    ):
        del said[:]
        given = checked(extra, refuse)
        assert said == ([name] if name else []), (extra, said)
        if name:
            assert given == [1, 1, 60, 60, 50, 0, 0, 207, 253, 35, 70, 60, 3], "the usual ones hold"
        site = Site(extra=extra, plan=b"")
        assert site.kind.alarms == 16, extra
        site.run(MIN)
        assert site.alarms() == set() or not name
    for extra in ({}, {3: 600, 4: 0}, {7: 3000, 6: 100}, {6: 100}, {10: 5, 11: 6}, {12: 3}):
        assert Site(extra=extra).kind.alarms == 0, extra
    site = Site({4: 0x3FFFFFFF}, without=("photocell",)).run(2 * HOUR)
    site.kind.execute(LIGHT, [0, 600, 0])
    site.run(15 * MIN)
    assert site.contactor_.on, "the feeder is on again when the command is over"


def test_commands():
    site = Site(without=("photocell",)).run(MIN)
    kind = site.kind
    assert kind.OPS == (LIGHT, RESUME, PLAN)
    assert not {IDENTIFY, RAISE, SHED} & set(kind.OPS), "what a contactor cannot do is refused before"
    assert kind.execute(LIGHT, [50, 600, 0]) == "op_args"
    assert kind.execute(LIGHT, [100, 600, 0, 60]) == "op_args", "it does not wait"
    assert kind.execute(LIGHT, [100, 0, 0]) == "ttl"
    assert kind.execute(LIGHT, [100, 600, 0, 0, 60]) is None
    site.run(10000)
    assert site.contactor_.on and site.value("reason") == OVERRIDE
    site.run(601000)
    assert not site.contactor_.on
    kind.execute(LIGHT, [100, 86400, 0])
    site.run(HOUR)
    assert kind.execute(RESUME, []) is None
    site.run(HOUR)
    assert not site.contactor_.on or site.value("reason") == PROGRAM
    assert kind.execute(PLAN, [0, 9, b"a"]) is None
    assert kind.execute(PLAN, [1, 9, b"b"]) == b"12345678"
    assert kind.programme.parts == [[0, 9, b"a"], [1, 9, b"b"]]
    strict = Site(extra={2: 0}).run(MIN)
    assert strict.kind.execute(LIGHT, [0, 60, 0]) == "below_floor"


def test_a_command_waits_for_the_contactors_shortest_times():
    site = Site(extra={3: 300, 4: 120}, without=("photocell",)).run(HOUR - MIN)
    assert not site.contactor_.on
    site.run(2 * MIN)
    assert site.contactor_.on
    site.kind.execute(LIGHT, [0, 3600, 0])
    site.run(MIN)
    assert site.contactor_.on and site.value("target") == 0, "the target is told at once"
    site.run(4 * MIN)
    assert not site.contactor_.on
    assert site.contactor_.set_[-1][0] - site.contactor_.set_[-2][0] == 300000


def test_the_switch_in_the_box_comes_first():
    site = Site(extra={12: 0, 13: 0, 16: 1, 17: 2}, without=("photocell",))
    up, down = site.contacts_[:2]
    up.state = down.state = False
    site.run(MIN)
    assert not site.contactor_.on and site.value("local") == 0
    up.state = True
    site.run(11000)
    assert site.contactor_.on
    assert (site.value("local"), site.value("reason"), site.value("target")) == (2, LOCAL, 1)
    assert site.kind.execute(LIGHT, [0, 60, 0]) == "local_override"
    site.run(2 * HOUR)
    up.state = False
    down.state = True
    site.run(11000)
    assert not site.contactor_.on and site.value("local") == 1
    up.state = True
    site.run(11000)
    assert site.contactor_.on, "where both say so there is light"
    up.state = down.state = False
    site.run(MIN)
    assert (site.value("local"), site.value("reason"), site.value("target")) == (0, PROGRAM, 1)
