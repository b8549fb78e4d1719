"""Drivers that count by interrupts, over the wrap of `ticks_ms`: after 6.2 days a difference is negative."""

from firmware.drivers.hlw8012 import HLW8012
from firmware.drivers.pulse import PulseCounter
from tests.mpy.ticks import Pin, Rising, Ticks

DAY = 86400000
# Half of the wrap is 6.21 days, the whole 12.43.
DAYS = (0, 1, 6, 6.5, 7, 9, 12, 12.4, 13, 20, 26)


def closure(contact, clock):
    contact.set(0)
    clock.ms += 500
    contact.set(1)
    clock.ms += 500


def test_pulse_counts_the_first_closure_after_days():
    for looked in (False, True):
        for days in DAYS:
            clock = Ticks()
            contact = Pin(1)
            counter = PulseCounter(contact, clock=clock)
            closure(contact, clock)
            closure(contact, clock)
            for _ in range(int(days * 24)):
                clock.ms += 3600000
                if looked:
                    counter.update()
            for n in range(3, 6):
                closure(contact, clock)
                assert counter.count == n, (days, looked)


def test_pulse_still_debounces_after_days():
    clock = Ticks()
    contact = Pin(1)
    counter = PulseCounter(contact, clock=clock)
    clock.ms += 8 * DAY
    for level in (0, 1, 0, 1, 0):
        contact.set(level)
        clock.ms += 2
    assert counter.count == 1
    clock.ms += 500
    for level in (1, 0, 1, 0, 1):
        contact.set(level)
        clock.ms += 2
    assert counter.count == 1


def burn(clock, cf, seconds):
    """10 Hz, 103.4 W."""
    for _ in range(seconds * 10):
        clock.ms += 100
        if cf.handler:
            cf.handler(cf)


def test_hlw8012_measures_again_after_days_without_a_pulse():
    for every in (1, 24):  # hours between two readings
        for days in DAYS[1:]:
            clock = Ticks()
            cf = Rising()
            d = HLW8012(cf, Rising(), Pin(), clock=clock)
            burn(clock, cf, 10)
            d.read()
            assert abs(d.power_mw - 103436) <= 110
            before = d.energy_mwh
            for _ in range(int(days * 24) // every):
                clock.ms += every * 3600000
                d.read()
                assert d.power_mw == 0, days
            for k in range(1, 4):
                burn(clock, cf, 60)
                d.read()
                assert abs(d.power_mw - 103436) <= 110, (days, k)
            assert abs(d.energy_mwh - before - 1800 * 10343612 // 3600000) <= 1
            clock.ms += 11000
            d.read()
            assert d.power_mw == 0


def test_hlw8012_not_read_for_days():
    """Between 6.2 and 12.4 days of dim light the time since the last reading has the wrong sign."""
    for days in (7, 12):
        clock = Ticks()
        cf = Rising()
        d = HLW8012(cf, Rising(), Pin(), clock=clock)
        burn(clock, cf, 10)
        d.read()
        for _ in range(days * 8640):
            clock.ms += 10000  # 1.03 W
            cf.handler(cf)
        d.read()
        for _ in range(5):
            clock.ms += 10000
            cf.handler(cf)
        d.read()
        assert abs(d.power_mw - 1034) <= 2, days
        assert abs(d.energy_mwh - (100 + days * 8640 + 5) * 10343612 // 3600000) <= 1


def test_hlw8012_turns_sel_after_days_without_a_reading():
    for days in (1, 7, 12):
        clock = Ticks()
        cf = Rising()
        cf1 = Rising()
        d = HLW8012(cf, cf1, Pin(), clock=clock)
        burn(clock, cf, 10)
        d.read()
        clock.ms += days * DAY
        d.read()  # at the latest here CF1's old times are over
        clock.ms += 1100
        burn(clock, cf1, 5)
        d.read()
        assert abs(d.current_ma - 145) <= 2, days  # 14484 uA per Hz
