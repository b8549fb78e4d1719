"""Bin and leak meter on their boards: what is reported, when, and what a power cut or a dead sensor leaves."""

import struct

from firmware.clock import EPOCH_GPS, Clock
from firmware.drivers.errors import BusError, NotReady
from firmware.furniture.leak import DETECTED, NONE, SUSPECTED
from firmware.kinds import bin as bin_kind
from firmware.kinds import leak as leak_kind
from tests.mpy import fakes

HOUR = 3600000


class Ranger:
    """Echoes in mm; None: no echo, an exception: raised."""

    def __init__(self):
        self.echoes = [700]
        self.on = False
        self.starts = 0

    def start(self):
        self.on = True
        self.starts += 1
        return 1000

    def read_mm(self):
        assert self.on, "read without power"
        echo = self.echoes.pop(0) if len(self.echoes) > 1 else self.echoes[0]
        if isinstance(echo, Exception):
            raise echo
        return echo

    def stop(self):
        self.on = False


class Pulses:
    """Closures so far: `flow` is a function of the milliseconds since power-up."""

    def __init__(self, time, flow):
        self.time = time
        self.flow = flow
        self.begun = time.ms
        self.count = 0

    def update(self):
        self.count = self.flow(self.time.ms - self.begun)
        return self.count


class Copies:
    """What survives: one dictionary for the life of the board."""

    def __init__(self, kept, name):
        self.kept = kept
        self.name = name
        self.writes = 0

    def read(self):
        return self.kept.get(self.name)

    def write(self, blob):
        self.writes += 1
        self.kept[self.name] = bytes(blob)
        return True


class Report:
    def __init__(self, time):
        self.time = time
        self.values = [None] * 11
        self.sent = []

    def send(self, alarm=False):
        self.sent.append((self.time.ms, list(self.values), alarm))


class Supply:
    mv = 3900

    def read_mv(self):
        if self.mv is None:
            raise BusError("supply", 0)
        return self.mv


class Site:
    def __init__(self, module, extra, interval_s=900, phase_ms=0, flow=None, kept=None, clock_at=None):
        self.time = fakes.Time(0)
        fakes.on(self.time, module)
        self.clock = Clock(self.time.ticks_ms, self.time.ticks_diff)
        if clock_at is not None:
            self.clock.set(2, EPOCH_GPS + clock_at)
        self.extra = extra
        self.interval_s = interval_s
        self._phase_ms = phase_ms
        self.ranger_ = Ranger()
        self.supply_ = Supply()
        self.flow = flow or (lambda ms: 0)
        self.kept = {} if kept is None else kept
        self.report = Report(self.time)
        self.alive_at = []
        self.kind = module.Kind(self, self, self.clock, self.report)

    def part(self, role, usual=""):
        if role == "range":
            return self.ranger_
        if role == "supply":
            return self.supply_
        assert (role, usual) == ("pulses", "contact_pulses")
        self.pulses_ = Pulses(self.time, self.flow)
        return self.pulses_

    def copies(self, name):
        self.copies_ = Copies(self.kept, name)
        return self.copies_

    def phase_ms(self, interval_ms):
        return self._phase_ms

    def run(self, until_ms):
        fakes.run(self.kind.run(lambda: self.alive_at.append(self.time.ms)), until_ms, self.time)

    def longest_silence(self):
        return max([b - a for a, b in zip([0] + self.alive_at, self.alive_at + [self.time.ms])])


# Bin


def a_bin(**how):
    return Site(bin_kind, {1: 1200, 2: 200}, **how)


def test_bin_reports_fill_once_an_interval_and_powers_its_sensor_for_that_only():
    site = a_bin(phase_ms=60000)
    site.run(HOUR)
    assert [t // 1000 for t, _, _ in site.report.sent] == [62, 962, 1862, 2762]
    assert site.report.sent[0][1][:8] == [None, None, 3900, None, 50, 700, 100, 2]
    assert site.ranger_.starts == 4 and not site.ranger_.on


def test_bin_with_a_dead_sensor_says_so_and_goes_on():
    site = a_bin()
    for echoes in ([NotReady("a02yyuw")], [BusError("a02yyuw", "sum")], [None]):
        site.ranger_.echoes = echoes
        before = len(site.report.sent)
        site.run(site.time.ms + 900000)
        assert len(site.report.sent) > before
        values = site.report.sent[-1][1]
        assert (values[4], values[5], values[6], values[7]) == (None, None, 0, None)
        assert not site.ranger_.on
    site.supply_.mv = None
    site.ranger_.echoes = [NotReady("x"), 300, None, 310, BusError("x"), 1000]
    site.run(site.time.ms + 5000)
    values = site.report.sent[-1][1]
    assert values[2] is None
    assert values[5] == 310 and values[6] == 40, "two of five echoes agree with the median"


def test_bin_that_reports_once_a_day_keeps_the_watchdog_fed():
    site = a_bin(interval_s=86400, phase_ms=80000000)
    site.run(3 * 24 * HOUR)
    assert len(site.report.sent) == 3
    assert site.longest_silence() <= 305000


def test_bin_class_keeps_its_margin_over_readings():
    site = a_bin()
    classes = []
    for mm in (825, 815, 795, 840):  # 38, 39, 41 and 36 % full
        site.ranger_.echoes = [mm]
        site.run(site.time.ms + 5000)
        classes.append(site.report.values[7])
    assert classes == [2, 2, 2, 2]
    site.ranger_.echoes = [850]  # 35 %: more than 15 from the half
    site.run(site.time.ms + 5000)
    site.ranger_.echoes = [870]
    site.run(site.time.ms + 5000)
    assert site.report.values[7] == 1


# Leak meter


def a_leak(flow=None, start=1000, litres=1, **how):
    return Site(leak_kind, {1: start, 2: litres}, flow=flow, **how)


def per_hour(litres):
    return lambda ms: ms * litres // HOUR


def test_leak_reports_each_hour_at_its_own_slot():
    site = a_leak(per_hour(36), phase_ms=300000)
    site.run(4 * HOUR)
    assert [t for t, _, _ in site.report.sent] == [HOUR * i + 300000 for i in (1, 2, 3)]
    assert [v[4] for _, v, _ in site.report.sent] == [1036, 1072, 1108]
    assert [v[5] for _, v, _ in site.report.sent] == [360, 360, 360]
    assert site.report.sent[2][1][6] == [36, 36, 36]
    assert site.longest_silence() <= 60000


def test_leak_slots_follow_the_wire_clock():
    site = a_leak(per_hour(60), clock_at=1500)  # 25 minutes past
    site.run(3 * HOUR)
    assert [t for t, _, _ in site.report.sent] == [HOUR - 1500000, 2 * HOUR - 1500000, 3 * HOUR - 1500000]
    assert [v[5] for _, v, _ in site.report.sent] == [600, 600, 600], "35 minutes have the same flow"


def test_leak_no_slot_is_shorter_than_half_an_hour():
    """A clock that is set in mid-hour, or back over the full hour, makes no short dry hour."""
    site = a_leak(per_hour(60))
    site.time.at(100000, lambda: site.clock.set(2, EPOCH_GPS + 3000))
    for hour in (2, 4):
        site.time.at(hour * HOUR + 700000, lambda: site.clock.set(2, EPOCH_GPS + site.clock.wire() - 3))
    site.run(8 * HOUR)
    ends = [t for t, _, _ in site.report.sent]
    gaps = [b - a for a, b in zip([0] + ends, ends)]
    assert min(gaps) >= HOUR // 2 and max(gaps) <= HOUR * 3 // 2
    assert len(ends) >= 7
    for _, values, _ in site.report.sent:
        assert 580 <= values[5] <= 620, "flow is per hour whatever the slot's length"
    assert site.report.values[7] == NONE


def test_leak_is_told_at_once_when_it_is_detected():
    site = a_leak(per_hour(3))
    site.run(25 * HOUR + 1)
    states = [(v[7], alarm) for _, v, alarm in site.report.sent]
    assert states[10] == (NONE, False) and states[11] == (SUSPECTED, False)
    assert states[22] == (SUSPECTED, False) and states[23] == (DETECTED, True)
    assert states[24] == (DETECTED, False)


def test_leak_sends_fewer_hours_where_they_do_not_fit():
    site = a_leak(per_hour(36))
    site.run(4 * HOUR + 1)
    seen = []
    while site.report.shorten():
        values = site.report.values
        seen.append((values[6], values[2], values[5], values[4]))
    assert seen == [
        ([36, 36, 36], 3900, 360, 1144),
        ([36, 36], 3900, 360, 1144),
        ([36], 3900, 360, 1144),
        (None, 3900, 360, 1144),
        (None, None, 360, 1144),
        (None, None, None, 1144),
    ]
    site.run(5 * HOUR + 1)
    assert site.report.values[6] == [36] * 4


def test_leak_index_survives_a_power_cut_at_any_moment():
    for cut_ms in (1, 59999, 1000000, HOUR - 1, HOUR + 1, HOUR + 599000, 5 * HOUR // 2):
        kept = {}
        rate = 2000  # litres an hour: a bath that runs over
        site = a_leak(per_hour(rate), kept=kept, phase_ms=599000)
        site.run(cut_ms)
        true = 1000 + cut_ms * rate // HOUR
        after = a_leak(kept=kept)
        after.run(HOUR + 1)
        index = after.report.values[4]
        assert index <= true
        assert true - index <= 100 + rate // 60, (cut_ms, true, index)
        again = a_leak(kept=kept)
        again.run(HOUR + 1)
        assert again.report.values[4] == index


def test_leak_is_written_seldom_when_little_flows():
    site = a_leak(per_hour(20))
    site.run(24 * HOUR + 1)
    assert site.copies_.writes == 24


def test_leak_index_of_another_installation_is_not_taken_up():
    kept = {}
    a_leak(per_hour(100), kept=kept).run(3 * HOUR + 1)
    assert struct.unpack(">II", kept["index"]) == (1000, 1300)
    swapped = a_leak(start=5, kept=kept)
    swapped.run(HOUR + 1)
    assert swapped.report.values[4] == 5
    for damaged in (b"", b"\0\0\x05\x14", bytes(9)):
        kept["index"] = damaged
        site = a_leak(kept=kept)
        site.run(HOUR + 1)
        assert site.report.values[4] == 1000


def test_leak_flows_beyond_the_field_table_are_cut_not_fatal():
    site = a_leak(per_hour(900), litres=1000, start=0x3FFFFFFF - 1000000)
    site.run(3 * HOUR + 1)
    assert [v[5] for _, v, _ in site.report.sent] == [1000000, None, 1000000]
    assert site.report.sent[0][1][6] == [100000]
    assert all([0 <= v[4] <= 0x3FFFFFFF for _, v, _ in site.report.sent]), "the register has turned over"


def test_neither_takes_commands():
    for site in (a_bin(), a_leak()):
        assert site.kind.OPS == () and not site.kind.LISTEN
        assert site.kind.execute(2, [50, 60, 0]) == "op_refused"
