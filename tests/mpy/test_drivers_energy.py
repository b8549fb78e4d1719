"""Energy meters on a UART, frames worked out by hand from the data sheets; no model, 32-bit safe."""

from firmware.drivers.bl0942 import BL0942
from firmware.drivers.cse7766 import CSE7766
from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from tests.mpy.support import raises
from tests.mpy.ticks import Micros


class Clock(Micros):
    """From just before both counters wrap; looking takes a microsecond."""

    look_us = 1

    def __init__(self):
        super().__init__(0x3FFFFF00 * 1000)


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
