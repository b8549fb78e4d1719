"""The decree on a lamp: plans that are refused, hours that are kept dark whatever the plan says, commands."""

import sys

from firmware.clock import EPOCH_GPS
from firmware.furniture import lamp
from firmware.kinds import lamp_law, programme
from firmware.protocols.cbor import encode
from firmware.roles.commands import IDENTIFY, LIGHT, PLAN, RAISE, RESUME, SHED
from tests.mpy.test_kinds_lamp import EVENING, Site

H = 3600
MS = 3600000
DAY = 86400
ADVERTISING = 9  # dark from 01:00 to 06:00
FACADE = 4  # lit between sunset and 01:00
GUARD = ("plan:", "guard")


def plan(*fixed, rules=(), more=(), dynamic=(), periods=(), zone="UTC0", place=(474736, -5542), noon=12):
    """A default program of (hour, level), from noon to noon; `more`: further programs of the same."""
    programs = [
        [list(periods), [[round(h * H), level, 0] for h, level in p], [], list(dynamic)]
        for p in (fixed,) + more
    ]
    return encode([1, zone, place[0], place[1], noon, 100, 0, programs, list(rules), 0])


LEGAL = plan((18, 100), (1, 0), (6, 60), (9, 0))
FORBIDDEN = plan((18, 100), (2, 0), (6, 60), (9, 0))


class Panel(Site):
    """`said`: what the console was told."""

    def __init__(self, extra=None, category=ADVERTISING, at=EVENING, **more):
        self.said = said = []
        lamp_law.print = programme.print = lambda *words: said.append(tuple(" ".join(words).split()))
        settings = {1: 100, 5: 0, 12: category}
        settings.update(extra or {})
        super().__init__(settings, at=at, **more)

    def send(self, blob):
        return self.kind.execute(PLAN, [0, len(blob), blob])

    def hours(self, first, last, step=0.25):
        """[(hour, level)]: where the output stands at each step that differs from the one before; hours of the
        local day, 24 more after midnight."""
        found = []
        for n in range(round((last - first) / step) + 1):
            before = self.time.ms
            self.run(round((first + n * step) * MS) - EVENING * 1000 + 90000)
            assert self.looks < 200 + (self.time.ms - before) // 8000, "it does not spin"
            self.looks = 0
            if not found or found[-1][1] != self.level():
                found.append((first + n * step, self.level()))
        return found


def test_a_plan_that_lights_at_a_forbidden_hour_is_refused():
    site = Panel(plan=LEGAL)
    site.run(60000)
    assert site.kind.plan and site.said == []
    before = site.kind.plan
    assert site.send(FORBIDDEN) == "guard"
    assert site.kind.plan == before and site.kept["plan"][8:] == LEGAL
    assert site.hours(20.5, 34) == [(20.5, 100), (25, 0), (30, 60), (33, 0)]
    assert site.send(plan((18, 100), (0, 0))) == site.kind.plan != before
    road = Panel(plan=LEGAL, category=0)
    assert road.kind._law is None and road.send(FORBIDDEN) == road.kind.plan


def test_a_minute_is_not_a_matter_of_law():
    site = Panel(plan=LEGAL)
    assert site.send(plan((18, 100), (1 + 59 / H, 0))) == site.kind.plan
    assert site.send(plan((18, 100), (1 + 61 / H, 0))) == "guard"
    site.run(60000)
    # Nor is it held back.
    assert site.hours(20.5, 34) == [(20.5, 100), (25, 0)] and site.said == []


def test_the_next_seven_days_count_and_the_eighth_does_not():
    # Legal by default, forbidden on one date: number of days from today, a Thursday.
    for days, wanted in ((1, "guard"), (7, "guard"), (8, None)):
        date = 1 * 32 + 1 + days
        rule = [1, 33, 12 * 32 + 31, [1, [[date, date]]]]
        blob = plan((18, 100), (1, 0), rules=[rule], more=(((18, 100), (3, 0)),))
        site = Panel()
        assert (site.send(blob) == "guard") is (wanted == "guard"), days


def test_what_presence_and_a_photocell_may_light_counts():
    always = [[-1, -1, 0, 100, 60, 0, 0]]
    evening = [[18 * H, 23 * H, 0, 100, 60, 0, 0]]
    site = Panel()
    assert site.send(plan((18, 100), (1, 0), dynamic=always)) == "guard"
    assert site.send(plan((18, 100), (1, 0), dynamic=evening)) == site.kind.plan
    # Min can only darken.
    assert site.send(plan((18, 100), (1, 0), dynamic=[[-1, -1, 2, 50, 60, 0, 0]])) == site.kind.plan
    assert site.send(plan((12, 100), periods=[[2, 2000, 5000]])) == "guard"
    inside = [[0, 17 * H, 1 * H]]
    assert site.send(plan((18, 100), dynamic=always, periods=inside)) == site.kind.plan, "off outside"


def test_a_plan_of_the_configuration_is_judged_alike():
    site = Panel(plan=FORBIDDEN)
    site.run(60000)
    assert site.kind.plan is None and site.said[0] == GUARD
    # The default level, and that only when it may be.
    assert site.hours(20.5, 34) == [(20.5, 100), (25, 0), (30, 100)]
    assert site.report.values[6] == lamp.DEFAULT
    kept = {}
    Panel(plan=LEGAL, kept=kept).run(60000)
    again = Panel(plan=FORBIDDEN, kept=kept)
    again.run(60000)
    assert again.kind.plan and again.kept["plan"][8:] == LEGAL


def test_without_a_time_it_is_taken_and_later_not_followed_in_those_hours():
    site = Panel(at=None, plan=FORBIDDEN)
    site.run(60000)
    assert site.kind.plan and site.level() == 100
    site.clock.set(2, EPOCH_GPS + EVENING + 60)
    assert site.hours(20.5, 48) == [(20.5, 100), (25, 0), (30, 60), (33, 0), (42, 100)]
    assert site.said.count(GUARD) == 1, "once a night"
    held = [v for t, v, alarm in site.report.sent if v[3]]
    assert held and {v[3] for v in held} == {1 << 12} and [v[4] for v in held[:2]] == [100, 0]
    site.hours(48.5, 49.25)
    assert site.said.count(GUARD) == 2 and site.report.values[3] == 1 << 12
    # Until a plan comes that may be followed.
    assert site.send(LEGAL) == site.kind.plan
    site.run(site.time.ms + 10 * MS)
    assert site.report.values[3] is None


def test_the_sun_moves_on():
    # Half past five in the afternoon: after sunset in January, before it in March.
    site = Panel(category=FACADE)
    blob = plan((17.5, 100), (0, 0))
    assert site.send(blob) == site.kind.plan
    march = Panel(category=FACADE, at=EVENING + 75 * DAY, kept=dict(site.kept))
    march.run(60000)
    march.run(219 * MS // 10)
    assert march.level() == 0 and march.said[-1] == GUARD, "six in the evening, the sun is up"
    march.run(226 * MS // 10)
    assert march.level() == 100
    assert march.send(blob) == "guard"


def test_local_hours_of_another_zone_and_midnight_days():
    paris = "CET-1CEST,M3.5.0,M10.5.0/3"
    site = Panel(category=6)  # shop window: dark from 01:00 to 07:00
    assert site.send(plan((18, 100), (1, 0), (7, 50), (9, 0), zone=paris)) == site.kind.plan
    assert site.send(plan((18, 100), (2, 0), zone=paris)) == "guard"
    assert site.send(plan((0, 100), (1, 0), (7, 50), (9, 0), (18, 100), zone=paris, noon=0)) == site.kind.plan
    assert site.send(plan((0, 100), (1.5, 0), (18, 100), zone=paris, noon=0)) == "guard"
    assert site.send(plan((1, 0), (6.5, 50), (9, 0), (18, 100), zone=paris, noon=0)) == "guard"


def test_activity():
    # A car park whose shop closes at eight: two hours more. Minutes of the local day + 1.
    site = Panel({13: 20 * 60 + 1}, category=7)
    assert site.send(plan((18, 100), (22, 0))) == site.kind.plan
    assert site.send(plan((18, 100), (22.5, 0))) == "guard"
    assert site.send(plan((15, 100), (22, 0))) == "guard", "before sunset"


def test_commands():
    site = Panel(plan=LEGAL)
    site.run(60000)
    assert site.kind.execute(LIGHT, [100, 4 * H, 0]) is None
    assert site.kind.execute(LIGHT, [100, 6 * H, 0]) == "guard"
    assert site.kind.execute(LIGHT, [0, 24 * H, 0]) is None, "dark is never forbidden"
    # Of a light that begins later, the hours that it is lit count: from eight o'clock plus start.
    assert site.kind.execute(LIGHT, [100, 2 * H, 0, 2 * H]) is None
    assert site.kind.execute(LIGHT, [100, 2 * H, 0, 4 * H]) == "guard"
    assert site.kind.execute(LIGHT, [100, 2 * H, 0, 11 * H]) is None, "in the morning"
    site.kind.execute(RESUME, [])
    site.run(6 * MS)  # two o'clock
    assert site.kind.execute(RAISE, [100, 600]) == "guard"
    assert site.kind.execute(RAISE, [100, 60]) is None
    assert site.kind.execute(IDENTIFY, [61]) == "guard"
    assert site.kind.execute(IDENTIFY, [0]) is None
    assert site.kind.execute(SHED, [50, 600, 0]) is None
    site.run(6 * MS + 120000)
    assert site.level() == 0
    assert site.kind.execute(IDENTIFY, [60]) is None, "a technician's minute"
    site.run(6 * MS + 130000)
    assert site.level() > 0
    site.run(6 * MS + 300000)
    assert site.level() == 0


def test_a_command_from_before_the_time_was_known_ends_with_it():
    for args, ends in (
        ([70, 12 * H, 0], True),
        ([70, 2 * H, 0], False),
        ([70, 2 * H, 0, 300], False),
        ([70, 2 * H, 0, 5 * H], True),
    ):
        site = Panel(at=None, plan=LEGAL)
        site.run(60000)
        assert site.kind.execute(LIGHT, args) is None
        site.run(120000)
        site.clock.set(2, EPOCH_GPS + EVENING + 120)
        site.run(180000 if len(args) < 4 else 60000 + args[3] * 1000 + 30000)
        assert (site.report.values[6] == lamp.OVERRIDE) is not ends, args
        assert (("light:", "guard") in site.said) is ends, args


def test_the_maintenance_input_is_above_the_law():
    site = Panel(plan=LEGAL)
    site.run(6 * MS)
    assert site.level() == 0
    site.kind._lamp.local = True
    site.run(6 * MS + 20000)
    assert site.level() == 100 and site.report.values[6] == lamp.LOCAL


def test_without_memory_the_hours_of_the_day_before_go_on():
    site = Panel(at=None, plan=FORBIDDEN)
    site.run(1000)
    site.clock.set(2, EPOCH_GPS + EVENING)
    law = site.kind._law
    assert site.hours(21, 26) == [(21, 100), (25, 0)]
    real = law._ask

    def full(*args):
        raise MemoryError

    law._ask = full
    assert site.hours(44, 54) == [(44, 100), (49, 0), (54, 60)]
    assert ("plan:", "no_memory") in site.said
    law._ask = real
    fresh = Panel(at=None, plan=FORBIDDEN)
    fresh.run(1000)
    law = fresh.kind._law
    real, law._ask = law._ask, full
    fresh.clock.set(2, EPOCH_GPS + 24 * H + H + H // 2)
    fresh.run(60000)
    assert fresh.level() == 100, "nothing is known of the law"
    law._ask = real
    fresh.run(700000)
    assert fresh.level() == 0, "ten minutes later it is"


def test_settings_that_the_decree_does_not_have():
    for extra in ({12: 10}, {12: 3, 13: 1441}, {12: 5, 14: 5000}):
        site = Site(extra)
        assert site.kind.alarms == 16 and site.kind._law is None


def test_the_modules_do_not_stay():
    site = Panel(plan=LEGAL)
    site.run(60000)
    assert site.send(LEGAL) == site.kind.plan
    site.kind.execute(LIGHT, [100, 60, 0])
    site.run(2 * 60000)
    for name in ("guard", "packed", "schedule", "sun", "zone"):
        assert "firmware.furniture." + name not in sys.modules
    assert "firmware.kinds.law" not in sys.modules
