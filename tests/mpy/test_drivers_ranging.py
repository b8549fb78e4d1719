"""Distance sensors beside A02YYUW and VL53L1X: canned bytes and pulses, damaged input, limits, no allocation."""

from firmware.drivers.errors import BusError, NotReady
from firmware.drivers.hcsr04 import HCSR04, JSNSR04T, distance_mm
from firmware.drivers.maxbotix import MaxBotix
from firmware.drivers.tfluna import TFLuna
from tests.mpy.support import heap_locked, raises
from tests.mpy.ticks import Micros


class Uart:
    def __init__(self, data=b""):
        self.data = data
        self.most = 1000

    def any(self):
        return len(self.data)

    def readinto(self, into):
        n = min(len(into), len(self.data), self.most)
        into[:n] = self.data[:n]
        self.data = self.data[n:]
        return n or None


class Quiet:
    """A UART whose bytes cost no heap."""

    def __init__(self, data):
        self.data = data
        self.n = len(data)

    def any(self):
        return self.n

    def readinto(self, into):
        for i in range(self.n):
            into[i] = self.data[i]
        n = self.n
        self.n = 0
        return n


# Trigger and echo


class Echo:
    """The sensor's two legs and time_pulse_us: what it will answer is `us`."""

    def __init__(self, us=5882, part=HCSR04):
        self.clock = Micros()
        self.us = us
        self.level = 0
        self.held_up = 0
        self.asked = None
        self.levels = []
        self.sensor = part(self.trigger, self.echo, self.pulse, clock=self.clock)

    def trigger(self, level):
        self.levels.append((self.clock.us, level))
        if not level:
            self.clock.us += self.held_up

    def echo(self):
        return self.level

    def pulse(self, pin, level, timeout):
        assert pin == self.echo and level == 1
        self.asked = timeout
        self.clock.us += 450 + max(self.us, 0)
        return self.us

    def read(self):
        self.clock.us += 200000
        return self.sensor.read_mm()


def test_sound_speed():
    # 2 m of way at 331.3 + 0.606 T m/s, by hand: 325.24, 331.3, 343.42, 355.54 m/s.
    for ddegc, us in ((-100, 6149), (0, 6037), (200, 5824), (400, 5625)):
        assert distance_mm(us, ddegc) == 1000
    # What forgetting the temperature costs: 56 mm too much at -10 degC, 34 too little at 40 degC.
    assert distance_mm(6149, 200) == 1056
    assert distance_mm(5625, 200) == 966
    # Every tenth of a degree; 3 mm at 4 m is 0.08 %.
    for ddegc in range(-300, 601):
        c = 331300 + 60.6 * ddegc
        assert abs(distance_mm(23000, ddegc) - 23000 * c / 2e6) < 0.9
    assert distance_mm(58000, 600) == 10662


def test_sound_needs_no_large_integers():
    us, ddegc = 58000, 600
    assert heap_locked(lambda: distance_mm(us, ddegc)) == 10662


def test_echo_limits():
    bench = Echo()
    for us, mm in ((117, 20), (110, None), (5824, 1000), (23877, 4100), (23890, None), (-1, None), (3, None)):
        bench.us = us
        assert bench.read() == mm, us
    # 4.1 m and back at 20 degC, not the 38 ms without an echo.
    assert 23877 <= bench.asked < 24000
    bench.sensor.temp_ddegc = -300
    bench.read()
    assert 26100 < bench.asked < 26300


def test_blind_zone():
    bench = Echo(1400, JSNSR04T)
    assert bench.read() is None  # 240 mm
    bench.us = 1457
    assert bench.read() == 250


def test_trigger():
    for part, us in ((HCSR04, 10), (JSNSR04T, 20)):
        bench = Echo(part=part)
        assert bench.levels == [(0, 0)]
        bench.read()
        assert bench.levels[1:] == [(200000, 1), (200000 + us, 0)]


def test_echo_cycle():
    bench = Echo()
    assert bench.sensor.start() == 0
    assert bench.read() == 1010
    end = bench.clock.us
    assert raises(NotReady, bench.sensor.read_mm).args == ("hcsr04",)
    wait = bench.sensor.start()
    assert 50 <= wait <= 61
    bench.clock.us = end + wait * 1000
    assert bench.sensor.read_mm() == 1010
    # The counter of milliseconds has 30 bits: what lies more than six days back is no recent reading.
    bench.clock.us += 1000 * 0x30000000
    assert bench.sensor.start() == 0
    assert bench.sensor.read_mm() == 1010


def test_echo_faults():
    bench = Echo()
    bench.level = 1
    assert raises(BusError, bench.read).args == ("hcsr04", "stuck")
    assert len(bench.levels) == 1  # not triggered
    bench.level = 0
    bench.us = -2
    assert raises(BusError, bench.read).args == ("hcsr04", "silent")
    bench.us = 5882
    bench.held_up = 400
    assert raises(BusError, bench.read).args == ("hcsr04", "late")
    bench.held_up = 20
    assert bench.read() == 1010


def switched(part, *args):
    """What the power pin sees of a start and a stop, and the wait."""
    levels = []
    sensor = part(*args, levels.append, 0)
    wait = sensor.start()
    sensor.stop()
    return levels, wait


def test_power_switches():
    bench = Echo()
    for levels, wait in (
        switched(HCSR04, bench.trigger, bench.echo, bench.pulse),
        switched(MaxBotix, Uart()),
        switched(TFLuna, Uart()),
    ):
        assert levels == [0, True]
        assert 250 < wait <= 1000
    uart = Uart(b"R1000\r" * 9)
    sensor = MaxBotix(uart)
    assert 361 <= sensor.start() <= 400 and uart.any() == 0
    sensor.stop()
    uart.data = b"\x59" * 90
    assert 11 <= TFLuna(uart).start() <= 30 and uart.any() == 0


# MaxBotix


def rounds(data, **options):
    return MaxBotix(Uart(data), **options).read_mm()


def test_maxbotix_frames():
    assert rounds(b"R1234\r") == 1234
    assert rounds(b"R0300\r") == 300
    assert rounds(b"R4999\r") == 4999
    assert rounds(b"R5000\r") is None
    assert rounds(b"R9998\r", max_mm=9999) == 9998
    assert rounds(b"R9999\r", max_mm=9999) is None
    assert rounds(b"R0000\r") is None
    assert rounds(b"R1234\rR2345\r") == 2345


def test_maxbotix_out_of_step():
    assert rounds(b"34\rR1234\r") == 1234
    assert rounds(b"R12R1234\r") == 1234
    assert rounds(b"HRXL-MaxSonar-WR\rR1234\r") == 1234
    assert rounds(b"R1234\rR99") == 1234
    # Stray bytes, anywhere.
    assert rounds(b"\xffR\xff1\xff2\xff\xff3\xff4\xff\r\xff") == 1234


def test_maxbotix_in_parts():
    uart = Uart(b"R12")
    sensor = MaxBotix(uart)
    raises(NotReady, sensor.read_mm)
    uart.data = b"34\rR5"
    assert sensor.read_mm() == 1234
    uart.data = b"67"
    raises(NotReady, sensor.read_mm)
    uart.data = b"8\r"
    assert sensor.read_mm() is None  # 5678, more than its 5 m
    uart.data = b"R1000\rR1001\r"
    uart.most = 1
    assert sensor.read_mm() == 1001


def test_maxbotix_damaged():
    for bad in (b"R123\r", b"R12345\r", b"R12x4\r", b"R\r", b"R1234R\r", b"R 123\r"):
        uart = Uart(bad)
        sensor = MaxBotix(uart)
        assert raises(BusError, sensor.read_mm).args == ("maxbotix", "frame"), bad
        uart.data = b"R2222\r"
        assert sensor.read_mm() == 2222
    for none in (b"", b"1234\r", b"Q1234\r", b"\xff\xff", b"R1234"):
        raises(NotReady, MaxBotix(Uart(none)).read_mm)


def test_start_forgets_half_a_frame():
    for part, frame, mm in ((MaxBotix, b"R1234\r", 1234), (TFLuna, luna(150, 1200), 1500)):
        uart = Uart(frame[:3])
        sensor = part(uart)
        raises(NotReady, sensor.read_mm)
        sensor.start()
        uart.data = frame[3:]
        raises(NotReady, sensor.read_mm)
        uart.data = frame
        assert sensor.read_mm() == mm


# TF-Luna


def luna(dist, amp, temp=0x0900, sum_=0):
    f = b"\x59\x59" + b"".join(bytes((x & 255, x >> 8)) for x in (dist, amp, temp))
    return f + bytes(((sum(f) + sum_) & 255,))


def test_tfluna_frames():
    # 1.5 m, amplitude 1200, 32 degC, summed by hand: 59+59+96+00+B0+04+00+09 = 205.
    frame = b"\x59\x59\x96\x00\xb0\x04\x00\x09\x05"
    sensor = TFLuna(Uart(frame))
    assert sensor.amp is None and sensor.temp_ddegc is None
    assert sensor.read_mm() == 1500
    assert sensor.amp == 1200
    assert sensor.temp_ddegc == 320
    assert TFLuna(Uart(luna(1503, 1200)), unit_mm=1).read_mm() == 1503
    assert TFLuna(Uart(luna(100, 500) + luna(200, 500))).read_mm() == 2000


def test_tfluna_temperature():
    # raw / 8 - 256: 2048 is 0, 1968 is -10, 2049 is 0.125 degC.
    for raw, ddegc in ((2048, 0), (1968, -100), (2049, 1), (2047, -2), (2648, 750)):
        sensor = TFLuna(Uart(luna(100, 500, raw)))
        sensor.read_mm()
        assert sensor.temp_ddegc == ddegc


def test_tfluna_amplitude_is_unsigned():
    for amp, mm in (
        (99, None),
        (100, 1000),
        (0x7FFF, 1000),
        (0x8000, 1000),
        (0xFFFE, 1000),
        (0xFFFF, None),
        (0, None),
    ):
        sensor = TFLuna(Uart(luna(100, amp)))
        assert sensor.read_mm() == mm, amp
        assert sensor.amp == amp


def test_tfluna_limits():
    for cm, mm in ((0, None), (19, None), (20, 200), (800, 8000), (801, None), (0xFFFF, None)):
        assert TFLuna(Uart(luna(cm, 500))).read_mm() == mm


def test_tfluna_out_of_step():
    good = luna(150, 1200)
    for before in (good[5:], b"\x59", b"\x59\x59\x59", b"\x59\x00", good[:7], b"\x59\x59\x01"):
        assert TFLuna(Uart(before + good)).read_mm() == 1500, before
    # The sum is right, the header is not.
    other = bytearray(luna(150, 1200))
    other[1] ^= 1
    other[8] ^= 1
    raises(NotReady, TFLuna(Uart(bytes(other))).read_mm)
    # A distance that looks like the header: 0x5959 mm is out of range, but it is in step.
    sensor = TFLuna(Uart(b"\x00" + luna(0x0259, 0x5959) + b"\x59"))
    assert sensor.read_mm() == 6010


def test_tfluna_in_parts():
    good = luna(150, 1200)
    uart = Uart(good[:4])
    sensor = TFLuna(uart)
    raises(NotReady, sensor.read_mm)
    uart.data = good[4:]
    assert sensor.read_mm() == 1500
    uart.data = good + luna(160, 1200)
    uart.most = 1
    assert sensor.read_mm() == 1600


def test_tfluna_damaged():
    uart = Uart(luna(150, 1200, sum_=1))
    sensor = TFLuna(uart)
    assert raises(BusError, sensor.read_mm).args == ("tfluna", "sum")
    assert sensor.amp is None
    raises(NotReady, sensor.read_mm)
    uart.data = luna(150, 1200)
    assert sensor.read_mm() == 1500


def test_read_without_allocating():
    assert heap_locked(MaxBotix(Quiet(b"R1234\r")).read_mm) == 1234
    assert heap_locked(TFLuna(Quiet(luna(150, 1200))).read_mm) == 1500
