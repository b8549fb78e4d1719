"""VL53L1X laser range sensor.  DS = DocID031281 rev. 3, UM = UM2510 (ST's ultra lite driver, ULD) rev. 7, API =
ST's full driver (UM2356), as published implementations of it have its formulas.

Legs: I2C (16-bit register index, counting up), `xshut` (low: shutdown, registers lost; pulled up on modules),
`gpio1` (interrupt, to the MCU). Modes of register 87: 10 one range, 20 back to back, 40 timed, 00 and 80 stop.
Each range renews the results; the interrupt stands until it is cleared, and no new edge comes before.

Not modelled: photons (signal, ambient and sigma registers read as fixed values), regions of interest, thresholds
and their interrupts (46 other than 20 is a violation), calibration and its registers, grouped parameter hold, the
effect of the reference calibration (08, 0B). Assumed: the registers 2D..85 hold the ULD's configuration after
power-on (nothing public says it, and the API relies on some of them); the slow oscillator has 37 ticks (DE), so
that the default period of 3977 ticks is 100 ms; after a soft reset the part answers within 0.5 ms (drivers ask
after 1 ms) and is ready after 1.2 ms; 4 ms before the first range; time-outs that are none of the ULD's make a
range of both and 4.5 ms; nearer than 40 mm is "clipped"; beyond the mode's distance in the dark (DS: 1.36, 2.9,
3.6 m) nothing comes back.
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import Handle, I2cChip

_BOOT_US = 1200
_SOFT_US = 500
_FIRST_US = 4000
_OSC = 37
_FAST_OSC = 0xBCCC  # 4.12 format, of a part; the API computes with it
_TICKS_PER_MS = _OSC * 1.075  # ULD
_GUARD_US = 4528  # API
_TEST_US = 10_000
_REF_SPADS = b"\x0b\x02"  # so many, in which part of the array (API)
_STANDBY_UA = 6
_SHUTDOWN_UA = 5
_RANGING_UA = 16_000

# Raw range statuses (register 89, bits 4:0).
NO_SIGNAL, OUT_OF_BOUNDS, SIGMA, WRAPPED, CLIPPED, VALID = 4, 5, 6, 7, 8, 9
HARDWARE = (1, 2, 3, 17)

# Registers that make the distance mode, and their values (ULD; API for medium).
_MODE_REGS = (0x60, 0x63, 0x69, 0x78, 0x79, 0x7A, 0x7B)
_MODES: dict[tuple[int, ...], str] = {
    (0x07, 0x05, 0x38, 0x07, 0x05, 0x06, 0x06): "short",
    (0x0B, 0x09, 0x78, 0x0B, 0x09, 0x0A, 0x0A): "medium",
    (0x0F, 0x0D, 0xB8, 0x0F, 0x0D, 0x0E, 0x0E): "long",
}
# Timing budget in ms by the words at 5E and 61 (ULD); the last is the default configuration's own.
_BUDGETS = {
    "short": {
        (0x001D, 0x0027): 15,
        (0x0051, 0x006E): 20,
        (0x00D6, 0x006E): 33,
        (0x01AE, 0x01E8): 50,
        (0x02E1, 0x0388): 100,
        (0x03E1, 0x0496): 200,
        (0x0591, 0x05C1): 500,
    },
    "long": {
        (0x001E, 0x0022): 20,
        (0x0060, 0x006E): 33,
        (0x00AD, 0x00C6): 50,
        (0x01CC, 0x01EA): 100,
        (0x02D9, 0x02F8): 200,
        (0x048F, 0x04A4): 500,
        (0x01CC, 0x01F1): 100,
    },
}
_HIGH_M = {"short": 1.36, "medium": 2.9, "long": 3.6}
#: What shapes a range and its period: to be changed only between ranges (UM).
_TIMING = frozenset((0x4B, *range(0x5E, 0x64), 0x69, *range(0x6C, 0x70), *range(0x78, 0x7C)))
#: The ULD's configuration from 2D to 85.
_DEFAULT = bytes.fromhex(
    "0000001102000208000810010100000000ff000f0000000000200b0000020a21"
    "00000500000000c8000038ff010008000001cc0f01f10d0168008008b8000000"
    "000f8900000000000000010f0d0e0e000002c7ff9b00000001"
)
_SINGLE, _BACK_TO_BACK, _TIMED = 0x10, 0x20, 0x40


def macro_us(vcsel: int) -> float:
    """Microseconds of a macro period by a VCSEL period register (API)."""
    pll_us = 4096 / (_FAST_OSC * 64)
    return 2304 * pll_us * 2 * (vcsel + 1)


def timeout_us(word: int, vcsel: int) -> float:
    """A time-out register's word: mantissa and exponent, in macro periods (API)."""
    return (((word & 0xFF) << (word >> 8)) + 1) * macro_us(vcsel)


class VL53L1X(I2cChip):
    """distance_m: a number, or a function of the virtual time in us. noise_m: standard deviation.

    `status`: range status of every result, None for what the distance gives. `faults` is a list of functions
    (status, mm) -> (status, mm); each next result takes one. `refuse`: so many next transfers get no answer.
    `mute`: no range ends. `ranges` ended so far, `lost` of them replaced one whose interrupt nobody had cleared.
    """

    def __init__(
        self,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        address: int = 0x29,
        noise_m: float = 0.0,
        shut: bool = False,
    ) -> None:
        super().__init__()
        self.address = self._first_address = address
        self.distance_m = distance_m
        self.noise_m = noise_m
        self.shut = shut
        self.status: int | None = None
        self.faults: list[Callable[[int, int], tuple[int, int]]] = []
        self.refuse = 0
        self.mute = False
        self.model_id = b"\xea\xcc\x10"
        self.mode = ""
        self.budget_ms = 0.0
        self.ranges = 0
        self.lost = 0
        self._up = False
        self._next: Handle | None = None
        self._clear()

    def _clear(self) -> None:
        self._regs = bytearray(0x200)
        self._index = 0
        self._interrupt = False
        self._ranging = 0
        self._stream = 0

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution in metres, in the dark and in the distance mode that was last used."""
        return 0.04, _HIGH_M[self.mode or "short"], 0.001

    def set_physical(self, value: float) -> None:
        self.distance_m = value

    def reset(self) -> None:
        self._power(False)
        if not self.shut:
            self._power(True)

    def _power(self, on: bool) -> None:
        self.port.cancel(self._next)
        self._clear()
        self._up = False
        self.address = self._first_address
        self._level()
        self.port.draw(_STANDBY_UA if on else _SHUTDOWN_UA)
        if on:
            self._next = self.port.at(self.port.now_us + _BOOT_US, self._boot)

    def _soft_reset(self, held: bool) -> None:
        """Register 0: held in reset it still takes the write that lets it go."""
        self._power(False)
        self._up = held
        self.port.draw(_STANDBY_UA)
        if not held:
            self._next = self.port.at(self.port.now_us + _SOFT_US, self._answers)

    def _answers(self) -> None:
        self._boot()
        self._regs[0xE5] = 0
        self._next = self.port.at(self.port.now_us + _BOOT_US - _SOFT_US, self._ready)

    def _boot(self) -> None:
        self._up = True
        self._regs[0x00] = 1
        self._regs[0x01] = self.address
        self._regs[0x06:0x08] = _FAST_OSC.to_bytes(2, "big")
        self._regs[0x24:0x26] = b"\x0a\0"
        self._regs[0x2D:0x86] = _DEFAULT
        self._regs[0xDE:0xE0] = _OSC.to_bytes(2, "big")
        self._regs[0x10F:0x112] = self.model_id
        self._level()
        self._ready()

    def _ready(self) -> None:
        self._regs[0xE5] = 3

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "xshut" and level == self.shut:
            self.shut = not level
            self._power(bool(level))

    def floating(self, pin: str) -> None:
        self.pin_changed(pin, 1)

    def _level(self) -> None:
        """The interrupt leg, which register 31 mirrors; 30 bit 4: active low."""
        level = self._interrupt != bool(self._regs[0x30] & 0x10)
        self._regs[0x31] = self._regs[0x31] & 0xFE | level
        self.port.set_pin("gpio1", level)

    # the bus

    def write(self, data: bytes) -> bool:
        if self.refuse:
            self.refuse -= 1
            return False
        if not self._up:
            return False
        if len(data) >= 2:
            self._index = data[0] << 8 | data[1]
            for value in data[2:]:
                self._set(self._index, value)
                self._index += 1
        elif data:
            self.violate("a register index has two bytes (DS)")
        return True

    def read(self, n: int) -> bytes:
        if not self._up:
            return b""
        data = bytes(self._regs[self._index : self._index + n])
        self._index += n
        return data.ljust(n, b"\0")

    def _set(self, reg: int, value: int) -> None:
        if reg >= 0x88:
            self.violate(f"write to register {reg:#x}: results and identity are read only")
            return
        if self._ranging and reg in _TIMING and value != self._regs[reg]:
            self.violate(f"timing register {reg:#x} changed while ranging (UM: stop first)")
        if reg == 0x46 and value != 0x20:
            self.violate("only the interrupt on new samples is modelled")
        if reg == 0x31:
            value = value & 0xFE | self._regs[0x31] & 1
        self._regs[reg] = value
        if reg == 0x00:
            self._soft_reset(not value & 1)
        elif reg == 0x01:
            self.address = value & 0x7F
        elif reg == 0x30:
            self._level()
        elif reg == 0x86 and value & 1:
            self._interrupt = False
            self._level()
        elif reg == 0x27 and value:
            self.port.cancel(self._next)
            self._next = self.port.at(self.port.now_us + _TEST_US, self._tested)
        elif reg == 0x87 and value != self._ranging:  # the API says it again after each range
            self._start_or_stop(value)

    def _tested(self) -> None:
        self._regs[0xD9:0xDB] = _REF_SPADS
        self._interrupt = True
        self._level()

    def _start_or_stop(self, value: int) -> None:
        self.port.cancel(self._next)
        self._ranging = 0
        self.port.draw(_STANDBY_UA)
        if value in (0, 0x80):
            return
        if value not in (_SINGLE, _BACK_TO_BACK, _TIMED):
            self.violate(f"mode {value:#x}: 10, 20, 40 range, 00 and 80 stop (API)")
            return
        mode = _MODES.get(tuple(self._regs[r] for r in _MODE_REGS))
        if mode is None:
            self.violate("distance mode that ST does not give (UM)")
            return
        self.mode = mode
        self.budget_ms = self._budget_us() / 1000
        self._stream = 0
        self._ranging = value
        self.port.draw(_RANGING_UA)
        self._next = self.port.at(self.port.now_us + _FIRST_US + round(self.budget_ms * 1000), self._done)

    def _budget_us(self) -> float:
        """How long a range takes: ST's figure where the time-outs are the ULD's, else what they say."""
        a, b = (int.from_bytes(self._regs[r : r + 2], "big") for r in (0x5E, 0x61))
        budget = _BUDGETS.get(self.mode, {}).get((a, b))
        if budget is not None:
            return budget * 1000
        return timeout_us(a, self._regs[0x60]) + timeout_us(b, self._regs[0x63]) + _GUARD_US

    # ranging

    def _period_us(self) -> int:
        """A period shorter than the budget: the next range follows at once (DS)."""
        ticks = int.from_bytes(self._regs[0x6C:0x70], "big") if self._ranging == _TIMED else 0
        return round(max(ticks / _TICKS_PER_MS, self.budget_ms) * 1000)

    def _done(self) -> None:
        if self._ranging == _SINGLE:
            self._ranging = 0
            self.port.draw(_STANDBY_UA)
        else:
            self._next = self.port.at(self.port.now_us + self._period_us(), self._done)
        if self.mute:
            return
        self.ranges += 1
        self.lost += self._interrupt
        self._result(*self.reading())
        self._interrupt = True
        self._level()
        self._stream = 128 if self._stream == 255 else self._stream + 1

    def reading(self) -> tuple[int, int]:
        """Range status and millimetres of now. A failed range carries a number, too, and it means nothing."""
        metres = self.distance_m(self.port.now_us) if callable(self.distance_m) else self.distance_m
        if self.noise_m:
            metres += self.port.random.gauss(0.0, self.noise_m)
        mm = round(metres * 1000)
        status = self.status
        if status is None:
            status = VALID if mm >= 40 else CLIPPED
            if metres > _HIGH_M[self.mode or "short"]:
                status = NO_SIGNAL
        if status == NO_SIGNAL:
            mm = 8191
        elif status == OUT_OF_BOUNDS:
            mm = 8190
        elif status == WRAPPED:
            mm %= 700
        elif status == SIGMA:
            mm += round(self.port.random.gauss(0.0, 200.0))
        if self.faults:
            status, mm = self.faults.pop(0)(status, mm)
        return status, max(mm, 0)

    def _result(self, status: int, mm: int) -> None:
        regs = self._regs
        regs[0x89] = status
        regs[0x8B] = self._stream
        regs[0x8C:0x8E] = (0x4000).to_bytes(2, "big")
        regs[0x8E:0x90] = (0x0400).to_bytes(2, "big")
        regs[0x90:0x92] = (0x0010).to_bytes(2, "big")
        regs[0x92:0x94] = (0x0014).to_bytes(2, "big")
        regs[0x96:0x98] = mm.to_bytes(2, "big")
        regs[0x98:0x9A] = regs[0x8E:0x90]
