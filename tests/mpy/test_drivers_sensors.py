"""The drivers of the first three kinds: data sheet examples, damaged input, lost edges, no allocation."""

from firmware.drivers.a02yyuw import A02YYUW, distance_mm
from firmware.drivers.battery import Supply
from firmware.drivers.dimmer_pwm import DimmerPWM
from firmware.drivers.errors import BusError, ConfigError, DriverError, NotReady
from firmware.drivers.pulse import PulseCounter
from tests.mpy.support import heap_locked, raises
from tests.mpy.ticks import Pin, Ticks


class Uart:
    def __init__(self, data=b""):
        self.data = bytes(data)
        self.most = 1000

    def any(self):
        return len(self.data)

    def readinto(self, into):
        n = min(len(into), len(self.data), self.most)
        into[:n] = self.data[:n]
        self.data = self.data[n:]
        return n or None


def read(data):
    return A02YYUW(Uart(data)).read_mm()


def test_range_data_sheet_example():
    # DFRobot: FF 07 A1 A7 is 1953 mm.
    assert read(b"\xff\x07\xa1\xa7") == 1953
    assert distance_mm(0x07, 0xA1) == 1953


def test_range_limits():
    assert distance_mm(0, 30) == 30
    assert distance_mm(0, 29) is None
    assert distance_mm(4500 >> 8, 4500 & 255) == 4500
    assert distance_mm(4501 >> 8, 4501 & 255) is None
    assert read(b"\xff\xff\xfd\xfb") is None  # no echo


def test_range_takes_the_newest_frame():
    assert read(b"\xff\x01\x00\x00\xff\x02\x00\x01") == 512


def test_range_finds_the_frame_in_noise():
    good = b"\xff\x07\xa1\xa7"
    assert read(b"\x07\xa1\xa7" + good) == 1953
    assert read(b"\xff\xff\xff" + good) == 1953
    assert read(b"\xff\x07" + good) == 1953
    # 511 mm: the data byte is a header byte too.
    assert read(b"\x00\xff\x01\xff\xff") == 511
    assert read(good + b"\xff\x07") == 1953


def test_range_frame_in_two_parts():
    uart = Uart(b"\xff\x07")
    sensor = A02YYUW(uart)
    raises(NotReady, sensor.read_mm)
    uart.data = b"\xa1\xa7"
    assert sensor.read_mm() == 1953
    uart.data = b"\xff\x07\xa1\xa7\xff\x02\x00\x01"
    uart.most = 1
    assert sensor.read_mm() == 512


def test_range_damaged_frames():
    uart = Uart(b"\xff\x07\xa1\xa8")
    sensor = A02YYUW(uart)
    assert raises(BusError, sensor.read_mm).args == ("a02yyuw", "sum")
    raises(NotReady, sensor.read_mm)
    uart.data = b"\xff\x07\xa1\xa7"
    assert sensor.read_mm() == 1953


def test_range_power_switch():
    levels = []
    uart = Uart(b"\xff\x07\xa1\xa7")
    sensor = A02YYUW(uart, levels.append, 0)
    assert sensor.start() >= 800
    assert uart.any() == 0  # what was sent before is gone
    sensor.stop()
    assert levels == [0, True]
    assert 300 <= A02YYUW(uart).start() < 400


def test_range_reads_without_allocating():
    class Quiet:
        def __init__(self):
            self.n = 4

        def any(self):
            return self.n

        def readinto(self, into):
            into[0] = 0xFF
            into[1] = 0x07
            into[2] = 0xA1
            into[3] = 0xA7
            self.n = 0
            return 4

    sensor = A02YYUW(Quiet())
    assert heap_locked(sensor.read_mm) == 1953


def pulses():
    clock = Ticks()
    contact = Pin(1)
    return PulseCounter(contact, debounce_ms=20, clock=clock), contact, clock


def test_pulse_counts_closures():
    counter, contact, clock = pulses()
    for _ in range(5):
        clock.ms += 500
        contact.set(0)
        clock.ms += 200
        contact.set(1)
    assert counter.count == 5
    assert counter.update() == 5


def test_pulse_first_closure_counts_at_once():
    counter, contact, _ = pulses()
    contact.set(0)
    assert counter.count == 1


def test_pulse_bounce_at_both_ends():
    counter, contact, clock = pulses()
    for n in range(1, 4):
        clock.ms += 500
        for level in (0, 1, 0, 1, 0):
            contact.set(level)
            clock.ms += 1
        assert counter.count == n
        clock.ms += 200
        for level in (1, 0, 1, 0, 1):
            contact.set(level)
            clock.ms += 1
        assert counter.count == n


def test_pulse_lost_edges():
    counter, contact, clock = pulses()
    clock.ms += 500
    contact.level = 0  # its interrupt is lost
    assert counter.count == 0
    assert counter.update() == 1
    clock.ms += 200
    contact.level = 1  # lost again: the next closure would look like the same one
    clock.ms += 500
    counter.update()
    clock.ms += 500
    contact.set(0)
    assert counter.count == 2
    # Interrupts that come twice count once.
    contact.handler(contact)
    assert counter.count == 2


def test_pulse_starts_closed():
    clock = Ticks()
    contact = Pin(1)
    contact.level = 0
    counter = PulseCounter(contact, clock=clock)
    assert counter.update() == 0
    clock.ms += 500
    contact.set(1)
    clock.ms += 500
    contact.set(0)
    assert counter.count == 1


def test_pulse_wraps_within_small_integers():
    clock = Ticks()
    contact = Pin(1)
    counter = PulseCounter(contact, count=0x3FFFFFFF, clock=clock)
    contact.set(0)
    assert counter.count == 0


def test_pulse_clock_wraps():
    counter, contact, clock = pulses()
    contact.set(0)
    clock.ms = 0x3FFFFFFA
    contact.set(1)
    clock.ms = 5  # 11 ms later
    contact.set(0)
    assert counter.count == 1
    contact.set(1)
    clock.ms = 30
    contact.set(0)
    assert counter.count == 2


def test_pulse_handler_allocates_nothing():
    _, contact, clock = pulses()
    handler = contact.handler
    clock.ms = 1000
    contact.level = 0
    heap_locked(lambda: handler(None))
    contact.level = 1
    heap_locked(lambda: handler(None))


def test_pulse_stop():
    counter, contact, _ = pulses()
    counter.stop()
    assert contact.handler is None


class Pwm:
    def __init__(self):
        self.duty = None

    def duty_u16(self, duty):
        self.duty = duty


def test_dimmer():
    pwm = Pwm()
    dimmer = DimmerPWM(pwm)
    # Open collector: the pin pulls down, so full light is a pin that never is high.
    dimmer.set(1000)
    assert pwm.duty == 0
    dimmer.set(0)
    assert pwm.duty == 65535
    dimmer.set(250)
    assert abs(pwm.duty - 49151) <= 1
    assert dimmer.permille == 250
    for bad in (-1, 1001):
        assert raises(ConfigError, dimmer.set, bad).args == ("permille",)
    assert dimmer.permille == 250
    DimmerPWM(pwm, full=1).set(1000)
    assert pwm.duty == 65535


class Adc:
    def __init__(self, uv):
        self.uv = uv
        self.connected = True

    def read_uv(self):
        return self.uv if self.connected else 0


def test_supply():
    # 390 kOhm over 100 kOhm: 3.92 V give 0.8 V.
    adc = Adc(800000)
    assert Supply(adc, 49, 10).read_mv() == 3920
    assert Supply(Adc(1900000), 2, 1).read_mv() == 3800


def test_supply_switch():
    adc = Adc(800000)
    clock = Ticks()
    levels = []

    def switch(level):
        levels.append(bool(level))
        adc.connected = not level

    supply = Supply(adc, 49, 10, switch, 0, clock=clock)
    assert not adc.connected
    assert supply.read_mv() == 3920
    assert clock.ms >= 5
    assert levels == [True, False, True]


def test_supply_not_believed():
    adc = Adc(0)
    supply = Supply(adc, 49, 10)
    assert raises(BusError, supply.read_mv).args == ("supply", 0)
    adc.uv = 800000
    assert supply.read_mv() == 3920
    raises(BusError, Supply(Adc(3100000), 49, 10, high_mv=15000).read_mv)


def test_one_base_class():
    for kind in (BusError, ConfigError, NotReady):
        assert issubclass(kind, DriverError)
