"""Failures of a lamp: each begins and ends once, after so many samples, and never on a ramp or in the warm-up."""

from firmware.furniture.alarms import Alarms
from firmware.furniture.lamp_watch import LampWatch, gradient_table
from firmware.furniture.luminaire import line
from firmware.protocols.schema import lamp as rows

BIT = {name: bit for bit, name, _, _ in rows.ALARMS}
FULL = (0, 0, 1000, 40000)  # 40 W, linear


class Night:
    """A lamp sampled every 10 s; `log` has (seconds, name, begins)."""

    def __init__(self, **settings):
        self.watch = LampWatch(settings.pop("table", FULL), **settings)
        self.s = 0
        self.log = []
        # A night that began long ago: warm.
        self.run(12, 1000, mw=40000)
        assert self.log == []

    def run(self, samples, light, **inputs):
        for _ in range(samples):
            changed = self.watch.step(self.s * 1000, light, **inputs)
            for bit, name, _, _ in rows.ALARMS:
                if changed >> bit & 1:
                    self.log.append((self.s, name, self.watch.mask >> bit & 1))
            self.s += 10
        return self

    def told(self):
        seen = [(name, begins) for _, name, begins in self.log]
        self.log = []
        return seen

    def standing(self):
        return sorted(name for bit, name, _, _ in rows.ALARMS if self.watch.mask >> bit & 1)


def test_what_power_is_expected():
    # TALQ: 40 W * (1 - (1 - 0.5) / g).
    assert line(gradient_table(40000), 500) == 20000
    assert line(gradient_table(40000, 1250), 500) == 24000
    assert line(gradient_table(40000, 1250), 1000) == 40000
    # A virtual level of 90 % is in the nominal power.
    assert line(gradient_table(36000, 1250), 0) == 7200
    assert line((0, 500, 100, 9000, 1000, 40000), 550) == 24500


def test_alarms_begin_and_end_after_so_many_samples():
    it = Alarms(3, 3)
    said = []
    for bad in (True, True, False, True, True, None, None, True, False, True, False, False, False, False):
        it.changed = 0
        it.judge(2, bad)
        said.append((it.changed, it.mask))
    assert said == [(0, 0)] * 7 + [(4, 4)] + [(0, 4)] * 4 + [(4, 0), (0, 0)]


def test_a_dead_lamp_begins_and_ends_once():
    it = Night()
    it.run(2, 1000, mw=500)
    assert it.told() == []
    it.run(50, 1000, mw=500)
    assert it.told() == [("lamp_failure", 1)]
    it.run(50, 1000, mw=40000)
    assert it.told() == [("lamp_failure", 0)]


def test_lamp_failure_stands_at_a_quarter_of_what_is_expected():
    assert Night().run(9, 1000, mw=9999).standing() == ["lamp_failure"]
    assert Night().run(9, 1000, mw=10000).standing() == ["power_low"]
    assert Night().run(9, 400, mw=3999).standing() == ["lamp_failure"]


def test_one_of_four_lamps():
    assert Night(lamps=4, tolerance=30).run(9, 1000, mw=40000).standing() == []
    assert Night(lamps=4, tolerance=30).run(9, 1000, mw=32600).standing() == []
    assert Night(lamps=4, tolerance=30).run(9, 1000, mw=30000).standing() == ["lamp_failure"]


def test_by_day_a_dead_lamp_stays_dead():
    it = Night().run(9, 1000, mw=0)
    it.told()
    it.run(100, 0, mw=0)
    assert it.told() == []
    # Lit in the evening: after the warm-up it is known again.
    it.run(100, 1000, mw=40000)
    assert it.told() == [("lamp_failure", 0)]


def test_no_verdict_on_a_ramp_and_in_the_warm_up():
    it = Night(warm_ms=300000)
    it.run(100, 500, still=False, mw=40000)
    assert it.told() == []
    it.run(20, 0, mw=300)
    it.run(30, 1000, mw=2000)
    assert it.told() == []
    it.run(4, 1000, mw=2000)
    assert it.told() == [("lamp_failure", 1)]


def test_power_too_high_and_too_low_have_a_margin():
    it = Night()
    it.run(9, 500, mw=28000)
    assert it.told() == [], "20 W and 20 % of 40 W"
    it.run(9, 500, mw=28001)
    assert it.told() == [("power_high", 1)]
    it.run(9, 500, mw=24001)
    assert it.told() == []
    it.run(9, 500, mw=24000)
    assert it.told() == [("power_high", 0)]
    it.run(9, 500, mw=11999)
    assert it.told() == [("power_low", 1)]
    it.run(9, 500, mw=15999)
    assert it.told() == []
    it.run(9, 500, mw=16000)
    assert it.told() == [("power_low", 0)]


def test_day_burner():
    it = Night().run(9, 0, mw=2000)
    assert it.told() == []
    it.run(9, 0, mw=39000)
    assert it.told() == [("day_burner", 1)]
    it.run(9, 0, mw=300)
    assert it.told() == [("day_burner", 0)]
    # Lit by its own plan in sunlight.
    it.run(9, 1000, mw=40000, day=True)
    assert it.told() == [("day_burner", 1)]
    it.run(9, 1000, mw=40000)
    assert it.told() == [("day_burner", 0)]
    it.run(9, 1000, still=False, mw=40000, day=True)
    assert it.told() == [], "a technician is at work"


def test_stuck_relay():
    it = Night().run(9, 0, mw=39000, closed=False)
    assert sorted(it.told()) == [("day_burner", 1), ("relay_failure", 1)]
    it.run(9, 0, mw=0, closed=True)
    assert it.told() == [("day_burner", 0)], "a closed relay proves nothing"
    it.run(9, 0, mw=0, closed=False)
    assert it.told() == [("relay_failure", 0)]


def test_cycling():
    it = Night()
    for _ in range(2):
        it.run(2, 1000, mw=100).run(40, 1000, mw=40000)
    assert it.told() == []
    it.run(2, 1000, mw=100).run(10, 1000, mw=40000)
    assert it.told() == [("cycling", 1)]
    it.run(340, 1000, mw=40000)
    assert it.told() == []
    it.run(20, 1000, mw=40000)
    assert it.told() == [("cycling", 0)]


def test_commanded_switching_is_no_cycling():
    it = Night()
    for _ in range(10):
        it.run(3, 0, mw=100).run(5, 1000, mw=100).run(20, 1000, mw=40000)
    assert it.told() == []


def test_slow_restarts_are_no_cycling():
    it = Night()
    for _ in range(6):
        it.run(2, 1000, mw=100).run(190, 1000, mw=40000)
    assert it.told() == []


def test_driver_that_does_not_answer():
    it = Night().run(2, 1000, mw=40000, gear=-1)
    assert it.told() == []
    it.run(2, 1000, mw=40000, gear=-1)
    assert it.told() == [("gear_silent", 1)]
    it.run(50, 1000, mw=40000)
    assert it.told() == [], "not asked is no answer"
    it.run(3, 1000, mw=40000, gear=4)
    assert it.told() == [("gear_silent", 0)]
    it.run(50, 1000, mw=40000, gear=-1, mv=99000)
    assert it.told() == [("supply_low", 1)], "without mains no gear answers"
    it.run(3, 1000, mw=40000, gear=-1, mv=99001)
    assert it.told() == [("gear_silent", 1)]
    it.run(3, 1000, mw=40000, gear=0, mv=99000)
    assert it.told() == [("gear_silent", 0)], "a status of zero is an answer"


def test_dali_status():
    # IEC 62386-102 QUERY STATUS: bit 0 control gear failure, bit 1 lamp failure, bit 2 lamp on.
    it = Night().run(3, 1000, gear=4)
    assert it.told() == []
    it.run(3, 1000, gear=5)
    assert it.told() == [("gear_failure", 1)]
    it.run(3, 1000, gear=2)
    assert sorted(it.told()) == [("gear_failure", 0), ("lamp_failure", 1)]
    it.run(9, 1000)
    assert it.told() == [], "no answer ends nothing"
    it.run(3, 1000, gear=4)
    assert it.told() == [("lamp_failure", 0)]
    it.run(3, 1000, mw=40000, gear=6)
    assert it.told() == [("lamp_failure", 1)], "the gear knows better than the meter"


def test_supply():
    it = Night()
    for mv, told in (
        (230000, []),
        (198000, []),
        (197999, [("supply_low", 1)]),
        (204999, []),
        (205000, [("supply_low", 0)]),
        (253000, []),
        (253001, [("supply_high", 1)]),
        (246001, []),
        (246000, [("supply_high", 0)]),
    ):
        it.run(3, 1000, mw=40000, mv=mv)
        assert it.told() == told, mv
    it.run(9, 500, still=False, mv=180000)
    assert it.told() == [("supply_low", 1)], "on a ramp as well"


def test_nothing_known_is_no_alarm():
    it = LampWatch(FULL)
    for s in range(0, 1000, 10):
        assert it.step(s * 1000, 1000) == 0
        assert it.step(s * 1000 + 5000, 0) == 0
    assert it.mask == 0


def test_the_bits_are_those_of_the_field_table():
    it = LampWatch(FULL, samples=1, warm_ms=0)
    assert it.step(0, 1000, mw=0) == 1 << BIT["lamp_failure"]
    assert it.step(1, 1000, mw=60000) == 1 << BIT["lamp_failure"] | 1 << BIT["power_high"]
    assert it.step(2, 1000, mw=20000) == 1 << BIT["power_high"] | 1 << BIT["power_low"]
    assert it.step(3, 0, mw=20000, closed=False) == 1 << BIT["relay_failure"] | 1 << BIT["day_burner"]
    assert it.step(4, 0, gear=1) == 1 << BIT["gear_failure"]
    assert it.step(5, 0, gear=-1) == 1 << BIT["gear_silent"]
    assert it.step(6, 0, mv=300000) == 1 << BIT["supply_high"]
    assert it.step(7, 0, mv=100000) == 1 << BIT["supply_high"] | 1 << BIT["supply_low"]
