"""CSE7766 energy meter, UART 4800 8E1, sends only.  DS = Chipsea CSE7766 data sheet, "UART".

Energy result: `read()` (raises), then voltage_mv, current_ma, power_mw, energy_mwh, frequency_mhz or None.

Frames of 24 bytes follow each other; each quantity is the part's own coefficient over the length of a cycle.
Header F2: power below the range, 0 W. The counter of energy has 16 bits of 5 J or so: `read` at least every
100 s at 3 kW (an hour at 80 W), or whole turns of it are missed. Not supported: calibration of the part.
"""

import time

from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.protocols.compat import const

_LEN = const(24)
# Two frames of 24 * 11 bits at 4800 baud, and the pauses between them.
_WAIT_MS = const(200)


class CSE7766:
    """uart: `any`, `readinto`. *_ppm: added to what the part says, +-300000. energy_mwh: where a run ended."""

    def __init__(self, uart, v_ppm=0, i_ppm=0, p_ppm=0, energy_mwh=0, clock=time):
        for ppm in (v_ppm, i_ppm, p_ppm):
            if not -300000 <= ppm <= 300000:
                raise ConfigError("ppm", ppm)
        self._gain = (v_ppm, i_ppm, p_ppm)
        self._uart = uart
        self._clock = clock
        self._buf = bytearray(_LEN)
        self._f = bytearray(_LEN)
        self._pulses = None
        self._uj = 0
        self._base = energy_mwh
        self.voltage_mv = self.current_ma = self.power_mw = self.frequency_mhz = None
        self.energy_mwh = energy_mwh

    def _frame(self):
        """The next whole frame in `_f`; what came before the call is old and thrown away."""
        u = self._uart
        c = self._clock
        f = self._f
        for _ in range(16):
            if not u.any():
                break
            u.readinto(self._buf)
        n = 0
        bad = False
        start = c.ticks_ms()
        while c.ticks_diff(c.ticks_ms(), start) <= _WAIT_MS:
            if not u.any():
                c.sleep_ms(5)
                continue
            for i in range(u.readinto(self._buf) or 0):
                f[n] = self._buf[i]
                n += 1
                if n == _LEN:
                    total = 0
                    for k in range(2, 23):
                        total += f[k]
                    if total & 0xFF == f[23]:
                        return
                    bad = True
                # Out of step: a frame begins with 55, AA or Fx, and 5A.
                while n and (
                    n == _LEN or not (f[0] in (0x55, 0xAA) or f[0] >= 0xF0) or (n > 1 and f[1] != 0x5A)
                ):
                    n -= 1
                    for k in range(n):
                        f[k] = f[k + 1]
        raise BusError("cse7766", "sum" if bad else "timeout")

    def _value(self, i, q):
        """Thousandths of the quantity whose coefficient and cycle are at `i`; None for no cycle."""
        f = self._f
        cycle = f[i + 3] << 16 | f[i + 4] << 8 | f[i + 5]
        if not cycle:
            return None
        x = (f[i] << 16 | f[i + 1] << 8 | f[i + 2]) * (1000000 + self._gain[q])
        return (x // 1000 + (cycle >> 1)) // cycle

    def read(self):
        """The next frame, 55 to 200 ms. BusError: timeout or sum. ChipError: uncalibrated (AA), fault bits Fx.

        NotReady while the part has not yet measured power. What it has not finished keeps its last value.
        """
        self._frame()
        f = self._f
        head = f[0]
        # DS: bit 1 power, bits 3 and 2 voltage and current out of range, bit 0 coefficients damaged.
        if head == 0xAA or (head != 0x55 and head & 0x0D):
            raise ChipError("cse7766", head)
        done = f[20]
        n = f[21] << 8 | f[22]
        moved = 0
        if self._pulses is not None:
            moved = n - self._pulses & 0xFFFF
            # A pulse is as many microjoules as the coefficient of power says.
            self._uj += moved * (f[14] << 16 | f[15] << 8 | f[16])
            self.energy_mwh = self._base + self._uj * (1000000 + self._gain[2]) // 3600000000000
        if done & 0x40:
            self.voltage_mv = self._value(2, 0)
        if head & 0xF2 == 0xF2:
            self.power_mw = 0
            if not done & 0x20:
                self.current_ma = 0
        elif done & 0x10:
            self.power_mw = self._value(14, 2)
        elif self._pulses is not None and not moved:
            self.power_mw = 0
        self._pulses = n
        if done & 0x20:
            self.current_ma = self._value(8, 1)
        if self.power_mw is None:
            raise NotReady("cse7766")
