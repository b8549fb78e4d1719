"""The DALI line: what the model takes and gives against IEC 62386's figures."""

import itertools
import math

import pytest

from firmware.drivers import dali_setup
from firmware.drivers.dali_gear import Gear
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.dali_bus import DaliBus, frame_of, halves, manchester
from hw.virtual.chips.dali_gear import DaliGear, fade_us
from tests.host.dali_bench import TE, Line


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
