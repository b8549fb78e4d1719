"""LIS3DH accelerometer as a tilt sensor, I2C.  DS = ST DocID17530 Rev 2, AN = ST AN3308.

Runs at 10 Hz, +-2 g, high resolution (12 bits, 1 mg per digit, 4 uA: DS tables 4 and 12), also while the MCU
sleeps. Not supported: FIFO, interrupts, click, self-test, temperature, the auxiliary ADC, SPI.
"""

import math
import time

from firmware.drivers.errors import BusError, ChipError, NotReady
from firmware.protocols.compat import const

# Register numbers with the bit for auto-increment (DS 6.1.1).
_WHO = const(0x0F)
_CTRL = const(0xA0)
_STATUS = const(0xA7)
# CTRL_REG1..5: 10 Hz and three axes; no filter; no interrupt; block data update and high resolution; nothing.
_SETUP = b"\x27\x00\x00\x88\x00"
# Turn-on of the high resolution mode is 7 periods (DS table 11), the rate is within 10 per cent.
_START_MS = const(800)


def angle(a, b):
    """Degrees, 0..180, between two vectors of integers below 2^12. Undefined for a vector of zeros."""
    x = float(a[1] * b[2] - a[2] * b[1])
    y = float(a[2] * b[0] - a[0] * b[2])
    z = float(a[0] * b[1] - a[1] * b[0])
    # By the tangent: the cosine alone loses a degree near 0 and 180 in 32-bit floats.
    along = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return int(math.atan2(math.sqrt(x * x + y * y + z * z), along) * 180 / math.pi + 0.5)


class LIS3DH:
    """i2c: bus with `readfrom_mem_into` and `writeto_mem`, up to 400 kHz; address 0x18 or 0x19 (pin SA0)."""

    def __init__(self, i2c, address=0x18, clock=time):
        self._i2c = i2c
        self._address = address
        self._clock = clock
        self._since = None
        self._ctrl = bytearray(5)
        self._data = bytearray(7)
        self.mg = [0, 0, 0]

    def _get(self, register, into):
        try:
            self._i2c.readfrom_mem_into(self._address, register, into)
        except OSError as e:
            raise BusError("lis3dh", e.args[0])

    def _put(self, data):
        try:
            self._i2c.writeto_mem(self._address, _CTRL, data)
        except OSError as e:
            raise BusError("lis3dh", e.args[0])

    def start(self):
        """Make sure that it measures; the milliseconds until `read` has something, 0 when it ran already.

        Raises ChipError with its identity when that is another part's.
        """
        who = bytearray(1)
        self._get(_WHO, who)
        if who[0] != 0x33:
            raise ChipError("lis3dh", who[0])
        self._get(_CTRL, self._ctrl)
        if self._ctrl != _SETUP:
            self._put(_SETUP)
            self._since = self._clock.ticks_ms()
        return 0 if self._since is None else _START_MS

    def stop(self):
        """Power-down, 0.5 uA."""
        self._put(b"\x07\x00\x00\x88\x00")

    def read(self):
        """List of x, y, z in mg, -2048..2047; the same list at each call.

        Raises NotReady without a new sample, BusError when the bus fails or the settings are gone: `start`.
        """
        self._get(_CTRL, self._ctrl)
        if self._ctrl != _SETUP:
            raise BusError("lis3dh", "setup")
        if self._since is not None:
            if 0 <= self._clock.ticks_diff(self._clock.ticks_ms(), self._since) < _START_MS:
                raise NotReady("lis3dh", "start")
            self._since = None
        d = self._data
        self._get(_STATUS, d)
        if not d[0] & 8:
            raise NotReady("lis3dh", "sample")
        if d[6] == 0xFF:
            # A few mg below zero, or a line that nobody drove any more: look again.
            self._get(_STATUS, d)
        # Left-justified 12 bits: anything in the rest was not sent by this part.
        if (d[1] | d[3] | d[5]) & 15:
            raise BusError("lis3dh", "data")
        for i in (0, 1, 2):
            v = d[2 * i + 2] << 4 | d[2 * i + 1] >> 4
            self.mg[i] = v - 4096 if v & 2048 else v
        return self.mg

    def tilt(self, reference):
        """Degrees from `reference` (what `read` gave upright), 0..180.

        Raises NotReady while it is shaken: what is not 1 g (15 per cent) has no direction.
        """
        a = self.read()
        if not 722500 <= a[0] * a[0] + a[1] * a[1] + a[2] * a[2] <= 1322500:
            raise NotReady("lis3dh", "moving")
        return angle(a, reference)
