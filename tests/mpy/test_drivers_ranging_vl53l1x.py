"""VL53L1X on canned registers: start, budgets, what is no distance, faults."""

from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.drivers.vl53l1x import VL53L1X
from tests.mpy.support import raises
from tests.mpy.ticks import Micros

# VL53L1X


class Regs:
    """A bus with registers; every second time it is asked the sensor is ready."""

    def __init__(self, status=9, mm=1000, stream=1):
        self.regs = {0x10F: b"\xea\xcc", 0xE5: b"\x03", 0xDE: b"\x00\x25"}
        self.result(status, mm, stream)
        self.log = []
        self.fail = None
        self.ready = True

    def result(self, status, mm, stream=1):
        self.regs[0x89] = bytes((status, 0, stream)) + b"\1" * 10 + bytes((mm >> 8, mm & 255))

    def readfrom_mem_into(self, addr, reg, into, addrsize=8):
        assert addr == 0x29 and addrsize == 16
        if reg == self.fail:
            raise OSError(19)
        data = bytes((2 | self.ready,)) if reg == 0x31 else self.regs[reg]
        for i in range(len(into)):
            into[i] = data[i]

    def writeto_mem(self, addr, reg, data, addrsize=8):
        assert addr == 0x29 and addrsize == 16
        if reg == self.fail:
            raise OSError(19)
        self.log.append((reg, bytes(data)))


def test_vl53l1x_start():
    bus = Regs()
    sensor = VL53L1X(bus, clock=Micros())
    assert bus.log == []
    assert 33 < sensor.start() < 60
    assert [r for r, _ in bus.log] == [0x87, 0x2D, 0x86, 0x87, 0x86]
    assert bus.log[0][1] == b"\0" and bus.log[3][1] == b"\x40" and bus.log[2][1] == b"\1" == bus.log[4][1]
    config = bus.log[1][1]
    assert len(config) == 0x88 - 0x2D
    at = [config[r - 0x2D] for r in (0x30, 0x46, 0x4B, 0x60, 0x63, 0x69, 0x78, 0x79, 0x7A, 0x7B, 0x87)]
    assert at == [1, 0x20, 0x14, 7, 5, 0x38, 7, 5, 6, 6, 0]
    assert config[0x5E - 0x2D : 0x60 - 0x2D] == b"\x00\xd6"
    assert config[0x61 - 0x2D : 0x63 - 0x2D] == b"\x00\x6e"
    # 37 ms of 37 * 1.075 ticks.
    assert int.from_bytes(config[0x6C - 0x2D : 0x70 - 0x2D], "big") == 1471


def test_vl53l1x_budgets():
    for long, ms, a, b in (
        (False, 15, 0x1D, 0x27),
        (False, 500, 0x591, 0x5C1),
        (True, 20, 0x1E, 0x22),
        (True, 500, 0x48F, 0x4A4),
    ):
        bus = Regs()
        VL53L1X(bus, long=long, budget_ms=ms, clock=Micros()).start()
        config = bus.log[1][1]
        assert int.from_bytes(config[0x31:0x33], "big") == a
        assert int.from_bytes(config[0x34:0x36], "big") == b
        assert config[0x4B - 0x2D] == (0x0A if long else 0x14)
    for long, ms in ((True, 15), (False, 30), (False, 0)):
        assert raises(ConfigError, lambda m, n: VL53L1X(Regs(), long=m, budget_ms=n), long, ms).args == (
            "budget_ms",
        )


def test_vl53l1x_status():
    bus = Regs()
    sensor = VL53L1X(bus, clock=Micros())
    kinds = {9: 1234, 0: NotReady, 18: NotReady}
    for s in (4, 5, 6, 7, 8, 12, 13):
        kinds[s] = None
    for s in (1, 2, 3, 17):
        kinds[s] = ChipError
    for s in range(32):
        # The upper bits say whether thresholds were passed.
        bus.result(s | 0xE0, 1234)
        want = kinds.get(s, BusError)
        if want in (NotReady, ChipError, BusError):
            args = raises(want, sensor.read_mm).args
            assert args[0] == "vl53l1x" and (want is NotReady or args[1] == s)
        else:
            assert sensor.read_mm() == want
        assert sensor.status == s
        assert bus.log.pop() == (0x86, b"\1")  # ready for the next one in every case


def test_vl53l1x_never_a_false_distance():
    bus = Regs()
    sensor = VL53L1X(bus, clock=Micros())
    bus.result(9, 1234, 0)  # no wrap check yet
    raises(NotReady, sensor.read_mm)
    for mm in (4001, 8190, 8191, 65535):
        bus.result(9, mm)
        raises(BusError, sensor.read_mm)
    bus.regs[0x89] = b"\xff" * 15
    raises(BusError, sensor.read_mm)
    bus.ready = False
    bus.log.clear()
    raises(NotReady, sensor.read_mm)
    assert bus.log == []


def test_vl53l1x_faults():
    for reg in (0x10F, 0xE5, 0x87, 0xDE, 0x2D, 0x86, 0x31):
        bus = Regs()
        sensor = VL53L1X(bus, clock=Micros())
        bus.fail = reg
        assert raises(BusError, sensor.start).args == ("vl53l1x", reg)
        sensor.stop()  # raises nothing
        bus.fail = None
        sensor.start()
        assert sensor.read_mm() == 1000
    for reg in (0x31, 0x89, 0x86):
        bus.fail = reg
        assert raises(BusError, sensor.read_mm).args == ("vl53l1x", reg)
        bus.fail = None
        assert sensor.read_mm() == 1000


def test_vl53l1x_other_part_and_timeouts():
    bus = Regs()
    bus.regs[0x10F] = b"\xee\xaa"
    clock = Micros()
    assert raises(ChipError, VL53L1X(bus, clock=clock).start).args == ("vl53l1x", 0xEEAA)
    bus.regs[0x10F] = b"\xea\xcc"
    bus.ready = False
    assert raises(BusError, VL53L1X(bus, clock=clock).start).args == ("vl53l1x", 0x31)
    assert clock.us < 100000
    bus.regs[0xE5] = b"\0"
    assert raises(BusError, VL53L1X(bus, clock=clock).start).args == ("vl53l1x", 0xE5)


def test_vl53l1x_shutdown_pin():
    levels = []
    bus = Regs()
    clock = Micros()
    sensor = VL53L1X(bus, levels.append, clock=clock)
    assert levels == [0]
    sensor.start()
    assert levels == [0, 1] and clock.us >= 1200
    n = len(bus.log)
    sensor.stop()
    assert levels == [0, 1, 0] and len(bus.log) == n
    sensor = VL53L1X(bus, clock=clock)
    sensor.stop()
    assert bus.log[-1] == (0x87, b"\0")
