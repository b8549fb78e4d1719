"""A lamp behind its real relay driver: order, times of a discharge lamp, what is told of it."""

from firmware.drivers.contact import Contact
from firmware.drivers.errors import BusError, ConfigError
from firmware.drivers.relay import Relay
from firmware.furniture import lamp
from firmware.roles.commands import IDENTIFY, LIGHT, RESUME
from tests.mpy import fakes
from tests.mpy.support import raises
from tests.mpy.test_kinds_lamp import EVENING, Gear, Meter, Out, Site
from tests.mpy.test_kinds_lamp import plan as night_plan
from tests.mpy.ticks import Pin

ON = 0  # level of the coil's pin that leaves the contact closed


class Coil(Pin):
    """`moves`: (ms, closed)."""

    def __init__(self, time):
        super().__init__(1 - ON)
        self.time = time
        self.moves = []

    def __call__(self, level=None):
        if level not in (None, self.level):
            self.moves.append((self.time.ms, level == ON))
        return super().__call__(level)


class Switched(Site):
    """relay alone: out=None; one contact, open, for the maintenance input."""

    def __init__(self, extra=None, out=Out, at=None, **more):
        time = fakes.Time(0)
        self.coil = Coil(time)
        self.contact = Pin(1)
        relay = Relay(self.coil, ON, clock=time)
        if out:
            more["light_switch"] = relay
        else:
            more["light"] = relay
        settings = {1: 100, 5: 10, 16: 1}
        settings.update(extra or {})
        super().__init__(
            settings, out=out, at=at, time=time, contacts=[Contact(self.contact, clock=time)], **more
        )

    @property
    def closed(self):
        return self.coil.level == ON

    def light(self, level, for_s=3600):
        assert self.kind.execute(LIGHT, [level, for_s, 0]) is None

    def go(self, ms):
        self.run(self.time.ms + ms)


def test_on_at_the_start_and_while_nothing_else_is_said():
    site = Switched()
    assert site.closed and site.coil.moves == [(0, True)] and site.out.set_ == [(0, 1000)]
    site.go(3600000)
    assert site.coil.moves == [(0, True)]
    assert site.report.sent[0][1][4:7] == [100, 100, lamp.DEFAULT]


def test_dimmed_down_before_it_opens_and_closed_before_it_dims_up():
    site = Switched({5: 0})
    site.go(1000)
    site.light(0)
    site.go(60000)
    opened = site.coil.moves[-1]
    assert opened[1] is False and not site.closed
    at = next(t for t, p in site.out.set_ if p == 0)
    assert 2000 <= opened[0] - at <= 2500 and site.out.set_[-1][0] <= opened[0]
    assert site.report.values[4] == 0
    site.light(60)
    before = len(site.out.set_)
    site.go(60000)
    closed = site.coil.moves[-1]
    assert closed[1] is True and closed[0] <= site.out.set_[before][0]
    assert site.level() == 60 and site.report.values[4:7] == [60, 60, lamp.OVERRIDE]
    # Once more when the gear has started, which knows nothing of what it was told before.
    assert [p for t, p in site.out.set_ if 1000 <= t - closed[0] <= 3000]


def test_follows_its_plan():
    program = night_plan(level=0)
    site = Switched(at=EVENING, plan=program)
    site.run(2 * 3600000 - 1)
    assert site.coil.moves == [(0, True)]
    site.run(9 * 3600000)
    hours = [(round(t / 3600000, 2), on) for t, on in site.coil.moves[1:]]
    assert hours == [(2, False), (8, True)]


def test_a_relay_alone_is_on_or_off():
    site = Switched({5: 0, 7: 80, 20: 0, 21: 70}, out=None)
    site.go(1000)
    site.light(30)
    site.go(60000)
    assert site.closed and site.report.values[4:6] == [100, 30], "what is there, and what was asked for"
    site.light(0)
    site.go(9000)
    assert site.closed, "no way down takes less than ten seconds"
    site.go(2000)
    assert not site.closed and site.report.values[4:6] == [0, 0]
    site.kind.execute(IDENTIFY, [10])
    site.go(5000)
    assert site.closed and len(site.coil.moves) == 3, "it does not blink"
    site.light(1)
    site.go(60000)
    assert site.closed


def test_two_relays_are_one():
    time = fakes.Time(0)
    coil = Coil(time)
    relay = Relay(coil, ON, clock=time)
    site = Site(out=None, light=relay, light_switch=ConfigError("relay", "relay", 5), time=time)
    assert site.kind.alarms == 16
    site.run(1000)
    site.kind.execute(LIGHT, [50, 60, 0])
    site.run(20000)
    assert coil.level == ON and site.report.values[4] == 100


def test_without_any_output_it_does_not_start():
    assert raises(ConfigError, lambda: Site(out=None)).args == ("light",)


def test_a_discharge_lamp_cools_first_and_then_comes_by_itself():
    site = Switched({5: 0, 19: 120, 11: 240}, out=None, interval_s=3600, phase_ms=30000)
    site.go(600000)
    site.light(0)
    site.go(30000)
    assert not site.closed
    opened = site.coil.moves[-1][0]
    site.kind.execute(RESUME, [])
    site.go(60000)
    assert not site.closed and site.report.values[4:7] == [0, 100, lamp.DEFAULT], "told as it is"
    assert site.report.sent[-1][1][4:6] == [0, 100]
    burnt = site.kind._luminaire.burn_s
    site.go(120000)
    assert site.closed and 0 <= site.coil.moves[-1][0] - opened - 120000 <= 1000
    assert site.report.sent[-1][1][4:6] == [100, 100], "and that it is there"
    assert 60 <= site.kind._luminaire.burn_s - burnt <= 80, "what is dark does not burn"
    assert site.kind._luminaire.switches == 2


def test_a_discharge_lamp_is_not_dimmed_before_it_is_warm():
    site = Switched({1: 50, 19: 60, 11: 240})
    site.go(230000)
    assert site.level() == 100 and site.report.values[4:6] == [100, 50]
    site.go(20000)
    assert site.level() == 50
    plain = Switched({1: 50, 11: 240})
    plain.go(20000)
    assert plain.level() == 50, "a warm-up alone is no discharge lamp"


def test_the_maintenance_input_does_not_wait():
    site = Switched({5: 0, 19: 600}, out=None)
    site.go(60000)
    site.light(0)
    site.go(30000)
    assert not site.closed
    site.contact(0)
    at = site.time.ms
    site.go(2000)
    assert site.closed and site.coil.moves[-1][0] - at <= 1000
    assert site.report.values[4:7] == [100, 100, lamp.LOCAL]


def test_the_shortest_pause():
    site = Switched({5: 0, 18: 30}, out=None)
    site.go(1000)
    site.light(0)
    site.go(11000)
    opened = site.coil.moves[-1][0]
    site.light(100)
    site.go(60000)
    assert 0 <= site.coil.moves[-1][0] - opened - 30000 <= 1000


def test_times_that_no_relay_has_are_named_and_the_lamp_goes_on():
    site = Switched({5: 0, 19: 1 << 20}, out=None)
    assert site.kind.alarms == 16
    site.go(1000)
    site.light(0)
    site.go(20000)
    site.light(100)
    site.go(20000)
    assert site.closed and len(site.coil.moves) == 3


def test_a_welded_relay_is_an_alarm():
    site = Switched({5: 0, 9: 60000, 11: 0}, out=None, meter=Meter())
    site.go(600000)
    assert site.report.values[3] is None
    site.light(0)
    site.go(300000)
    assert site.report.values[3] == 4 | 8, "relay and day burner"
    site.meter.power_mw = 0
    site.go(300000)
    assert site.report.values[3] is None


def test_a_gear_without_supply_is_not_asked():
    site = Switched({5: 0, 9: 60000}, out=Gear, meter=Meter())
    site.go(300000)
    assert site.report.values[3] is None
    site.light(0, 86400)
    site.go(20000)
    site.out.bits = None
    site.meter.power_mw = 0
    site.go(600000)
    assert not site.closed and site.report.values[3] is None
    site.light(100)
    site.meter.power_mw = 60000
    site.go(600000)
    assert site.report.values[3] == 32, "with supply its silence counts"


class Late(Out):
    """A DALI line that its gear feeds: nothing can be sent before that has started."""

    coil = None

    def set(self, permille):
        if self.coil and self.coil.moves and self.time.ms - self.coil.moves[-1][0] < 500:
            raise BusError("dali", "rmt")
        super().set(permille)


def test_an_output_that_fails_is_tried_again():
    site = Switched({5: 0}, out=Late)
    site.out.coil = site.coil
    site.go(1000)
    site.light(0)
    site.go(60000)
    site.light(40)
    at = site.time.ms
    site.go(60000)
    assert site.level() == 40 and site.closed
    assert next(t for t, p in site.out.set_ if p == 400) - at <= 3000
