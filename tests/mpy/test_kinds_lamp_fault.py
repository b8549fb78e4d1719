"""A lamp whose parts fail or lie, whose settings are wrong: readings and light go on, and the host is told."""

import sys

from firmware.drivers.errors import BusError, ConfigError
from firmware.kinds import lamp_fit, lamp_setup
from firmware.protocols.codec import blank, encode_into
from firmware.protocols.schema import lamp as rows
from firmware.protocols.schema import message
from firmware.roles.commands import IDENTIFY, LIGHT, PLAN, RESUME, SHED
from tests.mpy.site import Report
from tests.mpy.test_kinds_lamp import EVENING, Gear, Meter, Out, Site, plan

BIT = {name: 1 << bit for bit, name, _, _ in rows.ALARMS}
HOUR = 3600000
CONFIG_INVALID = 16  # of hello
# `plan` with a zone that nobody knows.
JUNK = plan(zone="nowhere")


class Strict(Report):
    """Encodes what it is given, as the node's own does."""

    def __init__(self, time):
        super().__init__(time, 0)
        self.values = blank(message(2))

    def send(self, alarm=False):
        encode_into(bytearray(238), 0, message(2), self.values, False, 200)
        return super().send(alarm)


def strict(*args, **named):
    site = Site(*args, **named)
    values = blank(message(2))
    values[: len(site.report.values)] = site.report.values
    site.report = site.kind._report = Strict(site.time)
    site.report.values[:] = values
    return site


# --- a meter that lies


def lying(power_mw, voltage_mv=230000, extra=None):
    site = strict(extra or {1: 100, 9: 60000}, at=EVENING, meter=Meter())
    site.meter.power_mw = power_mw
    site.meter.voltage_mv = voltage_mv
    site.run(HOUR + 60000)
    assert len(site.report.sent) >= 6, "one field never costs a reading"
    return site.report.sent[-1][1]


def test_what_a_meter_cannot_mean_is_left_out():
    for power_mw, told in (
        (6553500, 65535),
        (6553501, None),
        (8 << 30, None),
        (-1000, 0),
        (-1001, None),
        (-60000, None),
    ):
        values = lying(power_mw)
        assert values[7] == told, power_mw
        assert values[2] == 230000 and values[8] >= 0
    for voltage_mv, told in ((0, 0), (500000, 500000), (500001, None), (1056000, None), (-1, None)):
        values = lying(60000, voltage_mv)
        assert values[2] == told, voltage_mv
        assert values[7] == 600 and values[8] in (59, 60)


def test_a_current_transformer_the_wrong_way_round_counts_nothing_and_accuses_nobody():
    values = lying(-60000)
    assert values[8] == 0 and values[3] is None


def test_a_meter_that_says_nothing_of_one():
    assert lying(None)[7] is None and lying(60000, None)[2] is None


# --- a dead transmitter


class Dead(Gear):
    """A DALI line; `dead`: its transmitter does not finish."""

    dead = False

    def set(self, permille):
        if self.dead:
            raise BusError("dali", "rmt")
        super().set(permille)

    def status(self):
        if self.dead:
            raise BusError("dali", "rmt")
        return super().status()


def test_a_dead_transmitter_is_told_and_tried_again():
    site = strict({1: 100}, at=EVENING, plan=plan(), out=Dead, interval_s=900)
    site.run(60000)
    assert site.report.values[3] is None
    site.out.dead = True
    site.run(3 * HOUR)
    assert 5 <= len([t for t, _, _ in site.report.sent if t > 2 * HOUR]) <= 8, "readings go on"
    alarms = [(t, v[3]) for t, v, a in site.report.sent if a]
    assert len(alarms) == 1 and alarms[0][1] == BIT["gear_silent"] and alarms[0][0] <= 180000
    assert site.report.values[4] is None and site.report.values[5] == 40, "which level is there nobody knows"
    assert site.kind.execute(LIGHT, [50, 3600, 0]) is None
    site.out.dead = False
    site.run(3 * HOUR + 120000)
    assert site.level() == 50
    site.run(3 * HOUR + 300000)
    assert site.report.sent[-1][1][3:6] == [None, 50, 50]


def test_dead_at_the_start():
    class Born(Dead):
        dead = True

    site = strict({1: 70}, out=Born)
    assert site.out.set_ == []
    site.run(180000)
    assert [v[3] for _, v, a in site.report.sent if a] == [BIT["gear_silent"]]
    site.out.dead = False
    site.run(240000)
    assert site.level() == 70


def test_one_failure_is_nothing():
    class Once(Out):
        left = 1

        def set(self, permille):
            if self.time.ms and self.left:
                self.left -= 1
                raise BusError("dali", "rmt")
            super().set(permille)

    site = strict({1: 100}, out=Once, interval_s=3600)
    site.run(1000)
    site.kind.execute(LIGHT, [40, 3600, 0])
    site.run(60000)
    assert site.level() == 40 and [v[4] for _, v, _ in site.report.sent][-1] == 40
    assert None not in [v[4] for _, v, _ in site.report.sent]


# --- what a gear says of itself


def test_a_gear_tells_of_its_lamp_without_a_meter():
    site = strict({1: 100}, out=Gear, interval_s=3600)
    site.run(60000)
    site.out.bits = 2
    site.run(300000)
    assert site.report.sent[-1][1][3] == BIT["lamp_failure"] and site.report.sent[-1][2]
    site.out.bits = 4 | 1
    site.run(600000)
    assert site.report.sent[-1][1][3] == BIT["gear_failure"]


def test_a_gear_that_cannot_be_asked_is_not_silent():
    class Mute(Gear):
        def status(self):
            raise ConfigError("rx")

    site = strict({1: 100}, out=Mute)
    site.run(600000)
    assert site.report.values[3] is None


# --- parts that fail to open


def test_a_part_that_fails_to_open_costs_its_fields_only():
    for role in ("energy", "photocell", "contacts", "light_switch"):
        site = Site({1: 100, 9: 60000}, at=EVENING, plan=plan(), **{role: BusError("part", "nack")})
        assert site.kind.alarms == CONFIG_INVALID, role
        site.run(2 * HOUR + 60000)
        assert site.level() == 40 and site.report.values[7] is None


# --- settings


def named(extra):
    said = []
    for module in (lamp_fit, lamp_setup):
        module.print = lambda *words: said.append(words)
        # It is forgotten after each start.
        sys.modules[module.__name__] = module
    try:
        site = strict(extra, at=EVENING, plan=plan(), meter=Meter(), interval_s=900)
        site.run(600000)
    finally:
        del lamp_fit.print, lamp_setup.print
    assert site.kind.alarms == (CONFIG_INVALID if said else 0)
    assert len(site.report.sent) == 1
    return site, said


def test_settings_that_cannot_be_are_named_and_the_lamp_goes_on():
    for extra, name in (
        ({1: 101}, "default_level"),
        ({5: 101}, "floor"),
        ({6: 101}, "shed_floor"),
        ({7: 0}, "full_output"),
        ({7: 101}, "full_output"),
        ({8: 101}, "least_output"),
        ({9: 60000, 10: 0}, "power_gradient"),
        ({11: 86401}, "warm_up_s"),
        ({12: 10}, "category"),
        ({12: 1, 13: 1441}, "category"),
        ({15: 2}, "switched"),
        ({20: 0, 21: 101}, "clo"),
        ({20: 0, 21: 0, 22: 5, 23: 80}, "clo"),
        ({20: 0, 21: 80, 22: 0, 23: 90}, "clo"),
        ({20: 0, 21: 80, 24: 5000, 25: 90}, "clo"),
    ):
        site, said = named(extra)
        assert len(said) == 1 and said[0][:2] == ("config:", name), extra
        assert site.level() == 100 and site.kind._luminaire.light == 1000, extra


def test_settings_that_can_be_are_not():
    for extra in ({}, {1: 0, 5: 100, 7: 1, 8: 100}, {9: 60000, 10: 1}, {20: 0, 21: 80, 22: 5000, 23: 100}):
        assert named(extra)[1] == []


def test_without_a_gradient_the_usual_one_counts():
    site = Site({1: 50, 9: 60000, 10: 0}, meter=Meter())
    site.meter.power_mw = 30000
    site.run(600000)
    assert site.report.values[3] is None, "half the power at half the light"


# --- what reaches the host


def test_a_plan_that_is_refused_and_a_lost_clock_are_told():
    site = strict({1: 100}, at=EVENING, plan=JUNK)
    site.run(600000)
    assert site.report.sent[0][1][3] == BIT["program_invalid"]
    good = plan()
    site.kind.execute(PLAN, [0, len(good), good])
    site.run(700000)
    assert site.report.sent[-1][1][3] is None
    dark = strict({1: 100}, plan=plan(), interval_s=86400)
    dark.run(800000)
    assert dark.report.values[3] is None
    dark.run(1000000)
    assert dark.report.sent[-1][1][3] == BIT["clock_lost"] and dark.report.sent[-1][2]
    none = strict({1: 100})
    none.run(2 * HOUR)
    assert none.report.values[3] is None, "without a plan nobody needs the time"


def test_an_alarm_does_not_wait_for_a_ramp():
    site = strict({1: 100, 9: 60000}, meter=Meter(), interval_s=86400)
    site.run(60000)
    site.kind.execute(LIGHT, [10, 7200, 3600])
    site.run(120000)
    site.meter.voltage_mv = 270000
    site.run(HOUR)
    told = [t for t, v, a in site.report.sent if a]
    assert len(told) == 1 and told[0] <= 120000 + 91000
    assert site.kind._lamp.level != site.kind._lamp.target


def test_identify_tells_its_begin_and_its_end():
    site = strict({1: 100}, at=EVENING, plan=plan(), interval_s=86400, phase_ms=0)
    site.run(60000)
    before = len(site.report.sent)
    assert site.kind.execute(IDENTIFY, [600]) is None
    site.run(720000)
    told = [(t // 1000, v[6]) for t, v, _ in site.report.sent[before:]]
    assert told == [(60, 1), (660, 3)]


def test_identify_is_not_judged():
    site = strict({1: 100, 9: 60000}, meter=Meter(), interval_s=900)
    site.run(120000)
    site.kind.execute(IDENTIFY, [600])
    site.meter.power_mw = 45000
    site.run(700000)
    assert {v[3] for _, v, _ in site.report.sent} == {None}
    site.run(1000000)
    assert site.report.values[3] == BIT["power_low"], "afterwards it is"


def test_a_command_that_finds_no_memory_is_refused():
    class Full:
        mask = 0

        def cut(self, now, wire, level, until):
            return level, until

        def refuses(self, now, level, for_s):
            raise MemoryError

    site = strict({1: 100})
    site.run(1000)
    site.kind._law = Full()
    assert site.kind.execute(LIGHT, [50, 60, 0]) == "no_memory"
    assert site.kind.execute(RESUME, []) is None


# --- a street


def test_a_street_does_not_come_back_from_shedding_at_once():
    done = []
    for phase_ms in (0, 120000, 240000):
        site = Site({1: 100}, phase_ms=phase_ms)
        site.run(1000)
        assert site.kind.execute(SHED, [30, 3600, 60]) is None
        site.run(HOUR)
        assert site.level() == 30
        site.run(HOUR + 600000)
        at = next(t for t, p in site.out.set_ if t > HOUR and p == 1000)
        done.append(round((at - HOUR - 1000) / 1000))
    assert [abs(a - b) <= 3 for a, b in zip(done, (60, 180, 300))] == [True] * 3, done


def test_counters_of_a_switched_lamp_lose_a_quarter_of_an_hour():
    kept = {}
    writes = 0
    ms = 3 * HOUR + 50 * 60000
    for night in range(4):
        site = Site(
            {1: 100, 15: 1}, at=EVENING + night * 86400, plan=plan(level=100), meter=Meter(), kept=kept
        )
        site.run(ms)
        writes += site.copies_["use"].writes
    assert 4 * 3.74 * 3600 <= site.kind._luminaire.burn_s <= 4 * ms // 1000
    assert writes == 4 * 15
