"""What a lamp is told to do: precedence, commands and bounds, ramps, output stage."""

from firmware.furniture import lamp
from firmware.furniture.lamp import DEFAULT, LOCAL, OVERRIDE, PROGRAM, SENSOR
from firmware.furniture.luminaire import Luminaire, line, valid
from firmware.kinds import lamp_orders
from tests.mpy.support import heap_locked


class Lamp(lamp.Lamp):
    """With the commands that a board loads when one comes."""

    override = lamp_orders.override
    raise_ = lamp_orders.raise_
    identify = lamp_orders.identify


def settle(it, now, *inputs):
    """In effect once every ramp is over: (level, reason)."""
    it.step(now, *inputs)
    it.step(now, *inputs)
    return it.target, it.reason


def walk(it, now, until, *inputs):
    """[(ms, level)] at each change of the actual level, stepping when the lamp asks for it."""
    seen = []
    level = it.level
    while now <= until:
        wait = it.step(now, *inputs)
        assert 1 <= wait <= 10000
        if it.level != level:
            level = it.level
            seen.append((now, level))
        now += wait
    return seen


# --- precedence


def test_without_plan_and_time_the_default_holds():
    assert settle(Lamp(), 0) == (100, DEFAULT)
    assert settle(Lamp(70), 5) == (70, DEFAULT)


def test_settings_out_of_range_are_bright():
    assert settle(Lamp(250), 0) == (100, DEFAULT)
    assert settle(Lamp(0, 130), 0) == (100, DEFAULT)
    assert settle(Lamp(10, 30), 0) == (30, DEFAULT)
    assert Lamp(100, 130).override(0, 100, 60) is None


def test_each_source_beats_the_next():
    it = Lamp(90)
    assert settle(it, 0) == (90, DEFAULT)
    assert settle(it, 0, 40, 0, PROGRAM) == (40, PROGRAM)
    assert settle(it, 0, 80, 0, SENSOR) == (80, SENSOR)
    assert it.override(0, 20, 60) is None
    assert settle(it, 0, 80, 0, SENSOR) == (20, OVERRIDE)
    it.identify(0, 60)
    assert settle(it, 0, 80, 0, SENSOR) == (50, OVERRIDE)
    it.local = True
    assert settle(it, 0, 80, 0, SENSOR) == (100, LOCAL)
    assert it.asked == 20, "what would hold is still told"
    it.local = False
    it.identify(0, 0)
    assert settle(it, 0, 80, 0, SENSOR) == (20, OVERRIDE)
    it.resume()
    assert settle(it, 0, 80, 0, SENSOR) == (80, SENSOR)


def test_off_by_programme_is_off_and_dim_is_never_below_the_floor():
    it = Lamp(100, 30)
    assert settle(it, 0, 0) == (0, PROGRAM)
    assert settle(it, 0, 5) == (30, PROGRAM)
    assert settle(it, 0, 5, 0, SENSOR) == (30, SENSOR)
    assert settle(it, 0, 1) == (30, PROGRAM)
    assert settle(it, 0, 180) == (100, PROGRAM)


def test_local_input_is_at_once_and_takes_no_command():
    it = Lamp()
    walk(it, 0, 20000, 40)
    it.local = True
    it.step(20000, 40)
    assert (it.level, it.target, it.reason) == (100, 100, LOCAL)
    assert it.override(20000, 50, 60) == "local_override"
    assert it.override(20000, 50, 60, shed=1) == "local_override"
    assert it.raise_(20000, 100, 60) == "local_override"
    it.local = False
    assert walk(it, 30000, 60000, 40)[-1] == (40000, 40)


# --- overrides


def test_an_override_ends_by_itself_and_newer_replaces_older():
    it = Lamp()
    it.step(0, 40)
    assert it.override(0, 70, 60) is None
    assert it.override(1000, 20, 60) is None
    assert settle(it, 60999, 40) == (20, OVERRIDE)
    assert settle(it, 61000, 40) == (40, PROGRAM)
    assert settle(it, 61001, 40) == (40, PROGRAM)


def test_refusals_change_nothing():
    it = Lamp(100, 10)
    assert it.override(0, 50, 600) is None
    for args, name in (
        ((101, 60), "op_args"),
        ((-1, 60), "op_args"),
        ((50, 60, 3601), "op_args"),
        ((50, 60, -1), "op_args"),
        ((50, 0), "ttl"),
        ((50, 86401), "ttl"),
        ((9, 60), "below_floor"),
        ((0, 60), "below_floor"),
        ((50, 14401, 0, 1), "ttl"),
        ((101, 60, 0, 1), "op_args"),
    ):
        assert it.override(0, *args) == name, args
        assert settle(it, 1, 40) == (50, OVERRIDE), args
    for args in ((10, 86400, 3600), (100, 1), (0, 14400, 0, 1)):
        assert it.override(0, *args) is None, args


def test_without_a_floor_a_command_may_put_it_out():
    it = Lamp()
    assert it.override(0, 0, 60) is None
    assert settle(it, 0, 100) == (0, OVERRIDE)
    assert it.override(0, 0, 60, shed=1) is None
    assert settle(it, 0, 100) == (0, OVERRIDE)


def test_shedding_only_darkens_and_a_crossing_keeps_its_light():
    street, crossing = Lamp(100, 10, 20), Lamp(100, 10, 80)
    for it in (street, crossing):
        assert it.override(0, 30, 3600, 600, shed=1) is None
    assert settle(street, 0, 100) == (30, OVERRIDE)
    assert settle(crossing, 0, 100) == (80, OVERRIDE)
    # Below what shedding asks for the programme holds, and off stays off.
    assert settle(street, 1, 25) == (25, PROGRAM)
    assert settle(crossing, 1, 60) == (60, PROGRAM)
    assert settle(street, 2, 0) == (0, PROGRAM)
    assert settle(street, 3, 80, 0, SENSOR) == (30, OVERRIDE), "presence is shed, too"
    assert settle(street, 3600000, 100) == (100, PROGRAM)
    assert street.override(0, 0, 60, shed=1) is None
    assert settle(street, 1, 100) == (20, OVERRIDE)


def test_shedding_and_an_override_stand_side_by_side():
    """The lower of both holds, whichever came first, and neither deletes the other."""
    for first in (0, 1):
        it = Lamp()
        it.step(0, 100)
        for shed in (first, 1 - first):
            assert it.override(0, 50 if shed else 20, 600 if shed else 7200, shed=shed) is None
        assert settle(it, 1, 100) == (20, OVERRIDE), "no ceiling raises what is below it"
        assert settle(it, 600000, 100) == (20, OVERRIDE), "what was commanded still is"
        assert settle(it, 7200000, 100) == (100, PROGRAM)
    it.override(8000000, 30, 7200, shed=1)
    assert it.override(8000000, 100, 600) is None
    assert settle(it, 8001000, 100) == (30, OVERRIDE)
    assert settle(it, 8600000, 100) == (30, OVERRIDE), "its end does not end the shedding"
    it.override(8600000, 10, 600)
    it.resume()
    assert settle(it, 8600001, 100) == (30, OVERRIDE), "nor does RESUME"
    assert it.override(8700000, 100, 600, shed=1) is None
    assert settle(it, 8700001, 100) == (100, PROGRAM), "100 does"
    assert it.raise_(8700002, 100, 60) is None


def test_floors_hold_on_both():
    it = Lamp(100, 10, 40)
    assert it.override(0, 9, 60) == "below_floor"
    it.override(0, 20, 3600)
    it.override(0, 0, 3600, shed=1)
    assert settle(it, 1, 100) == (20, OVERRIDE), "a floor of shedding raises nothing"
    it.resume()
    assert settle(it, 2, 100) == (40, OVERRIDE)


def test_after_shedding_each_lamp_has_its_own_way_up():
    done = []
    for back_s in (60, 150, 300):
        it = Lamp()
        it.back_s = back_s
        it.step(0, 100)
        it.override(0, 30, 3600, 60, 1)
        assert walk(it, 0, 3599999, 100)[-1] == (60000, 30)
        if back_s == 150:
            # Ended before its time, the same.
            it.override(3600000, 100, 60, 0, 1)
        done.append(walk(it, 3600000, 4000000, 100)[-1])
        assert walk(it, 4000000, 4100000, 40, 20)[-1] == (4020000, 40), "only that"
    assert done == [(3660000, 100), (3750000, 100), (3900000, 100)]


# --- RAISE


def test_raise_only_raises():
    it = Lamp()
    it.step(0, 40)
    assert it.raise_(0, 39, 600) == "below_programme"
    assert it.raise_(0, 60, 600) is None
    assert it.raise_(0, 59, 600) == "below_programme", "nor what is in force"
    assert settle(it, 1, 40) == (60, OVERRIDE)
    assert settle(it, 2, 80) == (80, PROGRAM), "nor a programme that rises meanwhile"
    assert settle(it, 3, 40) == (60, OVERRIDE)
    assert settle(it, 600000, 40) == (40, PROGRAM)


def test_raise_leaves_an_override_in_place():
    it = Lamp()
    it.step(0, 40)
    it.override(0, 20, 3600)
    assert it.raise_(0, 30, 600) == "below_programme"
    assert it.raise_(0, 50, 600) is None
    assert settle(it, 1, 40) == (50, OVERRIDE)
    assert settle(it, 600000, 40) == (20, OVERRIDE)
    assert it.raise_(600000, 60, 600) is None
    assert it.override(600000, 25, 3600) is None, "a newer command ends it"
    assert settle(it, 600001, 40) == (25, OVERRIDE)


def test_raise_does_not_undo_shedding():
    it = Lamp()
    it.step(0, 100)
    it.override(0, 30, 600, shed=1)
    assert it.raise_(0, 100, 60) == "shedding"
    assert it.raise_(600000, 100, 60) is None
    it = Lamp()
    it.step(0, 40)
    assert it.raise_(0, 100, 900) is None
    it.override(60000, 30, 600, shed=1)
    assert settle(it, 61000, 40) == (30, OVERRIDE)
    assert settle(it, 660000, 40) == (100, OVERRIDE), "and lets it go on"


def test_raise_is_bounded():
    it = Lamp()
    assert it.raise_(0, 100, 0) == "ttl"
    assert it.raise_(0, 100, 901) == "ttl"
    assert it.raise_(0, 101, 60) == "op_args"
    assert it.raise_(0, 100, 900) is None
    assert it.raise_(0, 100, 1) is None
    it = Lamp(0)
    it.step(0)
    assert it.raise_(0, 0, 60) is None
    assert it.raise_(0, -1, 60) == "op_args"


def test_twelve_raises_in_the_longest_night():
    it = Lamp()
    # One an hour from the second hour on: the night of 16 h has room for twelve.
    taken = [hour for hour in range(2, 42) if it.raise_(hour * 3600000, 100, 60) is None]
    assert taken == list(range(2, 14)) + list(range(18, 30)) + list(range(34, 42))
    for begin in range(48):
        assert sum(begin <= hour < begin + 16 for hour in taken) <= 12
    assert it.raise_(42 * 3600000, 100, 60) is None
    it = Lamp()
    for n in range(12):
        assert it.raise_(n, 100, 60) is None
    assert it.raise_(12, 100, 60) == "too_often"
    assert it.raise_(57600000 - 1, 100, 60) == "too_often"
    assert it.raise_(57600000, 100, 60) is None


# --- ramps


def test_a_fall_takes_ten_seconds_in_steps_of_a_per_cent():
    it = Lamp()
    it.step(0, 100)
    seen = walk(it, 1000, 30000, 40)
    assert [level for _, level in seen] == list(range(99, 39, -1))
    assert seen[-1][0] == 11000
    it = Lamp()
    assert walk(it, 0, 30000, 98)[-1] == (10000, 98), "however short the way"


def test_a_rise_takes_two_seconds_for_full():
    it = Lamp()
    walk(it, 0, 30000, 0)
    seen = walk(it, 30000, 60000, 100)
    assert seen[-1] == (32000, 100)
    assert all(a[1] < b[1] for a, b in zip(seen, seen[1:]))


def test_a_programme_ramps_as_it_says():
    it = Lamp()
    seen = walk(it, 0, 100000, 40, 60)
    assert seen[-1] == (60000, 40) and len(seen) == 60
    seen = walk(it, 100000, 300000, 100, 120)
    assert seen[-1] == (220000, 100) and len(seen) == 60


def test_an_override_ramps_there_and_back():
    it = Lamp()
    it.step(0, 100)
    it.override(0, 40, 600, 120)
    assert walk(it, 0, 599999, 100, 5)[-1] == (120000, 40)
    seen = walk(it, 600000, 1000000, 100, 5)
    assert seen[-1] == (720000, 100)
    # Once: what comes later has its own ramp again.
    assert walk(it, 1000000, 1100000, 50, 20)[-1] == (1020000, 50)


def test_resume_goes_back_by_the_ramp_of_the_override():
    it = Lamp()
    it.step(0, 100)
    it.override(0, 40, 600, 30)
    walk(it, 0, 20000, 100)
    it.resume()
    assert walk(it, 20000, 100000, 100)[-1] == (50000, 100)


def test_a_new_aim_on_the_way_starts_from_here():
    it = Lamp()
    seen = walk(it, 0, 29999, 40, 60)
    assert seen[-1][1] in (70, 71)
    seen = walk(it, 30000, 60000, 100, 0)
    assert seen[0][1] > 71 and seen[-1][1] == 100
    assert seen[-1][0] <= 30600


def test_a_late_step_lands_where_it_should():
    for late in (20000, 43210, 10**9):
        it = Lamp()
        it.step(0, 50, 20)
        it.step(late, 50, 20)
        assert it.level == 50
    it = Lamp()
    it.step(0, 50, 20)
    it.step(10000, 50, 20)
    assert it.level == 75


def test_the_wait_ends_at_what_comes_next():
    it = Lamp()
    it.override(0, 100, 5)
    assert it.step(0, 100) == 5000
    it.resume()
    it.override(0, 99, 3, shed=1)
    assert it.step(0, 100) == 3000
    it = Lamp()
    it.raise_(0, 100, 7)
    assert it.step(0, 100) == 7000
    assert it.step(1500, 100) == 5500
    assert it.step(7000, 100) == 10000


def test_a_slow_ramp_wakes_once_a_per_cent():
    it = Lamp()
    now = steps = 0
    while now < 600000:
        now += it.step(now, 40, 600)
        steps += 1
    assert it.level <= 41 and steps <= 61


# --- identify


def test_identify_is_never_dark_and_ends():
    for floor, low in ((0, 50), (70, 70)):
        it = Lamp(100, floor)
        it.step(0, 0)
        it.step(30000, 0)
        assert it.level == 0
        it.identify(30700, 4)
        seen = []
        now = 30700
        while now < 34700:
            assert it.step(now, 0) == 1000
            seen.append((now, it.level))
            now += 1000
        assert seen == [(30700, low), (31700, 100), (32700, low), (33700, 100)]
        it.step(34700, 0)
        it.step(44700, 0)
        assert (it.level, it.reason) == (0, PROGRAM)


def test_identify_keeps_its_beat_by_level():
    it = Lamp()
    it.identify(0, 10)
    assert it.step(3400) == 600
    assert it.level == 100
    assert it.step(4000) == 1000
    assert it.level == 50


# --- output stage


def test_order_of_the_output():
    # 70 % by command, 0.90 virtual, 92.5 % constant light output at 12 500 h: 58.275 %.
    it = Luminaire(90, 0, (0, 80, 5000, 85, 10000, 90, 15000, 95, 20000, 100))
    it.burn_s = 12500 * 3600
    it.step(0, 70)
    assert it.output == 583
    assert it.light == 647  # 70 % of 92.5 %, from the rounded output


def test_constant_light_output():
    table = (0, 80, 5000, 85, 10000, 90, 15000, 95, 20000, 100)
    for hours, permille in ((0, 800), (2500, 825), (5000, 850), (12500, 925), (20000, 1000), (30000, 1000)):
        assert line(table, hours, 10) == permille, hours
        it = Luminaire(100, 0, table)
        it.burn_s = hours * 3600
        it.step(0, 100)
        assert it.output == permille, hours
    assert line((5, 7), 3) == line((5, 7), 9) == 7
    assert line((0, 100, 10, 0), 4) == 60


def test_a_wrong_table_counts_as_none():
    odd = ((0,), (0, 80, 5000))
    for table in odd + (
        (0, 80, 0, 90),
        (5, 80, 4, 90),
        (0, 0),
        (0, 101),
        (-1, 50),
        (0, 8, 9, 0),
        (0, 8, 9, 101),
    ):
        assert not valid(table, 100), table
        it = Luminaire(100, 0, table)
        it.step(0, 100)
        assert it.output == 1000
    assert valid((0, 80, 5000, 85), 100) and valid((0, 1, 1, 100), 100)


def test_least_dim_and_wrong_settings():
    it = Luminaire(100, 10)
    for level, output in ((0, 0), (1, 100), (9, 100), (10, 100), (11, 110), (100, 1000)):
        it.step(0, level)
        assert it.output == output
    for virtual, least, output in ((1, 0, 2), (100, 1, 200), (100, 100, 1000), (99, 0, 198), (1, 3, 30)):
        it = Luminaire(virtual, least)
        it.step(0, 20)
        assert it.output == output
        assert it.light == min(1000, output * 100 // virtual)
    for virtual in (0, -1, 101):
        it = Luminaire(virtual, 300)
        it.step(0, 20)
        assert it.output == 200


def test_burn_time_energy_and_switches():
    it = Luminaire()
    it.step(0, 100)
    assert it.switches == 1, "power-on lights it"
    for second in range(1, 3601):
        it.step(second * 1000, 100, 40000)
    assert (it.burn_s, it.energy_wh, it.switches) == (3600, 40, 1)
    it.step(3600000, 0, 40000)
    for second in range(3601, 7201):
        it.step(second * 1000, 0, 500)
    # Half a watt for an hour, and the half watt-hour that it started with.
    assert (it.burn_s, it.energy_wh, it.switches) == (3600, 41, 1)
    it.step(7200000, 20)
    it.step(7200500, 0)
    it.step(7200500, 20)
    it.step(7201000, 20)
    assert (it.burn_s, it.switches) == (3601, 3)


def test_energy_of_a_long_gap_and_without_a_meter():
    it = Luminaire()
    it.step(0, 100)
    it.step(10 * 3600000, 100, 1000000)
    assert (it.burn_s, it.energy_wh) == (36000, 10000)
    it.step(11 * 3600000, 100, None)
    assert (it.burn_s, it.energy_wh) == (39600, 10000)


def test_losing_the_rest_at_each_restart_is_no_bias():
    total = 0
    exact = 0
    for night in range(100):
        mw = 5000 + night * 370 % 1000
        it = Luminaire()
        it.energy_wh = total
        it.step(0, 100)
        it.step(3600000, 100, mw)
        total = it.energy_wh
        exact += mw
    assert abs(total - exact // 1000) <= 1, "cut off instead of rounded it would be 49"


def test_the_output_stage_allocates_nothing():
    it = Luminaire(90, 10, (0, 80, 5000, 85))
    level = 40

    def steady():
        now = 0
        while now < 200000:
            it.step(now, level, 30000)
            now += 10000

    heap_locked(steady)
    assert (it.output, it.burn_s) == (288, 190)


def test_reasons_are_those_of_the_field_table():
    from firmware.protocols.schema import lamp as rows

    names = dict(rows.STATES)["reason"]
    assert [names[getattr(lamp, n.upper())] for n in names] == list(names)
