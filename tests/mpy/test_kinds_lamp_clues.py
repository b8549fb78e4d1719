"""What a lamp on its board goes by without a sure time: drift, its photocell, the nights of a switched feeder."""

import struct

from firmware.clock import EPOCH_GPS, Clock
from firmware.furniture import lamp
from firmware.furniture.sun import event
from firmware.kinds.feeder import Feeder
from firmware.protocols.cbor import encode
from firmware.roles.commands import PLAN
from tests.mpy import fakes
from tests.mpy.site import Copies
from tests.mpy.test_kinds_lamp import EVENING, Eye, Site, plan
from tests.mpy.test_kinds_lamp_fault import BIT

HOUR = 3600000
DAY = 86400
NOON = 12 * 3600
LAT, LON = 474736, -5542  # Angers, as `plan` has it
FIRST = 243  # 1 September 2026


def by_cell(on=20, off=40, level=80):
    """A plan whose nights the photocell tells."""
    return encode(
        [1, "UTC0", LAT, LON, 12, 100, 0, [[[[2, on * 100, off * 100]], [[NOON, level, 0]], [], []]], [], 0]
    )


# --- drift


def test_a_time_that_nobody_confirmed_for_200_days_is_none():
    site = Site({1: 80}, at=EVENING + 3 * 3600, plan=plan(), interval_s=86400)
    site.run(60000)
    assert site.level() == 40
    for days, level in ((199, 40), (202, 80)):
        while site.time.ms < days * DAY * 1000:
            # The ticks wrap after twelve days.
            site.time.ms += DAY * 1000
            site.clock.now_ms()
        site.run(site.time.ms + 1000000)
        assert site.level() == level, days
    assert site.report.values[3] == BIT["clock_lost"] and site.report.values[6] == lamp.DEFAULT
    site.clock.set(2, EPOCH_GPS + 203 * DAY + 23 * 3600)
    site.run(site.time.ms + 120000)
    assert site.level() == 40 and site.report.values[3] is None


# --- photocell


def test_a_frozen_cell_keeps_no_street_dark():
    eye = Eye()
    eye.lux = 100
    site = Site({1: 100}, at=NOON, plan=by_cell(), photocell=eye, interval_s=86400)
    site.run(18 * HOUR)
    assert site.level() == 0 and site.report.values[3] is None
    site.run(20 * HOUR)
    assert site.level() == 80
    assert site.report.sent[-1][1][3] == BIT["photocell_failure"]
    eye.lux = 5
    site.run(21 * HOUR)
    eye.lux = 100
    site.run(22 * HOUR)
    assert site.level() == 0 and site.report.values[3] is None, "it turned: it works"


def test_a_frozen_cell_with_drop_outs_is_as_stuck():
    class Stutters(Eye):
        looks = 0

        def read_lux(self):
            self.looks += 1
            self.lux = 100 if self.looks % 100 else None
            return super().read_lux()

    site = Site({1: 100}, at=NOON, plan=by_cell(), photocell=Stutters(), interval_s=86400)
    site.run(18 * HOUR)
    assert site.report.values[3] is None
    site.run(20 * HOUR)
    assert site.level() == 80 and site.report.values[3] == BIT["photocell_failure"]


def test_a_broken_wire_is_told():
    eye = Eye()
    site = Site({1: 100}, photocell=eye)
    site.run(60000)
    assert site.level() == 0
    eye.lux = None
    site.run(180000)
    assert site.level() == 100 and site.report.values[3] == BIT["photocell_failure"]


def test_the_end_of_a_cells_table_is_light_for_every_plan():
    eye = Eye()
    eye.lux = 200
    site = Site({1: 100}, at=NOON, plan=by_cell(100, 300), photocell=eye)
    site.run(HOUR)
    assert site.level() == 0
    eye.lux = 199
    site = Site({1: 100}, at=NOON, plan=by_cell(100, 300), photocell=eye)
    site.run(HOUR)
    assert site.level() == 80


def test_without_a_plan_it_decides_with_and_without_a_time():
    for at in (None, NOON):
        eye = Eye()
        eye.lux = 100
        site = Site({1: 80}, at=at, photocell=eye)
        site.run(60000)
        assert site.level() == 0 and site.report.values[6] == lamp.SENSOR, at
        eye.lux = 36
        site.run(120000)
        assert site.level() == 0, "between the two nothing changes"
        eye.lux = 34
        site.run(180000)
        assert site.level() == 80
        eye.lux = 70
        site.run(240000)
        assert site.level() == 80
        eye.lux = 71
        site.run(300000)
        assert site.level() == 0
    eye.lux = 9
    site = Site({1: 80, 2: 10, 3: 20}, photocell=eye)
    site.run(60000)
    eye.lux = 15
    site.run(120000)
    assert site.level() == 80
    eye.lux = 21
    site.run(180000)
    assert site.level() == 0
    assert Site({1: 80, 2: 10, 3: 5}, photocell=eye).kind.alarms == 16


def test_a_plan_at_noon_does_not_light_the_street():
    eye = Eye()
    site = Site({1: 100}, at=NOON, plan=by_cell(), photocell=eye)
    site.run(125000)
    assert site.level() == 0
    first = site.out.set_[:1] + [s for s in site.out.set_ if s[0]]
    assert len(first) <= 102 and first[1][1] < 1000, "nor does a start, beyond the first moment"
    new = by_cell(level=90)
    site.time.at(130000, lambda: site.kind.execute(PLAN, [0, len(new), new]))
    before = len(site.out.set_)
    site.run(300000)
    assert site.out.set_[before:] == []
    eye.lux = 3
    site.run(400000)
    assert site.level() == 90


# --- switched feeder


def dusk(day):
    return day * DAY + event(day, LAT, LON, 0, 0)


def dawn(day):
    return (day + 1) * DAY + event(day + 1, LAT, LON, 0, 1)


class Power:
    """One power-on of a feeder: a clock that starts with it."""

    def __init__(self, kept, program=None):
        self.time = fakes.Time(0)
        self.clock = Clock(self.time.ticks_ms, self.time.ticks_diff)
        self.feeder = Feeder(Copies(kept, "feeder"), self.clock, self, plan() if program is None else program)

    def stored(self):
        return b""

    def run(self, seconds):
        end = self.time.ms + seconds * 1000
        while self.time.ms < end:
            self.found = self.feeder.time_s(self.clock.now_ms(), None)
            self.time.ms = min(end, self.time.ms + 600000)
        self.found = self.feeder.time_s(self.clock.now_ms(), None)
        return self


def known(kept, day=FIRST):
    it = Power(kept)
    it.clock.set(2, EPOCH_GPS + dusk(day))
    it.run(dawn(day) - dusk(day))


def test_sixty_nights_without_a_network():
    """The date moves on with each night, and what is declared covers what is wrong."""
    kept = {}
    known(kept)
    followed = 0
    for night in range(1, 61):
        day = FIRST + night
        it = Power(kept).run(60)
        on_s, alive_s, error_s = struct.unpack(">iii", kept["feeder"])
        assert on_s // DAY == day, "the date moves"
        assert abs(on_s - dusk(day)) <= error_s <= 60 * night + 10, night
        if it.found is not None:
            followed += 1
            assert it.found == on_s + 60
        it.run(dawn(day) - dusk(day) - 60)
        assert abs(struct.unpack(">iii", kept["feeder"])[1] - dawn(day)) <= 900 + error_s
    assert followed == 29, "half an hour of doubt, then the default level"


def test_a_fault_in_the_night_is_no_dusk():
    kept = {}
    known(kept)
    assert Power(kept).run(4 * 3600).found is not None
    # The mains fail for a moment, four hours into a night that only the night before tells of.
    assert Power(kept).run(600).found is None


def test_where_the_plan_came_by_command_it_counts_as_well():
    for given in (True, False):
        kept = {}
        site = Site({1: 100, 15: 1}, at=EVENING - 3 * 3600, plan=plan() if given else b"", kept=kept)
        if not given:
            assert site.kind.execute(PLAN, [0, len(plan()), plan()])
        site.run(9 * HOUR)
        # Two o'clock, for a moment without mains: no new dusk.
        again = Site({1: 100, 15: 1}, plan=plan() if given else b"", kept=kept)
        again.run(60000)
        assert again.kind._feeder._fallback.time_s is None and again.level() == 100


def test_without_a_position_no_night_is_told():
    kept = {}
    known(kept)
    assert Power(dict(kept)).run(0).found is not None
    assert Power(dict(kept), b"").run(0).found is None
    polar = encode([1, "UTC0", 696492, 189553, 12, 100, 0, [[[], [], [], []]], [], 0])
    summer = {"feeder": struct.pack(">iii", 170 * DAY + 61000, 171 * DAY + 61000, 0)}
    assert Power(summer, polar).run(0).found is None


def test_a_clock_that_was_wrong_at_first_spoils_nothing():
    for wrong_s in (-7200, 7200, -30 * DAY, 30 * DAY):
        kept = {}
        it = Power(kept)
        it.clock.set(2, EPOCH_GPS + dusk(FIRST) + wrong_s)
        it.run(600)
        it.clock.set(2, EPOCH_GPS + dusk(FIRST) + 600)
        it.run(dawn(FIRST) - dusk(FIRST) - 600)
        on_s, alive_s, _ = struct.unpack(">iii", kept["feeder"])
        assert on_s == dusk(FIRST) and 0 <= dawn(FIRST) - alive_s <= 900, wrong_s
        assert abs(Power(kept).run(0).found - dusk(FIRST + 1)) <= 60


def test_a_date_that_no_record_has_is_not_kept():
    for wire in (-DAY, (1 << 30) + DAY, 2843706477):
        it = Power({})
        it.clock.set(2, EPOCH_GPS + wire)
        it.run(3600)
        assert it.feeder._copies.read() is None
