"""Maintenance switch and presence sensor of a lamp, on real contacts: within a second, debounced, by the plan."""

from firmware.clock import Clock
from firmware.drivers.contact import Contact
from firmware.furniture import lamp
from firmware.kinds import lamp_inputs
from firmware.protocols.cbor import encode
from firmware.roles.commands import IDENTIFY, LIGHT, PLAN, RAISE, SHED
from tests.mpy import fakes
from tests.mpy.test_kinds_lamp import EVENING, Site
from tests.mpy.ticks import Pin

HALF = 1800000
DAY = 86400


def plan(level=40, most=80, op=1, hold_s=60, fall_s=20, day=100):
    """`level` from 20:45, `day` from 04:00; presence (Max) lifts it to `most`."""
    program = [[], [[74700, level, 0], [14400, day, 0]], [], [[-1, -1, op, most, hold_s, 0, fall_s]]]
    return encode([1, "UTC0", 474736, -5542, 12, 100, 0, [program], [], 0])


class Wired(Site):
    """A lamp whose pins 1 and 2 have contacts to ground: closed is 0. At half past eight in the evening."""

    def __init__(self, extra=None, pins=(1, 1), at=EVENING + 1800, **more):
        time = fakes.Time(0)
        self.pins = [Pin(level) for level in pins]
        contacts = [Contact(pin, clock=time) for pin in self.pins] + [None]
        settings = {5: 10, 16: 1, 17: 2}
        settings.update(extra or {})
        super().__init__(settings, at=at, time=time, contacts=contacts, **more)

    def set(self, at_ms, number, level):
        self.time.at(at_ms, lambda: self.pins[number - 1](level))

    def reached(self, percent, after_ms):
        """When the output first had that level, from some moment on."""
        return next(t for t, p in self.out.set_ if t >= after_ms and p == percent * 10)


def test_the_maintenance_switch_is_full_light_within_a_second():
    site = Wired(plan=plan())
    site.run(HALF)
    assert site.level() == 40
    site.set(HALF + 137, 1, 0)
    site.run(HALF + 5000)
    assert 0 < site.reached(100, HALF) - HALF - 137 <= 1000
    assert site.report.values[4:7] == [100, 100, lamp.LOCAL]
    for op, args in ((LIGHT, [50, 60, 0]), (SHED, [50, 60, 0]), (RAISE, [100, 60])):
        assert site.kind.execute(op, args) == "local_override"
    assert site.kind.execute(IDENTIFY, [5]) is None
    site.run(HALF + 12000)
    assert min([p for t, p in site.out.set_ if t > HALF + 2000] or [1000]) == 1000, "over identify, too"
    site.set(HALF + 60000, 1, 1)
    site.run(HALF + 80000)
    assert site.level() == 40 and site.report.values[6] == lamp.PROGRAM


def test_a_switch_that_opens_to_say_so():
    site = Wired({16: 101}, plan=plan())
    assert site.kind._lamp.local
    site.run(HALF)
    assert site.level() == 100 and site.report.values[6] == lamp.LOCAL
    site.set(HALF + 100, 1, 0)
    site.run(HALF + 30000)
    assert site.level() == 40


def test_a_bounce_is_no_switch():
    site = Wired(plan=plan())
    for n in range(100):
        site.set(HALF + 997 * n, 1, 0)
        site.set(HALF + 997 * n + 20, 1, 1)
    site.run(2 * HALF)
    assert 1000 not in [p for t, p in site.out.set_ if t >= HALF]


def test_presence_lifts_the_level_by_the_plan_and_lets_it_go():
    site = Wired(plan=plan())
    site.run(HALF)
    assert site.level() == 40
    site.set(HALF + 500, 2, 0)
    site.set(HALF + 30500, 2, 1)
    site.run(HALF + 60000)
    begun = next(t for t, p in site.out.set_ if t >= HALF)
    assert begun - HALF - 500 <= 1000
    assert site.level() == 80 and site.report.values[4:7] == [80, 80, lamp.SENSOR]
    site.run(HALF + 89000)
    assert site.level() == 80, "a minute's hold"
    site.run(HALF + 130000)
    falls = [t for t, p in site.out.set_ if p == 790 and t > HALF + 60000]
    assert 90000 <= falls[0] - HALF <= 93000
    assert abs(site.reached(40, HALF + 91000) - HALF - 111000) <= 2000, "by the ramp of the plan"
    assert site.report.values[6] == lamp.PROGRAM


def test_six_operations():
    for op, wanted in enumerate((30, 40, 30, 70, 10, 12)):
        site = Wired(plan=plan(most=30, op=op), pins=(1, 0))
        site.run(HALF)
        assert site.level() == wanted, op


def test_presence_outlives_the_table_and_the_plan():
    # A quarter of an hour before a lighting day ends.
    site = Wired({1: 90}, at=15 * 3600 + DAY - 4 * 3600 + 2700, plan=plan(day=40), pins=(1, 0))
    site.run(60000)
    assert site.level() == 80
    new = plan(day=20, most=60, hold_s=600)
    assert site.kind.execute(PLAN, [0, len(new), new]) == site.kind.plan
    site.run(75000)
    assert site.level() == 60
    first = site.kind.programme.night.begin
    site.run(HALF)
    assert site.level() == 60 and site.kind.programme.night.begin == first + DAY, "the table of a new day"
    # Left shortly before a plan that holds for longer: it still counts.
    site.set(HALF + 1000, 2, 1)
    site.run(HALF + 60000)
    other = plan(day=20, most=70, hold_s=600)
    site.kind.execute(PLAN, [0, len(other), other])
    site.run(HALF + 590000)
    assert site.level() == 70
    site.run(HALF + 660000)
    assert site.level() == 20


class Night:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def presence(self, t, present):
        self.told.append((t, present))


def test_a_sensor_that_never_lets_go_is_told_once_and_holds_for_a_day():
    said = []
    lamp_inputs.print = lambda *words: said.append(words)
    try:
        time = fakes.Time(0)
        pin = Pin(0)
        night = Night()
        inputs = lamp_inputs.Inputs(
            [Contact(pin, clock=time)],
            {17: 1},
            lamp.Lamp(),
            Clock(time.ticks_ms, time.ticks_diff),
            None,
        )

        def here(hour):
            while time.ms < hour * 3600000:
                time.ms += 1800000
                inputs._look()
            inputs.tell(time.ms, 100000 + time.ms // 1000, night)
            return night.told[-1]

        assert here(1) == (103600, True)
        assert here(23.5) == (184600, True) and said == []
        left = here(30)
        assert left == (184600, False) and said == [("presence: stuck",)]
        assert here(72) == left and len(said) == 1
        # It works again.
        pin(1)
        here(73)
        pin(0)
        assert here(75) == (370000, True) and len(said) == 1
    finally:
        del lamp_inputs.print


def test_presence_without_a_plan_or_a_time_changes_nothing():
    for more in ({"at": None, "plan": plan()}, {}):
        site = Wired({1: 70}, pins=(1, 0), **more)
        site.run(HALF)
        assert site.level() == 70 and site.report.values[6] == lamp.DEFAULT


def test_a_command_is_obeyed_within_a_second():
    site = Wired()
    site.time.at(HALF, lambda: site.kind.execute(LIGHT, [100, 60, 0]))
    site.kind.execute(LIGHT, [50, 3600, 0])
    site.run(HALF + 5000)
    assert 0 < next(t for t, _ in site.out.set_ if t > HALF) - HALF <= 1000


def test_a_contact_that_is_not_there_is_named_and_left_out():
    for extra, more in (({16: 3}, {}), ({17: 104}, {}), ({16: 1}, {"contacts": None})):
        settings = {5: 10}
        settings.update(extra)
        site = Site(settings, at=EVENING + 3600, plan=plan(), **(more or {"contacts": [None, None, None]}))
        assert site.kind.alarms == 16
        site.run(60000)
        assert site.level() == 40
    assert Wired().kind.alarms == 0


def test_the_plan_is_asked_once_in_each_step():
    site = Wired(plan=plan(), pins=(1, 0))
    programme = site.kind.programme
    look = programme.look
    asked = []

    def once(wire):
        asked.append(wire)
        return look(wire)

    programme.look = once
    site.run(HALF)
    assert site.level() == 80
    # And once more for its first table, which knew nobody.
    assert len(asked) == site.looks + 1


def test_a_lamp_without_them_does_not_poll():
    site = Site()
    site.run(HALF)
    assert site.kind._inputs is None and site.looks < 300
