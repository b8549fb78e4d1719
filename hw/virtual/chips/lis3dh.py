"""LIS3DH accelerometer on I2C.  DS = ST DocID17530 Rev 2, AN = ST AN3308.

Legs: I2C at `address` (0x18, or 0x19 with SA0 high); `int1` (interrupt generator 1 and data ready). Registers,
modes, rates, data-ready and overrun, block data update and turn-on are those of DS chapters 3, 6 and 8; the
sensitivity is DS table 4 (1 mg per digit at +-2 g in high resolution, which is not full scale / 2048).

Generator 1: OR, AND, 6D movement and position, threshold (16 mg at +-2 g), duration, latch, and the high-pass
filter before it (normal mode; REFERENCE read: it starts anew), a first order at a 50th to a 400th of the rate.

Not modelled: FIFO, generator 2 and the leg int2, click, self-test, the high-pass filter of the output registers,
temperature and auxiliary ADC (they read 0), SPI, offset and sensitivity errors. Assumed: a sample of a mode that
has not settled is half of the true value; a boot of the memory (CTRL_REG5) leaves the other registers alone;
INT1_SRC shows only what INT1_CFG enables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hw.virtual.chips.base import Handle, I2cChip

Vector = tuple[float, float, float]
G = 9.80665
_WHO, _CTRL0, _TEMP, _CTRL1, _CTRL4, _CTRL5, _STATUS, _OUT, _FIFO = (
    *(0x0F, 0x1E, 0x1F, 0x20, 0x23, 0x24, 0x27, 0x28, 0x2E),
)
_CTRL2, _CTRL3, _CTRL6, _REFERENCE, _CFG, _SRC, _THS, _DUR = 0x21, 0x22, 0x25, 0x26, *range(0x30, 0x34)
_I1_IA1, _I1_READY, _LATCH, _ACTIVE_LOW, _FILTERED = 0x40, 0x10, 0x08, 0x02, 0x01
_WRITABLE = {_CTRL0, _TEMP, *range(0x20, 0x27), _FIFO, 0x30, *range(0x32, 0x35), 0x36, 0x37, 0x38}
_WRITABLE |= set(range(0x3A, 0x40))
_BOOT_US = 5000
_RATES_HZ = (0, 1, 10, 25, 50, 100, 200, 400)
#: mg per digit at 12 bits for FS 0..3 (DS table 4).
_MG = (1, 2, 4, 12)
#: mg per digit of the threshold (DS table 43).
_THS_MG = (16, 32, 62, 186)
#: Current in uA by rate 0..9 (DS table 12): low power; normal and high resolution.
_LOW_UA = (1, 2, 3, 4, 6, 10, 18, 36, 100, 185)
_HIGH_UA = (1, 2, 4, 6, 11, 20, 38, 73, 0, 185)


class LIS3DH(I2cChip):
    """acceleration: m/s2 in x, y, z (a part at rest feels 1 g upwards), or a function of the time in us.

    `frozen` stops the conversions (no new data). noise_mg: standard deviation per axis.
    """

    def __init__(
        self,
        address: int = 0x18,
        acceleration: Vector | Callable[[int], Vector] = (0.0, 0.0, G),
        *,
        noise_mg: float = 0.0,
    ) -> None:
        super().__init__()
        self.address = address
        self.acceleration = acceleration
        self.noise_mg = noise_mg
        self.frozen = False
        self._registers = bytearray(128)
        self._pointer = 0
        self._since_us = 0
        self._boot_us = 0
        self._read = 0
        self._tick: Handle | None = None
        self._slow: Sequence[float] | None = None
        self._zone = self._lasted = 0
        self._active = False

    def range(self) -> tuple[float, float, float]:
        """Tilt from upright, radians: lowest, highest, resolution (1 mg across at 1 g)."""
        return 0.0, math.pi, 0.001

    def set_physical(self, value: float) -> None:
        """Lean by `value` radians, turning about x."""
        self.acceleration = (0.0, G * math.sin(value), G * math.cos(value))

    def reset(self) -> None:
        self._registers[:] = bytes(128)
        self._registers[_WHO] = 0x33
        self._registers[_CTRL0] = 0x10
        self._registers[_CTRL1] = 0x07
        self._boot_us = self.port.now_us + _BOOT_US
        self._active = False
        self._restart()

    # modes

    @property
    def _rate(self) -> int:
        return self._registers[_CTRL1] >> 4

    @property
    def _low(self) -> bool:
        return bool(self._registers[_CTRL1] & 8)

    @property
    def _high(self) -> bool:
        return bool(self._registers[_CTRL4] & 8)

    def _hz(self) -> int:
        if self._rate < 8:
            return _RATES_HZ[self._rate]
        if self._rate == 8:
            return 1620 if self._low else 0
        return (5376 if self._low else 1344) if self._rate == 9 else 0

    def _restart(self) -> None:
        self._since_us = self.port.now_us
        self._read = 0
        self._begin()
        self.port.draw((_LOW_UA if self._low else _HIGH_UA)[min(self._rate, 9)])

    def _sample(self) -> int:
        """Number of the newest sample since the mode was set; 0 is none yet."""
        hz = self._hz()
        if not hz or self.frozen:
            return self._read
        return (self.port.now_us - self._since_us) * hz // 1_000_000

    # bus

    def _booting(self) -> bool:
        if self.port.now_us < self._boot_us:
            self.violate("register access during the 5 ms of its boot (AN: boot)")
            return True
        return False

    def write(self, data: bytes) -> bool:
        if not data:
            return True
        if self._booting():
            return False
        self._pointer = data[0]
        for byte in data[1:]:
            self._put(self._pointer & 0x7F, byte)
            self._step()
        return True

    def _step(self) -> None:
        if self._pointer & 0x80:
            self._pointer = 0x80 | self._pointer + 1 & 0x7F

    def _put(self, register: int, value: int) -> None:
        if register not in _WRITABLE:
            self.violate(f"write to register 0x{register:02X}, which is reserved or read-only (DS 7)")
            return
        before = bytes(self._registers[_CTRL1 : _CTRL4 + 1])
        self._registers[register] = value
        if register == _CTRL5 and value & 0x80:
            self._registers[_CTRL5] = value & 0x7F
            self._boot_us = self.port.now_us + _BOOT_US
        if value & {_CTRL5: 0x40, _FIFO: 0xC0}.get(register, 0):
            self.violate("the FIFO is not modelled")
        if bytes(self._registers[_CTRL1 : _CTRL4 + 1]) != before:
            self._restart()
        elif register in (_CTRL5, _CTRL6, _CFG, _THS, _DUR):
            self._begin()
        if register in (_CTRL1, _CTRL4):
            if self._low and self._high:
                self.violate("low power and high resolution together are not allowed (DS table 10)")
            if self._rate > 9 or (self._rate == 8 and not self._low):
                self.violate(f"data rate {self._rate:04b} does not exist in this mode (DS table 31)")

    def read(self, n: int) -> bytes:
        if self._booting():
            return b""
        out = bytearray()
        for _ in range(n):
            out.append(self._get(self._pointer & 0x7F))
            self._step()
        return bytes(out)

    def _get(self, register: int) -> int:
        if register == _STATUS:
            new = self._sample() - self._read
            return (0x0F if new > 0 else 0) | (0xF0 if new > 1 and self._read else 0)
        if _OUT <= register < _OUT + 6:
            data = self._output()
            if register == _OUT + 5:
                self._read = self._sample()
                self._level()
            return data[register - _OUT]
        if register == _REFERENCE:
            self._slow = None
        value = self._registers[register]
        if register == _SRC:
            self._registers[_SRC] &= ~0x40 & 0xFF
            self._active = False
            self._level()
        return value

    # int1

    def _begin(self) -> None:
        """Look at each sample from now on, if anything comes of it."""
        self.port.cancel(self._tick)
        self._tick = None
        self._lasted = self._zone = 0
        self._slow = None
        regs = self._registers
        if not regs[_CFG] & 0x3F:
            self._active = False
        if (regs[_CFG] & 0x3F or regs[_CTRL3] & _I1_READY) and self._hz():
            self._next()
        self._level()

    def _next(self) -> None:
        number = (self.port.now_us - self._since_us) * self._hz() // 1_000_000 + 1
        at = self._since_us - (-number * 1_000_000 // self._hz())
        self._tick = self.port.at(at, self._sampled)

    def _level(self) -> None:
        regs = self._registers
        ready = bool(regs[_CTRL3] & _I1_READY) and self._sample() > self._read
        on = ready or (bool(regs[_CTRL3] & _I1_IA1) and self._active)
        self.port.set_pin("int1", on != bool(regs[_CTRL6] & _ACTIVE_LOW))

    def _sampled(self) -> None:
        self._next()
        if not self.frozen:
            if self._registers[_CFG] & 0x3F:
                self._generate()
            self._level()

    def _felt(self) -> Vector:
        """What the generator compares, mg: a sample, without its slow part when CTRL_REG2 asks for that."""
        felt = self.acceleration(self.port.now_us) if callable(self.acceleration) else self.acceleration
        mg = []
        for axis, metres in enumerate(felt):
            noise = self.port.random.gauss(0.0, self.noise_mg) if self.noise_mg else 0.0
            enabled = self._registers[_CTRL1] >> axis & 1
            mg.append((metres / G * 1000 + noise) if enabled else 0.0)
        x = mg[0], mg[1], mg[2]
        control = self._registers[_CTRL2]
        if not control & _FILTERED:
            return x
        slow = self._slow or x
        k = 2 * math.pi / (50 << (control >> 4 & 3))
        k /= 1 + k
        self._slow = slow = tuple(s + k * (v - s) for s, v in zip(slow, x, strict=True))
        return x[0] - slow[0], x[1] - slow[1], x[2] - slow[2]

    def _generate(self) -> None:
        regs = self._registers
        config = regs[_CFG]
        limit = (regs[_THS] & 0x7F) * _THS_MG[regs[_CTRL4] >> 4 & 3]
        events = 0
        for axis, mg in enumerate(self._felt()):
            signed = bool(config & 0x40)
            high = (mg if signed else abs(mg)) > limit
            low = mg < -limit if signed else abs(mg) < limit
            events |= low << 2 * axis | high << 2 * axis + 1
        wanted = events & config & 0x3F
        match config >> 6:
            case 0:
                holds = bool(wanted)
            case 2:
                holds = wanted == config & 0x3F
            case _:  # 6D: another zone than before (movement), or in one (position)
                holds = bool(wanted) and (config >> 6 == 3 or wanted != self._zone)
                self._zone = wanted or self._zone
        self._lasted = self._lasted + 1 if holds else 0
        now = self._lasted > (regs[_DUR] & 0x7F)
        if not (self._active and regs[_CTRL5] & _LATCH):
            self._active = now
            regs[_SRC] = wanted | (0x40 if now else 0)

    def _output(self) -> bytes:
        number = self._sample()
        if not number:
            return bytes(6)
        hz = self._hz()
        now = self._since_us + number * 1_000_000 // hz if hz else self.port.now_us
        felt = self.acceleration(now) if callable(self.acceleration) else self.acceleration
        settled = number >= 7 or not self._high
        shift = 4 if self._high else 8 if self._low else 6
        step = _MG[self._registers[_CTRL4] >> 4 & 3] << shift - 4
        out = b""
        for axis, metres in enumerate(felt):
            if not self._registers[_CTRL1] >> axis & 1:
                out += bytes(2)
                continue
            mg = metres / G * 1000 / (1 if settled else 2)
            if self.noise_mg:
                mg += self.port.random.gauss(0.0, self.noise_mg)
            most = 1 << 15 - shift
            digits = max(-most, min(most - 1, round(mg / step)))
            raw = (digits << shift) & 0xFFFF
            out += raw.to_bytes(2, "big" if self._registers[_CTRL4] & 0x40 else "little")
        return out
