"""The external pulse counter's driver on a bus of bytes, under both interpreters. Its model: tests/host."""

from firmware.drivers.errors import BusError, ChipError
from firmware.drivers.pcf8593 import PCF8593
from tests.mpy.support import raises


class Bus:
    """Sixteen registers of a part that counts; `fails` next transfers end in an OSError."""

    def __init__(self):
        self.fails = 0
        self.supply()

    def supply(self):
        """It was without, and is as after a power-on."""
        self.d = bytearray(b"\x00\x00\x00\x00\x00\x01\x01\x00" + b"\x5c" * 8)

    def _go(self, address):
        assert address == 0x51
        if self.fails:
            self.fails -= 1
            raise OSError(19)

    def readfrom_mem_into(self, address, register, into):
        self._go(address)
        for i in range(len(into)):
            into[i] = self.d[register + i]

    def writeto_mem(self, address, register, data):
        self._go(address)
        for i in range(len(data)):
            self.d[register + i] = data[i]

    def pulse(self, n):
        if self.d[0] & 0xF0 == 0x20:
            digits = "%06d" % ((self.total() + n) % 1000000)
            for i in (1, 2, 3):
                self.d[i] = int(digits[6 - 2 * i : 8 - 2 * i], 16)

    def total(self):
        return int("%02x%02x%02x" % (self.d[3], self.d[2], self.d[1]))


def begun(life=77):
    bus = Bus()
    driver = PCF8593(bus)
    driver.begin(life)
    return bus, driver


def why(error, call, *args):
    found = raises(error, call, *args).args
    assert found[0] == "pcf8593"
    return found[1]


def test_it_counts_and_goes_on_from_a_reading():
    bus, driver = begun()
    assert driver.update() == 0
    for step in (1, 99, 12345):
        bus.pulse(step)
        driver.update()
    assert driver.count == 12445 and driver.reading() == 12445 and driver.read() == 12445
    other = PCF8593(bus)
    other.go_on(12400, 77)
    assert other.update() == 45
    bus.pulse(999999)
    assert why(ChipError, other.update) == "back", "a round less one cannot be told from a step back"
    bus.pulse(3)
    assert other.update() == 48


def test_both_counts_turn_over():
    bus, driver = begun(0x3FFFFFFF)
    bus.pulse(999998)
    driver.go_on(999998, 0x3FFFFFFF)
    bus.pulse(4)
    assert driver.read() == 2 and driver.update() == 4
    driver.count = 0x3FFFFFFE
    bus.pulse(3)
    assert driver.update() == 1


def test_a_part_without_supply_and_another_life_are_lost():
    bus, driver = begun()
    bus.pulse(500)
    bus.supply()
    assert why(ChipError, driver.update) == "lost" and driver.life == 0
    bus, driver = begun()
    driver.go_on(0, 78)
    assert why(ChipError, driver.update) == "lost" and driver.life == 77
    # Any bit of the number, its check, the mode.
    for i in (0, 9, 10, 11, 12, 13, 14):
        for bit in (4, 16, 128):
            bus, driver = begun()
            bus.d[i] ^= bit
            assert why(ChipError, driver.update) == "lost", i
    # The flags of a timer that nobody uses say nothing.
    bus, driver = begun()
    bus.d[0] |= 3
    assert driver.update() == 0


def test_what_is_no_answer_is_a_bus_error():
    for data in (bytes(16), b"\xff" * 16, b"\x20\x0a" + bytes(14), b"\x20\x00\xa0" + bytes(13)):
        bus, driver = begun()
        bus.d[:] = data
        assert why(BusError, driver.update) == "data"
    bus, driver = begun()
    bus.fails = 1
    assert why(BusError, driver.update) == 19
    assert driver.update() == 0


def test_a_begin_that_is_cut_off_is_no_begin():
    for writes in range(4):
        bus, driver = begun()
        bus.pulse(9)
        left = [writes]
        put = bus.writeto_mem

        def failing(address, register, data, put=put, left=left):
            if not left[0]:
                raise OSError(5)
            left[0] -= 1
            put(address, register, data)

        bus.writeto_mem = failing
        if writes == 3:
            driver.begin(78)
            assert driver.update() == 0 and driver.life == 78
            continue
        assert why(BusError, driver.begin, 78) == 5
        if writes:
            assert why(ChipError, driver.read) == "lost", "it stands still"
        else:
            assert driver.read() == 9 and driver.life == 77
