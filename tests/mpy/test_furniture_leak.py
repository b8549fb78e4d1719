"""Leak rules; expected values from the rules' texts, the published vectors of LeakDB and i2O, or by hand."""

from array import array

from firmware.furniture import leak
from firmware.protocols.cbor import WireError
from tests.mpy.support import raises

HOUR = 3600000
SUSPECTED_BIT = 1
DETECTED_BIT = 2
BACK = 4
BLOCKED = 8
HIGH = 32


class Meter:
    """A meter read once an hour from midnight on."""

    def __init__(self, index=1000, rules=leak.RULES):
        self.it = leak.Leak(index, rules)
        self.index = index
        self.hours = 0

    def use(self, litres, ms=HOUR):
        self.index += litres
        self.it.hour(self.index, ms, self.hours % 24)
        self.hours += 1
        return self.it

    def day(self, litres, night=0):
        """24 hours of `litres` each, from midnight; `night` in the hours 2 to 4."""
        for h in range(24):
            self.use(night if 2 <= h < 5 else litres)
        return self.it


def test_hours_are_newest_first_and_bounded():
    it = leak.Leak(1000)
    for index in (1010, 1030, 1030, 1035, 1040):
        it.hour(index)
    assert it.hourly == [5, 5, 0, 20]
    assert it.flow_dlh == 50


def test_flow_is_per_hour_whatever_the_slot():
    it = leak.Leak(0)
    it.hour(30, HOUR // 2)
    assert it.flow_dlh == 600
    it.hour(75, HOUR * 3 // 2)
    assert (it.flow_dlh, it.hourly) == (300, [45, 30])


def test_night_line_of_i2o():
    values = [8] * 5 + [2, 1, 1, 2] + [6] * 84
    assert len(values) == 93
    assert leak.night_line(values) == 6, "four times 1.5"
    assert leak.night_line(values[:91]) == -1
    assert leak.night_line(values[2:] + [-1] * 3) == -1, "91 known points are too few"
    assert leak.night_line([4, -1, 9, 3], 1, 3) == 3
    assert leak.night_line([1, -1, 1, 5, 1], 2, 3) == 6, "no sum over an unknown value"
    assert leak.night_line([], 1, 1) == -1


def test_night_line_of_leakdb():
    """gamma 0.1, ten days remembered, the window slides on days without a flag only; in tenths."""
    window = []
    flags = []
    for low in [100] * 12 + [105, 112, 112, 102]:
        flag = len(window) == 10 and leak.above(low, window, 10)
        flags.append(int(flag))
        if not flag:
            window = (window + [low])[-10:]
    assert flags == [0] * 13 + [1, 1, 0]


def test_cusum_vector():
    s = 0
    seen = []
    for x in [10] * 5 + [14] * 4:
        s = leak.cusum(s, x, 10, 1)
        seen.append(s)
    assert seen == [0, 0, 0, 0, 0, 3, 6, 9, 12]


def test_continuous_flow_is_suspected_then_detected():
    m = Meter()
    states = [m.use(1).state for _ in range(80)]
    assert states.index(leak.SUSPECTED) == 23
    assert states.index(leak.DETECTED) == 71
    assert m.it.alarms == DETECTED_BIT, "one of the two at a time"
    assert m.it.rules & leak.CONTINUOUS


def test_one_alarm_per_episode():
    """Single dry hours, as a dripping leak has them, do not end an episode; half a day without water does."""
    m = Meter()
    begins = 0
    before = leak.NONE
    for h in range(400):
        state = m.use(0 if h > 80 and h % 29 == 0 else 1).state
        begins += before == leak.NONE != state
        before = state
    assert begins == 1 and before == leak.DETECTED
    ends = [m.use(0).state for _ in range(4)]
    assert ends[-1] == leak.NONE and m.it.alarms == 0
    assert m.use(5).state == leak.NONE, "a new episode begins from nothing"


def test_a_household_with_dry_nights_is_no_leak():
    m = Meter()
    for _ in range(60):
        m.day(25)
    assert (m.it.state, m.it.alarms, m.it.rules) == (0, 0, 0)


def test_night_line_finds_more_where_water_always_runs():
    rules = list(leak.RULES)
    rules[0] = rules[1] = 100000  # continuous flow off: it is no news here
    leak.check(rules)
    m = Meter(rules=rules)
    for _ in range(12):
        assert m.day(40, 30).state == leak.NONE
    states = [m.day(45, 35).rules & leak.NIGHT for _ in range(5)]
    assert not any(states), "5 l/h above 30 are within a fifth and 2 l/h"
    for n in range(6):
        m.day(60, 50)
        assert bool(m.it.rules & leak.NIGHT) == (n >= 2), n
    assert m.it.state == leak.SUSPECTED
    m.day(40, 30)
    assert not m.it.rules & leak.NIGHT, "it ends with the first usual night"


def test_cusum_finds_what_comes_in_slow_pulses():
    """10 litres a pulse: a leak of 8 l/h has dry hours all the time."""
    m = Meter()
    for _ in range(12):
        m.day(20)
    nights = 0
    drops = 0
    while not m.it.rules & leak.CUSUM:
        for h in range(24):
            drops += 8
            m.use(drops // 10 * 10 + (20 if 7 <= h < 22 else 0))
            drops %= 10
        nights += 1
        assert nights < 10
    assert m.it.state == leak.SUSPECTED and not m.it.rules & leak.NIGHT


def test_cusum_is_not_raised_by_one_wild_night():
    m = Meter()
    for _ in range(12):
        m.day(20)
    m.day(20, 900)
    for _ in range(5):
        assert not m.day(20).rules & leak.CUSUM


def test_a_new_habit_ends_as_usual():
    m = Meter()
    for _ in range(12):
        m.day(20)
    seen = [m.day(20, 60 if n % 2 else 0).rules & leak.CUSUM for n in range(160)]
    assert any(seen) and not any(seen[-10:])


def test_night_rules_rest_without_a_clock():
    it = leak.Leak(0)
    for h in range(1, 24 * 30):
        it.hour(h * 9 - (h // 24) * 9)
    assert it.rules & ~leak.CONTINUOUS == 0


def test_burst_begins_and_ends_once():
    m = Meter()
    assert m.use(500).alarms == 0, "one hour is a bath, or the garden"
    assert m.use(500).alarms == HIGH
    assert m.use(300).alarms == HIGH, "until the flow has halved"
    assert m.use(100).alarms == 0
    assert m.use(500).alarms == 0


def test_every_threshold_belongs_to_what_it_begins():
    m = Meter()
    assert [m.use(n).alarms for n in (400, 399, 400, 400, 200, 199)] == [0, 0, 0, HIGH, HIGH, 0]
    for fall, hourly in ((1000, [0]), (1001, [])):
        m = Meter(index=5000)
        assert m.use(-fall).hourly == hourly, fall
    for litres, hourly in ((10000, [10000]), (10001, [])):
        assert Meter().use(litres).hourly == hourly
    for ms, closed in ((1499999, []), (1500000, [5])):
        assert Meter().use(5, ms).hourly == closed
    for ms, known in ((5400000, [5]), (5400001, [])):
        assert Meter().use(5, ms).hourly == known
    assert not leak.above(110, [100, 200], 10) and leak.above(111, [100, 200], 10)
    assert not leak.above(120, [100], 10, 20) and leak.above(121, [100], 10, 20)
    for places in ({1: 24}, {2: 23}, {3: 12}, {2: 0}, {5: 0}, {0: 1}, {1: 100000}):
        rules = [places.get(i, n) for i, n in enumerate(leak.RULES)]
        leak.check(rules)


def test_blocked_meter_only_where_water_was_used():
    m = Meter()
    for _ in range(1000):
        m.use(0)
    assert m.it.alarms == 0, "never used: an empty flat"
    m = Meter()
    for _ in range(30):
        m.use(3)
        m.use(0)
    blocked = [m.use(0).alarms for _ in range(400)]
    assert blocked.index(BLOCKED) == 336 - 2
    assert m.use(1).alarms == 0


def test_back_flow_is_told_and_no_volume_is_counted_twice():
    m = Meter(index=50000)
    total = sum([m.use(n).hourly[0] for n in (10, 10, -4, 0, 4, 10)])
    assert total == 30 and m.it.alarms == 0, "4 litres come and go with the pressure"
    m.use(-6)
    m.use(-6)
    assert m.it.alarms == BACK and m.it.hourly[0] == 0 and m.it.index_l == m.index
    assert m.use(11).alarms == BACK
    assert m.use(6).alarms == 0 and m.it.hourly[0] == 5


def test_falling_index_is_a_new_meter():
    it = leak.Leak(5000)
    it.hour(5010)
    it.hour(3)
    assert it.hourly == [] and it.flow_dlh is None
    it.hour(7)
    assert it.hourly == [4] and it.alarms == 0


def test_a_register_that_jumps_away_and_back_makes_no_volume():
    """As meter 08 did: 0 for an hour, thrice."""
    m = Meter(index=248000)
    told = 0
    true = 248000
    for h in range(60):
        true += 2
        glitch = 40 <= h < 46 and h % 2
        m.it.hour(0 if glitch else true, HOUR, h % 24)
        if m.it.hourly:
            told += m.it.hourly[0]
        assert not m.it.alarms & (HIGH | BACK)
    assert told <= true - 248000
    assert m.it.state == leak.SUSPECTED, "and the leak is still known"


def test_a_flood_of_pulses_is_not_believed():
    m = Meter()
    for _ in range(30):
        m.use(30000)
    assert m.it.hourly == [] and m.it.flow_dlh is None and m.it.state == leak.NONE
    assert m.use(30).hourly == [30]


def test_most_litres_of_an_hour_are_those_of_the_rules():
    most = leak.RULES[13]
    for ms, least in ((30 * 60000, most), (HOUR, most), (HOUR + 20 * 60000, most), (3 * HOUR, 3 * most)):
        it = leak.Leak()
        it.hour(least, ms)
        assert it.flow_dlh is not None and it.index_l == least, ms
        it = leak.Leak()
        it.hour(least + 1, ms)
        assert it.flow_dlh is None and it.hourly == [], ms


def test_gaps_hold_what_is_known_and_add_nothing():
    m = Meter()
    for _ in range(20):
        m.use(2)
    it = m.use(20, 10 * HOUR)
    assert it.hourly == [] and it.flow_dlh == 20, "a mean is known, its hours are not"
    assert [m.use(2).state for _ in range(4)] == [0, 0, 0, leak.SUSPECTED]
    m = Meter()
    for _ in range(20):
        m.use(2)
    m.use(0, 10 * HOUR)
    assert not any([m.use(2).state for _ in range(23)]), "a gap without water was dry"


def test_repeated_readings_wait_for_the_next():
    it = leak.Leak(100)
    it.hour(103)
    for ms in (0, 60000, 0, -60005):
        it.hour(103, ms)
    it.hour(104, 1400000)
    assert it.hourly == [3] and it.index_l == 103
    it.hour(106, HOUR - 1400000)
    assert it.hourly == [3, 3] and it.flow_dlh == 30, "a whole hour, in two parts"


def test_volumes_add_up_on_a_dirty_series():
    """Whatever comes, no more is told than the index has advanced."""
    seed = 7
    m = leak.Leak(0)
    index = high = told = 0
    for h in range(3000):
        seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
        what = seed >> 20
        ms = HOUR
        if what % 97 == 0:
            index -= what % 7
        elif what % 89 == 0:
            ms = 0
        elif what % 83 == 0:
            ms = HOUR * (2 + what % 9)
            index += what % 50
        else:
            index += what % 30
        high = max(high, index)
        m.hour(index, ms, h % 24)
        if ms == HOUR and m.hourly:
            told += m.hourly[0]
    assert 0 < told <= high


def test_the_state_survives_a_sleep_between_hours():
    """Each wake of a battery node is a boot: what `s` holds is enough."""
    awake = Meter()
    index = 1000
    kept = None
    for h in range(24 * 20):
        litres = 2 if h > 400 or h % 24 > 6 else 0
        a = awake.use(litres)
        it = leak.Leak(index, kept=kept)
        index += litres
        it.hour(index, HOUR, h % 24)
        kept = bytes(it.s)
        assert (it.state, it.alarms, it.rules, it.s) == (a.state, a.alarms, a.rules, a.s)
    assert a.state == leak.DETECTED
    for other in (kept[:-4], kept + bytes(4), b"", None):
        assert leak.Leak(index, kept=other).state == leak.NONE, "of another version: a new start"


def test_settings_that_make_no_sense_are_refused_by_name():
    assert leak.check(leak.RULES) is None
    bad = [(), leak.RULES[:-1], leak.RULES + (1,)]
    for place, value in ((0, 0), (1, 23), (2, 24), (3, 13), (3, 0), (13, 0), (4, -1), (7, "1"), (9, 100001)):
        rules = list(leak.RULES)
        rules[place] = value
        bad.append(rules)
    for rules in bad:
        assert raises(WireError, leak.check, rules).args == ("config", "leak"), rules


def test_no_number_of_the_state_leaves_its_word():
    m = leak.Leak(0)
    for h in range(24 * 60):
        m.hour(h * 9999, HOUR, h % 24)
    assert max(m.s) < 1 << 30
    assert array("i", bytes(m.s)) == m.s
