"""Benewake TF-Luna laser range sensor, UART 115200 8N1.  DS = SJ-PM-TF-Luna A05.

Powered, pin 5 open, the sensor sends 59 59 distance amplitude temperature sum by itself, 100 times a second.
The distance comes in centimetres unless the sensor was set to millimetres (DS appendix II.5); frames of both
look the same. It needs 70 mA at 5 V: a battery node powers it for the measurement only.
Not supported: commands, I2C, the other output formats.
"""

from firmware.drivers.errors import BusError, NotReady
from firmware.protocols.compat import const

_HEAD = const(0x59)
_MIN_MM = const(200)
_MAX_MM = const(8000)
# DS 5.4: below the signal is too low; 65535 (unsigned!) is overexposure.
_MIN_AMP = const(100)
_PERIOD_MS = const(25)
_START_MS = const(500)


class TFLuna:
    """uart: 115200 baud, with `any` and `readinto`. power: callable pin that feeds the sensor at level `on`.

    unit_mm: 10, or 1 for a sensor set to millimetres. After a reading `amp` is its signal strength and
    `temp_ddegc` the temperature of the chip in 0.1 degC, both None before.
    """

    def __init__(self, uart, power=None, on=1, *, unit_mm=10):
        self._uart = uart
        self._power = power
        self._on = on
        self._unit = unit_mm
        self._buf = bytearray(32)
        self._frame = bytearray(9)
        self._sum = memoryview(self._frame)[:8]
        self._n = 0
        self.amp = None
        self.temp_ddegc = None

    def start(self):
        """Power up and forget what came before; the milliseconds until `read_mm` has something."""
        if self._power:
            self._power(self._on)
        while self._uart.any():
            self._uart.readinto(self._buf)
        self._n = 0
        return _START_MS if self._power else _PERIOD_MS

    def stop(self):
        """Power down, where there is a switch."""
        if self._power:
            self._power(not self._on)

    def read_mm(self):
        """The newest whole frame's distance, None when it is out of range or its amplitude says unreliable.

        Raises NotReady without one since `start` or the last reading, BusError when only damaged ones came.
        """
        f = self._frame
        n = self._n
        found = bad = False
        mm = amp = 0
        while self._uart.any():
            for i in range(self._uart.readinto(self._buf) or 0):
                f[n] = self._buf[i]
                n += 1
                if n == 9:
                    if f[8] == sum(self._sum) & 0xFF:
                        found = True
                        n = 0
                        mm = (f[3] << 8 | f[2]) * self._unit
                        self.amp = amp = f[5] << 8 | f[4]
                        # DS: degC = raw / 8 - 256
                        self.temp_ddegc = ((f[7] << 8 | f[6]) * 5 >> 2) - 2560
                        continue
                    bad = True
                # Out of step: the frame begins at the next 59 59.
                while n and (n == 9 or f[0] != _HEAD or (n > 1 and f[1] != _HEAD)):
                    n -= 1
                    for k in range(n):
                        f[k] = f[k + 1]
        self._n = n
        if found:
            return mm if _MIN_MM <= mm <= _MAX_MM and _MIN_AMP <= amp < 0xFFFF else None
        if bad:
            raise BusError("tfluna", "sum")
        raise NotReady("tfluna")
