"""VL53L1X laser range sensor, I2C.  DS = DocID031281 rev. 3, UM = UM2510 rev. 7.

Each `start` writes the whole configuration and lets one range pass: the part tunes itself in it to the
temperature of now, and cannot yet check it for a target beyond the unambiguous distance (stream count 0 in
ST's full driver). Register values are those of ST's ultra lite driver (UM).
Not supported: regions of interest, thresholds, calibration of offset and crosstalk, another address than the
one it has, I/O at 2.8 V (register 2E).
"""

import time

from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.protocols.compat import const

_ID = const(0x010F)
_FIRMWARE = const(0xE5)
_OSC = const(0xDE)
_CONFIG = const(0x2D)
_READY = const(0x31)
_CLEAR = const(0x86)
_MODE = const(0x87)
_RESULT = const(0x89)
_RANGING = const(0x40)
_VALID = const(9)
_MAX_MM = const(4000)

# Registers 2D..87 of ST's default configuration: long distance, interrupt (high) on each new sample.
_DEFAULT = (
    b"\0\0\0\1\2\0\2\x08\0\x08\x10\1\1\0\0\0\0\xff\0\x0f\0\0\0\0\0\x20\x0b\0\0\2\x0a\x21\0\0\5\0\0\0\0\xc8"
    b"\0\0\x38\xff\1\0\x08\0\0\1\xcc\x0f\1\xf1\x0d\1\x68\0\x80\x08\xb8\0\0\0\0\x0f\x89\0\0\0\0\0\0\0\1"
    b"\x0f\x0d\x0e\x0e\0\0\2\xc7\xff\x9b\0\0\0\1\0\0"
)
# What differs for short distance: offset from 2D, value.
_SHORT = b"\x1e\x14\x33\x07\x36\x05\x3c\x38\x4b\x07\x4c\x05\x4d\x06\x4e\x06"
# Time-outs of the two phases, 5E and 61, by budget: short, then long.
_BUDGETS = (15, 20, 33, 50, 100, 200, 500)
_TIMEOUTS = (
    b"\0\x1d\0\x27\0\x51\0\x6e\0\xd6\0\x6e\1\xae\1\xe8\2\xe1\3\x88\3\xe1\4\x96\5\x91\5\xc1"
    b"\0\0\0\0\0\x1e\0\x22\0\x60\0\x6e\0\xad\0\xc6\1\xcc\1\xea\2\xd9\2\xf8\4\x8f\4\xa4"
)


class VL53L1X:
    """i2c: up to 400 kHz. xshut: callable pin, None when the part is always on.

    long: up to 3.6 m in the dark instead of 1.36 m, less immune to sunlight. budget_ms: time for a range, 15
    (short only), 20, 33, 50, 100, 200 or 500. After a reading `status` is the part's own: 9 is valid.
    """

    def __init__(self, i2c, xshut=None, *, address=0x29, long=False, budget_ms=33, clock=time):
        if budget_ms not in _BUDGETS or (long and budget_ms == 15):
            raise ConfigError("budget_ms")
        self._read = i2c.readfrom_mem_into
        self._write = i2c.writeto_mem
        self._xshut = xshut
        self._address = address
        self._budget = budget_ms
        self._clock = clock
        self._b1 = bytearray(1)
        self._b = bytearray(15)
        self._config = c = bytearray(_DEFAULT)
        if not long:
            for i in range(0, len(_SHORT), 2):
                c[_SHORT[i]] = _SHORT[i + 1]
        i = 4 * _BUDGETS.index(budget_ms) + (28 if long else 0)
        c[0x31:0x33] = _TIMEOUTS[i : i + 2]
        c[0x34:0x36] = _TIMEOUTS[i + 2 : i + 4]
        self.status = None
        if xshut:
            xshut(0)

    def _go(self, call, reg, data):
        try:
            call(self._address, reg, data, addrsize=16)
        except OSError:
            raise BusError("vl53l1x", reg)
        return data

    def _put(self, reg, value):
        self._b1[0] = value
        self._go(self._write, reg, self._b1)

    def _bit(self, reg):
        return self._go(self._read, reg, self._b1)[0] & 1

    def _wait(self, reg, ms):
        """Until bit 0 of `reg` is set."""
        while not self._bit(reg):
            if ms < 0:
                raise BusError("vl53l1x", reg)
            self._clock.sleep_ms(2)
            ms -= 2

    def start(self):
        """Configure and begin to range; the milliseconds until `read_mm` has something.

        Blocks for the first range: the budget and some 10 ms. Raises BusError, or ChipError with what the part
        says it is when it is no VL53L1X.
        """
        if self._xshut:
            self._xshut(1)
            self._clock.sleep_ms(2)  # DS: boots within 1.2 ms
        b = self._go(self._read, _ID, bytearray(2))
        if b != b"\xea\xcc":
            raise ChipError("vl53l1x", b[0] << 8 | b[1])
        self._wait(_FIRMWARE, 10)
        self._put(_MODE, 0)
        self._go(self._read, _OSC, b)
        # A range every budget + 4 ms, in ticks of the slow oscillator times 1.075 (UM's driver).
        ticks = (b[0] << 8 & 0x300 | b[1]) * (self._budget + 4) * 43 // 40
        self._config[0x3F:0x43] = ticks.to_bytes(4, "big")
        self._go(self._write, _CONFIG, self._config)
        self._put(_CLEAR, 1)
        self._put(_MODE, _RANGING)
        self._wait(_READY, self._budget + 50)
        self._put(_CLEAR, 1)
        return self._budget + 10

    def stop(self):
        """Stop ranging, or shut the part down where there is a pin. A bus that fails is no error here."""
        if self._xshut:
            self._xshut(0)
            return
        try:
            self._put(_MODE, 0)
        except BusError:
            pass

    def read_mm(self):
        """The distance, None when the part gives none it stands for (no target, weak, noisy, wrapped, clipped).

        Raises NotReady without a new range, ChipError when the part reports a fault of its hardware, BusError.
        """
        if not self._bit(_READY):
            raise NotReady("vl53l1x")
        b = self._go(self._read, _RESULT, self._b)
        self._put(_CLEAR, 1)
        self.status = s = b[0] & 31
        mm = b[13] << 8 | b[14]
        if s == _VALID and b[2] and mm <= _MAX_MM:
            return mm
        # Nothing updated, or the first range after a start.
        if s in b"\x00\x12" or (s == _VALID and not b[2]):
            raise NotReady("vl53l1x")
        if s in b"\4\5\6\7\x08\x0c\x0d":
            return None
        if s in b"\1\2\3\x11":
            raise ChipError("vl53l1x", s)
        raise BusError("vl53l1x", s)
