"""The DALI driver on the modelled line: levels, answers and their damage, status, settings."""

import itertools
from collections.abc import Callable

import pytest

from firmware.drivers import dali_setup
from firmware.drivers.dali import NoReply
from firmware.drivers.dali_gear import Gear
from firmware.drivers.errors import BusError, ChipError, DriverError
from hw.virtual.chips.dali_bus import Edges
from hw.virtual.chips.dali_gear import DaliGear
from tests.host.dali_bench import LOST, TE, Line


def test_set_and_ask() -> None:
    gear = DaliGear(5)
    line = Line(gear)
    lamp = Gear(line.bus, 5)
    for permille in (1000, 750, 500, 250, 100, 10, 0):
        lamp.set(permille)
        asked = lamp.light()
        assert asked == pytest.approx(gear.light * 10, abs=0.6)
        assert asked == pytest.approx(permille, rel=0.015, abs=1)
    assert [f for f in line.frames if not f & 0x100] == [
        0x0AFE,
        0x0AF3,
        0x0AE5,
        0x0ACB,
        0x0AAA,
        0x0A55,
        0x0A00,
    ]
    line.check()


def test_every_answer_through_every_gear_clock() -> None:
    """A gear's clock within the limits of 101, the time of calls, and one call 200 us late each time."""
    for half_us in (367.0, 400.0, TE, 440.0, 466.0):
        gear = DaliGear(5, half_us=half_us)
        line = Line(gear)
        for value in range(0, 256, 5):
            gear.dtr[0] = value
            line.rx.gap = (line.rx.calls + 1 + value % 16, 200)
            assert line.bus.query(0x0B98) == value, (half_us, value)
        line.check()


def test_an_edge_seen_late_gives_the_value_or_an_error() -> None:
    gear = DaliGear(5)
    line = Line(gear)
    good = bad = 0
    for value, late in itertools.product(range(0, 256, 17), (100, 200, 300, 500)):
        gear.dtr[0] = value
        line.rx.late = {line.rx.calls + 2 + value % 8: late}
        try:
            assert line.bus.query(0x0B98) == value, (value, late)
            good += 1
        except BusError:
            bad += 1
        line.rx.late = {}
        assert line.bus.query(0x0B98) == value
    assert good >= 25 and bad >= 10
    line.check()


def test_the_exclusive_section_is_short() -> None:
    line = Line(DaliGear(5))
    longest = 0
    for _ in range(50):
        line.bus.query(0x0BA0)
        end = line.chip.frames[-1][0]
        longest = max(longest, line.port.now_us - end - 2450)
    # From the stop condition to the value: settling, 7.5 ms of answer, stop condition.
    assert longest <= 21_000
    line.bus.ask(0x0D91)
    assert line.port.now_us - line.chip.frames[-1][0] <= 14_000
    line.check()


def test_a_lost_answer_is_no_reply() -> None:
    gear = DaliGear(5)
    line = Line(gear)
    lamp = Gear(line.bus, 5)
    line.chip.faults.append(LOST)
    with pytest.raises(NoReply):
        lamp.light()
    assert lamp.light() == 1000
    line.chip.deaf = 1
    with pytest.raises(NoReply):
        lamp.light()
    gear.mute = True
    with pytest.raises(NoReply):
        lamp.light()
    with pytest.raises(NoReply):
        Gear(line.bus, 6).light()
    gear.mute = False
    assert lamp.light() == 1000
    line.check()


def shift(i: int, us: int) -> Callable[[Edges], Edges]:
    return lambda edges: [(t + us if k == i else t, low) for k, (t, low) in enumerate(edges)]


@pytest.mark.parametrize(
    "fault",
    [
        lambda e: e[:-2],
        lambda e: e[2:],
        lambda e: e[:4] + e[6:],
        lambda e: [(t + (t - e[0][0]) // 2, low) for t, low in e],
        lambda e: [(t - (t - e[0][0]) // 3, low) for t, low in e],
        lambda e: [*e, (e[-1][0] + 300, True), (e[-1][0] + 600, False)],
        lambda e: [*e[:-1], (e[-1][0] + 5000, False)],
        lambda e: [(e[0][0], True), (e[0][0] + 90_000, False)],
    ],
    ids=["cut", "late", "bit lost", "slow", "fast", "spike", "long low", "low"],
)
def test_a_damaged_answer_is_an_error_and_the_next_works(fault: Callable[[Edges], Edges]) -> None:
    for value in (0x00, 0x5A, 0xFF, 0x86):
        gear = DaliGear(5)
        line = Line(gear)
        gear.dtr[0] = value
        line.chip.faults.append(fault)
        with pytest.raises(BusError) as caught:
            line.bus.query(0x0B98)
        assert not isinstance(caught.value, NoReply)
        line.port.advance(100_000)
        assert line.bus.query(0x0B98) == value
        line.check()


def test_every_edge_of_an_answer_moved() -> None:
    """Never another value: the right one for little jitter, else an error."""
    gear = DaliGear(5)
    line = Line(gear)
    for value, us in itertools.product((0x00, 0x5A, 0xF0, 0xFF), (-300, -200, -80, 80, 200, 300)):
        for i in range(9):
            gear.dtr[0] = value
            line.chip.faults.append(shift(i, us))
            try:
                assert line.bus.query(0x0B98) == value, (value, us, i)
            except DriverError:
                assert abs(us) > 80, (value, us, i)
    line.check()


def test_collision_of_different_answers() -> None:
    line = Line(DaliGear(1), DaliGear(2), DaliGear(3))
    levels = iter((20, 90, 200))
    for gear in line.chip.gears:
        gear.dtr[0] = next(levels)
    for _ in range(30):
        with pytest.raises(BusError) as caught:
            line.bus.query(0xFF98)
        assert caught.value.args == ("dali", "frame")
        assert line.bus.ask(0xFF91) is True
        assert Gear(line.bus, 2).query(0x98) == 90
    line.check()


def test_lamp_failure() -> None:
    gear = DaliGear(5, types=(6,))
    line = Line(gear, DaliGear(6))
    lamp = Gear(line.bus, 5)
    lamp.set(500)
    assert lamp.status() & 0b111 == 0b100 and lamp.lamp_failed() is False
    for how, bits in (("open", 2), ("short", 1)):
        gear.lamp = how
        assert gear.light == 0 and gear.power_w == pytest.approx(0.4)
        assert lamp.status() & 0b111 == 0b010
        assert lamp.lamp_failed() is True and lamp.light() is None
        assert Gear(line.bus, 127).lamp_failed() is True
        line.bus.send(0xC106)
        assert lamp.query(0xF1, 1) == bits
    gear.lamp = "ok"
    assert lamp.light() == 505 and Gear(line.bus, 127).lamp_failed() is False
    gear.failed = True
    assert lamp.status() & 1
    line.check()


def test_status_bits() -> None:
    gear = DaliGear(None, physical_min=20)
    line = Line(gear)
    everyone = Gear(line.bus, 127)
    assert everyone.status() == 0b1110_0100
    everyone.set(0)
    assert everyone.status() == 0b0110_0000
    line.bus.send(0xFE0A)
    assert everyone.status() == 0b0110_1100
    dali_setup.fade(everyone, 4)
    everyone.set(1000)
    line.port.advance(100_000)
    assert everyone.status() == 0b0101_0100
    line.check()


def test_failure_and_power_on_level_are_kept_and_read_back() -> None:
    gear = DaliGear(5)
    line = Line(gear)
    lamp = Gear(line.bus, 5)
    assert dali_setup.store(lamp, dali_setup.FAILURE, 229)
    assert dali_setup.store(lamp, dali_setup.POWER_ON, 203)
    assert (gear.failure_level, gear.power_on_level) == (229, 203)
    lamp.set(100)
    line.chip.supply(False)
    with pytest.raises(BusError) as caught:
        lamp.status()
    assert caught.value.args == ("dali", "low")
    line.port.advance(600_000)
    assert gear.light == pytest.approx(50.5, abs=0.1)
    line.chip.supply(True)
    line.port.advance(100_000)
    assert lamp.light() == 505
    gear.mains(False)
    assert gear.light == 0 and gear.power_w == 0
    with pytest.raises(NoReply):
        lamp.light()
    gear.mains(True)
    line.port.advance(700_000)
    assert gear.light == pytest.approx(24.9, abs=0.1)
    assert (gear.failure_level, gear.power_on_level) == (229, 203)
    # 255: stay, and come back as before.
    assert dali_setup.store(lamp, dali_setup.FAILURE, 255) and dali_setup.store(
        lamp, dali_setup.POWER_ON, 255
    )
    lamp.set(100)
    line.chip.supply(False)
    line.port.advance(600_000)
    assert gear.level == 170
    line.chip.supply(True)
    gear.mains(False)
    gear.mains(True)
    line.port.advance(700_000)
    assert gear.level == 170
    line.check()


def test_a_short_loss_of_bus_supply_changes_nothing() -> None:
    gear = DaliGear(5)
    line = Line(gear)
    Gear(line.bus, 5).set(100)
    line.chip.supply(False)
    line.port.advance(499_000)
    line.chip.supply(True)
    line.port.advance(1_000_000)
    assert gear.level == 170
    line.check()


def test_gear_that_limits_a_setting_is_told() -> None:
    line = Line(DaliGear(5, physical_min=85))
    lamp = Gear(line.bus, 5)
    with pytest.raises(ChipError) as caught:
        dali_setup.store(lamp, dali_setup.MIN, 10)
    assert caught.value.args == ("dali", 85)
    assert dali_setup.store(lamp, dali_setup.MIN, 100) and dali_setup.store(lamp, dali_setup.MAX, 200)
    lamp.set(1)
    assert lamp.query(0xA0) == 100
    lamp.set(1000)
    assert lamp.query(0xA0) == 200
    line.check()


def test_curve_and_groups() -> None:
    gear = DaliGear(5)
    line = Line(gear, DaliGear(6))
    lamp = Gear(line.bus, 5)
    assert dali_setup.curve(lamp) is False
    assert dali_setup.set_curve(lamp, True) is True and gear.linear
    assert not line.chip.gears[1].linear
    lamp.set(500)
    assert gear.level == 127 and gear.light == 50.0 and lamp.light() == 500
    for group in (0, 7, 8, 15):
        assert dali_setup.member(lamp, group)
    assert dali_setup.groups(lamp) == 0x8181
    assert dali_setup.member(lamp, 7, False) and gear.groups == {0, 8, 15}
    Gear(line.bus, 64 + 8).set(0)
    assert gear.level == 0 and line.chip.gears[1].level == 254
    line.check()
