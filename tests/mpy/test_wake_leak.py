"""A leak meter on a battery: wakes, slots, what is sent, the index over cuts of board, counter or both."""

import struct
from binascii import crc32

from firmware.drivers.errors import BusError, ConfigError
from firmware.drivers.pcf8593 import PCF8593
from firmware.drivers.rope import BROKEN, DRY, WET
from firmware.furniture.leak import DETECTED, NONE, RULES, SUSPECTED, Leak
from firmware.kinds import leak as leak_kind
from firmware.wake import leak_record as at
from firmware.wake import rtc
from firmware.wake.leak_record import INDEX, LEAK, LIFE, READING
from tests.mpy.meter import INVALID, MINUTE, SENSOR_FAILURE, Meter, in_flash, packed, true
from tests.mpy.site import HOUR
from tests.mpy.test_drivers_pcf8593 import Bus
from tests.mpy.test_kinds_leak import Leaks, Says, per_hour

# Slots


def test_each_hour_is_told_at_its_own_slot():
    site = Meter(per_hour(36), phase_ms=300000, clock_at=1500).run(5 * HOUR)
    assert [t for t, _, _ in site.sent] == [HOUR * i - 1500000 + 300000 for i in (1, 2, 3, 4, 5)]
    assert [v[4] for _, v, _ in site.sent] == [1000 + 36 * t // HOUR for t, _, _ in site.sent]
    assert [v[5] for _, v, _ in site.sent][1:] == [360] * 4
    assert site.sent[4][1][2:4] == [3900, 0]
    assert site.sent[4][1][6] == [36, 36, 36, 36]
    assert site.wakes == [t for t, _, _ in site.sent]


def test_a_reading_may_hold_up_to_four_hours():
    for interval_s, hours in ((3600, 1), (7200, 2), (14400, 4)):
        site = Meter(per_hour(36), interval_s=interval_s).run(25 * HOUR)
        assert [t // HOUR for t, _, _ in site.sent] == list(range(1, 26, hours))
        assert len(site.wakes) == 25
        assert [v[6] for _, v, _ in site.sent][-1] == [36] * 4
        volumes = sum([sum(v[6][:hours]) for _, v, _ in site.sent[1:]])
        assert volumes == site.sent[-1][1][4] - site.sent[0][1][4], "each hour is told"
    site = Meter(per_hour(36), interval_s=5 * 3600).run(9 * HOUR)
    assert [t // HOUR for t, _, _ in site.sent] == [1, 5, 9]
    assert site.sent[0][1][3] == INVALID, "longer than its volumes: refused by name"


def test_what_flows_never_moves_a_slot_or_changes_what_is_in_it():
    """Nothing, a bath, a burst pipe, a meter that stops: the same instants and the same fields."""
    for interval_s in (900, 14400):
        seen = set()
        for flow in (per_hour(0), per_hour(3), per_hour(900), lambda ms: min(ms, 30 * HOUR) * 50 // HOUR):
            site = Meter(flow, interval_s=interval_s, phase_ms=77000, clock_at=0).run(100 * HOUR)
            shapes = [(t, tuple([v is None for v in values[:6]])) for t, values, _ in site.sent]
            seen.add((tuple(site.wakes), tuple(shapes)))
        assert len(seen) == 1


def test_it_says_what_a_meter_that_is_awake_says():
    """The same water through both kinds: index, flow, volumes, suspicion and alarms of every hour."""

    def water(ms):
        day, rest = divmod(ms, 24 * HOUR)
        used = 180 * day + (rest - 6 * HOUR) * 180 // (16 * HOUR) if rest > 6 * HOUR else 180 * day
        return min(used, 180 * (day + 1)) + max(0, min(ms, 320 * HOUR) - 100 * HOUR) * 4 // HOUR

    awake = Leaks(water, clock_at=0)
    awake.run(500 * HOUR + 1)
    asleep = Meter(water, clock_at=0).run(500 * HOUR + 1)
    assert len(asleep.sent) == len(awake.report.sent) == 500
    assert {v[7] for _, v, _ in asleep.sent} == {NONE, SUSPECTED, DETECTED}
    for mine, other in zip(asleep.sent, awake.report.sent):
        assert mine[0] == other[0] and mine[2] == other[2]
        assert mine[1][2:9] == other[1][2:9], mine[0] // HOUR
    assert bytes(asleep.state()[LEAK]) == bytes(awake.kind._leak.s)


def test_the_calendar_may_be_off_and_slots_follow_the_wire():
    """An oscillator that is 5 % fast or slow: the hour is found again after each reading."""
    for drift in (-50, 50):
        site = Meter(per_hour(60), clock_at=0)
        site.clock.drift = drift
        site.run(200 * HOUR)
        wire = [t + t * drift // 1000 for t, _, _ in site.sent]
        for t in wire:
            assert min(t % HOUR, -t % HOUR) <= HOUR * 53 // 1000
        hours = [round((b - a) / HOUR) for a, b in zip(wire, wire[1:])]
        assert set(hours) == {1}


def test_a_clock_that_is_set_makes_no_short_hour():
    site = Meter(per_hour(60))
    site.at(100 * MINUTE, lambda: setattr(site.clock, "quality", 2))
    site.at(300 * MINUTE, lambda: setattr(site.clock, "off_ms", 25 * MINUTE))
    site.at(500 * MINUTE, lambda: setattr(site.clock, "off_ms", -20 * MINUTE))
    site.run(20 * HOUR)
    gaps = [b - a for a, b in zip([0] + site.wakes, site.wakes)]
    assert min(gaps) >= HOUR // 2 and max(gaps) <= HOUR * 3 // 2
    assert {v[5] for _, v, _ in site.sent} == {600}


def test_the_night_is_the_local_one():
    for zone, hours in ((60, 2), (600, 0)):
        site = Meter(per_hour(10), {3: zone}, clock_at=0).run(3 * HOUR + 1)
        assert struct.unpack("36i", site.state()[LEAK])[23] == hours
    site = Meter(per_hour(10)).run(3 * HOUR + 1)
    assert struct.unpack("36i", site.state()[LEAK])[23] == 0, "nobody knows the time"


# The index


def test_the_index_is_in_flash_before_it_is_told_and_at_every_hundred_pulses():
    for rate, hours, late in ((30, 4, 0), (40, 4, 6), (150, 4, 18), (150, 1, 0), (2, 4, 0)):
        site = Meter(per_hour(rate), interval_s=3600 * hours)
        site.boot()
        while len(site.wakes) < 24:
            told = len(site.sent)
            site.wake()
            index = in_flash(site)
            assert index >= (site.sent[-1][1][4] if site.sent else 0)
            assert true(site) - index < 100, "what one look brings is in it"
            if len(site.sent) > told:
                assert index == true(site) == struct.unpack(">II", site.kept["index"][:8])[1]
        assert len(site.sent) <= site.writes <= len(site.sent) + 1
        assert late - 1 <= site.nvs_writes <= late, (rate, hours, site.nvs_writes)


def test_a_full_nvs_is_tried_again():
    site = Meter(per_hour(150), interval_s=14400)
    site.nvs_full = True
    site.at(150 * MINUTE, lambda: setattr(site, "nvs_full", False))
    site.run(3 * HOUR + 1)
    assert site.nvs_writes == 2 and in_flash(site) == true(site)


def test_what_a_wake_left_in_nvs_counts_where_counter_and_rtc_memory_are_gone():
    for damage, lost in ((None, 0), ("old", 900), ("flipped", 900), ("other", 900)):
        site = Meter(per_hour(300), interval_s=14400).run(4 * HOUR)
        name = "lateowner"
        assert name in site.kept
        if damage == "flipped":
            site.kept[name] = site.kept[name][:6] + b"\x07" + site.kept[name][7:]
        elif damage == "other":
            raw = struct.pack(">IIII", 5, 9000, 1, 2)
            site.kept[name] = raw + struct.pack(">I", crc32(raw))
        elif damage == "old":
            raw = struct.pack(">IIII", 1000, 1001, 1, site.state()[LIFE])
            site.kept[name] = raw + struct.pack(">I", crc32(raw))
        cut(site, True, True)
        assert site.state()[INDEX] == 1000 + 1200 - lost, damage


def test_a_falling_supply_saves_sooner():
    site = Meter(per_hour(20), interval_s=14400)
    site.at(90 * MINUTE, lambda: setattr(site.supply, "mv", 3299))
    site.run(3 * HOUR + 1)
    assert in_flash(site) == true(site)
    other = Meter(per_hour(20), interval_s=14400).run(3 * HOUR + 1)
    assert in_flash(other) == 1020


def cut(site, rtc_too=True, counter_too=False):
    site.pulses()
    if counter_too:
        site.bus.supply()
    if rtc_too:
        site.boot()


def test_a_board_without_rtc_memory_loses_no_pulse_and_counts_none_twice():
    for rate in (3, 80, 2000):
        for moments in ((1, 2, 3), (30 * MINUTE, 61 * MINUTE, 200 * MINUTE), (HOUR, HOUR + 1, 3 * HOUR + 5)):
            site = Meter(per_hour(rate), interval_s=14400)
            for ms in moments:
                site.at(ms, lambda site=site: cut(site))
            site.run(13 * HOUR)
            told = [v[4] for _, v, _ in site.slots()]
            assert told == sorted(told) and len(told) >= 2
            for t, values, _ in site.slots():
                assert values[4] == 1000 + site.flow(t), (rate, moments)
            assert all([v[3] & SENSOR_FAILURE == 0 for _, v, _ in site.sent]), "the first start is no loss"


def test_volumes_of_a_time_nobody_looked_belong_to_no_hour():
    site = Meter(per_hour(300), interval_s=14400)
    site.at(3 * HOUR + 50 * MINUTE, lambda: cut(site))
    site.run(6 * HOUR)
    assert [v[6] for _, v, _ in site.slots()] == [[300], [300]]
    assert [v[4] for _, v, _ in site.slots()] == [1300, 2450]


def test_a_counter_without_supply_loses_what_it_had_and_no_more():
    for rtc_too in (False, True):
        site = Meter(per_hour(60), interval_s=7200)
        site.at(270 * MINUTE, lambda site=site, too=rtc_too: cut(site, too, True))
        site.run(12 * HOUR)
        told = [v[4] for _, v, _ in site.slots()]
        assert told == sorted(told)
        lost = true(site) - told[-1] - 60
        # Found lost at the start, or at the next wake; the hours after are whole.
        assert 0 <= lost <= (30 + 60 if rtc_too else 60)
        assert [b - a for a, b in zip(told, told[1:])][-2:] == [120, 120]
        alarms = [v[3] for _, v, _ in site.sent]
        assert SENSOR_FAILURE in alarms and alarms[-1] == 0
        assert site.bus.total() > 0 and site.bus.d[0] & 0xFC == 0x20


def test_nothing_is_counted_twice_however_the_cuts_fall():
    """Board, counter or both go at every possible wake, and flash is cut off while a life begins."""
    for n in range(40):
        site = Meter(per_hour(47), interval_s=14400)
        for i in range(6):
            ms = (n * 7919 + i * 104729) % 700 * MINUTE + 1
            site.at(ms, lambda site=site, i=i + n: cut(site, i % 3 != 1, i % 3 != 0))
        site.run(24 * HOUR)
        told = [v[4] for _, v, _ in site.slots()]
        assert told == sorted(told), n
        assert told[-1] <= true(site)
        index = struct.unpack(">II", site.kept["index"][:8])[1]
        assert told[-1] <= index


def test_a_counter_of_another_meter_brings_none_of_its_pulses():
    site = Meter(per_hour(60)).run(2 * HOUR)
    other = Bus()
    PCF8593(other).begin(4711)
    other.pulse(500000)
    site.bus = other
    site.run(5 * HOUR)
    told = [v[4] for _, v, _ in site.slots()]
    assert told[-1] <= true(site) and told[-1] > 1120
    assert SENSOR_FAILURE in [v[3] for _, v, _ in site.sent]


def test_a_count_that_fell_is_no_volume():
    site = Meter(per_hour(60)).run(3 * HOUR)

    def fall():
        site.bus.d[1:4] = b"\x05\x00\x00"

    site.at(3 * HOUR + 1, fall)
    site.run(8 * HOUR)
    told = [v[4] for _, v, _ in site.slots()]
    assert told == sorted(told) and told[-1] - told[2] <= 5 * 60
    assert max([v[5] or 0 for _, v, _ in site.sent]) <= 600
    assert SENSOR_FAILURE in [v[3] for _, v, _ in site.sent] and site.sent[-1][1][3] == 0


def test_the_counter_turns_over_and_the_index_goes_on():
    site = Meter(per_hour(1000), litres=10, extra={29: 20000})
    site.boot()
    site.bus.d[1:4] = b"\x98\x99\x99"
    state = rtc.unpack(site.memory)
    state[rtc.STATE][READING] = 999998
    site.memory = packed(state)
    site.run(3 * HOUR)
    assert [v[4] for _, v, _ in site.sent] == [11000, 21000, 31000]
    assert [v[5] for _, v, _ in site.sent] == [100000] * 3


def test_a_dead_bus_is_an_alarm_and_no_dry_hour():
    site = Meter(per_hour(3), interval_s=3600)
    site.at(30 * HOUR + 1, lambda: setattr(site.bus, "fails", 1000))
    site.at(33 * HOUR + 1, lambda: setattr(site.bus, "fails", 0))
    site.run(60 * HOUR)
    during = [v for t, v, _ in site.sent if 30 * HOUR < t <= 33 * HOUR]
    assert [v[3] for v in during] == [SENSOR_FAILURE | 1] * 3
    assert [v[4] for v in during] == [None] * 3
    assert site.sent[30][2], "signed at once"
    assert site.sent[-1][1][7] == SUSPECTED and site.sent[-1][1][3] == 1
    assert site.sent[-1][1][4] == true(site), "it counted on"
    # One transfer that fails is asked for again.
    site = Meter(per_hour(3))
    site.boot()
    site.bus.fails = 1
    site.wake()
    assert site.sent[0][1][3:5] == [0, 1003]


# Rope and pressure


def test_rope_and_pressure_are_looked_at_between_the_slots():
    rope = Says(DRY)
    site = Meter(per_hour(50), parts={"rope": rope}, interval_s=900)
    site.at(100 * MINUTE, lambda: setattr(rope, "what", WET))
    site.at(160 * MINUTE, lambda: setattr(rope, "what", DRY))
    site.run(6 * HOUR)
    assert site.wakes == [15 * MINUTE * i for i in range(1, 25)]
    told = [(t // MINUTE, v[3], a) for t, v, a in site.between()]
    assert told == [(105, 64, True), (195, 0, False)], "three dry looks end it"
    for _, values, _ in site.between():
        assert values[4:7] == [None, None, None]
    assert [t // HOUR for t, _, _ in site.slots()] == [1, 2, 3, 4, 5, 6]
    assert site.slots()[5][1][6] == [50, 50, 50, 50], "the series is whole"


def test_one_look_is_no_water():
    rope = Says(DRY)
    answers = []
    rope.read = lambda: answers.pop(0) if answers else DRY
    site = Meter(parts={"rope": rope})
    for minute in (20, 50, 80):
        site.at(minute * MINUTE, lambda: answers.append(WET))
    site.run(3 * HOUR)
    assert site.between() == []
    site = Meter(parts={"rope": Says(BROKEN)}).run(HOUR // 2)
    assert [v[3] for _, v, _ in site.between()] == [128]


def test_pressure_out_of_its_bounds_and_a_sender_that_fails():
    sender = Says(400000)
    site = Meter(extra={5: 200000, 6: 600000}, parts={"pressure": sender})
    for minute, pa in ((20, 199999), (80, 300000), (140, 600001), (200, -5000)):
        site.at(minute * MINUTE, lambda pa=pa: setattr(sender, "what", pa))
    site.at(230 * MINUTE, lambda: setattr(sender, "what", BusError("ads1115", 5)))
    site.run(5 * HOUR)
    told = [(t // MINUTE, v[3], v[8]) for t, v, _ in site.between()]
    assert told == [(30, 1024, 199999), (150, 2048, 600001), (210, 3072, 0)]
    assert site.slots()[1][1][3] == 0, "three looks end it, the third is a slot"
    assert site.sent[-1][1][3] & SENSOR_FAILURE and site.sent[-1][1][8] is None


# Settings


def test_what_cannot_be_on_a_battery_is_refused_by_name():
    cases = (
        {"extra": {16: 72, 17: 24}},
        {"extra": {2: 0}},
        {"extra": {5: 600000, 6: 200000}, "parts": {"pressure": Says(300000)}},
        {"extra": {7: 1}},
        {"parts": {"contacts": []}},
        {"parts": {"temperature": None}},
        {"parts": {"rope": ConfigError("leak_rope", "no_pin", -1)}},
        {"interval_s": 86400},
    )
    for how in cases:
        site = Meter(per_hour(10), **how).run(4 * HOUR + 1)
        assert site.sent[0][1][3] == INVALID, how
        assert site.sent[0][1][4:6] == [1010, 100]
    site = Meter(per_hour(10))
    site.parts = []
    site.run(4 * HOUR + 1)
    assert [v[3:6] for _, v, _ in site.sent] == [[INVALID, None, None]] * 4, (
        "interrupts do not count in sleep"
    )


def test_what_it_is_set_to_stands_where_the_wakes_look_for_it():
    """The lists are written in a row and read by the names of leak_record.py."""
    told = {2: 5, 3: -30, 4: 3400, 5: 200000, 6: 600000}
    told.update({16 + i: n for i, n in enumerate(RULES[:2] + (3,))})
    site = Meter(extra=told, start=70, interval_s=7200, parts={"rope": Says(DRY), "pressure": Says(300000)})
    site.boot()
    record = rtc.unpack(site.memory)
    fit, state = record[rtc.FIT], record[rtc.STATE]
    assert [fit[rtc.OWNER], fit[rtc.INTERVAL]] == ["owner", HOUR]
    names = [fit[i] for i in (at.COUNTER, at.SUPPLY, at.ROPE, at.PRESSURE)]
    assert names == ["pcf8593", "supply", "rope", "pressure"]
    assert fit[at.RULES] == list(RULES[:2] + (3,) + RULES[3:])
    assert [fit[i] for i in (at.LITRES, at.ZONE_S, at.LOW_MV, at.LEAST_PA)] == [5, -1800, 3400, 200000]
    assert [fit[i] for i in (at.MOST_PA, at.HOURS, at.SET)] == [600000, 2, 70] and len(fit) == at.SET + 1
    assert bytes(state[LEAK]) == bytes(Leak(70, fit[at.RULES], None).s)
    assert [state[i] for i in (at.TOLD, at.MASK, INDEX, at.HOUR_AT, READING, at.NEW)] == [0, 0, 70, 70, 0, 0]
    assert state[LIFE] > 0 and [state[i] for i in (at.DUE, at.CLOSED)] == [HOUR, 0]
    assert [state[i] for i in (at.HOURLY, at.FLOW, at.LEFT, at.LOOKS)] == [[], -1, 1, [0] * 7]
    assert [state[i] for i in (at.LOST, at.ALARMS)] == [0, 0] and len(state) == at.ALARMS + 1


def test_an_index_of_another_installation_is_not_taken_up():
    site = Meter(per_hour(100)).run(5 * HOUR)
    swapped = Meter(per_hour(100), start=5)
    swapped.kept = site.kept
    swapped.bus = site.bus
    swapped.run(HOUR)
    assert swapped.sent[0][1][4] == 105
    # A record of before there were counters.
    old = Meter(per_hour(100))
    old.kept["index"] = struct.pack(">II", 1000, 7777) + bytes(144)
    old.run(HOUR)
    assert old.sent[0][1][4] == 7877 and old.sent[0][1][3] == 0


def test_the_record_is_that_of_a_meter_that_is_awake():
    site = Meter(per_hour(50)).run(30 * HOUR)
    awake = Leaks(kept=site.kept, parts={"pulses": PCF8593(site.bus)})
    site.bus.pulse(7)
    awake.run(HOUR + 1)
    assert awake.report.values[4] == 1000 + 30 * 50 + 7
    assert awake.report.values[7] == SUSPECTED and awake.report.values[3] == 1
    assert isinstance(awake.kind, leak_kind.Kind)
    site.bus.pulse(9)
    back = Meter(lambda ms: 0)
    back.kept, back.bus = site.kept, site.bus
    back.run(HOUR)
    assert back.sent[0][1][4] == 1000 + 30 * 50 + 16
