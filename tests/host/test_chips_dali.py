"""The DALI line: what the model takes and gives against IEC 62386's figures, and the driver on it."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers import dali_commission, dali_memory, dali_setup
from firmware.drivers.dali import NoReply
from firmware.drivers.dali_gear import Gear
from firmware.drivers.errors import BusError, ChipError, DriverError
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.dali_bus import DaliBus, Edges, frame_of, halves, manchester
from hw.virtual.chips.dali_gear import DaliGear, fade_us
from hw.virtual.chips.dali_memory import Bank
from tests.host.dali_bench import Line

TE = 1e6 / 2400


class Wire:
    """The model alone, driven by edges."""

    def __init__(self, *gears: DaliGear) -> None:
        self.chip = DaliBus(gears)
        self.port = ManualPort(3)
        self.chip.attach(self.port)
        self.port.advance(1_000_000)

    def send(self, frame: int, bits: int = 16, half_us: float = TE, pause_us: int = 16_000) -> None:
        self.port.advance(pause_us)
        for t, low in manchester(frame, bits, half_us, self.port.now_us):
            self.port.run_until(t)
            self.chip.pin_changed("tx", int(low))
        self.port.advance(2400 + 417)

    def edges_after(self, us: int) -> list[tuple[int, int]]:
        """Changes of rx in the coming time."""
        n = len(self.port.pin_log)
        self.port.advance(us)
        return [(t, level) for t, _, level in self.port.pin_log[n:]]


# The wire


def test_a_frame_as_an_oscilloscope_shows_it() -> None:
    """OFF to all, FF00: 34 half bits of 416.7 us from the falling edge of the start bit."""
    edges = manchester(0xFF00, 16, TE, 0)
    assert edges[0] == (0, True) and edges[-1] == (round(34 * TE), False)
    runs = [round((b - a) / TE) for (a, _), (b, _) in itertools.pairwise(edges)]
    assert runs == [1] * 17 + [2] + [1] * 15
    assert frame_of([b - a for (a, _), (b, _) in itertools.pairwise(edges)]) == (0xFF00, 16)


@pytest.mark.parametrize(
    ("us", "n"),
    [(332, None), (333, 1), (500, 1), (501, None), (665, None), (666, 2), (1000, 2), (1001, None)],
)
def test_windows_of_the_receiver(us: int, n: int | None) -> None:
    assert halves([417, us]) == (None if n is None else [1, n])


@pytest.mark.parametrize("half_us", [333.4, 366.7, TE, 466.7, 499.4])
def test_frames_at_the_limits_are_obeyed(half_us: float) -> None:
    gear = DaliGear(5)
    wire = Wire(gear)
    wire.send(0x0A64, half_us=half_us)
    assert gear.level == 100 and wire.chip.violations == []


@pytest.mark.parametrize("half_us", [300.0, 520.0, 208.0])
def test_frames_beyond_the_limits_are_not(half_us: float) -> None:
    gear = DaliGear(5)
    wire = Wire(gear)
    wire.send(0x0A64, half_us=half_us)
    assert gear.level == 254 and len(wire.chip.violations) == 1


def test_what_a_master_must_not_do() -> None:
    wire = Wire(DaliGear(5))
    wire.send(0x0A64)
    wire.send(0x0A65, pause_us=13_000 - 2817)
    assert "13500" in wire.chip.violations[0]
    wire = Wire(DaliGear(5))
    wire.send(0x0A6, 12)
    assert "12 bits" in wire.chip.violations[0]
    wire = Wire(DaliGear(5))
    wire.send(0xC1A5FE, 24)  # for input devices: gear is silent
    assert wire.chip.violations == [] and wire.chip.frames == []


def test_a_frame_into_an_answer_is_a_violation() -> None:
    wire = Wire(DaliGear(5))
    wire.send(0x0B90)
    wire.port.advance(8_500)
    wire.chip.pin_changed("tx", 1)
    assert wire.chip.violations == [wire.chip.violations[0]] and "answer" in wire.chip.violations[0]


@pytest.mark.parametrize("gap_us", [1_000, 100_000, 900_000])
def test_a_frame_that_loses_its_supply_is_nobody_s_fault(gap_us: int) -> None:
    gear = DaliGear(5)
    gear.failure_level = 255
    line = Line(gear)
    line.port.at(line.port.now_us + 5_000, lambda: line.chip.supply(False))
    line.port.at(line.port.now_us + 5_000 + gap_us, lambda: line.chip.supply(True))
    Gear(line.bus, 5).set(500)
    assert gear.level == 254
    line.port.advance(1_000_000)
    Gear(line.bus, 5).set(500)
    assert gear.level == 229
    line.check()


def test_answer_comes_in_its_window_and_shape() -> None:
    starts: list[int] = []
    for _ in range(60):
        wire = Wire(DaliGear(5))
        wire.port.random.seed(len(starts))
        wire.send(0x0B90)
        end = wire.chip.frames[-1][0]
        edges = wire.edges_after(30_000)
        starts.append(edges[0][0] - end)
        # Status after power-on: lamp on, reset state but for the address, power cycle.
        assert wire.chip.answers == [0b10100100]
        assert edges[-1][0] - edges[0][0] == pytest.approx(18 * TE, abs=2)
        assert edges[0][1] == 0 and edges[-1][1] == 1
    assert 5_500 <= min(starts) < 6_000 and 10_000 < max(starts) <= 10_500


@pytest.mark.parametrize(("tx_low", "rx_low"), list(itertools.product((0, 1), (0, 1))))
def test_polarity_of_the_transceiver(tx_low: int, rx_low: int) -> None:
    gear = DaliGear(5)
    line = Line(gear, tx_low=tx_low, rx_low=rx_low)
    Gear(line.bus, 5).set(500)
    assert gear.level == 229 and Gear(line.bus, 5).light() == 505
    line.check()


def test_wrong_polarity_is_a_bus_failure_and_full_light() -> None:
    gear = DaliGear(5)
    line = Line(gear, tx_low=0)
    Gear(line.bus, 5).set(0)
    assert gear.light == 0
    line.chip.pin_changed("tx", 0)  # an output left at the level that pulls
    line.port.advance(499_000)
    assert gear.light == 0
    line.port.advance(2_000)
    assert gear.light == 100
    line.chip.floating("tx")
    assert line.chip.level == 1


# Addresses, levels, fades


def test_addressing() -> None:
    gears = [DaliGear(1), DaliGear(2), DaliGear(None), DaliGear(63)]
    gears[0].groups = {3}
    gears[3].groups = {3, 15}
    wire = Wire(*gears)
    for frame, levels in (
        (0x0264, [100, 254, 254, 254]),
        (0x7E65, [100, 254, 254, 101]),
        (0x8666, [102, 254, 254, 102]),
        (0x9E67, [102, 254, 254, 103]),
        (0xFC68, [102, 254, 104, 103]),
        (0xFE69, [105, 105, 105, 105]),
        (0x0064, [105, 105, 105, 105]),
    ):
        wire.send(frame)
        assert [g.level for g in gears] == levels, hex(frame)


def test_levels_stay_within_their_limits() -> None:
    gear = DaliGear(5, physical_min=60)
    wire = Wire(gear)
    for frame, level, limited in (
        (0x0A01, 60, True),
        (0x0A64, 100, False),
        (0x0AFF, 100, False),  # MASK
        (0x0A00, 0, False),
        (0x0B05, 254, False),
        (0x0B06, 60, False),
        (0x0B03, 61, False),
        (0x0B04, 60, False),
        (0x0B04, 60, False),
        (0x0B07, 0, False),
        (0x0B03, 0, False),  # STEP UP does not light a lamp
        (0x0B08, 60, False),
        (0x0A96, 150, False),
        (0x0B00, 0, False),
        (0x0B0A, 150, False),  # last active level
    ):
        wire.send(frame)
        assert (gear.level, gear.limit_error) == (level, limited), hex(frame)


def test_light_and_power_follow_the_curve() -> None:
    gear = DaliGear(5, rated_w=40.0, standby_w=0.5)
    wire = Wire(gear)
    for level, percent in ((1, 0.1), (85, 0.991), (170, 10.09), (229, 50.53), (254, 100.0)):
        wire.send(0x0A00 | level)
        assert gear.light == pytest.approx(percent, rel=0.002)
        assert gear.power_w == pytest.approx(0.5 + 39.5 * percent / 100, rel=0.002)
    wire.send(0xA301)
    wire.send(0xC106)
    wire.send(0x0BE3)
    wire.send(0x0BE3)
    wire.send(0x0A7F)
    assert gear.light == 50.0


@pytest.mark.parametrize(("n", "seconds"), [(1, 0.7), (2, 1.0), (4, 2.0), (7, 5.7), (10, 16.0), (15, 90.5)])
def test_fade_times(n: int, seconds: float) -> None:
    assert fade_us(n) / 1e6 == pytest.approx(seconds, abs=0.05)
    gear = DaliGear(5, rated_w=100.0, standby_w=0.0)
    line = Line(gear)
    lamp = Gear(line.bus, 5)
    assert dali_setup.fade(lamp, n)
    begun = gear.energy_wh
    lamp.set(0)
    start = line.chip.frames[-1][0] + 2400
    line.port.run_until(start + fade_us(n) // 2)
    assert gear.level == pytest.approx(127, abs=2) and gear.fading
    assert gear.light == pytest.approx(3.16, rel=0.1)
    line.port.run_until(start + fade_us(n) - 20_000)
    assert gear.level >= 1
    line.port.advance(40_000)
    assert gear.level == 0 and not gear.fading and gear.light == 0
    # Mean light of an even fade in levels on the logarithmic curve: (100 - 0.1) / ln(1000) per cent.
    joules = 100.0 * 0.999 / math.log(1000) * fade_us(n) / 1e6
    faded = (gear.energy_wh - begun) * 3600
    before = 100.0 * (start - line.chip.frames[-1][0]) / 1e6
    assert faded - before == pytest.approx(joules, rel=0.15, abs=8.0)
    # OFF does not fade.
    lamp.set(1000)
    line.port.advance(fade_us(n) + 1000)
    line.bus.send(0x0B00)
    assert gear.light == 0


def test_send_twice() -> None:
    gear = DaliGear(5)
    wire = Wire(gear)
    wire.send(0xA364)
    wire.send(0x0B2D)
    assert gear.power_on_level == 254
    wire.send(0x0B2D, pause_us=100_000)  # too late: counts as a first one
    assert gear.power_on_level == 254
    wire.send(0x0B2D)
    assert gear.power_on_level == 100
    wire.send(0xA365)
    wire.send(0x0B2D)
    wire.send(0x0B00)  # something between
    wire.send(0x0B2D)
    assert gear.power_on_level == 100


# The driver


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


LOST: Callable[[Edges], Edges] = lambda edges: []  # noqa: E731


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


# Memory

ENERGY = b"\x0f\x00\xff\x01\x03\0\0\0\0\0\x0a\0\0\0\x03\xe8"


def remember(**banks: Any) -> tuple[Line, Gear, DaliGear]:
    gear = DaliGear(5, banks={int(k[1:]): v for k, v in banks.items()})
    line = Line(gear, DaliGear(6))
    return line, Gear(line.bus, 5), gear


def test_bank_fixtures_through_the_bus() -> None:
    """Published contents with what they mean."""
    b205 = bytes.fromhex("1c00ff01 00000e10 00000a 08fc 32 5a 01 01 010a 000b 0002 0006 0002 5a 55")
    b206 = bytes.fromhex("2000ff01 00012c 0001f4 000003e8 00000bb8 0258 02bc 000c 000f 0017 012d 0043 a0")
    line, lamp, _ = remember(
        b202=Bank(ENERGY, latch=True),
        b203=Bank(bytes.fromhex("0f00ff01 ff0000000003e8 fe000003e8"), latch=True),
        b205=Bank(b205, lock=True, latch=True),
        b206=Bank(b206, lock=True, latch=True),
        b207=Bank(bytes.fromhex("0700ff01 325a1388"), lock=True),
    )
    assert dali_memory.values(lamp, 202) == {4: 10_000_000, 0x0B: 1_000_000}
    assert dali_memory.values(lamp, 203) == {4: 100_000, 0x0B: 10_000}
    got = dali_memory.values(lamp, 205)
    assert (got[4], got[8], got[0x0B], got[0x0D], got[0x0E], got[0x1B], got[0x1C]) == (
        3600,
        10,
        2300,
        50,
        90,
        30,
        85,
    )
    got = dali_memory.values(lamp, 206)
    assert (got[4], got[7], got[0x0A], got[0x0E], got[0x12], got[0x14], got[0x20]) == (
        300,
        500,
        1000,
        3000,
        600,
        700,
        100,
    )
    assert dali_memory.values(lamp, 207) == {4: 50, 5: 30, 6: 5000}
    with pytest.raises(NoReply):
        dali_memory.values(lamp, 204)
    line.check()


def test_mask_and_tmask_are_no_values() -> None:
    line, lamp, _ = remember(b202=Bank(bytes.fromhex("0f00ff01 aa00000000000a 00fffffffe"), latch=True))
    assert dali_memory.values(lamp, 202) == {4: None, 0x0B: None}
    line.check()


def test_the_latch_keeps_a_value_whole() -> None:
    """Power that carries into the next byte while it is read."""
    count = itertools.count(0x00FFFB00, 0x101)
    live = lambda gear: {0x0C: next(count).to_bytes(4, "big")}  # noqa: E731
    line, lamp, gear = remember(b202=Bank(ENERGY, latch=True, live=live))
    power = dali_memory.values(lamp, 202)[0x0B] // 1000
    assert power - 0x00FFFB00 in range(0, 0x1000, 0x101)
    assert gear.banks[202].content[2] == 0xFF  # let go
    line.check()


def test_live_values() -> None:
    gear = DaliGear(5, rated_w=50.0, standby_w=1.0, types=(6, 50, 51, 52))
    line = Line(gear)
    lamp = Gear(line.bus, 5)
    lamp.set(500)
    line.port.advance(3_600_000_000)
    got = dali_memory.values(lamp, 202)
    assert got[0x0B] == pytest.approx(gear.power_w * 1000, abs=60)
    assert got[4] == pytest.approx(gear.energy_wh * 1000, rel=0.01)
    got = dali_memory.values(lamp, 206)
    assert got[0x0E] == pytest.approx(3601, abs=3) and got[7] == 1 and got[0x16] == 0
    gear.lamp = "open"
    assert dali_memory.values(lamp, 206)[0x1A] == 1
    line.check()


def test_a_frame_lost_while_a_bank_is_read_gives_nothing_or_the_truth() -> None:
    """Power changes all the time, so that a lost latch would show."""
    count = itertools.count(0x00FFFF00, 0x101)
    line, lamp, _ = remember(
        b202=Bank(ENERGY, latch=True, live=lambda gear: {0x0C: next(count).to_bytes(4, "big")})
    )
    raised = 0
    for n, fault in itertools.product(range(1, 45), ("answer", "frame")):
        out: dict[int, Any] = {}
        frames = len(line.frames)
        try:
            for _ in dali_memory.steps(lamp, 202, out):
                # Counted in exchanges: each frame and each answer of the whole reading is lost once.
                if fault == "answer" and len(line.frames) - frames == n:
                    line.chip.faults.append(LOST)
                elif fault == "frame" and len(line.frames) - frames == n:
                    line.chip.deaf = 1
        except BusError:
            raised += 1
            assert out == {}
        else:
            assert out[4] == 10_000_000 and (out[0x0B] // 1000 - 0x00FFFF00) % 0x101 == 0
        line.chip.faults.clear()
        line.chip.deaf = 0
    assert raised >= 20
    assert dali_memory.values(lamp, 202)[4] == 10_000_000
    line.check()


# Commissioning


def commission(*gears: DaliGear, seed: int = 1, **options: Any) -> tuple[Line, list[int]]:
    line = Line(*gears, seed=seed)
    found = dali_commission.address_all(line.bus, clock=line.clock, **options)
    line.check()
    return line, found


@pytest.mark.parametrize("seed", range(4))
def test_five_new_gears(seed: int) -> None:
    gears = [DaliGear() for _ in range(5)]
    line, found = commission(*gears, seed=seed)
    assert found == [0, 1, 2, 3, 4] and sorted(g.short or 0 for g in gears) == found
    for gear in gears:
        Gear(line.bus, gear.short).set(0)
        assert gear.level == 0
    # In the order of their random addresses, and none takes part any longer.
    assert [g.short for g in sorted(gears, key=lambda g: g.random)] == found
    assert line.bus.ask(0xA900) is False
    print(f"{line.port.now_us / 1e6:.1f} s, {len(line.frames)} frames")


def test_gear_that_has_an_address_keeps_it() -> None:
    gears = [DaliGear(0), DaliGear(), DaliGear(2), DaliGear()]
    _, found = commission(*gears)
    assert found == [1, 3] and sorted(g.short or 0 for g in gears) == [0, 1, 2, 3]
    assert (gears[0].short, gears[2].short) == (0, 2)
    _, found = commission(*gears, everyone=True)
    assert found == [0, 1, 2, 3] and sorted(g.short or 0 for g in gears) == found


def test_extreme_and_equal_random_addresses() -> None:
    gears = [DaliGear(randoms=(0,)), DaliGear(randoms=(0xFFFFFE,)), DaliGear(randoms=(1,))]
    _, found = commission(*gears)
    assert found == [0, 1, 2] and [g.short for g in gears] == [0, 2, 1]
    # Two of the same: both draw again.
    gears = [
        DaliGear(randoms=(0x123456, 7)),
        DaliGear(randoms=(0x123456, 9)),
        DaliGear(randoms=(0x654321, 5)),
    ]
    _, found = commission(*gears)
    assert sorted(g.short if g.short is not None else -1 for g in gears) == found == [0, 1, 2]


def test_too_few_addresses() -> None:
    gears = [DaliGear() for _ in range(3)]
    with pytest.raises(DriverError) as caught:
        commission(*gears, free=[10, 11])
    assert caught.value.args == ("free",)
    assert sorted(g.short if g.short is not None else 99 for g in gears) == [10, 11, 99]


def test_search_survives_noise() -> None:
    gears = [DaliGear() for _ in range(3)]
    line = Line(*gears)
    found: list[int] = []
    free = [4, 5, 6]
    for i, _ in enumerate(dali_commission.Commission(line.bus, free, clock=line.clock).steps(found)):
        if i in (20, 90, 150):
            line.chip.deaf = 1
    assert sorted(g.short if g.short is not None else -1 for g in gears) == found == free
    line.check()


def test_new_gear_answers_nothing_it_should_not() -> None:
    """Outside of INITIALISE, after WITHDRAW and TERMINATE, and for another device type."""
    gear = DaliGear(5)
    line = Line(gear)
    for frame in (0xA900, 0xB90B, 0xBB00, 0x0BEE, 0x0BFF, 0x0BAF, 0x0DC5, 0xCD00):
        assert line.bus.ask(frame) is False, hex(frame)
    line.bus.twice(0xA500)
    line.bus.send(0xAB00, 1)  # random and search address are equal in a new gear
    assert line.bus.ask(0xA900) is False
    line.bus.twice(0xA500)
    assert line.bus.ask(0xA900) is True and line.bus.query(0xBB00) == 0x0B
    line.port.advance(15 * 60 * 1_000_000)
    assert line.bus.ask(0xA900) is False
    line.check()
