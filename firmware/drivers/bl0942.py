"""BL0942 energy meter, UART 4800 8N1.  DS = Belling BL0942 data sheet V1.06; scales as measured by others on
boards with 1 mOhm (15873 per V, 251213 per A, 596 per W): give the board's own difference as ppm.

Energy result: `read()` (raises), then voltage_mv, current_ma, power_mw, energy_mwh, frequency_mhz or None.

Energy is what the 24-bit counter added since the driver's start (or since `count`), both directions alike; a
counter that falls has wrapped when that is a step of less than 205 kWh, else the part was off and began at 0.
Not supported: SPI, writing registers (the defaults do), the outputs CF, ZX and I.
"""

import time

from firmware.drivers.errors import BusError, ConfigError
from firmware.protocols.compat import const

_READ = const(0x58)
_LEN = const(23)
# Two bytes, 23 bytes at 4800 baud (52 ms), and as much again for a part that is at work.
_WAIT_MS = const(110)
_WRAP = const(0x100000)


def _u24(b, i):
    return b[i] | b[i + 1] << 8 | b[i + 2] << 16


def _scaled(raw, k):
    return (raw * k + 500000000) // 1000000000


class BL0942:
    """uart: `any`, `readinto`, `write`. address 0..3. *_ppm: added to what the part says, +-300000.

    energy_mwh, count: where an earlier run of the program left `energy_mwh` and `count`.
    """

    def __init__(self, uart, address=0, v_ppm=0, i_ppm=0, p_ppm=0, energy_mwh=0, count=None, clock=time):
        for ppm in (v_ppm, i_ppm, p_ppm):
            if not -300000 <= ppm <= 300000:
                raise ConfigError("ppm", ppm)
        if not 0 <= address <= 3:
            raise ConfigError("address", address)
        self._uart = uart
        self._clock = clock
        self._buf = bytearray(_LEN)
        self._ask = bytes((_READ | address, 0xAA))
        # pV, pA, pW per bit; nWh per count of 1638.4 * 256 / 596 J.
        self._v = 63000063 * (1000000 + v_ppm) // 1000000
        self._i = 3980686 * (1000000 + i_ppm) // 1000000
        self._p = 1677852349 * (1000000 + p_ppm) // 1000000
        self._e = 195483967 * (1000000 + p_ppm) // 1000000
        self._base = energy_mwh
        self._counts = 0
        self.count = count
        self.voltage_mv = self.current_ma = self.power_mw = self.frequency_mhz = None
        self.energy_mwh = energy_mwh

    def read(self):
        """One request, 50 to 110 ms. BusError: timeout, short or sum; the attributes then stay."""
        u = self._uart
        b = self._buf
        c = self._clock
        for _ in range(16):  # what is left of before; a line that never rests fails below
            if not u.any():
                break
            u.readinto(b)
        u.write(self._ask)
        start = c.ticks_ms()
        while u.any() < _LEN:
            if c.ticks_diff(c.ticks_ms(), start) > _WAIT_MS:
                raise BusError("bl0942", "short" if u.any() else "timeout")
            c.sleep_ms(5)
        u.readinto(b)
        total = self._ask[0]
        for x in b:
            total += x
        # The sum of all but the last byte, inverted, is the last: all together end in FF.
        if b[0] != 0x55 or total & 0xFF != 0xFF:
            raise BusError("bl0942", "sum")
        self.current_ma = _scaled(_u24(b, 1), self._i)
        self.voltage_mv = _scaled(_u24(b, 4), self._v)
        p = _u24(b, 10)
        if p & 0x800000:
            p -= 0x1000000
        self.power_mw = _scaled(p, self._p)
        n = _u24(b, 13)
        old = self.count
        if old is not None:
            d = n - old
            if d < 0:
                d += 0x1000000
                if d >= _WRAP:
                    d = n
            self._counts += d
            self.energy_mwh = self._base + self._counts * self._e // 1000000
        self.count = n
        f = b[16] | b[17] << 8
        self.frequency_mhz = 1000000000 // f if f else None
