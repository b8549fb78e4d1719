"""VL53L1X laser range sensor.  DS = DocID031281 rev. 3, UM = UM2510 (ST's ultra lite driver, ULD) rev. 7.

Legs: I2C (16-bit register index, counting up), `xshut` (low: shutdown, registers lost; pulled up on modules),
`gpio1` (interrupt, to the MCU). It ranges only after its whole configuration 2D..87 was written; a range that
ends while the interrupt of the one before is not cleared is lost.

Not modelled: photons (signal, ambient and sigma registers read as fixed values), regions of interest, thresholds
and their interrupts (46 other than 20 is a violation), calibration, single shot, the effect of the reference
calibration (08, 0B). Assumed: the slow oscillator has 37 ticks (DE), so that the default period of 3977 ticks is
100 ms; 4 ms before the first range; nearer than 40 mm is "clipped"; beyond the mode's distance in the dark
(DS: 1.36, 3.6 m) nothing comes back.
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import Handle, I2cChip

_BOOT_US = 1200
_FIRST_US = 4000
_OSC = 37
_TICKS_PER_MS = _OSC * 1.075  # ULD
_STANDBY_UA = 6
_SHUTDOWN_UA = 5
_RANGING_UA = 16_000

# Raw range statuses (register 89, bits 4:0).
NO_SIGNAL, OUT_OF_BOUNDS, SIGMA, WRAPPED, CLIPPED, VALID = 4, 5, 6, 7, 8, 9
HARDWARE = (1, 2, 3, 17)

# Registers that make the distance mode, and their values in both (ULD).
_MODE_REGS = (0x4B, 0x60, 0x63, 0x69, 0x78, 0x79, 0x7A, 0x7B)
_MODES: dict[tuple[int, ...], str] = {
    (0x14, 0x07, 0x05, 0x38, 0x07, 0x05, 0x06, 0x06): "short",
    (0x0A, 0x0F, 0x0D, 0xB8, 0x0F, 0x0D, 0x0E, 0x0E): "long",
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
_HIGH_M = {"short": 1.36, "long": 3.6}
_CONFIG = range(0x2D, 0x88)


class VL53L1X(I2cChip):
    """distance_m: a number, or a function of the virtual time in us. noise_m: standard deviation.

    `status`: range status of every result, None for what the distance gives. `faults` is a list of functions
    (status, mm) -> (status, mm); each next result takes one. `refuse`: so many next transfers get no answer.
    `mute`: no range ends.
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
        self.budget_ms = 0
        self.ranges = 0
        self.lost = 0
        self._up = False
        self._next: Handle | None = None
        self._clear()

    def _clear(self) -> None:
        self._regs = bytearray(0x200)
        self._index = 0
        self._written: set[int] = set()
        self._interrupt = False
        self._ranging = False
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

    def _boot(self) -> None:
        self._up = True
        self._regs[0x30] = 0x11
        self._regs[0xDE:0xE0] = _OSC.to_bytes(2, "big")
        self._regs[0xE5] = 3
        self._regs[0x10F:0x112] = self.model_id
        self._level()

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
        if self._ranging and reg in range(0x2D, 0x86):
            self.violate(f"configuration register {reg:#x} written while ranging (UM: stop first)")
        if reg == 0x46 and value != 0x20:
            self.violate("only the interrupt on new samples is modelled")
        self._written.add(reg)
        if reg == 0x31:
            value = value & 0xFE | self._regs[0x31] & 1
        self._regs[reg] = value
        if reg == 0x00 and not value & 1:
            self._power(True)
        elif reg == 0x01:
            self.address = value & 0x7F
        elif reg == 0x30:
            self._level()
        elif reg == 0x86 and value & 1:
            self._interrupt = False
            self._level()
        elif reg == 0x87:
            self._start_or_stop(value)

    def _start_or_stop(self, value: int) -> None:
        self.port.cancel(self._next)
        self._ranging = False
        self.port.draw(_STANDBY_UA)
        if value == 0:
            return
        if value != 0x40:
            self.violate(f"mode {value:#x}: only ranging without end (40) is modelled")
            return
        if not self._written.issuperset(_CONFIG):
            self.violate("ranging started before the configuration 2D..87 was written (UM)")
            return
        mode = _MODES.get(tuple(self._regs[r] for r in _MODE_REGS))
        words = tuple(int.from_bytes(self._regs[r : r + 2], "big") for r in (0x5E, 0x61))
        budget = _BUDGETS[mode].get((words[0], words[1])) if mode else None
        if mode is None or budget is None:
            self.violate("distance mode or timing budget that ST does not give (UM)")
            return
        self.mode = mode
        self.budget_ms = budget
        self._stream = 0
        self._ranging = True
        self.port.draw(_RANGING_UA)
        self._next = self.port.at(self.port.now_us + _FIRST_US + budget * 1000, self._done)

    # ranging

    def _period_us(self) -> int:
        """A period shorter than the budget: the next range follows at once (DS)."""
        ticks = int.from_bytes(self._regs[0x6C:0x70], "big")
        return max(round(ticks / _TICKS_PER_MS * 1000), self.budget_ms * 1000)

    def _done(self) -> None:
        self._next = self.port.at(self.port.now_us + self._period_us(), self._done)
        if self.mute:
            return
        if self._interrupt:
            self.lost += 1
        else:
            self.ranges += 1
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
