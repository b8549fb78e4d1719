"""The VL53L1X model in the conversations of drivers that are no Python packages: the MicroPython driver that many
copies go back to (re-den, PiicoDev) and Pololu's library after ST's full API, register by register."""

from typing import Any

import pytest

from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.vl53l1x import VALID, VL53L1X
from hw.virtual.testing import run_script

# 2D..87 as the first of them writes them, with its time-out 01DB and an automatic start.
BLOCK = bytes.fromhex(
    "0000000102000208000810010100000000ff000f0000000000200b0000020a21"
    "00000500000000c8000038ff010008000001db0f01f10d0168008008b8000000"
    "000f8900000000000000010f0d0e0e000002c7889b000000010140"
)


class Bus:
    """16-bit register indices at 400 kHz; a refused byte is an error."""

    def __init__(self, metres: Any = 1.0) -> None:
        self.model, self.port = VL53L1X(metres), ManualPort(3)
        self.model.attach(self.port)
        self.port.advance(2_000)

    def _go(self, data: bytes, n: int) -> None:
        self.port.advance((len(data) + n + 2) * 9_000 // 400)
        if not self.model.write(data):
            raise OSError("no answer")

    def put(self, reg: int, value: int, size: int = 1) -> None:
        self._go(reg.to_bytes(2, "big") + value.to_bytes(size, "big"), 0)

    def get(self, reg: int, size: int = 1) -> int:
        self._go(reg.to_bytes(2, "big"), size)
        return int.from_bytes(self.model.read(size), "big")


def test_micropython_driver_that_never_clears_the_interrupt() -> None:
    """On the virtual board, in its order and with its pauses; each result is of now."""
    model = VL53L1X(lambda us: 0.5 + us / 1e7)
    board = run_script(
        f"""
from machine import I2C, Pin
import time
i2c = I2C(0, scl=Pin(22), sda=Pin(21), freq=400000)
def write(reg, data):
    i2c.writeto_mem(0x29, reg, data, addrsize=16)
def word(reg):
    return int.from_bytes(i2c.readfrom_mem(0x29, reg, 2, addrsize=16), "big")
write(0, b"\\0")
time.sleep_ms(100)
write(0, b"\\1")
time.sleep_ms(1)
print(hex(word(0x10f)))
write(0x2d, {BLOCK!r})
time.sleep_ms(100)
write(0x1e, (word(0x22) * 4).to_bytes(2, "big"))
time.sleep_ms(200)
for _ in range(5):
    d = i2c.readfrom_mem(0x29, 0x89, 17, addrsize=16)
    print(d[0], (d[13] << 8) + d[14] - 500 - time.ticks_ms() // 10)
    time.sleep_ms(500)
""",
        10,
        chips={"laser": model},
        wiring={"laser": {"i2c": 0}},
    )
    assert board.failures == [] and model.violations == []
    assert board.console[0] == "0xeacc"
    found = [[int(x) for x in line.split()] for line in board.console[1:]]
    # The board's boot, and at most 100 ms + 45 ms old: 10 mm each 100 ms.
    assert len(found) == 5 and all(status == VALID for status, _ in found)
    late = [mm for _, mm in found]
    assert max(late) - min(late) <= 12 and model.lost >= 20


def test_default_block_reads_back_and_ranges_by_its_words() -> None:
    """01DB is in none of ST's tables: 439 macro periods of 97.6 us (API), 483 of 85.4, and 4.5 ms."""
    bus = Bus()
    assert bus.get(0x06, 2) == 0xBCCC
    for i, value in enumerate(BLOCK):
        bus.put(0x2D + i, value)
    assert bus.model.mode == "long"
    assert bus.model.budget_ms == pytest.approx(439 * 0.0976 + 483 * 0.0854 + 4.528, abs=0.05)
    bus.port.advance(90_000)
    assert bus.model.ranges == 0
    bus.port.advance(5_000)
    assert bus.model.ranges == 1
    bus.port.advance(1_000_000)
    assert bus.model.ranges == 11  # the default period is 100 ms
    assert bus.get(0x96, 2) == 1000 and bus.model.violations == []


#: VCSEL periods, phase and initial phase.
MODES = {
    "short": (0x07, 0x05, 0x38, 6),
    "medium": (0x0B, 0x09, 0x78, 10),
    "long": (0x0F, 0x0D, 0xB8, 14),
}


class Pololu:
    """What its `init`, `setDistanceMode`, `setMeasurementTimingBudget`, `readSingle` and `read` say to the part;
    nothing but these writes: 46, 30, 68 and most others stay as they are after power-on."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        assert bus.get(0x10F, 2) == 0xEACC
        bus.put(0, 0)
        bus.port.advance(100)
        bus.put(0, 1)
        bus.port.advance(1000)
        for _ in range(10):
            if bus.get(0xE5) & 1:
                break
        else:
            raise AssertionError("never booted")
        bus.put(0x2E, bus.get(0x2E) | 1)
        self.fast, self.osc = bus.get(0x06, 2), bus.get(0xDE, 2)
        bus.put(0x24, 0x0A00, 2)
        for reg, value in ((0x31, 2), (0x36, 8), (0x37, 16), (0x39, 1), (0x3E, 0xFF), (0x3F, 0), (0x40, 2)):
            bus.put(reg, value)
        for reg in (0x50, 0x52):
            bus.put(reg, 0, 2)
        bus.put(0x57, 0x38)
        bus.put(0x64, 360, 2)
        bus.put(0x66, 192, 2)
        for reg, value in ((0x71, 1), (0x7C, 1), (0x7E, 2), (0x82, 0), (0x77, 1), (0x81, 0x8B)):
            bus.put(reg, value)
        bus.put(0x54, 200 << 8, 2)
        bus.put(0x4F, 2)
        self.mode("long")
        self.budget(50_000)
        bus.put(0x1E, bus.get(0x22, 2) * 4, 2)
        self.vhv: tuple[int, int] | None = None

    def macro(self, vcsel: int) -> int:
        """In 1/4096 us, with its integers; never by zero."""
        return (2304 * ((1 << 30) // self.fast) >> 6) * (vcsel + 1 << 1) >> 6

    def mode(self, name: str) -> None:
        a, b, phase, initial = MODES[name]
        for reg, value in ((0x60, a), (0x63, b), (0x69, phase), (0x78, a), (0x79, b)):
            self.bus.put(reg, value)
        for reg in (0x7A, 0x7B):
            self.bus.put(reg, initial)

    def budget(self, us: int) -> None:
        def encoded(mclks: int) -> int:
            low, high = max(mclks - 1, 0), 0
            while low > 0xFF:
                low, high = low >> 1, high + 1
            return high << 8 | low

        half = (us - 4528) // 2
        for period, mm, timeout in ((0x60, 0x5A, 0x5E), (0x63, 0x5C, 0x61)):
            macro = self.macro(self.bus.get(period))
            if period == 0x60:
                self.bus.put(0x4B, min(((1000 << 12) + macro // 2) // macro, 0xFF))
            self.bus.put(mm, encoded(((1 << 12) + macro // 2) // macro), 2)
            self.bus.put(timeout, encoded(((half << 12) + macro // 2) // macro), 2)

    def start(self, period_ms: int) -> None:
        self.bus.put(0x6C, period_ms * self.osc, 4)
        self.bus.put(0x86, 1)
        self.bus.put(0x87, 0x40)

    def single(self) -> int:
        self.bus.put(0x86, 1)
        self.bus.put(0x87, 0x10)
        return self.read()

    def read(self) -> int:
        for _ in range(2000):
            if not self.bus.get(0x31) & 1:  # low is ready: polarity as it is after power-on
                break
            self.bus.port.advance(200)
        else:
            raise AssertionError("never ready")
        raw = self.bus.get(0x89, 17).to_bytes(17, "big")
        if self.vhv is None:
            self.vhv = self.bus.get(0x0B), self.bus.get(0x08)
            self.bus.put(0x0B, self.vhv[0] & 0x7F)
            self.bus.put(0x08, (self.vhv[1] & 3) + (3 << 2))
            self.bus.put(0x4D, 1)
            self.bus.put(0x47, self.bus.get(0xD8))
        spads, peak, ambient = (int.from_bytes(raw[i : i + 2], "big") for i in (3, 15, 7))
        assert spads and peak + ambient
        self.bus.put(0x54, min((0x0A00 << 16) // ((peak + ambient << 16) // spads), 0xFFFF), 2)
        self.bus.put(0x86, 1)
        assert raw[0] == VALID
        return int.from_bytes(raw[13:15], "big")

    def stop(self) -> None:
        self.bus.put(0x87, 0x80)
        self.bus.put(0x4D, 0)
        self.vhv = None


@pytest.mark.parametrize("mode", MODES)
def test_pololus_library_runs_through(mode: str) -> None:
    bus = Bus()
    part = Pololu(bus)
    part.mode(mode)
    for budget in (20_000, 33_000, 50_000, 140_000):
        part.budget(budget)
        bus.model.set_physical(0.777)
        begin = bus.port.now_us
        assert part.single() == 777
        assert bus.model.mode == mode
        assert bus.model.budget_ms == pytest.approx(budget / 1000, rel=0.01)
        assert bus.port.now_us - begin == pytest.approx(budget + 4_000, abs=2_500)
        ranges = bus.model.ranges
        bus.port.advance(1_000_000)
        assert bus.model.ranges == ranges and bus.port.current_ua < 10
    part.budget(20_000)
    part.start(50)
    for mm in (500, 600, 1100):
        bus.model.set_physical(mm / 1000)
        part.read()
        assert part.read() == mm
    ranges, begin = bus.model.ranges, bus.port.now_us
    for _ in range(10):
        part.read()
    assert bus.model.ranges == ranges + 10
    assert bus.port.now_us - begin == pytest.approx(10 * 50_000 / 1.075, rel=0.02)
    part.stop()
    bus.port.advance(1_000_000)
    assert bus.model.ranges == ranges + 10 and bus.model.violations == []


def test_back_to_back_and_the_same_start_again() -> None:
    """API: the start is written again with every clearing, and takes nothing back."""
    bus = Bus()
    Pololu(bus).budget(33_000)
    bus.put(0x87, 0x20)
    for _ in range(10):
        bus.port.advance(33_000)
        bus.put(0x86, 1)
        bus.put(0x87, 0x20)
    assert bus.model.ranges in (9, 10)
    assert bus.get(0x8B) == bus.model.ranges - 1  # the stream count was not begun anew
    assert bus.model.violations == []


def test_reference_spads_and_soft_reset() -> None:
    """What the full API asks for in its first start: test mode 8 ends with the interrupt."""
    bus = Bus()
    bus.put(0x27, 8)
    assert bus.get(0x31) & 1
    bus.port.advance(20_000)
    assert not bus.get(0x31) & 1
    bus.put(0x86, 1)
    bus.put(0x27, 0)
    assert bus.get(0xD9) > 0
    bus.put(0x01, 0x2A)
    bus.put(0x2D, 5)
    bus.put(0, 0)
    bus.port.advance(1_000_000)
    assert bus.get(0xE5) == 0  # held, for as long as it takes
    bus.put(0, 1)
    with pytest.raises(OSError, match="no answer"):
        bus.get(0x10F)
    bus.port.advance(1_000)
    assert (bus.get(0x10F, 2), bus.model.address, bus.get(0x2D)) == (0xEACC, 0x29, 0)
    bus.port.advance(1_000)
    assert bus.get(0xE5) == 3 and bus.model.violations == []
