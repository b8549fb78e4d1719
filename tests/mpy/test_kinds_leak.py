"""Leak meter on its board: fixed slots and what goes between them, the index over power cuts, settings refused."""

import struct

from firmware.drivers.errors import BusError, ChipError, ConfigError
from firmware.drivers.pcf8593 import PCF8593
from firmware.drivers.rope import BROKEN, DRY, SHORT, WET
from firmware.furniture.leak import DETECTED, NONE, SUSPECTED
from firmware.kinds import leak as leak_kind
from firmware.roles.report import shorten
from tests.mpy.site import HOUR, Contact, Site, Supply
from tests.mpy.test_drivers_pcf8593 import Bus

MINUTE = 60000
# Bits of the field table.
DETECTED_BIT = 2
BATTERY_LOW = 256
INVALID = 8192


class Pulses:
    """Closures so far: `flow` is a function of the milliseconds since power-up."""

    def __init__(self, flow):
        self.flow = flow
        self.time = None

    def update(self):
        return self.flow(self.time.ms - self.begun)


class Says:
    """A part that says the same until it is told otherwise; an exception is raised."""

    def __init__(self, what):
        self.what = what
        self.looks = 0

    def read(self):
        self.looks += 1
        if isinstance(self.what, Exception):
            raise self.what
        return self.what

    read_pa = read


class Leaks(Site):
    def __init__(self, flow=None, extra=None, start=1000, litres=1, parts=None, **how):
        self.supply_ = Supply()
        self.pulses_ = Pulses(flow or (lambda ms: 0))
        found = {"pulses": self.pulses_, "supply": self.supply_}
        found.update(parts or {})
        settings = {1: start, 2: litres}
        settings.update(extra or {})
        super().__init__((leak_kind,), 9, settings, found, **how)

    def part(self, role, usual=""):
        self.pulses_.time = self.time
        self.pulses_.begun = self.time.ms
        return super().part(role, usual)

    def slots(self):
        return [s for s in self.report.sent if s[1][4] is not None]

    def between(self):
        return [s for s in self.report.sent if s[1][4] is None]


def per_hour(litres):
    return lambda ms: ms * litres // HOUR


# Slots


def test_each_hour_is_told_at_its_own_slot():
    site = Leaks(per_hour(36), phase_ms=300000)
    site.run(4 * HOUR)
    assert [t for t, _, _ in site.report.sent] == [HOUR * i + 300000 for i in (1, 2, 3)]
    assert [v[4] for _, v, _ in site.report.sent] == [1036, 1072, 1108]
    assert [v[5] for _, v, _ in site.report.sent] == [360, 360, 360]
    assert site.report.sent[2][1][2:4] == [3900, 0]
    assert site.report.sent[2][1][6] == [36, 36, 36]
    assert site.longest_silence() <= MINUTE


def test_slots_follow_the_wire_clock():
    site = Leaks(per_hour(60), clock_at=1500)  # 25 minutes past
    site.run(3 * HOUR)
    assert [t for t, _, _ in site.report.sent] == [HOUR - 1500000, 2 * HOUR - 1500000, 3 * HOUR - 1500000]
    assert [v[5] for _, v, _ in site.report.sent] == [600, 600, 600], "35 minutes have the same flow"


def test_no_slot_is_shorter_than_half_an_hour():
    """A clock that is set in mid-hour, or back over the full hour, makes no short dry hour."""
    site = Leaks(per_hour(60))
    site.time.at(100000, lambda: site.clock.set(2, 1451260818 + 3000))
    for hour in (2, 4):
        site.time.at(hour * HOUR + 700000, lambda: site.clock.set(2, 1451260818 + site.clock.wire() - 3))
    site.run(8 * HOUR)
    ends = [t for t, _, _ in site.report.sent]
    gaps = [b - a for a, b in zip([0] + ends, ends)]
    assert min(gaps) >= HOUR // 2 and max(gaps) <= HOUR * 3 // 2
    assert len(ends) >= 7
    for _, values, _ in site.report.sent:
        assert 580 <= values[5] <= 620, "flow is per hour whatever the slot's length"
    assert site.report.values[7] == NONE


def test_what_flows_never_moves_a_slot_or_changes_what_is_in_it():
    """Nothing, a bath, a burst pipe, a meter that stops: the same instants and the same fields."""
    seen = set()
    for flow in (per_hour(0), per_hour(3), per_hour(900), lambda ms: min(ms, 30 * HOUR) * 50 // HOUR):
        site = Leaks(flow, phase_ms=77000, clock_at=0)
        site.run(100 * HOUR)
        assert len(site.report.sent) >= 98
        seen.add(tuple([(t, tuple([v is None for v in values[:6]])) for t, values, _ in site.report.sent]))
    assert len(seen) == 1


def test_suspected_after_a_day_detected_after_three_and_over_when_it_is_mended():
    site = Leaks(lambda ms: min(ms, 80 * HOUR) * 3 // HOUR)
    site.run(130 * HOUR + 1)
    states = [v[7] for _, v, _ in site.report.sent]
    assert states.index(SUSPECTED) == 23 and states.index(DETECTED) == 71
    assert states[79] == DETECTED and states[-1] == NONE
    assert states == sorted(states[:80]) + sorted(states[80:], reverse=True), "one episode"
    alarms = [n for n, sent in enumerate(site.report.sent) if sent[2]]
    assert alarms == [71], "signed at once, once"
    assert site.report.sent[71][1][3] & 3 == DETECTED_BIT


def test_the_night_is_the_local_one():
    """40 l/h instead of 10 from two to five, from the fifteenth night on: found in the night of that zone only."""
    for offset, zone in ((60, 60), (1440 - 240, 1440 - 240), (60, 600)):
        index = [0]
        for h in range(18 * 24):
            night = 2 <= (h + offset // 60) % 24 < 5
            index.append(index[h] + (0 if not night else 40 if h >= 14 * 24 else 10))
        site = Leaks(lambda ms, index=index: index[ms // HOUR], {3: zone}, clock_at=0)
        site.run(18 * 24 * HOUR - 1)
        suspected = [n for n, sent in enumerate(site.report.sent) if sent[1][7]]
        # Three nights of it, the first may be cut by the change; told when the night is over.
        if offset == zone:
            end = (5 - offset // 60) % 24
            assert suspected[0] in [day * 24 + end for day in (16, 17)], (offset, suspected)
        else:
            assert suspected == []


def test_without_time_the_rules_of_the_night_rest():
    for clock_at, hours in ((0, 2), (None, 0)):
        site = Leaks(per_hour(10), clock_at=clock_at)
        site.run(3 * HOUR + 1)
        assert site.kind._leak.s[23] == hours, "hours of this night: from two to four, local"


def test_a_short_carrier_loses_hours_first_and_the_index_never():
    site = Leaks(per_hour(36), parts={"pressure": Says(300000)})
    site.run(4 * HOUR + 1)
    seen = []
    while shorten(site.report.values, site.report.spare):
        values = site.report.values
        seen.append((values[6], values[2], values[8], values[5], values[4]))
    assert seen == [
        ([36, 36, 36], 3900, 300000, 360, 1144),
        ([36, 36], 3900, 300000, 360, 1144),
        ([36], 3900, 300000, 360, 1144),
        (None, 3900, 300000, 360, 1144),
        (None, None, 300000, 360, 1144),
        (None, None, None, 360, 1144),
        (None, None, None, None, 1144),
    ]
    site.run(5 * HOUR + 1)
    assert site.report.values[6] == [36] * 4


def test_flows_beyond_the_field_table_are_cut_and_impossible_ones_are_none():
    site = Leaks(per_hour(9), litres=1000, start=0x3FFFFFFF - 20000)
    site.run(3 * HOUR + 1)
    assert [v[5] for _, v, _ in site.report.sent] == [90000, 90000, None], "the register has turned over"
    assert all([0 <= v[4] <= 0x3FFFFFFF for _, v, _ in site.report.sent])
    site = Leaks(per_hour(11), litres=1000, extra={29: 20000})
    site.run(HOUR * 2 + 1)
    assert site.report.sent[1][1][5] == 110000
    site = Leaks(per_hour(11), litres=1000)
    site.run(HOUR + 1)
    assert site.report.sent[0][1][5:7] == [None, None], "no meter passes that"


# Power cuts


def test_the_index_survives_a_power_cut_at_any_moment():
    for cut_ms in (1, 59999, 1000000, HOUR - 1, HOUR + 1, HOUR + 599000, 5 * HOUR // 2):
        kept = {}
        rate = 2000  # litres an hour: a bath that runs over
        site = Leaks(per_hour(rate), kept=kept, phase_ms=599000)
        site.run(cut_ms)
        true = 1000 + cut_ms * rate // HOUR
        after = Leaks(kept=kept)
        after.run(HOUR + 1)
        index = after.report.values[4]
        assert index <= true
        assert true - index < 100 + rate // 60 + 1, (cut_ms, true, index)
        again = Leaks(kept=kept)
        again.run(HOUR + 1)
        assert again.report.values[4] == index


def test_a_falling_supply_saves_sooner():
    """The loss with a low supply is a tenth: the power will go."""
    kept = {}
    site = Leaks(per_hour(600), kept=kept)
    site.time.at(30 * MINUTE, lambda: setattr(site.supply_, "mv", 3299))
    site.run(35 * MINUTE + 5000)
    true = 1000 + 350
    index = struct.unpack(">II", kept["index"][:8])[1]
    assert true - index < 10 + 10
    assert site.copies_["index"].writes <= 3 + 6
    other = Leaks(per_hour(600), kept={})
    other.run(35 * MINUTE + 5000)
    assert other.copies_["index"].writes == 3


def test_low_supply_is_told_with_the_next_slot_and_ends_with_a_margin():
    site = Leaks()
    steps = (3300, 3299, 3399, 3400, None, 3299, None, 3400)
    for n, mv in enumerate(steps):
        site.time.at(n * HOUR + 1000, lambda mv=mv: setattr(site.supply_, "mv", mv))
    site.run(len(steps) * HOUR + 500)
    low = [v[3] & BATTERY_LOW for _, v, _ in site.report.sent]
    assert [n for n, bit in enumerate(low) if bit] == [1, 2, 5, 6]
    assert [v[2] for _, v, _ in site.report.sent] == list(steps)
    assert site.between() == []


def test_little_flow_is_written_seldom():
    site = Leaks(per_hour(20))
    site.run(24 * HOUR + 1)
    assert site.copies_["index"].writes == 24


def test_evidence_survives_with_the_index():
    """A leak of 3 l/h and a power cut each night are one episode."""
    kept = {}
    states = []
    for _ in range(4):
        site = Leaks(per_hour(3), kept=kept)
        site.run(20 * HOUR + 1000)
        states.append(site.report.sent[-1][1][7])
    assert states == [NONE, SUSPECTED, SUSPECTED, DETECTED]
    assert len(kept["index"]) <= 160


def test_an_index_of_another_installation_is_not_taken_up():
    kept = {}
    Leaks(per_hour(100), kept=kept).run(30 * HOUR + 1)
    assert struct.unpack(">II", kept["index"][:8]) == (1000, 4000)
    swapped = Leaks(start=5, kept=kept)
    swapped.run(HOUR + 1)
    assert swapped.report.values[4] == 5
    assert swapped.report.values[7] == NONE, "nor is what was suspected of the other"
    for damaged in (b"", b"\0\0\x05\x14", bytes(9)):
        kept["index"] = damaged
        site = Leaks(kept=kept)
        site.run(HOUR + 1)
        assert site.report.values[4] == 1000
    kept["index"] = struct.pack(">II", 1000, 7777)
    site = Leaks(kept=kept)
    site.run(HOUR + 1)
    assert site.report.values[4] == 7777, "a record of before, without evidence"


# A counter of its own


class Counted(Leaks):
    """A meter whose pulses a PCF8593 counts, also while the board is without power."""

    def __init__(self, bus, flow, **how):
        self.bus = bus
        self.passed = 0
        super().__init__(flow, parts={"pulses": PCF8593(bus)}, **how)
        for minute in range(1, 800):
            self.time.at(self.time.ms + minute * MINUTE - 1, self.pulse)

    def part(self, role, usual=""):
        if role == "pulses":
            return self.parts["pulses"]
        return super().part(role, usual)

    def pulse(self):
        n = self.pulses_.flow(self.time.ms)
        self.bus.pulse(n - self.passed)
        self.passed = n


def test_a_counter_of_its_own_loses_nothing_with_the_boards_power():
    bus = Bus()
    kept = {}
    site = Counted(bus, per_hour(2000), kept=kept)
    site.run(2 * HOUR + 1)
    assert [v[4] for _, v, _ in site.slots()] == [2999, 4999]
    assert site.slots()[0][1][3] == 0, "its first life is no loss"
    site.run(150 * MINUTE)
    true = 1000 + site.passed
    # Without power for a while, in which water flows: the index has it, no hour does.
    bus.pulse(777)
    after = Counted(bus, per_hour(30), kept=kept)
    after.run(HOUR + 1)
    assert after.report.values[4] == true + 777 + 29
    assert after.report.values[5] == 290 and after.report.values[3] & 4096 == 0


def test_a_counter_without_supply_is_told_and_the_index_never_falls():
    bus = Bus()
    site = Counted(bus, per_hour(60))
    site.time.at(90 * MINUTE, bus.supply)
    site.run(5 * HOUR + 1)
    assert [v[3] for _, v, _ in site.slots()] == [0, 4096, 0, 0, 0]
    told = [v[4] for _, v, _ in site.slots()]
    assert told == sorted(told) and 0 < 1000 + 60 * 5 - told[-1] <= 3
    # With the board's power, too: what was not yet in flash is gone, nothing comes twice.
    bus.supply()
    again = Counted(bus, per_hour(60), kept=site.kept)
    again.run(HOUR + 1)
    assert 0 <= again.report.values[4] - told[-1] <= 60


def test_a_counter_that_does_not_answer_is_no_dry_hour():
    bus = Bus()
    site = Counted(bus, per_hour(3))
    site.time.at(5 * HOUR + 5, lambda: setattr(bus, "fails", 10000))
    site.time.at(7 * HOUR + 5, lambda: setattr(bus, "fails", 0))
    site.run(12 * HOUR)
    during = [v for t, v, _ in site.report.sent if 5 * HOUR < t - 1 <= 7 * HOUR + 1]
    assert [(v[3], v[4]) for v in during] == [(4096, None)] * len(during) and len(during) == 2
    assert site.kind._leak.s[16] == 0, "dry hours"
    assert site.report.values[3] == 0 and site.report.values[4] == 1032


# Probe, pressure, box


def test_water_at_the_rope_is_told_at_once_with_begin_and_end_and_no_series():
    rope = Says(DRY)
    site = Leaks(per_hour(50), parts={"rope": rope}, phase_ms=300000)
    site.time.at(100 * MINUTE + 5000, lambda: setattr(rope, "what", WET))
    site.time.at(130 * MINUTE + 5000, lambda: setattr(rope, "what", DRY))
    site.run(4 * HOUR)
    between = site.between()
    assert [(t // MINUTE, v[3], a) for t, v, a in between] == [(102, 64, True), (140, 0, False)]
    for _, values, _ in between:
        assert values[4:7] == [None, None, None] and values[7] == NONE
    slots = site.slots()
    assert [t for t, _, _ in slots] == [HOUR * i + 300000 for i in (1, 2, 3)]
    assert [v[3] for _, v, _ in slots] == [0, 64, 0]
    assert [v[6] for _, v, _ in slots][2] == [50, 50, 50], "the series is whole"


def test_a_damp_rope_does_not_fill_the_air():
    rope = Says(DRY)
    site = Leaks(parts={"rope": rope})
    for minute in range(0, 600, 4):
        site.time.at(minute * MINUTE + 1000, lambda: setattr(rope, "what", WET))
        site.time.at((minute + 3) * MINUTE + 1000, lambda: setattr(rope, "what", DRY))
    site.run(10 * HOUR)
    assert len(site.between()) == 1
    once = Says(DRY)
    site = Leaks(parts={"rope": once})
    site.time.at(10 * MINUTE - 1000, lambda: setattr(once, "what", WET))
    site.time.at(10 * MINUTE + 1000, lambda: setattr(once, "what", DRY))
    site.run(50 * MINUTE)
    assert site.between() == [], "one look is no water"


def test_a_broken_or_crushed_rope_is_no_water():
    for what in (BROKEN, SHORT):
        site = Leaks(parts={"rope": Says(what)})
        site.run(50 * MINUTE)
        assert [v[3] for _, v, _ in site.between()] == [128]


def test_pressure_out_of_its_bounds_begins_and_ends():
    sender = Says(400000)
    site = Leaks(extra={5: 200000, 6: 600000}, parts={"pressure": sender})
    for minute, pa in ((10, 199999), (30, 200000), (60, 600001), (90, 600000), (110, -5000)):
        site.time.at(minute * MINUTE + 1000, lambda pa=pa: setattr(sender, "what", pa))
    site.run(119 * MINUTE)
    told = [(v[3], v[8]) for _, v, _ in site.between()]
    assert told == [(1024, 199999), (0, 200000), (2048, 600001), (0, 600000), (1024, 0)]
    quiet = Leaks(parts={"pressure": Says(0)})
    quiet.run(50 * MINUTE)
    assert quiet.between() == [], "no bounds, no alarm"


def test_a_part_that_fails_is_an_alarm_and_the_rest_goes_on():
    for parts in (
        {"rope": Says(BusError("rope", 7)), "pressure": Says(300000)},
        {"rope": Says(DRY), "pressure": Says(ChipError("pressure", "open"))},
    ):
        site = Leaks(per_hour(10), parts=parts)
        site.run(2 * HOUR + 1)
        assert [v[3] for _, v, _ in site.between()] == [4096]
        assert [v[5] for _, v, _ in site.slots()] == [100, 100]
        pa = parts["pressure"].what
        assert site.slots()[1][1][8] == (300000 if isinstance(pa, int) else None)


def test_the_box_is_opened():
    for n, closed in ((2, True), (102, False)):
        box = Contact(not closed)
        site = Leaks(extra={7: n}, parts={"contacts": [None, box, None]})
        site.time.at(10 * MINUTE + 1000, lambda box=box, closed=closed: setattr(box, "state", closed))
        site.run(50 * MINUTE)
        assert [(t // MINUTE, v[3]) for t, v, _ in site.between()] == [(12, 512)]
        assert site.kind.alarms == 0


def test_a_probe_without_a_meter():
    site = Leaks(parts={"rope": Says(WET), "pulses": None, "supply": None})
    site.run(2 * HOUR + 1)
    assert [v[3] for _, v, _ in site.report.sent] == [64, 64, 64]
    assert all([v[2] is None and v[4] is None and v[6] is None for _, v, _ in site.report.sent])


# Settings


def test_settings_that_cannot_be_are_refused_and_counting_goes_on():
    box = [Contact(), None, None]
    cases = (
        ({16: 72, 17: 24}, {}),
        ({18: 24}, {}),
        ({19: 13}, {}),
        ({16: 0}, {}),
        ({2: 0}, {}),
        ({2: 1001}, {}),
        ({5: 600000, 6: 200000}, {"pressure": Says(400000)}),
        ({7: 2}, {"contacts": box}),
        ({7: 9}, {"contacts": box}),
        ({}, {"rope": ConfigError("leak_rope", "no_pin", -1)}),
        ({}, {"rope": ImportError("no module")}),
    )
    for extra, parts in cases:
        site = Leaks(per_hour(10), extra, parts=parts)
        assert site.kind.alarms == 16, "hello says config_invalid"
        site.run(2 * HOUR + 1)
        values = site.slots()[1][1]
        assert values[3] == INVALID and values[5] == 100, extra
        assert values[7] == NONE
    for extra, parts in (({16: 12, 17: 48, 29: 20000}, {}), ({7: 1}, {"contacts": box}), ({7: 101}, {})):
        site = Leaks(extra=extra, parts=parts)
        assert site.kind.alarms == (16 if 101 in extra.values() else 0)


def test_rules_of_the_settings_hold():
    site = Leaks(per_hour(3), {16: 5, 17: 9})
    site.run(10 * HOUR + 1)
    assert [v[7] for _, v, _ in site.report.sent] == [NONE] * 4 + [SUSPECTED] * 4 + [DETECTED] * 2


def test_it_takes_no_commands():
    site = Leaks()
    assert site.kind.OPS == () and not site.kind.LISTEN
    assert site.kind.execute(2, [50, 60, 0]) == "op_refused"
