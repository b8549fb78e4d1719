"""A02YYUW ultrasonic range sensor, UART 9600 8N1.  DS = DFRobot SEN0311 product page, January 2026.

Powered, the sensor sends a frame FF high low sum by itself, every 100 ms (raw) to 300 ms (processed: its RX
is open or high). It draws 8 mA, so a battery node powers it for the measurement only.
Not supported: the variants that wait for a trigger.
"""

from firmware.drivers.errors import BusError, NotReady
from firmware.protocols.compat import const

_MIN_MM = const(30)
_MAX_MM = const(4500)
# Slowest output (DS) and the 4.2 ms of a frame; the first one after power-on takes longer.
_PERIOD_MS = const(305)
_START_MS = const(1000)


def distance_mm(high, low):
    """Millimetres, or None outside the range of 30..4500 mm: too near, or no echo."""
    mm = high << 8 | low
    return mm if _MIN_MM <= mm <= _MAX_MM else None


class A02YYUW:
    """uart: 9600 baud, with `any` and `readinto`. power: callable pin that feeds the sensor at level `on`."""

    def __init__(self, uart, power=None, on=1):
        self._uart = uart
        self._power = power
        self._on = on
        self._buf = bytearray(16)
        self._frame = bytearray(4)
        self._n = 0

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
        """The newest whole frame's distance, None when it is out of range.

        Raises NotReady without one since `start` or the last reading, BusError when only damaged ones came.
        """
        f = self._frame
        n = self._n
        found = bad = False
        mm = None
        while self._uart.any():
            for i in range(self._uart.readinto(self._buf) or 0):
                f[n] = self._buf[i]
                n += 1
                if n == 4:
                    if f[3] == (0xFF + f[1] + f[2]) & 0xFF:
                        mm = distance_mm(f[1], f[2])
                        found = True
                        n = 0
                        continue
                    bad = True
                # Out of step: the frame begins at the next FF.
                while n and (n == 4 or f[0] != 0xFF):
                    n -= 1
                    for k in range(n):
                        f[k] = f[k + 1]
        self._n = n
        if found:
            return mm
        if bad:
            raise BusError("a02yyuw", "sum")
        raise NotReady("a02yyuw")
