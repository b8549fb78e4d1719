"""MaxBotix HRXL-MaxSonar-WR ultrasonic range sensors, serial output.  DS = PD11500.

Powered, pin 4 open, the sensor sends R, four digits of millimetres and CR by itself, every 133 to 181 ms, and
compensates temperature itself. 9600 8N1; the RS232 variants (MB736x) need a UART with inverted input.
The format has no checksum: a bit that turns one digit into another is not noticed.
Not supported: XL (centimetres, three digits), five digits, triggered ranging.
"""

from firmware.drivers.errors import BusError, NotReady
from firmware.protocols.compat import const

# The rest of a cycle of 181 ms, the slowest (DS), and one that begins after the call, to the end of its frame.
_PERIOD_MS = const(370)
# Power-up, its text, and the filter of free run, which settles at 1.2 Hz (DS).
_START_MS = const(1000)


class MaxBotix:
    """uart: 9600 baud, with `any` and `readinto`. power: callable pin that feeds the sensor at level `on`.

    max_mm is what the variant sends without a target: 5000, or 9999 for those of 10 m (DS).
    """

    def __init__(self, uart, power=None, on=1, *, max_mm=5000):
        self._uart = uart
        self._power = power
        self._on = on
        self._max = max_mm
        self._buf = bytearray(16)
        # Digits since R, -1 outside of a frame; and their value.
        self._n = -1
        self._mm = 0

    def start(self):
        """Power up and forget what came before; the milliseconds until `read_mm` has something."""
        if self._power:
            self._power(self._on)
        while self._uart.any():
            self._uart.readinto(self._buf)
        self._n = -1
        return _START_MS if self._power else _PERIOD_MS

    def stop(self):
        """Power down, where there is a switch."""
        if self._power:
            self._power(not self._on)

    def read_mm(self):
        """The newest whole frame's distance, None without a target. 300 also means nearer than that (DS).

        Raises NotReady without one since `start` or the last reading, BusError when only damaged ones came.
        """
        n = self._n
        mm = self._mm
        found = -1
        bad = False
        while self._uart.any():
            for i in range(self._uart.readinto(self._buf) or 0):
                c = self._buf[i]
                if c == 0xFF:  # stray ones occur between any two characters
                    continue
                if c == 13:
                    if n == 4:
                        found = mm
                    elif n >= 0:
                        bad = True
                    n = -1
                elif c == 82:
                    bad = bad or n >= 0
                    n = mm = 0
                elif 0 <= n < 4 and 48 <= c < 58:
                    mm = mm * 10 + c - 48
                    n += 1
                elif n >= 0:
                    bad = True
                    n = -1
        self._n = n
        self._mm = mm
        if found >= 0:
            return found if 300 <= found < self._max else None
        if bad:
            raise BusError("maxbotix", "frame")
        raise NotReady("maxbotix")
