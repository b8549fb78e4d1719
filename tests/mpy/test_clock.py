"""Monotonic and wire time with a tick counter that wraps as the ESP32's does, at 2^30 ms."""

import time

from firmware import clock as clock_module
from firmware.clock import EPOCH_GPS, Clock, from_platform, to_platform
from firmware.protocols.cbor import WireError
from tests.mpy.support import raises
from tests.mpy.ticks import Ticks

_PERIOD = 1 << 30


def make(start=0):
    ticks = Ticks(start)
    return ticks, Clock(ticks.ticks_ms, ticks.ticks_diff)


NOON = EPOCH_GPS + 28000000


def test_monotonic_past_the_wrap_of_ticks():
    ticks, clock = make(_PERIOD - 1000)
    for day in range(0, 60, 5):
        ticks.ms = _PERIOD - 1000 + day * 86400000
        assert clock.now_ms() == day * 86400000
    assert clock.now_ms() > 2 * _PERIOD
    before = clock.now_ms()
    for _ in range(5):
        assert clock.now_ms() == before


def test_no_time_at_first():
    _, clock = make()
    assert clock.quality == 0 and clock.wire() is None and clock.wire_ms() == 0


def test_wire_time_runs_on():
    ticks, clock = make(_PERIOD - 5)
    clock.set(2, NOON, 250)
    assert clock.wire() == 28000000 and clock.wire_ms() == 28000000250
    ticks.ms += 900
    assert clock.wire() == 28000001 and clock.wire_ms() == 28000001150
    assert clock.wire_ms(0) == 28000000250
    assert clock.until_gps_ms(NOON + 2) == 850 and clock.until_gps_ms(NOON) == -1150


def test_time_echo_delayed_119_and_121_seconds():
    ticks, clock = make()
    ticks.ms = 500000
    clock.echo(NOON, 10, 119000)
    assert clock.wire() == 28000119 and clock.quality == 2 and clock.uncertainty_ms == 119000
    _, clock = make()
    assert raises(WireError, clock.echo, NOON, 10, 121000).args[0] == "time_too_old"
    assert clock.quality == 0
    assert raises(WireError, clock.echo, NOON, 10, -1).args[0] == "time_too_old"
    clock.echo(NOON, 0, 120000)
    assert raises(WireError, clock.echo, NOON, 10, 120001).args[0] == "time_too_old"


def test_quality_2_steps_back_are_obeyed_and_counted():
    _, clock = make()
    clock.set(2, NOON)
    clock.set(2, NOON + 86400 * 365)
    assert clock.generation == 0
    clock.set(2, NOON)
    assert clock.wire() == 28000000 and clock.generation == 1
    clock.set(2, NOON, -999)
    assert clock.generation == 1, "less than the resolution of wire time"
    clock.set(2, NOON - 1, -999)
    assert clock.generation == 2 and clock.quality == 2


def test_quality_1_moves_quality_2_by_two_seconds_and_drift():
    ticks, clock = make()
    clock.set(2, NOON)
    ticks.ms += 400000
    now = NOON + 400
    # 2 s + 50 ppm of 400 s = 2020 ms.
    clock.set(1, now, 2020)
    assert clock.wire_ms() == 28000400000 + 2020 and clock.quality == 2
    assert raises(WireError, clock.set, 1, now, 2021).args[0] == "time_too_old"
    clock.set(1, now, -2020)
    assert clock.wire_ms() == 28000400000 - 2020 and clock.quality == 2
    raises(WireError, clock.set, 1, now, -2021)
    raises(WireError, clock.set, 1, NOON + 86400)


def test_quality_1_cannot_walk_a_quality_2_clock_away():
    _, clock = make()
    clock.set(2, NOON)
    for _ in range(100):
        try:
            clock.set(1, EPOCH_GPS + clock.wire(), clock.wire_ms() % 1000 + 1500)
        except WireError:
            pass
    assert clock.wire_ms() - 28000000000 <= 2000
    assert clock.generation == 0


def test_quality_1_alone():
    _, clock = make()
    clock.floor_s = 27000000
    assert raises(WireError, clock.set, 1, EPOCH_GPS + 26999999).args[0] == "time_too_old"
    clock.set(1, NOON, 0, 5000)
    assert clock.quality == 1 and clock.wire() == 28000000 and clock.uncertainty_ms == 5000
    clock.echo(NOON - 86400 * 30, 0, 50)
    assert clock.quality == 2 and clock.wire() == 28000000 - 86400 * 30 and clock.generation == 1


def test_platform_epoch_of_both_kinds():
    real = clock_module.time

    class Platform:
        def __init__(self, year):
            self.year = year

        def gmtime(self, seconds):
            return (self.year, 1, 1, 0, 0, 0, 5, 1)

    try:
        clock_module.time = Platform(1970)
        assert to_platform(0) == 1767225600 and from_platform(1767225600) == 0
        clock_module.time = Platform(2000)
        assert to_platform(0) == 820540800 and from_platform(820540800) == 0
        # A leap second after 2026 makes UTC one second less.
        assert to_platform(100, 19) == 820540899 and from_platform(820540899, 19) == 100
    finally:
        clock_module.time = real


def test_this_interpreters_own_epoch():
    utc = time.gmtime(to_platform(0))
    assert tuple(utc)[:6] == (2026, 1, 1, 0, 0, 0)
    assert EPOCH_GPS == 1767225600 - 315964800 + 18
