"""The lamp on its board: full unless something says otherwise; plan, floor, overrides, measurement and reports."""

import struct

from firmware.drivers.errors import BusError
from firmware.furniture import lamp
from firmware.kinds import lamp as lamp_kind
from firmware.kinds import lamp_inputs
from firmware.protocols.cbor import encode
from firmware.roles.commands import IDENTIFY, LIGHT, PLAN, RAISE, RESUME, SHED
from firmware.roles.report import shorten
from tests.mpy import fakes
from tests.mpy.site import Site as Board

EVENING = 20 * 3600  # wire seconds: 20:00 of the first day


def plan(level=40, ramp_s=0, zone="UTC0"):
    """Full from 04:00, `level` from 22:00; lighting days from noon to noon."""
    program = [[], [[79200, level, ramp_s], [14400, 100, ramp_s]], [], []]
    return encode([1, zone, 474736, -5542, 12, 100, 0, [program], [], 0])


class Out:
    def __init__(self, time):
        self.time = time
        self.set_ = []

    def set(self, permille):
        assert 0 <= permille <= 1000
        self.set_.append((self.time.ms, permille))


class Gear(Out):
    bits = 4

    def status(self):
        if self.bits is None:
            raise BusError("dali", "no reply")
        return self.bits


class Meter:
    power_mw = 60000
    voltage_mv = 230000
    dead = False

    def read(self):
        if self.dead:
            raise BusError("bl0942", "timeout")


class Site(Board):
    """parts: role -> part or an exception to be raised."""

    def __init__(
        self,
        extra=None,
        at=None,
        interval_s=600,
        phase_ms=0,
        plan=b"",
        meter=None,
        kept=None,
        out=Out,
        time=None,
        **parts,
    ):
        time = time or fakes.Time(0)
        self.plan = plan
        self.out = out and out(time)
        self.meter = meter
        found = {"light": self.out, "energy": meter}
        for role, part in parts.items():
            found[role.replace("_", "-")] = part
        settings = {1: 100, 5: 10} if extra is None else extra
        modules = lamp_kind, lamp_inputs
        super().__init__(modules, 13, settings, found, interval_s, phase_ms, kept, at, time)
        # As the task does, first of all.
        self.kind.fit()

    def part(self, role, usual=""):
        assert usual == ("dimmer" if role == "light" else "")
        return super().part(role, usual)

    def level(self):
        return self.out.set_[-1][1] // 10


def test_full_from_the_first_moment_and_without_time():
    site = Site(plan=plan())
    assert site.out.set_ == [(0, 1000)]
    site.run(3600000)
    assert site.out.set_ == [(0, 1000)]
    assert site.report.sent[0][1][4:7] == [100, 100, lamp.DEFAULT]


def test_the_plan_dims_at_its_second_and_comes_back():
    site = Site(at=EVENING, plan=plan())
    site.run(2 * 3600000 - 1)
    assert site.level() == 100
    site.run(2 * 3600000 + 20000)
    assert site.level() == 40
    steps = site.out.set_[1:]
    assert 0 <= steps[0][0] - 2 * 3600000 <= 1000
    assert all([a[1] > b[1] for a, b in zip(steps, steps[1:])]), "no step back on the way"
    assert 10000 * 6 // 10 <= steps[-1][0] - steps[0][0] + 1000 <= 12000, "no fall is faster than ten seconds"
    site.run(8 * 3600000 + 20000)
    assert site.level() == 100
    assert site.report.values[4:7] == [100, 100, lamp.PROGRAM]


def test_a_plan_that_comes_by_command_holds_and_survives():
    site = Site(at=EVENING + 3 * 3600, plan=plan())
    site.run(60000)
    assert site.level() == 40
    before = site.kind.plan
    new = plan(level=25)
    assert site.kind.execute(PLAN, [0, len(new), new[:20]]) is None
    answer = site.kind.execute(PLAN, [20, len(new), new[20:]])
    assert answer == site.kind.plan and len(answer) == 8 and answer != before
    site.run(120000)
    assert site.level() == 25
    bad = plan(zone="nowhere")
    assert site.kind.execute(PLAN, [0, len(bad), bad]) == "plan_zone"
    again = Site(at=EVENING + 3 * 3600, plan=plan(), kept=site.kept)
    again.run(60000)
    assert again.level() == 25 and again.kind.plan == answer


def test_light_takes_the_time_of_its_ramp_and_ends_by_itself():
    site = Site()
    site.run(1000)
    assert site.kind.execute(LIGHT, [40, 3600, 120]) is None
    site.run(125000)
    assert site.level() == 40
    steps = site.out.set_[1:]
    assert 116000 <= steps[-1][0] - steps[0][0] <= 124000
    site.run(3600000)
    assert site.level() == 40
    site.run(3601000 + 60000)
    assert 68 <= site.level() <= 71, "back by the same ramp"
    site.run(3601000 + 125000)
    assert site.level() == 100
    assert site.kind.execute(LIGHT, [99, 86400, 3600]) is None
    site.run(site.time.ms + 7200000)
    assert site.level() == 99
    assert site.longest_silence() <= 10001


def test_resume_ends_an_override():
    site = Site()
    site.kind.execute(LIGHT, [10, 3600, 0])
    site.run(20000)
    assert site.level() == 10
    assert site.report.values[4:7] == [10, 10, lamp.OVERRIDE]
    site.kind.execute(RESUME, [])
    site.run(40000)
    assert site.level() == 100


def test_shedding_is_a_ceiling_with_a_floor_of_its_own():
    site = Site({1: 100, 5: 10, 6: 50}, at=EVENING, plan=plan())
    assert site.kind.execute(SHED, [30, 7200, 60]) is None
    site.run(600000)
    assert site.level() == 50, "a crossing keeps more"
    site.run(2 * 3600000 + 90000)
    assert site.level() == 40, "the plan may ask for less"
    assert site.kind.execute(SHED, [30, 86400, 60]) == "ttl"


def test_the_floor_holds_for_every_source():
    site = Site({1: 0, 5: 30}, at=EVENING, plan=plan(level=5))
    assert site.kind.execute(LIGHT, [29, 60, 0]) == "below_floor"
    site.run(2 * 3600000 + 60000)
    assert site.level() == 30, "of the plan"
    bright = Site({1: 100, 5: 70})
    bright.run(1000)
    assert bright.kind.execute(IDENTIFY, [10]) is None
    bright.run(9000)
    assert min([p for _, p in bright.out.set_]) == 700, "identify as well"


def test_settings_out_of_range_are_full_light():
    site = Site({1: 250, 5: 0, 7: 0, 8: 900, 20: 0, 21: 500})
    site.run(60000)
    assert site.out.set_ == [(0, 1000)]
    site = Site({1: 10, 5: 101})
    site.run(60000)
    assert site.level() == 100


def test_virtual_output_and_constant_light_reach_the_output():
    site = Site({1: 100, 7: 90, 20: 0, 21: 80, 22: 5000, 23: 85})
    site.run(60000)
    assert site.out.set_[-1][1] == 720
    assert site.report.values[4] == 72 and site.report.values[5] == 100


def test_raise_only_raises():
    site = Site(at=EVENING + 3 * 3600, plan=plan())  # the plan says 40
    site.run(60000)
    assert site.kind.execute(RAISE, [39, 600]) == "below_programme"
    assert site.kind.execute(RAISE, [60, 600]) is None
    site.run(120000)
    assert site.level() == 60


def test_identify_blinks_between_half_and_full_and_ends():
    site = Site()
    site.run(1000)
    assert site.kind.execute(IDENTIFY, [6]) is None
    site.run(8000)
    levels = [p for _, p in site.out.set_[1:]]
    assert levels[:6] == [500, 1000] * 3
    assert set(levels) <= set(range(500, 1001))
    site.run(20000)
    assert site.level() == 100


def test_reports_come_at_this_boards_place_in_the_interval():
    site = Site(phase_ms=123000)
    site.run(3600000)
    assert [round(t / 1000) for t, _, _ in site.report.sent] == [123 + 600 * i for i in range(6)]
    assert site.report.sent[-1][1][9] == (123 + 3000) // 360, "tenths of an hour burnt"


def test_a_change_is_reported_soon_and_spread():
    site = Site(at=EVENING, plan=plan(), interval_s=3600, phase_ms=45000)
    site.run(2 * 3600000 + 200000)
    times = [t // 1000 for t, _, _ in site.report.sent]
    assert times[:2] == [45, 3645]
    assert 7200 + 45 <= times[2] <= 7200 + 45 + 12
    assert site.report.sent[-1][1][4] == 40


def test_use_is_measured_and_survives_a_restart():
    kept = {}
    site = Site(meter=Meter(), kept=kept)
    site.run(3 * 3600000 + 1000)
    values = site.report.values
    assert values[7] == 600 and values[2] == 230000
    assert abs(values[8] - 180) <= 1, "60 W for three hours, less the first half minute"
    burn, energy, switches = struct.unpack(">III", kept["use"])
    assert abs(burn - 10800) <= 3600 and abs(energy - 180) <= 60 and switches == 1
    again = Site(meter=Meter(), kept=kept)
    again.run(60000)
    assert again.report.values[8] >= energy and again.report.values[9] >= burn // 360


def test_a_dead_meter_leaves_its_fields_out_and_the_lamp_goes_on():
    site = Site(at=EVENING, plan=plan(), meter=Meter())
    site.meter.dead = True
    site.run(2 * 3600000 + 60000)
    assert site.level() == 40
    assert site.report.values[7] is None and site.report.values[2] is None


def test_a_failed_lamp_is_told_at_once_and_once():
    site = Site({1: 100, 5: 10, 9: 60000}, meter=Meter(), interval_s=3600, phase_ms=0)
    site.run(600000)
    assert [a for _, _, a in site.report.sent] == [False]
    site.meter.power_mw = 900
    site.run(1200000)
    alarms = [(t, v[3]) for t, v, a in site.report.sent if a]
    assert len(alarms) == 1 and alarms[0][1] & 1
    assert alarms[0][0] - 600000 <= 180000
    site.meter.power_mw = 60000
    site.run(2400000)
    assert site.report.sent[-1][1][3] is None, "the end is told, too"


def test_a_silent_gear_is_an_alarm():
    site = Site({1: 100, 5: 10, 9: 60000}, out=Gear, meter=Meter())
    site.run(600000)
    assert site.report.values[3] is None
    site.out.bits = None
    site.run(1200000)
    assert site.report.values[3] == 32


def test_a_gear_is_told_its_level_again_and_again():
    site = Site(out=Gear)
    site.run(1000)
    site.kind.execute(LIGHT, [40, 3600, 0])
    site.run(600000)
    later = [(t, p) for t, p in site.out.set_ if t > 60000]
    assert {p for _, p in later} == {400} and 12 <= len(later) <= 20
    dimmer = Site()
    dimmer.run(600000)
    assert dimmer.out.set_ == [(0, 1000)]


def test_the_law_refuses_light_on_an_advertisement_at_night():
    site = Site({1: 100, 5: 10, 12: 9}, at=EVENING, plan=plan())
    assert site.kind.execute(LIGHT, [100, 3600, 0]) is None
    assert site.kind.execute(LIGHT, [100, 6 * 3600, 0]) == "guard", "reaches beyond one o'clock"
    assert site.kind.execute(LIGHT, [50, 4 * 3600, 0]) is None
    road = Site({1: 100, 5: 10}, at=EVENING, plan=plan())
    assert road.kind.execute(LIGHT, [100, 12 * 3600, 0]) is None


def test_a_switched_feeder_finds_its_night_without_a_clock():
    kept = {}
    first = Site({1: 100, 5: 10, 15: 1}, at=EVENING - 3 * 3600, plan=plan(), kept=kept)
    first.run(15 * 3600000 + 1200000)
    assert "feeder" in kept
    second = Site({1: 100, 5: 10, 15: 1}, plan=plan(), kept=kept)
    second.run(4 * 3600000)
    assert second.level() == 100
    second.run(6 * 3600000)
    assert second.level() == 40, "five hours after the power came, as the evening before"
    assert second.clock.quality == 0


class Eye:
    lux = 100
    most = 200

    def read_lux(self):
        if self.lux is None:
            raise BusError("photocell", "open")
        return self.lux


def test_a_photocell_decides_without_a_time_and_never_when_it_is_broken():
    eye = Eye()
    site = Site({1: 80, 5: 10}, photocell=eye)
    site.run(120000)
    assert site.level() == 0 and site.report.values[6] == lamp.SENSOR
    eye.lux = 3
    site.run(240000)
    assert site.level() == 80
    eye.lux = None
    site.run(400000)
    assert site.level() == 80 and site.report.values[6] == lamp.DEFAULT
    eye.lux = 200
    site.run(500000)
    assert site.level() == 0
    site.run(500000 + 20 * 3600000)
    assert site.level() == 80, "no day is so long: it is broken"


def test_a_slow_cell_gets_the_level_and_leaves_counters_out():
    site = Site(meter=Meter())
    site.run(3600000)
    values = site.report.values
    assert values[8] is not None and values[9] is not None and values[12] is not None
    steps = 0
    while shorten(site.report.values, site.report.spare):
        steps += 1
    assert steps == 4 and [values[k] for k in (2, 8, 9, 12)] == [None] * 4
    assert values[4:8] == [100, 100, lamp.DEFAULT, 600]
