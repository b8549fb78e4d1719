"""The clock of a feeder: who decides, contactor times, and each alarm of the box with one begin and one end."""

from firmware.furniture.cabinet import DEFAULT, LOCAL, OVERRIDE, PROGRAM, Cabinet
from firmware.protocols.schema import cabinet as rows
from firmware.protocols.schema import common

BIT = {name: bit for bit, name, _, _ in rows.ALARMS}
QUIET = (False, False, False, None)


class Box:
    """A cabinet looked at every 10 s; `log` has (name, begins)."""

    def __init__(self, plan, **settings):
        self.it = Cabinet(**settings)
        self.plan = plan
        self.ms = 0
        self.log = []
        self.run(1)

    def run(self, samples, inputs=QUIET, **known):
        it = self.it
        for _ in range(samples):
            changed = it.watch(self.ms, inputs, **known)
            for bit, name, _, _ in rows.ALARMS:
                if changed >> bit & 1:
                    self.log.append((name, it.mask >> bit & 1))
            it.step(self.ms, self.plan)
            self.ms += 10000
        return self

    def told(self):
        seen = self.log
        self.log = []
        return seen


# --- the clock


def test_who_decides():
    it = Cabinet()
    it.step(0)
    assert (it.on, it.reason) == (True, DEFAULT)
    it = Cabinet(default=False)
    it.step(0)
    assert (it.on, it.reason) == (False, DEFAULT)
    it.step(100000, True)
    assert (it.on, it.reason) == (True, PROGRAM)
    it.step(200000, True, 2)
    assert it.reason == 2, "the photocell's word"
    assert it.override(200000, False, 600) is None
    it.step(200000, True)
    assert (it.on, it.reason) == (False, OVERRIDE)
    it.step(200001, True, PROGRAM, True)
    assert (it.on, it.reason) == (True, LOCAL)
    assert it.override(200001, False, 600) == "local_override"
    it.step(300000, True, PROGRAM, False)
    assert (it.on, it.reason) == (False, LOCAL)
    it.step(400000, True)
    assert (it.on, it.reason) == (False, OVERRIDE)
    it.resume()
    it.step(500000, True)
    assert (it.on, it.reason) == (True, PROGRAM)


def test_an_override_ends_and_is_bounded():
    it = Cabinet()
    it.step(0, False)
    assert it.override(0, True, 0) == "ttl"
    assert it.override(0, True, 86401) == "ttl"
    assert it.override(0, True, 86400) is None
    assert it.override(0, True, 1) is None
    assert it.override(0, True, 100) is None
    assert it.step(98000, False) == 2000
    assert it.want and it.on
    it.step(100000, False)
    assert not it.want
    strict = Cabinet(may_off=False)
    assert strict.override(0, False, 60) == "below_floor"
    assert strict.override(0, True, 60) is None


def test_the_contactor_has_its_shortest_times():
    it = Cabinet(on_s=60, off_s=300)
    it.step(0, True)
    assert it.on
    assert it.step(50000, False) == 10000
    assert (it.on, it.want) == (True, False)
    assert it.step(59000, False) == 1000
    it.step(60000, False)
    assert not it.on
    it.step(61000, True)
    it.step(100000, False)
    it.step(359999, True)
    assert not it.on, "a change of mind does not shorten it"
    it.step(360000, True)
    assert it.on
    it.step(361000, True, PROGRAM, False)
    assert not it.on, "a person does not wait"
    assert it.switches == 2


def test_hours_switches_and_energy():
    box = Box(True, on_s=0, off_s=0)
    box.run(360, watts=(1000, 1500, 500))
    it = box.it
    assert (it.burn_s, it.switches, it.power_w) == (3600, 1, 3000)
    # The first sample is taken for the ten seconds before it.
    assert it.energy_wh == 3000
    box.plan = False
    box.run(1, watts=(1000, 1500, 500))
    box.run(360, watts=(5, 5, 10))
    assert (it.burn_s, it.switches) == (3610, 1)
    assert it.energy_wh == 3000 + 8 + 20
    box.run(10, watts=None)
    assert it.power_w is None and it.energy_wh == 3028


# --- alarms


def test_door_breaker_and_leakage_once_each_time():
    for n, name in enumerate(("door_open", "breaker_tripped", "earth_leakage")):
        box = Box(True)
        bad = tuple(i == n for i in range(3)) + (None,)
        assert box.run(1, bad).run(1).run(1, bad).told() == [], "a bounce"
        assert box.run(50, bad).told() == [(name, 1)]
        assert box.run(50, (None, None, None, None)).told() == [], "an input that is not read ends nothing"
        assert box.run(50).told() == [(name, 0)]
        assert box.run(2, bad).told() == [(name, 1)]


def test_welded_contactor():
    for known in ({"closed": True}, {"watts": (900, 0, 0)}, {"closed": False, "watts": (900, 0, 0)}):
        box = Box(False)
        assert box.run(9, **known).told() == [("contactor_welded", 1)]
        assert box.run(9).told() == []
        assert box.run(9, closed=False).told() == [("contactor_welded", 0)]
    box = Box(False)
    assert box.run(9, closed=False, watts=(50, 0, 0)).told() == [], "the box itself draws as much"


def test_contactor_that_does_not_close():
    box = Box(True)
    assert box.run(9, closed=False).told() == [("contactor_open", 1)]
    assert box.run(9, closed=True).told() == [("contactor_open", 0)]
    # Without feedback by the power that is missing; but not where a breaker took it away.
    assert box.run(9, watts=(0, 0, 0)).told() == [("contactor_open", 1)]
    assert box.run(9, watts=(800, 0, 0)).told() == [("contactor_open", 0)]
    tripped = (False, True, False, None)
    assert box.run(9, tripped, watts=(0, 0, 0)).told() == [("breaker_tripped", 1)]


def test_a_contactor_has_time_to_move():
    it = Cabinet(samples=1, on_s=0)
    it.step(0, True)
    assert it.watch(1999, QUIET, closed=False) == 0
    assert it.watch(2000, QUIET, closed=False) == 1 << BIT["contactor_open"]
    it.step(3000, False)
    assert it.watch(4999, QUIET, closed=True) == 0
    assert it.watch(5000, QUIET, closed=True) == 1 << BIT["contactor_welded"]


def test_photocell_against_the_almanac():
    box = Box(True)
    dark = (False, False, False, True)
    assert box.run(360, dark, night=False).told() == [], "an hour of dusk or clouds"
    assert box.run(9, dark, night=False).told() == [("photocell_disagrees", 1)]
    assert box.run(9, dark, night=True).told() == [("photocell_disagrees", 0)]
    # What is not known in between starts the hour again.
    for _ in range(5):
        assert box.run(300, dark, night=False).run(1, dark).told() == []
    assert box.run(400, night=False).told() == []


def test_phases():
    box = Box(True)
    assert box.run(9, millivolts=(230000, 231000, 229000)).told() == []
    assert box.run(9, millivolts=(230000, 231000, 103500)).told() == [("supply_low", 1)]
    assert box.run(9, millivolts=(230000, 231000, 229000)).told() == [("supply_low", 0)]
    assert box.run(9, millivolts=(230000, 231000, 103499)).told() == [("phase_lost", 1)]
    assert box.run(9, millivolts=(230000, 231000, 206999)).told() == [("phase_lost", 0), ("supply_low", 1)]
    assert box.run(9, millivolts=(230000, 231000, 213999)).told() == []
    assert box.run(9, millivolts=(230000, 231000, 214000)).told() == [("supply_low", 0)]
    assert box.run(9, millivolts=(230000, 253001, 230000)).told() == [("supply_high", 1)]
    assert box.run(9, millivolts=(230000, 246000, 230000)).told() == [("supply_high", 0)]


def test_power_of_the_lit_feeder():
    box = Box(True, least_w=2000, most_w=5000)
    assert box.run(9, watts=(1000, 1000, 0)).told() == []
    assert box.run(9, watts=(1000, 999, 0)).told() == [("power_low", 1)]
    assert box.run(9, watts=(2000, 2000, 1001)).told() == [("power_low", 0), ("power_high", 1)]
    assert box.run(9, watts=(2000, 2000, 1000)).told() == [("power_high", 0)]
    assert box.run(9).told() == [], "nor a meter that does not answer"
    tripped = (False, True, False, None)
    assert box.run(9, tripped, closed=True, watts=(0, 0, 0)).told() == [("breaker_tripped", 1)]
    box.plan = False
    assert box.run(10, closed=False, watts=(0, 0, 0)).told() == [("breaker_tripped", 0)]
    assert Box(True).run(9, watts=(100, 0, 0)).told() == [], "without bounds there is no alarm"


# --- the field table


def test_rows_are_in_order_and_fit():
    keys = [row[0] for row in rows.ROWS]
    assert keys == list(range(4, 4 + len(keys))) and keys[-1] < 23
    names = [row[1] for row in rows.ROWS + common.ROWS]
    assert len(set(names)) == len(names)
    for row in rows.ROWS:
        assert len(row) == 10 and row[5] <= row[6] < 1 << 30
    states = dict(rows.STATES)
    assert {row[1] for row in rows.ROWS if row[2] == "state"} == set(states)
    for row in rows.ROWS:
        if row[2] == "state":
            assert len(states[row[1]]) == row[6] + 1
    assert [row[0] for row in rows.ALARMS] == list(range(len(rows.ALARMS))) and len(rows.ALARMS) <= 16


def test_reasons_are_those_of_the_field_table():
    names = dict(rows.STATES)["reason"]
    assert [names[n] for n in (DEFAULT, OVERRIDE, PROGRAM, LOCAL)] == [
        "default",
        "override",
        "program",
        "local",
    ]
