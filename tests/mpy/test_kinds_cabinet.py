"""The cabinet on its board: the contactor follows its plan, a broken part costs its own fields, alarms once."""

import struct

from firmware.clock import EPOCH_GPS, Clock
from firmware.drivers.errors import BusError, ChipError, NotReady
from firmware.furniture.cabinet import DEFAULT, LOCAL, OVERRIDE, PROGRAM
from firmware.kinds import cabinet as cabinet_kind
from firmware.protocols.schema import cabinet as rows
from firmware.roles.commands import IDENTIFY, LIGHT, PLAN, RAISE, RESUME, SHED
from firmware.roles.report import shorten
from tests.mpy import fakes, plans

BIT = {name: bit for bit, name, _, _ in rows.ALARMS}
KEY = {row[1]: row[0] for row in rows.ROWS}
MIN = 60000
HOUR = 3600000
EVENING = plans.wire(1, 20, 15)  # 15:00 UTC
DOOR, BREAKER, CLOSED = range(3)  # the usual contacts
REAL = cabinet_kind.Programme
PLACE = plans.blob([plans.prog(periods=[[1, 0, 0]])])  # from sunset to sunrise in Angers


class Programme:
    """On in [begin, end) of each day's wire seconds; None without a time, as the real one."""

    def __init__(self, given, copies, clock):
        assert copies == ("plan", 720)
        self.hash = given or None
        self.night = None
        self.span = (16 * 3600, 4 * 3600)
        self.parts = []

    def look(self, wire_s):
        if wire_s is None or not self.hash:
            return None, 0, 0, None
        s = wire_s % 86400
        begin, end = self.span
        on = begin <= s or s < end
        until = end if on else begin
        return 100 if on else 0, 0, PROGRAM, wire_s + (until - s) % 86400

    def stored(self):
        return PLACE

    def execute(self, args):
        self.parts.append(args)
        return b"12345678" if len(self.parts) > 1 else None


class Contactor:
    """`stuck`: what its feedback says whatever the coil does."""

    def __init__(self, time):
        self.time = time
        self.on = True
        self.stuck = None
        self.busy_until = 0
        self.set_ = []

    def set(self, on):
        if self.time.ms < self.busy_until:
            raise NotReady("relay", self.busy_until - self.time.ms)
        assert on is not self.on or not self.set_, "told once"
        self.on = on
        self.set_.append((self.time.ms, on))

    @property
    def closed(self):
        return self.on if self.stuck is None else self.stuck


class Contact:
    def __init__(self, state):
        self.state = state  # a value or a function
        self.looks = 0

    def update(self):
        self.looks += 1
        return self.state() if callable(self.state) else self.state


class Meter:
    def __init__(self, site):
        self.site = site
        self.dead = False
        self.reads = 0
        self.mv = [230000, 231000, 229000]
        self.lit_mw = [1500000, 1000400, 500600]
        self.wh = 1000

    def read(self):
        self.reads += 1
        if self.dead:
            raise BusError("modbus", "timeout")
        live = self.site.contactor_.closed
        self.phase_mv = self.mv
        self.phase_mw = self.lit_mw if live else [5000, 0, 0]
        self.power_mw = sum([x or 0 for x in self.phase_mw])
        self.energy_mwh = self.wh * 1000 + 999
        self.voltage_mv = 0  # the mean: nobody asks for it


class Cell:
    def __init__(self):
        self.lux = 500

    def read_lux(self):
        if self.lux is None:
            raise ChipError("photocell", "open")
        return self.lux


class Report:
    def __init__(self, time):
        self.time = time
        self.values = [None] * 19
        self.sent = []

    def send(self, alarm=False):
        self.sent.append((self.time.ms, list(self.values), alarm))


class Copies:
    def __init__(self, kept, name):
        self.kept = kept
        self.name = name

    def read(self):
        return self.kept.get(self.name)

    def write(self, blob):
        self.kept[self.name] = bytes(blob)
        self.kept["writes"] = self.kept.get("writes", 0) + 1
        return True


class Site:
    """Everything fitted, but what `without` names."""

    def __init__(
        self,
        extra=None,
        at=EVENING,
        plan=b"plan",
        without=(),
        interval_s=900,
        kept=None,
        real=False,
        phase_ms=0,
    ):
        self.time = fakes.Time(0)
        cabinet_kind.Programme = REAL if real else Programme
        fakes.on(self.time, cabinet_kind)
        self.clock = Clock(self.time.ticks_ms, self.time.ticks_diff)
        if at is not None:
            self.clock.set(2, EPOCH_GPS + at)
        self.extra = extra or {}
        self.plan = plan
        self.interval_s = interval_s
        self._phase_ms = phase_ms
        self.without = without
        self.real = real
        self.contactor_ = Contactor(self.time)
        self.meter_ = Meter(self)
        self.cell_ = Cell()
        # The door's contact is closed while it is shut.
        self.contacts_ = [Contact(True), Contact(False), Contact(lambda: self.contactor_.closed)]
        self.report = Report(self.time)
        self.kept = {} if kept is None else kept
        self.silence = self.heard = 0
        self.kind = cabinet_kind.Kind(self, self, self.clock, self.report)

    def part(self, role, usual=""):
        fitted = {
            "contactor": ("relay", self.contactor_),
            "contacts": ("contacts", self.contacts_),
            "energy": ("modbus_meter", self.meter_),
            "photocell": ("", self.cell_),
        }
        name, part = fitted[role]
        assert usual == name
        return None if role in self.without else part

    def copies(self, name, size=96):
        if name == "plan" and not self.real:
            return (name, size)
        return Copies(self.kept, name)

    def phase_ms(self, interval_ms):
        return self._phase_ms

    def run(self, ms):
        fakes.run(self.kind.run(self.alive), self.time.ms + ms, self.time)
        return self

    def alive(self):
        self.silence = max(self.silence, self.time.ms - self.heard)
        self.heard = self.time.ms

    def value(self, name):
        return self.report.values[KEY[name]]

    def alarms(self):
        return {name for name in BIT if self.report.values[3] >> BIT[name] & 1}

    def told(self):
        """(ms, names of the alarms) of each report that was sent at once for one."""
        return [
            (t, {name for name in BIT if values[3] >> BIT[name] & 1})
            for t, values, alarm in self.report.sent
            if alarm
        ]

    def episodes(self, name):
        """[begins, ends] that the reports tell of an alarm."""
        seen = [values[3] >> BIT[name] & 1 for _, values, _ in self.report.sent]
        steps = [b - a for a, b in zip([0] + seen, seen)]
        return [steps.count(1), steps.count(-1)]


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
    assert 0 < site.silence <= 10100


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


def test_commands():
    site = Site(without=("photocell",)).run(MIN)
    kind = site.kind
    assert kind.OPS == (LIGHT, RESUME, PLAN)
    assert not {IDENTIFY, RAISE, SHED} & set(kind.OPS), "what a contactor cannot do is refused before"
    assert kind.execute(LIGHT, [50, 600, 0]) == "op_args"
    assert kind.execute(LIGHT, [100, 0, 0]) == "ttl"
    assert kind.execute(LIGHT, [100, 600, 0]) is None
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
    Site(kept=kept, without=("photocell",)).run(24 * HOUR)
    burn, switches, wh = struct.unpack(">III", kept["use"])
    assert (switches, wh) == (1, 1000) and 42000 <= burn <= 43200
    assert kept["writes"] <= 26
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
