"""The lamp on its board: full unless something says otherwise, and ramps, floor and overrides as commanded."""

from firmware.clock import EPOCH_GPS, Clock
from firmware.furniture import lamp
from firmware.kinds import lamp as lamp_kind
from firmware.roles.commands import IDENTIFY, LIGHT, RAISE, RESUME
from tests.mpy import fakes

NIGHT = {1: 100, 2: 40, 3: 22 * 60, 4: 4 * 60, 5: 10}
EVENING = 20 * 3600  # wire seconds: 20:00 of the first day


class Out:
    def __init__(self, time):
        self.time = time
        self.set_ = []

    def set(self, permille):
        assert 0 <= permille <= 1000
        self.set_.append((self.time.ms, permille))


class Report:
    def __init__(self, time):
        self.time = time
        self.values = [None] * 11
        self.sent = []

    def send(self, alarm=False):
        self.sent.append((self.time.ms, list(self.values)))


class Site:
    def __init__(self, extra=None, at=None, interval_s=600, phase_ms=0):
        self.time = fakes.Time(0)
        fakes.on(self.time, lamp_kind)
        self.clock = Clock(self.time.ticks_ms, self.time.ticks_diff)
        if at is not None:
            self.clock.set(2, EPOCH_GPS + at)
        self.extra = NIGHT if extra is None else extra
        self.interval_s = interval_s
        self._phase_ms = phase_ms
        self.out = Out(self.time)
        self.report = Report(self.time)
        self.alive_at = []
        self.kind = lamp_kind.Kind(self, self, self.clock, self.report)

    def part(self, role, usual=""):
        assert (role, usual) == ("light", "dimmer")
        return self.out

    def phase_ms(self, interval_ms):
        return self._phase_ms

    def run(self, until_ms):
        # The task begins anew each time, as after a failure.
        fakes.run(self.kind.run(lambda: self.alive_at.append(self.time.ms)), until_ms, self.time)

    def level(self):
        return self.out.set_[-1][1] // 10


def test_full_from_the_first_moment_and_without_time():
    site = Site()
    assert site.out.set_ == [(0, 1000)]
    site.run(3600000)
    assert site.out.set_ == [(0, 1000)]
    assert site.report.sent[0][1][4:7] == [100, 100, lamp.DEFAULT]


def test_the_programme_dims_in_steps_of_a_per_cent_and_comes_back():
    site = Site(at=EVENING)
    site.run(2 * 3600000 - 1)
    assert site.level() == 100
    site.run(2 * 3600000 + 20000)
    assert site.level() == 40
    steps = site.out.set_[1:]
    assert [p for _, p in steps] == list(range(990, 390, -10))
    gaps = {b[0] - a[0] for a, b in zip(steps, steps[1:])}
    assert min(gaps) >= 100, "a hundred per cent take ten seconds at the least"
    site.run(8 * 3600000 + 20000)
    assert site.level() == 100


def test_light_takes_the_time_of_its_ramp_and_ends_by_itself():
    site = Site()
    site.run(1000)
    assert site.kind.execute(LIGHT, [40, 3600, 120]) is None
    site.run(125000)
    assert site.level() == 40
    steps = site.out.set_[1:]
    assert len(steps) == 60 and 116000 <= steps[-1][0] - steps[0][0] <= 124000
    site.run(3600000)
    assert site.level() == 40
    site.run(3601000 + 10000 + 7000)
    assert site.level() == 100
    back = site.out.set_[61:]
    assert back[-1][0] - back[0][0] < 7000, "back at the usual pace"
    assert site.kind.execute(LIGHT, [99, 86400, 3600]) is None
    site.run(site.time.ms + 7200000)
    assert site.level() == 99
    assert max([b - a for a, b in zip(site.alive_at, site.alive_at[1:])]) <= 10001


def test_resume_ends_an_override():
    site = Site()
    site.kind.execute(LIGHT, [10, 3600, 0])
    site.run(20000)
    assert site.level() == 10
    assert site.report.values[4:7] == [10, 10, lamp.OVERRIDE]
    site.kind.execute(RESUME, [])
    site.run(40000)
    assert site.level() == 100


def test_the_floor_holds_for_every_source():
    site = Site({1: 0, 2: 5, 3: 0, 4: 720, 5: 30}, at=EVENING)
    assert site.kind.execute(LIGHT, [29, 60, 0]) == "below_floor"
    site.run(60000)
    assert site.level() == 30
    site.run(4 * 3600000 + 60000)
    assert site.level() == 30, "the dimmed span too"
    bright = Site({1: 100, 5: 70})
    bright.run(1000)
    assert bright.kind.execute(IDENTIFY, [10]) is None
    bright.run(9000)
    assert min([p for _, p in bright.out.set_]) == 700, "identify as well"


def test_settings_out_of_range_are_full_light():
    site = Site({1: 250, 2: 1000, 3: 0, 4: 0, 5: 0})
    site.run(60000)
    assert site.out.set_ == [(0, 1000)]
    site = Site({1: 10, 5: 101})
    site.run(60000)
    assert site.level() == 100


def test_raise_only_raises():
    site = Site(at=EVENING + 3 * 3600)  # the programme says 40
    site.run(60000)
    assert site.kind.execute(RAISE, [39, 600]) == "below_programme"
    assert site.kind.execute(RAISE, [60, 600]) is None
    assert site.kind.execute(RAISE, [59, 600]) == "below_programme", "nor what is in force"
    site.run(120000)
    assert site.level() == 60
    assert site.kind.execute(LIGHT, [20, 3600, 0]) is None
    assert site.kind.execute(RAISE, [30, 600]) == "below_programme", "nor below the programme"
    site.run(180000)
    assert site.level() == 20


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
    site.kind.execute(IDENTIFY, [3600])
    site.run(22500)
    site.kind.execute(IDENTIFY, [0])
    site.run(40000)
    assert site.level() == 100
    assert site.out.set_[-1][0] < 32000


def test_reports_come_at_this_boards_place_in_the_interval():
    site = Site(phase_ms=123000)
    site.run(3600000)
    assert [round(t / 1000) for t, _ in site.report.sent] == [123 + 600 * i for i in range(6)]
    assert site.report.sent[-1][1][9] == (123 + 3000) // 360, "tenths of an hour burnt"
