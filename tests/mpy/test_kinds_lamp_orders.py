"""A LIGHT that starts later and comes back by a ramp of its own: the two arguments that may be left out."""

from firmware.furniture import lamp
from firmware.roles.commands import LIGHT, RESUME, SHED
from tests.mpy.test_kinds_lamp import EVENING, Site, plan

MIN = 60000


def start(**more):
    """A lamp that is settled at the 40 % of its plan."""
    site = Site(at=EVENING + 3 * 3600, plan=plan(), **more)
    site.run(MIN)
    assert site.level() == 40
    return site


def test_it_waits_ramps_holds_and_comes_back_by_the_other_ramp():
    site = start()
    assert site.kind.execute(LIGHT, [80, 1200, 60, 600, 240]) is None
    site.run(MIN + 600000 - 1)
    assert site.level() == 40 and site.report.values[6] == lamp.PROGRAM, "it waits"
    for after_s, low, high in (
        (1, 40, 41),
        (30, 59, 61),
        (62, 80, 80),
        (1199, 80, 80),
        (1320, 59, 61),
        (1442, 40, 40),
    ):
        site.run(MIN + 600000 + after_s * 1000)
        assert low <= site.level() <= high, (after_s, site.level())
        assert site.report.values[6] == (lamp.OVERRIDE if after_s < 1200 else lamp.PROGRAM)
    assert site.longest_silence() <= 10001


def test_without_a_ramp_back_it_is_that_of_the_way_there():
    for args, level in (
        ([80, 600, 100], 60),
        ([80, 600, 100, 0], 60),
        ([80, 600, 100, 0, 200], 70),
        ([80, 600, 100, 0, 0], 40),
    ):
        site = start()
        assert site.kind.execute(LIGHT, args) is None
        site.run(MIN + 650000)
        assert abs(site.level() - level) <= 1, (args, site.level())


def test_a_newer_one_replaces_what_is_in_force_and_what_waits():
    site = start()
    assert site.kind.execute(LIGHT, [80, 3600, 0]) is None
    site.run(2 * MIN)
    assert site.level() == 80
    assert site.kind.execute(LIGHT, [20, 600, 0, 300]) is None
    site.run(3 * MIN)
    assert site.level() == 40, "what was in force is over"
    assert site.kind.execute(LIGHT, [60, 600, 0, 600]) is None
    site.run(12 * MIN)
    assert site.level() == 40, "what waited never comes"
    site.run(14 * MIN)
    assert site.level() == 60
    assert site.kind.execute(LIGHT, [90, 600, 0, 600]) is None
    assert site.kind.execute(RESUME, []) is None
    site.run(30 * MIN)
    assert site.level() == 40, "RESUME ends one that waits, too"


def test_a_refusal_leaves_what_waits():
    site = start()
    assert site.kind.execute(LIGHT, [80, 3600, 0, 300]) is None
    for args, name in (
        ([50, 0, 0, 60], "ttl"),
        ([50, 3600, 0, 82801], "ttl"),
        ([50, 1, 0, 86400, 0], "ttl"),
        ([9, 60, 0, 60, 0], "below_floor"),
        ([50, 60, 0, 0, 3601], "op_args"),
    ):
        assert site.kind.execute(LIGHT, args) == name, args
    site.run(7 * MIN)
    assert site.level() == 80
    assert site.kind.execute(LIGHT, [50, 3600, 0, 82800, 3600]) is None, "a day at the most"


def test_shedding_is_above_one_that_begins_meanwhile():
    site = start()
    assert site.kind.execute(LIGHT, [80, 3600, 0, 120]) is None
    assert site.kind.execute(SHED, [30, 600, 0]) is None
    site.run(8 * MIN)
    assert site.level() == 30
    site.run(20 * MIN)
    assert site.level() == 80
