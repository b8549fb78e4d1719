"""PCF8593 as a counter of pulses, I2C up to 100 kHz.  DS = NXP PCF8593, PCF8583.

Counts at its oscillator input by itself, also while the MCU sleeps or starts anew: event-counter mode (DS 7.1),
six BCD digits. Six of its free bytes hold the number of this life, so that a part that was without supply, which
starts as a clock, is told from one that counted on. The PCF8583 works alike, at 0x51 with its pin A0 high.
Not supported: clock, alarm, timer, INT. The input has no hysteresis: a Schmitt trigger belongs before it.
"""

from firmware.drivers.errors import BusError, ChipError
from firmware.protocols.compat import const

MODULO = 1000000
_MASK = const(0x3FFFFFFF)
# Control and status: event counter; the two flags may be set by now and mean nothing here.
_COUNTS = const(0x20)
_FLAGS = const(0x03)
_STOPPED = const(0xA0)
_TRIES = const(4)


def _cookie(life):
    b = life.to_bytes(4, "big")
    return b + bytes((0xA5, 0x5A ^ b[0] ^ b[1] ^ b[2] ^ b[3]))


class PCF8593:
    """i2c: bus with `readfrom_mem_into` and `writeto_mem`; address 0x51, of a PCF8583 0x50 or 0x51.

    `life`: of the last reading, 0 where the part was without supply since `begin`.
    """

    def __init__(self, i2c, address=0x51):
        self._i2c = i2c
        self._address = address
        self._data = bytearray(15)
        self._wanted = -1
        self._last = 0
        self.count = 0
        self.life = 0

    def _put(self, register, data):
        try:
            self._i2c.writeto_mem(self._address, register, data)
        except OSError as e:
            raise BusError("pcf8593", e.args[0])

    def read(self):
        """Pulses since `begin`, 0..999999, and `life`.

        BusError: the bus, or what it says makes no sense; ChipError("pcf8593", "lost"): it does not count.
        """
        d = self._data
        before = None
        # There is no checksum: twice the same.
        for _ in range(_TRIES):
            try:
                self._i2c.readfrom_mem_into(self._address, 0, d)
            except OSError as e:
                raise BusError("pcf8593", e.args[0])
            if before == d:
                break
            before = bytes(d)
        else:
            raise BusError("pcf8593", "data")
        n = 0
        for i in (3, 2, 1):
            high = d[i] >> 4
            low = d[i] & 15
            # And a clock without a date would be a line that is held low.
            if high > 9 or low > 9 or not d[5] | d[6]:
                raise BusError("pcf8593", "data")
            n = n * 100 + high * 10 + low
        self.life = life = int.from_bytes(d[9:13], "big") if d[0] & ~_FLAGS == _COUNTS else 0
        if not life or d[9:] != _cookie(life):
            self.life = 0
            raise ChipError("pcf8593", "lost")
        return n

    def begin(self, life):
        """Count from 0, in a life of this number, 1..2^30 - 1. BusError when it does not."""
        # Counters are loaded while it stands still (DS 7.3).
        self._put(0, bytes((_STOPPED,)))
        # Day and month as after a power-on; no timer, no alarm.
        self._put(1, b"\x00\x00\x00\x00\x01\x01\x00\x00" + _cookie(life))
        self._put(0, bytes((_COUNTS,)))
        try:
            self.read()
        except ChipError:
            pass
        if self.life != life:
            raise BusError("pcf8593", "setup")
        self.go_on(0, life)

    def go_on(self, reading, life):
        """`update` counts from this reading of this life."""
        self._last = reading
        self._wanted = life
        self.count = 0

    def update(self):
        """Pulses since `begin` or `go_on`, modulo 2^30; the part may pass its end once between two calls.

        As `read`; ChipError("pcf8593", "lost") for another life, too, and ChipError("pcf8593", "back") where the
        count fell, from which it goes on.
        """
        now = self.read()
        if self.life != self._wanted:
            raise ChipError("pcf8593", "lost")
        step = (now - self._last) % MODULO
        self._last = now
        if step >= MODULO // 2:
            raise ChipError("pcf8593", "back")
        self.count = self.count + step & _MASK
        return self.count

    def reading(self):
        """The reading up to which `update` has counted."""
        return self._last
