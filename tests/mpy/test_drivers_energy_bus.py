"""INA219 and the Modbus meter on registers worked out by hand from their data sheets; no model, 32-bit safe."""

from firmware.drivers.errors import BusError, ChipError, ConfigError
from firmware.drivers.ina219 import INA219
from firmware.drivers.modbus_meter import SDM630, ModbusMeter, crc16, value
from tests.mpy.support import raises
from tests.mpy.test_drivers_energy import Asked, Clock

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
