"""Energy as pulses: HLW8012 and BL0937, worked out by hand from the data sheet; no model, 32-bit safe."""

from firmware.drivers.errors import ConfigError, NotReady
from firmware.drivers.hlw8012 import HLW8012
from tests.mpy.support import heap_locked, raises
from tests.mpy.test_drivers_energy import Clock
from tests.mpy.ticks import Rising

# HLW8012


class Pin(Rising):
    """`levels`: what it was told."""

    def __init__(self):
        super().__init__()
        self.levels = []

    def __call__(self, level):
        self.levels.append(level)


def pulses(**options):
    clock = Clock()
    cf = Pin()
    cf1 = Pin()
    sel = Pin()
    return HLW8012(cf, cf1, sel, clock=clock, **options), cf, cf1, sel, clock


def beat(clock, pin, n, us):
    for _ in range(n):
        clock.us += us
        if pin.handler:
            pin.handler(pin)


def test_hlw8012_power():
    d, cf, _, _, clock = pulses()
    raises(NotReady, d.read)
    beat(clock, cf, 101, 100000)  # 10 Hz
    d.read()
    # 10.3436 W/Hz
    assert abs(d.power_mw - 103436) <= 11
    assert d.energy_mwh == 101 * 10343612 // 3600000
    beat(clock, cf, 50, 50000)
    d.read()
    assert abs(d.power_mw - 206872) <= 100
    assert d.frequency_mhz is None


def test_hlw8012_stops():
    d, cf, _, _, clock = pulses()
    beat(clock, cf, 20, 100000)
    d.read()
    clock.us += 4000000
    d.read()
    assert d.power_mw <= 10343612 // 3999
    clock.us += 7000000
    d.read()
    assert d.power_mw == 0
    # The first pulse after the pause ends no period.
    clock.us += 3600000000
    beat(clock, cf, 11, 100000)
    d.read()
    assert abs(d.power_mw - 103436) <= 110


def test_hlw8012_cf1():
    d, cf, cf1, sel, clock = pulses()
    assert sel.levels == [True]
    beat(clock, cf, 3, 100000)
    d.read()
    assert d.voltage_mv is None
    # Within a second of the change: nonsense, and discarded.
    clock.us = clock.us // 1000 * 1000
    for _ in range(60):
        beat(clock, cf1, 1, 10000)
    clock.us += 500000
    beat(clock, cf1, 310, 1774)  # 563 Hz: 1776 us with two looks at the clock
    assert cf1.handler is None
    d.read()
    # 0.40864 V/Hz: 230.1 V
    assert abs(d.voltage_mv - 230089) <= 20
    assert sel.levels == [True, False] and d.current_ma is None
    clock.us += 1000000
    beat(clock, cf1, 8, 144844)  # 6.904 Hz, 0.014484 A/Hz
    d.read()
    assert d.current_ma in (99, 100)
    assert sel.levels == [True, False, True]
    # Nothing on CF1 for the whole of zero_ms: 0, not the last.
    clock.us += 11500000
    d.read()
    assert d.voltage_mv == 0


def test_hlw8012_slow_cf1_and_a_late_reading():
    """A pulse each 50 s is less than the part measures; microseconds wrap in the half hour until `read`."""
    d, cf, cf1, _, clock = pulses()
    beat(clock, cf, 3, 100000)
    beat(clock, cf1, 30, 50000000)
    beat(clock, cf, 3, 100000)
    d.read()
    assert d.voltage_mv == 0
    # Two within the ten seconds, the others later: those two.
    clock.us += 1100000
    beat(clock, cf1, 2, 4000000)
    beat(clock, cf1, 30, 50000000)
    d.read()
    assert d.current_ma == 3  # 14484 uA / 4 s


def test_hlw8012_ppm_and_sel():
    d, cf, _, sel, clock = pulses(p_ppm=-100000, sel_volts=0, energy_mwh=1000)
    assert sel.levels == [False]
    beat(clock, cf, 101, 100000)
    d.read()
    assert abs(d.power_mw - 93092) <= 10
    assert d.energy_mwh == 1000 + 101 * 9309250 // 3600000
    raises(ConfigError, lambda: pulses(v_ppm=300001))
    raises(ConfigError, lambda: pulses(scale=(1, 0, 1)))


def test_hlw8012_handlers_allocate_nothing():
    d, cf, cf1, _, clock = pulses()

    class Quiet:
        def ticks(self):
            return 5000

    d._ms = d._us = Quiet().ticks
    d._diff = lambda a, b: 5000
    on_cf = cf.handler
    on_cf1 = cf1.handler
    heap_locked(lambda: on_cf(None))
    heap_locked(lambda: on_cf(None))
    heap_locked(lambda: on_cf1(None))
    heap_locked(lambda: on_cf1(None))
    assert (d._n, d._k) == (2, 2)
