"""Drivers of parts on I2C and 1-Wire under both interpreters: registers by hand, faults, no allocation."""

import math

from firmware.drivers.ads1115 import ADS1115, Channel
from firmware.drivers.atecc608 import ATECC608, crc16
from firmware.drivers.ds18b20 import DS18B20
from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.drivers.lis3dh import LIS3DH, angle
from firmware.drivers.pressure import Pressure
from tests.mpy.support import heap_locked, raises
from tests.mpy.ticks import Ticks


class Registers:
    """An I2C part of byte registers that count up, auto-increment bit 0x80 ignored."""

    def __init__(self, data):
        self.data = data
        self.written = []
        self.fail = 0

    def readfrom_mem_into(self, address, register, into):
        if self.fail:
            self.fail -= 1
            raise OSError(19)
        register &= 0x7F
        for i in range(len(into)):
            into[i] = self.data[register + i]

    def writeto_mem(self, address, register, data):
        if self.fail:
            self.fail -= 1
            raise OSError(5)
        self.written.append((address, register, bytes(data)))
        register &= 0x7F
        for i in range(len(data)):
            self.data[register + i] = data[i]


def tilted():
    data = bytearray(0x40)
    data[0x0F] = 0x33
    bus = Registers(data)
    clock = Ticks()
    return bus, clock, LIS3DH(bus, 0x19, clock=clock)


def measure(bus, x, y, z):
    bus.data[0x27] = 0x0F
    for i, v in enumerate((x, y, z)):
        v = v << 4 & 0xFFFF
        bus.data[0x28 + 2 * i] = v & 0xFF
        bus.data[0x29 + 2 * i] = v >> 8


def test_tilt_start():
    bus, clock, sensor = tilted()
    assert sensor.start() == 800
    # 10 Hz, three axes; block data update and high resolution at 2 g.
    assert bus.written == [(0x19, 0xA0, b"\x27\x00\x00\x88\x00")]
    measure(bus, 0, 0, 1000)
    assert raises(NotReady, sensor.read).args == ("lis3dh", "start")
    clock.ms += 800
    assert sensor.read() == [0, 0, 1000]
    assert sensor.start() == 0
    # After deep sleep it still measures.
    again = LIS3DH(bus, clock=clock)
    assert again.start() == 0
    assert again.read() == [0, 0, 1000]
    assert len(bus.written) == 1


def test_tilt_values():
    bus, clock, sensor = tilted()
    clock.ms = sensor.start()
    for values in ([2047, -2048, 0], [-1, 1, -1000], [350, -350, 1000]):
        measure(bus, *values)
        assert sensor.read() == values
    bus.data[0x27] = 0
    assert raises(NotReady, sensor.read).args == ("lis3dh", "sample")


def test_tilt_faults():
    bus, clock, sensor = tilted()
    clock.ms = sensor.start()
    measure(bus, 10, 20, 1000)
    bus.fail = 1
    assert raises(BusError, sensor.read).args == ("lis3dh", 19)
    assert sensor.read() == [10, 20, 1000]
    bus.data[0x2A] |= 1  # not a 12-bit value
    assert raises(BusError, sensor.read).args == ("lis3dh", "data")
    measure(bus, 10, 20, 1000)
    bus.data[0x20] = 7
    assert raises(BusError, sensor.read).args == ("lis3dh", "setup")
    bus.data[0x0F] = 0xFF
    assert raises(ChipError, sensor.start).args == ("lis3dh", 0xFF)
    bus.fail = 1
    raises(BusError, sensor.stop)


def test_tilt_angles_hold_in_small_floats():
    for degrees in range(0, 181, 3):
        r = degrees * math.pi / 180
        a = (0, round(1000 * math.sin(r)), round(1000 * math.cos(r)))
        assert angle(a, (0, 0, 1000)) == degrees, degrees
        assert angle((0, 0, -3), (a[0], -a[1], -a[2])) == degrees, degrees


def test_tilt_angles_in_space():
    for a, b in (
        ((100, 200, 300), (-300, 100, 200)),
        ((900, -100, 50), (850, 20, -300)),
        ((1, 2, 3), (3, 2, 1)),
    ):
        dot = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
        lengths = math.sqrt(a[0] ** 2 + a[1] ** 2 + a[2] ** 2) * math.sqrt(b[0] ** 2 + b[1] ** 2 + b[2] ** 2)
        assert abs(angle(a, b) - math.acos(dot / lengths) * 180 / math.pi) < 0.51


def test_tilt_is_of_rest_only():
    bus, clock, sensor = tilted()
    clock.ms = sensor.start()
    measure(bus, 0, 500, 866)
    assert sensor.tilt((0, 0, 1000)) == 30
    for x in (0, 800, 1200):
        measure(bus, x, 0, 0)
        assert raises(NotReady, sensor.tilt, (0, 0, 1000)).args == ("lis3dh", "moving")


def test_tilt_reads_without_allocating():
    bus, clock, sensor = tilted()
    clock.ms = sensor.start()
    measure(bus, -100, 20, -990)
    assert sensor.read() == heap_locked(sensor.read)


class Converter:
    """ADS1115's four registers of 16 bits; `busy`: how often the conversion is still running when asked."""

    def __init__(self, code):
        self.code = code
        self.config = 0x8583
        self.busy = 0
        self.fail = 0

    def _fail(self):
        if self.fail:
            self.fail -= 1
            raise OSError(110)

    def writeto_mem(self, address, register, data):
        self._fail()
        assert (address, register) == (0x48, 1)
        self.config = data[0] << 8 | data[1]

    def readfrom_mem_into(self, address, register, into):
        self._fail()
        value = self.code
        if register == 1:
            value = self.config & 0x7FFF
            if self.busy:
                self.busy -= 1
            else:
                value |= 0x8000
        into[0] = value >> 8
        into[1] = value & 0xFF


def test_adc():
    bus = Converter(0x4000)
    clock = Ticks()
    adc = ADS1115(bus, clock=clock)
    # Data sheet: half of full scale at 4000, AIN1 against ground, single shot, 128 per second, no comparator.
    assert adc.read_uv(1, 2048) == 1024000
    assert bus.config == 0x8000 | 5 << 12 | 2 << 9 | 0x0183
    assert clock.ms == 9
    for range_mv, uv in ((6144, 3072000), (4096, 2048000), (1024, 512000), (512, 256000), (256, 128000)):
        assert adc.read_uv(0, range_mv) == uv
    for code, uv in ((0x7FFF, 4095875), (0x8000, -4096000), (0xFFFF, -125), (0, 0), (1, 125)):
        bus.code = code
        assert adc.read_uv(3) == uv
    bus.code = 0x1F40
    assert Channel(adc, 2, 4096).read_uv() == 1000000


def test_adc_faults():
    bus = Converter(8000)
    clock = Ticks()
    adc = ADS1115(bus, clock=clock)
    bus.busy = 3
    assert adc.read_uv(0) == 1000000
    assert clock.ms == 12
    bus.busy = 100
    assert raises(BusError, adc.read_uv, 0).args == ("ads1115", "busy")
    bus.busy = 0
    bus.fail = 1
    assert raises(BusError, adc.read_uv, 0).args == ("ads1115", 110)
    assert adc.read_uv(0) == 1000000
    for bad in (-1, 4):
        assert raises(ConfigError, adc.read_uv, bad).args == ("channel",)
    assert raises(ConfigError, adc.read_uv, 0, 5000).args == ("range_mv",)

    read = bus.readfrom_mem_into
    for which in range(3):
        # The question whether it is done, the result, the result again.
        left = [which]

        def fail(address, register, into, left=left):
            left[0] -= 1
            if left[0] == -1:
                raise OSError(19)
            read(address, register, into)

        bus.readfrom_mem_into = fail
        assert raises(BusError, adc.read_uv, 0).args == ("ads1115", 19)
        assert adc.read_uv(0) == 1000000
    bus.readfrom_mem_into = read

    def forget(address, register, data):
        pass

    bus.writeto_mem = forget
    bus.config = 0x8583
    assert raises(BusError, adc.read_uv, 0).args == ("ads1115", "setup")


class Adc:
    def __init__(self, uv):
        self.uv = uv

    def read_uv(self):
        return self.uv


def test_pressure():
    # 0.5-4.5 V behind 2:1, 1.6 MPa.
    adc = Adc(1250000)
    sender = Pressure(adc, 250000, 2250000, 1600000)
    assert sender.read_pa() == 800000
    for uv, pa in ((250000, 0), (2250000, 1600000), (200000, -40000), (2375000, 1700000)):
        adc.uv = uv
        assert sender.read_pa() == pa
    for uv, word in ((0, "open"), (199999, "open"), (2375001, "short"), (2500000, "short")):
        adc.uv = uv
        assert raises(ChipError, sender.read_pa).args == ("pressure", word)
    adc.uv = 1250000
    # A barometer: 15..115 kPa.
    assert Pressure(adc, 250000, 2250000, 115000, 15000).read_pa() == 65000


class Thermometers:
    """The call shape of ds18x20.DS18X20, and of its line."""

    def __init__(self, value):
        self.value = value
        self.scratch = b"\x00\x00\x4b\x46\x7f\xff\x0c\x10\x00"
        self.error = None
        self.roms = []
        self.ow = self
        self.level = 1

    def reset(self, required):
        self.convert_temp()

    def readbit(self):
        return self.level

    def crc8(self, data):
        crc = 0
        for byte in data:
            for i in range(8):
                crc = crc >> 1 ^ (0x8C if (crc ^ byte >> i) & 1 else 0)
        return crc

    def scan(self):
        return self.roms

    def convert_temp(self):
        if self.error:
            raise self.error

    def read_temp(self, rom):
        self.convert_temp()
        return self.value

    def read_scratch(self, rom):
        return self.scratch


class OneWireError(Exception):
    pass


def test_thermometer():
    ds = Thermometers(25.0625)
    clock = Ticks()
    sensor = DS18B20(ds, clock=clock)
    rom = b"\x28\x00\x00\x00\x00\x00\x00\x1e"
    assert raises(NotReady, sensor.read, rom).args == ("ds18b20", "start")
    assert sensor.start() == 750
    clock.ms = 749
    assert raises(NotReady, sensor.read, rom).args == ("ds18b20", "conversion")
    clock.ms = 750
    # Data sheet table 1, in tenths.
    for value, deci in (
        (25.0625, 251),
        (10.125, 101),
        (0.5, 5),
        (-0.5, -5),
        (-10.125, -101),
        (-25.0625, -251),
    ):
        ds.value = value
        assert sensor.read(rom) == deci, value
    ds.value = 125.0
    assert sensor.read(rom) == 1250
    ds.value = -55.0
    assert sensor.read(rom) == -550
    ds.value = 0.0
    assert sensor.read(rom) == 0
    ds.scratch = bytes(9)
    assert raises(BusError, sensor.read, rom).args == ("ds18b20", "low")


def test_thermometer_power_on_value():
    ds = Thermometers(85.0)
    clock = Ticks()
    sensor = DS18B20(ds, clock=clock)
    clock.ms = sensor.start()
    assert raises(BusError, sensor.read, b"a").args == ("ds18b20", "power-on")
    ds.value = 81.0
    assert sensor.read(b"a") == 810
    ds.value = 85.0
    assert sensor.read(b"a") == 850
    assert raises(BusError, sensor.read, b"b").args == ("ds18b20", "power-on")
    for ds.value in (-127.0, None, 125.5):
        assert raises(BusError, sensor.read, b"a").args == ("ds18b20", "range")


def test_thermometer_errors():
    ds = Thermometers(20.0)
    clock = Ticks()
    sensor = DS18B20(ds, clock=clock)
    clock.ms = sensor.start()
    ds.error = OneWireError("Presence")
    assert raises(BusError, sensor.read, b"a").args == ("ds18b20", "presence")
    ds.error = Exception("CRC error")
    assert raises(BusError, sensor.read, b"a").args == ("ds18b20", "crc")
    assert raises(BusError, sensor.start).args[0] == "ds18b20"
    assert raises(NotReady, sensor.read, b"a").args == ("ds18b20", "start")
    # Maxim AN 27: 02 1C B8 01 00 00 00 A2.
    assert ds.crc8(b"\x02\x1c\xb8\x01\x00\x00\x00") == 0xA2
    body = b"\x28\xff\x64\x1e\x0f\x16\x03"
    good = body + bytes((ds.crc8(body),))
    ds.roms = [bytearray(good), body + b"\x00", b"\x10" + good[1:], bytes(8)]
    ds.error = OneWireError()
    assert raises(BusError, sensor.scan).args == ("ds18b20", "presence")
    ds.error = None
    assert sensor.scan() == [good]
    ds.level = 0
    assert raises(BusError, sensor.scan).args == ("ds18b20", "low")


class Element:
    """An ATECC608 that answers from a list, each after `busy` refusals."""

    def __init__(self, answers):
        self.answers = answers
        self.sent = []
        self.busy = 0
        self.open_line = False

    def writeto(self, address, data):
        data = bytes(data)
        self.sent.append((address, data))
        if address == 0:
            raise OSError(19)
        return len(data)

    def readfrom_into(self, address, into):
        if self.busy or not self.answers:
            self.busy -= 1
            if self.open_line:
                for i in range(len(into)):
                    into[i] = 0xFF
                return
            raise OSError(19)
        answer = self.answers.pop(0)
        for i in range(len(into)):
            into[i] = answer[i] if i < len(answer) else 0xFF


WAKE = b"\x04\x11\x33\x43"


def framed(data):
    f = bytes((len(data) + 3,)) + data
    crc = crc16(f)
    return f + bytes((crc & 0xFF, crc >> 8))


def test_element_crc():
    # Data sheet: the answer to a wake; the packet of Info.
    assert framed(b"\x11") == WAKE
    assert crc16(b"\x07\x30\x00\x00\x00") == 0x5D03


def test_element_dialogue():
    signature = bytes(range(64))
    bus = Element([WAKE, framed(b"\0"), framed(signature)])
    clock = Ticks()
    element = ATECC608(bus, clock=clock)
    digest = bytes(range(100, 132))
    assert element.sign(digest, 3) == signature
    nonce = b"\x27\x16\x03\x00\x00" + digest
    sign = b"\x07\x41\x80\x03\x00"
    assert bus.sent == [
        (0x60, b"\x01"),
        (0, b"\0"),
        (0x60, b"\x03" + nonce + bytes((crc16(nonce) & 0xFF, crc16(nonce) >> 8))),
        (0x60, b"\x03" + sign + bytes((crc16(sign) & 0xFF, crc16(sign) >> 8))),
        (0x60, b"\x01"),
    ]
    bus.answers = [WAKE, framed(b"\0\0\x60\2")]
    bus.sent.clear()
    assert element.info() == b"\0\0\x60\2"
    assert bus.sent[2] == (0x60, b"\x03\x07\x30\x00\x00\x00\x03\x5d")
    assert raises(ConfigError, element.sign, b"short").args == ("digest",)


def test_element_waits_with_an_end():
    clock = Ticks()
    for open_line in (False, True):
        bus = Element([])
        bus.open_line = open_line
        element = ATECC608(bus, clock=clock)
        clock.ms = 0x3FFFFFF0  # the ticks wrap meanwhile
        assert raises(BusError, element.info).args == ("atecc608", "busy")
        assert clock.ms - 0x3FFFFFF0 < 60
        bus.answers = [WAKE, framed(b"\0\0\x60\2")]
        bus.busy = 3
        assert element.info()[2] == 0x60


def test_element_errors():
    clock = Ticks()
    for answer, kind, args in (
        (framed(b"\x03"), ChipError, ("atecc608", 3)),
        (framed(b"\x0f"), ChipError, ("atecc608", 15)),
        (framed(b"\xff"), BusError, ("atecc608", 0xFF)),
        (framed(b"\xee"), NotReady, ("atecc608", 0xEE)),
        (framed(b"\0"), BusError, ("atecc608", "count")),
        (framed(b"\0\0\0\0\0"), BusError, ("atecc608", "count")),
        (framed(b"\0\0\x60\2")[:-1] + b"\0", BusError, ("atecc608", "crc")),
        (b"\0", BusError, ("atecc608", "count")),
    ):
        element = ATECC608(Element([WAKE, answer]), clock=clock)
        assert raises(kind, element.info).args == args
        assert element._i2c.sent[-1] == (0x60, b"\x01")  # put to sleep all the same


def test_element_own_wake():
    pulses = []
    bus = Element([WAKE, framed(b"\0\0\x60\2")])
    assert ATECC608(bus, wake=lambda: pulses.append(1), clock=Ticks()).info()[2] == 0x60
    assert pulses == [1] and bus.sent[0][0] == 0x60
    # Awake from before: put to sleep, woken again.
    bus = Element([framed(b"\0\0\x60\2"), WAKE, framed(b"\0\0\x60\2")])
    assert ATECC608(bus, clock=Ticks()).info()[2] == 0x60
    assert [a for a, _ in bus.sent] == [0x60, 0, 0x60, 0, 0x60, 0x60]
    bus = Element([framed(b"\0"), framed(b"\0"), WAKE, framed(b"\0\0\x60\2")])
    assert raises(BusError, ATECC608(bus, clock=Ticks()).info).args == ("atecc608", "wake")


def test_element_locks():
    for data, locks in (
        (b"\0\0\0\0", (True, True)),
        (b"\0\0\x55\0", (True, False)),
        (b"\0\0\x55\x55", (False, False)),
    ):
        assert ATECC608(Element([WAKE, framed(data)]), clock=Ticks()).locked() == locks
    # Not locked it gives this instead of random bytes.
    bus = Element([WAKE, framed(b"\xff\xff\0\0" * 8)])
    assert raises(ChipError, ATECC608(bus, clock=Ticks()).random).args == ("atecc608", "unlocked")
    luck = b"\xff\xff\0\0" + bytes(range(28))
    assert ATECC608(Element([WAKE, framed(luck)]), clock=Ticks()).random() == luck
    zone = bytes(range(32))
    assert ATECC608(Element([WAKE, framed(zone)]), clock=Ticks()).serial() == b"\0\1\2\3\x08\x09\x0a\x0b\x0c"
