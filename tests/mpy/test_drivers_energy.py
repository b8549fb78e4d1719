"""Energy drivers on frames worked out by hand from the data sheets' formulas; no model, 32-bit safe."""

from firmware.drivers.bl0942 import BL0942
from firmware.drivers.cse7766 import CSE7766
from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.drivers.hlw8012 import HLW8012
from firmware.drivers.ina219 import INA219
from firmware.drivers.modbus_meter import SDM630, ModbusMeter, crc16, value
from tests.mpy.support import heap_locked, raises


class Clock:
    """ticks as on 32-bit ports, from just before both wrap; looking takes a microsecond."""

    def __init__(self, ms=0x3FFFFF00):
        self.us = ms * 1000

    def ticks_us(self):
        self.us += 1
        return self.us & 0x3FFFFFFF

    def ticks_ms(self):
        self.us += 1
        return self.us // 1000 & 0x3FFFFFFF

    def ticks_diff(self, a, b):
        return (a - b + 0x20000000 & 0x3FFFFFFF) - 0x20000000

    def sleep_ms(self, ms):
        self.us += ms * 1000

    def sleep_us(self, us):
        self.us += us


class Uart:
    """Answers each write with the next of `answers`; `data` waits at once."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.data = b""
        self.sent = []

    def any(self):
        return len(self.data)

    def readinto(self, into):
        n = min(len(into), len(self.data))
        into[:n] = self.data[:n]
        self.data = self.data[n:]
        return n or None

    def write(self, data):
        self.sent.append(bytes(data))


class Asked(Uart):
    """An answer takes a look at the clock to arrive: it is not there when the request has just been sent."""

    def __init__(self, *answers):
        Uart.__init__(self, *answers)
        self.wait = 0

    def write(self, data):
        Uart.write(self, data)
        self.wait = 3

    def any(self):
        if self.wait:
            self.wait -= 1
            if not self.wait and self.answers:
                self.data += self.answers.pop(0)
        return len(self.data)


# BL0942: 23 bytes. 1 A is 251213, 230 V is 3650790, 200 W is 119200; 50 Hz is 20000.


def frame(amps=251213, volts=3650790, watts=119200, count=0, period=20000, head=0x58):
    f = b"\x55"
    for x in (amps, volts, amps, watts & 0xFFFFFF, count):
        f += bytes((x & 255, x >> 8 & 255, x >> 16))
    f += bytes((period & 255, period >> 8, 0, 0, 0, 0))
    return f + bytes((~(head + sum(f)) & 0xFF,))


def bl(*frames, **options):
    return BL0942(Asked(*frames), clock=Clock(), **options)


def test_bl0942_frame_by_hand():
    # The same frame written out: 0x03D54D, 0x37B4E6, 0x01D1A0, 0x4E20.
    f = bytes.fromhex("554dd503e6b4374dd503a0d101000000204e00000000")
    assert frame()[:22] == f
    assert frame()[22] == ~(0x58 + sum(f)) & 0xFF
    d = bl(frame())
    d.read()
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (230000, 1000, 200000)
    assert d.frequency_mhz == 50000
    assert d.energy_mwh == 0
    assert d._uart.sent == [b"\x58\xaa"]


def test_bl0942_address():
    d = bl(frame(head=0x5B), address=3)
    d.read()
    assert d._uart.sent == [b"\x5b\xaa"]
    # The answer of another part on the line.
    raises(BusError, bl(frame(head=0x58), address=3).read)
    assert raises(ConfigError, BL0942, None, 4).args[0] == "address"


def test_bl0942_negative_and_full_scale():
    d = bl(frame(watts=-119200), frame(amps=0xFFFFFF, volts=0xFFFFFF, watts=0x7FFFFF, period=0))
    d.read()
    assert d.power_mw == -200000
    d.read()
    # 16777215 / 251213 A, / 15873 V; 8388607 / 596 W.
    assert (d.current_ma, d.voltage_mv, d.power_mw) == (66785, 1056966, 14074844)
    assert d.frequency_mhz is None


def test_bl0942_energy():
    # A count is 1638.4 * 256 / 596 / 3600 Wh = 0.195484 Wh.
    d = bl(frame(count=100), frame(count=1100), frame(count=1100), energy_mwh=5)
    d.read()
    assert d.energy_mwh == 5
    d.read()
    assert d.energy_mwh == 195483 + 5
    d.read()
    assert d.energy_mwh == 195483 + 5
    assert d.count == 1100


def test_bl0942_wrap_and_restart():
    d = bl(frame(count=0xFFFF00), frame(count=0x100), frame(count=0x200000), frame(count=3))
    d.read()
    d.read()
    assert d.energy_mwh == 512 * 195483967 // 1000000
    d.read()
    before = d.energy_mwh
    d.read()  # the part was off and has counted 3
    assert d.energy_mwh - before in (586, 587)


def test_bl0942_ppm():
    d = bl(frame(), v_ppm=10000, i_ppm=-10000, p_ppm=25000)
    d.read()
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (232300, 990, 205000)


def test_bl0942_damage():
    good = frame()
    d = bl(good[:-1] + b"\0", good[:20], b"", good)
    assert raises(BusError, d.read).args == ("bl0942", "sum")
    assert raises(BusError, d.read).args == ("bl0942", "short")
    assert raises(BusError, d.read).args == ("bl0942", "timeout")
    assert d.voltage_mv is None
    d.read()
    assert d.voltage_mv == 230000


# CSE7766


class Stream(Uart):
    """A frame at each third look, as the part sends them."""

    def __init__(self, *frames):
        Uart.__init__(self, *frames)
        self.looks = 0

    def any(self):
        self.looks += 1
        if not self.looks % 3 and self.answers:
            self.data += self.answers.pop(0)
        return len(self.data)


# Of a real plug, published: coefficients 194400, 16400, 5351000, cycles 939, 155741, 256495.
PLUG = bytes.fromhex("555a02f7600003ab00401002605d51a65803e9ef710b7a36")


def plug(head=0x55, done=0x71, pulses=0x0B7A):
    f = bytearray(PLUG)
    f[0] = head
    f[20] = done
    f[21] = pulses >> 8
    f[22] = pulses & 255
    f[23] = sum(f[2:23]) & 0xFF
    return bytes(f)


def cse(*frames, **options):
    return CSE7766(Stream(*frames), clock=Clock(), **options)


def test_cse7766_published_frame():
    assert plug() == PLUG
    d = cse(PLUG)
    d.read()
    # 194400/939 V, 16400/155741 A, 5351000/256495 W.
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (207029, 105, 20862)
    assert d.frequency_mhz is None


def test_cse7766_below_range_is_zero():
    d = cse(PLUG, plug(0xF2, 0x41))
    d.read()
    d.read()
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (207029, 0, 0)


def test_cse7766_unfinished_keeps_the_last():
    d = cse(plug(done=0x41), plug(), plug(done=1, pulses=0x0B7B), plug(done=1, pulses=0x0B7B))
    raises(NotReady, d.read)
    assert d.voltage_mv == 207029
    d.read()
    d.read()
    assert d.power_mw == 20862
    # No pulse since: nothing flows.
    d.read()
    assert d.power_mw == 0


def test_cse7766_faults():
    d = cse(plug(0xAA), plug(0xF1), plug(0xF8), PLUG[:-1] + b"\0", PLUG)
    for head in (0xAA, 0xF1, 0xF8):
        assert raises(ChipError, d.read).args == ("cse7766", head)
    d.read()  # the next frame is good
    assert d.power_mw == 20862
    assert raises(BusError, d.read).args == ("cse7766", "timeout")
    d._uart.answers = [PLUG[:-1] + b"\0"]
    assert raises(BusError, d.read).args == ("cse7766", "sum")


def test_cse7766_finds_the_frame():
    d = cse(PLUG[7:] + PLUG[:5], PLUG[5:] + PLUG)
    d.read()
    assert d.power_mw == 20862
    d = cse(b"\x55\x55\x5a\x55" + PLUG)
    d.read()
    assert d.power_mw == 20862


def test_cse7766_energy():
    # A pulse is 5.351 J: 1000 of them 1486.4 mWh; the counter has 16 bits.
    d = cse(plug(pulses=0xFF00), plug(pulses=0x02E8), plug(pulses=0x02E8), energy_mwh=7)
    d.read()
    assert d.energy_mwh == 7
    d.read()
    assert d.energy_mwh == 1486 + 7
    d.read()
    assert d.energy_mwh == 1486 + 7


def test_cse7766_ppm():
    d = cse(PLUG, v_ppm=100000, i_ppm=100000, p_ppm=-100000)
    d.read()
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (227732, 116, 18776)


# HLW8012


class Pin:
    IRQ_RISING = 2

    def __init__(self):
        self.handler = None
        self.levels = []

    def irq(self, handler, trigger=0):
        assert handler is None or trigger == 2
        self.handler = handler

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


# INA219


class I2c:
    def __init__(self, shunt, bus):
        self.shunt = shunt
        self.bus = bus
        self.writes = []
        self.error = None

    def writeto_mem(self, address, register, data):
        if self.error:
            raise OSError(self.error)
        self.writes.append((address, register, bytes(data)))

    def readfrom_mem_into(self, address, register, into):
        v = (self.shunt if register == 1 else self.bus) & 0xFFFF
        into[0] = v >> 8
        into[1] = v & 255


def ina(shunt, bus, **options):
    clock = Clock()
    return INA219(I2c(shunt, bus), clock=clock, **options), clock


def test_ina219_by_hand():
    # 50 mV over 0.1 Ohm, 12 V: 5000 and 3000 << 3 with CNVR.
    d, clock = ina(5000, 3000 << 3 | 2)
    start = clock.us
    d.read()
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (12000, 500, 6000)
    assert d.energy_mwh is None and d.frequency_mhz is None
    # 32 V, PGA 8, 16 samples of both (1100), triggered; then power-down.
    assert d._i2c.writes == [(0x40, 0, b"\x3e\x63"), (0x40, 0, b"\x38\x00")]
    assert clock.us - start >= 2 * 8510
    d._i2c.shunt = -12345
    d.read()
    assert (d.current_ma, d.power_mw) == (-1234, -14814)
    assert ina(0, 0, average=7)[0]._average == 7


def test_ina219_full_scale_and_ppm():
    d, _ = ina(31999, 8000 << 3 | 2, shunt_uohm=10000, v_ppm=-100000, i_ppm=100000)
    d.read()
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (28800, 35199, 1013728)


def test_ina219_faults():
    d, clock = ina(32000, 3000 << 3 | 2)
    assert raises(ChipError, d.read).args == ("ina219", "over")
    d._i2c.shunt = 5000
    d._i2c.bus = 3000 << 3
    assert raises(BusError, d.read).args == ("ina219", "timeout")
    d._i2c.bus = 0xFFFF
    assert raises(BusError, d.read).args == ("ina219", "bus")
    d._i2c.bus = 3000 << 3 | 2
    d._i2c.error = 19
    assert raises(BusError, d.read).args == ("ina219", 19)
    assert d.voltage_mv is None
    d._i2c.error = None
    d.read()
    assert d.voltage_mv == 12000
    raises(ConfigError, INA219, None, 0x3F)
    raises(ConfigError, INA219, None, 0x40, -1)


# Modbus


def crc(f):
    c = crc16(f, len(f))
    return f + bytes((c & 255, c >> 8))


def test_modbus_crc():
    # Modbus over Serial Line 6.2.2.
    assert crc(b"\x02\x07") == b"\x02\x07\x41\x12"
    # Common examples on the net: read 10 registers; read two.
    assert crc(b"\x01\x03\x00\x00\x00\x0a") == b"\x01\x03\x00\x00\x00\x0a\xc5\xcd"
    assert crc(b"\x01\x04\x00\x00\x00\x02") == b"\x01\x04\x00\x00\x00\x02\x71\xcb"


def test_modbus_values():
    h = bytes.fromhex
    assert value(h("43660000"), 0, 0, 3) == 230000
    assert value(h("00004366"), 0, 1, 3) == 230000
    assert value(h("c3660000"), 0, 0, 3) == -230000
    assert value(h("3dcccccd"), 0, 0, 3) == 100
    assert value(h("00000000"), 0, 0, 6) == 0
    assert value(h("80000000"), 0, 0, 6) == 0
    assert value(h("00000001"), 0, 0, 6) == 0
    assert value(h("7fc00000"), 0, 0, 3) is None
    assert value(h("ff800000"), 0, 0, 3) is None
    # 16777216 kWh needs 34 bits as mWh.
    assert value(h("4b800000"), 0, 0, 6) == 16777216000000
    assert value(h("0000ffff"), 0, 2, 0) == 65535
    assert value(h("fffeffff"), 0, 3, 2) == -200
    assert value(h("fffffffe"), 0, 2, 2) == -200
    assert value(h("7fffffff"), 0, 2, 0) is None
    assert value(h("fffe"), 0, 4, 0) == -2
    assert value(h("7fff"), 0, 4, 0) is None


# 230.5 V, 231 V, -; 1.5 A, 2 A, 0; 300 W, -450 W, 0.
BLOCK1 = "43668000 43670000 00000000 3fc00000 40000000 00000000 43960000 c3e10000 00000000".replace(" ", "")
# -150 W at 52, 50 Hz at 70, 12345.5 kWh at 72.
BLOCK2 = "c3160000" + "00" * 32 + "42480000" + "4640e600"


def answers():
    return crc(b"\x01\x04\x24" + bytes.fromhex(BLOCK1)), crc(b"\x01\x04\x2c" + bytes.fromhex(BLOCK2))


def meter(*replies, **options):
    return ModbusMeter(Asked(*replies), clock=Clock(), **options)


def test_modbus_sdm630():
    levels = []
    d = meter(*answers(), de=levels.append)
    d.read()
    assert d.phase_mv == [230500, 231000, 0]
    assert d.phase_ma == [1500, 2000, 0]
    assert d.phase_mw == [300000, -450000, 0]
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (153833, 3500, -150000)
    assert d.frequency_mhz == 50000
    assert d.energy_mwh == 12345500000
    assert levels == [1, 0, 1, 0]
    assert d._uart.sent == [crc(b"\x01\x04\x00\x00\x00\x12"), crc(b"\x01\x04\x00\x34\x00\x16")]


def test_modbus_timing():
    """At 9600 baud 3.5 characters before, 8 and one more with DE up."""
    d = meter(answers()[0])
    clock = d._clock
    times = []
    d._de = lambda level: times.append(clock.us)
    start = clock.us
    d.registers(0, 18)
    assert times[0] - start >= 3646
    assert 8333 <= times[1] - times[0] <= 8333 + 3646


def test_modbus_refusals():
    a, b = answers()
    d = meter(crc(b"\x01\x84\x02"))
    assert raises(ChipError, d.read).args == ("modbus", 2)
    for reply, word in (
        (b"", "timeout"),
        (a[:3], "short"),
        (a[:-1], "short"),
        (a[:-1] + b"\0", "crc"),
        (b"\x01\x84\x02\0\0", "crc"),
        (b"\x02" + a[1:], "frame"),
        (b"\x01\x03" + a[2:], "frame"),
        (b, "frame"),
    ):
        d = meter(reply, a, b)
        assert raises(BusError, d.read).args == ("modbus", word), word
        assert d.voltage_mv is None and d.phase_mv == [None] * 3
        d.read()
        assert d.power_mw == -150000
    # Half a reading changes nothing.
    d = meter(a, a)
    raises(BusError, d.read)
    assert d.phase_mv == [None] * 3


def test_modbus_energy_never_falls():
    a, b = answers()
    less = crc(b"\x01\x04\x2c" + bytes.fromhex(BLOCK2[:-8] + "3f800000"))
    more = crc(b"\x01\x04\x2c" + bytes.fromhex(BLOCK2[:-8] + "40000000"))
    d = meter(a, b, a, less, a, more)
    seen = []
    for _ in range(3):
        d.read()
        seen.append(d.energy_mwh)
    # Exchanged for a meter that stands at 1 kWh, then 2 kWh.
    assert seen == [12345500000, 12345500000, 12346500000]


def test_modbus_integer_map():
    # A meter with int16: 2301 tenths of a volt, total power int32, no frequency.
    table = (3, ((16, 4),), b"\x00\x00\x10\x04\x02" + b"\x09\x00\x11\x02\x03" + b"\x0a\x00\x13\x04\x02")
    d = meter(crc(b"\x05\x03\x08\x08\xfd\xff\xff\xff\xfe\x7f\xff"), meter=table, unit=5)
    d.read()
    assert d.phase_mv == [230100, None, None]
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (230100, None, -2000)
    assert d.frequency_mhz is None and d.energy_mwh is None
    assert d._uart.sent[0][:6] == b"\x05\x03\x00\x10\x00\x04"


def test_modbus_impossible_maps():
    for options in (
        {"unit": 248},
        {"meter": (5, ((0, 2),), b"")},
        {"meter": (4, (), b"")},
        {"meter": (4, ((0, 126),), b"")},
        {"meter": (4, ((0, 2),), b"123")},
    ):
        raises(ConfigError, lambda o=options: meter(**o))
    # A row that would reach over its block is left out.
    d = meter(crc(b"\x01\x04\x04\0\0\0\0"), meter=(4, ((0, 2),), b"\x09\x00\x01\x00\x03"))
    d.read()
    assert d.power_mw is None
    assert len(SDM630[2]) == 60
